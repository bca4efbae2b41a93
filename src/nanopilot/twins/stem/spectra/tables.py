"""Tables of the elements: absorption edges and characteristic X-rays, read from JSON.

The numbers are measured or calculated facts from tables in the public domain; each file says which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from nanopilot.core.errors import UnknownName

#: Electrons of a full subshell.
OCCUPATION: Mapping[str, int] = {
    "K": 2, "L1": 2, "L2": 2, "L3": 4, "M1": 2, "M2": 2, "M3": 4, "M4": 4, "M5": 6, "N4": 4,
    "N5": 6,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edge:
    """An absorption edge.

    Parameters
    ----------
    shell : str
        Such as ``"K"`` or ``"L3"``.
    energy : float
        Electronvolts.
    strength : float
        Oscillator strength per eV at the edge, without its fine structure.
    decay : float
        The strength falls as energy to the minus this power.
    delay : float
        Electronvolts over which it rises, as of shells with a centrifugal barrier; 0: at once.
    """

    shell: str
    energy: float
    strength: float
    decay: float
    delay: float


@dataclass(frozen=True, slots=True)
class Line:
    """A characteristic X-ray line.

    Parameters
    ----------
    name : str
        Siegbahn's, such as ``"Ka1"``.
    shell : str
        Where the hole was.
    edge : float
        Energy of that shell in eV.
    energy : float
        Of the photon, in eV.
    photons : float
        Photons per hole: fluorescence yield times the line's share.
    """

    name: str
    shell: str
    edge: float
    energy: float
    photons: float


@cache
def _read(name: str) -> Mapping[str, Any]:
    source = files("nanopilot.twins.stem.spectra").joinpath("data").joinpath(name)
    read: Mapping[str, Any] = json.loads(source.read_text(encoding="utf-8"))["elements"]
    return read


def _row(table: str, symbol: str) -> Mapping[str, Any]:
    rows = _read(table)
    if symbol not in rows:
        raise UnknownName("element", symbol, tuple(rows))
    row: Mapping[str, Any] = rows[symbol]
    return row


def atomic_number(symbol: str) -> int:
    """Return the atomic number of an element, hydrogen to uranium.

    Raises
    ------
    UnknownName
        There is no such element in the table.
    """
    return int(_row("edges.json", symbol)["Z"])


@cache
def _symbols() -> Mapping[int, str]:
    return {int(row["Z"]): symbol for symbol, row in _read("edges.json").items()}


def symbol(number: int) -> str:
    """Return the symbol of an atomic number.

    Raises
    ------
    UnknownName
        There is no such element in the table.
    """
    known = _symbols()
    if number not in known:
        raise UnknownName("atomic number", str(number), map(str, known))
    return known[number]


@cache
def edges(symbol: str) -> tuple[Edge, ...]:
    """Return the edges of an element from 30 eV to 3500 eV, deepest shell first.

    Raises
    ------
    UnknownName
        There is no such element in the table.

    Examples
    --------
    >>> [(edge.shell, edge.energy) for edge in edges("O")]
    [('K', 532.0)]
    """
    rows = _row("edges.json", symbol)["edges"]
    return tuple(Edge(shell, *map(float, row)) for shell, row in sorted(rows.items()))


@cache
def lines(symbol: str) -> tuple[Line, ...]:
    """Return the X-ray lines of an element from 90 eV to 40 keV; none: it has no row.

    Raises
    ------
    UnknownName
        There is no such element.
    """
    atomic_number(symbol)
    shells = _read("xray_lines.json").get(symbol, {"shells": {}})["shells"]
    return tuple(
        Line(str(name), shell, float(edge), float(energy), float(share) * float(fluorescence))
        for shell, (edge, fluorescence, found) in shells.items()
        for name, energy, share in found
    )
