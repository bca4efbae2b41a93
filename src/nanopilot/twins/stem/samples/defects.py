"""What is wrong with a crystal: atoms that are missing or foreign, at random, written down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nanopilot.core.errors import InvalidRequest
from nanopilot.twins.stem.samples.lattice import Sites
from nanopilot.twins.stem.samples.near import pairs_within
from nanopilot.twins.stem.samples.recipe import BoolArray, IntArray, how_many
from nanopilot.twins.stem.samples.stability import (
    AT_EDGE,
    displacement_energy,
    ionisation,
    thermal,
)


def atomic_number(name: str, symbol: str) -> int:
    """Return the atomic number of an element.

    Parameters
    ----------
    name : str
        Of the setting, for the message.
    symbol : str
        Such as ``"Si"``.

    Raises
    ------
    InvalidRequest
        There is no such element.
    """
    from ase.data import atomic_numbers

    number = int(atomic_numbers.get(symbol, 0))
    if number < 1:
        raise InvalidRequest(f"`{name}` is {symbol!r}, no element; give its symbol, such as 'Re'.")
    return number


@dataclass(slots=True)
class Defects:
    """Sites with defects put in one after the other; none hits a site twice.

    Parameters
    ----------
    sites : Sites
        The crystal without defects.
    crystal : str
        Its name.
    rng : numpy.random.Generator
        Which sites are hit.
    free : numpy.ndarray
        Sites that may still be hit, shape (n,).
    gone : numpy.ndarray
        Sites without atom, shape (n,).
    found : list of dict
        Place (m), kind, element that is there and the one that was, of every defect.
    """

    sites: Sites
    crystal: str
    rng: np.random.Generator
    free: BoolArray = field(init=False)
    gone: BoolArray = field(init=False)
    found: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free = np.ones(len(self.sites), dtype=bool)
        self.gone = np.zeros(len(self.sites), dtype=bool)

    def choose(
        self, name: str, share: float, among: BoolArray, *, of: int | None = None
    ) -> IntArray:
        """Return sites for a defect, and let nothing else have them.

        Parameters
        ----------
        name : str
            Of the setting.
        share : float
            Fraction of the sites, or how many.
        among : numpy.ndarray
            Which sites are of the right kind, shape (n,).
        of : int, optional
            How many sites a fraction is of; None: as many as `among` has.

        Raises
        ------
        OutOfRange
            More are asked for than are left.
        """
        left = np.flatnonzero(among & self.free)
        total = int(np.count_nonzero(among)) if of is None else of
        count = how_many(name, share, total, len(left))
        chosen: IntArray = np.sort(self.rng.permutation(left)[:count])
        self.free[chosen] = False
        return chosen

    def remove(
        self, chosen: IntArray, kind: str = "vacancy", *, with_them: IntArray | None = None
    ) -> None:
        """Leave these sites without atom, and others that belong to the same defects."""
        self.gone[chosen] = True
        self._note(chosen, kind, None)
        if with_them is not None:
            self.gone[with_them] = True
            self.free[with_them] = False

    def exchange(self, chosen: IntArray, symbol: str, kind: str) -> None:
        """Put another element on these sites."""
        number = atomic_number("element", symbol)
        self._note(chosen, kind, symbol)
        sites = self.sites
        kinds = sites.kinds if kind in sites.kinds else (*sites.kinds, kind)
        changed = {
            "number": (sites.number, number),
            "kind": (sites.kind, kinds.index(kind)),
            "rms": (sites.rms, thermal(self.crystal, symbol)),
            "energy": (sites.energy, displacement_energy(self.crystal, symbol)),
            "radiolysis": (sites.radiolysis, ionisation(self.crystal, symbol)),
        }
        fresh: dict[str, Any] = {}
        for name, (values, value) in changed.items():
            copy = values.copy()
            copy[chosen] = value
            fresh[name] = copy
        self.sites = replace(sites, kinds=kinds, **fresh)

    def left(self) -> Sites:
        """Return the sites that have an atom."""
        return self.sites.keep(~self.gone) if self.gone.any() else self.sites

    def _note(self, chosen: IntArray, kind: str, symbol: str | None) -> None:
        from ase.data import chemical_symbols

        for site in chosen:
            x, y, z = (float(one) for one in self.sites.position[site])
            was = chemical_symbols[self.sites.number[site]]
            place = self.sites.kinds[self.sites.kind[site]]
            self.found.append(
                {"kind": kind, "x": x, "y": y, "z": z, "element": symbol, "was": was,
                 "site": place}
            )  # fmt: skip


def at_edges(sites: Sites, reach: float, full: IntArray) -> tuple[Sites, BoolArray]:
    """Return the sites with those at an edge named so and easier to remove; and which they are.

    Parameters
    ----------
    sites : Sites
        A layer.
    reach : float
        Longest bond in metres.
    full : numpy.ndarray
        Neighbours that each site has in the bulk, shape (n,).
    """
    edge: BoolArray = neighbours(sites, reach) < full
    kinds = sites.kinds if "edge" in sites.kinds else (*sites.kinds, "edge")
    kind = np.where(edge, kinds.index("edge"), sites.kind)
    energy = np.where(edge, AT_EDGE * sites.energy, sites.energy)
    return replace(sites, kinds=kinds, kind=kind, energy=energy), edge


def neighbours(sites: Sites, reach: float) -> IntArray:
    """Return how many sites lie within `reach` (m) of each, shape (n,)."""
    pairs = pairs_within(sites.position, reach)
    found: IntArray = np.bincount(pairs.ravel(), minlength=len(sites))
    return found
