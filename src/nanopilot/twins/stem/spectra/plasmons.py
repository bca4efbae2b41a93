"""Plasmons of metal particles: which there are, at what energy, and where the beam excites them.

A mode is an oscillating charge on the particle. Its energy is that of an ellipsoid of a Drude metal
with the same three lengths (C. F. Bohren and D. R. Huffman, Absorption and Scattering of Light by
Small Particles (1983), chapter 5), or for higher modes of the piece between two nodes:
standing waves (rods: J. Dorfmueller et al., Nano Lett. 9 (2009) 2372; discs: F. P. Schmidt et al.,
Nano Lett. 12 (2012) 5780, where zeros of the derivative of a Bessel function tell the pieces).
Retardation lowers it (dynamic depolarisation: M. Meier and A. Wokaun, Opt. Lett. 8 (1983) 581), and
so does a neighbour: the modes of a pair bind or do not (P. Nordlander et al., Nano Lett. 4 (2004)
899; here dipole and dipole). The beam loses energy to the potential of the charge along its way
(F. J. Garcia de Abajo and M. Kociak, Phys. Rev. Lett. 100 (2008) 106804)::

    Gamma(R, E) = 4 e^2 / (4 pi eps0) / (pi (hbar v)^2) Im alpha(E) |sum_i q_i K0(R_i)|^2,
    R_i = w |R - r_i| / v

which far away is the dipole of F. J. Garcia de Abajo, Rev. Mod. Phys. 82 (2010) 209, section IV.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import check_voltage
from nanopilot.twins.stem.spectra.columns import FloatArray
from nanopilot.twins.stem.spectra.inelastic import speed_squared
from nanopilot.twins.stem.spectra.particle_modes import modes_of
from nanopilot.twins.stem.spectra.plasmonic_particle import (
    LIGHT,
    Mode,
    PlasmonicParticle,
    decay_length,
)

_COULOMB = 1.439964548e-9  # e^2 / (4 pi eps0) in eV m
_FAR = 6.0  # times v / omega: the square of K0 beyond is below 2e-6


@dataclass(frozen=True, eq=False)
class ParticleModes:
    """The plasmons of particles: a `nanopilot.twins.stem.scene.Excitations`.

    Particles do not feel one another, but for the halves of a dimer.

    Parameters
    ----------
    particles : tuple of PlasmonicParticle
        All of them.
    voltage : float
        Of the beam in volts: how far it reaches, and how often it loses energy.
    surrounding : float
        Relative permittivity around the particles, 1 in vacuum; on a membrane some mean of both.

    Raises
    ------
    OutOfRange
        The voltage is none of those that the models hold for, or the permittivity below 1.

    Examples
    --------
    >>> rod = PlasmonicParticle(0.0, 0.0, "rod", (100e-9, 30e-9))
    >>> modes = ParticleModes((rod,))
    >>> [mode.name for mode in modes.modes()][:2]
    ['dipole along', 'quadrupole along']
    >>> modes.loss(np.zeros(3), np.zeros(3), np.linspace(0.5, 4.0, 8)).shape
    (3, 8)
    """

    particles: tuple[PlasmonicParticle, ...]
    voltage: float = 200e3
    surrounding: float = 1.0

    def __post_init__(self) -> None:
        check_voltage(self.voltage)
        if not self.surrounding >= 1:
            raise OutOfRange(f"`surrounding` is {self.surrounding:g}; vacuum is 1, no less.")

    @cached_property
    def _modes(self) -> tuple[Mode, ...]:
        return tuple(
            mode
            for index, particle in enumerate(self.particles)
            for mode in modes_of(index, particle, self.surrounding)
        )

    def modes(self) -> tuple[Mode, ...]:
        """Return the truth: every mode of every particle."""
        return self._modes

    @cached_property
    def _circles(self) -> FloatArray:
        """Return middle and radius in metres of where modes are excited, shape (modes, 3)."""
        found = np.empty((len(self._modes), 3))
        for row, mode in zip(found, self._modes, strict=True):
            row[:2] = mode.places.mean(axis=0)
            wide = np.hypot(*(mode.places - row[:2]).T).max()
            row[2] = wide + _FAR * decay_length(mode.energy, self.voltage)
        return found

    def _close(self, x: FloatArray, y: FloatArray) -> list[Mode]:
        """Return the modes that places, shape (n,), may excite."""
        if not x.size or not self._modes:
            return []
        at_x, at_y, reach = self._circles.T
        beyond_x = np.maximum(x.min() - at_x, at_x - x.max())
        beyond_y = np.maximum(y.min() - at_y, at_y - y.max())
        away = np.hypot(np.maximum(beyond_x, 0), np.maximum(beyond_y, 0))
        return [self._modes[index] for index in np.flatnonzero(away < reach)]

    def loss(self, x: FloatArray, y: FloatArray, energy: FloatArray) -> FloatArray:
        """Return the probability of a loss per eV at places (m) and energies (eV).

        The shape is that of `x` and then that of `energy`; gains have none.
        """
        x, y, energy = (np.asarray(value, float) for value in (x, y, energy))
        flat_x, flat_y, axis = x.ravel(), y.ravel(), energy.ravel()
        found = np.zeros((flat_x.size, axis.size))
        above = np.maximum(axis, 0.0)
        moving = LIGHT**2 * speed_squared(self.voltage)
        for mode in self._close(flat_x, flat_y):
            reach = _FAR * decay_length(mode.energy, self.voltage)
            away = np.hypot(
                flat_x[:, None] - mode.places[:, 0], flat_y[:, None] - mode.places[:, 1]
            ).min(axis=1)
            near = np.flatnonzero(away < reach)
            if near.size:
                strength = mode.map(flat_x[near], flat_y[near], self.voltage)
                spectrum = 4 * _COULOMB / (np.pi * moving) * mode.spectrum(above)
                found[near] += np.outer(strength, spectrum)
        return found.reshape(*x.shape, *energy.shape)
