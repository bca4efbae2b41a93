"""What a temscript client reads of an instrument."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nanopilot.app.facades.temscript.settings import Scanning
from nanopilot.app.facades.temscript.words import AXES, LACKING, NUMBERS, PAIRS, SWITCHES
from nanopilot.core.adjustables import ADJUSTABLE
from nanopilot.core.errors import NanopilotError, UnknownName, Unsupported
from nanopilot.core.parameters import Parameter, by_key
from nanopilot.instruments import Guard

#: The version of temscript whose endpoints these are; its clients ask for 2 or later.
_VERSION = "2.1.0"
_TUNED = ("camera_param", "stem_detector_param", "detector_param")
#: What the interlocks call vacuum, in pascals.
_VACUUM = 1e-3


class Readings:
    """Answers of the endpoints that only read.

    Parameters
    ----------
    scope : Guard
        The instrument.
    scan : Scanning
        How the next frame is taken.
    """

    def __init__(self, scope: Guard, scan: Scanning) -> None:
        self._scope = scope
        self._described = scope.describe()
        self.parameters = by_key(self._described.parameters)
        self._scan = scan
        self._facts: dict[str, Callable[[], Any]] = {
            "family": lambda: "TITAN",
            "microscope_id": lambda: scope.name,
            "version": lambda: _VERSION,
            "vacuum": self._vacuum,
            "stage_holder": self._holder,
            "stage_status": lambda: "READY",
            "stage_position": self._position,
            "stage_limits": self._limits,
            "cameras": self._cameras,
            "stem_detectors": self._detectors,
            "detectors": lambda: self._cameras() | self._detectors(),
            "stem_acquisition_param": scan.tell,
            "stem_available": lambda: "Scanner" in self._described.capabilities,
            "stem_magnification": lambda: scan.magnification,
            "stem_rotation": lambda: scan.rotation,
            "instrument_mode": lambda: "STEM",
            "state": self._state,
        }

    def value(self, endpoint: str) -> Any:
        """Return what an endpoint answers.

        Raises
        ------
        UnknownName
            temscript has no such endpoint.
        Unsupported
            The instrument has no such thing, or does not know it at the moment.
        """
        if endpoint in self._facts:
            return self._facts[endpoint]()
        if endpoint in NUMBERS:
            # Adding zero turns -0.0 into what people expect to read.
            return self._read(NUMBERS[endpoint].key) * NUMBERS[endpoint].scale + 0.0
        if endpoint in PAIRS:
            return [self._read(key) for key in PAIRS[endpoint]]
        if endpoint in SWITCHES:
            key, words = SWITCHES[endpoint]
            return words[round(self._read(key))]
        raise self.lacks(endpoint)

    def lacks(self, endpoint: str) -> NanopilotError:
        """Return the error of an endpoint that is not answered."""
        kind = endpoint.split("/", maxsplit=1)[0]
        known = {*self._facts, *NUMBERS, *PAIRS, *SWITCHES, *LACKING, *_TUNED, "acquire"}
        if kind not in known:
            return UnknownName("endpoint", endpoint[:80], known)
        return self._without(kind)

    def need(self, key: str) -> None:
        """Raise `Unsupported` where the instrument does not have a parameter."""
        if key not in self.parameters:
            raise self._without(key)

    def _without(self, what: str) -> Unsupported:
        return Unsupported(f"`{what}` is asked for; {self._scope.name} does not have it.")

    def _read(self, key: str) -> float:
        self.need(key)
        capability, name = key.split(".")
        value = self._scope.capability(ADJUSTABLE[capability]).get(name)
        if not math.isfinite(value):
            raise Unsupported(f"`{key}` is not known at the moment.")
        return value

    def _axes(self) -> dict[str, Parameter]:
        found = {axis: self.parameters.get(f"Stage.{name}") for axis, name in AXES.items()}
        axes = {axis: one for axis, one in found.items() if one is not None}
        if not axes:
            raise self._without("Stage")
        return axes

    def _position(self) -> dict[str, float]:
        return {axis: self._read(one.key) for axis, one in self._axes().items()}

    def _limits(self) -> dict[str, list[float]]:
        return {
            axis: [one.limits.low, one.limits.high]
            for axis, one in self._axes().items()
            if one.limits is not None
        }

    def _holder(self) -> str:
        return "DOUBLE_TILT" if "b" in self._axes() else "SINGLE_TILT"

    def _vacuum(self) -> dict[str, Any]:
        gauges, told = {}, {}
        if "Vacuum.pressure" in self.parameters:
            gauges["column"] = self._read("Vacuum.pressure")
        if "Vacuum.column_valve" in self.parameters:
            told["column_valves_open"] = self.value("column_valves_open")
        if not gauges and not told:
            raise self._without("Vacuum")
        good = all(pressure <= _VACUUM for pressure in gauges.values())
        return told | {
            "status": "READY" if good else "BUSY",
            "pvp_running": False,
            "gauges(Pa)": gauges,
        }

    def _cameras(self) -> dict[str, Any]:
        # Size and pixels of a camera are not part of a description, so they are not told.
        one = {"type": "CAMERA", "binnings": [1, 2, 4, 8]}
        return dict.fromkeys(self._described.cameras, one)

    def _detectors(self) -> dict[str, Any]:
        one = {"type": "STEM_DETECTOR", "binnings": self._scan.binnings}
        return dict.fromkeys(self._described.scan_channels, one)

    def _state(self) -> dict[str, Any]:
        """Return everything of temscript's state that this instrument has."""
        names = (
            "family", "microscope_id", "stage_holder", "stage_position", "stem_available",
            "instrument_mode", "stem_magnification", "stem_rotation", *PAIRS, *SWITCHES,
            "screen_current", "convergence_angle", "defocus", "probe_defocus",
        )  # fmt: skip
        found: dict[str, Any] = {"temscript_version": _VERSION}
        for name in names:
            try:
                found[name] = self.value(name)
            except Unsupported:
                continue
        if "Beam.voltage" in self.parameters:
            found["voltage(kV)"] = self.value("voltage")
        return found
