"""A ferroelectric film whose hysteresis follows the curvature of its domain walls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter, laplace

from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Axis, Signal, make_signal

#: How long the film relaxes, in Landau time units: walls form and settle on pinning centres.
_RELAXATION = 12.0
#: Pixels simulated beyond each edge, so that the edge of the field is no edge of the film.
_MARGIN = 12
#: Bias cycle of the loops: 0 to 8.5 to -8.5 V and back, as recorded on real films.
_POINTS, _HIGHEST_BIAS = 64, 8.5
#: Softness of the switching in V, and the response of a saturated site in a.u.
_SOFTNESS, _RESPONSE = 0.4, 2e-4
#: Bias that switches a site without walls (V), decades that pinning can add, and the
#: pressure, in Landau units, that adds half of them.
_FREE_BIAS, _DECADES, _HALF_PRESSURE = 0.7, 1.0, 0.05


class Recording(NamedTuple):
    """What an instrument has of the film.

    Parameters
    ----------
    structure : Signal
        Response at zero bias before anything was poled, dims (y, x), a.u.
    loops : Signal
        Steady-state hysteresis loop of every site, dims (y, x, bias), a.u.
    """

    structure: Signal
    loops: Signal


@dataclass(frozen=True, slots=True)
class DomainWalls:
    """A film with two polarisation states, relaxed in a field of random pinning centres.

    Polarisation follows the Landau equation ∂P/∂t = P - P³ + ξ²∇²P + h(x, y) from a random
    start, h being weak and random. A wall comes to rest where its line tension is held by
    pinning centres, so that its curvature κ shows how hard it is held: the Laplace pressure
    q = |κ| ξ² |∇P|². A tip feels q over its own reach and has to overcome it: the coercive
    bias grows as log10 Vc = log10 V0 + q / (q + q_half). The area of the loop is close to
    4 Vc times the saturated response. This is a model of a film, not a law.

    Parameters
    ----------
    seed : int
        Of walls, pinning and noise alike.
    sites : int
        Rows and columns of the image and of the grid of loops.
    field_of_view : float
        First to last pixel centre, in m.
    domain_size, wall_width, tip_reach : float
        Correlation length of the start, wall width ξ and standard deviation of the tip's
        field, in m.
    pinning : float
        Standard deviation of h in Landau units.
    image_noise, loop_noise : float
        Standard deviation of the noise, as a fraction of the saturated response.
    scatter : float
        Standard deviation of log10 Vc from one measurement to the next, in decades.
    spikes : float
        Share of the bias points of a loop that carry a spike of up to a hundred times the
        response.

    Examples
    --------
    >>> film = DomainWalls(seed=1, sites=21)
    >>> film.record().loops.sizes["bias"], film.truth().shape
    (64, (21, 21))
    """

    seed: int
    sites: int = 85
    field_of_view: float = 2e-6
    domain_size: float = 190e-9
    wall_width: float = 36e-9
    tip_reach: float = 48e-9
    pinning: float = 0.2
    image_noise: float = 0.05
    loop_noise: float = 0.05
    scatter: float = 0.03
    spikes: float = 0.005

    def record(self) -> Recording:
        """Return what an instrument measures: image and loops, noise and spikes included."""
        axis = Axis(np.linspace(0.0, self.field_of_view, self.sites), "m", "position")
        bias = Axis(bias_cycle(), "V", "bias")
        noise = np.random.default_rng([self.seed, 1])
        state = self._polarisation()
        image = self._inner(state)
        image = _RESPONSE * (image + self.image_noise * noise.standard_normal(image.shape))
        decades = self._log_coercive_bias(state)
        decades = decades + self.scatter * noise.standard_normal(decades.shape)
        loops = loop(bias.values, 10.0**decades)
        loops += self.loop_noise * _RESPONSE * noise.standard_normal(loops.shape)
        hit = np.asarray(noise.random(loops.shape) < self.spikes)
        loops[hit] += 100.0 * _RESPONSE * noise.uniform(-1.0, 1.0, int(hit.sum()))
        about = {"quantity": "piezoresponse", "units": "a.u."}
        metadata = {"sample": "domain-walls", "seed": self.seed}
        return Recording(
            make_signal(image, {"y": axis, "x": axis}, **about, metadata=metadata),
            make_signal(loops, {"y": axis, "x": axis, "bias": bias}, **about, metadata=metadata),
        )

    def truth(self) -> FloatArray:
        """Return log10 of the area of the loop without noise, log10(a.u. V), shape (y, x).

        For judging a run from outside; nothing inside one may ask for it.
        """
        bias = bias_cycle()
        loops = loop(bias, 10.0 ** self._log_coercive_bias(self._polarisation()))
        ahead = np.roll(loops, -1, axis=-1)
        area = 0.5 * np.abs((bias * ahead - np.roll(bias, -1) * loops).sum(axis=-1))
        return np.asarray(np.log10(area))

    def _pixels(self, length: float) -> float:
        return length * (self.sites - 1) / self.field_of_view

    def _inner(self, values: FloatArray) -> FloatArray:
        return values[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]

    def _polarisation(self) -> FloatArray:
        """Relax a random start; shape (sites + 2 margins,) * 2, in units of the spontaneous one."""
        rng = np.random.default_rng([self.seed, 0])
        shape = (self.sites + 2 * _MARGIN,) * 2
        start = gaussian_filter(rng.standard_normal(shape), self._pixels(self.domain_size))
        # Outside of ±1 the cubic term would ask for a shorter step than the walls do.
        state: FloatArray = np.clip(start / start.std(), -1.0, 1.0)
        # Pinning centres are about as wide as a wall: finer ones average out over it.
        held = gaussian_filter(rng.standard_normal(shape), 1.3 * self._pixels(self.wall_width))
        held *= self.pinning / held.std()
        stiffness = self._pixels(self.wall_width) ** 2
        # An explicit step is stable below 2 / (8 ξ² + 2); half of that damps every mode.
        steps = int(np.ceil(_RELAXATION * (8.0 * stiffness + 2.0)))
        for _ in range(steps):
            force = state - state**3 + stiffness * laplace(state, mode="nearest") + held
            state = state + _RELAXATION / steps * force
        return state

    def _log_coercive_bias(self, state: FloatArray) -> FloatArray:
        pressure = wall_pressure(state, self._pixels(self.wall_width))
        felt = self._inner(gaussian_filter(pressure, self._pixels(self.tip_reach)))
        return np.asarray(np.log10(_FREE_BIAS) + _DECADES * felt / (felt + _HALF_PRESSURE))


def bias_cycle() -> FloatArray:
    """Return the bias of every point of a loop, in V, shape (64,)."""
    quarter = _POINTS // 4
    step = np.arange(_POINTS)
    triangle = np.abs((step + 3 * quarter) % _POINTS - 2 * quarter) / quarter - 1.0
    return _HIGHEST_BIAS * triangle


def loop(bias: FloatArray, coercive_bias: FloatArray) -> FloatArray:
    """Return steady-state loops without noise, shape (..., points), a.u.

    Parameters
    ----------
    bias : numpy.ndarray
        One cycle, shape (points,), in V.
    coercive_bias : numpy.ndarray
        Shape (...), in V.
    """
    # The branch a point belongs to shows in the way the bias moves towards it.
    rising = np.where(bias >= np.roll(bias, 1), 1.0, -1.0)
    return _RESPONSE * np.tanh((bias - rising * coercive_bias[..., None]) / _SOFTNESS)


def wall_pressure(polarisation: FloatArray, width: float) -> FloatArray:
    """Return the Laplace pressure |κ| ξ² |∇P|² of the walls.

    κ = ∇·(∇P / |∇P|), the curvature of the level line through each point, in 1/pixel.

    Parameters
    ----------
    polarisation : numpy.ndarray
        P, shape (y, x).
    width : float
        ξ in pixels.
    """
    py, px = np.gradient(polarisation)
    pyy, pyx = np.gradient(py)
    _, pxx = np.gradient(px)
    bend = np.abs(pxx * py**2 - 2.0 * px * py * pyx + pyy * px**2)
    # |κ| |∇P|² is bend / |∇P|, which tends to 0 where there is no wall.
    slope = np.hypot(px, py)
    return np.asarray(width**2 * bend / np.maximum(slope, 1e-9))
