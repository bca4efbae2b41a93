"""Noise of the detector that the loop listens to moves the piezo; noise of the reading does not."""

from __future__ import annotations

import numpy as np
import pytest

from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin

WHITE, GAIN = 5e-12, 800.0


def scan(**noise: object) -> SignalSet:
    """Scan a flat sample, 256 pixels in a quarter of a second."""
    settings = {"noise": noise, "loop": {"integral": GAIN}}
    flat = Sample("flat", np.zeros((64, 64)), 20e-9)
    twin = SpmTwin(flat, VirtualClock(), settings=SpmSettings.model_validate(settings), seed=3)
    request = ScanRequest(
        centre=(0, 0), field_of_view=(1e-6, 1e-6), shape=(128, 256), line_rate=2.0,
        channels=("height", "deflection"), directions=("trace",),
    )  # fmt: skip
    return twin.capability(Scanner).start(request).result()


def density(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    window = np.hanning(256)
    level = values - values.mean(axis=1, keepdims=True)
    power = np.mean(np.abs(np.fft.rfft(level * window, axis=1)) ** 2, axis=0)
    return np.fft.rfftfreq(256, 1 / 1024)[2:-1], (2 * power / 1024 / np.sum(window**2))[2:-1]


def test_the_height_follows_noise_in_the_loop_as_a_low_pass_does() -> None:
    frequency, power = density(scan(white=WHITE, in_loop=True)["height"].to_numpy())
    expected = WHITE**2 / (1 + (2 * np.pi * frequency / GAIN) ** 2)
    slow = frequency < 250  # beyond, what is folded back matters
    assert np.mean((power / expected)[slow]) == pytest.approx(1, abs=0.05)


def test_what_the_height_does_not_follow_stays_in_the_held_signal() -> None:
    seen = scan(white=WHITE, in_loop=True)
    both = (seen["height"] + seen["deflection"]).to_numpy()
    _, power = density(both)
    assert np.mean(power) == pytest.approx(WHITE**2, rel=0.05)
    quiet = scan(white=WHITE)["deflection"].to_numpy()
    assert np.ptp(quiet) < 1e-15


def test_the_loop_without_noise_is_the_same_wherever_the_noise_would_be() -> None:
    one, other = scan(in_loop=True), scan()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
