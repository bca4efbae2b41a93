"""Tin selenide along a zone axis."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from nanopilot.twins.stem.samples.columns import Crystalline
from nanopilot.twins.stem.samples.defects import Defects, atomic_number
from nanopilot.twins.stem.samples.lattice import Sites, motif
from nanopilot.twins.stem.samples.layer import bent
from nanopilot.twins.stem.samples.outline import Bow
from nanopilot.twins.stem.samples.recipe import Share
from nanopilot.twins.stem.samples.standing import Standing, cut


class TinSelenide(Standing):
    """Tin selenide, Pnma: double layers across the long axis a.

    Parameters
    ----------
    zone : {"100", "010", "001"}
        What the beam runs along; along [010] and [001] the double layers are seen from the side.
    tin_vacancies, selenium_vacancies : float
        Fraction of the sites, or how many.
    dopant, dopants : str, float
        Element on tin sites, and how much of it.
    """

    SIZE: ClassVar[float] = 15e-9

    zone: Literal["100", "010", "001"] = "010"
    tin_vacancies: Share = 0.01
    selenium_vacancies: Share = 0.0
    dopant: str = Field(default="Ag", min_length=1, max_length=2)
    dopants: Share = 0.0

    def make(self, rng: np.random.Generator, size: float) -> Crystalline:
        """Return the crystal."""
        atomic_number("dopant", self.dopant)
        origin, outline, patching, hits = rng.spawn(4)
        cell = motif("snse", self.zone)
        sites, thickness = self.stood(cell, size, origin.uniform(0, cell.size[0], 2))
        edge, patches = self.ending(outline, size), self.patches(patching, size)
        crystal = bent(cut(sites, edge), Bow(self.bend, size))
        defects = self._defects(hits, crystal)
        said = self.whole(defects, crystal, thickness, (size, edge, patches))
        said["facts"] |= {"zone": self.zone}
        return Crystalline(
            name="snse",
            fields={"thickness": thickness},
            meaning={"thickness": ("thickness of the crystal", "m")},
            **said,
        )

    def _defects(self, rng: np.random.Generator, sites: Sites) -> Defects:
        defects = Defects(sites, "snse", rng)
        tin, selenium = (sites.number == atomic_number("element", one) for one in ("Sn", "Se"))
        defects.remove(defects.choose("tin_vacancies", self.tin_vacancies, tin), "Sn vacancy")
        defects.remove(
            defects.choose("selenium_vacancies", self.selenium_vacancies, selenium), "Se vacancy"
        )
        defects.exchange(defects.choose("dopants", self.dopants, tin), self.dopant, "dopant")
        return defects
