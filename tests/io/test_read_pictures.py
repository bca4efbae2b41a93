"""Pictures are read upright, to the bit, and with a pixel size only from who knows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.color import rgb2gray

from nanopilot.core.errors import InvalidRequest, ReadError
from nanopilot.core.signals import Signal, check, metadata
from nanopilot.io.readers import NoPixelSize, read
from nanopilot.io.readers.picture import read as read_picture

RNG = np.random.default_rng(7)
NM = 1e-9


def grey(dtype: str = "u1", shape: tuple[int, ...] = (5, 7)) -> np.ndarray:
    return (RNG.random(shape) * 200).astype(dtype)


def one(path: Path, **options: Any) -> Signal:
    (signal,) = read(path, **options)
    return check(signal)


def as_drawn(signal: Signal) -> np.ndarray:
    """Return the rows from the top of a drawing, where y is largest, to the bottom."""
    return signal.sortby("y", ascending=False).to_numpy()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF"])
def test_picture_stands_upright_and_keeps_its_values(tmp_path: Path, name: str) -> None:
    values = grey()
    Image.fromarray(values).save(tmp_path / name)
    signal = one(tmp_path / name, pixel_size=2 * NM)
    np.testing.assert_array_equal(as_drawn(signal), values)
    assert (signal.dims, signal.dtype, signal.name) == (("y", "x"), values.dtype, "intensity")
    np.testing.assert_allclose(signal["x"], 2 * NM * np.arange(7))
    np.testing.assert_allclose(signal["y"], 2 * NM * np.arange(5))
    assert (signal.attrs["units"], signal["x"].attrs["units"]) == ("a.u.", "m")
    told = metadata(signal)
    assert (told["file"], told["pixel_size_from"], told["first_row"]) == (
        name,
        "`pixel_size`",
        "top",
    )


def test_first_row_can_lie_at_the_bottom(tmp_path: Path) -> None:
    values = grey()
    Image.fromarray(values).save(tmp_path / "a.png")
    signal = one(tmp_path / "a.png", pixel_size=NM, first_row="bottom")
    np.testing.assert_array_equal(signal.to_numpy(), values)
    with pytest.raises(InvalidRequest, match="'left'"):
        read(tmp_path / "a.png", pixel_size=NM, first_row="left")


def test_jpeg_is_read_as_pillow_reads_it(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(16), np.arange(24)).astype("u1") * 4
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    signal = one(tmp_path / "a.jpg", pixel_size=NM)
    assert np.abs(as_drawn(signal).astype(int) - smooth).max() <= 4


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">u2", "i2", "u4", "i4", "f4", "f8", "f2"])
def test_tiff_keeps_its_numbers(tmp_path: Path, dtype: str) -> None:
    values = grey(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=">" if dtype[0] == ">" else "<")
    signal = one(tmp_path / "a.tif", pixel_size=NM)
    assert signal.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(as_drawn(signal), values)


def test_png_of_16_bits_keeps_them(tmp_path: Path) -> None:
    values = np.array([[0, 1, 257], [65535, 300, 40000]], "u2")
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(as_drawn(one(tmp_path / "a.png", pixel_size=NM)), values)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("bands", [3, 4])
def test_colours_become_luminance_with_a_note(tmp_path: Path, name: str, bands: int) -> None:
    values = grey(shape=(5, 7, bands))
    Image.fromarray(values).save(tmp_path / name)
    signal = one(tmp_path / name, pixel_size=NM)
    expected = rgb2gray(values[..., :3].astype(float))
    np.testing.assert_allclose(as_drawn(signal), expected, rtol=1e-12)
    note = metadata(signal)["colours"]
    assert "luminance" in note
    assert ("opacity left out" in note) == (bands == 4)


def test_grey_saved_as_colours_stays_what_it_was(tmp_path: Path) -> None:
    values = grey()
    Image.fromarray(np.repeat(values[..., None], 3, axis=2)).save(tmp_path / "a.png")
    signal = one(tmp_path / "a.png", pixel_size=NM)
    assert signal.dtype == np.uint8
    np.testing.assert_array_equal(as_drawn(signal), values)
    assert "the same" in metadata(signal)["colours"]


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_palette_is_looked_up(tmp_path: Path, name: str) -> None:
    image = Image.fromarray(grey("u1") % 3, mode=None).convert("L")
    indices = np.asarray(image)
    palette = Image.fromarray(indices).convert("P")
    palette.putpalette([10, 20, 30, 200, 100, 50, 0, 255, 0])
    palette.putdata(indices.ravel().tolist())
    palette.save(tmp_path / name)
    colours = np.array([[10, 20, 30], [200, 100, 50], [0, 255, 0]], float)[indices]
    signal = one(tmp_path / name, pixel_size=NM)
    scale = 257 if name == "a.tif" else 1  # TIFF keeps palettes in 16 bits
    found = as_drawn(signal) / scale
    np.testing.assert_allclose(found, rgb2gray(colours), atol=1.0)


def test_table_of_colours_of_imagej_is_for_display_only(tmp_path: Path) -> None:
    values = grey()
    table = np.linspace([0, 0, 0], [65535, 30000, 0], 256).T.astype("u2")
    tifffile.imwrite(
        tmp_path / "a.tif", values, imagej=True, photometric="palette", colormap=table,
        resolution=(1 / 0.5, 1 / 0.5), metadata={"unit": "nm"},
    )  # fmt: skip
    signal = one(tmp_path / "a.tif")
    np.testing.assert_array_equal(as_drawn(signal), values)


def test_black_as_the_largest_value_is_turned_round(tmp_path: Path) -> None:
    values = grey()
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    signal = one(tmp_path / "a.tif", pixel_size=NM)
    np.testing.assert_array_equal(as_drawn(signal), 255 - values)
    assert "turned round" in metadata(signal)["colours"]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_picture_of_one_bit_is_zeros_and_ones(tmp_path: Path, name: str) -> None:
    bits = grey() > 100
    Image.fromarray(bits).save(tmp_path / name)
    signal = one(tmp_path / name, pixel_size=NM)
    np.testing.assert_array_equal(as_drawn(signal), bits.astype("u1"))
    assert signal.dtype == np.uint8


def test_pages_of_one_size_are_a_stack(tmp_path: Path) -> None:
    values = grey("u2", (4, 5, 7))
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=True) as file:
        for page in values:
            file.write(page, contiguous=False, compression="zlib", metadata=None)
    signal = one(tmp_path / "a.tif", pixel_size=NM)
    assert signal.dims == ("frame", "y", "x")
    np.testing.assert_array_equal(signal.to_numpy()[:, ::-1], values)
    np.testing.assert_array_equal(signal["frame"], np.arange(4.0))


def test_pages_of_several_sizes_are_several_signals(tmp_path: Path) -> None:
    pages = [grey("u1", (5, 7)), grey("u1", (3, 4))]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in pages:
            file.write(page, metadata=None)
    first, second = read(tmp_path / "a.tif", pixel_size=NM)
    assert (first.name, second.name) == ("intensity", "intensity_2")
    np.testing.assert_array_equal(as_drawn(first), pages[0])
    np.testing.assert_array_equal(as_drawn(second), pages[1])


def test_small_copy_of_a_picture_is_left_out(tmp_path: Path) -> None:
    values = grey("u1", (8, 12))
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(values, metadata=None)
        file.write(values[::2, ::2], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(as_drawn(one(tmp_path / "a.tif", pixel_size=NM)), values)


def test_channels_are_told_apart_and_the_rest_is_a_stack(tmp_path: Path) -> None:
    values = grey("u2", (3, 2, 5, 7))
    tifffile.imwrite(
        tmp_path / "a.tif", values, imagej=True, resolution=(2.0, 2.0),
        metadata={"axes": "TCYX", "unit": "nm"},
    )  # fmt: skip
    signals = read(tmp_path / "a.tif")
    assert [signal.name for signal in signals] == ["intensity_channel_1", "intensity_channel_2"]
    for number, signal in enumerate(signals):
        assert metadata(signal)["channel"] == number
        np.testing.assert_array_equal(signal.to_numpy()[:, ::-1], values[:, number])


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_pages_are_read(tmp_path: Path, compression: str) -> None:
    pages = [Image.fromarray(grey("u2")) for _ in range(3)]
    path = tmp_path / "a.tif"
    pages[0].save(path, compression=compression, save_all=True, append_images=pages[1:])
    signal = one(path, pixel_size=NM)
    np.testing.assert_array_equal(
        signal.to_numpy()[:, ::-1], np.stack([np.asarray(page) for page in pages])
    )


def fei(width: float = 3e-10, height: float = 4e-10) -> bytes:
    return f"[User]\r\nDate=1\r\n[Scan]\r\nPixelWidth={width}\r\nPixelHeight={height}\r\n".encode()


ZEISS = b"AP_MAG\r\nMag = 50.00 K X\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 2.233 nm\r\n"
OME = {"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("ij.tif", {"imagej": True, "resolution": (1 / 2.5, 1 / 5), "metadata": {"unit": "nm"}},
         (2.5e-9, 5e-9)),
        ("um.tif", {"imagej": True, "resolution": (4.0, 4.0), "metadata": {"unit": "micron"}},
         (0.25e-6, 0.25e-6)),
        ("mu.tif", {"imagej": True, "resolution": (4.0, 4.0), "metadata": {"unit": "\\u00B5m"}},
         (0.25e-6, 0.25e-6)),
        ("a.ome.tif", {"metadata": OME}, (0.25e-6, 0.5e-6)),
        ("b.ome.tif", {"metadata": {**OME, "PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "Å"}},
         (0.25e-9, 0.5e-10)),
        ("fei.tif", {"extratags": [(34682, 2, None, fei(), True)]}, (3e-10, 4e-10)),
        ("sfeg.tif", {"extratags": [(34680, 2, None, fei(), True)]}, (3e-10, 4e-10)),
        ("zeiss.tif", {"extratags": [(34118, 2, None, ZEISS, True)]}, (2.233e-9, 2.233e-9)),
        ("gatan.tif", {"extratags": [
            (65003, 2, None, b"nm", True), (65004, 2, None, b"nm", True),
            (65009, 12, 1, 0.5, True), (65010, 12, 1, 0.75, True)]}, (0.5e-9, 0.75e-9)),
    ],
)  # fmt: skip
def test_size_of_a_pixel_comes_from_who_knows_it(
    tmp_path: Path, name: str, options: dict[str, Any], size: tuple[float, float]
) -> None:
    tifffile.imwrite(tmp_path / name, grey(), **options)
    signal = one(tmp_path / name)
    assert float(signal["x"][1]) == pytest.approx(size[0], rel=1e-4)
    assert float(signal["y"][1]) == pytest.approx(size[1], rel=1e-4)
    assert "pixel_size" not in metadata(signal)["pixel_size_from"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dpi.tif", {"resolution": (300, 300), "resolutionunit": "INCH"}),
        ("cm.tif", {"resolution": (1e6, 1e6), "resolutionunit": "CENTIMETER"}),
        ("inch.tif", {"imagej": True, "resolution": (72, 72), "metadata": {"unit": "inch"}}),
        ("none.tif", {"imagej": True, "resolution": (72, 72)}),
        ("zero.tif", {"extratags": [(34682, 2, None, fei(0.0), True)]}),
        ("bad.tif", {"extratags": [(34118, 2, None, b"AP_PIXEL_SIZE\r\nSize = ? nm", True)]}),
        ("bad.ome.tif", {"metadata": {**OME, "PhysicalSizeX": -1.0}}),
        ("volt.ome.tif", {"metadata": {**OME, "PhysicalSizeXUnit": "reference frame"}}),
    ],
)
def test_dots_of_a_printer_are_no_size(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / name, grey(), **options)
    with pytest.raises(NoPixelSize, match=r"pixel_size=1e-9.*--pixel-size"):
        read(tmp_path / name)
    assert float(one(tmp_path / name, pixel_size=3e-9)["x"][1]) == 3e-9


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif"])
def test_resolution_of_an_ordinary_picture_is_not_trusted(tmp_path: Path, name: str) -> None:
    Image.fromarray(grey()).save(tmp_path / name, dpi=(25400, 25400))
    with pytest.raises(NoPixelSize):
        read(tmp_path / name)


def known(path: Path, nanometres: float = 2.0) -> Path:
    told = {"resolution": (1 / nanometres, 1 / nanometres), "metadata": {"unit": "nm"}}
    tifffile.imwrite(path, grey(), imagej=True, **told)
    return path


@pytest.mark.parametrize("size", [2.0, 1.985, 2.015])
def test_size_told_beside_may_agree(tmp_path: Path, size: float) -> None:
    signal = one(known(tmp_path / "a.tif"), pixel_size=size * NM)
    assert float(signal["x"][1]) == pytest.approx(2 * NM, rel=1e-6)  # the file's own


@pytest.mark.parametrize("size", [1.97, 2.03, 2000.0])
def test_size_told_beside_must_not_contradict(tmp_path: Path, size: float) -> None:
    path = known(tmp_path / "a.tif")
    with pytest.raises(ReadError, match=r"`pixel_size`.*ImageJ.*leave `pixel_size` out") as caught:
        read(path, pixel_size=size * NM)
    assert not isinstance(caught.value, NoPixelSize)


@pytest.mark.parametrize("size", [0.0, -1e-9, np.nan, np.inf])
def test_what_is_no_length_is_refused(tmp_path: Path, size: float) -> None:
    Image.fromarray(grey()).save(tmp_path / "a.png")
    with pytest.raises(InvalidRequest, match="`pixel_size`"):
        read(tmp_path / "a.png", pixel_size=size)


def test_picture_of_park_is_not_taken_for_the_frame(tmp_path: Path) -> None:
    tags = [(50434, 1, 4, b"abcd", True)]
    tifffile.imwrite(tmp_path / "a.tiff", grey(shape=(5, 7, 3)), extratags=tags)
    with pytest.raises(ReadError, match=r"Park Systems.*\.gwy"):
        read(tmp_path / "a.tiff", pixel_size=NM)


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    values = grey()
    Image.fromarray(values).save(tmp_path / "a.png")
    for name in ("b.tif", "c.dat"):
        (tmp_path / "a.png").rename(tmp_path / name)
        np.testing.assert_array_equal(as_drawn(one(tmp_path / name, pixel_size=NM)), values)
        (tmp_path / name).rename(tmp_path / "a.png")


def test_text_that_pretends_to_be_a_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("1,2\n3,4\n", encoding="utf-8")
    with pytest.raises(ReadError, match=r"no picture.*PNG, JPEG, BMP or TIFF"):
        read_picture(tmp_path / "a.png", pixel_size=NM)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "stack.tif"])
def test_picture_cut_off_is_an_error_of_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "stack.tif":
        tifffile.imwrite(path, grey("u2", (5, 30, 40)), compression="zlib")
    else:
        Image.fromarray(grey("u1", (60, 80))).save(path)
    whole = path.read_bytes()
    for kept in (0.0, 0.01, 0.1, 0.5, 0.8):
        path.write_bytes(whole[: int(kept * len(whole))])
        with pytest.raises(ReadError) as caught:
            read(path, pixel_size=NM)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
