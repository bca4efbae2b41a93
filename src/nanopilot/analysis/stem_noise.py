"""What a detector does to electrons, from the noise of frames: photon transfer by cumulants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import convolve1d
from scipy.optimize import least_squares

from nanopilot.core.errors import SignalError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Bins of the mean, pixels along which light may come late, and blocks along each side.
_BINS, _LAGS, _SIDE = 16, 12, 4
#: Weights along a line by which lines beside are smoothed.
_SLOW = np.hanning(11)[1:-1] / np.hanning(11).sum()
#: Parts of a jackknife at most; standard errors from which on light comes late.
_MOST, _SEEN = 24, 3.0
#: Decay times of late light that are looked for, in dwell times.
_TIMES = (0.05, 8.0)
#: Variance of rounding to whole numbers.
_ROUNDED = 1 / 12


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """Noise of one frame, and what it is noise of.

    Parameters
    ----------
    residual, mean : numpy.ndarray
        Counts without and with what is expected, shape (rows, columns).
    used : numpy.ndarray of bool
        Where the two are good.
    by : numpy.ndarray
        What pixels are sorted by, its own noise independent of both: an instrument in the sense
        of A. Wald, Ann. Math. Statist. 11 (1940) 284, so that noise of `mean` flattens no slope.
    second, third : float
        Sums of squares and cubes of the weights with which `residual` was made from the noise
        of single pixels; 1 if nothing but the mean was taken away.
    correlated : bool
        `residual` is a filtered one: neighbours along x say nothing.
    """

    residual: FloatArray
    mean: FloatArray
    used: BoolArray
    by: FloatArray
    second: float = 1.0
    third: float = 1.0
    correlated: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """Light that comes late.

    Parameters
    ----------
    product : float
        Fraction times decay time over dwell time: how much of a pixel's light the next ones get,
        where the time is shorter than a pixel.
    fraction, time : float
        Of the light, and its decay time in dwell times; as they fit best.
    """

    product: float
    fraction: float
    time: float


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """Numbers of a detector with their errors; NaN: not known.

    Parameters
    ----------
    values, std : mapping of str to float
        ``gain`` (counts per electron), ``offset`` (counts), ``variance`` (of a reading, counts²),
        ``glow``, ``glow_fraction``, ``glow_time`` (see `Late`), ``mean`` (counts), ``next``
        (covariance of neighbours along a line, counts²).
    """

    values: dict[str, float]
    std: dict[str, float]


def beyond_lens(frame: FloatArray, pixel: float, cutoff: float) -> Noisy:
    """Return what the lens cannot have transferred: each line's frequencies beyond the cutoff.

    An incoherent image has no frequency above twice the angle over the wavelength (J. W. Goodman,
    Introduction to Fourier Optics, 3rd edition, section 6.3), however its lines are shifted along
    themselves; noise has.

    Parameters
    ----------
    frame : numpy.ndarray
        Counts, shape (rows, columns).
    pixel : float
        Metres.
    cutoff : float
        1/m.

    Raises
    ------
    SignalError
        Pixels are so wide that less than a quarter of the frequencies lies beyond.
    """
    kept = 2 * cutoff * pixel
    if kept > 0.75:
        raise SignalError(
            f"`pixel` is {pixel:g} m; noise is told from a picture where pixels are smaller than "
            f"{0.375 / cutoff:g} m with this lens, or where there is a lattice."
        )
    half = 24
    taps = np.arange(-half, half + 1)
    low = kept * np.sinc(kept * taps) * np.hamming(2 * half + 1)
    weights = -low / low.sum()
    weights[half] += 1.0
    rest = convolve1d(frame, weights, axis=1)
    mean = convolve1d(frame, weights**2 / np.sum(weights**2), axis=1)
    # Lines beside a line have the same picture and another noise.
    beside = convolve1d(convolve1d(frame, np.array([0.5, 0.0, 0.5]), axis=0), _SLOW, axis=1)
    used = np.ones(frame.shape, dtype=bool)
    used[:, :half] = used[:, -half:] = False
    return Noisy(
        rest, mean, used, beside, float(np.sum(weights**2)), float(np.sum(weights**3)), True
    )


def photon_transfer(
    frames: Sequence[Noisy], *, whole: bool, dark: tuple[float, float] | None = None
) -> Transfer:
    """Estimate gain, offset, noise of a reading and afterglow from the noise of frames.

    Poisson's law has all cumulants alike: with gain g, offset o and variance s of a reading the
    variance is ``s + g (m - o)`` at a mean of m counts (J. R. Janesick, Photon Transfer, SPIE
    2007, equation 5.1), and the third cumulant is ``g² (m - o)``, a Gaussian having none. Slopes
    and where the latter is zero give all three. Light that comes late makes neighbours along the
    line alike and both cumulants smaller, by the sums of squares and cubes of its response.
    What neighbours across lines share is an error of the mean, and is taken off. Errors are those
    of a jackknife over blocks: B. Efron, Ann. Statist. 7 (1979) 1.

    Parameters
    ----------
    frames : sequence of Noisy
        One or more.
    whole : bool
        Counts are whole numbers: the variance of rounding is taken off.
    dark : (float, float), optional
        Mean and variance of counts without any electrons, rounding and all: the straight line
        then goes through them, and the third cumulant is not asked.

    Raises
    ------
    SignalError
        There are too few pixels.
    """
    means = np.concatenate([one.by[one.used] for one in frames])
    if means.size < 2000:
        raise SignalError(f"`frames` has {means.size} pixels to be used; noise takes 2000.")
    edges = np.unique(np.quantile(means, np.linspace(0, 1, _BINS + 1)))
    blocks = [part for one in frames for part in _blocks(one, edges)]
    parts = np.array([part for part in blocks if part[0].any()])
    factors = frames[0].second, frames[0].third
    late = None if frames[0].correlated else _TIMES
    count = min(len(parts), _MOST)
    parts = np.array([group.sum(axis=0) for group in np.array_split(parts, count)])
    found = _jackknife(parts, (factors, dark), whole=whole, late=late)
    if late is None or abs(found.values["next"]) >= _SEEN * found.std["next"]:
        return found
    # Too little to be timed: a decay of one pixel keeps the gain right and its error small.
    plain = _jackknife(parts, (factors, dark), whole=whole, late=(1.0, 1.0))
    glow = {name for name in found.values if name.startswith("glow")}
    return Transfer(
        plain.values | {name: found.values[name] for name in glow},
        plain.std | {name: found.std[name] for name in glow},
    )


def _jackknife(
    parts: FloatArray,
    known: tuple[tuple[float, float], tuple[float, float] | None],
    *,
    whole: bool,
    late: tuple[float, float] | None,
) -> Transfer:
    """Return numbers of all parts, and their errors from leaving out one after the other."""
    every, count = parts.sum(axis=0), len(parts)
    total = _solve(every, *known, whole=whole, late=late)
    without = [_solve(every - one, *known, whole=whole, late=late) for one in parts]
    spread = {
        name: float(np.sqrt((count - 1) * np.var([one[name] for one in without]))) for name in total
    }
    # Rare large counts are in few blocks: the error is not below that of Gaussian noise.
    least = total.pop("least")
    del spread["least"]
    spread["offset"] = float(np.hypot(spread["offset"], least))
    spread["variance"] = float(np.hypot(spread["variance"], least * total["gain"]))
    return Transfer(total, spread)


def _blocks(one: Noisy, edges: FloatArray) -> list[FloatArray]:
    """Return the sums of every block: per bin number, mean, second and third; then lags."""
    rows = np.array_split(np.arange(one.mean.shape[0]), _SIDE)
    columns = np.array_split(np.arange(one.mean.shape[1]), _SIDE)
    return [_sums(one, edges, r, c) for r in rows for c in columns]


def _sums(one: Noisy, edges: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    cut = np.ix_(rows, columns)
    rest, mean, used = one.residual[cut], one.mean[cut], one.used[cut]
    bins = np.clip(np.searchsorted(edges, one.by[cut], side="right") - 1, 0, len(edges) - 2)
    second, third, alone = _cumulants(np.where(used, rest, 0.0), used)
    found = np.zeros((7, max(_BINS, _LAGS + 1)))
    what = np.ones(rest.shape), mean, third, second
    for row, values in zip((0, 1, 2, 4), what, strict=True):
        found[row, :_BINS] = np.bincount(bins[alone], values[alone], minlength=_BINS)[:_BINS]
    found[3] = found[0]
    below = used[:-1, :] & used[1:, :]
    for lag in range(1, _LAGS + 1):
        along = used[:, :-lag] & used[:, lag:]
        found[5, lag] = np.sum((rest[:, :-lag] * rest[:, lag:])[along])
        # The same distance across lines, from lines next to each other: what the mean is wrong by.
        shared = below[:, :-lag] & below[:, lag:]
        found[5, lag] -= np.sum((rest[:-1, :-lag] * rest[1:, lag:])[shared]) * (
            along.sum() / max(shared.sum(), 1)
        )
        found[6, lag] = along.sum()
    return found


def _cumulants(rest: FloatArray, used: BoolArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return second and third cumulants by pixel, and where they are good.

    An error d of the mean that a line shares with those beside it adds ``d²`` to the square and
    ``3 d v + d³`` to the cube; products with other lines have the same and no noise of their own
    (polykays: J. W. Tukey, Ann. Math. Statist. 27 (1956) 37).
    """
    taps = np.array([1.0, 1.0, 0.0, 1.0, 1.0])
    number = convolve1d(used.astype(float), taps, axis=0, mode="constant")
    beside = convolve1d(rest, taps, axis=0, mode="constant") / np.maximum(number, 1.0)
    both = np.zeros(rest.shape)
    both[1:-1] = rest[:-2] * rest[2:]
    good = used.copy()
    good[[0, -1]] = False
    good[1:-1] &= used[:-2] & used[2:]
    second = rest**2 - rest * beside
    third = rest**3 - 3 * rest**2 * beside + 2 * rest * both
    return second, third, good


