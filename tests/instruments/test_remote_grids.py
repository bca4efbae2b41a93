"""A grid of patterns whose line was cut: what arrived, and room for what did not."""

import numpy as np
import pytest
import xarray as xr

from nanopilot.core.geometry import own_axes
from nanopilot.core.requests import CameraRequest
from nanopilot.instruments.remote.assembly import assemble

GRID = CameraRequest(position=(1e-9, 0.0), shape=(3, 2), field_of_view=(2e-10, 4e-10))


def first_row() -> xr.Dataset:
    grid = GRID.grid
    assert grid is not None
    x, y = own_axes(grid)
    angle = ("rad", np.array([-1e-3, 0.0]))
    coords = {
        "y": ("y", y[:1], {"units": "m"}),
        "x": ("x", x, {"units": "m"}),
        "ky": ("ky", angle[1], {"units": angle[0]}),
        "kx": ("kx", angle[1], {"units": angle[0]}),
    }
    values = np.arange(8.0).reshape(1, 2, 2, 2)
    return xr.Dataset({"pattern": (("y", "x", "ky", "kx"), values)}, coords)


def test_places_that_were_not_reached_are_there_and_empty() -> None:
    whole = assemble(GRID, [first_row()])["pattern"]
    assert whole.shape == (3, 2, 2, 2)
    np.testing.assert_array_equal(whole[0], np.arange(8.0).reshape(2, 2, 2))
    assert np.isnan(whole[1:]).all()
    assert whole["y"].to_numpy() == pytest.approx([-2e-10, 0.0, 2e-10], abs=1e-18)
