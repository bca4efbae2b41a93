"""What a detector does is found from noise alone, with error bars that hold."""

from __future__ import annotations

import numpy as np
import pytest

from nanopilot.analysis.stem_noise import Noisy, beyond_lens, photon_transfer
from nanopilot.core.errors import SignalError
from nanopilot.twins.stem.detectors import Detector
from nanopilot.twins.stem.settings import Annulus

GAIN, OFFSET, NOISE = 12.0, 90.0, 6.0


def picture(rng: np.random.Generator, size: int = 160) -> np.ndarray:
    """Return electrons per pixel, 0.3 to 6, smooth over a dozen pixels."""
    y, x = np.indices((size, size)) / 24
    waves = np.sin(2 * np.pi * x + rng.uniform(0, 6)) * np.sin(2 * np.pi * y + rng.uniform(0, 6))
    return np.asarray(0.3 + 2.8 * (1 + waves))


def read(mean: np.ndarray, rng: np.random.Generator, **changes: float) -> np.ndarray:
    """Return counts of the electron twin's detector, line by line, a second per pixel."""
    ring = Annulus(inner=0.06, outer=0.18, gain=GAIN, offset=OFFSET, noise=NOISE, **changes)
    begins = np.arange(mean.size, dtype=float)
    return np.asarray(Detector(ring).read(mean.ravel(), begins, 1.0, rng)).reshape(mean.shape)


def known(frames: int, seed: int, error: float = 0.0, **changes: float) -> list[Noisy]:
    """Return noise about a mean that is known, but for a smooth error of it in electrons."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(frames):
        mean = picture(rng)
        counts = read(mean, rng, **changes)
        wrong = OFFSET + GAIN * (mean + error * np.sin(np.indices(mean.shape)[0] / 15))
        found.append(Noisy(counts - wrong, wrong, np.ones(mean.shape, dtype=bool), wrong))
    return found


@pytest.mark.parametrize("error", [0.0, 0.12])
def test_gain_offset_and_noise_are_those_of_the_detector(error: float) -> None:
    found = photon_transfer(known(6, 3, error), whole=True)
    for name, true in (("gain", GAIN), ("offset", OFFSET), ("variance", NOISE**2)):
        assert abs(found.values[name] - true) < 3.5 * found.std[name], name
    assert found.std["gain"] < 0.04 * GAIN
    assert found.std["offset"] < 0.15 * GAIN
    assert found.std["variance"] < 0.3 * NOISE**2
    assert abs(found.values["glow"]) < 3.5 * found.std["glow"]


def test_late_light_is_found_and_taken_out_of_the_gain() -> None:
    found = photon_transfer(known(6, 4, afterglow=0.2, afterglow_time=1.0), whole=True)
    assert found.values["glow_fraction"] == pytest.approx(0.2, abs=4 * found.std["glow_fraction"])
    assert found.values["glow_time"] == pytest.approx(1.0, abs=4 * found.std["glow_time"])
    assert found.values["glow"] > 10 * found.std["glow"]
    assert found.values["gain"] == pytest.approx(GAIN, rel=0.05)


def test_errors_are_those_that_are_made() -> None:
    each = [photon_transfer(known(1, seed), whole=True) for seed in range(20, 44)]
    for name, true in (("gain", GAIN), ("offset", OFFSET), ("variance", NOISE**2)):
        pulls = np.array([(one.values[name] - true) / one.std[name] for one in each])
        assert 0.6 < np.sqrt(np.mean(pulls**2)) < 1.5, name
        assert abs(pulls.mean()) < 0.75, name


def test_a_dark_frame_fixes_offset_and_noise_and_the_gain_is_no_worse() -> None:
    frames = known(2, 5)
    alone = photon_transfer(frames, whole=True)
    beside = photon_transfer(frames, whole=True, dark=(OFFSET, NOISE**2 + 1 / 12))
    assert beside.std["gain"] < alone.std["gain"]
    assert abs(beside.values["gain"] - GAIN) < 3.5 * beside.std["gain"]
    assert beside.values["offset"] == OFFSET
    assert beside.values["variance"] == pytest.approx(NOISE**2)


def test_beyond_the_lens_there_is_noise_only() -> None:
    rng = np.random.default_rng(6)
    frames = []
    for _ in range(6):
        # 24 pixels a period: far below a cutoff of a fifth of the pixel rate.
        frames.append(beyond_lens(read(picture(rng), rng), 1.0, 0.1))
    found = photon_transfer(frames, whole=True)
    assert abs(found.values["gain"] - GAIN) < 3.5 * found.std["gain"]
    assert found.std["gain"] < 0.08 * GAIN
    assert abs(found.values["offset"] - OFFSET) < 3.5 * found.std["offset"]
    # What is removed would be a hundred times as large.
    assert float(np.mean(frames[0].residual ** 2)) < 2 * (NOISE**2 + GAIN**2 * 3.1)


def test_wide_pixels_and_few_pixels_are_refused() -> None:
    with pytest.raises(SignalError, match="`pixel` is 1 m"):
        beyond_lens(np.zeros((64, 64)), 1.0, 0.45)
    few = known(1, 7)[0]
    with pytest.raises(SignalError, match="takes 2000"):
        photon_transfer([Noisy(few.residual, few.mean, few.mean < 0, few.mean)], whole=True)
