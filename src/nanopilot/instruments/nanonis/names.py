"""Names of signals as the controller writes them: ``"Current (A)"``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nanopilot.core.errors import UnitError
from nanopilot.core.units import to_si

_NAMED = re.compile(r"(?P<name>.*?)\s*(?:\((?P<unit>[^()]*)\))?\s*")


@dataclass(frozen=True, slots=True)
class Named:
    """A signal of the controller.

    Parameters
    ----------
    name : str
        Without the unit: ``"Current"``.
    unit : str
        In SI; ``"a.u."`` where the controller's is none that nanopilot knows.
    factor : float
        Turns values of the controller into `unit`.
    """

    name: str
    unit: str
    factor: float


def read_name(text: str) -> Named:
    """Take a signal's name apart.

    Examples
    --------
    >>> read_name("Current (A)")
    Named(name='Current', unit='A', factor=1.0)
    >>> read_name("Phase (deg)").unit
    'rad'
    """
    found = _NAMED.fullmatch(text)
    if found is None or found["unit"] is None:
        return Named(text.strip(), "a.u.", 1.0)
    try:
        factor, unit = to_si(found["unit"])
    except UnitError:
        return Named(text.strip(), "a.u.", 1.0)
    return Named(found["name"], unit, factor)


def write_name(name: str, unit: str) -> str:
    """Return a signal's name as the controller writes it.

    Examples
    --------
    >>> write_name("height", "m")
    'height (m)'
    """
    return f"{name} ({unit})" if unit else name
