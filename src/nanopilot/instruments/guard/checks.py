"""What the limits say about a request: pure functions, one violation per reason."""

from __future__ import annotations

import math

import numpy as np

from nanopilot.core.description import InstrumentDescription
from nanopilot.core.geometry import corners
from nanopilot.core.history import FloatArray
from nanopilot.core.limits import Area, Budget, Estimate, Limits, Range, Spent, Violation
from nanopilot.core.requests import (
    CameraRequest,
    Request,
    ScanRequest,
    SpectrumRequest,
    WriteRequest,
)
from nanopilot.instruments.guard.trust import not_finite

#: More values than this in one measurement are a mistake on every instrument: 2 GiB a channel.
MOST_VALUES = 2**28
#: More patterns than this in one go are a mistake as well.
MOST_PATTERNS = 2**20

_UNITS = {"seconds": " s", "bias_seconds": " s", "wear": " m"}


def check_limits(
    request: Request, limits: Limits, description: InstrumentDescription
) -> list[Violation]:
    """List the absolute limits that a request would break; allocates next to nothing."""
    found = not_finite(request)
    if found:
        return found
    if isinstance(request, ScanRequest):
        return _check_scan(request, limits)
    if isinstance(request, SpectrumRequest):
        return _check_spectrum(request, limits, description)
    if isinstance(request, WriteRequest):
        return _inside(np.array(request.points), limits) + _in_range(
            "bias", request.bias, limits.bias
        )
    return _check_camera(request, limits)


def check_estimate(estimate: Estimate) -> list[Violation]:
    """List what in an estimate is no amount: NaN, infinite or negative."""
    return [
        Violation(
            parameter=name,
            message=f"`{name}` of this request would be {value:g}{_UNITS.get(name, '')}; it must "
            f"be finite. Ask for less.",
        )
        for name, value in estimate
        if not 0 <= value < math.inf
    ]


def check_budget(estimate: Estimate, spent: Spent, budget: Budget) -> list[Violation]:
    """List the budgets of the run that a request would overdraw."""
    after = spent.plus(estimate)
    found = []
    for name, would in after:
        allowed = getattr(budget, name)
        if allowed is not None and not would <= allowed:
            unit = _UNITS.get(name, "")
            message = (
                f"`{name}` would be {would:g}{unit}; the budget of this run is "
                f"{allowed:g}{unit}. Raise the budget or stop here."
            )
            found.append(Violation(parameter=name, kind="budget", message=message))
    return found


def _check_scan(request: ScanRequest, limits: Limits) -> list[Violation]:
    found = _inside(corners(request), limits) + _in_range(
        "dwell_time", _dwell(request), limits.dwell_time
    )
    pixels = len(request.points) or request.shape[0] * request.shape[1]
    return found + _not_too_many(pixels, request.frames, limits)


def _dwell(request: ScanRequest) -> tuple[float, ...]:
    """Return seconds per pixel, as far as the request says."""
    if request.dwell_time is not None:
        return (request.dwell_time,)
    if request.line_rate is None:
        return ()
    passes = max(1, len(request.directions))
    return (1.0 / request.line_rate / request.shape[1] / passes,)


def _check_spectrum(
    request: SpectrumRequest, limits: Limits, description: InstrumentDescription
) -> list[Violation]:
    found = _inside(corners(request.grid), limits)
    found += _not_too_many(request.shape[0] * request.shape[1], max(1, len(request.bias)), limits)
    if request.kind == "bias" and limits.bias is not None:
        sweep = request.bias or own_sweep(description)
        if not sweep:
            message = (
                "`bias` is left to the instrument, which does not say what it applies; give it."
            )
            found.append(Violation(parameter="bias", message=message))
        found += _in_range("bias", sweep, limits.bias)
    return found + _check_settings(request, limits, description)


