"""What contradicts a second end is what its definition says, and true ends are not contradicted."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.tip import TipShape, second
from nanopilot.models.tip_imaging import dilate

NM = 1e-9


def bumps(seed: int, pixels: int = 188, count: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    height = np.zeros((pixels, pixels))
    row, column = rng.integers(0, pixels, (2, count))
    height[row, column] = rng.uniform(0.4, 1.0, count)
    smooth = gaussian_filter(height, 1.2)
    return 30 * NM * smooth / smooth.max()


def scanned(surface: np.ndarray, tip: TipShape) -> np.ndarray:
    return dilate(surface, tip.raster(NM, 30, 30 * NM))[30:-30, 30:-30]


TWO = TipShape(1.5 * NM, offset=(13 * NM, -7 * NM), height=6 * NM)


def slow(image: np.ndarray, d: tuple[int, int], h: float, slack: float) -> float:
    """What two points {0: 0, d: h} miss at the least, as it is defined."""
    rows, columns = image.shape
    up, right = abs(d[0]), abs(d[1])
    missed = []
    for i in range(up, rows - up):
        for j in range(right, columns - right):
            first = image[i, j] - h - image[i - d[0], j - d[1]]
            second = image[i, j] + h - image[i + d[0], j + d[1]]
            missed.append(max(min(first, second) - slack, 0.0))
    return float(np.mean(missed))


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 99),
    d=st.tuples(st.integers(-6, 6), st.integers(-2, 2)),
    k=st.integers(0, 50),
    slack=st.floats(0.0, 0.05),
)
def test_contradictions_are_those_of_the_definition(
    seed: int, d: tuple[int, int], k: int, slack: float
) -> None:
    # On multiples of the step of height nothing is lost between bins.
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.uniform(size=(24, 22)), 1.0)
    image = (image - image.min()) / np.ptp(image)
    found = second.contradictions(image, 6, 50, slack)[d[0] + 6, d[1] + 6, k]
    if math.hypot(*d) > 6.5:
        assert found == 0
        return
    # Corners between two bins are cut off by less than a bin.
    assert found == pytest.approx(slow(image, d, k / 50, slack), abs=0.02 * 0.5)
    exact = np.round(image * 25) / 25
    found = second.contradictions(exact, 6, 50, 0.0)[d[0] + 6, d[1] + 6, k]
    assert found == pytest.approx(slow(exact, d, k / 50, 0.0), abs=1e-9)


def test_the_true_second_end_suits_better_than_all_others() -> None:
    image = scanned(bumps(5), TWO)
    found = second.second_ends(image)
    both = found.gain()[2]
    row, column, h = np.unravel_index(int(np.argmax(both)), both.shape)
    assert (row - second.REACH, column - second.REACH) == (-7, 13)
    relief = float(np.ptp(image))
    assert h / second.BINS * relief == pytest.approx(6 * NM, abs=0.04 * relief)
    # On the other side it does not suit at all.
    assert both[2 * second.REACH - row, 2 * second.REACH - column].max() <= 1e-9


def test_a_period_of_a_lattice_is_no_second_end() -> None:
    y, x = np.mgrid[:128, :128]
    lattice = np.cos(2 * np.pi * x / 12) * np.cos(2 * np.pi * y / 12)
    usual, other, both = second.second_ends(lattice).gain()
    there = (second.REACH, second.REACH + 12, 0)
    assert usual[there] > 1
    assert other[there] == pytest.approx(0.0, abs=1e-9)
    assert both.max() < 0.3


def test_gains_know_no_offset_and_no_unit_and_turn_with_the_scan() -> None:
    image = scanned(bumps(2), TWO)
    gain = second.likeliest(second.second_ends(image))[1]
    other = second.likeliest(second.second_ends(3e9 * image + 7))[1]
    np.testing.assert_allclose(other, gain, atol=1e-4)
    turned = second.second_ends(np.ascontiguousarray(np.rot90(image)))
    np.testing.assert_allclose(second.likeliest(turned)[1], np.rot90(gain), atol=1e-4)


def test_two_judges_who_agree_are_surer_and_softened_less_sure() -> None:
    assert second.together(0.0, 0.5, 1.0) == 0.5
    assert second.together(2.0, 0.5, 1.0) == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert second.together(2.0, 0.9, 1.0) > second.together(2.0, 0.5, 1.0)
    assert second.together(2.0, 0.9, 2.0) < second.together(2.0, 0.9, 1.0)
    assert second.together(0.0, 1.0, 1.0) == pytest.approx(0.9999)


def test_a_flat_scan_tells_of_no_second_end() -> None:
    found = second.second_ends(np.zeros((64, 64)))
    assert found.gain()[2].max() <= 0
