"""Quantities as text, at the edges only; inside, everything is a float in SI units.

pint is imported when a text is parsed for the first time, not before: most runs
never need it and it is slow to load.
"""

from __future__ import annotations

import re
from functools import cache
from math import isclose
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from nanopilot.core.errors import UnitError

if TYPE_CHECKING:
    from pint import Quantity, UnitRegistry

#: Units a signal may carry as they are; others are looked up with pint.
SI_UNITS = frozenset(
    "m s Hz V A C F N K kg rad 1 eV J W Pa m/V m^2 1/m m/s V/s A/V N/m S ohm T a.u. counts".split()
)

#: Spellings met in files that pint would take for something else or not at all.
_ALIASES = {
    "°": "degree", "Degrees": "degree", "Deg": "degree", "Å": "angstrom", "Ohm": "ohm",
    "%": "percent",
}  # fmt: skip


#: Derived units by the name a microscopist would use, where base units would do as well.
_PREFERRED = ("eV", "Hz", "V", "F", "ohm", "N", "W", "Pa", "C", "m/V", "N/m", "A/V")

#: Nobody records in astronomical units, which is what pint makes of "au".
_ARBITRARY = re.compile(r"a\.? ?u\.?|arb(\.|itrary)?[ .]*(u\.?|units?)?", re.IGNORECASE)

#: To pint a pixel is that of a style sheet, 1/96 inch.
_NOT_LENGTHS = frozenset(("px", "pixel", "pixels", "dot", "point", "pt"))

_NUMBER = re.compile(r"(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>.*)")
_UNIT = re.compile(r"[A-Za-zµ°Å%][A-Za-z0-9µ°Å%/*^. -]*|1/[A-Za-zµ°Å0-9^]+")


@cache
def _registry() -> UnitRegistry[float]:
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


def _quantity(number: float, unit: str) -> Quantity[float] | None:
    """Return a quantity, or None where the unit is none."""
    import pint

    if not _UNIT.fullmatch(unit):
        return None
    try:
        return _registry().Quantity(number, _ALIASES.get(unit, unit.replace("µ", "u")))
    except (pint.PintError, ValueError, TypeError, AttributeError, AssertionError):
        return None  # pint lets the errors of its own parser through


def _no_quantity(text: str, unit: str) -> UnitError:
    return UnitError(
        f"{text!r} is not a quantity in {unit}; write a number with a unit, such as '50 n{unit}'."
    )


def parse(text: str | float, unit: str) -> float:
    """Return a quantity given as text, such as ``"50 nm"``, in the SI unit asked for.

    Parameters
    ----------
    text : str or float
        Number with unit. A plain number is taken to be in `unit` already.
    unit : str
        Unit of the result, for instance ``"m"``.

    Raises
    ------
    UnitError
        The text is no quantity, or not one of this kind.

    Examples
    --------
    >>> round(parse("50 nm", "m") * 1e9, 6)
    50.0
    >>> parse(0.25, "m")
    0.25
    """
    if isinstance(text, int | float):
        return float(text)
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise _no_quantity(text, unit)
    number = float(found["number"])
    if not found["unit"]:
        return number
    quantity = _quantity(number, found["unit"])
    if quantity is None or not quantity.is_compatible_with(unit):
        raise _no_quantity(text, unit)
    return float(quantity.to(unit).magnitude)


def to_si(unit: str) -> tuple[float, str]:
    """Return the factor and the name that turn values in `unit` into SI (energies: eV).

    Raises
    ------
    UnitError
        There is no such unit.

    Examples
    --------
    >>> to_si("nm") == (1e-9, "m")
    True
    >>> to_si("a.u.")
    (1.0, 'a.u.')
    """
    unit = unit.strip()
    if unit in SI_UNITS:
        return 1.0, unit
    if _ARBITRARY.fullmatch(unit):
        return 1.0, "a.u."
    quantity, twice = _quantity(1.0, unit), _quantity(2.0, unit)
    if quantity is None or twice is None or unit in _NOT_LENGTHS:
        raise UnitError(f"{unit!r} is not a unit nanopilot knows; use one such as nm, V or Hz.")
    if not isclose(twice.to_base_units().magnitude, 2 * quantity.to_base_units().magnitude):
        raise UnitError(f"{unit!r} has no factor to SI (it has an offset or is a logarithm).")
    if quantity.dimensionless:
        angle = any(name in str(quantity.units) for name in ("degree", "radian"))
        return float(quantity.to_base_units().magnitude), "rad" if angle else "1"
    for name in _PREFERRED:
        if quantity.is_compatible_with(name):
            return float(quantity.to(name).magnitude), name
    base = quantity.to_base_units()
    return float(base.magnitude), f"{base.units:~C}".replace("**", "^")


def is_si(unit: str) -> bool:
    """Tell whether values in `unit` may stand in a signal as they are."""
    try:
        return to_si(unit)[0] == 1.0
    except UnitError:
        return False


def _reader(unit: str) -> BeforeValidator:
    def read(value: object) -> object:
        return parse(value, unit) if isinstance(value, str) else value

    return BeforeValidator(read)


Length = Annotated[float, _reader("m")]
Duration = Annotated[float, _reader("s")]
Angle = Annotated[float, _reader("rad")]
Bias = Annotated[float, _reader("V")]
Frequency = Annotated[float, _reader("Hz")]
