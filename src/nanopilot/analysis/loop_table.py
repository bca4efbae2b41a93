"""What a fitted loop amounts to: named parameters and their standard deviations."""

from __future__ import annotations

import numpy as np

from nanopilot.analysis.loop_model import BoolArray, Projected, Sweep
from nanopilot.core.history import FloatArray

#: How far the bound of least squares is from the truth where a step is hardly there: the
#: standard deviation of its place grows by exp(k x²), x being that deviation in widths of the
#: step, and at most by e. Found by simulation.
WIDENING = 2.3

#: A step no wider than this part of the distance of two points lies between them.
SHARP = 0.5
#: Height over noise from which on a jump is between no other two points.
CLEAR = 5.0

#: Name, quantity and units (None: of the signal; "/V", "*V": those per or times V), in order.
PARAMETERS: tuple[tuple[str, str, str | None], ...] = (
    ("offset", "response between the states", None),
    ("slope", "slope of the response", "/V"),
    ("height", "half the distance of the states", None),
    ("bias_up", "switching bias on the way up", "V"),
    ("bias_down", "switching bias on the way down", "V"),
    ("width_up", "width of the step on the way up", "V"),
    ("width_down", "width of the step on the way down", "V"),
    ("coercive_bias", "coercive bias", "V"),
    ("imprint", "imprint", "V"),
    ("loop_area", "area of the loop", "*V"),
)


def labels(units: str) -> list[tuple[str, str, str]]:
    """Return name, quantity and units of every map, for loops measured in `units`."""
    special = {None: units, "/V": _joined(units, "/"), "*V": _joined(units, "*")}
    named = [(name, what, special.get(unit, str(unit))) for name, what, unit in PARAMETERS]
    errors = [
        (f"{name}_std", f"standard deviation of the {what}", unit) for name, what, unit in named
    ]
    return [*named, *errors, ("noise", "standard deviation of the noise", units),
            ("spikes", "points left out", "1")]  # fmt: skip


def _joined(units: str, sign: str) -> str:
    # Arbitrary units stay arbitrary, whatever they are divided by.
    if units == "a.u.":
        return units
    return {"1/": "1/V", "1*": "V", "V/": "1", "V*": "V^2"}.get(units + sign, f"{units}{sign}V")


def tabulate(sweep: Sweep, weights: FloatArray, theta: FloatArray, found: Projected) -> FloatArray:
    """Return parameters, standard deviations, noise and spikes, shape (n, 22)."""
    freedom = np.maximum(weights.sum(axis=1) - 7, 1)
    noise2 = found.energy / freedom
    normal = found.whole.transpose(0, 2, 1) @ found.whole
    covariance = noise2[:, None, None] * np.linalg.pinv(normal, hermitian=True)
    wide, span = np.exp(theta[:, 2:]), sweep.span
    offset, tilt, height = found.linear.T
    up, down = theta[:, 0], theta[:, 1]
    ones = np.ones_like(up)
    values = [offset, tilt / span, height, up, down, *wide.T, 0.5 * (up - down), 0.5 * (up + down)]
    values.append(2.0 * height * (up - down))
    # Of the parameters by those that were fitted, the switching biases counted in widths.
    rows = np.zeros((len(theta), 10, 7))
    rows[:, range(7), range(7)] = np.stack([ones, ones / span, ones, *wide.T, *wide.T], axis=1)
    rows[:, 7, 3:5] = 0.5 * wide * [1.0, -1.0]
    rows[:, 8, 3:5] = 0.5 * wide
    rows[:, 9, 3:5] = 2.0 * height[:, None] * wide * [1.0, -1.0]
    rows[:, 9, 2] = 2.0 * (up - down)
    variance = np.einsum("nik,nkl,nil->ni", rows, covariance, rows)
    widen(variance, wide)
    blur(variance, np.column_stack(values), sweep, height**2 > CLEAR**2 * noise2)
    spikes = (weights == 0).sum(axis=1)
    return np.column_stack([*values, np.sqrt(variance), np.sqrt(noise2), spikes])


def widen(variance: FloatArray, wide: FloatArray) -> None:
    """Apply `WIDENING` to the variances of the switching biases, shape (n, 10), in place."""
    linear = variance[:, 3:5]
    grown = linear * np.exp(np.minimum(2.0 * WIDENING * linear / wide**2, 2.0))
    both = linear.sum(axis=1)
    ratio = grown.sum(axis=1) / np.where(both > 0, both, 1.0)
    variance[:, 3:5] = grown
    variance[:, 7:9] *= ratio[:, None]


def blur(variance: FloatArray, values: FloatArray, sweep: Sweep, clear: BoolArray) -> None:
    """Put the step of the bias into the variances of jumps sharper than it, in place.

    Between two points a jump may be anywhere, and the slope of the fit there says nothing.
    Where noise is small, which two points it lies between is clear, and nothing else matters.

    Parameters
    ----------
    variance, values : numpy.ndarray
        Shape (n, 10), in the order of `PARAMETERS`.
    sweep : Sweep
        Says how far apart points are.
    clear : numpy.ndarray of bool
        Where the height is many times the noise, shape (n,).
    """
    sharp = values[:, 5:7] <= SHARP * sweep.step
    for columns, least in ((slice(3, 5), sweep.step**2 / 12.0), (slice(5, 7), sweep.step**2 / 4.0)):
        linear = variance[:, columns]
        capped = np.where(clear[:, None], np.minimum(linear, least), linear)
        variance[:, columns] = np.where(sharp, capped + least, linear)
    both = 0.25 * variance[:, 3:5].sum(axis=1)
    area = 16.0 * (values[:, 2] ** 2 * both + values[:, 7] ** 2 * variance[:, 2])
    either = sharp.any(axis=1)
    for column, blurred in ((7, both), (8, both), (9, area)):
        variance[:, column] = np.where(either, blurred, variance[:, column])


def rescaled(rows: FloatArray, scale: FloatArray, middle: FloatArray) -> FloatArray:
    """Return rows of `tabulate` in the units of the signal."""
    rows = rows.copy()
    for column in (0, 1, 2, 9, 10, 11, 12, 19, 20):
        rows[:, column] *= scale
    rows[:, 0] += middle
    return rows
