"""How a scan lags behind: the gain of the loop, and what trace and retrace disagree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.ndimage import uniform_filter1d

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Blocks of lines of which one at a time is left out (jackknife).
BLOCKS = 16
#: Rounds of shifting trace and retrace towards each other.
_ROUNDS = 4
#: Weights of differences 1, 2 and 3 pixels to either side: a slope, to the sixth order.
_SLOPE = (45 / 60, -9 / 60, 1 / 60)


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with its standard error.

    Parameters
    ----------
    value, std : float
        In the unit of what was asked for.
    """

    value: float
    std: float

    @property
    def significance(self) -> float:
        """Value in standard errors."""
        return abs(self.value) / self.std if self.std > 0 else np.inf

    def times(self, factor: float) -> Measured:
        """Return it in another unit."""
        return Measured(self.value * factor, self.std * abs(factor))


def integral_gain(height: FloatArray, error: FloatArray, pixel_time: float) -> Measured:
    """Return the integral gain of the loop in 1/s, from how height and error go together.

    An integrating controller moves the piezo at ``dz/dt = -K e``. Both are noisy, so the slope of
    one line on the other would be biased; the error of the line before and after has the same
    surface and other noise, and serves as an instrument: K = -<dz/dt e'> / <e e'>. (Instrumental
    variables: O. Reiersol, Econometrica 9 (1941) 1.)

    Parameters
    ----------
    height, error : numpy.ndarray
        Shape (lines, columns), metres, columns in the order of time; the error is positive where
        the tip is too far away.
    pixel_time : float
        Seconds.
    """
    # A difference of pixels is a mean over both with a triangle for a weight; so is, to the fourth
    # order, this sum of the errors of four pixels.
    speed = np.diff(height, axis=1)[:, 1:-1] / pixel_time
    inner, outer = error[:, 1:-2] + error[:, 2:-1], error[:, :-3] + error[:, 3:]
    missing = (13 * inner - outer) / 24
    speed = speed - speed.mean(axis=1, keepdims=True)
    missing = missing - missing.mean(axis=1, keepdims=True)
    before = np.zeros_like(missing)
    before[1:] += missing[:-1]
    before[:-1] += missing[1:]
    top, bottom = (np.sum(one * before, axis=1) for one in (-speed, missing))
    return _ratio(top, bottom)


def _ratio(top: FloatArray, bottom: FloatArray) -> Measured:
    tops, bottoms = (
        np.array([part.sum() for part in np.array_split(one, BLOCKS)]) for one in (top, bottom)
    )
    left = (tops.sum() - tops) / (bottoms.sum() - bottoms)
    return Measured(float(tops.sum() / bottoms.sum()), _jackknife(left))


def _jackknife(left: FloatArray) -> float:
    spread = np.sum((left - left.mean(axis=0)) ** 2, axis=0) * (BLOCKS - 1) / BLOCKS
    return float(np.sqrt(spread))


@dataclass(frozen=True, slots=True, eq=False)
class PairDifference:
    """What trace and retrace disagree on; all shifts in pixels.

    Parameters
    ----------
    lag : Measured
        How far either direction lags behind, as a filter of the loop does.
    bend : Measured
        Largest difference of trace and retrace from hysteresis: in the middle of the line.
    drift_x, drift_y : Measured
        Shift of the surface from one line to the next.
    drift_z : Measured
        Its rise from one line to the next, in metres.
    residual : numpy.ndarray
        Trace minus retrace without all of it, shape (lines, columns).
    """

    lag: Measured
    bend: Measured
    drift_x: Measured
    drift_y: Measured
    drift_z: Measured
    residual: FloatArray


def unlagged(height: FloatArray, gain: float, rate: float) -> FloatArray:
    """Return what a loop that only integrates was following: z + (dz/dt) / K.

    Parameters
    ----------
    height : numpy.ndarray
        Metres, shape (lines, columns), columns in the order of time.
    gain : float
        K in 1/s; infinite: the loop was never late.
    rate : float
        Pixels per second.
    """
    padded = np.pad(height, ((0, 0), (3, 3)), mode="reflect", reflect_type="odd")
    columns = height.shape[1]
    late = np.zeros_like(height)
    for n, weight in zip((1, 2, 3), _SLOPE, strict=True):
        late += weight * (padded[:, 3 + n : 3 + n + columns] - padded[:, 3 - n : 3 - n + columns])
    found: FloatArray = height + late * rate / gain
    return found


def unlagging(frequency: FloatArray, gain: float, rate: float) -> FloatArray:
    """Return by how much `unlagged` multiplies a power density at frequencies in hertz."""
    more: FloatArray = 1 + (_slope_of(frequency, rate) / gain) ** 2
    return more


def _slope_of(frequency: FloatArray, rate: float) -> FloatArray:
    turn = 2 * np.pi * frequency / rate
    total = np.zeros_like(turn)
    for n, weight in zip((1, 2, 3), _SLOPE, strict=True):
        total += 2 * weight * rate * np.sin(n * turn)
    return total


