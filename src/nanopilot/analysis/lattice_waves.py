"""A frame of a crystal as waves: its lattice, its harmonics, and how every line lies on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter, uniform_filter

from nanopilot.core.errors import SignalError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
ComplexArray = np.ndarray[Any, np.dtype[np.complex128]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Waves of the background along each side; rounds; those with slow harmonics only, or no mask.
_SMOOTH, _ROUNDS, _SLOW, _ALL = 5, 14, 4, 6
#: Pixels of the box in which a defect is looked for, and standard errors that show it.
_BOX, _DEFECT = 7, 5.0


@dataclass(frozen=True, slots=True, eq=False)
class LatticeFit:
    """A frame as harmonics of one lattice, each of its lines shifted along x.

    The origin is the middle of the frame; row 0 is at the lowest y.

    Parameters
    ----------
    basis : numpy.ndarray
        Two reciprocal vectors as rows, (x, y) in 1/m, shape (2, 2).
    index : numpy.ndarray
        Of every harmonic in that basis, shape (n, 2); both signs are there.
    coefficients : numpy.ndarray
        Complex, in counts: of the harmonics, then of the cosines of the background.
    pixel : float
        Metres.
    shifts, shift_std : numpy.ndarray
        Metres by which every line lies further along x on the sample, mean and slope over the
        rows taken out, and its standard error; shape (rows,).
    model, slope_x, slope_y : numpy.ndarray
        Counts, and counts per metre, shape (rows, columns).
    residual : numpy.ndarray
        What the frame has beyond the model, in counts.
    used : numpy.ndarray of bool
        Where there is neither a defect nor an edge.
    parameters : int
        How many numbers were fitted.
    """

    basis: FloatArray
    index: FloatArray
    coefficients: ComplexArray
    pixel: float
    shifts: FloatArray
    shift_std: FloatArray
    model: FloatArray
    slope_x: FloatArray
    slope_y: FloatArray
    residual: FloatArray
    used: BoolArray
    parameters: int

    @property
    def amplitude(self) -> ComplexArray:
        """Of the harmonics in counts, shape (n,)."""
        return self.coefficients[: len(self.index)]

    @property
    def mean(self) -> float:
        """Of the frame's model over whole cells, in counts: that of the background."""
        first, second = np.divmod(np.arange(_SMOOTH**2), _SMOOTH)
        even = (first == 0) & (second == 0)
        return float(self.coefficients[len(self.index) :][even].real[0])

    def seen_with(self, lag: FloatArray, columns: slice) -> FloatArray:
        """Return what columns would show, in counts, were the beam further along x by `lag` (m)."""
        space = _Basis((self.residual.shape[0], self.residual.shape[1]), self.pixel, lag)
        down, across = space.of(self.waves, self.shifts)
        found: FloatArray = np.real((down * self.coefficients) @ across[:, columns])
        return found

    @property
    def noise(self) -> FloatArray:
        """The residual in counts as large as the noise is: what was fitted away is given back.

        A least-squares residual is smaller by the root of one minus the leverage (D. A. Belsley,
        E. Kuh and R. E. Welsch, Regression Diagnostics, 1980, equation 2.15): here that of the
        line's own shift, and the same for all of the rest.
        """
        own = self.slope_x**2 * self.used
        share = own / np.maximum(own.sum(axis=1, keepdims=True), 1e-300)
        rest = (self.parameters - len(self.shifts)) / max(int(self.used.sum()), 1)
        found: FloatArray = self.residual / np.sqrt(np.clip(1 - share - rest, 0.1, 1.0))
        return found

    @property
    def waves(self) -> FloatArray:
        """Reciprocal vectors of all harmonics, (x, y) in 1/m, shape (n, 2)."""
        found: FloatArray = self.index @ self.basis
        return found


