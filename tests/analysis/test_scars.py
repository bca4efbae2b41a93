"""Strokes go, and nothing else changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis.scars import RemoveScars
from nanopilot.analysis.stroke_kernels import NEAR, best_runs
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, make_signal

Array = np.ndarray


def frame(heights: Array) -> Signal:
    axes = {
        name: Axis(np.linspace(0, 1e-6, size), "m", "position")
        for name, size in zip(("y", "x"), heights.shape, strict=True)
    }
    return make_signal(heights, axes, quantity="height", units="m")


def hills(seed: int, rough: float) -> Array:
    rng = np.random.default_rng(seed)
    y, x = np.indices((64, 80))
    heights = np.zeros(y.shape)
    for _ in range(8):
        row, column, width = rng.uniform(0, 64), rng.uniform(0, 80), rng.uniform(3, 12)
        heights += rng.normal() * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))
    return heights + rough * rng.normal(size=y.shape)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.01, 0.3]))
@settings(deadline=None, max_examples=40)
def test_frame_without_strokes_is_the_same_bit_by_bit(seed: int, rough: float) -> None:
    heights = hills(seed, rough)
    found = RemoveScars()(frame(heights))
    assert not found["replaced"].any()
    assert found.to_numpy().tobytes() == heights.tobytes()


def struck(seed: int, width: int, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a clean surface and where it is struck, by 2 up or down."""
    rng = np.random.default_rng(seed)
    clean = hills(seed, 0.02)
    row, column = int(rng.integers(4, 56)), int(rng.integers(0, 40))
    stroke = np.zeros(clean.shape, dtype=bool)
    stroke[row : row + width, column : column + 30] = True
    return clean, sign * stroke


@given(st.integers(0, 10_000), st.integers(1, 3), st.sampled_from([-1.0, 1.0]))
@settings(deadline=None, max_examples=40)
def test_stroke_is_found_and_bridged(seed: int, width: int, sign: float) -> None:
    clean, stroke = struck(seed, width, sign)
    found = RemoveScars()(frame(clean + 2.0 * stroke))
    replaced = found["replaced"].to_numpy()
    assert replaced[stroke != 0].all()
    np.testing.assert_array_equal(found.to_numpy()[~replaced], clean[~replaced])
    assert np.abs(found.to_numpy() - clean)[stroke != 0].max() < 0.5


