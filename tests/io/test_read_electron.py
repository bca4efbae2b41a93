"""Files of electron microscopes, written by their layouts or by RosettaSciIO, against truth."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import MissingExtra, ReadError
from nanopilot.core.signals import check
from nanopilot.io.readers import NoPixelSize, electron, read
from tests.io.conftest import Channel, grid, write_nsid
from tests.io.vendor_files import write_dm3, write_mrc

pytest.importorskip("rsciio")


def values_of(*shape: int, dtype: str = "f4") -> np.ndarray:
    return (np.random.default_rng(2).random(shape) * 100).astype(dtype)


def axes_of(shape: tuple[int, ...], units: tuple[str, ...], outer: int = 0) -> list[dict[str, Any]]:
    names = ("a", "b", "y", "x")[-len(shape) :]
    return [
        {
            "name": name, "size": size, "scale": 0.5, "offset": 0.0, "units": unit,
            "navigate": number < outer, "index_in_array": number,
        }
        for number, (name, size, unit) in enumerate(zip(names, shape, units, strict=True))
    ]  # fmt: skip


def write_emd(path: Path, values: np.ndarray, units: tuple[str, ...], outer: int = 0) -> Path:
    from rsciio.emd import file_writer

    signal = {
        "data": values, "axes": axes_of(values.shape, units, outer), "original_metadata": {},
        "metadata": {"General": {"title": "HAADF"}, "Signal": {"signal_type": ""}},
        "attributes": {"_lazy": False}, "learning_results": {},
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file_writer(str(path), signal)
    return path


@pytest.mark.parametrize("dtype", ["f4", "u2"])
@pytest.mark.parametrize("shape", [(4, 6), (3, 4, 6)])
def test_digital_micrograph_stands_upright(
    tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    values = values_of(*shape, dtype=dtype)
    (one,) = read(write_dm3(tmp_path / "a.dm3", values, [0.5, 0.25, 1.0][: len(shape)], "nm"))
    check(one)
    assert (one.name, one.attrs["quantity"]) == ("haadf", "intensity")
    assert (one.dims, one.dtype) == (("frame", "y", "x")[-len(shape) :], values.dtype)
    np.testing.assert_array_equal(one.to_numpy()[..., ::-1, :], values)
    np.testing.assert_allclose(one["x"], 0.5e-9 * np.arange(6))
    np.testing.assert_allclose(one["y"], 0.25e-9 * np.arange(4))


def test_digital_micrograph_in_pixels_asks_for_the_size(tmp_path: Path) -> None:
    path = write_dm3(tmp_path / "a.dm3", values_of(4, 6), [1.0, 1.0], "")
    with pytest.raises(NoPixelSize):
        read(path)
    assert float(read(path, pixel_size=2e-11)[0]["x"][1]) == 2e-11


@pytest.mark.parametrize("unit", ["1/nm", "mrad", "eV"])
def test_pattern_is_no_frame(tmp_path: Path, unit: str) -> None:
    path = write_dm3(tmp_path / "a.dm3", values_of(4, 6), [0.5, 0.5], unit)
    with pytest.raises(ReadError, match=f"`HAADF`.*{unit}.*no length"):
        read(path, pixel_size=1e-9)


@pytest.mark.parametrize("dtype", ["f4", "i2", "u2", "i1"])
@pytest.mark.parametrize("shape", [(4, 6), (3, 4, 6)])
def test_mrc_has_its_first_row_at_the_bottom(
    tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    values = values_of(*shape, dtype=dtype)
    path = write_mrc(tmp_path / "a.mrc", values, pixel=2.5)
    (one,) = read(path)
    assert (one.name, one.dims) == ("intensity", ("frame", "y", "x")[-len(shape) :])
    np.testing.assert_array_equal(one.to_numpy(), values)
    np.testing.assert_allclose(one["x"], 2.5e-10 * np.arange(6), rtol=1e-6)
    (turned,) = read(path, first_row="top")
    np.testing.assert_array_equal(turned.to_numpy()[..., ::-1, :], values)


@pytest.mark.parametrize(("pixel", "cells"), [(0.0, True), (2.0, False)])
def test_mrc_with_a_zero_for_its_size_knows_none(tmp_path: Path, pixel: float, cells: bool) -> None:
    path = write_mrc(tmp_path / "a.mrc", values_of(4, 6), pixel, cells)
    with pytest.raises(NoPixelSize):
        read(path)
    assert float(read(path, pixel_size=3e-10)[0]["y"][1]) == 3e-10


@pytest.mark.parametrize("outer", [0, 1])
def test_emd_is_read(tmp_path: Path, outer: int) -> None:
    values = values_of(*(3, 4, 6)[1 - outer :])
    path = write_emd(tmp_path / "a.emd", values, ("s", "nm", "nm")[1 - outer :], outer)
    (one,) = read(path)
    assert one.dims == ("frame", "y", "x")[1 - outer :]
    np.testing.assert_array_equal(one.to_numpy()[..., ::-1, :], values)
    assert float(one["x"][1]) == pytest.approx(0.5e-9)
    with pytest.raises(ReadError, match="`pixel_size`"):
        read(path, pixel_size=1e-9)


@pytest.mark.parametrize(
    ("shape", "units"),
    [((2, 4, 6), ("eV", "nm", "nm")), ((2, 3, 4, 6), ("nm", "nm", "1/nm", "1/nm")),
     ((4, 6), ("1/nm", "1/nm"))],
)  # fmt: skip
def test_spectra_and_patterns_are_named_and_left(
    tmp_path: Path, shape: tuple[int, ...], units: tuple[str, ...]
) -> None:
    path = write_emd(tmp_path / "a.emd", values_of(*shape), units, len(shape) - 2)
    with pytest.raises(ReadError, match="holds no frame"):
        read(path, pixel_size=1e-9)


@pytest.mark.parametrize(("unit", "factor"), [("nm", 1e-9), ("µm", 1e-6), ("Å", 1e-10)])
def test_size_in_a_tiff_that_hyperspy_wrote_is_found(
    tmp_path: Path, unit: str, factor: float
) -> None:
    from rsciio.tiff import file_writer

    values = values_of(4, 6, dtype="u2")
    signal = {
        "data": values, "axes": axes_of(values.shape, (unit, unit)), "original_metadata": {},
        "metadata": {"General": {"title": ""}, "Signal": {}}, "attributes": {"_lazy": False},
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file_writer(str(tmp_path / "a.tif"), signal)
    (one,) = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(one.to_numpy()[::-1], values)
    assert float(one["x"][1]) == pytest.approx(0.5 * factor)


def test_large_file_is_read_bit_by_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(electron, "_LARGE", 0)
    values = values_of(3, 4, 6)
    paths = [
        write_dm3(tmp_path / "a.dm3", values, [0.5, 0.5, 1.0], "nm"),
        write_mrc(tmp_path / "a.mrc", values[:, ::-1], 5.0),
        write_emd(tmp_path / "a.emd", values, ("s", "nm", "nm"), 1),
    ]
    for path in paths:
        (one,) = read(path)
        np.testing.assert_array_equal(one.to_numpy()[:, ::-1], values)

    def no_lazy(file: str, *, lazy: bool) -> list[dict[str, Any]]:
        if lazy:
            raise ValueError("Lazy loading of colours is not supported.")
        return [{"data": file}]

    assert electron._load(no_lazy, paths[0]) == [{"data": str(paths[0])}]


def signal_of(values: np.ndarray, units: tuple[str, ...], outer: int, **about: Any) -> Any:
    found = {"data": values, "axes": axes_of(values.shape, units, outer), **about}
    return electron._channel(found)


@pytest.mark.parametrize(
    ("shape", "units", "outer", "kept"),
    [
        ((1, 4, 6), ("s", "nm", "nm"), 1, (4, 6)),
        ((1, 3, 4, 6), ("", "s", "nm", "nm"), 2, (3, 4, 6)),
        ((4, 6), ("nm", "nm"), 2, (4, 6)),  # a map, of which the library says that it is scanned
        ((3, 4, 6), ("nm", "nm", "nm"), 0, (3, 4, 6)),
    ],
)
def test_axes_find_their_place(
    shape: tuple[int, ...], units: tuple[str, ...], outer: int, kept: tuple[int, ...]
) -> None:
    values = values_of(*shape)
    channel = signal_of(values, units, outer)
    np.testing.assert_array_equal(channel.values, values.reshape(kept))
    assert (channel.pixel.x, channel.pixel.y) == (0.5e-9, 0.5e-9)


def test_axes_are_taken_in_the_order_of_the_array() -> None:
    values = values_of(4, 6)
    axes = axes_of(values.shape, ("nm", "um"))[::-1]
    channel = electron._channel({"data": values, "axes": axes})
    np.testing.assert_array_equal(channel.values, values)
    assert (channel.pixel.y, channel.pixel.x) == (0.5e-9, 0.5e-6)
    values = values_of(4, 6).T
    channel = electron._channel(
        {"data": values, "axes": [{**axis, "index_in_array": None} for axis in axes]}
    )
    assert (channel.pixel.y, channel.pixel.x) == (0.5e-6, 0.5e-9)


def test_counts_colours_and_complex_values() -> None:
    quantity = {"metadata": {"Signal": {"quantity": "Electrons (Counts)"}}}
    assert signal_of(values_of(4, 6), ("nm", "nm"), 0, **quantity).units == "counts"
    colours = np.zeros((4, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours["R"] = 100
    channel = signal_of(colours, ("nm", "nm"), 0)
    np.testing.assert_allclose(channel.values, 21.25)
    assert "luminance" in channel.about["colours"]
    assert "complex" in signal_of(values_of(4, 6).astype(complex), ("nm", "nm"), 0)
    assert signal_of(values_of(4, 6) > 50, ("nm", "nm"), 0).values.dtype == np.uint8


def test_suffixes_are_those_that_lead_here() -> None:
    from nanopilot.io import readers

    assert set(electron.SUFFIXES) == set(readers._ELECTRON)


@pytest.mark.parametrize("suffix", electron.SUFFIXES)
def test_what_is_of_another_kind_is_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    for content in (b"hello", b"\0" * 5000, b"\x89PNG\r\n\x1a\n" + b"\0" * 100):
        path.write_bytes(content)
        with pytest.raises(ReadError) as caught:
            read(path, pixel_size=1e-9)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("suffix", "said"), [("mrc", "MRC"), ("dm3", "DigitalMicrograph")])
def test_file_that_is_too_short_is_told_before_it_is_read(
    tmp_path: Path, suffix: str, said: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "mrc":
        write_mrc(path, values_of(4, 6), 1.0)
    else:
        write_dm3(path, values_of(4, 6), [1.0, 1.0], "nm")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ReadError, match=f"is no whole {said} file"):
        read(path)


def test_hdf5_of_others_under_these_names_is_told(tmp_path: Path) -> None:
    values = np.zeros((3, 4))
    path = write_nsid(tmp_path / "a.emd", [Channel("Height", values, grid(3, 4))])
    for name in ("b.emd", "b.hspy"):
        path = path.rename(tmp_path / name)
        with pytest.raises(ReadError):
            read(path)


def test_suffix_that_says_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(b"\1\2\3")
    with pytest.raises(ReadError, match=r"'\.dat'.*\.dm3"):
        read(tmp_path / "a.dat", format="electron")


@pytest.mark.parametrize("suffix", ["dm3", "mrc", "emd"])
@given(kept=st.floats(0, 0.95))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_file_cut_off_anywhere_is_told(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"whole.{suffix}"
    if not path.exists():
        values = values_of(40, 60)
        match suffix:
            case "dm3":
                write_dm3(path, values, [0.5, 0.5], "nm")
            case "mrc":
                write_mrc(path, values, 1.0)
            case _:
                write_emd(path, values, ("nm", "nm"))
    whole = path.read_bytes()
    cut = path.with_stem("cut")
    cut.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ReadError) as caught:
        read(cut)
    assert "\n" not in str(caught.value)


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_mrc(tmp_path / "a.mrc", values_of(4, 6), 1.0)
    monkeypatch.setitem(sys.modules, "rsciio", None)
    monkeypatch.setitem(sys.modules, "rsciio.mrc", None)
    with pytest.raises(MissingExtra, match=r"pip install 'nanopilot\[formats\]'"):
        read(path)


def test_library_under_the_gpl_is_not_imported_before_it_is_needed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 6)))
    code = (
        "import sys; from nanopilot.io.readers import electron, read; "
        f"read({str(tmp_path / 'a.npy')!r}, pixel_size=1e-9); "
        "print('rsciio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
