"""Numbers as people read them: rounded, with prefixes, units and a real minus sign."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

#: SI prefixes by power of ten.
_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_TAKES_PREFIX = frozenset("m s Hz V A N F W Pa ohm eV J m/V A/V V/s m/s".split())
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Scale:
    """How the values of an axis are shown: divided by `factor`, labelled with `unit`."""

    factor: float
    unit: str


def real(value: object) -> float:
    """Return a number out of a journal; NaN for what is missing or is none.

    Examples
    --------
    >>> real("0.5"), real(None)
    (0.5, nan)
    """
    if isinstance(value, int | float | str):
        try:
            return float(value)
        except ValueError:
            return math.nan
    return math.nan


def number(value: float, digits: int = 3) -> str:
    """Return a value with so many significant digits.

    Examples
    --------
    >>> number(-3.1234), number(2500), number(7.61e-5), number(float("nan"))
    ('−3.12', '2,500', '7.61 × 10⁻⁵', 'unknown')
    """
    if not math.isfinite(value):
        return "unknown"
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)))
    if -4 <= power < max(digits, 5):
        text = f"{value:,.{max(0, digits - 1 - power)}f}"
    else:
        text = f"{value / 10.0**power:.{digits - 1}f} × {power_of_ten(power)}"
    return text.replace("-", "−")


def power_of_ten(power: int) -> str:
    """Return ``10`` raised to a power as text.

    Examples
    --------
    >>> power_of_ten(-4)
    '10⁻⁴'
    """
    return "10" + str(power).translate(_RAISED)


def percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction in per cent.

    Examples
    --------
    >>> percent(0.1), percent(0.625, 0)
    ('10.0 %', '62 %')
    """
    return f"{100 * fraction:.{digits}f} %" if math.isfinite(fraction) else "unknown"


def duration(seconds: float) -> str:
    """Return a time in the units people use.

    Examples
    --------
    >>> duration(341.2), duration(7380), duration(4.25), duration(59.7)
    ('5 min 41 s', '2 h 3 min', '4.2 s', '1 min 0 s')
    """
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def scale_for(values: Iterable[float], unit: str) -> Scale:
    """Return the prefix, or the power of ten, that brings the largest value near 1 to 1000.

    Examples
    --------
    >>> scale_for([2e-6], "m").unit, scale_for([3e-4], "a.u.").unit
    ('µm', '10⁻³ a.u.')
    """
    known = np.abs(np.fromiter(values, dtype=float))
    known = known[np.isfinite(known)]
    largest = float(known.max()) if known.size else 0.0
    if largest == 0 or unit.startswith("log"):
        return Scale(1.0, pretty(unit))
    # The small excess keeps 1e-6 m from becoming 1000 nm through rounding.
    power = 3 * math.floor(math.log10(largest * 1.000001) / 3)
    if unit in _TAKES_PREFIX and power in _PREFIXES:
        return Scale(10.0**power, _PREFIXES[power] + pretty(unit))
    if power == 0 or 0.1 <= largest < 10_000:
        return Scale(1.0, pretty(unit))
    if largest / 10.0**power > 100:
        power += 3
    return Scale(10.0**power, f"{power_of_ten(power)} {pretty(unit)}".strip())


def pretty(unit: str) -> str:
    """Return a unit as it is printed; the unit one is nothing.

    Examples
    --------
    >>> pretty("log10(a.u. V)"), pretty("1")
    ('log₁₀(a.u. V)', '')
    """
    return "" if unit == "1" else unit.replace("log10", "log₁₀").replace("ohm", "Ω")


def with_unit(value: float, unit: str, digits: int = 3) -> str:
    """Return a value with its unit.

    Examples
    --------
    >>> with_unit(1.24e-6, "m"), with_unit(-3.1, "log10(a.u. V)", 2)
    ('1.24 µm', '−3.1 log₁₀(a.u. V)')
    """
    if not math.isfinite(value):
        return "unknown"
    if unit not in _TAKES_PREFIX:
        return f"{number(value, digits)} {pretty(unit)}".strip()
    scale = scale_for([value], unit)
    return f"{number(value / scale.factor, digits)} {scale.unit}"


def without_logarithm(value: float, unit: str) -> str:
    """Return what a decimal logarithm stands for, or nothing where the unit is none.

    Examples
    --------
    >>> without_logarithm(-3.0, "log10(a.u. V)")
    '1.00 × 10⁻³ a.u. V'
    """
    inner = re.fullmatch(r"log10\((.*)\)", unit)
    if inner is None or not abs(value) < 300:
        return ""
    power = math.floor(value)
    return f"{10 ** (value - power):.2f} × {power_of_ten(power)} {inner[1]}"


def round_length(width: float, share: float = 1 / 3) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is at most a share of the width.

    Examples
    --------
    >>> round(round_length(2e-6) * 1e9, 6)
    500.0
    """
    limit = width * share
    power = 10.0 ** math.floor(math.log10(limit))
    return max(step * power for step in (0.5, 1.0, 2.0, 5.0) if step * power <= limit * 1.000001)


def bar_label(metres: float) -> str:
    """Return the length of a scale bar, with µm from 1 µm on and nm below.

    Examples
    --------
    >>> bar_label(5e-7), bar_label(1e-6), bar_label(2e-10)
    ('500 nm', '1 µm', '0.2 nm')
    """
    for factor, unit in ((1e-3, "mm"), (1e-6, "µm"), (1e-9, "nm")):
        if metres > factor * 0.999 or unit == "nm":
            return f"{round(metres / factor, 6):g} {unit}"
    raise AssertionError("the last unit takes every length")
