"""Commands about bias spectra."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nanopilot.app.facades.nanonis.panel import Panel
from nanopilot.app.facades.nanonis.session import Handlers, Session
from nanopilot.core.adjustables import Positioner
from nanopilot.core.capabilities import PointSpectroscopy
from nanopilot.core.errors import InvalidRequest, Unsupported
from nanopilot.core.requests import SpectrumRequest, from_outside
from nanopilot.instruments.nanonis.names import write_name

#: As the controller calls the axis of a sweep.
AXIS = "Bias calc (V)"
_MOST = 100_000


def open_module(session: Session) -> list[Any]:
    """Open the module, if there are bias spectra at all."""
    session.panel.mode()
    return []


def start(session: Session, wants_data: int, name: str) -> list[Any]:
    """Measure where the tip rests; the reply comes when it is over, as from a controller."""
    del name  # nothing is saved
    panel = session.panel
    with panel.starting:
        if panel.sweeping:
            raise Unsupported("`BiasSpectr.Start`: a spectrum is running; stop it first.")
        panel.sweeping = True
    try:
        request = _request(session)
        found = session.measure(PointSpectroscopy, request)
    finally:
        panel.sweeping = False
    if not wants_data:
        return [[], np.zeros((0, 0)), []]
    labels = [write_name(str(one), channel.attrs["units"]) for one, channel in found.items()]
    rows = [found["bias"].to_numpy(), *(channel.to_numpy() for channel in found.values())]
    return [[AXIS, *labels], np.stack(rows), list(request.position)]


def _request(session: Session) -> SpectrumRequest:
    panel = session.panel
    where, mode, sweep = session.reads(Positioner), panel.mode(), panel.sweep
    bias: tuple[float, ...] = ()
    if sweep.limits is not None or sweep.points is not None:
        low, high = sweep.limits or (mode.low, mode.high)
        bias = tuple(np.linspace(low, high, sweep.points or mode.points).tolist())
    return from_outside(
        SpectrumRequest,
        position=(where.get("x"), where.get("y")),
        channels=panel.channels(sweep.channels, mode.channels),
        bias=bias,
    )


def stop(session: Session) -> list[Any]:
    """Drop the spectrum in progress; needs no permission."""
    session.reads(PointSpectroscopy).stop()
    return []


def status(session: Session) -> list[Any]:
    """Tell whether a spectrum is being measured."""
    return [session.panel.sweeping]


def channels_set(session: Session, indices: list[int]) -> list[Any]:
    """Say what the next spectrum records."""
    panel = session.panel
    chosen = tuple(dict.fromkeys(indices))
    panel.channels(chosen, panel.mode().channels)
    panel.sweep = replace(panel.sweep, channels=chosen)
    return []


def channels_get(session: Session) -> list[Any]:
    """Tell what the next spectrum records."""
    panel = session.panel
    chosen = panel.sweep.channels
    return [list(chosen), [panel.signal(index).label for index in chosen]]


def props_set(session: Session, *props: Any) -> list[Any]:
    """Say how many points the next spectrum has; refuse what would not happen."""
    _, sweeps, backward, points, z_offset, autosave, _ = props
    if sweeps > 1 or backward == 1 or z_offset:
        raise Unsupported(
            "`Number of sweeps`, `Backward sweep` and `Z offset`: one forward sweep where the tip "
            "is is all there is; leave them 0."
        )
    if autosave == 1:
        raise Unsupported("`Autosave`: nothing is saved on this side; ask `Start` for the data.")
    if not (points == 0 or 2 <= points <= _MOST):
        raise InvalidRequest(f"`Number of points` is {points}; 2 to {_MOST} are allowed.")
    if points:
        _sweep(session.panel, session.panel.sweep.limits, points)
    return []


def props_get(session: Session) -> list[Any]:
    """Tell how the next spectrum is measured, and what `start` returns beside the data."""
    panel = session.panel
    labels = [panel.signal(index).label for index in panel.sweep.channels]
    points = panel.sweep.points or panel.mode().points
    return [0, 1, 0, points, labels, ["X (m)", "Y (m)"], []]


def limits_set(session: Session, low: float, high: float) -> list[Any]:
    """Say from where to where the bias is swept."""
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InvalidRequest(f"`Start value` and `End value` are {low} V and {high} V.")
    _sweep(session.panel, (low, high), session.panel.sweep.points)
    return []


def _sweep(panel: Panel, limits: tuple[float, float] | None, points: int | None) -> None:
    """Keep a sweep, as the instrument's own where it is: that may be no straight line."""
    mode = panel.mode()
    ends = limits or (mode.low, mode.high)
    same = np.array_equal(np.array(ends, np.float32), np.array((mode.low, mode.high), np.float32))
    if same and points in (None, mode.points):
        limits = points = None
    panel.sweep = replace(panel.sweep, limits=limits, points=points)


def limits_get(session: Session) -> list[Any]:
    """Tell from where to where the bias is swept."""
    mode = session.panel.mode()
    return list(session.panel.sweep.limits or (mode.low, mode.high))


def timing_get(session: Session) -> list[Any]:
    """Tell the time of one point, all counted as integration time."""
    request = _request(session)
    points = len(request.bias) or session.panel.mode().points
    seconds = session.reads(PointSpectroscopy).estimate(request).seconds / points
    return [0.0, 0.0, 0.0, 0.0, 0.0, seconds, 0.0, 0.0]


HANDLERS: Handlers = {
    "BiasSpectr.Open": open_module, "BiasSpectr.Start": start, "BiasSpectr.Stop": stop,
    "BiasSpectr.StatusGet": status, "BiasSpectr.ChsSet": channels_set,
    "BiasSpectr.ChsGet": channels_get, "BiasSpectr.PropsSet": props_set,
    "BiasSpectr.PropsGet": props_get, "BiasSpectr.LimitsSet": limits_set,
    "BiasSpectr.LimitsGet": limits_get, "BiasSpectr.TimingGet": timing_get,
}  # fmt: skip
