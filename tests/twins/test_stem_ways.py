"""The way of the beam: every pixel once, in order, at its time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.core.geometry import path, places
from nanopilot.core.requests import ScanRequest
from nanopilot.twins.stem.motion import BeamPath, Wandering
from nanopilot.twins.stem.settings import Motion
from nanopilot.twins.stem.ways import blocks_of, dwell_of, frame_seconds

DWELL, WAIT = 1e-6, 5e-6


def frame(**changes: Any) -> ScanRequest:
    asked = {"centre": (0, 0), "field_of_view": (1e-8, 2e-8), "shape": (9, 7)} | changes
    return ScanRequest(**asked)


@given(
    st.integers(1, 60), st.integers(1, 60),
    st.sampled_from(["raster", "serpentine", "spiral", "lines", "points"]),
)  # fmt: skip
def test_every_pixel_is_visited_once_in_order(rows: int, columns: int, order: str) -> None:
    more: dict[str, Any] = {"order": order, "shape": (rows, columns)}
    if order == "lines":
        more["lines"] = tuple(range(0, rows, 2))
    if order == "points":
        more["points"] = tuple((1e-9 * n, -1e-9 * n) for n in range(rows))
    request = frame(**more)
    blocks = list(blocks_of(request, DWELL, WAIT))
    visited = np.concatenate([block.pixels for block in blocks])
    assert visited.tolist() == path(request).tolist()
    told = np.concatenate([block.told for block in blocks])
    np.testing.assert_array_equal(told, places(request)[visited])
    begins = np.concatenate([block.begins for block in blocks])
    assert (np.diff(begins) >= DWELL * 0.999).all()
    total = sum(block.seconds for block in blocks)
    assert total == pytest.approx(frame_seconds(request, DWELL, WAIT))
    assert begins[0] == pytest.approx(WAIT)
    assert begins[-1] + DWELL == pytest.approx(total)


def test_what_is_filled_adds_up_to_the_frame() -> None:
    for order in ("raster", "serpentine", "spiral"):
        seen = np.zeros(9, int)
        for block in blocks_of(frame(order=order), DWELL, WAIT):
            if block.filled is not None:
                seen[block.filled["y"]] += 1
        assert (seen == 1).all()


def test_a_frame_comes_in_several_blocks() -> None:
    assert len(list(blocks_of(frame(), DWELL, WAIT))) >= 3


def test_flying_back_is_along_the_line_and_only_of_a_raster() -> None:
    turned = frame(rotation=0.4)
    block = next(blocks_of(turned, DWELL, WAIT))
    np.testing.assert_allclose(block.flown, 1e-8 * np.array([np.cos(0.4), np.sin(0.4)]), rtol=1e-9)
    assert not next(blocks_of(frame(order="serpentine"), DWELL, WAIT)).flown.any()


def test_dwell_is_as_asked_or_of_the_line_rate_or_as_usual() -> None:
    assert dwell_of(frame(dwell_time=3e-6), 1e-6) == 3e-6
    assert dwell_of(frame(line_rate=1e3), 1e-6) == pytest.approx(1e-3 / 7)
    assert dwell_of(frame(), 1e-6) == 1e-6


def test_drift_moves_the_sample_under_the_beam() -> None:
    path_ = BeamPath(Motion(drift=(1e-9, -2e-9)))
    spots = path_.on_sample(np.zeros((2, 2)), np.array([0.0, 10.0]))
    expected = np.array([[0, 0], [-1e-8, 2e-8]])
    np.testing.assert_allclose(spots, expected, rtol=1e-9, atol=1e-20)


def test_a_stage_move_brings_the_place_that_is_subtracted() -> None:
    path_ = BeamPath(Motion())
    path_.move_stage((3e-6, -1e-6), 0.0)
    np.testing.assert_allclose(path_.on_sample(np.zeros((1, 2)), np.zeros(1)), [[-3e-6, 1e-6]])


def test_backlash_shows_after_a_turn_only() -> None:
    path_ = BeamPath(Motion(backlash=1e-8))
    path_.move_stage((1e-6, 0.0), 0.0)
    assert path_.stage(np.zeros(1))[0, 0] == pytest.approx(1e-6)
    path_.move_stage((0.0, 0.0), 0.0)
    assert path_.stage(np.zeros(1))[0, 0] == pytest.approx(1e-8)
    path_.move_stage((-1e-6, 0.0), 0.0)
    assert path_.stage(np.zeros(1))[0, 0] == pytest.approx(-1e-6 + 1e-8)
    path_.move_stage((0.0, 0.0), 0.0)
    assert path_.stage(np.zeros(1))[0, 0] == pytest.approx(-1e-8)


def test_the_stage_goes_on_after_it_has_stopped() -> None:
    path_ = BeamPath(Motion(stage_drift=0.1, stage_time=5.0))
    path_.move_stage((1e-6, 0.0), 2.0)
    at = path_.stage(np.array([2.0, 7.0, 1e3]))[:, 0]
    np.testing.assert_allclose(at, 1e-6 * (1 - 0.1 * np.exp([0.0, -1.0, -199.6])), rtol=1e-9)


def test_scale_and_shear_act_about_the_middle() -> None:
    path_ = BeamPath(Motion(scale=0.02, shear=0.01))
    centre = (5e-9, 1e-9)
    told = np.array([[5e-9, 1e-9], [6e-9, 1e-9], [5e-9, 2e-9]])
    found = path_.deflected(told, centre)
    np.testing.assert_allclose(found[0], centre)
    np.testing.assert_allclose(found[1], [5e-9 + 1.02e-9, 1e-9])
    np.testing.assert_allclose(found[2], [5e-9 + 0.01e-9, 2e-9])


def test_hum_is_a_sine_of_the_mains() -> None:
    path_ = BeamPath(Motion(mains=2e-11, mains_frequency=50.0))
    np.testing.assert_allclose(
        path_.hum(np.array([0, 5e-3, 15e-3])), [0, 2e-11, -2e-11], atol=1e-20
    )


def test_a_line_keeps_its_jitter_and_lines_differ() -> None:
    path_ = BeamPath(Motion(jitter=1e-11), seed=3)
    began = np.linspace(0, 4, 4000)
    drawn = path_.jitter(began)
    np.testing.assert_array_equal(drawn[7:9], path_.jitter(began[7:9]))
    assert drawn.std() == pytest.approx(1e-11, rel=0.05)
    assert abs(drawn.mean()) < 1e-12


def test_lag_after_flying_back_decays() -> None:
    path_ = BeamPath(Motion(flyback=1e-4, flyback_wait=2e-4))
    found = path_.behind(np.array([0.0, 1e-4]), 1e-8)
    np.testing.assert_allclose(found, 1e-8 * np.exp([-2.0, -3.0]))


def test_wandering_is_the_same_whoever_asks_and_when() -> None:
    times = np.linspace(0, 2000, 401)
    once = Wandering(1e-12, seed=5).at(times)
    other = Wandering(1e-12, seed=5)
    backwards = np.stack([other.at(np.array([t]))[0] for t in times[::-1]])[::-1]
    np.testing.assert_array_equal(once, backwards)
    assert (Wandering(1e-12, seed=6).at(times)[1:] != once[1:]).all()


def test_wandering_velocity_diffuses() -> None:
    seconds, strength = 100.0, 1e-12
    ends = [
        np.diff(Wandering(strength, seed=n).at(np.array([seconds, seconds + 0.1])), axis=0) / 0.1
        for n in range(400)
    ]
    assert np.std(ends) == pytest.approx(strength * np.sqrt(seconds), rel=0.06)