class _Basis:
    """Functions of a frame that are products of one along y and one along x."""

    def __init__(self, shape: tuple[int, int], pixel: float, lag: FloatArray) -> None:
        rows, columns = shape
        self.x: FloatArray = np.asarray(pixel * (np.arange(columns) - (columns - 1) / 2))
        self.y: FloatArray = np.asarray(pixel * (np.arange(rows) - (rows - 1) / 2))
        self.lag = lag

    def of(self, waves: FloatArray, shifts: FloatArray) -> tuple[ComplexArray, ComplexArray]:
        """Return factors along y, shape (rows, n), and x, (n, columns): waves, then cosines."""
        gx, gy = waves.T
        down = np.exp(2j * np.pi * (np.outer(shifts, gx) + np.outer(self.y, gy)))
        across = np.exp(2j * np.pi * np.outer(gx, self.x + self.lag))
        slow = [
            np.cos(np.pi * np.outer(np.arange(_SMOOTH), _unit(one))) for one in (self.y, self.x)
        ]
        first, second = np.divmod(np.arange(_SMOOTH**2), _SMOOTH)
        return (
            np.concatenate([down, slow[0][first].T], axis=1),
            np.concatenate([across, slow[1][second]], axis=0),
        )


def _unit(one: FloatArray) -> FloatArray:
    found: FloatArray = (one - one[0]) / (one[-1] - one[0])
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    basis: FloatArray
    shifts: FloatArray
    used: BoolArray
    model: FloatArray
    weight: FloatArray


def fit_lattice(
    frame: FloatArray,
    pixel: float,
    basis: FloatArray,
    cutoff: float,
    lag: FloatArray | None = None,
) -> LatticeFit:
    """Fit harmonics, the lattice itself, and a shift along x of every line, by least squares.

    Alternately amplitudes (exactly: all functions are products of one along x and one along y)
    and places (one Gauss-Newton step each) are put right. Pixels of defects are left out: what
    the model has there stands in for them.

    Parameters
    ----------
    frame : numpy.ndarray
        Counts, shape (rows, columns).
    pixel : float
        Metres.
    basis : numpy.ndarray
        Reciprocal vectors as of `find_lattice`, right to a third of a bin or so.
    cutoff : float
        Largest frequency in 1/m that the lens transfers: twice its angle over the wavelength.
    lag : numpy.ndarray, optional
        Metres by which the beam is further along x than it was told, per column.

    Raises
    ------
    SignalError
        The lattice has no harmonic that the lens transfers.
    """
    index = _indices(basis, min(cutoff, 0.47 / pixel))
    space = _Basis((frame.shape[0], frame.shape[1]), pixel,
                   np.zeros(frame.shape[1]) if lag is None else lag)  # fmt: skip
    state = _State(basis, np.zeros(len(frame)), np.ones(frame.shape, dtype=bool),
                   np.full(frame.shape, frame.mean()), np.ones(frame.shape))  # fmt: skip
    state = replace(state, used=state.used & (np.abs(space.lag) < 1e-11)[None, :])
    nearest = np.linalg.norm(index @ basis, axis=1)
    slow = index[nearest <= 2.1 * nearest.min()]
    for turn in range(_ROUNDS):
        state = _improved(frame, space, state, slow if turn < _SLOW else index, turn)
    return _finished(frame, space, state, index)


def _indices(basis: FloatArray, cutoff: float) -> FloatArray:
    most = int(np.ceil(cutoff / np.linalg.svd(basis)[1].min())) + 1
    span = np.arange(-most, most + 1)
    index = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
    size = np.linalg.norm(index @ basis, axis=1)
    found: FloatArray = index[(size > 0) & (size <= cutoff)].astype(np.float64)
    if not len(found):
        raise SignalError(f"`cutoff` is {cutoff:g} 1/m; no harmonic of the lattice is below it.")
    return found


def _solved(
    frame: FloatArray, space: _Basis, state: _State, index: FloatArray
) -> tuple[ComplexArray, FloatArray, FloatArray, FloatArray]:
    """Return amplitudes, the model, and its slopes along x and y."""
    waves = index @ state.basis
    down, across = space.of(waves, state.shifts)
    filled = np.where(state.used, frame, state.model)
    right = np.einsum("rn,rn->n", down.conj(), filled @ across.conj().T)
    gram = (down.conj().T @ down) * (across.conj() @ across.T)
    gram[np.diag_indices(len(gram))] *= 1 + 1e-9
    found: ComplexArray = np.linalg.solve(gram, right).astype(np.complex128)
    model = np.real((down * found) @ across)
    few = slice(0, len(waves))
    slopes = [
        np.real((down[:, few] * (found[few] * 2j * np.pi * waves[:, axis])) @ across[few])
        for axis in (0, 1)
    ]
    return found, model, slopes[0], slopes[1]


