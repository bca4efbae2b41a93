"""Whatever stands in a file, a reader gives signals or one line that says what is wrong."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nanopilot.core import registry
from nanopilot.core.errors import InvalidRequest, ReadError
from nanopilot.core.signals import check
from nanopilot.io import readers
from nanopilot.io.readers import NoPixelSize, frames, read, source
from tests.io.conftest import Channel, grid, write_nsid
from tests.io.vendor_files import write_dm3, write_ibw, write_mrc, write_nid

SUFFIXES = [*readers._BY_SUFFIX, ".gwy", ".nid"]
#: How files of each kind begin, so that chance gets past the first look.
BEGINNINGS = [
    b"", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\4\0\0\0\4\x08\2\0\0\0",
    b"\xff\xd8\xff\xe0", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10\0\0\0",
    b"BM", b"\x93NUMPY\1\0", b"GWYP", b"GWYPGwyContainer\0\x20\0\0\0", b"\x89HDF\r\n\x1a\n",
    b"\5\0",
    b"[DataSet]\r\nGroupCount=1\r\n#!", b"\0\0\0\3\0\0\0\x10\0\0\0\1", b"II\x97\1",
    b"IMGBLO", b"AAMVHFSS", b"1 2 3\n", b"\xff\xfe", b"\0\0\0\4" + b"\0" * 7 + b"\x10\0\0\0\1",
]  # fmt: skip


def told(path: Path) -> str:
    """Return what the reader says of a file it refuses; signals it gives are looked at."""
    try:
        for one in read(path, pixel_size=1e-9):
            check(one)
    except ReadError as refusal:
        return str(refusal)
    return str(path)


@given(
    suffix=st.sampled_from(SUFFIXES),
    beginning=st.sampled_from(BEGINNINGS),
    rest=st.binary(max_size=1500),
)
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_under_any_suffix_are_read_or_told(
    tmp_path: Path, suffix: str, beginning: bytes, rest: bytes
) -> None:
    pytest.importorskip("rsciio")
    path = tmp_path / f"stranger{suffix}"
    path.write_bytes(beginning + rest)
    said = told(path)
    assert "\n" not in said
    assert str(path) in said


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_file_folder_and_nothing_are_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with pytest.raises(ReadError, match="does not exist"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(ReadError, match="is empty"):
        read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ReadError, match="is a folder"):
        read(path)


def write_sound(path: Path) -> None:
    """Write a small file without a fault."""
    values = np.arange(60, dtype="u2").reshape(6, 10)
    match path.suffix:
        case ".ibw":
            write_ibw(path, np.ones((5, 3, 2), "f4"), ["HeightTrace", "PhaseTrace"])
        case ".nid":
            write_nid(path, [("Scan forward", np.ones((3, 4), "i2"), {})])
        case ".dm3":
            write_dm3(path, values, [1.0, 1.0], "nm")
        case ".mrc":
            write_mrc(path, values, 10.0)
        case ".tif":
            tifffile.imwrite(path, values, imagej=True, resolution=(1, 1), metadata={"unit": "nm"})
        case ".png":
            Image.fromarray(values).save(path)
        case _:
            np.save(path, values)


@pytest.mark.parametrize("suffix", [".ibw", ".nid", ".dm3", ".mrc", ".tif", ".png", ".npy"])
@given(place=st.integers(0, 2000), value=st.integers(0, 255))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_one_wrong_byte_is_read_or_told(
    tmp_path: Path, suffix: str, place: int, value: int
) -> None:
    pytest.importorskip("rsciio")
    path = tmp_path / f"a{suffix}"
    write_sound(path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    path.write_bytes(content)
    assert "\n" not in told(path)


def test_every_reader_of_the_package_is_registered_and_says_what_it_takes() -> None:
    assert {"electron", "gwy", "igor", "nid", "nsid", "picture", "table"} <= set(
        registry.names("readers")
    )
    assert set(readers._BY_SUFFIX.values()) <= set(registry.names("readers"))


def test_file_that_knows_its_positions_is_compared_too(tmp_path: Path) -> None:
    path = write_nsid(tmp_path / "a.h5", [Channel("Height", np.zeros((5, 9)), grid(5, 9))])
    assert read(path, pixel_size=0.251e-6)[0].name == "height"
    with pytest.raises(ReadError, match=r"`pixel_size` is 3e-07 m.*'height'.*2.5e-07"):
        read(path, pixel_size=0.3e-6)


def test_missing_values_are_refused_where_that_is_asked_for(tmp_path: Path) -> None:
    values = np.zeros((5, 6))
    values[2, 3:] = np.nan
    np.save(tmp_path / "a.npy", values)
    for options in ({}, {"missing": "keep"}):
        (kept,) = read(tmp_path / "a.npy", pixel_size=1e-9, **options)
        np.testing.assert_array_equal(kept.to_numpy(), values)
    with pytest.raises(ReadError, match=r"3 of 30 values.*--missing keep"):
        read(tmp_path / "a.npy", pixel_size=1e-9, missing="refuse")
    np.save(tmp_path / "b.npy", np.zeros((5, 6), int))
    assert len(read(tmp_path / "b.npy", pixel_size=1e-9, missing="refuse")) == 1


def test_option_that_the_reader_does_not_have_is_told(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.tif")
    assert len(read(tmp_path / "a.tif", units={})) == 1
    for options in ({"units": {"intensity": "V"}}, {"rows": 3}):
        with pytest.raises(InvalidRequest, match=r"no option.*'picture'.*pixel_size, first_row"):
            read(tmp_path / "a.tif", **options)


def test_no_pixel_size_can_be_told_apart(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 6)))
    with pytest.raises(NoPixelSize) as caught:
        read(tmp_path / "a.npy")
    assert isinstance(caught.value, ReadError)
    assert isinstance(caught.value, OSError)


def test_suffix_of_another_kind_is_not_believed_against_the_content(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 6)))
    (tmp_path / "a.npy").rename(tmp_path / "a.measurement")
    assert read(tmp_path / "a.measurement", pixel_size=1e-9)[0].shape == (5, 6)
    for suffix in (".ibw", ".gwy", ".nid", ".png"):
        path = (tmp_path / "a.measurement").rename(tmp_path / f"a{suffix}")
        with pytest.raises(ReadError, match="a NumPy array"):
            read(path, pixel_size=1e-9)
        path.rename(tmp_path / "a.measurement")


def test_what_a_library_raises_becomes_one_line(tmp_path: Path) -> None:
    def raising(error: BaseException) -> None:
        with frames.guarded(tmp_path, "thing"):
            raise error

    with pytest.raises(ReadError, match=r"cannot be read as a thing \(a b\)"):
        raising(OSError("a\nb"))
    with pytest.raises(ReadError, match=r"\(RecursionError\)"):
        raising(RecursionError())
    with pytest.raises(KeyboardInterrupt):
        raising(KeyboardInterrupt())


def test_what_a_library_left_open_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("text", encoding="utf-8")
    left: list[weakref.ref[object]] = []

    def library() -> None:
        handle = path.open("rb")
        left.append(weakref.ref(handle))
        raise ValueError("no such thing")

    with pytest.raises(ReadError) as caught, frames.guarded(path, "thing"):
        library()
    assert isinstance(caught.value.__cause__, ValueError)
    assert left[0]() is None


def test_larger_tiff_and_gwyddion_are_known_by_their_beginning(tmp_path: Path) -> None:
    for content, what in (
        (b"II+\0", source.TIFF),
        (b"MM\0+", source.TIFF),
        (b"GWYP", source.GWYDDION),
    ):
        (tmp_path / "a").write_bytes(content)
        assert source.content_of(tmp_path / "a") == what
