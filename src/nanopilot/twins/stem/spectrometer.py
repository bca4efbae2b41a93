"""What the spectrometers count when the beam stands at places of the sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nanopilot.models.electron_optics import REST, Lens, beam_intensity
from nanopilot.twins.stem.render_lens import reach_of
from nanopilot.twins.stem.scene import FloatArray
from nanopilot.twins.stem.spectra.columns import Places
from nanopilot.twins.stem.spectra.counting import record
from nanopilot.twins.stem.spectra.losses import loss_probability
from nanopilot.twins.stem.spectra.tables import symbol
from nanopilot.twins.stem.spectra.xrays import count_xrays, xray_probability
from nanopilot.twins.stem.world import World

#: Loss in eV at whose delocalisation atoms are told apart.
_TYPICAL = 400.0
#: Widths (standard deviations) of the beam within which atoms count.
_REACH = 4.0
#: Most points along each side that a beam is calculated on to find its width.
_POINTS = 1024


@dataclass
class SpectrumSource:
    """Spectra of what is under the beam.

    Parameters
    ----------
    world : World
        Sample and lens as they are.
    kind : {"energy", "xray"}
        Losses, or X-rays.
    energies : numpy.ndarray
        Middles of the channels in eV.
    """

    world: World
    kind: str
    energies: FloatArray

    def counts(self, spots: FloatArray, when: FloatArray, exposure: float) -> FloatArray:
        """Return counts of exposures at places (m, shape (n, 2)), shape (n, channels).

        Parameters
        ----------
        spots : numpy.ndarray
            Places on the sample.
        when : numpy.ndarray
            When each exposure begins, in seconds, shape (n,).
        exposure : float
            Seconds.
        """
        world, settings = self.world, self.world.settings.spectrometer
        electrons = world.electrons(when, exposure)
        places, lens = self._places(spots), world.lens
        rng = world.rng("spectra", self.kind)
        if self.kind == "xray":
            found = xray_probability(places, lens.voltage, settings)
            return count_xrays(found, electrons, rng)
        found = loss_probability(places, self.energies, lens, settings.collection_angle)
        return record(found, electrons, settings, rng)

    def _places(self, spots: FloatArray) -> Places:
        """Return what the beam goes through; known atoms are counted under the beam itself."""
        scene, matter = self.world.scene, self.world.matter
        x, y = np.ascontiguousarray(spots[:, 0]), np.ascontiguousarray(spots[:, 1])
        thickness = np.maximum(matter.thickness(x, y), 0.0)
        extra = None
        if scene.excitations is not None and self.kind == "energy":
            extra = np.maximum(scene.excitations.loss(x, y, self.energies), 0.0)
        valence = {element: scene.at(name, x, y) for element, name in scene.valence.items()}
        areal = self._areal(spots, thickness) if len(scene.atoms) else {}
        return Places(matter.materials, thickness, valence, extra, areal)

    def _areal(self, spots: FloatArray, thickness: FloatArray) -> dict[str, FloatArray]:
        """Return atoms per square metre under the beam, by element, shape (n,)."""
        from scipy.spatial import cKDTree

        from nanopilot.twins.stem.materials import material

        atoms, matter, lens = self.world.atoms, self.world.matter, self.world.lens
        middle = spots.mean(axis=0)
        height = float(self.world.height(middle[:1], middle[1:])[0])
        lens = lens.model_copy(update={"aberrations": lens.aberrations.plus(C1=height)})
        width = math.hypot(beam_width(lens), delocalisation(lens.voltage))
        found = {symbol(int(number)): np.zeros(len(spots)) for number in np.unique(atoms.number)}
        for number in np.unique(atoms.number):
            places = atoms.position[atoms.number == number, :2]
            apart = cKDTree(spots).sparse_distance_matrix(
                cKDTree(places), _REACH * width, output_type="coo_matrix"
            )
            weight = np.exp(-0.5 * (apart.data / width) ** 2) / (2 * math.pi * width**2)
            found[symbol(int(number))] += np.bincount(apart.row, weight, len(spots))
        for name, known, deep in zip(matter.materials, matter.by_atoms, thickness, strict=True):
            if not known:
                for number, each in material(name).concentration().items():
                    found.setdefault(symbol(number), np.zeros(len(spots)))
                    found[symbol(number)] += each * deep
        return found


def beam_width(lens: Lens) -> float:
    """Return the standard deviation in metres of a Gaussian that half of the beam fits into.

    The radius that holds half of the electrons is 1.177 standard deviations of a Gaussian. Where
    the beam is far wider than diffraction makes it, it is taken to be of rays.
    """
    pixel = lens.wavelength / (10 * lens.convergence_angle)
    count = 2 * math.ceil(1.3 * reach_of(lens) / pixel)
    if count > _POINTS:
        return _width_of_rays(lens)
    beam = np.fft.fftshift(beam_intensity(lens, (count, count), pixel))
    axis = (np.arange(count) - count // 2) * pixel
    radius = np.hypot(axis[:, None], axis[None, :]).ravel()
    order = np.argsort(radius)
    inside = np.cumsum(beam.ravel()[order]) - beam.ravel()[order] / 2
    return float(np.interp(0.5, inside, radius[order])) / 1.1774


def _width_of_rays(lens: Lens) -> float:
    """Return the same of rays: a ray through an angle arrives at the slope of the path there."""
    steps = np.linspace(-1, 1, 129) * lens.convergence_angle
    grid = steps[None, :] + 1j * steps[:, None]
    slopes = np.gradient(lens.aberrations.path(grid), steps[1] - steps[0])
    within = np.abs(grid) <= lens.convergence_angle
    return math.hypot(float(np.median(np.hypot(*slopes)[within])) / 1.1774, lens.source_size)


def delocalisation(voltage: float) -> float:
    """Return how far from an atom a fast electron excites it: standard deviation in metres.

    ``L50 = 0.5 lambda / theta_E^(3/4)`` is the diameter that holds half of the losses: R. F.
    Egerton, Electron Energy-Loss Spectroscopy (2011), equation 5.17b; here at 400 eV.
    """
    lens = Lens(voltage=voltage)
    factor = 1 + voltage / REST
    angle = _TYPICAL / voltage * factor / (1 + factor)
    return float(0.5 * lens.wavelength / angle**0.75 / 2 / 1.1774)
