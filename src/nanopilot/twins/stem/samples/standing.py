"""What crystals that are foils have in common: a zone axis along the beam, a thickness, a wedge."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from nanopilot.core.units import Angle, Length
from nanopilot.twins.stem.samples.columns import truth_of
from nanopilot.twins.stem.samples.defects import Defects
from nanopilot.twins.stem.samples.lattice import Motif, Sites, fill, square_box
from nanopilot.twins.stem.samples.layer import by_kind
from nanopilot.twins.stem.samples.matter import Layered, Part
from nanopilot.twins.stem.samples.outline import Bow, Edge, Foil, Patches, Wedge
from nanopilot.twins.stem.samples.recipe import FloatArray, check_atoms, square
from nanopilot.twins.stem.scene import Field as Everywhere

#: So much of a cell beyond the surface of a wedge still belongs to it (m): rounding.
_SLACK = 1e-13


class Standing(Foil):
    """A crystal that stands along the beam.

    Parameters
    ----------
    thickness : float
        At x = 0, in metres; without `wedge` rounded to whole cells.
    wedge : float
        Change of the thickness along x, metres per metre.
    """

    SIZE: ClassVar[float] = 14e-9
    MOST: ClassVar[float] = 100e-9

    rotation: Angle = 0.0
    thickness: Length = Field(default=8e-9, gt=0, le=2e-7)
    wedge: float = Field(default=0.0, ge=-2, le=2)

    def stood(self, cell: Motif, size: float, shift: FloatArray) -> tuple[Sites, Wedge]:
        """Return the crystal over the area, and how thick it is.

        Parameters
        ----------
        cell : Motif
            Its cell.
        size : float
            Edge of the area in metres.
        shift : numpy.ndarray
            Of its origin, metres, shape (2,).

        Raises
        ------
        OutOfRange
            It would have too many atoms.
        """
        high = float(cell.size[2])
        if not self.wedge:
            layers = max(1, round(self.thickness / high))
            thickness = Wedge(layers * high, 0.0)
        else:
            thickness = Wedge(self.thickness, self.wedge)
            layers = math.ceil(thickness.most(size) / high) + 1
        check_atoms(
            size**2 * thickness.most(size) * cell.density,
            "take a smaller `size_m`, `thickness` or `wedge`",
        )
        sites = fill(cell, square_box(size), rotation=self.rotation, shift=shift, layers=layers)
        if self.wedge:
            x, y, z = sites.position.T
            sites = sites.keep(np.abs(z) <= thickness(x, y) / 2 + _SLACK)
        return sites, thickness

    def scene_parts(
        self, material: str, thickness: Everywhere, edge: Edge, patches: Patches
    ) -> Layered:
        """Return the matter: the crystal and what lies on it."""
        return Layered(
            (
                Part(material, thickness, edge.inside, by_atoms=True),
                Part("contamination", patches),
            )
        )

    def whole(
        self,
        defects: Defects,
        crystal: Sites,
        thickness: Wedge,
        extent: tuple[float, Edge, Patches],
    ) -> dict[str, Any]:
        """Return what every such scene says of itself, as arguments of a `Crystalline`.

        Parameters
        ----------
        defects : Defects
            With atoms where they are.
        crystal : Sites
            Where they would be in the crystal.
        thickness : Wedge
            Of the crystal.
        extent : (float, Edge, Patches)
            Edge of the area in metres, where the sample ends, and what lies on it.
        """
        size, edge, patches = extent
        facts = self.foil_facts(edge, patches) | {
            "crystal": defects.crystal,
            "defects": defects.found,
            "counts": by_kind(defects.found),
            "sites": len(defects.sites),
            "thickness": thickness.middle,
            "wedge": self.wedge,
        }
        matter = self.scene_parts(defects.crystal, thickness, edge, patches)
        return {
            "area": square(size),
            "atoms": defects.left().atoms(),
            "matter": matter,
            "height": Bow(self.bend, size),
            "facts": facts,
            **truth_of(crystal),
        }


def cut(sites: Sites, edge: Edge) -> Sites:
    """Return the sites on the sample's side of its edge; columns stay whole."""
    if math.isinf(edge.distance):
        return sites
    return sites.keep(edge.inside(sites.position[:, 0], sites.position[:, 1]))