def _improved(
    frame: FloatArray, space: _Basis, state: _State, index: FloatArray, turn: int
) -> _State:
    _, model, by_x, by_y = _solved(frame, space, state, index)
    rest = frame - model
    used, weight = state.used, state.weight
    if turn >= _ALL:
        used = state.used if turn % 3 else _sound(rest, model, space.lag)
        weight = _weights(rest, model, used)
    kept = weight * used
    terms = np.stack([by_x * space.x[None, :], by_x * space.y[:, None],
                      by_y * space.x[None, :], by_y * space.y[:, None]])  # fmt: skip
    normal = np.einsum("arc,brc,rc->ab", terms, terms, kept, optimize=True)
    right = np.einsum("arc,rc,rc->a", terms, rest, kept, optimize=True)
    bent = np.linalg.lstsq(normal, right, rcond=1e-12)[0].reshape(2, 2)
    shifts = state.shifts
    if turn >= 2:
        power = np.sum(kept * by_x**2, axis=1)
        step = np.sum(kept * by_x * rest, axis=1) / np.maximum(power, 1e-300)
        most = 0.12 / np.linalg.norm(index @ state.basis, axis=1).min()
        shifts = _straight(shifts + np.clip(np.where(power > 0, step, 0.0), -most, most), space.y)
    return _State(state.basis @ (np.eye(2) + bent), shifts, used, model, weight)


def _straight(shifts: FloatArray, y: FloatArray) -> FloatArray:
    """Return shifts without mean and slope: those are the lattice's own."""
    found: FloatArray = shifts - shifts.mean() - y * (y @ shifts) / (y @ y)
    return found


def _weights(rest: FloatArray, model: FloatArray, used: BoolArray) -> FloatArray:
    """Return one over the variance, taken to be a straight line over the mean."""
    from_mean = np.polyfit(model[used], rest[used] ** 2, 1)
    least = 0.2 * float(np.median(rest[used] ** 2)) / 0.455
    found: FloatArray = 1 / np.maximum(np.polyval(from_mean, model), least)
    return found


def _sound(rest: FloatArray, model: FloatArray, lag: FloatArray) -> BoolArray:
    """Return where there is no defect: where the mean over a box is no more than noise."""
    usual = _weights(rest, model, np.ones(rest.shape, dtype=bool))
    score = uniform_filter(rest * np.sqrt(usual), _BOX, mode="reflect") * _BOX
    spread = 1.4826 * float(np.median(np.abs(score)))
    bad = maximum_filter(np.abs(score) > _DEFECT * max(spread, 1.0), 2 * _BOX + 1)
    if bad.mean() > 0.6:
        bad = np.abs(score) > np.quantile(np.abs(score), 0.8)
    found: BoolArray = ~bad & (np.abs(lag) < 1e-11)[None, :]
    return found


def _finished(frame: FloatArray, space: _Basis, state: _State, index: FloatArray) -> LatticeFit:
    found, model, by_x, by_y = _solved(frame, space, state, index)
    rest = frame - model
    weight = _weights(rest, model, state.used)
    known = np.sum(state.used * weight * by_x**2, axis=1)
    return LatticeFit(
        state.basis, index, found, float(space.x[1] - space.x[0]), state.shifts,
        np.sqrt(_alike(rest, by_x, state.used) / np.maximum(known, 1e-300)),
        model, by_x, by_y, rest, state.used,
        len(found) + len(frame) + 4,
    )  # fmt: skip


def _alike(rest: FloatArray, slope: FloatArray, used: BoolArray) -> float:
    """Return by how much more the shift of a line varies because its noise is correlated.

    ``1 + 2 sum r_k s_k``, r and s the autocorrelations of noise and of the slope it is weighted
    with: the variance of a weighted sum.
    """
    noise, weight = np.where(used, rest, 0.0), np.where(used, slope, 0.0)
    powers = float(np.sum(noise**2)), float(np.sum(weight**2))
    more = 1.0
    for lag in range(1, 9):
        both = [float(np.sum(one[:, lag:] * one[:, :-lag])) for one in (noise, weight)]
        more += 2 * both[0] / powers[0] * both[1] / powers[1]
    return max(more, 0.3)
