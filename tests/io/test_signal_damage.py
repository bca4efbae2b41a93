"""What is damaged, altered or cannot be written is told, and by its name."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import DiskFull, StoreError, Tampered
from nanopilot.core.events import SignalRef
from nanopilot.core.signals import SignalSet, make_signal
from nanopilot.io import SignalStore
from tests.io.conftest import spectrum
from tests.io.kept import axis, image, reopened


def other_units(signals: SignalSet) -> None:
    signals["piezoresponse"].attrs["units"] = "m"


def other_axis(signals: SignalSet) -> None:
    signals["bias"] = ("bias", signals["bias"].to_numpy() * 2, signals["bias"].attrs)


def other_request(signals: SignalSet) -> None:
    signals["piezoresponse"].attrs["request"] = "{}"


def other_place(signals: SignalSet) -> None:
    signals["x"] = ((), 5e-9, signals["x"].attrs)


@pytest.mark.parametrize("change", [other_units, other_axis, other_request, other_place])
def test_same_values_with_another_meaning_have_another_hash(
    store: SignalStore, change: Callable[[SignalSet], None]
) -> None:
    """Somebody who rewrites a whole series, so that it agrees with itself, is found out."""
    refs = store.put("loop", spectrum(0))
    changed = spectrum(0)
    change(changed)
    store.put("loop", changed)
    assert store.get("loop").identical(changed)
    with pytest.raises(Tampered, match="not what the journal says"):
        store.get("loop", refs=refs)


@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255), own=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_flipped_byte_of_a_chunk_is_named(
    one_spectrum: Path, place: float, change: int, own: bool
) -> None:
    store = SignalStore(one_spectrum)
    key = "_own" if own else "piezoresponse"
    file = one_spectrum / "spectra" / key / ("c.0" if own else "c.0.0")
    good = file.read_bytes()
    data = bytearray(good)
    data[int(place * len(data))] ^= change
    file.write_bytes(data)
    try:
        with pytest.raises(Tampered, match=f"`spectra/{key}"):
            store.get("spectra", 0)
    finally:
        file.write_bytes(good)


@pytest.fixture(scope="module")
def one_spectrum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = SignalStore.make(tmp_path_factory.mktemp("store") / "signals.zarr", "process")
    store.create("spectra", spectrum(0), capacity=1)
    store.append("spectra", 0, spectrum(0))
    return store.path


@pytest.mark.parametrize("length", [0, 3, 20, -1])
def test_shortened_chunk_is_named(store: SignalStore, length: int) -> None:
    store.put("structure", image())
    file = store.path / "structure" / "height" / "c.0.0.0"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(Tampered, match="`structure/height"):
        reopened(store).get("structure")


def test_chunk_exchanged_for_a_good_one_does_not_fit_the_journal(store: SignalStore) -> None:
    store.create("spectra", spectrum(0), capacity=2)
    refs = [store.append("spectra", index, spectrum(index)) for index in range(2)]
    folder = store.path / "spectra" / "piezoresponse"
    (folder / "c.0.0").write_bytes((folder / "c.1.0").read_bytes())
    with pytest.raises(Tampered, match="item 0 is not what the journal says"):
        store.get("spectra", 0, refs[0])
    assert store.digest(refs[0][0]) != refs[0][0].sha256
    assert store.digest(refs[1][0]) == refs[1][0].sha256


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("piezoresponse/zarr.json", "a.u.", "m"),
        ("piezoresponse/zarr.json", "lz4", "zstd"),
        ("piezoresponse/zarr.json", "float64", "int64"),
        ("bias/zarr.json", '"V"', '"eV"'),
        ("zarr.json", '"s"', '"m"'),
        ("zarr.json", "quantity", "quality"),
        ("zarr.json", "{", "["),
        ("_own/zarr.json", "string", "strong"),
    ],
)
def test_altered_meaning_is_found_and_named(
    store: SignalStore, file: str, old: str, new: str
) -> None:
    store.create("spectra", spectrum(0), capacity=1)
    store.append("spectra", 0, spectrum(0))
    place = store.path / "spectra" / file
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new))
    with pytest.raises(Tampered, match=f"`spectra/{file}` was altered"):
        reopened(store).get("spectra", 0)


def test_metadata_written_again_in_another_layout_mean_the_same(store: SignalStore) -> None:
    refs = store.put("structure", image())
    for place in (store.path / "structure").glob("*/zarr.json"):
        place.write_text(json.dumps(json.loads(place.read_text()), sort_keys=True))
    xr.testing.assert_identical(reopened(store).get("structure", refs=refs), image())


def test_altered_coordinate_is_found(store: SignalStore) -> None:
    from nanopilot.io.chunks import encode

    refs = store.put("structure", image())
    (store.path / "structure" / "x" / "c.0").write_bytes(encode(np.arange(5.0) * 2))
    with pytest.raises(Tampered, match=r"`structure/x/c\.0`"):
        reopened(store).get("structure", refs=refs)


def test_full_disk_stops_the_run_and_leaves_the_series_good(
    store: SignalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("spectra", spectrum(0), capacity=1)
    refs = store.append("spectra", 0, spectrum(0))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        with pytest.raises(DiskFull, match=r"item 1 of `spectra`.*resume"):
            store.append("spectra", 1, spectrum(1))
        with pytest.raises(DiskFull, match="resume"):
            store.append("spectra", 0, spectrum(1))
    xr.testing.assert_identical(store.get("spectra", 0, refs), spectrum(0))
    store.append("spectra", 1, spectrum(1))
    xr.testing.assert_identical(store.get("spectra", 1), spectrum(1))


def test_other_trouble_with_the_disk_is_told_in_one_line(
    store: SignalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.write", broken)
    store.create("spectra", spectrum(0), capacity=1)
    with pytest.raises(StoreError, match="Input/output error") as caught:
        store.append("spectra", 0, spectrum(0))
    assert not isinstance(caught.value, DiskFull)


def test_full_disk_for_real(small_disk: Path) -> None:
    store = SignalStore.make(small_disk / "signals.zarr")
    noise = np.random.default_rng(0).normal(size=(64, 64))
    frame = make_signal(noise, {"y": axis(64), "x": axis(64)}, quantity="height", units="m")
    signals = frame.to_dataset(name="height")
    store.create("frames", signals, capacity=4)
    refs: list[tuple[SignalRef, ...]] = []

    def append_for_ever() -> None:
        while len(refs) < 1000:
            refs.append(store.append("frames", len(refs), signals))

    with pytest.raises(DiskFull, match="resume"):
        append_for_ever()
    assert len(refs) > 10
    for index, ref in enumerate(refs):
        assert store.get("frames", index, ref).identical(signals)
