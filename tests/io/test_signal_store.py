"""Signals come back as they were kept, or not at all."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nanopilot.core.errors import DiskFull, SignalError, StoreError, Tampered
from nanopilot.core.events import SignalRef
from nanopilot.core.signals import Axis, SignalSet, make_signal
from nanopilot.io import SignalStore
from tests.io.conftest import spectrum

NUMBERS = ["u1", "i2", "<u4", ">i4", "f2", "f4", ">f8", "c8", "c16", "?"]
BIAS = xr.Variable("bias", np.array([0.0, 1.0]), {"units": "V", "quantity": "bias"})


@pytest.fixture
def store(tmp_path: Path) -> SignalStore:
    return SignalStore.make(tmp_path / "signals.zarr", "process")


def reopened(store: SignalStore) -> SignalStore:
    return SignalStore(store.path)


def axis(size: int) -> Axis:
    return Axis(np.arange(float(size)), "m", "position")


def image(seed: int = 0) -> SignalSet:
    rng = np.random.default_rng(seed)
    axes = {"y": axis(4), "x": axis(5)}
    height = make_signal(rng.normal(size=(4, 5)), axes, quantity="height", units="m")
    phase = make_signal(
        rng.normal(size=(4, 5)).astype("f4"), axes, quantity="phase", units="rad",
        metadata={"direction": "retrace"},
    )  # fmt: skip
    return xr.Dataset({"height": height, "phase": phase}, attrs={"scan": json.dumps({"n": 1})})


@given(data=st.data(), dims=st.sampled_from([(), ("x",), ("y", "x"), ("frame", "y", "x")]))
@settings(max_examples=60, deadline=None)
def test_every_kind_of_numbers_comes_back_to_the_bit(data: Any, dims: tuple[str, ...]) -> None:
    shape = tuple(data.draw(st.integers(0, 4)) for _ in dims)
    values = data.draw(hnp.arrays(np.dtype(data.draw(st.sampled_from(NUMBERS))), shape))
    axes = {dim: axis(size) for dim, size in zip(dims, shape, strict=True)}
    signals = make_signal(values, axes, quantity="current", units="A").to_dataset(name="current")
    with tempfile.TemporaryDirectory() as folder:
        store = SignalStore.make(Path(folder, "signals.zarr"), "process")
        refs = store.put("map", signals)
        back = reopened(store).get("map", refs=refs)
    xr.testing.assert_identical(back, signals)
    native = values.astype(values.dtype.newbyteorder("="))
    assert back["current"].to_numpy().tobytes() == native.tobytes()


def test_measurement_comes_back_with_all_that_gives_it_meaning(store: SignalStore) -> None:
    refs = store.put("structure", image())
    assert [(ref.array, ref.index) for ref in refs] == [
        ("structure/height", 0), ("structure/phase", 0),
    ]  # fmt: skip
    back = reopened(store).get("structure", refs=refs)
    xr.testing.assert_identical(back, image())
    assert list(back.data_vars) == ["height", "phase"]


def test_items_of_a_series_keep_their_own_numbers_and_attributes(store: SignalStore) -> None:
    store.create("spectra", spectrum(0), capacity=3)
    refs = [store.append("spectra", index, spectrum(index)) for index in (2, 0, 1)]
    for index, ref in zip((2, 0, 1), refs, strict=True):
        xr.testing.assert_identical(reopened(store).get("spectra", index, ref), spectrum(index))
    assert store.kept("spectra") == (0, 1, 2)
    assert store.names() == ("spectra",)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.0, 1e-300, 0.1 + 0.2])
def test_numbers_of_an_item_come_back_to_the_bit(store: SignalStore, value: float) -> None:
    about = {"units": "s", "quantity": "time"}
    signals = spectrum(0).assign_coords(time=((), value, about))
    store.create("spectra", spectrum(0), capacity=1)
    store.append("spectra", 0, signals)
    back = reopened(store).get("spectra", 0).coords["time"]
    assert back.to_numpy().tobytes() == np.float64(value).tobytes()
    assert back.attrs == about


def test_attribute_that_an_item_lacks_stays_away(store: SignalStore) -> None:
    bare = spectrum(1)
    del bare["piezoresponse"].attrs["request"]
    store.create("spectra", spectrum(0), capacity=2)
    store.append("spectra", 1, bare)
    xr.testing.assert_identical(reopened(store).get("spectra", 1), bare)


def test_series_grows_beyond_what_was_expected(store: SignalStore) -> None:
    store.create("spectra", spectrum(0), capacity=1)
    refs = {index: store.append("spectra", index, spectrum(index)) for index in (0, 1, 2, 9)}
    for index, ref in refs.items():
        xr.testing.assert_identical(reopened(store).get("spectra", index, ref), spectrum(index))
    assert zarr.open_group(store.path, mode="r")["spectra/piezoresponse"].shape[0] >= 10


def test_same_signals_have_the_same_hash_in_any_store(tmp_path: Path) -> None:
    def refs(name: str) -> object:
        store = SignalStore.make(tmp_path / name, "process")
        store.create("spectra", spectrum(0), capacity=len(name))
        return store.append("spectra", 3, spectrum(3))

    assert refs("a.zarr") == refs("other.zarr")


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


def test_item_without_outcome_is_simply_overwritten(store: SignalStore) -> None:
    store.create("spectra", spectrum(0), capacity=1)
    store.append("spectra", 0, spectrum(5))
    again = SignalStore(store.path, write=True, durability="process")
    again.create("spectra", spectrum(0), capacity=1)
    refs = again.append("spectra", 0, spectrum(0))
    xr.testing.assert_identical(again.get("spectra", 0, refs), spectrum(0))


def test_measurement_that_stands_alone_replaces_the_one_before(store: SignalStore) -> None:
    first = store.put("map", image(0))
    second = store.put("map", spectrum(0))
    xr.testing.assert_identical(store.get("map", refs=second), spectrum(0))
    with pytest.raises(Tampered):
        store.get("map", refs=first)


@pytest.mark.parametrize(
    ("unlike", "said"),
    [
        (spectrum(0, points=8), "float64"),
        (spectrum(0).astype("f4"), "float32"),
        (spectrum(0).rename(piezoresponse="current"), "current"),
        (spectrum(0).drop_vars("time"), "time"),
        (spectrum(0).assign_coords(bias=("bias", np.arange(16.0), BIAS.attrs)), "`bias` differs"),
        (image(), "height"),
    ],
)
def test_measurement_unlike_the_others_is_refused(
    store: SignalStore, unlike: SignalSet, said: str
) -> None:
    store.create("spectra", spectrum(0), capacity=1)
    with pytest.raises(SignalError, match=said):
        store.append("spectra", 0, unlike)
    with pytest.raises(StoreError, match="other measurements"):
        store.create("spectra", unlike, capacity=1)
    assert store.kept("spectra") == ()


def test_other_units_are_refused(store: SignalStore) -> None:
    other = spectrum(0)
    other["piezoresponse"].attrs["units"] = "m"
    store.create("spectra", spectrum(0), capacity=1)
    with pytest.raises(SignalError, match=r"units 'm'.*'a\.u\.'"):
        store.append("spectra", 0, other)


@pytest.mark.parametrize("name", ["", ".hidden", "_own", "a/b", "..", "a b"])
def test_name_that_is_no_folder_of_its_own_is_refused(store: SignalStore, name: str) -> None:
    with pytest.raises(StoreError, match="cannot name"):
        store.put(name, image())


@pytest.mark.parametrize("values", [np.array(["a", "b"]), np.array([1, 2], dtype="M8[s]")])
def test_what_is_no_number_is_refused(store: SignalStore, values: np.ndarray) -> None:
    texts = xr.Dataset({"log": ("bias", values, {"units": "1", "quantity": "log"})})
    with pytest.raises(SignalError, match="numbers"):
        store.put("log", texts.assign_coords(bias=BIAS))


def test_unknown_series_is_named_with_the_known_ones(store: SignalStore) -> None:
    store.put("structure", image())
    with pytest.raises(StoreError, match=r"`maps`.*known: structure"):
        store.get("maps")
    with pytest.raises(Tampered, match="item 1 is missing"):
        store.get("structure", 1)


def test_store_opened_to_read_cannot_be_written(store: SignalStore) -> None:
    store.put("structure", image())
    for write in (lambda s: s.put("a", image()), lambda s: s.append("structure", 0, image())):
        with pytest.raises(StoreError, match="write=True"):
            write(reopened(store))


def test_item_before_the_first_is_refused(store: SignalStore) -> None:
    store.create("spectra", spectrum(0), capacity=1)
    with pytest.raises(StoreError, match="-1"):
        store.append("spectra", -1, spectrum(0))


def test_lost_store_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        SignalStore(tmp_path / "none.zarr").get("map")


def test_others_read_the_same_numbers(store: SignalStore) -> None:
    """zarr-python and xarray know nothing of us: what they read is what Zarr v3 says."""
    stack = make_signal(
        np.random.default_rng(0).integers(0, 9, (3, 4, 5)).astype("u2"),
        {"frame": axis(3), "y": axis(4), "x": axis(5)}, quantity="counts", units="counts",
    )  # fmt: skip
    store.put("stack", stack.to_dataset(name="haadf"))
    store.create("spectra", spectrum(0), capacity=3)
    store.append("spectra", 1, spectrum(1))
    read = xr.open_zarr(store.path, group="stack", consolidated=False)
    np.testing.assert_array_equal(read["haadf"][0], stack)
    np.testing.assert_array_equal(read["y"], stack["y"])
    assert read["haadf"].attrs == stack.attrs
    array = zarr.open_group(store.path, mode="r")["spectra/piezoresponse"]
    np.testing.assert_array_equal(array[1], spectrum(1)["piezoresponse"])
    assert np.isnan(array[0]).all()
    assert array.metadata.dimension_names == ("_item", "bias")
    own = json.loads(str(zarr.open_group(store.path, mode="r")["spectra/_own"][1]))
    assert own["numbers"] == {"time": 0.5, "x": 1e-9}


def test_one_frame_is_one_chunk(store: SignalStore) -> None:
    stack = make_signal(
        np.zeros((3, 4, 5)), {"frame": axis(3), "y": axis(4), "x": axis(5)},
        quantity="height", units="m",
    )  # fmt: skip
    store.put("stack", stack.to_dataset(name="height"))
    chunks = sorted(file.name for file in (store.path / "stack" / "height").glob("c.*"))
    assert chunks == ["c.0.0.0.0", "c.0.1.0.0", "c.0.2.0.0"]


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
