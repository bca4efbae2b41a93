"""Many particles on a film: how much of which material lies along the beam at any place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nanopilot.twins.stem.samples.film import Film
from nanopilot.twins.stem.samples.recipe import FloatArray, IntArray
from nanopilot.twins.stem.samples.solids import Solid

#: From so many particles on, places are found through a tree.
_MANY = 24


@dataclass(frozen=True, slots=True, eq=False)
class Particle:
    """One particle.

    Parameters
    ----------
    x, y : float
        Middle in metres.
    solid : Solid
        Its body.
    material : str
        Of it; where there is a core, of what is round that.
    core : Solid, optional
        Inside it, the same middle.
    core_material : str
        Of the core.
    """

    x: float
    y: float
    solid: Solid
    material: str
    core: Solid | None = None
    core_material: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Zoo:
    """Particles on a film; a `Matter`.

    Parameters
    ----------
    film : Film
        What they lie on, of carbon.
    particles : sequence of Particle
        In the order of their numbers.
    materials : tuple of str
        "carbon" first, then every material of a particle.
    """

    film: Film
    particles: Sequence[Particle]
    materials: tuple[str, ...]

    @property
    def by_atoms(self) -> tuple[bool, ...]:
        """None is known atom by atom."""
        return (False,) * len(self.materials)

    def thickness(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along the beam at places in metres, shape (materials, *x.shape)."""
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        total = np.zeros((len(self.materials), x.size))
        total[0] = self.film(x, y).ravel()
        for _, particle, places, chord in self._met(x.ravel(), y.ravel()):
            row = self.materials.index(particle.material)
            if particle.core is None:
                total[row, places] += chord
                continue
            inner = particle.core.chord(
                x.ravel()[places] - particle.x, y.ravel()[places] - particle.y
            )
            total[row, places] += chord - inner
            total[self.materials.index(particle.core_material), places] += inner
        return total.reshape(len(self.materials), *x.shape)

    def number(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the number of the particle, from 1, at places in metres; 0: none.

        Where several lie along the beam, that of the thickest.
        """
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        most, found = np.zeros(x.size), np.zeros(x.size)
        for number, _, places, chord in self._met(x.ravel(), y.ravel()):
            more = chord > most[places]
            most[places[more]], found[places[more]] = chord[more], number + 1
        return found.reshape(x.shape)

    def inner_share(self, material: str, depth: float, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return which part of a material along the beam lies deeper than `depth` (m) in particles.

        Where there is none of it, 1. Shape as x.
        """
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        whole, inner = np.zeros(x.size), np.zeros(x.size)
        for _, one, places, chord in self._met(x.ravel(), y.ravel()):
            if one.material != material or one.core is not None:
                continue
            radius = (3 * one.solid.volume / (4 * np.pi)) ** (1 / 3)
            smaller = one.solid.scaled(max(1 - depth / radius, 1e-6))
            whole[places] += chord
            inner[places] += smaller.chord(x.ravel()[places] - one.x, y.ravel()[places] - one.y)
        share = np.divide(inner, whole, out=np.ones(x.size), where=whole > 0)
        return share.reshape(x.shape)

    def _met(
        self, x: FloatArray, y: FloatArray
    ) -> Iterator[tuple[int, Particle, IntArray, FloatArray]]:
        """Yield number, particle, the places over it, and its thickness there."""
        if not x.size or not self.particles:
            return
        reach = np.array([one.solid.reach for one in self.particles])
        px = np.array([one.x for one in self.particles])
        py = np.array([one.y for one in self.particles])
        near = (px + reach >= x.min()) & (px - reach <= x.max())
        near &= (py + reach >= y.min()) & (py - reach <= y.max())
        few = np.flatnonzero(near)
        for number, places in zip(few, _around(x, y, (px, py, reach), few), strict=True):
            one = self.particles[int(number)]
            if len(places):
                yield (
                    int(number),
                    one,
                    places,
                    one.solid.chord(x[places] - one.x, y[places] - one.y),
                )


def _around(
    x: FloatArray, y: FloatArray, discs: tuple[FloatArray, FloatArray, FloatArray], few: IntArray
) -> Iterator[IntArray]:
    """Yield the indices of the places in each of a few discs (x, y, radius)."""
    px, py, reach = discs
    if len(few) < _MANY:
        for number in few:
            inside = (np.abs(x - px[number]) <= reach[number]) & (
                np.abs(y - py[number]) <= reach[number]
            )
            yield np.flatnonzero(inside)
        return
    from scipy.spatial import cKDTree

    tree = cKDTree(np.column_stack([x, y]))
    for number in few:
        found = tree.query_ball_point((px[number], py[number]), reach[number], return_sorted=True)
        yield np.array(found, dtype=np.int64)