def _solve(
    sums: FloatArray,
    factors: tuple[float, float],
    dark: tuple[float, float] | None,
    *,
    whole: bool,
    late: tuple[float, float] | None,
) -> dict[str, float]:
    there = (sums[0] > 30) & (sums[3] > 30)
    number, mean = sums[0][there], sums[1][there] / sums[0][there]
    third = sums[2][there] / number / factors[1]
    second = sums[4][there] / sums[3][there] / factors[0]
    slope, level, smooth = _line(mean, second, number)
    middle = float(np.average(mean, weights=number))
    if dark is not None:
        slope = _through(dark, mean, second, number / smooth**2)
        level = dark[1] - slope * dark[0]
    light = Late(0.0, 0.0, 1.0)
    gain, offset, least = slope, middle, 0.0
    for _ in range(4 if late else 1):
        sizes = _response(light)
        gain = slope / sizes[0]
        # Var(r³) of a Gaussian is 15 v³.
        weight = number / np.maximum(smooth, 1e-9 * abs(middle) + 1e-12) ** 3
        offset = float(np.average(mean - third / (gain**2 * sizes[1]), weights=weight))
        offset = offset if dark is None else dark[0]
        least = 0.0 if dark else float(np.sqrt(15 / np.sum(weight))) / (gain**2 * sizes[1])
        if late:
            shot = slope * (middle - offset) / sizes[0]
            light = _late(
                sums[5][1 : _LAGS + 1] / np.maximum(sums[6][1 : _LAGS + 1], 1), shot, late
            )
    variance = level + slope * offset - (_ROUNDED if whole else 0.0)
    return {
        "gain": gain, "offset": offset, "variance": variance, "mean": middle,
        "glow": light.product, "glow_fraction": light.fraction, "glow_time": light.time,
        "least": least,
        "next": float(sums[5][1] / max(sums[6][1], 1.0)),
    }  # fmt: skip


