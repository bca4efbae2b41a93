"""Units on axes and in sentences: prefixes, brackets, and the length of a scale bar."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nanopilot.app.report.numbers import number, power_of_ten

#: SI prefixes by power of ten.
_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_TAKES_PREFIX = frozenset("m s Hz V A N F W Pa ohm eV J m/V A/V V/s m/s".split())


@dataclass(frozen=True, slots=True)
class Scale:
    """How the values of an axis are shown: divided by `factor`, labelled with `unit`."""

    factor: float
    unit: str


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
    if power == 0 or 0.1 <= largest < 1000:
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


def in_brackets(unit: str) -> str:
    """Return what follows a name on an axis: its unit in brackets, or nothing.

    Examples
    --------
    >>> in_brackets("V"), in_brackets("1"), in_brackets("log10(V)")
    (' (V)', '', ', log₁₀(V)')
    """
    known = pretty(unit)
    if not known:
        return ""
    return f", {known}" if "(" in known else f" ({known})"


def without_logarithm(value: float, unit: str) -> str:
    """Return what a decimal logarithm stands for, or nothing where the unit is none.

    Examples
    --------
    >>> without_logarithm(-1.0, "log10(a.u. V)"), without_logarithm(-7.0, "log10(a.u. V)")
    ('0.100 a.u. V', '1.00 × 10⁻⁷ a.u. V')
    """
    inner = re.fullmatch(r"log10\((.*)\)", unit)
    if inner is None or not abs(value) < 300:
        return ""
    return f"{number(10.0**value)} {inner[1]}"


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
