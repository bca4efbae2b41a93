"""Signals, requests, capabilities, limits, events, clocks, errors and the registry.

Names are found when they are asked for: `nanopilot --help` needs the errors and not xarray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanopilot.core.capabilities import (
        Acquisition,
        Instrument,
        InstrumentDescription,
        PointSpectroscopy,
        Scanner,
    )
    from nanopilot.core.clock import Clock, RealClock, VirtualClock
    from nanopilot.core.errors import NanopilotError
    from nanopilot.core.features import FeatureTable
    from nanopilot.core.history import Action, History, Step
    from nanopilot.core.limits import Area, Budget, Estimate, Limits, Range, Spent, Violation
    from nanopilot.core.requests import ScanRequest, SpectrumRequest
    from nanopilot.core.signals import Axis, Signal, SignalSet, make_signal

_HOME = {
    "capabilities": "Acquisition Instrument InstrumentDescription PointSpectroscopy Scanner",
    "clock": "Clock RealClock VirtualClock",
    "errors": "NanopilotError",
    "features": "FeatureTable",
    "history": "Action History Step",
    "limits": "Area Budget Estimate Limits Range Spent Violation",
    "requests": "ScanRequest SpectrumRequest",
    "signals": "Axis Signal SignalSet make_signal",
}

__all__ = [
    "Acquisition",
    "Action",
    "Area",
    "Axis",
    "Budget",
    "Clock",
    "Estimate",
    "FeatureTable",
    "History",
    "Instrument",
    "InstrumentDescription",
    "Limits",
    "NanopilotError",
    "PointSpectroscopy",
    "Range",
    "RealClock",
    "ScanRequest",
    "Scanner",
    "Signal",
    "SignalSet",
    "SpectrumRequest",
    "Spent",
    "Step",
    "Violation",
    "VirtualClock",
    "make_signal",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names.split():
            return getattr(import_module(f"nanopilot.core.{module}"), name)
    raise AttributeError(f"module 'nanopilot.core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
