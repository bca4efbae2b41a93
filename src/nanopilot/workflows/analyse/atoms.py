"""`analyse atoms`: columns of an atomic frame, sublattices, lattice, strain and polarisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from nanopilot.analysis.atom_graphs.crystal import Crystal, read_crystal
from nanopilot.analysis.atom_graphs.features import HOPS
from nanopilot.analysis.atom_graphs.strain import local_strain
from nanopilot.analysis.atoms import AtomColumns, assign_sublattices, map_polarisation
from nanopilot.core.errors import SignalError
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.workflows.analyse.doubts import common_doubts
from nanopilot.workflows.analyse.findings import Findings, Mark

#: Share of columns off the lattice from which one lattice does not describe a frame.
_OFF = 0.2
_STRAIN = {
    "strain_xx": ("strain", "1"), "strain_yy": ("strain", "1"),
    "strain_xy": ("shear strain", "1"), "rotation": ("rotation from x towards y", "rad"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnalyseAtoms:
    """Find atomic columns and say what lattice they make.

    Parameters
    ----------
    width : float, optional
        Of a column, a standard deviation in metres; otherwise found.
    least_height : float
        Lower than this share of the middling column is none, 0 to 1.
    """

    width: float | None = None
    least_height: float = 0.1

    def __call__(self, frame: Signal) -> Findings:
        """Return the table of columns, a mark for each, and doubts.

        Raises
        ------
        SignalError
            It is no frame, or has values that are not finite.
        OutOfRange
            A setting is impossible in this frame.
        """
        columns = AtomColumns(self.width, self.least_height)(frame)
        named = assign_sublattices(columns)
        doubts = common_doubts(frame, columns)
        summary: dict[str, float | int | str] = {"columns": columns.sizes["point"]}
        if columns.sizes["point"]:
            errors = np.concatenate([columns["x_error"], columns["y_error"]])
            summary |= {
                "median error of a place (pm)": 1e12 * float(np.median(errors)),
                "sublattices": int(named.attrs["sublattices"]),
            }
        table, more, said = _lattice(frame, named)
        polar = _polarisation(named) if int(named.attrs["sublattices"]) == 2 else {}
        doubts += said
        if columns.sizes["point"] and not int(named.attrs["sublattices"]):
            doubts.append("Heights of the columns overlap: sublattices are not told apart.")
        return Findings(table, _marks(named), summary | more | polar, tuple(doubts))


def _marks(named: SignalSet) -> tuple[Mark, ...]:
    kinds = named["sublattice"].to_numpy()
    place = np.stack([named["x"].to_numpy(), named["y"].to_numpy()], axis=1)
    return tuple(
        Mark("column" if kind < 0 else f"sublattice {kind}", one[None], "dot")
        for kind, one in zip(kinds, place, strict=True)
    )


def _lattice(
    frame: Signal, named: SignalSet
) -> tuple[SignalSet, dict[str, float | int | str], list[str]]:
    """Return the table with strain, numbers on the lattice, and doubts about it."""
    try:
        crystal = read_crystal(named, frame)
    except SignalError as error:
        return named, {}, [f"No lattice was found: {error}"]
    count = named.sizes["point"]
    strain = local_strain(crystal.graph, crystal.links, crystal.column, HOPS[1])[:count]
    table = named.assign(
        {
            name: xr.DataArray(
                strain[:, at], dims="point", attrs={"quantity": quantity, "units": units}
            )
            for at, (name, (quantity, units)) in enumerate(_STRAIN.items())
        }
    )
    doubts = []
    off = float((crystal.links.there[:count].sum(axis=1) < 3).mean())
    if off > _OFF:
        doubts.append(
            f"{off:.0%} of the columns do not fit the lattice: grains, or much distortion."
        )
    return table, _numbers(crystal, strain), doubts


def _numbers(crystal: Crystal, strain: np.ndarray) -> dict[str, float | int | str]:
    first, second = crystal.periods
    lengths = [1e12 * float(np.hypot(*one)) for one in (first, second)]
    cosine = float(first @ second) * 1e24 / (lengths[0] * lengths[1])
    found: dict[str, float | int | str] = {
        "period a (pm)": lengths[0],
        "period b (pm)": lengths[1],
        "angle between them (deg)": float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        "empty sites": int((~crystal.column).sum()),
    }
    known = strain[np.isfinite(strain).all(axis=1)]
    if len(known):
        for at, name in enumerate(("xx", "yy", "xy")):
            found[f"spread of strain {name} (%)"] = 100 * float(known[:, at].std())
    return found


def _polarisation(named: SignalSet) -> dict[str, float | int | str]:
    try:
        polar = map_polarisation(named, of=0, against=1)
    except SignalError:
        return {}
    found: dict[str, float | int | str] = {}
    for axis in ("x", "y"):
        values = polar[f"polarisation_{axis}"].to_numpy()
        known = values[np.isfinite(values)]
        if len(known):
            found[f"median polar displacement {axis} (pm)"] = 1e12 * float(np.median(known))
    return found
