"""Hum of the mains and jitter, from shifts of the lines of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.errors import SignalError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Hertz on either side of the mains' own frequencies that are looked through.
MAINS, _ASIDE = (50.0, 60.0), 3.0
#: Cubic polynomials of every frame are drift that is not even.
_DEGREE = 3
#: Chance at which a hum that is none would be found.
_CHANCE = 1e-3
#: Metres by which lines may be off for a defect of the sample that was not seen.
UNSEEN = 1.5e-12
#: Least part of a hum that is left after the mean over a line.
LEAST = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Shifts of the lines of one frame.

    Parameters
    ----------
    shifts, std : numpy.ndarray
        Metres and their standard errors, shape (rows,).
    begins : numpy.ndarray
        When each line began, in seconds, shape (rows,).
    active : float
        Seconds during which a line is scanned.
    """

    shifts: FloatArray
    std: FloatArray
    begins: FloatArray
    active: float


@dataclass(frozen=True, slots=True)
class LineMotion:
    """What moves lines.

    Parameters
    ----------
    jitter, jitter_std : float
        Standard deviation of independent shifts of lines in metres, and its error.
    hum, hum_std : float
        Amplitude in metres, and its error; `seen` or not.
    frequency, frequency_std : float
        Hertz.
    seen : bool
        Whether the hum is more than chance.
    passed : float
        Which part of the hum the mean over a line leaves: ``sinc(f t)``.
    bound : float
        Metres that a hum which was not seen has at most (two standard errors).
    """

    jitter: float
    jitter_std: float
    hum: float
    hum_std: float
    frequency: float
    frequency_std: float
    seen: bool
    passed: float
    bound: float


def line_motion(frames: Sequence[Lines], mains: Sequence[float] = MAINS) -> LineMotion:
    """Tell hum, jitter, and the error of the shifts themselves from one another.

    A hum keeps its phase from frame to frame; it is fitted by least squares at every frequency
    near those of the mains (N. R. Lomb, Astrophys. Space Sci. 39 (1976) 447), beside a cubic
    polynomial for each frame. The variance that is left, less that of the errors, is the jitter's.

    Parameters
    ----------
    frames : sequence of Lines
        In any order; their times are on one clock.
    mains : sequence of float
        Frequencies in hertz near which a hum is looked for.

    Raises
    ------
    SignalError
        There are fewer than 24 lines.
    """
    if sum(len(one.shifts) for one in frames) < 24:
        raise SignalError("`frames` has fewer than 24 lines; hum and jitter take more.")
    free = [_without_trend(one.shifts, len(one.shifts)) for one in frames]
    left = np.concatenate(free)
    span = max(float(one.begins[-1]) for one in frames) - min(float(f.begins[0]) for f in frames)
    grid = _grid(mains, max(span, 1e-3))
    gains = np.array([_fit(frames, left, f)[0] for f in grid])
    best = float(grid[int(np.argmax(gains))])
    for step in (0.25 / span, 0.05 / span, 0.01 / span):
        near = best + step * np.arange(-5, 6)
        near = near[near > 0]
        best = float(near[int(np.argmax([_fit(frames, left, f)[0] for f in near]))])
    gain, waves = _fit(frames, left, best)
    rest = left - waves[0]
    degrees = left.size - 4 * len(frames) - 3
    variance = float(rest @ rest) / degrees
    rows = left.size
    error = np.sqrt(2 * variance / rows)
    passed = float(np.mean([np.sinc(best * one.active) for one in frames]))
    # Twice the gain over the variance is chi squared with two degrees, as often as there are
    # independent frequencies.
    chance = max(len(mains) * 2 * _ASIDE * span, 1.0) * np.exp(-gain / (2 * variance))
    amplitude = float(np.hypot(*waves[1]))
    scatter = float(np.mean(np.concatenate([one.std for one in frames]) ** 2))
    own = variance - scatter
    own_std = float(np.hypot(np.sqrt(2 / degrees) * variance, UNSEEN**2))
    jitter = float(np.sqrt(max(own, 0.0)))
    jitter_std = own_std / (2 * jitter) if own > own_std else float(np.sqrt(own_std))
    return LineMotion(
        jitter, float(jitter_std), amplitude / max(abs(passed), 1e-3),
        float(error / max(abs(passed), 1e-3)), best,
        float(np.sqrt(6 * variance / rows) / (np.pi * span * max(amplitude, 1e-30))),
        bool(chance < _CHANCE), passed, float((amplitude + 2 * error) / max(abs(passed), 1e-3)),
    )  # fmt: skip


def _grid(mains: Sequence[float], span: float) -> FloatArray:
    step = 0.25 / span
    count = int(np.clip(np.ceil(_ASIDE / step), 1, 400))
    aside = np.linspace(-_ASIDE, _ASIDE, 2 * count + 1)
    return np.concatenate([one + aside for one in mains])


def _without_trend(values: FloatArray, rows: int) -> FloatArray:
    """Return columns (or one) without polynomials up to the third degree."""
    basis = np.linalg.qr(np.vander(np.linspace(-1, 1, rows), _DEGREE + 1))[0]
    found: FloatArray = values - basis @ (basis.T @ values)
    return found


def _fit(
    frames: Sequence[Lines], left: FloatArray, frequency: float
) -> tuple[float, tuple[FloatArray, FloatArray]]:
    """Return the drop of the sum of squares, the fitted shifts, and sine and cosine."""
    columns = []
    for one in frames:
        angle = 2 * np.pi * frequency * (one.begins + one.active / 2)
        pair = np.stack([np.sin(angle), np.cos(angle)], axis=1)
        columns.append(_without_trend(pair, len(one.begins)))
    basis = np.concatenate(columns)
    found: FloatArray = np.asarray(np.linalg.lstsq(basis, left, rcond=1e-8)[0], dtype=np.float64)
    fitted = basis @ found
    return float(left @ left - np.sum((left - fitted) ** 2)), (fitted, found)
