"""Windows about columns stay within the frame, however far outside a column lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis.atoms.likelihood import gains, gathered, listed
from nanopilot.analysis.atoms.stamps import window


@settings(deadline=None)  # the first call compiles
@given(st.floats(-1e4, 1e4), st.integers(0, 60), st.integers(1, 300))
def test_a_window_is_the_part_of_the_frame_within_reach(
    centre: float, reach: int, size: int
) -> None:
    low, high = window(centre, reach, size)
    middle = int(np.floor(centre + 0.5))
    within = [place for place in range(size) if abs(place - middle) <= reach]
    assert 0 <= low <= high <= size
    assert list(range(low, high)) == within


@settings(deadline=None)  # the first call compiles
@given(st.sampled_from([-7, -6, -5, 5, 6, 7]), st.booleans())
def test_a_column_outside_the_frame_writes_nothing_there(away: int, across: bool) -> None:
    reach, size = 5, 12
    place = float(away if away < 0 else size - 1 + away)
    own = np.array([6.0, place, 50.0, 3.0] if across else [place, 6.0, 50.0, 3.0])
    image, model = np.full((size, size), 3.0), np.zeros((size, size))
    inverse, setting = np.array([0.25, 0.0, 0.25]), (reach, 1.0, 0.0, 0.1)
    side = 2 * reach + 1
    # What lies before the scratch space is told from it by its value.
    around = np.full((side + 3, side), 7.25)
    space = around[1 : side + 2]
    found = listed(image, model, own, inverse, setting, space, np.empty((5, side * side)))
    gathered(image, model, own, inverse, setting, space, np.empty((5, 4)))
    assert (around[0] == 7.25).all()
    assert (found > 0) == (abs(away) <= reach)


@pytest.mark.parametrize("place", [-40.0, -7.0, -6.0, 30.0])
def test_nothing_speaks_for_a_column_that_is_not_in_the_frame(place: float) -> None:
    rng = np.random.default_rng(0)
    image, model = rng.poisson(5.0, (24, 24)).astype(float), np.zeros((24, 24))
    table = np.array([[place, 12.0, 30.0, 5.0], [12.0, 12.0, 1e-9, 5.0]])
    found, tilts = gains(image, table, model, np.array([0.2, 0.0, 0.2]), (5, 1.0, 0.0, 0.1))
    assert found[0] == tilts[0] == 0.0
    assert np.isfinite(found).all()
    assert np.isfinite(tilts).all()
