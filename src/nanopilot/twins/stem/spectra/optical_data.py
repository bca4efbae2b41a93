"""What the valence electrons of a material do: where its plasmons are, and how wide.

Energies and widths: R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope
(2011), appendix C, and for the rest the papers named beside the entry. Who has no entry is taken
for a gas of free electrons: ``Ep = hbar sqrt(n e^2 / (eps0 m))`` (Egerton, equation 3.41) with the
valence electrons of its elements, and a width of a quarter of that, as of the compounds that have
an entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nanopilot.models.electron_optics import CHARGE, MASS, PLANCK
from nanopilot.twins.stem.materials import Material
from nanopilot.twins.stem.spectra.tables import symbol

_EPSILON = 8.8541878128e-12

#: Electrons outside closed shells, 3d, 4d and 5d shells of metals counted in.
_VALENCE: Mapping[str, int] = {
    "H": 1, "Li": 1, "Be": 2, "B": 3, "C": 4, "N": 5, "O": 6, "F": 7, "Na": 1, "Mg": 2, "Al": 3,
    "Si": 4, "P": 5, "S": 6, "Cl": 7, "K": 1, "Ca": 2, "Sc": 3, "Ti": 4, "V": 5, "Cr": 6, "Mn": 7,
    "Fe": 8, "Co": 9, "Ni": 10, "Cu": 11, "Zn": 12, "Ga": 3, "Ge": 4, "As": 5, "Se": 6, "Br": 7,
    "Rb": 1, "Sr": 2, "Y": 3, "Zr": 4, "Nb": 5, "Mo": 6, "Ru": 8, "Rh": 9, "Pd": 10, "Ag": 11,
    "Cd": 12, "In": 3, "Sn": 4, "Sb": 5, "Te": 6, "I": 7, "Cs": 1, "Ba": 2, "La": 3, "Ce": 4,
    "Pr": 4, "Nd": 4, "Sm": 3, "Gd": 3, "Hf": 4, "Ta": 5, "W": 6, "Re": 7, "Os": 8, "Ir": 9,
    "Pt": 10, "Au": 11, "Hg": 12, "Tl": 3, "Pb": 4, "Bi": 5,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Optics:
    """The valence losses of a material as a sum of Drude peaks.

    Parameters
    ----------
    peaks : tuple of (float, float, float)
        Energy and full width in eV, and share of the losses; shares sum to one.
    gap : float
        No loss is smaller than this, in eV.
    source : str
        Where the numbers are from.
    """

    peaks: tuple[tuple[float, float, float], ...]
    gap: float = 0.0
    source: str = "free electrons"

    @property
    def plasmon(self) -> tuple[float, float]:
        """Energy and width in eV of the strongest peak."""
        energy, width, _ = max(self.peaks, key=lambda peak: peak[2])
        return energy, width


_BOOK = "Egerton (2011), appendix C"
#: By name of the material.
OPTICS: Mapping[str, Optics] = {
    "carbon": Optics(((24.0, 18.0, 0.93), (6.0, 3.0, 0.07)), 0.5, _BOOK),
    "graphene": Optics(
        ((14.6, 8.0, 0.85), (4.7, 1.5, 0.15)), 0.0, "Eberlein et al., Phys. Rev. B 77 (2008) 233406"
    ),
    "contamination": Optics(((20.0, 17.0, 1.0),), 2.0, "polymers, " + _BOOK),
    "silicon": Optics(((16.7, 3.2, 1.0),), 1.1, _BOOK),
    "silica": Optics(((22.4, 12.0, 1.0),), 8.9, _BOOK),
    "gold": Optics(
        ((25.8, 8.0, 0.35), (33.0, 12.0, 0.35), (16.0, 9.0, 0.2), (6.3, 5.0, 0.1)), 0.0,
        "Wehenkel, J. Phys. France 36 (1975) 199",
    ),
    "silver": Optics(
        ((25.0, 10.0, 0.5), (17.0, 7.0, 0.2), (34.0, 12.0, 0.25), (3.8, 0.4, 0.05)), 0.0,
        "Daniels, Z. Phys. 203 (1967) 235",
    ),
    "mos2": Optics(
        ((23.4, 7.0, 0.87), (8.7, 2.5, 0.13)), 1.3, "Zeppenfeld, Opt. Commun. 1 (1970) 377"
    ),
    "mose2": Optics(
        ((22.3, 7.0, 0.87), (8.0, 2.5, 0.13)), 1.1, "Zeppenfeld, Opt. Commun. 1 (1970) 377"
    ),
    "srtio3": Optics(
        ((30.0, 10.0, 0.75), (13.5, 5.0, 0.25)), 3.2,
        "van Benthem et al., J. Appl. Phys. 90 (2001) 6156",
    ),
}  # fmt: skip


def free_electron(material: Material) -> Optics:
    """Return the losses of a gas of the valence electrons of a material.

    Elements without an entry count three electrons.

    Examples
    --------
    >>> from nanopilot.twins.stem.materials import material
    >>> round(free_electron(material("silicon")).plasmon[0], 1)
    16.6
    """
    electrons = sum(
        n * _VALENCE.get(symbol(number), 3) for number, n in material.concentration().items()
    )
    rate = math.sqrt(electrons * CHARGE**2 / (_EPSILON * MASS))
    energy = PLANCK / (2 * math.pi) * rate / CHARGE
    return Optics(((energy, energy / 4, 1.0),))


def optics(material: Material) -> Optics:
    """Return the valence losses of a material: its entry, or free electrons."""
    return OPTICS[material.name] if material.name in OPTICS else free_electron(material)
