"""Signals cross the wire as they are, and bytes that are no signal are told apart."""

from contextlib import suppress

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nanopilot.core.errors import SignalError
from nanopilot.core.wire import pack, unpack

plain = st.sampled_from(["<f8", "<f4", ">f8", "<u2", "|u1", "<i8", "|b1"])
arrays = plain.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
)


def dataset(values: np.ndarray) -> xr.Dataset:
    dims = ("frame", "y", "x")[: values.ndim]
    time = ((), 1.5, {"units": "s"})
    return xr.Dataset({"height": (dims, values, {"units": "m"})}, {"time": time}, {"state": "{}"})


@given(arrays)
def test_what_comes_out_is_what_went_in(values: np.ndarray) -> None:
    sent = dataset(values)
    got = unpack(pack(sent))
    assert got.identical(sent)
    assert got["height"].dtype == values.dtype.newbyteorder("<")


def test_strided_and_read_only_arrays_are_sent_as_their_values() -> None:
    values = np.arange(24.0).reshape(4, 6)[::2, ::3].T
    values.flags.writeable = False
    assert unpack(pack(dataset(values))).identical(dataset(values))


def test_arrays_are_aligned_and_not_copied_on_arrival() -> None:
    packed = pack(dataset(np.arange(1000.0)))
    address = unpack(packed)["height"].to_numpy().__array_interface__["data"][0]
    start = np.frombuffer(packed, np.uint8).__array_interface__["data"][0]
    assert start < address < start + len(packed)
    assert (address - start) % 64 == 0


@given(st.integers(0, 400), st.integers(0, 255))
def test_damaged_header_is_an_error_and_nothing_else(at: int, value: int) -> None:
    packed = pack(dataset(np.arange(8.0)))
    packed[at % len(packed)] = value
    with suppress(SignalError):  # any other error fails the test
        unpack(packed)


@pytest.mark.parametrize("size", [0, 3, 7, 8, 40, 200])
def test_bytes_that_end_too_early_are_refused(size: int) -> None:
    with pytest.raises(SignalError, match="no measurement"):
        unpack(bytes(pack(dataset(np.arange(8.0))))[:size])


def test_objects_do_not_cross() -> None:
    with pytest.raises(SignalError, match="only numbers"):
        pack(xr.Dataset({"names": ("x", np.array(["a"], dtype=object))}))
