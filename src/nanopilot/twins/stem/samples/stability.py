"""How far atoms vibrate, and what it takes to remove them.

Values at room temperature, rounded; where no measurement was at hand it is said to be an
assumption. They set rates of a model: they are no reference data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

#: B = 8 pi² u² in square angstrom. Elements: L.-M. Peng et al., Acta Cryst. A 52, 456 (1996).
#: SrTiO3: Y. A. Abramov et al., Acta Cryst. B 51, 942 (1995). Dichalcogenides: of the size of
#: MoS2, B. Schönfeld, J. J. Huang and S. C. Moss, Acta Cryst. B 39, 404 (1983), softer for heavier
#: chalcogens (assumption). Graphene: in the plane as graphite, Trucano and Chen (1975). SnSe:
#: Chattopadhyay et al. (1986). BiFeO3 and the palladium selenides: assumptions from their kind.
TEMPERATURE_FACTORS: Mapping[str, Mapping[str, float]] = {
    "graphene": {"C": 0.35},
    "mos2": {"Mo": 0.30, "S": 0.45},
    "mose2": {"Mo": 0.38, "Se": 0.48},
    "mote2": {"Mo": 0.45, "Te": 0.55},
    "ws2": {"W": 0.20, "S": 0.42},
    "wse2": {"W": 0.24, "Se": 0.45},
    "wte2": {"W": 0.30, "Te": 0.55},
    "srtio3": {"Sr": 0.62, "Ti": 0.44, "O": 0.73},
    "bifeo3": {"Bi": 0.60, "Fe": 0.45, "O": 0.75},
    "snse": {"Sn": 1.10, "Se": 0.95},
    "pdse2": {"Pd": 0.50, "Se": 0.60},
    "pd2se3": {"Pd": 0.55, "Se": 0.65},
    "pdse": {"Pd": 0.55, "Se": 0.60},
    "gold": {"Au": 0.62},
    "silver": {"Ag": 0.74},
    "platinum": {"Pt": 0.37},
    "palladium": {"Pd": 0.45},
    "silicon": {"Si": 0.53},
    "ceria": {"Ce": 0.30, "O": 0.50},
    "carbon": {"C": 0.60},
}
#: Of a foreign atom, or one of a crystal that the table has not: an assumption.
_PLAIN_FACTOR = 0.5

#: Displacement energies in eV. Graphene: T. Susi et al., Nature Commun. 7, 13040 (2016), 21.1 eV;
#: J. C. Meyer et al., Phys. Rev. Lett. 108, 196102 (2012) have 22. Dichalcogenides: H.-P. Komsa et
#: al., Phys. Rev. Lett. 109, 035503 (2012): S of MoS2 6.9, Mo about 20; the other chalcogens and
#: W follow the trend of that paper, to some tenths of an eV. SrTiO3: B. Liu et al., J. Phys.:
#: Condens. Matter 25, 485003 (2013), weighted means. Metals: P. Vajda, Rev. Mod. Phys. 49, 481
#: (1977). Si: E. Holmström, A. Kuronen and K. Nordlund, Phys. Rev. B 78, 045202 (2008). BiFeO3 as
#: SrTiO3; ceria, SnSe, palladium selenides and amorphous carbon: assumptions.
DISPLACEMENT: Mapping[str, Mapping[str, float]] = {
    "graphene": {"C": 21.1, "N": 19.0, "Si": 13.0},
    "mos2": {"Mo": 20.0, "S": 6.9},
    "mose2": {"Mo": 20.0, "Se": 6.4},
    "mote2": {"Mo": 20.0, "Te": 5.9},
    "ws2": {"W": 25.0, "S": 7.0},
    "wse2": {"W": 25.0, "Se": 6.5},
    "wte2": {"W": 25.0, "Te": 5.8},
    "srtio3": {"Sr": 53.5, "Ti": 64.9, "O": 35.7},
    "bifeo3": {"Bi": 53.5, "Fe": 64.9, "O": 35.7},
    "snse": {"Sn": 12.0, "Se": 10.0},
    "pdse2": {"Pd": 20.0, "Se": 7.0},
    "pd2se3": {"Pd": 20.0, "Se": 8.0},
    "pdse": {"Pd": 20.0, "Se": 9.0},
    "gold": {"Au": 34.0},
    "silver": {"Ag": 25.0},
    "platinum": {"Pt": 34.0},
    "palladium": {"Pd": 34.0},
    "silicon": {"Si": 24.0},
    "ceria": {"Ce": 50.0, "O": 33.0},
    "carbon": {"C": 15.0},
}
_PLAIN_ENERGY = 20.0

#: Part of its displacement energy that an atom at an edge has. Graphene: 12.0 of 21.1 eV at zigzag
#: edges, J. Kotakoski, D. Santos-Cottin and A. V. Krasheninnikov, ACS Nano 6, 671 (2012); for the
#: others it is taken over.
AT_EDGE = 12.0 / 21.1
#: By which factor the chalcogen towards the gun is harder to remove than the one below: it has to
#: pass the layer (Komsa et al. find that it hardly ever does). The number is an assumption.
TOWARDS_GUN = 2.0
#: Part of its displacement energy that a neighbour of a vacancy has: an assumption.
BESIDE_VACANCY = 0.8

#: Cross sections of leaving by ionisation in m² at 100 kV. S of MoS2 of the order of 1 barn beside
#: knock-on: S. Kretschmer et al., Nano Lett. 20, 2865 (2020). Contamination: critical doses of
#: hydrocarbons, R. F. Egerton, P. Li and M. Malac, Micron 35, 399 (2004), once cross-linked.
#: Metals, graphene and silicon: none, charge is screened before a nucleus moves (Egerton et al.).
#: SnSe, palladium selenides and oxygen of oxides: assumptions, selenium of PdSe2 the softest.
RADIOLYSIS: Mapping[str, Mapping[str, float]] = {
    "mos2": {"S": 1e-28},
    "mose2": {"Se": 1e-28},
    "mote2": {"Te": 2e-28},
    "ws2": {"S": 1e-28},
    "wse2": {"Se": 1e-28},
    "wte2": {"Te": 2e-28},
    "srtio3": {"O": 1e-28},
    "bifeo3": {"O": 2e-28},
    "snse": {"Se": 5e-28},
    "pdse2": {"Se": 2e-27},
    "pd2se3": {"Se": 5e-28},
    "pdse": {"Se": 2e-28},
    "ceria": {"O": 2e-28},
    "contamination": {"C": 1e-24, "H": 1e-23},
}


def thermal(name: str, symbol: str) -> float:
    """Return the rms displacement along one axis in metres: ``sqrt(B / 8 pi²)``.

    Examples
    --------
    >>> round(thermal("gold", "Au") * 1e12, 2)
    8.86
    """
    factor = TEMPERATURE_FACTORS.get(name, {}).get(symbol, _PLAIN_FACTOR)
    return math.sqrt(factor / (8 * math.pi**2)) * 1e-10


def displacement_energy(name: str, symbol: str, *, edge: bool = False) -> float:
    """Return in eV what removes an atom of this crystal, in the bulk or at an edge."""
    energy = DISPLACEMENT.get(name, {}).get(symbol, _PLAIN_ENERGY)
    return energy * (AT_EDGE if edge else 1.0)


def ionisation(name: str, symbol: str) -> float:
    """Return the cross section in m² of leaving by ionisation at 100 kV."""
    return RADIOLYSIS.get(name, {}).get(symbol, 0.0)
