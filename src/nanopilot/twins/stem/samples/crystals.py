"""Crystals by name: unit cells, as measured, and orthogonal cells along a zone axis.

Cells and positions at room temperature from the paper named beside each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nanopilot.core.errors import OutOfRange, UnknownName

if TYPE_CHECKING:
    import ase

#: Zone axes along which a cell is stood up.
ZONES = ("001", "010", "100", "110")


@dataclass(frozen=True, slots=True)
class Structure:
    """A crystal structure.

    Parameters
    ----------
    group, setting : int
        Space group and its setting, International Tables.
    cell : (float, float, float)
        Lattice parameters in angstrom.
    basis : tuple of (str, float, float, float)
        Element and fractional place of each site that symmetry does not make.
    hexagonal : bool
        The third angle is 120° instead of 90°.
    """

    group: int
    cell: tuple[float, float, float]
    basis: tuple[tuple[str, float, float, float], ...]
    setting: int = 1
    hexagonal: bool = False


def _layer(metal: str, other: str, a: float, c: float, apart: float) -> Structure:
    """Return one layer of a 2H dichalcogenide; `c` is that of the bulk, of two layers."""
    half = c / 2
    sites = ((metal, 0.0, 0.0, 0.5), (other, 1 / 3, 2 / 3, 0.5 + apart / 2 / half))
    return Structure(187, (a, a, half), sites, hexagonal=True)


def _metal(symbol: str, a: float) -> Structure:
    return Structure(225, (a, a, a), ((symbol, 0.0, 0.0, 0.0),))


#: Elements: W. P. Davey, Phys. Rev. 25, 753 (1925) and later, as in the CRC Handbook, 97th edition.
STRUCTURES: Mapping[str, Structure] = {
    # P. Trucano and R. Chen, Nature 258, 136 (1975): one layer, spaced as in graphite.
    "graphene": Structure(191, (2.461, 2.461, 3.355), (("C", 1 / 3, 2 / 3, 0.5),), hexagonal=True),
    # K. D. Bronsema et al., Z. anorg. allg. Chem. 540, 15 (1986) (MoS2); W. J. Schutte et al.,
    # J. Solid State Chem. 70, 207 (1987) (WS2, WSe2); P. B. James and M. T. Lavik, Acta Cryst. 16,
    # 1183 (1963) (MoSe2); D. Puotinen and R. E. Newnham, Acta Cryst. 14, 691 (1961) (MoTe2).
    "mos2": _layer("Mo", "S", 3.160, 12.294, 3.17),
    "mose2": _layer("Mo", "Se", 3.288, 12.900, 3.34),
    "mote2": _layer("Mo", "Te", 3.519, 13.964, 3.61),
    "ws2": _layer("W", "S", 3.153, 12.323, 3.14),
    "wse2": _layer("W", "Se", 3.282, 12.960, 3.35),
    # The trigonal prismatic layer is metastable; calculated: S. Haastrup et al., 2D Mater. 5,
    # 042002 (2018); spaced as the Td crystal, A. Mar et al., J. Am. Chem. Soc. 114, 8963 (1992).
    "wte2": _layer("W", "Te", 3.55, 14.07, 3.62),
    # Y. A. Abramov et al., Acta Cryst. B 51, 942 (1995).
    "srtio3": Structure(
        221, (3.901, 3.901, 3.901), (("Sr", 0, 0, 0), ("Ti", 0.5, 0.5, 0.5), ("O", 0.5, 0.5, 0))
    ),
    # F. Kubel and H. Schmid, Acta Cryst. B 46, 698 (1990): the cube of the same volume, without
    # tilts of octahedra; displacements are those of the family.
    "bifeo3": Structure(
        221, (3.965, 3.965, 3.965), (("Bi", 0, 0, 0), ("Fe", 0.5, 0.5, 0.5), ("O", 0.5, 0.5, 0))
    ),
    # T. Chattopadhyay, J. Pannetier and H. G. von Schnering, J. Phys. Chem. Solids 47, 879 (1986).
    "snse": Structure(
        62, (11.501, 4.153, 4.445), (("Sn", 0.118, 0.25, 0.103), ("Se", 0.855, 0.25, 0.482))
    ),
    # C. Soulard et al., Inorg. Chem. 43, 1943 (2004).
    "pdse2": Structure(
        61, (5.7457, 5.8679, 7.6976), (("Pd", 0, 0, 0), ("Se", 0.1117, 0.1180, 0.4067))
    ),
    # J. Lin et al., Phys. Rev. Lett. 119, 016101 (2017) has the layer and its symmetry. Places
    # from bonds: Pd-Se 2.47, Se-Se 2.38 angstrom; the distance of layers is an assumption, that
    # Se of two layers are 3.5 angstrom apart.
    "pd2se3": Structure(
        59,
        (5.98, 6.12, 6.20),
        (("Pd", 0, 0, 0), ("Se", 0.25, 0.25, 0.2003), ("Se", 0.25, 0.9444, 0.6889)),
        setting=2,
    ),
    # Cell: A. Kjekshus et al. as in the Pearson collection, type PdS: N. A. Gaskell, Z.
    # Kristallogr. 96, 203 (1937), whose positions are taken over.
    "pdse": Structure(
        84,
        (6.73, 6.73, 6.91),
        (
            ("Pd", 0, 0.5, 0),
            ("Pd", 0, 0, 0.25),
            ("Pd", 0.475, 0.25, 0),
            ("Se", 0.19, 0.32, 0.23),
        ),
    ),
    "gold": _metal("Au", 4.0782),
    "silver": _metal("Ag", 4.0862),
    "platinum": _metal("Pt", 3.9242),
    "palladium": _metal("Pd", 3.8903),
    "silicon": Structure(227, (5.4310,) * 3, (("Si", 0, 0, 0),)),
    # L. Eyring, Handbook on the Physics and Chemistry of Rare Earths 3, 337 (1979).
    "ceria": Structure(225, (5.411,) * 3, (("Ce", 0, 0, 0), ("O", 0.25, 0.25, 0.25))),
}


def _structure(name: str) -> Structure:
    if name not in STRUCTURES:
        raise UnknownName("crystal", name, tuple(STRUCTURES))
    return STRUCTURES[name]


def crystal(name: str) -> ase.Atoms:
    """Return the unit cell of a crystal, in angstrom as ASE has it.

    Raises
    ------
    UnknownName
        There is none of this name.

    Examples
    --------
    >>> crystal("srtio3").get_chemical_formula()
    'O3SrTi'
    """
    from ase.spacegroup import crystal as symmetric

    one = _structure(name)
    angles = [90.0, 90.0, 120.0 if one.hexagonal else 90.0]
    found: ase.Atoms = symmetric(
        [site[0] for site in one.basis],
        basis=[site[1:] for site in one.basis],
        spacegroup=one.group,
        setting=one.setting,
        cellpar=[*one.cell, *angles],
    )
    return found


def density(name: str) -> float:
    """Return the density in kg/m³ that the cell has."""
    cell: Any = crystal(name)
    # Atomic mass units and cubic angstrom.
    return float(cell.get_masses().sum() * 1.66053906660e-27 / (cell.get_volume() * 1e-30))


def orthogonal(name: str, zone: str = "001") -> ase.Atoms:
    """Return a cell with three right angles, its z along a zone axis.

    Of a hexagonal crystal x is along the zigzag rows and y along the armchair.

    Parameters
    ----------
    name : str
        Of the crystal.
    zone : {"001", "010", "100", "110"}
        What the beam runs along. With "110", x is [1 -1 0] and y is [0 0 1].

    Raises
    ------
    UnknownName
        There is no such crystal, or no such zone.
    OutOfRange
        The crystal cannot be stood up along this zone with right angles.
    """
    from ase import build

    stacked: Any = build.make_supercell
    if zone not in ZONES:
        raise UnknownName("zone", zone, ZONES)
    one, cell = _structure(name), crystal(name)
    if one.hexagonal and zone != "001":
        raise OutOfRange(f"`zone` is {zone!r}; {name!r} is a layer and is seen along '001'.")
    if one.hexagonal:
        cell = stacked(cell, [[1, 0, 0], [1, 2, 0], [0, 0, 1]])
    if zone == "110":
        if abs(one.cell[0] - one.cell[1]) > 1e-6:
            raise OutOfRange(
                f"`zone` is '110'; of {name!r}, a = {one.cell[0]:g} and b = {one.cell[1]:g} "
                "differ, and no right angles come of it; take '001', '010' or '100'."
            )
        cell = stacked(cell, [[1, -1, 0], [0, 0, 1], [-1, -1, 0]])
    return _stood_up(cell, {"001": (0, 1, 2), "010": (2, 0, 1), "100": (1, 2, 0)}.get(zone))


def _stood_up(cell: Any, order: tuple[int, int, int] | None) -> ase.Atoms:
    """Return the cell with its vectors along x, y and z, in another order if one is given."""
    import ase

    fractional = cell.get_scaled_positions(wrap=True)
    fractional = np.where(fractional > 1 - 1e-6, 0.0, fractional)
    lengths = cell.cell.lengths()
    order = order or (0, 1, 2)
    return ase.Atoms(
        numbers=cell.numbers,
        scaled_positions=fractional[:, list(order)],
        cell=lengths[list(order)],
        pbc=True,
    )
