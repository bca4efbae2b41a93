"""What the beam goes through at a number of places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.twins.stem.materials import Material, material
from nanopilot.twins.stem.scene import Scene
from nanopilot.twins.stem.spectra.tables import atomic_number, symbol

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """What the beam goes through at n places.

    Parameters
    ----------
    materials : tuple of str
        Names in `nanopilot.twins.stem.materials.MATERIALS`.
    thickness : numpy.ndarray
        Metres along the beam, shape (materials, n).
    valence : mapping of str to numpy.ndarray
        By element symbol, shape (n,); who is not in it has the valence of its most common oxide.
    extra : numpy.ndarray, optional
        Probability of a further loss per eV, shape (n, energies), at the energies that spectra are
        asked for: what `nanopilot.twins.stem.scene.Excitations` gives.
    areal : mapping of str to numpy.ndarray
        Atoms per square metre under the beam, weighted by its intensity, by element symbol, shape
        (n,): takes the place of what the thickness says, for spectra that resolve atoms.

    Raises
    ------
    SignalError
        Shapes do not agree, or something is not finite.
    OutOfRange
        A thickness, a density or a probability is negative.
    UnknownName
        A material or an element is unknown.
    """

    materials: tuple[str, ...]
    thickness: FloatArray
    valence: Mapping[str, FloatArray] = field(default_factory=dict)
    extra: FloatArray | None = None
    areal: Mapping[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = np.shape(self.thickness)
        if len(shape) != 2 or shape[0] != len(self.materials):
            raise SignalError(f"`thickness` has shape {shape}; it is ({len(self.materials)}, n).")
        for name in self.materials:
            material(name)
        _check("thickness", self.thickness, shape)
        for table, values in (("valence", self.valence), ("areal", self.areal)):
            for element, value in values.items():
                atomic_number(element)
                _check(f"{table}[{element!r}]", value, (shape[1],))
        if self.extra is not None:
            wide = np.shape(self.extra)
            _check("extra", self.extra, (shape[1], *wide[1:2]))

    def __len__(self) -> int:
        return int(self.thickness.shape[1])

    @property
    def made_of(self) -> tuple[Material, ...]:
        """The materials themselves."""
        return tuple(material(name) for name in self.materials)

    def atoms(self) -> tuple[tuple[str, ...], FloatArray]:
        """Return element symbols, and atoms per square metre, shape (elements, n)."""
        found: dict[str, FloatArray] = {}
        for one, thickness in zip(self.made_of, self.thickness, strict=True):
            for number, density in one.concentration().items():
                name = symbol(number)
                found[name] = found.get(name, np.zeros(len(self))) + density * thickness
        found.update({name: np.asarray(value, float) for name, value in self.areal.items()})
        names = tuple(sorted(found, key=atomic_number))
        return names, np.array([found[name] for name in names]).reshape(len(names), len(self))

    def keep(self, kept: slice) -> Places:
        """Return some of the places."""
        return Places(
            self.materials,
            self.thickness[:, kept],
            {name: value[kept] for name, value in self.valence.items()},
            None if self.extra is None else self.extra[kept],
            {name: value[kept] for name, value in self.areal.items()},
        )


def _check(name: str, value: FloatArray, shape: tuple[int, ...]) -> None:
    if np.shape(value) != shape or not np.isfinite(value).all():
        raise SignalError(f"`{name}` has shape {np.shape(value)}; it is finite, {shape}.")
    if value.size and value.min() < 0:
        raise OutOfRange(f"`{name}` is {value.min():g} somewhere; it is 0 or more.")


def places(
    scene: Scene, x: FloatArray, y: FloatArray, energies: FloatArray | None = None
) -> Places:
    """Return what the beam goes through in a scene.

    Parameters
    ----------
    scene : Scene
        What is on the stage.
    x, y : numpy.ndarray
        Where the beam stands, in metres, shape (n,).
    energies : numpy.ndarray, optional
        Energies in eV of the spectra, shape (energies,), where the scene has excitations of its
        own and spectra of losses are wanted.

    Returns
    -------
    Places
        Thickness, valence and further losses; negative thicknesses are zero.
    """
    x, y = (np.ascontiguousarray(value, dtype=float) for value in (x, y))
    extra = None
    if scene.excitations is not None and energies is not None:
        extra = np.maximum(scene.excitations.loss(x, y, energies), 0.0)
    return Places(
        scene.matter.materials,
        np.maximum(scene.matter.thickness(x, y), 0.0),
        {element: scene.at(name, x, y) for element, name in scene.valence.items()},
        extra,
    )
