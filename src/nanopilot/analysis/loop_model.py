"""Two switching steps on a sloping line, fitted to many loops at once by variable projection."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import numpy as np
from scipy.special import erf

from nanopilot.core.history import FloatArray

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: The search ends when a step is this small (in widths, and in the logarithm of a width) or
#: takes away no more than this share of the residual.
TOLERANCE, GAIN = 1e-7, 1e-9
STEPS = 150
#: Standard deviation of the logarithm of a width, in halves of the range it may have.
SPREAD = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """One cycle of bias, from the largest down and back up.

    Parameters
    ----------
    bias : numpy.ndarray
        In V, shape (points,).
    rising : numpy.ndarray of bool
        Which points are on the way up, shape (points,).
    """

    bias: FloatArray
    rising: BoolArray

    @property
    def step(self) -> float:
        """Typical distance of neighbours in V."""
        steps = np.abs(np.diff(self.bias))
        return float(np.median(steps[steps > 0]))

    @property
    def span(self) -> float:
        """Largest minus smallest bias in V."""
        return float(np.ptp(self.bias))

    def switched(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the step from -1 to 1 on each branch, and its derivatives.

        Parameters
        ----------
        theta : numpy.ndarray
            Bias of the step going up and going down, in V, and the logarithms of their
            widths in V, shape (n, 4).

        Returns
        -------
        tuple of numpy.ndarray
            erf((V - V_step) / width), shape (n, points); its derivatives by the biases in
            widths and by the logarithms, shape (n, points, 4).
        """
        where = np.where(self.rising, theta[:, :1], theta[:, 1:2])
        width = np.exp(np.where(self.rising, theta[:, 2:3], theta[:, 3:]))
        u = (self.bias - where) / width
        slope = -2.0 / sqrt(pi) * np.exp(-(u**2))
        own = np.stack([self.rising, ~self.rising], axis=-1)
        both = np.stack([slope, slope * u], axis=-1)
        return erf(u), np.concatenate([both[..., k, None] * own for k in (0, 1)], axis=-1)

    def start(self, loops: FloatArray) -> FloatArray:
        """Return the best of a grid of steps for each loop, shape (n, 4).

        Parameters
        ----------
        loops : numpy.ndarray
            Shape (n, points), without spikes.
        """
        low, high = self.bias.min(), self.bias.max()
        places = np.linspace(low, high, 15)[1:-1]
        widths = np.log(np.geomspace(max(self.step, self.span / 32), self.span / 4, 3))
        every = np.meshgrid(places, places, widths, widths)
        grid = np.stack([part.ravel() for part in every], axis=1)
        bases, _ = np.linalg.qr(self._basis(self.switched(grid)[0]))
        flat = bases.transpose(1, 0, 2).reshape(len(self.bias), -1)
        energy = ((loops @ flat) ** 2).reshape(len(loops), len(grid), 3).sum(axis=-1)
        return np.asarray(grid[np.argmax(energy, axis=1)])

    def project(self, loops: FloatArray, weights: FloatArray, theta: FloatArray) -> Projected:
        """Take out what is linear: offset, slope and height.

        Parameters
        ----------
        loops, weights : numpy.ndarray
            Shape (n, points); a weight is 0 or 1.
        theta : numpy.ndarray
            Shape (n, 4), see `switched`.
        """
        shape, slopes = self.switched(theta)
        basis = self._basis(shape) * weights[..., None]
        normal = basis.transpose(0, 2, 1) @ basis
        # A loop of which nothing is left has no basis; a little of the unit matrix gives it 0.
        normal += 1e-12 * len(self.bias) * np.eye(3)
        onto = basis.transpose(0, 2, 1) @ (loops * weights)[..., None]
        linear: FloatArray = np.linalg.solve(normal, onto).astype(np.float64)
        rest = loops * weights - (basis @ linear)[..., 0]
        change = slopes * weights[..., None] * linear[:, 2:, :]
        inner = np.linalg.solve(normal, basis.transpose(0, 2, 1) @ change)
        jacobian = change - basis @ inner
        return Projected(linear[..., 0], rest, jacobian, np.concatenate([basis, change], axis=-1))

    def descend(
        self, loops: FloatArray, weights: FloatArray, theta: FloatArray, noise2: FloatArray
    ) -> tuple[FloatArray, BoolArray]:
        """Minimise the residual of every loop; return theta and whether it came to rest.

        Parameters
        ----------
        loops, weights : numpy.ndarray
            Shape (n, points).
        theta : numpy.ndarray
            Where to begin, shape (n, 4).
        noise2 : numpy.ndarray
            Variance of the noise, shape (n,): how much `usual` counts; 0: not at all.
        """
        theta, rested = theta.copy(), np.zeros(len(loops), dtype=bool)
        damping = np.full(len(loops), 1e-3)
        here = self.project(loops, weights, theta).held(self, theta, noise2)
        for _ in range(STEPS):
            active = np.flatnonzero(~rested)
            if active.size == 0:
                break
            there, length, hoped = self._bounded(theta[active], here.take(active), damping[active])
            then = self.project(loops[active], weights[active], there)
            then = then.held(self, there, noise2[active])
            gain = here.energy[active] - then.energy
            better = gain >= 0
            small = (length < TOLERANCE) | (better & (gain <= GAIN * here.energy[active]))
            theta[active[better]] = there[better]
            here.put(active[better], then.take(np.flatnonzero(better)))
            # Steps that keep less than they promise swing to and fro across the minimum.
            firm = gain >= 0.25 * hoped
            damping[active] *= np.where(better & firm, 0.2, 5.0)
            damping[active] = np.where(firm, damping[active], np.maximum(damping[active], 0.1))
            rested[active[small]] = True
        return theta, rested

    def _bounded(
        self, theta: FloatArray, here: Projected, damping: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        low, high, span = self.bias.min(), self.bias.max(), self.span
        least, most = np.log([self.narrowest, 2.0 * span])
        # What stands at its bound and wants beyond is left out, or it would block the others.
        gradient = here.jacobian.transpose(0, 2, 1) @ here.rest[..., None]
        stuck = np.zeros(theta.shape, dtype=bool)
        stuck[:, 2:] = (theta[:, 2:] <= least) & (gradient[:, 2:, 0] < 0)
        stuck[:, 2:] |= (theta[:, 2:] >= most) & (gradient[:, 2:, 0] > 0)
        jacobian = np.where(stuck[:, None, :], 0.0, here.jacobian)
        normal = jacobian.transpose(0, 2, 1) @ jacobian
        gradient = np.where(stuck[..., None], 0.0, gradient)
        diagonal = np.einsum("nkk->nk", normal)
        floor = 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-30
        damped = normal + (damping[:, None] * diagonal + floor)[..., None] * np.eye(4)
        # Beyond a width or a doubling the linearisation says nothing.
        step = np.clip(np.linalg.solve(damped, gradient)[..., 0], -0.7, 0.7)
        wide = np.exp(theta[:, 2:])
        there = theta + np.concatenate([step[:, :2] * wide, step[:, 2:]], axis=1)
        there[:, :2] = there[:, :2].clip(low - 0.25 * span, high + 0.25 * span)
        there[:, 2:] = there[:, 2:].clip(least, most)
        moved = np.abs(there - theta) / np.concatenate([wide, np.ones_like(wide)], axis=1)
        hoped = 2.0 * (gradient[..., 0] * step).sum(axis=1)
        hoped -= np.einsum("nk,nkl,nl->n", step, normal, step)
        return there, moved.max(axis=1), hoped

    @property
    def usual(self) -> tuple[float, float]:
        """Logarithm of the usual width in V, and by how much it differs from step to step.

        A width lies between the distance of two points and a quarter of the sweep, as in the grid
        of `start`: what is sharper or wider can be told where noise is small, and is noise where
        it is large.
        """
        low, high = np.log([self.step, 0.25 * self.span])
        return 0.5 * float(low + high), SPREAD * 0.5 * float(high - low)

    @property
    def narrowest(self) -> float:
        """Least width in V: nearly all of such a step falls between two points."""
        return 0.3 * self.step

    def _basis(self, shape: FloatArray) -> FloatArray:
        line = np.broadcast_to(self.bias / self.span, shape.shape)
        return np.stack([np.ones_like(shape), line, shape], axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """What is left of n loops at given steps.

    Parameters
    ----------
    linear : numpy.ndarray
        Offset, slope times span, and height, shape (n, 3).
    rest : numpy.ndarray
        Weighted residuals, shape (n, points).
    jacobian : numpy.ndarray
        Of the projected model (Kaufman, BIT 15, 49, 1975), shape (n, points, 4).
    whole : numpy.ndarray
        Of the model by its linear and its other parameters, shape (n, points, 7).
    """

    linear: FloatArray
    rest: FloatArray
    jacobian: FloatArray
    whole: FloatArray

    @property
    def energy(self) -> FloatArray:
        """Sum of squared residuals, shape (n,)."""
        return np.asarray((self.rest**2).sum(axis=1))

    def held(self, sweep: Sweep, theta: FloatArray, noise2: FloatArray) -> Projected:
        """Return the same with two more residuals: how far widths are from the usual.

        As a normal prior for the logarithms of the widths does.
        """
        middle, spread = sweep.usual
        pull = np.sqrt(noise2)[:, None] / spread
        rest = np.concatenate([self.rest, pull * (middle - theta[:, 2:])], axis=1)
        rows = np.zeros((len(theta), 2, 4))
        rows[:, [0, 1], [2, 3]] = pull
        return Projected(
            self.linear, rest, np.concatenate([self.jacobian, rows], axis=1), self.whole
        )

    def take(self, rows: np.ndarray) -> Projected:
        """Return some of the loops."""
        return Projected(self.linear[rows], self.rest[rows], self.jacobian[rows], self.whole[rows])

    def put(self, rows: np.ndarray, other: Projected) -> None:
        """Overwrite some of the loops."""
        for name in ("linear", "rest", "jacobian", "whole"):
            getattr(self, name)[rows] = getattr(other, name)
