"""Strokes go, and nothing else changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis.scars import RemoveScars
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


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(OutOfRange, match="`length` is 0"):
        RemoveScars(length=0)
    with pytest.raises(OutOfRange, match="`threshold`"):
        RemoveScars(threshold=float("nan"))
    with pytest.raises(SignalError, match="at least 3 rows"):
        RemoveScars()(frame(np.zeros((2, 5))))
