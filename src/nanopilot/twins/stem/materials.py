"""Materials by name: what they are made of and how dense they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nanopilot.core.errors import UnknownName

_AVOGADRO = 6.02214076e23


@dataclass(frozen=True, slots=True)
class Material:
    """A material.

    Parameters
    ----------
    name : str
        What it is called.
    atoms : mapping of int to float
        Atoms of one formula unit, by atomic number.
    density : float
        Kilograms per cubic metre.
    crystal : str
        Which crystal it is (see `nanopilot.twins.stem.samples.crystals`); empty: amorphous.
    """

    name: str
    atoms: Mapping[int, float]
    density: float
    crystal: str = ""

    def concentration(self) -> dict[int, float]:
        """Return atoms per cubic metre, by atomic number."""
        from ase.data import atomic_masses

        mass = sum(float(atomic_masses[number]) * n for number, n in self.atoms.items())
        units = self.density * 1e3 * _AVOGADRO / mass
        return {number: n * units for number, n in self.atoms.items()}


def _table(*materials: Material) -> dict[str, Material]:
    return {one.name: one for one in materials}


#: Densities: CRC Handbook of Chemistry and Physics, 97th edition, section 4, unless said.
MATERIALS: Mapping[str, Material] = _table(
    Material("carbon", {6: 1}, 2000.0),  # amorphous films as evaporated: 1800 to 2100
    Material("graphene", {6: 1}, 2267.0, "graphene"),
    Material("contamination", {6: 1, 1: 2}, 1100.0),
    Material("gold", {79: 1}, 19300.0, "gold"),
    Material("silver", {47: 1}, 10490.0, "silver"),
    Material("platinum", {78: 1}, 21450.0, "platinum"),
    Material("palladium", {46: 1}, 12023.0, "palladium"),
    Material("silica", {14: 1, 8: 2}, 2200.0),
    Material("silicon", {14: 1}, 2329.0, "silicon"),
    Material("ceria", {58: 1, 8: 2}, 7220.0, "ceria"),
    # Compounds from here on: densities of the cells (see `samples.crystals` for their sources).
    Material("mos2", {42: 1, 16: 2}, 5000.0, "mos2"),
    Material("mose2", {42: 1, 34: 2}, 6981.0, "mose2"),
    Material("mote2", {42: 1, 52: 2}, 7787.0, "mote2"),
    Material("ws2", {74: 1, 16: 2}, 7762.0, "ws2"),
    Material("wse2", {74: 1, 34: 2}, 9389.0, "wse2"),
    Material("wte2", {74: 1, 52: 2}, 9495.0, "wte2"),
    Material("srtio3", {38: 1, 22: 1, 8: 3}, 5132.0, "srtio3"),
    Material("bifeo3", {83: 1, 26: 1, 8: 3}, 8333.0, "bifeo3"),
    Material("snse", {50: 1, 34: 1}, 6185.0, "snse"),
    Material("pdse2", {46: 1, 34: 2}, 6766.0, "pdse2"),
    Material("pd2se3", {46: 2, 34: 3}, 6583.0, "pd2se3"),
    Material("pdse", {46: 1, 34: 1}, 7869.0, "pdse"),
)


def material(name: str) -> Material:
    """Return a material by name.

    Raises
    ------
    UnknownName
        There is none of this name.
    """
    if name not in MATERIALS:
        raise UnknownName("material", name, tuple(MATERIALS))
    return MATERIALS[name]
