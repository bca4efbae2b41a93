"""Signals come back as they were kept, or not at all."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nanopilot.core.errors import SignalError, StoreError, Tampered
from nanopilot.core.signals import SignalSet, make_signal
from nanopilot.io import SignalStore
from tests.io.conftest import spectrum
from tests.io.kept import BIAS, NUMBERS, axis, image, reopened


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


def test_item_without_outcome_is_simply_overwritten(store: SignalStore) -> None:
    store.create("spectra", spectrum(0), capacity=1)
    store.append("spectra", 0, spectrum(5))
    again = SignalStore(store.path, write=True, durability="process")
    again.create("spectra", spectrum(7), capacity=1)  # any of them will do
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
