"""Frames and single values of a sample known atom by atom, for any lens and many detectors.

The image of every kind of atom is added up in Fourier space: one transform per kind, one back per
detector, and nothing but the latter and the lens when the focus changes. Few or far apart places
are summed over the atoms near them instead. What comes out are exponents for
`nanopilot.twins.stem.contrast.fractions`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.contrast import Ring, check_ring
from nanopilot.twins.stem.film import Film, power
from nanopilot.twins.stem.render_atoms import AtomsByKind, inside, turned_places
from nanopilot.twins.stem.render_direct import Neighbours
from nanopilot.twins.stem.render_kernels import FINER, gather
from nanopilot.twins.stem.render_lattice import GATHERED, good_size
from nanopilot.twins.stem.render_lens import reach_of, turned
from nanopilot.twins.stem.render_patch import Patch, lattice_of
from nanopilot.twins.stem.scene import Atoms

Array = np.ndarray[Any, np.dtype[Any]]

#: Most grid points along one side of a patch: half a gigabyte, everything counted.
LARGEST = 3072
#: Distance of foci that values are interpolated between, in units of wavelength / angle².
FOCUS_STEP = 0.25
#: Values from which on they are taken for lines of a frame.
_LINES = 1024
#: Nanoseconds: a grid point transformed once, a value gathered, one atom added to one value.
_COSTS = (25.0, 30.0, 45.0)


class Renderer:
    """Images of a sample.

    Parameters
    ----------
    atoms : Atoms
        All there are; `remove` takes some of them away.
    lens : Lens
        What forms the beam.
    rings : mapping of str to Ring
        Detectors by name; results have their order.
    film : Film, optional
        Matter that is there as well, known by its thickness.
    columns : bool
        Atoms below one another scatter together (`nanopilot.twins.stem.channelling`).

    Raises
    ------
    OutOfRange
        Detectors, voltage or elements outside the models.
    """

    def __init__(
        self,
        atoms: Atoms,
        lens: Lens,
        rings: Mapping[str, Ring],
        film: Film | None = None,
        columns: bool = False,
    ) -> None:
        _check(rings, lens)
        self.rings, self._lens, self._film = dict(rings), lens, film
        self._atoms = AtomsByKind(atoms, film, columns)
        self._atoms.pair(lens, rings)
        self._patch: Patch | None = None
        self._frame: tuple[tuple[Any, ...], Patch] | None = None
        self._near: Neighbours | None = None

    @property
    def lens(self) -> Lens:
        """What forms the beam."""
        return self._lens

    @property
    def sample(self) -> AtomsByKind:
        """The atoms that are there and the film, as `ronchigram` takes them."""
        return self._atoms

    def use(self, lens: Lens) -> None:
        """Form the beam with another lens from now on.

        What is known of the atoms is kept as long as voltage and convergence angle are.

        Raises
        ------
        OutOfRange
            Detectors or voltage outside the models.
        """
        before = self._lens.voltage, self._lens.convergence_angle
        if (lens.voltage, lens.convergence_angle) != before:
            _check(self.rings, lens)
            self._atoms.pair(lens, self.rings)
            self.forget()
        self._lens = lens

    def forget(self) -> None:
        """Drop all that was made ready, because the thickness of the film has changed."""
        self._patch = self._near = self._frame = None

    def remove(self, index: Array) -> None:
        """Take atoms away, by index into those that were given; gone ones may be named again."""
        atoms, reach = self._atoms, reach_of(self._lens)
        taken = atoms.leave(index)
        for kind, those in atoms.by_kind(np.flatnonzero(taken.any(axis=0))):
            self._near = self._frame = None
            if self._patch is None:
                continue
            x, y = atoms.position[those, :2].T
            near = inside(x, y, self._patch.lattice.corner, self._patch.lattice.period)
            self._patch.take(kind, np.stack([x, y, *taken[:, those]])[:, near], reach)

    def frame(
        self,
        corner: tuple[float, float],
        pixel: float,
        shape: tuple[int, int],
        height: float = 0.0,
        rotation: float = 0.0,
    ) -> Array:
        """Return the image on a regular grid: the direct sum over all atoms to 1e-5 of the peak.

        Parameters
        ----------
        corner : (float, float)
            x and y of the first pixel, in metres.
        pixel : float
            Metres.
        shape : (int, int)
            Rows and columns.
        height : float
            Of the sample, in metres downstream of where `lens` says its focus is.
        rotation : float
            Of the rows from the x axis, about the first pixel, in radians.

        Returns
        -------
        numpy.ndarray
            Exponents for `fractions`, float32, shape (detectors, rows, columns).

        Raises
        ------
        OutOfRange
            No pixels, or more than fit into memory in one piece; ask for `values` then.
        """
        if pixel <= 0 or min(shape) < 1:
            raise OutOfRange(f"`pixel` is {pixel:g} m and `shape` {shape}; both are positive.")
        lens = _rotated(self._lens, rotation)
        beyond = math.ceil(reach_of(lens, (height, height)) / pixel)
        points = tuple(good_size(count + 2 * beyond) for count in shape)
        finer = max(1, math.ceil(2 * (lens.cutoff + 2 / (min(points) * pixel)) * pixel))
        if max(points) * max(finer, FINER * 2 * lens.cutoff * pixel) > LARGEST:
            raise OutOfRange(
                f"`shape` is {shape} at {pixel:g} m; in one piece go {LARGEST} points that are "
                f"{1 / (2 * FINER * lens.cutoff):g} m apart: ask for values, place by place."
            )
        patch = self._framed((pixel, points, beyond), (*corner, rotation))
        images = patch.sampled(lens, height, (points[0] * finer, points[1] * finer))
        rows, columns = (slice(beyond * finer, (beyond + n) * finer, finer) for n in shape)
        found = np.stack([image[rows, columns] for image in images])
        if self._film is not None:
            x, y = _pixels(corner, pixel, shape, rotation)
            found += self._film.mean(x, y, lens, self.rings)
        return found

    def _framed(
        self, grid: tuple[float, tuple[int, ...], int], turn: tuple[float, float, float]
    ) -> Patch:
        pixel, points, beyond = grid
        if self._frame is None or self._frame[0] != (grid, turn):
            low, period = -beyond * pixel, (points[1] * pixel, points[0] * pixel)
            lattice = lattice_of(self._lens, (low, low), period)
            self._frame = (grid, turn), self._atoms.patch(lattice, self.rings, turn)
        return self._frame[1]

    def prepare(self, low: tuple[float, float], high: tuple[float, float], reach: float) -> bool:
        """Make ready for values between two corners (x, y) in m; return whether it was possible.

        Parameters
        ----------
        low, high : (float, float)
            Corners in metres.
        reach : float
            How far the beam goes, in metres (`reach_of`).
        """
        # Somewhat less than the reach will do: a little drift makes nothing anew.
        if self._patch is not None and self._patch.covers(low, high, 0.7 * reach):
            return True
        corner = low[0] - 1.3 * reach, low[1] - 1.3 * reach
        period = high[0] + 1.3 * reach - corner[0], high[1] + 1.3 * reach - corner[1]
        if max(period) * 2 * FINER * self._lens.cutoff > LARGEST:
            return False
        lattice = lattice_of(self._lens, corner, period)
        self._patch = self._atoms.patch(lattice, self.rings, (0.0, 0.0, 0.0))
        return True

    def values(self, x: Array, y: Array, height: Array | float = 0.0) -> Array:
        """Return the image at any places, each at its own height.

        On a grid that is fine enough for the beam, between whose points it is interpolated to 1e-4
        of the peak; or summed over the atoms near each place, without the last percents of the
        tails of the beam: whichever takes less time. Between heights it is interpolated through
        four foci.

        Parameters
        ----------
        x, y : numpy.ndarray
            Metres, any one shape.
        height : float or numpy.ndarray
            Of the sample there, in metres downstream of where `lens` says its focus is.

        Returns
        -------
        numpy.ndarray
            Exponents for `fractions`, float32, shape (detectors, *x.shape).
        """
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        out = np.zeros((len(self.rings), x.size), dtype=np.float32)
        if x.size and (self._film is not None or self._atoms.there.any()):
            heights = np.broadcast_to(np.asarray(height, dtype=float), x.shape).ravel()
            self._fill(x.ravel(), y.ravel(), heights, out)
        return out.reshape(len(self.rings), *x.shape)

    def _fill(self, x: Array, y: Array, heights: Array, out: Array) -> None:
        lowest, highest = float(heights.min()), float(heights.max())
        lens, reach = self._lens, reach_of(self._lens, (lowest, highest))
        low, high = (float(x.min()), float(y.min())), (float(x.max()), float(y.max()))
        step = FOCUS_STEP * lens.wavelength / lens.convergence_angle**2
        alone = highest - lowest < 1e-3 * step
        foci = 1 if alone else math.ceil((highest - lowest) / step) + 3
        asked = _Asked(low, high, len(x), len(self.rings), foci)
        by_grid = _grid_pays(self._atoms, lens, asked, self._patch)
        ready = self._patch is not None and self._patch.covers(low, high, 0.7 * reach)
        if by_grid and not ready and not self.prepare(low, _ahead(low, high, len(x)), reach):
            by_grid = self.prepare(low, high, reach)
        if not by_grid and (self._near is None or self._near.reach < reach):
            self._near = self._atoms.neighbours(self.rings, 1.2 * reach)
        for places, several, weights in focus_steps(heights, step, alone):
            for focus, weight in zip(several, weights, strict=True):
                part = np.zeros_like(out[:, places])
                if by_grid and self._patch is not None:
                    rows, columns = self._patch.lattice.in_steps(x[places], y[places])
                    gather(self._patch.grids(lens, float(focus)), rows, columns, GATHERED, part)
                elif self._near is not None:
                    self._near.add(x[places], y[places], lens, float(focus), part)
                out[:, places] += part * weight.astype(np.float32)
        if self._film is not None:
            out += self._film.mean(x, y, lens, self.rings)
            if not by_grid:
                out += _coarse_grain(self._film, x, y, lens, self.rings)


def _pixels(
    corner: tuple[float, float], pixel: float, shape: tuple[int, int], rotation: float
) -> tuple[Array, Array]:
    """Return x and y of the pixels of a frame in metres."""
    y, x = (one * pixel for one in np.indices(shape))
    x, y = turned_places(x, y, (0.0, 0.0, -rotation))
    return x + corner[0], y + corner[1]


def _check(rings: Mapping[str, Ring], lens: Lens) -> None:
    for ring in rings.values():
        check_ring(ring, lens.voltage, lens.convergence_angle)


def _rotated(lens: Lens, rotation: float) -> Lens:
    """Return a lens as seen along axes that are rotated (rad)."""
    if rotation == 0:
        return lens
    return lens.model_copy(update={"aberrations": turned(lens.aberrations, rotation)})


def _ahead(low: tuple[float, float], high: tuple[float, float], values: int) -> tuple[float, float]:
    """Return the far corner (m) to make ready for: lines are followed by as many as are long."""
    return high if values < _LINES else (high[0], max(high[1], low[1] + high[0] - low[0]))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Values asked for: where (corners in m), how many, of how many detectors, at how many foci."""

    low: tuple[float, float]
    high: tuple[float, float]
    values: int
    channels: int
    foci: int