def _check_settings(
    request: SpectrumRequest, limits: Limits, description: InstrumentDescription
) -> list[Violation]:
    """List further settings of a spectrum that are beyond what is declared for them."""
    declared = {
        one.name: one
        for mode in description.spectra
        if mode.kind == request.kind
        for one in mode.parameters
    }
    found = []
    for name, value in request.parameters.items():
        one = declared.get(name)
        if one is not None and one.limits is not None:
            found += _in_range(name, (value,), one.limits, says="instrument accepts")
        if one is not None and one.quantity == "bias":
            found += _in_range(name, (value,), limits.bias)
    return found


def own_sweep(description: InstrumentDescription) -> tuple[float, ...]:
    """Return the voltages that the instrument's own bias spectrum reaches; empty: unknown."""
    ends = [(mode.low, mode.high) for mode in description.spectra if mode.kind == "bias"]
    if description.sweep is not None:
        ends.append((description.sweep.low, description.sweep.high))
    return tuple(value for pair in ends for value in pair)


def _check_camera(request: CameraRequest, limits: Limits) -> list[Violation]:
    grid = request.grid
    found = [] if grid is None else _inside(corners(grid), limits)
    for name, count in (
        ("frames", request.frames),
        ("shape", request.shape[0] * request.shape[1]),
    ):
        if count > MOST_PATTERNS:
            message = (
                f"`{name}` asks for {count} patterns; at most {MOST_PATTERNS} can be asked for at "
                f"once."
            )
            found.append(Violation(parameter=name, message=message))
    return found


def _not_too_many(pixels: int, times: int, limits: Limits) -> list[Violation]:
    """List the violation of asking for too much at once; counts in integers of any size."""
    if limits.max_pixels is not None and pixels > limits.max_pixels:
        message = f"`shape` asks for {pixels} pixels; the limit is {limits.max_pixels}."
    elif pixels * times > MOST_VALUES:
        message = (
            f"`shape` asks for {pixels * times} values in all; no more than {MOST_VALUES} can "
            f"be asked for at once."
        )
    else:
        return []
    return [Violation(parameter="shape", message=message)]


def _inside(places: FloatArray, limits: Limits) -> list[Violation]:
    area = limits.area
    if area is None:
        return []
    x, y = places[:, 0], places[:, 1]
    # Not by minimum and maximum, which a NaN among the values would slip past.
    outside = ~(_within(x, area.x) & _within(y, area.y))
    if not outside.any():
        return []
    first = int(np.argmax(outside))
    return [_out_of_area(float(x[first]), float(y[first]), area)]


def _within(
    values: FloatArray, edges: tuple[float, float]
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    slack = 1e-12  # as `Area.holds`: rounding of the edges is forgiven
    inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (values >= edges[0] - slack) & (
        values <= edges[1] + slack
    )
    return inside


def _out_of_area(x: float, y: float, area: Area) -> Violation:
    return Violation(
        parameter="position",
        message=f"`position` reaches ({x:.4g} m, {y:.4g} m); the limits allow x "
        f"{area.x[0]:.4g} m to {area.x[1]:.4g} m and y {area.y[0]:.4g} m to "
        f"{area.y[1]:.4g} m.",
    )


def _in_range(
    name: str, values: tuple[float, ...], allowed: Range | None, says: str = "limits allow"
) -> list[Violation]:
    """List the first value that is not allowed."""
    broken = [] if allowed is None else [one for one in values if not allowed.holds(one)]
    return [out_of_range(name, one, allowed, says) for one in broken[:1] if allowed is not None]


def out_of_range(name: str, value: float, allowed: Range, says: str = "limits allow") -> Violation:
    """Return the violation of a range; `says` names whose it is."""
    unit = "" if allowed.unit == "1" else f" {allowed.unit}"
    return Violation(
        parameter=name,
        message=f"`{name}` is {value:g}{unit}; the {says} {allowed.low:g}{unit} "
        f"to {allowed.high:g}{unit}.",
    )
