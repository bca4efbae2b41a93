"""Offsets of lines are taken off, and what hills do to the middle of a line is not."""

import numpy as np
import pytest
import scipy.fft

from nanopilot.analysis.levelling import Level, MatchLines, SubtractPolynomial
from nanopilot.analysis.line_offsets import line_offsets, masked_medians
from nanopilot.analysis.shared_offsets import PARTS, Estimate, shared_offsets
from nanopilot.core.signals import Axis, Signal, make_signal

Array = np.ndarray


def frame(heights: Array) -> Signal:
    axes = {
        name: Axis(np.linspace(0, 1e-6, size), "m", "position")
        for name, size in zip(("y", "x"), heights.shape, strict=True)
    }
    return make_signal(heights, axes, quantity="height", units="m")


def rough(seed: int, size: int = 96) -> Array:
    """Return a random surface whose waves shorter than a quarter of it fade away, std 1."""
    rng = np.random.default_rng(seed)
    ky, kx = np.fft.fftfreq(size)[:, None] * size, np.fft.rfftfreq(size)[None] * size
    waves = scipy.fft.rfft2(rng.normal(size=(size, size))) * (1 + (kx**2 + ky**2) / 16) ** -1.7
    surface = scipy.fft.irfft2(waves, (size, size))
    return (surface - surface.mean()) / surface.std()


def differences(heights: Array, _: Array) -> Array:
    return line_offsets(heights, "differences")


@pytest.mark.parametrize("estimate", [differences, masked_medians])
def test_offsets_that_all_parts_share_are_found_whole(estimate: Estimate) -> None:
    offsets = np.random.default_rng(0).normal(size=64)
    offsets -= offsets.mean()
    columns = np.sin(np.arange(64))
    heights = offsets[:, None] + columns
    found = shared_offsets(heights, np.ones(heights.shape, dtype=bool), estimate)
    np.testing.assert_allclose(found, offsets, atol=1e-5)


def test_stripes_along_the_slow_axis_do_not_keep_offsets_in() -> None:
    offsets = np.random.default_rng(1).normal(size=(96, 1))
    stripes = np.where(np.arange(96) // 12 % 2, 3.0, 0.0)
    heights = stripes + offsets - offsets.mean()
    found = shared_offsets(heights, np.ones(heights.shape, dtype=bool), differences)
    np.testing.assert_allclose(found, offsets[:, 0] - offsets.mean(), atol=1e-5)


def test_little_is_taken_off_where_lines_have_no_offsets_of_their_own() -> None:
    taken, by_differences = [], []
    for seed in range(12):
        surface = rough(seed)
        used = np.ones(surface.shape, dtype=bool)
        taken.append(shared_offsets(surface, used, differences).std())
        by_differences.append(line_offsets(surface, "differences").std())
    assert np.mean(taken) < 0.6 * np.mean(by_differences)


def test_hills_keep_their_place_among_offset_lines() -> None:
    ours, matched = [], []
    polynomial = SubtractPolynomial(exclude=None)
    for seed in range(8):
        surface = polynomial(frame(rough(seed))).to_numpy()
        seen = surface + 0.3 * np.random.default_rng(seed).normal(size=(96, 1))
        ours.append((Level()(frame(seen)).to_numpy() - surface).std())
        matched.append((polynomial(MatchLines()(frame(seen))).to_numpy() - surface).std())
    # White offsets of 0.3 know nothing of hills: what stays is part of the slowest waves.
    assert np.mean(ours) < 0.25
    assert np.mean(ours) < 0.6 * np.mean(matched)


def test_narrow_frame_is_not_cut_into_parts() -> None:
    heights = np.random.default_rng(3).normal(size=(20, 8 * PARTS - 1))
    used = np.ones(heights.shape, dtype=bool)
    np.testing.assert_array_equal(
        shared_offsets(heights, used, differences), line_offsets(heights, "differences")
    )
