"""Where the polarisation of a ferroelectric film points: c-domains, a-domains, walls."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from nanopilot.twins.spm.samples.layers import borders, smooth_field
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid


@dataclass(frozen=True, slots=True)
class Stripe:
    """One a-domain: a straight stripe whose polarisation lies in the plane.

    Parameters
    ----------
    x, y : float
        Its middle in metres.
    angle : float
        Along which it runs, counter-clockwise from x, in radians.
    width, length : float
        Metres; the ends are blunt.
    sign : float
        Which flank is the higher one: 1 or -1.
    """

    x: float
    y: float
    angle: float
    width: float
    length: float
    sign: float

    def along(self, grid: Grid) -> tuple[FloatArray, FloatArray]:
        """Return distances from its middle, across and along, in metres."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        dx, dy = grid.x - self.x, grid.y - self.y
        return cos * dy - sin * dx, cos * dx + sin * dy


def c_domains(
    rng: np.random.Generator, grid: Grid, *, size: float, up: float, width: float
) -> FloatArray:
    """Return the polarisation of 180° domains, -1 to 1.

    A random field is cut at the level that leaves the share `up` above; near the cut, its value
    over its slope is the distance to the wall, across which the polarisation is tanh(d / width)
    (Landau theory; Cao and Cross, Phys. Rev. B 44, 5 (1991), eq. 16).

    Parameters
    ----------
    rng : numpy.random.Generator
        The field.
    grid : Grid
        Where.
    size : float
        Correlation length of the field in metres.
    up : float
        Share of the area that points up.
    width : float
        Of a wall in metres.
    """
    if up in (0.0, 1.0):
        return np.full(grid.shape, 2.0 * up - 1.0)
    field = smooth_field(rng, grid, size / 2)
    # A small piece has a mean of its own; the cut follows the piece, not the ensemble.
    field -= np.quantile(field, 1 - up)
    slope = np.hypot(*np.gradient(field, grid.pitch))
    # Far from a wall a flat place would look like a near one: a fifth of the rms slope is a floor.
    floor = 0.2 * 2 / size
    polarisation: FloatArray = np.tanh(field / (np.maximum(slope, floor) * width))
    return polarisation


def stripes(
    rng: np.random.Generator, grid: Grid, *, share: float, width: float, axis: float
) -> list[Stripe]:
    """Return a-domains that together cover a share of the field, nearly.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where they are.
    grid : Grid
        The field.
    share : float
        Of the area.
    width : float
        Mean width in metres.
    axis : float
        Direction of one crystal axis in radians; they run along it or at right angles to it.
    """
    found: list[Stripe] = []
    wanted = share * grid.extent[0] * grid.extent[1]
    covered = 0.0
    while covered < wanted and len(found) < 2000:
        wide = width * rng.uniform(0.7, 1.3)
        length = rng.uniform(0.3, 1.2) * grid.size
        x, y = (rng.uniform(-0.5, 0.5) * side for side in grid.extent)
        angle = axis + float(rng.choice((0.0, math.pi / 2)))
        one = Stripe(x, y, angle, wide, length, float(rng.choice((-1.0, 1.0))))
        across, along = one.along(grid)
        inside = np.count_nonzero((np.abs(across) <= wide / 2) & (np.abs(along) <= length / 2))
        covered += inside * grid.pitch**2
        found.append(one)
    return found


def lie_of(stripe: Stripe, grid: Grid, *, wall: float) -> FloatArray:
    """Return how far every place belongs to an a-domain, 0 to 1, with a wall of that width."""
    across, along = stripe.along(grid)
    inside = np.minimum(stripe.width / 2 - np.abs(across), stripe.length / 2 - np.abs(along))
    lie: FloatArray = 0.5 * (1 + np.tanh(inside / wall))
    return lie


def wedge(stripe: Stripe, grid: Grid, *, tilt: float, decay: float) -> FloatArray:
    """Return the height of the surface over an a-domain in metres.

    Inside, the surface is tilted by the tetragonal angle; outside, the clamped film comes back to
    its level within `decay`. At its ends the wedge fades over its own width.

    Parameters
    ----------
    stripe : Stripe
        The domain.
    grid : Grid
        Where.
    tilt : float
        Slope, metres per metre.
    decay : float
        Metres.
    """
    across, along = stripe.along(grid)
    half = stripe.width / 2
    level = np.clip(across, -half, half)
    outside = np.abs(across) - half
    level = level * np.exp(-np.maximum(outside, 0) / decay)
    end = np.clip((stripe.length / 2 - np.abs(along)) / stripe.width + 0.5, 0, 1)
    height: FloatArray = stripe.sign * tilt * level * end
    return height


def distance_to_walls(polarisation: FloatArray, in_plane: FloatArray, pitch: float) -> FloatArray:
    """Return the distance of every pixel to the nearest wall in metres; inf without any."""
    wall = borders(polarisation > 0) | borders(in_plane > 0.5)
    if not wall.any():
        return np.full(wall.shape, np.inf)
    distance: FloatArray = distance_transform_edt(~wall, sampling=pitch)
    return distance
