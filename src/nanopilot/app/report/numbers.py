"""Numbers as people read them: rounded, with a real minus sign."""

from __future__ import annotations

import math

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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


def r_squared(value: float) -> str:
    """Return a coefficient of determination; its third digit is chance.

    Examples
    --------
    >>> r_squared(-0.0076), r_squared(0.534), r_squared(-0.001)
    ('−0.01', '0.53', '0.00')
    """
    if not math.isfinite(value):
        return "unknown"
    # Adding zero turns a negative zero into zero.
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


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
