"""What becomes of electrons: counts in the detectors, dose and damage on the sample."""

from __future__ import annotations

import numpy as np

from nanopilot.twins.stem.damage import leaving
from nanopilot.twins.stem.detectors import Detector
from nanopilot.twins.stem.fluence import beam_fluence
from nanopilot.twins.stem.imaging import Imager
from nanopilot.twins.stem.scene import FloatArray
from nanopilot.twins.stem.world import World


class Exposure:
    """A scan in progress: the same random numbers for a detector, whichever others are read.

    Parameters
    ----------
    world : World
        What is scanned, with what.
    dwell : float
        Seconds at every place.
    names : tuple of str
        Of the detectors that are read.
    """

    def __init__(self, world: World, dwell: float, names: tuple[str, ...]) -> None:
        self._world, self._dwell = world, dwell
        self._imager = Imager(world, names)
        self._rngs = {name: world.rng("noise", name) for name in names}

    def read(self, spots: FloatArray, when: FloatArray) -> dict[str, FloatArray]:
        """Return counts by detector; the sample is given its dose.

        Parameters
        ----------
        spots : numpy.ndarray
            Places on the sample in the order of the visit, (x, y) in metres, shape (n, 2).
        when : numpy.ndarray
            When each dwell begins, in seconds, shape (n,).
        """
        world = self._world
        electrons = world.electrons(when, self._dwell)
        caught = self._imager.fractions(spots)
        counts = {
            name: _detector(world, name).read(
                electrons * caught[name] * world.panel.values[f"Detectors.{name}_inserted"],
                when, self._dwell, rng,
            )
            for name, rng in self._rngs.items()
        }  # fmt: skip
        irradiate(world, spots, electrons)
        return counts


def rest_on(world: World, spots: FloatArray, when: FloatArray, seconds: float) -> None:
    """Give the sample the dose of a beam that stays for some seconds at each place."""
    irradiate(world, spots, world.electrons(when, seconds))
    settle(world)


def irradiate(world: World, spots: FloatArray, electrons: FloatArray) -> None:
    """Let electrons pass through places (m, shape (n, 2)): dose, growth, atoms that leave."""
    if not electrons.any():
        return
    x, y = spots[:, 0], spots[:, 1]
    world.delivered += float(electrons.sum())
    world.dose.add(x, y, electrons)
    world.grown.grow(x, y, electrons)
    if not len(world.scene.atoms):
        return
    sections = world.sections()
    frail = np.flatnonzero(world.there & (sections > 0))
    if not len(frail):
        return
    atoms = world.scene.atoms.position[frail, :2]
    middle = spots.mean(axis=0)
    height = float(world.height(middle[:1], middle[1:])[0])
    fluence = beam_fluence(spots, electrons, atoms, world.lens, height)
    gone = frail[leaving(sections[frail], fluence, world.rng("damage"))]
    if len(gone):
        world.lose(gone)


def settle(world: World) -> None:
    """Let what has grown be seen from now on."""
    if world.settings.damage.contamination > 0:
        for picture in world.pictures.values():
            picture.forget()


def _detector(world: World, name: str) -> Detector:
    """Return a detector as it is set; it remembers the light that is still to come."""
    values = world.panel.values
    reading = world.settings.detectors.named()[name].model_copy(
        update={
            "gain": values[f"Detectors.{name}_gain"],
            "offset": values[f"Detectors.{name}_offset"],
        }
    )
    detector = world.detectors.setdefault(name, Detector(reading))
    detector.reading = reading
    return detector
