"""Quantities as text, at the edges only; inside, everything is a float in SI units.

pint is imported when a text is parsed for the first time, not before: most runs
never need it and it is slow to load.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from nanopilot.core.errors import UnitError

if TYPE_CHECKING:
    from pint import UnitRegistry

#: Units a signal may carry as they are; others are looked up with pint.
SI_UNITS = frozenset(
    "m s Hz V A C F N K kg rad 1 eV J W Pa m/V m^2 1/m m/s V/s A/V N/m S ohm T a.u. counts".split()
)

#: Spellings met in files that pint would take for something else or not at all.
_ALIASES = {"deg": "degree", "°": "degree", "degrees": "degree", "µm": "um", "Å": "angstrom"}


@cache
def _registry() -> UnitRegistry[float]:
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


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
    try:
        return float(text)
    except ValueError:
        pass
    import pint

    try:
        return float(_registry().Quantity(text.replace("µ", "u")).to(unit).magnitude)
    except (pint.PintError, ValueError, TypeError, AttributeError) as cause:
        raise UnitError(
            f"{text!r} is not a quantity in {unit}; write a number with a unit, such as '50 n{unit}'."
        ) from cause


def to_si(unit: str) -> tuple[float, str]:
    """Return the factor and the name that turn values in `unit` into SI (energies: eV).

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
    import pint

    try:
        quantity = _registry().Quantity(1.0, _ALIASES.get(unit, unit))
        if quantity.check("[energy]"):
            return float(quantity.to("eV").magnitude), "eV"
        if quantity.check("[frequency]") and "degree" not in str(quantity.units):
            return float(quantity.to("Hz").magnitude), "Hz"
        base = quantity.to_base_units()
        for name in ("V", "F", "ohm", "N", "W", "Pa", "C", "rad", "m/V", "N/m", "A/V"):
            if base.is_compatible_with(name) and not quantity.dimensionless:
                return float(quantity.to(name).magnitude), name
        if quantity.dimensionless:
            angle = "deg" in str(quantity.units) or "rad" in str(quantity.units)
            return float(base.magnitude), "rad" if angle else "1"
    except (pint.PintError, ValueError, TypeError, AttributeError) as cause:
        raise UnitError(f"{unit!r} is not a unit nanopilot knows.") from cause
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
