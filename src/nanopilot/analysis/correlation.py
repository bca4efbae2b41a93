"""Two windowed pictures in the space of frequencies, and the peak of their correlation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import scipy.fft

from nanopilot.analysis.correlation_kernels import cell_sums, half_phase, windowed
from nanopilot.core.history import FloatArray, IntArray

Array = np.ndarray[Any, np.dtype[Any]]

#: Coefficients of a windowed picture are not independent: for the product of two, N times the sum
#: of w^4 over the squared sum of w^2, for a Hann window.
_SHARED = (35 / 128) / (3 / 8) ** 2
#: Cells along each axis of the spectrum.
_CELLS = 24
#: Part of the frequencies that counts: lines are points across the slow axis, so that what is
#: finer than two of them folds back, with a phase that draws to whole pixels.
_FOLDED = 0.6
#: Cells along each axis that do.
_FOLDS = int(_CELLS * np.sqrt(_FOLDED))
#: Steps of the climb at most, and pixels that are near its end, and its end.
_STEPS, _NEAR, _STILL = 20, 0.05, 1e-3
#: Powers of the noise that a pair of coefficients must have; most that coherence counts.
_FLOORS, _MOST = 4.0, 0.999


@dataclass(frozen=True, slots=True, eq=False)
class Peak:
    """The top of a correlation.

    Parameters
    ----------
    shift, covariance : numpy.ndarray
        (y, x) in pixels, shapes (2,) and (2, 2).
    concentration : float
        How well phases agree, at most 1.
    fast : float
        Which part of what is known of the shift comes from the faster half of the frequencies.
    """

    shift: FloatArray
    covariance: FloatArray
    concentration: float
    fast: float


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Spectra of two windowed pictures, shape (rows, columns // 2 + 1).

    Parameters
    ----------
    reference, moving : numpy.ndarray of complex64
        Spectra.
    shape : (int, int)
        Of the pictures.
    shared : float
        How many coefficients tell what one independent one would.
    """

    reference: Array
    moving: Array
    shape: tuple[int, int]
    shared: float

    @classmethod
    def of(cls, reference: Array, moving: Array, shift: FloatArray) -> Pair:
        """Take pictures, float32, whose windows differ by a shift in pixels, (y, x)."""
        spectra = []
        for one, sign in ((reference, -0.5), (moving, 0.5)):
            row, column = (
                _hann(size, size - abs(by), sign * by)
                for size, by in zip(one.shape, shift.tolist(), strict=True)
            )
            spectra.append(scipy.fft.rfft2(windowed(one, row, column), workers=2))
        full = np.array(reference.shape)
        shared = float(np.prod(_SHARED * full / (full - np.abs(shift))))
        rows, columns = reference.shape
        return cls(spectra[0], spectra[1], (rows, columns), shared)

    def coarse(self) -> FloatArray:
        """Return the highest peak, and between pixels that of a Gaussian through it."""
        cross = half_phase(self.moving, self.reference, _FLOORS * self.floor())
        surface = scipy.fft.irfft2(cross, self.shape, workers=2)
        peak = np.unravel_index(int(np.argmax(surface)), surface.shape)
        found = []
        for axis, size in enumerate(self.shape):
            around = [list(peak) for _ in range(3)]
            for step, place in enumerate(around):
                place[axis] = (place[axis] + step - 1) % size
            low, top, high = (float(surface[tuple(place)]) for place in around)
            whole = int(peak[axis]) - size * (2 * int(peak[axis]) > size)
            found.append(whole + _between(low, top, high))
        return np.array(found)

    def floor(self) -> float:
        """Return the power of the noise: that of the fastest frequencies, a corner of the plane."""
        rows, half = self.moving.shape
        corner = np.s_[rows // 2 - rows // 16 : rows // 2 + rows // 16, half - half // 8 :]
        powers = [float(np.mean(np.abs(one[corner]) ** 2)) for one in (self.moving, self.reference)]
        return float(np.sqrt(powers[0] * powers[1]))

    def climb(self, start: FloatArray) -> Peak:
        """Climb to the maximum of the correlation, weighted by power and then by coherence."""
        shift, floor, edges = start, self.floor(), _edges(self.shape)
        coherent = False
        for _ in range(_STEPS):
            sums = cell_sums(self.moving, self.reference, shift, self.shape[1], edges)
            weights = _coherence(sums) if coherent else _excess(sums, floor)
            step = _step(sums, weights)
            still = np.abs(step).max() < (_STILL if coherent else _NEAR)
            if still and coherent:
                break
            # Coherence means something once both lie on each other.
            shift, coherent = shift + step, coherent or bool(still)
        covariance = _covariance(sums, weights, self.shared)
        shares = _concentration(sums, weights), _fast_share(sums, weights)
        return Peak(shift, covariance, *shares)


def _hann(size: int, length: float, centre: float) -> Array:
    """Return a Hann window of a length, its middle off that of the picture, shape (size,)."""
    along = (np.arange(size) - (size - 1) / 2 - centre) / length
    window = np.where(np.abs(along) < 0.5, np.cos(np.pi * along) ** 2, 0.0)
    return window.astype(np.float32)


@cache
def _edges(shape: tuple[int, int]) -> IntArray:
    """Return where cells begin: narrow where the frequency is low.

    Cells that do not count are not summed, but for one beside each that does: coherence asks it.
    """
    part = (np.arange(_FOLDS + 2) / _CELLS) ** 2
    return np.stack([np.rint(part * (size // 2 + 1)).astype(np.int64) for size in shape])


def _between(low: float, top: float, high: float) -> float:
    """Return where a Gaussian through three points peaks, from the middle one."""
    if min(low, top, high) <= 0:
        return 0.0
    low, top, high = np.log([low, top, high])
    bend = low - 2 * top + high
    return float(np.clip(0.5 * (low - high) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _power(sums: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(sums[..., 1] * sums[..., 2]))


def _excess(sums: FloatArray, floor: float) -> FloatArray:
    """Return the weight of every cell by how far its power stands above the noise."""
    noise = 2 * floor * sums[..., 0] / np.maximum(_power(sums), 1e-30)
    return _best(np.clip(1 - noise, 0, 1) ** 2, sums)


def _coherence(sums: FloatArray) -> FloatArray:
    """Return the weight of every cell by how far both pictures agree, there and next to it.

    Alone a cell of few pairs would count for more where its noise happens to agree.
    """
    count, power, real = (_around(part) for part in (sums[..., 0], _power(sums), sums[..., 3]))
    ratio = np.divide(real, power, out=np.zeros_like(power), where=power > 0)
    fair = np.maximum(count - 1, 1e-9)
    return _best((np.sign(ratio) * ratio**2 * count - 1) / fair * (count > 1), sums)


def _around(cells: FloatArray) -> FloatArray:
    """Return sums over each cell and its eight neighbours."""
    padded = np.pad(cells, 1)
    rows, columns = cells.shape
    return np.asarray(
        sum(padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3))
    )


def _best(square: FloatArray, sums: FloatArray) -> FloatArray:
    """Return g / (1 - g^2) over the power, of coherences g squared."""
    square, power = np.clip(square, 0, _MOST), _power(sums)
    weights = np.sqrt(square) / (1 - square) * sums[..., 0]
    weights[_FOLDS:], weights[:, _FOLDS:] = 0.0, 0.0
    return np.divide(weights, power, out=np.zeros_like(power), where=power > 0)


def _matrix(sums: FloatArray, weights: FloatArray, first: int) -> FloatArray:
    yy, yx, xx = (float((weights * sums[..., first + k]).sum()) for k in range(3))
    return np.array([[yy, yx], [yx, xx]])


def _step(sums: FloatArray, weights: FloatArray) -> FloatArray:
    curvature = _matrix(sums, weights, 6)
    slope = np.array([(weights * sums[..., 4 + k]).sum() for k in range(2)])
    if not _peaked(curvature):
        return np.zeros(2)
    return np.asarray(np.clip(-np.linalg.solve(curvature, slope), -1.0, 1.0))


def _covariance(sums: FloatArray, weights: FloatArray, shared: float) -> FloatArray:
    curvature = _matrix(sums, weights, 6)
    if not _peaked(curvature):
        return np.full((2, 2), np.inf)
    inverse = np.linalg.inv(curvature)
    # What a coefficient has in the answer is missing from its own scatter (HC3 of MacKinnon and
    # White, J. Econometrics 29 (1985) 305).
    yy, yx, xx = (weights * sums[..., 6 + k] for k in range(3))
    pull = inverse[0, 0] * yy + 2 * inverse[0, 1] * yx + inverse[1, 1] * xx
    leverage = np.clip(shared * pull / np.maximum(sums[..., 0], 0.5) / 2, 0, 0.5)
    scatter = _matrix(sums, (weights / (1 - leverage)) ** 2, 9)
    return np.asarray(shared * inverse @ scatter @ inverse)


def _concentration(sums: FloatArray, weights: FloatArray) -> float:
    power = float((weights * _power(sums)).sum())
    return float((weights * sums[..., 3]).sum()) / power if power > 0 else 0.0


def _fast_share(sums: FloatArray, weights: FloatArray) -> float:
    known = weights * (sums[..., 6] + sums[..., 8])
    # Cells grow as the square of their number, so that half of the plane begins at the root of 1/2.
    half = int(_CELLS * np.sqrt(0.5))
    total = float(known.sum())
    return 1 - float(known[:half, :half].sum()) / total if total > 0 else 1.0


def _peaked(curvature: FloatArray) -> bool:
    values = np.linalg.eigvalsh(curvature)
    return bool(values[0] > 1e-9 * abs(values[1]))
