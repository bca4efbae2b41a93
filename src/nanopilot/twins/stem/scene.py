"""A sample of the electron twin: atoms known one by one, matter known by its thickness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from nanopilot.core.errors import SignalError, UnknownName
from nanopilot.core.limits import Area

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
#: Something true of every place: takes x and y in metres, any one shape, and returns that shape.
Field = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """Atoms, one by one.

    Parameters
    ----------
    position : numpy.ndarray
        Metres, shape (n, 3): x, y, and z along the beam, the beam comes from z = -infinity.
    number : numpy.ndarray
        Atomic numbers, shape (n,).
    rms : numpy.ndarray
        Thermal displacement along each axis in metres (root mean square), shape (n,).
    site : numpy.ndarray
        Index into `sites`, shape (n,): what place of the structure it is.
    sites : tuple of str
        Such as ``("Mo", "S top", "S bottom", "edge", "dopant")``.
    displacement_energy : numpy.ndarray
        What a nucleus has to be given to leave, in eV, shape (n,); infinite: it stays.
    radiolysis : numpy.ndarray
        Cross section in m² per incident electron of leaving by ionisation at 100 kV, shape (n,).
    """

    position: FloatArray
    number: IntArray
    rms: FloatArray
    site: IntArray
    sites: tuple[str, ...]
    displacement_energy: FloatArray
    radiolysis: FloatArray

    def __post_init__(self) -> None:
        count = len(self.number)
        if self.position.shape != (count, 3) or not np.isfinite(self.position).all():
            raise SignalError(
                f"`position` has shape {self.position.shape}; it is finite, ({count}, 3)."
            )
        for name in ("rms", "site", "displacement_energy", "radiolysis"):
            if getattr(self, name).shape != (count,):
                raise SignalError(f"`{name}` has not one value for each of {count} atoms.")
        if count and not 0 <= self.site.min() <= self.site.max() < len(self.sites):
            raise SignalError("`site` is no index into `sites`.")

    def __len__(self) -> int:
        return len(self.number)

    def keep(self, kept: np.ndarray[Any, Any]) -> Atoms:
        """Return some of the atoms, by mask or index."""
        return Atoms(
            self.position[kept], self.number[kept], self.rms[kept], self.site[kept], self.sites,
            self.displacement_energy[kept], self.radiolysis[kept],
        )  # fmt: skip


class Matter(Protocol):
    """Matter of which the thickness is known, and not each atom."""

    @property
    def materials(self) -> tuple[str, ...]:
        """Names in `nanopilot.twins.stem.materials.MATERIALS`."""

    @property
    def by_atoms(self) -> tuple[bool, ...]:
        """Which of them `Scene.atoms` has atom by atom: images then do not count them twice."""

    def thickness(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along the beam at places in metres, shape (materials, *x.shape)."""


@dataclass(frozen=True, slots=True, eq=False)
class Both:
    """Matter of two kinds in one place, such as a sample and what has grown on it.

    Parameters
    ----------
    one, other : Matter
        The two.
    """

    one: Matter
    other: Matter

    @property
    def materials(self) -> tuple[str, ...]:
        """Of the one, then of the other."""
        return (*self.one.materials, *self.other.materials)

    @property
    def by_atoms(self) -> tuple[bool, ...]:
        """Of the one, then of the other."""
        return (*self.one.by_atoms, *self.other.by_atoms)

    def thickness(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return metres along the beam at places in metres, shape (materials, *x.shape)."""
        both = [self.one.thickness(x, y), self.other.thickness(x, y)]
        found: FloatArray = np.concatenate(both)
        return found


class Excitations(Protocol):
    """Losses that no bulk material has: plasmons of particles, by place and energy."""

    def loss(self, x: FloatArray, y: FloatArray, energy: FloatArray) -> FloatArray:
        """Return the probability of a loss per eV at places (m) and energies (eV).

        Shape: that of x, then that of energy.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is on the stage, its middle at (0, 0).

    Parameters
    ----------
    name : str
        What it is.
    area : Area
        Where there is something, and where the stage goes, in metres.
    atoms : Atoms
        Those known one by one; none where the sample is too large for that.
    matter : Matter
        Everything, by thickness.
    height : callable
        Of the middle of the sample along z at places x, y, in metres: bent and wedged foils.
    fields : mapping of str to callable
        What is true of every place, by name: ``"phase"``, ``"valence"``, ``"strain_xx"``, ...
    meaning : mapping of str to (str, str)
        Quantity and SI unit of every field.
    facts : mapping
        What is true of the sample as a whole, as JSON: defects and where, columns, particles.
    excitations : Excitations, optional
        Plasmons of particles.
    valence : mapping of str to str
        By element symbol: the field that holds its valence.
    """

    name: str
    area: Area
    atoms: Atoms
    matter: Matter
    height: Field
    fields: Mapping[str, Field] = field(default_factory=dict)
    meaning: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    excitations: Excitations | None = None
    valence: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = sorted(set(self.fields) - set(self.meaning))
        if missing:
            raise SignalError(f"`{missing[0]}` has no `meaning`; give its quantity and SI unit.")

    def at(self, name: str, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return a field at places x, y in metres.

        Raises
        ------
        UnknownName
            The sample has no such field.
        """
        if name not in self.fields:
            raise UnknownName("field", name, tuple(self.fields))
        return self.fields[name](x, y)


def no_atoms() -> Atoms:
    """Return an empty list of atoms."""
    empty = np.zeros(0)
    whole = np.zeros(0, dtype=np.int64)
    return Atoms(np.zeros((0, 3)), whole, empty, whole, (), empty, empty)


def flat(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the height of a sample that is flat: 0."""
    del y
    return np.zeros(np.shape(x))
