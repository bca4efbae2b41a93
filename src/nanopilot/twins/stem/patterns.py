"""Convergent-beam patterns and ronchigrams of what is under the beam, as fractions of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.core.limits import Violation
from nanopilot.models.electron_optics import Lens
from nanopilot.models.multislice import Calculation, Specimen, cut, patterns
from nanopilot.models.multislice.grid import beam_width, needed_width
from nanopilot.models.tds import condition, load_tds
from nanopilot.twins.stem.film import Film
from nanopilot.twins.stem.local import Neighbourhood, neighbourhood
from nanopilot.twins.stem.render_atoms import AtomsByKind
from nanopilot.twins.stem.ronchigram import View, field_of, ronchigram
from nanopilot.twins.stem.scene import FloatArray
from nanopilot.twins.stem.world import World

#: Places that lie within this (m) of each other are calculated in one box.
_TOGETHER = 1.5e-9
#: Widest beam in metres that a pattern is calculated for: the box of atoms grows with it.
_WIDEST = 1.2e-8
#: Steepest tilt of the sample in radians that the propagator holds for.
_STEEPEST = 0.1
#: Opening for a ronchigram, as a part of half the camera.
_OPEN = 0.9
#: Angle up to which what is scattered must not come round the box again, in radians.
_KEPT = 0.06


@dataclass
class PatternSource:
    """What the camera sees.

    Parameters
    ----------
    world : World
        Sample, lens and settings as they are now.
    """

    world: World

    def check(self, name: str) -> list[Violation]:
        """List why no pattern can be calculated with the lens as it is."""
        lens = self.world.lens
        widest = beam_width(lens, 0.0)
        found = []
        if name == "pattern" and widest > _WIDEST:
            message = (
                f"`defocus` and aberrations make the beam {widest:.3g} m wide; patterns are "
                f"calculated up to {_WIDEST:g} m. Focus and correct first, or use the ronchigram."
            )
            found.append(Violation(parameter="Focus.defocus", message=message))
        tilt = max(map(abs, self.world.panel.tilt))
        if name == "pattern" and tilt > _STEEPEST:
            message = (
                f"`alpha` and `beta` tilt the sample by {tilt:g} rad; patterns are calculated up "
                f"to {_STEEPEST:g} rad."
            )
            found.append(Violation(parameter="Stage.alpha", message=message))
        return found

    def patterns(self, name: str, spots: FloatArray) -> Iterator[FloatArray]:
        """Yield the pattern at every place (m, shape (n, 2)): (ky, kx), sum at most 1.

        Parameters
        ----------
        name : str
            ``"pattern"``, or ``"ronchigram"``: the same with the aperture taken out.
        spots : numpy.ndarray
            Places on the sample.

        Raises
        ------
        OutOfRange
            The beam is too wide for a box of atoms, or the camera too coarse.
        """
        if name == "ronchigram":
            for spot in spots:
                yield self._ronchigram(spot)
            return
        for group in _together(spots):
            yield from self._block(group)

    def _lens(self, centre: FloatArray) -> Lens:
        """Return the lens as the sample at a place sees it: its height is defocus."""
        lens = self.world.lens
        height = float(self.world.height(centre[:1], centre[1:])[0])
        return lens.model_copy(update={"aberrations": lens.aberrations.plus(C1=height)})

    def _near(self, centre: FloatArray, width: float) -> Neighbourhood:
        world = self.world
        place = (float(centre[0]), float(centre[1]))
        return neighbourhood(world.atoms, world.matter, place, width, world.seed)

    def _block(self, group: FloatArray) -> Iterator[FloatArray]:
        camera, centre = self.world.settings.camera, (group.max(axis=0) + group.min(axis=0)) / 2
        lens, spread = self._lens(centre), float(np.ptp(group, axis=0).max())
        least = 1.01 * lens.wavelength / camera.angle_per_pixel
        width = max(needed_width(lens, 0.0, _KEPT) + spread, least)
        deep = _depth(self._near(centre, width))
        width = max(needed_width(lens, deep, _KEPT) + spread, least)
        near = self._near(centre, width)
        box = cut(near.position, near.number, near.rms, (float(centre[0]), float(centre[1])), width)
        how = Calculation(
            pixels=camera.pixels,
            angle_per_pixel=camera.angle_per_pixel,
            phonons=0 if camera.physics == "elastic" else camera.phonons,
            tilt=(self.world.panel.tilt[1], self.world.panel.tilt[0]),
        )
        rng = self.world.rng("phonons")
        if camera.physics == "network":
            yield from self._fast(box, lens, group, how)
        else:
            for block in patterns(box, lens, group, how, rng):
                yield from block

    def _fast(
        self, box: Specimen, lens: Lens, group: FloatArray, how: Calculation
    ) -> Iterator[FloatArray]:
        """Yield elastic patterns to which the networks of `tds` have added diffuse scattering.

        One run of atoms at rest and one of the mean wave stand for all phonons; focal spread and
        source size do not enter. On perfect crystals of elements that the networks had not
        seen, rings from 60 to 200 mrad were off by 3 to 5 % (root mean square, track `tds`);
        Kikuchi bands are missing.

        Raises
        ------
        OutOfRange
            Elements, thickness, tilt, convergence, voltage or camera outside of what the networks
            know, or networks that disagree: run the full simulation.
        MissingExtra
            PyTorch or safetensors is not installed.
        """
        add, still = load_tds(), how.model_copy(update={"phonons": 0})
        for start in range(0, len(group), how.block):
            some = group[start : start + how.block]
            (elastic,) = patterns(box, lens, some, still)
            yield from add(elastic, condition(box, lens, some, still)).patterns

    def _ronchigram(self, spot: FloatArray) -> FloatArray:
        """Return the ronchigram at a place: through as wide an opening as can be calculated."""
        world, camera, lens = self.world, self.world.settings.camera, self._lens(spot)
        widest = _OPEN * camera.pixels * camera.angle_per_pixel / 2
        for part in np.linspace(1.0, 0.1, 10):
            view = View(camera.pixels, camera.angle_per_pixel, float(widest * part))
            try:
                wide, _ = field_of(lens, view)
                break
            except OutOfRange:
                if part <= 0.11:
                    raise
        atoms = world.atoms
        near = np.asarray((np.abs(atoms.position[:, :2] - spot) <= wide / 2).all(axis=1))
        film = Film((world.scene.matter, world.grown), world.seed)
        sample = AtomsByKind(atoms.keep(near), film)
        return ronchigram(sample, lens, (float(spot[0]), float(spot[1])), view)


def _depth(near: Neighbourhood) -> float:
    return float(np.ptp(near.position[:, 2])) if len(near.position) else 0.0


def _together(spots: FloatArray) -> Iterator[FloatArray]:
    """Yield places in groups, in their order, that lie close to each other."""
    start = 0
    for number in range(1, len(spots) + 1):
        part = spots[start : number + 1]
        if number == len(spots) or float(np.ptp(part, axis=0).max()) > _TOGETHER:
            yield spots[start:number]
            start = number