def _grid_pays(atoms: AtomsByKind, lens: Lens, asked: _Asked, patch: Patch | None) -> bool:
    """Tell whether a grid takes less time than a sum over neighbours."""
    reach = reach_of(lens)
    size = tuple(b - a + 2 * reach for a, b in zip(asked.low, asked.high, strict=True))
    area = size[0] * size[1]
    points = area * (2 * FINER * lens.cutoff) ** 2
    if patch is not None and patch.covers(asked.low, asked.high, 0.7 * reach):
        points = 0.0
    if atoms.film is not None:
        # Grain is counted where the beam is wherever there can be a grid of a sensible size.
        return points < asked.values * 64 or points < 2**18
    within = atoms.within((asked.low[0] - reach, asked.low[1] - reach), (size[0], size[1]))
    near = int(within.sum()) / area * (2.4 * reach) ** 2
    point, value, atom = _COSTS
    each = asked.values * asked.channels * min(asked.foci, 4)
    grid = points * point * (len(atoms.kinds) + asked.foci * asked.channels) + each * value
    return grid < each * near * atom + 1e6


def _coarse_grain(film: Film, x: Array, y: Array, lens: Lens, rings: Mapping[str, Ring]) -> Array:
    """Return the grain at places so far apart that they have nothing to do with each other."""
    reach = reach_of(lens)
    lattice = lattice_of(lens, (0.0, 0.0), (2 * reach, 2 * reach))
    patch = Patch(lattice, rings)
    ky, kx = lattice.frequencies()
    twice = np.where(lattice.columns == 0, 1.0, 2.0) * power(
        np.sqrt(kx**2 + ky**2), film.distance()
    )
    spread = {
        number: np.array([
            float(np.sum(twice * np.abs(one.astype(complex)) ** 2)) / (4 * reach**2)
            for one in patch.transfers((number, 0.0), lens, 0.0)
        ])
        for number in film.elements()
    }  # fmt: skip
    return film.coarse(x, y, spread, lens.wavelength / lens.convergence_angle)


def focus_steps(heights: Array, step: float, alone: bool) -> list[tuple[Array, Array, Array]]:
    """Deal places out to the foci that their values are interpolated between.

    Parameters
    ----------
    heights : numpy.ndarray
        Metres, shape (n,).
    step : float
        Distance of foci in metres.
    alone : bool
        All have the same height, and need one focus.

    Returns
    -------
    list of (numpy.ndarray, numpy.ndarray, numpy.ndarray)
        Indices of places, heights of foci (m), and weights, shape (foci, places): Lagrange's
        polynomial through four.
    """
    if alone:
        return [(np.arange(len(heights)), heights[:1], np.ones((1, len(heights))))]
    focus = heights / step
    whole = np.floor(focus).astype(np.int64)
    found = []
    for first in np.unique(whole):
        places = np.flatnonzero(whole == first)
        t = focus[places] - first
        weights = np.stack([
            -t * (t - 1) * (t - 2) / 6, (t + 1) * (t - 1) * (t - 2) / 2,
            -(t + 1) * t * (t - 2) / 2, (t + 1) * t * (t - 1) / 6,
        ])  # fmt: skip
        found.append((places, (first + np.arange(-1, 3)) * step, weights))
    return found
