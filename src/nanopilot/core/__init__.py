"""Signals, requests, capabilities, limits, events, clocks, errors and the registry.

Names are found when they are asked for: `nanopilot --help` needs the errors and not xarray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanopilot.core.adjustables import (
        Approach,
        Beam,
        BiasSource,
        Corrector,
        Detectors,
        Feedback,
        Focus,
        Positioner,
        Stage,
        Vacuum,
    )
    from nanopilot.core.capabilities import (
        Acquisition,
        BiasWriter,
        Camera,
        Instrument,
        InstrumentDescription,
        PointSpectroscopy,
        Scanner,
    )
    from nanopilot.core.clock import Clock, RealClock, VirtualClock
    from nanopilot.core.errors import NanopilotError
    from nanopilot.core.features import FeatureTable
    from nanopilot.core.history import Action, History, Step
    from nanopilot.core.interlocks import Condition, Interlock
    from nanopilot.core.limits import Area, Budget, Estimate, Limits, Range, Spent, Violation
    from nanopilot.core.parameters import Parameter, Setting, State
    from nanopilot.core.requests import (
        CameraRequest,
        ScanRequest,
        SetRequest,
        SpectrumRequest,
        WriteRequest,
    )
    from nanopilot.core.signals import Axis, Signal, SignalSet, make_signal

_HOME = {
    "adjustables": (
        "Approach Beam BiasSource Corrector Detectors Feedback Focus Positioner Stage Vacuum"
    ),
    "capabilities": (
        "Acquisition BiasWriter Camera Instrument InstrumentDescription PointSpectroscopy Scanner"
    ),
    "clock": "Clock RealClock VirtualClock",
    "errors": "NanopilotError",
    "features": "FeatureTable",
    "history": "Action History Step",
    "limits": "Area Budget Estimate Limits Range Spent Violation",
    "interlocks": "Condition Interlock",
    "parameters": "Parameter Setting State",
    "requests": "CameraRequest ScanRequest SetRequest SpectrumRequest WriteRequest",
    "signals": "Axis Signal SignalSet make_signal",
}

__all__ = [
    "Acquisition",
    "Action",
    "Approach",
    "Area",
    "Axis",
    "Beam",
    "BiasSource",
    "BiasWriter",
    "Budget",
    "Camera",
    "CameraRequest",
    "Clock",
    "Condition",
    "Corrector",
    "Detectors",
    "Estimate",
    "FeatureTable",
    "Feedback",
    "Focus",
    "History",
    "Instrument",
    "InstrumentDescription",
    "Interlock",
    "Limits",
    "NanopilotError",
    "Parameter",
    "PointSpectroscopy",
    "Positioner",
    "Range",
    "RealClock",
    "ScanRequest",
    "Scanner",
    "SetRequest",
    "Setting",
    "Signal",
    "SignalSet",
    "SpectrumRequest",
    "Spent",
    "Stage",
    "State",
    "Step",
    "Vacuum",
    "Violation",
    "VirtualClock",
    "WriteRequest",
    "make_signal",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names.split():
            return getattr(import_module(f"nanopilot.core.{module}"), name)
    raise AttributeError(f"module 'nanopilot.core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
