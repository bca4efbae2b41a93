"""Levelling gives the same surface whatever tilt, bow and offsets lie on it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import legval2d

from nanopilot.analysis.facets import FacetLevel
from nanopilot.analysis.levelling import Level, MatchLines, SubtractPlane, SubtractPolynomial
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, make_signal

Array = np.ndarray
SHAPE = (24, 32)
seeds = st.integers(0, 10_000)
slopes = st.floats(-5.0, 5.0)
OPERATORS = [
    SubtractPlane(),
    SubtractPolynomial(),
    MatchLines(),
    MatchLines("median"),
    Level(),
    Level(ground="facets"),
    FacetLevel(),
]


def frame(heights: Array) -> Signal:
    axes = {
        name: Axis(np.linspace(0, 1e-6, size), "m", "position")
        for name, size in zip(("y", "x"), heights.shape, strict=True)
    }
    return make_signal(heights, axes, quantity="height", units="m")


def noise(seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=SHAPE)


def bumps(shape: tuple[int, int] = (96, 96)) -> Array:
    y, x = np.indices(shape)
    heights = np.zeros(shape)
    for row, column in ((20, 20), (30, 70), (70, 30), (60, 66)):
        heights = np.maximum(heights, 10 - ((y - row) ** 2 + (x - column) ** 2) / 10)
    return heights


@given(seeds, slopes, slopes, slopes)
@settings(deadline=None, max_examples=25)
def test_result_does_not_depend_on_sample_tilt(seed: int, a: float, b: float, c: float) -> None:
    y, x = np.indices(SHAPE)
    heights = noise(seed)
    for level in (SubtractPlane(), SubtractPolynomial(1, 1), SubtractPolynomial(3, 2),
                  FacetLevel()):  # fmt: skip
        tilted = level(frame(heights + a * y + b * x + c)).to_numpy()
        np.testing.assert_allclose(tilted, level(frame(heights)).to_numpy(), atol=1e-6)


@given(seeds, st.integers(0, 4), st.integers(0, 4))
@settings(deadline=None, max_examples=25)
def test_polynomial_of_its_own_order_vanishes(seed: int, order_x: int, order_y: int) -> None:
    terms = np.random.default_rng(seed).normal(size=(order_y + 1, order_x + 1))
    j, i = np.indices(terms.shape)
    terms[i + j > max(order_x, order_y)] = 0
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    bowed = legval2d(y, x, terms)
    for exclude in (None, 3.0):
        level = SubtractPolynomial(order_x, order_y, exclude)(frame(bowed)).to_numpy()
        np.testing.assert_allclose(level, 0.0, atol=1e-9)


def test_particles_have_no_say_in_the_polynomial() -> None:
    heights = bumps()
    y, x = np.meshgrid(*(np.linspace(-1, 1, 96),) * 2, indexing="ij")
    ground = heights == 0
    seen = frame(heights + 3 * x - 2 * y + 4 * x * x)
    masked = SubtractPolynomial()(seen).to_numpy()
    everything = SubtractPolynomial(exclude=None)(seen).to_numpy()
    np.testing.assert_allclose(masked[ground], 0.0, atol=1e-9)
    np.testing.assert_allclose(masked, heights, atol=1e-9)
    assert np.abs(everything[ground]).max() > 0.5


@given(seeds, st.sampled_from(["differences", "median"]))
@settings(deadline=None, max_examples=25)
def test_result_does_not_depend_on_line_offsets(seed: int, method: str) -> None:
    rng = np.random.default_rng(seed)
    heights, offsets = noise(seed), rng.normal(size=(SHAPE[0], 1)) * 10
    match = MatchLines(method)  # type: ignore[arg-type]
    shifted = match(frame(heights + offsets)).to_numpy() - offsets.mean()
    np.testing.assert_allclose(shifted, match(frame(heights)).to_numpy(), atol=1e-8)


def test_steps_survive_the_matching_of_lines() -> None:
    y, x = np.indices((64, 64))
    heights = np.where(x + y // 3 > 40, 5.0, 0.0)
    offsets = np.random.default_rng(0).normal(size=(64, 1))
    matched = MatchLines()(frame(heights + offsets)).to_numpy()
    away = matched - heights
    np.testing.assert_allclose(away, away.mean(), atol=1e-9)
    by_median = MatchLines("median")(frame(heights + offsets)).to_numpy() - heights
    assert np.ptp(by_median) > 4


def test_offsets_are_found_within_their_noise() -> None:
    rng = np.random.default_rng(3)
    offsets = rng.normal(size=(128, 1))
    away = MatchLines()(frame(offsets + 0.1 * rng.normal(size=(128, 128)))).to_numpy()
    # A median of 128 differences is good to 1.25 * 0.1 * sqrt(2 / 128); they add up over lines.
    assert away.mean(axis=1).std() < 4 * 1.25 * 0.1 * np.sqrt(2 / 128)


def test_terraces_become_level_where_the_plane_follows_the_staircase() -> None:
    y, x = np.indices((96, 96))
    stairs = np.floor((x + 0.4 * y) / 24) * 2.0
    seen = frame(
        stairs + 0.05 * x - 0.02 * y + 0.01 * np.random.default_rng(0).normal(size=x.shape)
    )
    level = FacetLevel()(seen).to_numpy() - stairs
    plane = SubtractPlane()(seen).to_numpy() - stairs
    assert level.std() < 0.05
    assert plane.std() > 1.0


def test_bowed_frame_of_particles_with_offset_lines_is_recovered() -> None:
    rng = np.random.default_rng(5)
    heights = bumps((128, 128))
    y, x = np.meshgrid(*(np.linspace(-1, 1, 128),) * 2, indexing="ij")
    spoilt = heights + 5 * x + 20 * y + 6 * x * x + rng.normal(size=(128, 1))
    spoilt += 0.05 * rng.normal(size=heights.shape)
    rest = Level()(frame(spoilt)).to_numpy() - heights
    assert np.sqrt(np.mean(rest**2)) < 0.15
    assert SubtractPlane()(frame(spoilt)).to_numpy().std() > 1.5


@pytest.mark.parametrize("level", OPERATORS, ids=repr)
def test_nan_stays_nan_and_spoils_nothing_else(level: Level) -> None:
    heights = noise(1)
    heights[3] = np.nan
    heights[10, 4:9] = np.nan
    found = level(frame(heights)).to_numpy()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(heights))


@pytest.mark.parametrize("level", OPERATORS, ids=repr)
def test_input_is_left_alone_and_labels_stay(level: Level) -> None:
    seen = frame(noise(2))
    before = seen.copy(deep=True)
    found = level(seen)
    assert seen.identical(before)
    assert found.dims == ("y", "x")
    assert found.attrs == seen.attrs


@pytest.mark.parametrize("level", OPERATORS, ids=repr)
def test_axes_in_any_order_give_the_same_frame(level: Level) -> None:
    seen = frame(noise(4))
    np.testing.assert_array_equal(level(seen.transpose("x", "y")), level(seen))


@pytest.mark.parametrize("level", OPERATORS, ids=repr)
def test_frame_of_nothing_is_refused(level: Level) -> None:
    with pytest.raises(SignalError, match="no finite pixel"):
        level(frame(np.full(SHAPE, np.nan)))
    with pytest.raises(SignalError, match="must have"):
        level(frame(noise(0)).isel(y=0))


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(OutOfRange, match="`order_x` is 7"):
        SubtractPolynomial(7, 1)
    with pytest.raises(OutOfRange, match="`exclude`"):
        Level(exclude=float("nan"))
    with pytest.raises(OutOfRange, match="`window` is 4"):
        FacetLevel(window=4)
    with pytest.raises(OutOfRange, match="`ground`"):
        Level(ground="moon")  # type: ignore[arg-type]
    with pytest.raises(OutOfRange, match="`method`"):
        MatchLines("mean")  # type: ignore[arg-type]
    with pytest.raises(SignalError, match="at least 3 rows"):
        SubtractPolynomial(2, 2)(frame(np.zeros((2, 5))))


def test_kept_mean_is_that_of_the_frame() -> None:
    seen = frame(noise(6) + 7.0)
    kept = SubtractPlane(keep_mean=True)(seen)
    assert float(kept.mean()) == pytest.approx(float(seen.mean()))
