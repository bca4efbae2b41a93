"""What the layered families share: cut along an edge, name the atoms there, bend, loosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nanopilot.twins.stem.samples.defects import Defects, at_edges, neighbours
from nanopilot.twins.stem.samples.lattice import Box, Sites
from nanopilot.twins.stem.samples.near import nearest
from nanopilot.twins.stem.samples.outline import Bow, Edge
from nanopilot.twins.stem.samples.recipe import BoolArray, FloatArray
from nanopilot.twins.stem.samples.stability import BESIDE_VACANCY

#: Rim in metres that is built and then cut away, so that the area's own border is no edge.
RIM = 1.0e-9


def within(position: FloatArray, box: Box) -> BoolArray:
    """Tell which places lie in a rectangle, shape (n,)."""
    x, y = position[:, 0], position[:, 1]
    found: BoolArray = (x >= box.left) & (x < box.right) & (y >= box.bottom) & (y < box.top)
    return found


def finished(sites: Sites, edge: Edge, box: Box, reach: float) -> Sites:
    """Return a layer cut along its edge and to its box, its edge atoms named.

    Atoms that hang on by one bond are dropped.

    Parameters
    ----------
    sites : Sites
        Of a layer that goes beyond the box by `RIM`.
    edge : Edge
        Where it ends.
    box : Box
        What is kept.
    reach : float
        Longest bond in metres.
    """
    whole = neighbours(sites, reach)
    kept = edge.inside(sites.position[:, 0], sites.position[:, 1])
    sites, whole = sites.keep(kept), whole[kept]
    for _ in range(3):
        hanging = (neighbours(sites, reach) <= 1) & (whole > 1)
        if not hanging.any():
            break
        sites, whole = sites.keep(~hanging), whole[~hanging]
    sites, _ = at_edges(sites, reach, whole)
    return sites.keep(within(sites.position, box))


def bent(sites: Sites, bow: Bow) -> Sites:
    """Return the sites moved along z to the height of a bent foil."""
    if not bow.sag:
        return sites
    x, y = sites.position[:, 0], sites.position[:, 1]
    return sites.moved(np.stack([np.zeros_like(x), np.zeros_like(x), bow(x, y)], axis=1))


def loosened(defects: Defects, reach: float) -> Sites:
    """Return the sites that have an atom; those beside a vacancy are easier to remove."""
    sites = defects.left()
    if not defects.gone.any() or not len(sites):
        return sites
    away, _ = nearest(sites.position, defects.sites.position[defects.gone], reach)
    factor = np.where(np.isfinite(away), BESIDE_VACANCY, 1.0)
    return replace(sites, energy=sites.energy * factor)


def by_kind(found: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many defects there are of each kind."""
    kinds = sorted({one["kind"] for one in found})
    return {kind: sum(one["kind"] == kind for one in found) for kind in kinds}
