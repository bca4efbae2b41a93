"""Matter by thickness: foils of several materials, side by side or one on the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nanopilot.twins.stem.samples.recipe import BoolArray, FloatArray
from nanopilot.twins.stem.scene import Field

#: Tells for places in metres whether something is there.
Inside = Callable[[FloatArray, FloatArray], BoolArray]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One material of a sample.

    Parameters
    ----------
    material : str
        Name in `nanopilot.twins.stem.materials.MATERIALS`.
    thickness : callable
        Metres at places in metres.
    inside : callable, optional
        Where it is; None: everywhere.
    by_atoms : bool
        The scene has it atom by atom.
    """

    material: str
    thickness: Field
    inside: Inside | None = None
    by_atoms: bool = False

    def at(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres at places in metres, shape as x."""
        found = np.maximum(self.thickness(x, y), 0.0)
        return found if self.inside is None else np.where(self.inside(x, y), found, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Layered:
    """Several parts: their thicknesses add up in each place.

    Parameters
    ----------
    parts : sequence of Part
        Each a row of what `thickness` returns.
    """

    parts: Sequence[Part] = ()

    @property
    def materials(self) -> tuple[str, ...]:
        """Names of the materials, one to a part."""
        return tuple(part.material for part in self.parts)

    @property
    def by_atoms(self) -> tuple[bool, ...]:
        """Which parts the scene has atom by atom."""
        return tuple(part.by_atoms for part in self.parts)

    def thickness(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along the beam at places in metres, shape (parts, *x.shape)."""
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        if not self.parts:
            return np.zeros((0, *x.shape))
        return np.stack([part.at(x, y) for part in self.parts])


def constant(value: float) -> Field:
    """Return a field that has one value everywhere."""

    def everywhere(x: FloatArray, y: FloatArray) -> FloatArray:
        del y
        return np.full(np.shape(x), value)

    return everywhere
