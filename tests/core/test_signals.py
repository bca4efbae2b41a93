import numpy as np
import pytest
import xarray as xr

from nanopilot.core.errors import SignalError
from nanopilot.core.signals import Axis, check, make_signal, metadata, positions
from nanopilot.testing import film


def test_metadata_travels_as_json() -> None:
    axis = Axis(np.arange(3.0), "m", "position")
    signal = make_signal(
        np.zeros(3), {"x": axis}, quantity="height", units="m", metadata={"seed": 3, "a": [1]}
    )
    assert metadata(signal) == {"seed": 3, "a": [1]}


def test_shape_must_fit_the_axes() -> None:
    axis = Axis(np.arange(3.0), "m", "position")
    with pytest.raises(SignalError, match=r"shape \(4,\)"):
        make_signal(np.zeros(4), {"x": axis}, quantity="height", units="m")


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        (xr.DataArray(np.zeros(2), dims="row"), "row"),
        (xr.DataArray(np.zeros(2), dims="x"), "no coordinate"),
        (xr.DataArray(np.zeros(2), dims="x", coords={"x": [0.0, 1.0]}), "units"),
    ],
)
def test_array_that_is_no_signal_is_refused(signal: xr.DataArray, said: str) -> None:
    with pytest.raises(SignalError, match=said):
        check(signal)


def test_units_outside_si_are_refused() -> None:
    signal = film()
    signal["x"].attrs["units"] = "nm"
    with pytest.raises(SignalError, match="nm"):
        check(signal)


def test_positions_run_row_by_row() -> None:
    signal = film(rows=2, columns=3, pitch=1.0).isel(bias=0, drop=True)
    expected = [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]
    np.testing.assert_array_equal(positions(signal), expected)
