"""Grids of patterns pass the guard like frames: their places are held, their dose is counted."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from nanopilot.core.capabilities import Camera
from nanopilot.core.errors import BudgetExceeded, OutOfRange, Unsupported
from nanopilot.core.geometry import places
from nanopilot.core.limits import Area, Budget, Limits, PlaceBudget
from nanopilot.instruments import Guard
from tests.instruments.watched import Twin
from tests.workflows.patterned import Patterned, grid

CELL = 1e-9


def test_grid_is_let_through_and_paid_for() -> None:
    twin = Patterned()
    scope = Guard(twin)
    camera = scope.capability(Camera)
    found = camera.start(grid()).result()
    assert dict(found["pattern"].sizes) == {"y": 5, "x": 7, "ky": 16, "kx": 16}
    assert scope.spent.electrons == pytest.approx(camera.estimate(grid()).electrons)
    assert scope.spent.electrons > 0
    assert scope.spent.seconds == pytest.approx(35e-3)


@pytest.mark.parametrize("edge", ["left", "right", "below", "above"])
def test_no_corner_of_a_grid_leaves_the_area(edge: str) -> None:
    ends = {"left": 0.7e-9, "right": 1.3e-9, "below": -2.2e-9, "above": -1.8e-9}
    fits = Limits(area=Area(x=(ends["left"], ends["right"]), y=(ends["below"], ends["above"])))
    assert Guard(Patterned(), limits=fits).capability(Camera).validate(grid()) == []
    ends[edge] += 1e-11 if edge in ("left", "below") else -1e-11
    small = Limits(area=Area(x=(ends["left"], ends["right"]), y=(ends["below"], ends["above"])))
    twin = Patterned()
    with pytest.raises(OutOfRange, match="`position` reaches"):
        Guard(twin, limits=small).capability(Camera).start(grid())
    assert twin.camera.taken == 0


def test_turned_grid_is_held_by_its_turned_corners() -> None:
    area = Limits(area=Area(x=(0.7e-9, 1.3e-9), y=(-2.2e-9, -1.8e-9)))
    camera = Guard(Patterned(), limits=area).capability(Camera)
    assert camera.validate(grid(rotation=math.pi)) == []
    assert [one.parameter for one in camera.validate(grid(rotation=0.3))] == ["position"]


def test_too_many_patterns_at_once_are_refused_before_the_instrument_is_asked() -> None:
    camera = Guard(Patterned()).capability(Camera)
    with pytest.raises(OutOfRange, match="`shape` asks for"):
        camera.start(grid(shape=(2**11, 2**10)))


@pytest.mark.parametrize("rotation", [0.0, 0.4])
def test_every_place_of_a_grid_is_given_its_own_dose(rotation: float) -> None:
    asked = grid(
        shape=(8, 9), field_of_view=(4.1e-9, 3.3e-9), position=(0.13e-9, 0.21e-9), rotation=rotation
    )
    assert asked.grid is not None
    scope = Guard(Patterned(), budget=Budget(place=PlaceBudget(cell=CELL)))
    scope.capability(Camera).start(asked).result()
    dose: Any = scope.dose_map()
    spots = places(asked.grid)
    expected = Counter((math.floor(x / CELL), math.floor(y / CELL)) for x, y in spots)
    each = scope.spent.electrons / len(spots) / CELL**2
    assert int((dose > 0).sum()) == len(expected)
    if rotation == 0.0:
        for (column, row), count in expected.items():
            cell = dose.sel(x=(column + 0.5) * CELL, y=(row + 0.5) * CELL, method="nearest")
            assert float(cell) == pytest.approx(count * each)
    assert float(dose.sum()) * CELL**2 == pytest.approx(scope.spent.electrons)


def test_no_place_of_a_grid_is_given_more_than_its_dose() -> None:
    free = Guard(Patterned(), budget=Budget(place=PlaceBudget(cell=CELL)))
    free.capability(Camera).start(grid()).result()
    most = float(np.max(free.dose_map().to_numpy()))
    scope = Guard(Patterned(), budget=Budget(place=PlaceBudget(cell=CELL, dose=1.5 * most)))
    camera = scope.capability(Camera)
    camera.start(grid()).result()
    with pytest.raises(BudgetExceeded, match="`dose` of one place"):
        camera.start(grid())
    camera.start(grid(position=(1e-9, 8e-9))).result()


def test_camera_without_grids_refuses_a_place() -> None:
    twin = Twin("beam")
    twin.put("Beam.blanked", 0.0)
    with pytest.raises(Unsupported, match="`position`"):
        Guard(twin).capability(Camera).start(grid(channels=()))