def _through(
    dark: tuple[float, float], mean: FloatArray, second: FloatArray, weight: FloatArray
) -> float:
    """Return the slope of the straight line through a known point."""
    away = mean - dark[0]
    return float(np.sum(weight * away * (second - dark[1])) / np.sum(weight * away**2))


def _line(
    mean: FloatArray, second: FloatArray, number: FloatArray
) -> tuple[float, float, FloatArray]:
    """Return slope and level of the variance over the mean, and the line itself."""
    smooth = np.maximum(second, 0.2 * float(np.average(second, weights=number)))
    slope, level = 0.0, 0.0
    for _ in range(4):
        slope, level = np.polyfit(mean, second, 1, w=np.sqrt(number) / smooth)
        smooth = np.maximum(slope * mean + level, 0.1 * float(smooth.mean()))
    return float(slope), float(level), smooth


def _response(light: Late) -> tuple[float, float]:
    """Return sums of squares and cubes of what one electron gives in its pixel and the next.

    Of light that comes late by an exponential law, fraction f with time t in dwells:
    ``1 - u`` in its own pixel and ``u (1 - q) q^(k-1)`` k later, ``q = exp(-1/t)``,
    ``u = f t (1 - q)``.
    """
    q = float(np.exp(-1 / light.time))
    u = light.fraction * light.time * (1 - q)
    square = (1 - u) ** 2 + u**2 * (1 - q) ** 2 / (1 - q**2)
    cube = (1 - u) ** 3 + u**3 * (1 - q) ** 3 / (1 - q**3)
    return square, cube


def _late(covariance: FloatArray, shot: float, times: tuple[float, float]) -> Late:
    """Fit fraction and time, between two, of late light to covariances over the shot noise."""
    if not shot > 0:
        return Late(0.0, 0.0, 1.0)
    seen = covariance / shot
    lags = np.arange(_LAGS)

    def off(guess: FloatArray) -> FloatArray:
        time = float(np.exp(guess[1]))
        q = float(np.exp(-1 / time))
        u = float(guess[0]) * time * (1 - q)
        first = u * (1 - u) * (1 - q) + u**2 * (1 - q) * q / (1 + q)
        return np.asarray(first * q**lags - seen)

    best = None
    low, high = 0.999 * times[0], 1.001 * times[1]
    for start in (0.3, 1.5, 5.0) if high > 1.1 * low else (times[0],):
        trial = least_squares(
            off, [max(float(seen[0]), 1e-4), np.log(start)],
            bounds=([-0.5, np.log(low)], [0.95, np.log(high)]),
        )  # fmt: skip
        best = trial if best is None or trial.cost < best.cost else best
    fraction, time = float(best.x[0]), float(np.exp(best.x[1]))  # type: ignore[union-attr]
    q = float(np.exp(-1 / time))
    return Late(fraction * time * (1 - q) * (1 - q), fraction, time)
