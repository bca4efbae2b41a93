"""A file is read by what it holds; what cannot be read is told in one line."""

from __future__ import annotations

import hashlib
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core import registry
from nanopilot.core.errors import ReadError, UnknownName
from nanopilot.core.signals import Signal, check, metadata
from nanopilot.io import readers
from nanopilot.io.readers import nsid
from tests.io.conftest import Channel, grid, write_nsid

DATA = Path(__file__).parents[3] / "shared" / "data" / "pfm"
REAL = sorted(DATA.glob("*.h5"))
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the reader even where the package itself was not installed."""
    known = {"nsid": nsid.read, "spm": lambda path, **options: [str(path), options]}
    monkeypatch.setattr(registry, "names", lambda kind: tuple(sorted(known)))

    def load(kind: str, name: str) -> object:
        if name not in known:
            raise UnknownName(kind, name, known)
        return known[name]

    monkeypatch.setattr(registry, "load", load)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    values = np.arange(12.0).reshape(3, 4)
    return write_nsid(tmp_path / "scan.h5", [Channel("Height", values, grid(3, 4))])


def hdf5(path: Path, **datasets: object) -> None:
    with h5py.File(path, "w") as content:
        for name, values in datasets.items():
            content[name] = values


def make_bad(folder: Path, kind: str) -> Path:
    path = folder / "bad.h5"
    match kind:
        case "folder":
            path.mkdir()
        case "empty file":
            path.write_bytes(b"")
        case "PNG image":
            path.write_bytes(PNG)
        case "text":
            path.write_bytes(b"x,y\n1,2\n")
        case "empty HDF5":
            hdf5(path)
        case "other HDF5":
            hdf5(path, image=np.zeros((3, 3)))
        case "truncated HDF5":
            values = np.zeros((30, 40))
            write_nsid(path, [Channel("Height", values, grid(30, 40))])
            path.write_bytes(path.read_bytes()[:-2000])
        case _:
            pass
    return path


@pytest.mark.parametrize("read", [readers.read, nsid.read], ids=["any", "nsid"])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("nothing", "does not exist"),
        ("folder", "is a folder"),
        ("empty file", "is empty"),
        ("PNG image", "a PNG image"),
        ("text", "no.* HDF5 file"),
        ("empty HDF5", "without an NSID data set"),
        ("other HDF5", "without an NSID data set"),
        ("truncated HDF5", "damaged or truncated"),
    ],
)
def test_bad_file_is_told_in_one_line(tmp_path: Path, read: object, kind: str, said: str) -> None:
    path = make_bad(tmp_path, kind)
    with pytest.raises(ReadError, match=said) as caught:
        read(path)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@given(kept=st.floats(0, 1, exclude_max=True))
@settings(max_examples=40, deadline=None)
def test_file_cut_off_anywhere_is_an_error_of_one_line(whole: bytes, kept: float) -> None:

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.h5")
        path.write_bytes(whole[: int(kept * len(whole))])
        with pytest.raises(ReadError) as caught:
            nsid.read(path)
        assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "scan.h5"
    return write_nsid(path, [Channel("Height", np.ones((3, 4)), grid(3, 4))]).read_bytes()


def test_file_is_known_by_its_content_under_any_name(scan: Path) -> None:
    other = scan.rename(scan.with_suffix(".dat"))
    (height,) = readers.read(other)
    assert height.name == "height"


def test_reader_is_found_by_the_suffix_or_named(tmp_path: Path, scan: Path) -> None:
    path = tmp_path / "scan.SPM"
    path.write_bytes(b"\x01\x02")
    assert readers.read(path, missing="keep") == [str(path), {"missing": "keep"}]
    assert readers.read(scan, format="spm") == [str(scan), {}]
    with pytest.raises(UnknownName, match="did you mean nsid"):
        readers.read(scan, format="nsdi")


def test_unknown_format_is_told_with_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "scan.xyz"
    path.write_bytes(PNG)
    with pytest.raises(ReadError, match=r"a PNG image.*readers: nsid, spm.*\.h5"):
        readers.read(path)


def described(signal: Signal) -> tuple[object, ...]:
    check(signal)
    return signal.name, signal.dims, signal.shape, signal.attrs["units"]


def test_shipped_recording_is_the_one_its_source_names() -> None:
    folder = files("nanopilot.twins") / "recordings"
    with as_file(folder / "beps-pto.h5") as path:
        (loops,) = readers.read(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert described(loops) == ("piezoresponse", ("y", "x", "bias"), (50, 50, 64), "a.u.")
    assert digest in (folder / "SOURCE.md").read_text(encoding="utf-8")
    assert "MIT" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert metadata(loops)["sha256"] == digest
    bias = loops["bias"].to_numpy()
    assert (bias[0], bias.max(), bias.min()) == (0.0, 8.5, -8.5)
    assert float(loops["x"][-1]) == 2e-6
    assert float(abs(loops).max()) > 1000 * float(abs(loops).median())  # spikes and all


@pytest.mark.skipif(not REAL, reason="the files of shared/data are not beside this checkout")
def test_real_files_are_read() -> None:
    images = [path for path in REAL if "BEPS" not in path.name]
    assert len(images) == 6
    for path in images:
        signals = nsid.read(path)
        names = ["height", "amplitude", "deflection", "phase"]
        assert [signal.name for signal in signals] == names
        for signal, units in zip(signals, ("m", "m", "m", "rad"), strict=True):
            assert described(signal) == (signal.name, ("y", "x"), (256, 256), units)
            assert metadata(signal)["direction"] == "retrace"
            assert len(metadata(signal)["repairs"]) == (2 if units == "rad" else 0)
            assert 0.9e-6 < float(signal["x"][-1]) < 5.1e-6
        with h5py.File(path) as content:
            stored = content["Measurement_000/Channel_3/Channel_3/Channel_3"][()]
        np.testing.assert_allclose(signals[3], np.deg2rad(stored.T), rtol=1e-6)