def reading_noise(
    lines: FloatArray, error: FloatArray, height: FloatArray, gain: float, rate: float
) -> tuple[FloatArray, FloatArray]:
    """Return frequencies (Hz) and the density of noise that only the height that is read has.

    Surface and noise in the loop keep to ``dz/dt = -K e``; noise of the reading does not, and
    what it breaks the rule by is its own slope over K. Whatever else breaks the rule has nothing
    in common with the height.

    Parameters
    ----------
    lines : numpy.ndarray
        Heights in which the noise is sought, shape (lines, columns), unlagged, surface taken away
        as far as possible.
    error, height : numpy.ndarray
        Of the loop, and as read, in metres; all three with columns in the order of time.
    gain : float
        K in 1/s.
    rate : float
        Pixels per second.
    """
    broken = error + unlagged(height, gain, rate) - height
    window = np.hanning(lines.shape[1] + 1)[:-1]
    there, rule = (
        np.fft.rfft((one - one.mean(axis=1, keepdims=True)) * window, axis=1)
        for one in (lines, broken)
    )
    frequency: FloatArray = np.fft.rfftfreq(lines.shape[1], 1 / rate).astype(np.float64)
    slope = 1j * _slope_of(frequency, rate) / gain
    expected = slope * np.conj(1 + slope)
    common = np.mean(rule * np.conj(there), axis=0) * 2 / (rate * np.sum(window**2))
    density = np.real(common * np.conj(expected)) / np.maximum(np.abs(expected) ** 2, 1e-30)
    return frequency, np.asarray(density, dtype=np.float64)


def pair_difference(trace: FloatArray, retrace: FloatArray) -> PairDifference:
    """Explain trace minus retrace by lag, hysteresis and drift.

    With slopes ``s'`` of the surface and ``u`` from 0 (left) to 1 (right) the difference is

        -2 lag s' - 4 u (1 - u) bend s' - (1 - u) (dx s'_x + dy s'_y + dz)

    because retrace comes to the left end a whole line later, to the right end at once. Fitted
    by least squares, both shifted towards each other as far as known until nothing is left; errors
    by leaving out one of 16 blocks of lines at a time.

    Parameters
    ----------
    trace, retrace : numpy.ndarray
        Heights in metres, shape (lines, columns), both from left to right, lines in time.
    """
    u = np.linspace(0.0, 1.0, trace.shape[1])
    shift = np.zeros(trace.shape[1])
    total = np.zeros(5)
    for _ in range(_ROUNDS):
        there, back = _moved(trace, shift), _moved(retrace, -shift)
        mean = uniform_filter1d((there + back) / 2, 3, axis=0)
        along, across = np.gradient(mean, axis=1), np.gradient(mean, axis=0)
        shapes = [
            -2 * along, -4 * u * (1 - u) * along, -(1 - u) * along, -(1 - u) * across,
            -(1 - u) * np.ones_like(mean), np.ones_like(mean),
        ]  # fmt: skip
        residual, found = _regress(there - back, shapes)
        later, bent, gone = (one.value for one in found[:3])
        shift = shift + later + 2 * u * (1 - u) * bent + (1 - u) * gone / 2
        total[:3] += (later, bent, gone)
        total[3:] = [one.value for one in found[3:5]]
    spreads = [one.std for one in found]
    measured = [Measured(float(v), s) for v, s in zip(total, spreads, strict=False)]
    lag, bend, x, y, z = measured
    return PairDifference(lag, bend, drift_x=x, drift_y=y, drift_z=z, residual=residual)


def _moved(lines: FloatArray, shift: FloatArray) -> FloatArray:
    """Return lines as they were `shift` pixels to the right, shape (columns,), by cubic splines."""
    if not shift.any():
        return lines
    columns = np.arange(lines.shape[1])
    moved: FloatArray = make_interp_spline(columns, lines, k=3, axis=1)(
        np.clip(columns + shift, 0, columns[-1])
    )
    return moved


def _regress(values: FloatArray, shapes: list[FloatArray]) -> tuple[FloatArray, list[Measured]]:
    size = np.array(
        [max(float(np.std(one)), float(np.mean(np.abs(one))), 1e-300) for one in shapes]
    )
    design = np.stack([one / scale for one, scale in zip(shapes, size, strict=True)], axis=-1)
    parts = np.array_split(np.arange(len(values)), BLOCKS)
    count = len(shapes)
    squares = np.empty((len(parts), count, count))
    products = np.empty((len(parts), count))
    for number, rows in enumerate(parts):
        block = design[rows].reshape(-1, count)
        squares[number], products[number] = block.T @ block, block.T @ values[rows].ravel()
    whole = np.linalg.pinv(squares.sum(axis=0), rcond=1e-9) @ products.sum(axis=0)
    left = np.array(
        [
            np.linalg.pinv(squares.sum(axis=0) - s, rcond=1e-9) @ (products.sum(axis=0) - p)
            for s, p in zip(squares, products, strict=True)
        ]
    )
    spreads = [_jackknife(left[:, n]) for n in range(count)]
    measured = [
        Measured(float(w / s), float(e / s)) for w, e, s in zip(whole, spreads, size, strict=True)
    ]
    return values - design @ whole, measured