def test_nothing_but_the_stroke_is_replaced_save_once_in_a_hundred_frames() -> None:
    exact = []
    for seed in range(100):
        clean, stroke = struck(seed, 1 + seed % 3, (-1.0) ** (seed // 3))
        replaced = RemoveScars()(frame(clean + 2.0 * stroke))["replaced"].to_numpy()
        exact.append(np.array_equal(replaced, stroke != 0))
    assert np.mean(exact) >= 0.99


@pytest.mark.parametrize("width", [1, 2])
def test_rest_of_a_struck_line_stays_where_the_stroke_shifts_its_median(width: int) -> None:
    clean, stroke = struck(223, width, -1.0)
    replaced = RemoveScars()(frame(clean + 2.0 * stroke))["replaced"].to_numpy()
    np.testing.assert_array_equal(replaced, stroke != 0)


def test_steps_and_offset_lines_are_no_strokes() -> None:
    y, x = np.indices((64, 64))
    heights = np.where(y > 30, 3.0, 0.0) + np.where(x + y > 70, 2.0, 0.0)
    heights += np.random.default_rng(0).normal(size=(64, 1))
    heights += 0.01 * np.random.default_rng(1).normal(size=heights.shape)
    assert not RemoveScars()(frame(heights))["replaced"].any()


def test_strokes_are_found_among_offset_lines() -> None:
    clean = hills(3, 0.01)
    offsets = np.random.default_rng(0).normal(size=(64, 1))
    spoilt = clean + offsets
    spoilt[20, 10:50] += 2.0
    found = RemoveScars()(frame(spoilt))
    assert found["replaced"].to_numpy()[20, 10:50].all()
    assert np.abs(found.to_numpy() - clean - offsets).max() < 0.5


def test_short_runs_stay() -> None:
    heights = hills(4, 0.01)
    heights[20, 10:14] += 2.0
    assert not RemoveScars()(frame(heights))["replaced"].any()
    assert RemoveScars(length=4)(frame(heights))["replaced"].to_numpy()[20, 10:14].all()


def test_a_second_pass_finds_nothing() -> None:
    heights = hills(5, 0.02)
    heights[20, 10:60] += 2.0
    heights[40:42, 5:30] -= 2.0
    once = RemoveScars()(frame(heights))
    assert not RemoveScars()(once)["replaced"].any()


def test_unmeasured_lines_are_no_strokes_and_stay() -> None:
    heights = hills(6, 0.02)
    heights[20] = np.nan
    found = RemoveScars()(frame(heights))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(heights))
    assert not found["replaced"].any()


def domes(seed: int) -> Array:
    """Return domes side by side with grooves between them, about as high as wide strokes are."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((96, 96))
    seeds = rng.uniform(0, 96, (2, 40))
    apart = np.hypot(y[..., None] - seeds[0], x[..., None] - seeds[1])
    heights = -(apart.min(axis=-1) ** 2) / 30.0
    return (heights - heights.mean()) / heights.std() + 0.02 * rng.normal(size=y.shape)


def test_strokes_of_one_height_are_found_on_domes() -> None:
    hit, false = [], []
    for seed in range(12):
        clean = domes(seed)
        stroke = np.zeros(clean.shape)
        stroke[20, 20:60] = 2.0
        stroke[60:62, 30:60] = -2.0
        replaced = RemoveScars().find(clean + stroke)
        hit.append(replaced[stroke != 0].mean())
        false.append(replaced[stroke == 0].sum())
        assert not RemoveScars().find(clean).any()
    assert np.mean(hit) > 0.95
    assert np.mean(false) < 10


def test_stroke_over_particles_is_found_from_end_to_end() -> None:
    hit = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        y, x = np.indices((80, 96))
        clean = rng.normal(0, 0.05, y.shape)
        for _ in range(24):  # half spheres as high as three strokes
            row, column = rng.uniform(0, 80), rng.uniform(0, 96)
            inside = 36 - (y - row) ** 2 - (x - column) ** 2
            clean = np.maximum(clean, np.where(inside > 0, np.sqrt(np.maximum(inside, 0)) / 2, -9))
        stroke = np.zeros(y.shape, dtype=bool)
        stroke[30:32, 30:70] = stroke[55:57, 20:52] = True
        found = RemoveScars().find(clean + stroke + rng.normal(0, 0.3, (80, 1)))
        hit.append(found[stroke].mean())
    assert np.mean(hit) > 0.97


@pytest.mark.parametrize("heights", [(2.0, -1.5), (2.0, 3.0), (-3.0, -1.5, -1.5), (2.0, -2.0, 2.0)])
def test_strokes_that_touch_are_all_found(heights: tuple[float, ...]) -> None:
    clean, stroke = hills(7, 0.02), np.zeros((64, 80))
    for line, height in enumerate(heights):
        stroke[30 + line, 20 : 50 + 5 * line] = height
    replaced = RemoveScars()(frame(clean + stroke))["replaced"].to_numpy()
    assert replaced[stroke != 0].mean() > 0.8
    assert replaced[stroke == 0].sum() < 10


def test_run_that_follows_the_surface_is_shifted_and_keeps_what_lines_beside_do_not_show() -> None:
    rng = np.random.default_rng(8)
    y, x = np.indices((64, 80))
    # Ripples along the line that change from line to line faster than a bridge can tell.
    clean = np.sin(0.5 * x + 0.7 * y) + 0.01 * rng.normal(size=y.shape)
    spoilt = clean.copy()
    spoilt[30:32, 20:60] += 5.0
    found = RemoveScars()(frame(spoilt))
    assert found["replaced"].to_numpy()[30:32, 20:60].all()
    assert np.abs(found.to_numpy() - clean)[30:32, 20:60].max() < 0.25


def test_flat_run_over_a_surface_is_bridged() -> None:
    y, x = np.indices((64, 80))
    clean = 3.0 * np.sin(0.2 * x) + 0.05 * y
    clean += 0.001 * np.random.default_rng(9).normal(size=y.shape)
    spoilt = clean.copy()
    spoilt[30, 20:60] = 9.0
    found = RemoveScars()(frame(spoilt))
    assert found["replaced"].to_numpy()[30, 20:60].all()
    assert np.abs(found.to_numpy() - clean).max() < 0.1


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_best_run_gains_most_of_all_segments_of_its_height(seed: int) -> None:
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(3, 24))
    level[1, 6:18] += rng.choice([-1, 1]) * 12.0
    level[0, rng.integers(24)] = np.nan
    gain, begin, end, height = best_runs(level, 1, 8, 1.5, 5.0)[1]
    assert gain > 0
    scale = max(1.5, abs(height) / 6)
    each = np.zeros(24)
    for side in (level[1] - level[0], level[1] - level[2]):
        lost = np.minimum(NEAR**2, (side / scale) ** 2)
        each += lost - np.minimum(NEAR**2, ((side - height) / scale) ** 2)
    # Pixels of which one side is not known have no say.
    each[np.isnan(each)] = 0.0
    sums = [each[a:b].sum() for a in range(24) for b in range(a + 1, 25)]
    assert gain == pytest.approx(max(sums))
    assert each[int(begin) : int(end)].sum() == pytest.approx(gain)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(OutOfRange, match="`length` is 0"):
        RemoveScars(length=0)
    with pytest.raises(OutOfRange, match="`threshold`"):
        RemoveScars(threshold=float("nan"))
    with pytest.raises(SignalError, match="at least 3 rows"):
        RemoveScars()(frame(np.zeros((2, 5))))
