"""What the limits say about a request: pure functions, one violation per reason."""

from __future__ import annotations

import numpy as np

from nanopilot.core.capabilities import InstrumentDescription
from nanopilot.core.geometry import corners
from nanopilot.core.history import FloatArray
from nanopilot.core.limits import Area, Budget, Estimate, Limits, Range, Spent, Violation
from nanopilot.core.requests import Request, ScanRequest, SpectrumRequest


def check_limits(
    request: Request, limits: Limits, description: InstrumentDescription
) -> list[Violation]:
    """List the absolute limits that a request would break."""
    if isinstance(request, ScanRequest):
        return _check_scan(request, limits)
    if isinstance(request, SpectrumRequest):
        return _check_spectrum(request, limits, description)
    return []


def check_budget(estimate: Estimate, spent: Spent, budget: Budget) -> list[Violation]:
    """List the budgets that a request would overdraw."""
    after = spent.plus(estimate)
    found = []
    if budget.spectra is not None and after.spectra > budget.spectra:
        found.append(
            Violation(
                parameter="spectra",
                kind="budget",
                message=f"`spectra` would be {after.spectra}; the budget of this run is "
                f"{budget.spectra}. Raise the budget or stop here.",
            )
        )
    if budget.seconds is not None and not after.seconds <= budget.seconds:
        found.append(
            Violation(
                parameter="seconds",
                kind="budget",
                message=f"`seconds` would be {after.seconds:g}; the budget of this run is "
                f"{budget.seconds:g} s. Raise the budget or stop here.",
            )
        )
    return found


def _check_scan(request: ScanRequest, limits: Limits) -> list[Violation]:
    found = [] if limits.area is None else _outside(corners(request), limits.area)
    dwell = request.dwell_time
    if limits.dwell_time is not None and dwell is not None and not limits.dwell_time.holds(dwell):
        found.append(_out_of_range("dwell_time", dwell, limits.dwell_time))
    pixels = len(request.points) or request.shape[0] * request.shape[1]
    if limits.max_pixels is not None and pixels > limits.max_pixels:
        found.append(
            Violation(
                parameter="shape",
                message=f"`shape` asks for {pixels} pixels; the limit is {limits.max_pixels}.",
            )
        )
    return found


def _check_spectrum(
    request: SpectrumRequest, limits: Limits, description: InstrumentDescription
) -> list[Violation]:
    found = []
    if limits.area is not None:
        found += _outside(np.array([request.position]), limits.area)
    if limits.bias is not None and request.kind == "bias":
        sweep = description.sweep
        extremes = request.bias or ((sweep.low, sweep.high) if sweep else ())
        # Not by minimum and maximum, which a NaN among the values would slip past.
        broken = [value for value in extremes if not limits.bias.holds(value)]
        found += [_out_of_range("bias", value, limits.bias) for value in broken[:1]]
    return found


def _outside(places: FloatArray, area: Area) -> list[Violation]:
    for x, y in places:
        if not area.holds((x, y)):
            return [
                Violation(
                    parameter="position",
                    message=f"`position` reaches ({x:.4g} m, {y:.4g} m); the limits allow x "
                    f"{area.x[0]:.4g} m to {area.x[1]:.4g} m and y {area.y[0]:.4g} m to "
                    f"{area.y[1]:.4g} m.",
                )
            ]
    return []


def _out_of_range(name: str, value: float, allowed: Range) -> Violation:
    unit = allowed.unit
    return Violation(
        parameter=name,
        message=f"`{name}` is {value:g} {unit}; the limits allow {allowed.low:g} {unit} "
        f"to {allowed.high:g} {unit}.",
    )
