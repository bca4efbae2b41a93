"""What is legal in the `guard` track, written without a look at the guard.

Plain Python on plain tables: each rule stands here once more, in other words, so that a rule the
guard forgets or gets wrong is found. It sees the truth of the back end, not what that reports.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from nanopilot.bench.guard_wire import Wire
from nanopilot.core.limits import Area, Budget, Limits, Range
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest, WriteRequest

EDGE, VOLTS, PIXELS = 1e-6, 5.0, 4096
FASTEST, SLOWEST = 1e-6, 1e-2
#: Beside what the instrument accepts.
ALLOWED = {
    "Stage.x": (-1e-4, 1e-4),
    "Feedback.setpoint": (1e-11, 1e-9),
    "Positioner.x": (-EDGE, EDGE),
    "Positioner.y": (-EDGE, EDGE),
    "BiasSource.bias": (-VOLTS, VOLTS),
}
RATES = {"BiasSource.bias": 0.05, "Focus.defocus": 1e-8}
EXCURSIONS = {"Stage.y": 1e-5}
FRAMES, SPECTRA = 60, 10

LIMITS = Limits(
    area=Area(x=(-EDGE, EDGE), y=(-EDGE, EDGE)),
    bias=Range(low=-VOLTS, high=VOLTS, unit="V"),
    dwell_time=Range(low=FASTEST, high=SLOWEST, unit="s"),
    max_pixels=PIXELS,
    parameters={
        "Stage.x": Range(low=-1e-4, high=1e-4, unit="m"),
        "Feedback.setpoint": Range(low=1e-11, high=1e-9, unit="A"),
    },
    rates=RATES,
    excursions=EXCURSIONS,
)
BUDGET = Budget(frames=FRAMES, spectra=SPECTRA)

_SWITCHES = {"Approach.engaged", "Beam.blanked", "Vacuum.column_valve", "Feedback.enabled",
             "Detectors.haadf_inserted"}  # fmt: skip
_DURING = {"Feedback", "BiasSource", "Beam", "Focus", "Corrector", "Detectors"}
_ASKED_WITH: dict[str, type[Any]] = {"Scanner": ScanRequest, "PointSpectroscopy": SpectrumRequest,
               "Camera": CameraRequest, "BiasWriter": WriteRequest}  # fmt: skip
_NEAR = 1e-6  # relative; who is so near to an edge may be let through or not


@dataclass
class Oracle:
    """Knows what may be done.

    Parameters
    ----------
    wire : Wire
        Whose truth is looked at.
    """

    wire: Wire
    holder: str | None = None
    expires: float = 0.0
    stopped: bool = False
    frames: int = 0
    spectra: int = 0
    moved: dict[str, float] = field(default_factory=dict)
    origin: dict[str, float] = field(default_factory=dict)
    began: float = 0.0

    def begin_run(self) -> None:
        """Forget what was spent, and take where things are for where they began."""
        self.frames = self.spectra = 0
        self.origin = {key: self.wire.truth[key] for key in EXCURSIONS}

    def in_command(self, actor: str, wall: float, *, safe: bool) -> bool:
        """Tell whether somebody may command at all; an empty name has no lease."""
        if self.stopped:
            return False
        held = self.holder is not None and wall < self.expires
        if held:
            return actor == self.holder
        return actor == "" or safe

    def legal(self, capability: str, asked: Any) -> bool | None:
        """Tell whether a command may reach the instrument now; None: too near to call."""
        if capability in _ASKED_WITH:
            return self._may_measure(capability, asked)
        return self._may_set(capability, asked)

    def arrived(self, capability: str, asked: Any) -> None:
        """Note a command that has reached the instrument."""
        if capability == "PointSpectroscopy":
            self.spectra += 1
        elif capability in _ASKED_WITH:
            frames = getattr(asked, "frames", 1)
            self.frames += frames if type(frames) is int else 1
        else:
            now = self.wire.clock.now()
            self.moved |= {f"{capability}.{name}": now for name in asked}

    # What is set.

    def safe(self, capability: str, asked: Any) -> bool:
        """Tell whether a command only makes the instrument safer."""
        if not isinstance(asked, dict) or capability not in ("Approach", "Beam") or len(asked) != 1:
            return False
        ((name, value),) = asked.items()
        return _plain(value) and (f"{capability}.{name}", float(value)) in (
            ("Approach.engaged", 0.0), ("Beam.blanked", 1.0)
        )  # fmt: skip

    def _may_set(self, capability: str, values: dict[str, Any]) -> bool | None:
        declared = {one.name: one for one in self.wire.parameters if one.capability == capability}
        if not values or not all(_plain(one) for one in values.values()):
            return False
        if any(name not in declared or declared[name].read_only for name in values):
            return False
        verdicts = [self._value(f"{capability}.{name}", float(one), declared[name].limits)
                    for name, one in values.items()]  # fmt: skip
        if self.safe(capability, values):
            return True
        if self.wire.running is not None and capability not in _DURING:
            verdicts.append(False)
        for name, one in values.items():
            verdicts.append(self._interlock(f"{capability}.{name}", float(one)))
            verdicts.append(self._motion(f"{capability}.{name}", float(one)))
        return _all(verdicts)

    def _value(self, key: str, value: float, declared: Range | None) -> bool | None:
        if key in _SWITCHES:
            return value in (0.0, 1.0)
        verdicts = [] if declared is None else [_between(value, declared.low, declared.high)]
        if key in ALLOWED:
            verdicts.append(_between(value, *ALLOWED[key]))
        return _all(verdicts)

    def _interlock(self, key: str, value: float) -> bool:
        if key.startswith("Stage."):
            return self._known("Approach.engaged") == 0
        if key == "Vacuum.column_valve" and value == 1:
            pressure = self._known("Vacuum.pressure")
            return pressure is not None and pressure <= 1e-3
        if key == "Beam.blanked" and value == 0:
            return self._known("Vacuum.column_valve") == 1
        if key == "Approach.engaged" and value == 1:
            return self._known("Beam.blanked") == 1
        return True

    def _known(self, key: str) -> float | None:
        """Return the truth, as far as the instrument can be believed to tell it."""
        wire = self.wire
        if wire.broken or wire.age > 1 or key in wire.hidden or math.isnan(wire.truth[key]):
            return None
        return wire.truth[key]

    def _motion(self, key: str, value: float) -> bool | None:
        verdicts: list[bool | None] = []
        if key in RATES:
            now = self._known(key)
            since = self.wire.clock.now() - self.moved.get(key, self.began)
            verdicts.append(now is not None and _at_most(abs(value - now), RATES[key] * since))
        if key in EXCURSIONS:
            there = self._known(key) is not None
            verdicts.append(there and _at_most(abs(value - self.origin[key]), EXCURSIONS[key]))
        return _all(verdicts)

    # What is measured.

    def _may_measure(self, capability: str, request: Any) -> bool | None:
        kind: type[Any] = _ASKED_WITH[capability]
        request = _rebuilt(request) if type(request) is kind else None
        if request is None:
            return False
        if self.wire.running is not None:
            return False
        if capability == "PointSpectroscopy":
            return _all([self.spectra < SPECTRA, _spectrum(request)])
        verdicts: list[bool | None] = [getattr(request, "frames", 1) <= FRAMES - self.frames]
        if capability == "Scanner":
            verdicts.append(_scan(request))
        elif capability == "BiasWriter":
            verdicts.append(self._known("Approach.engaged") == 1)
            verdicts += [_between(one, -VOLTS, VOLTS) for one in request.bias]
            verdicts += [_in_area(*one) for one in request.points]
        return _all(verdicts)


def _rebuilt(request: Any) -> Any:
    """Return a request built once more, with its checks; None if that does not give the same.

    It is what is judged: numbers in the original may lie when they are compared.
    """
    try:
        text = request.model_dump_json()
        again = type(request).model_validate_json(text)
        same = bool(again == request) and "NaN" not in text and "Infinity" not in text
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not sound
        return None
    return again if same else None


def _scan(request: ScanRequest) -> bool | None:
    dwell = request.dwell_time
    verdicts = [_between(dwell, FASTEST, SLOWEST)] if dwell is not None else []
    if request.points:
        verdicts += [_in_area(*one) for one in request.points]
        return _all([*verdicts, len(request.points) <= PIXELS])
    verdicts += _corners(request.centre, request.field_of_view, request.rotation)
    return _all([*verdicts, request.shape[0] * request.shape[1] <= PIXELS])


def _spectrum(request: SpectrumRequest) -> bool | None:
    verdicts = _corners(request.position, request.field_of_view, request.rotation)
    verdicts += [_between(one, -VOLTS, VOLTS) for one in request.bias]
    return _all([*verdicts, request.shape[0] * request.shape[1] <= PIXELS])


def _corners(
    centre: tuple[float, float], size: tuple[float, float], angle: float
) -> list[bool | None]:
    found = []
    for a in (-0.5, 0.5):
        for b in (-0.5, 0.5):
            turned = complex(a * size[0], b * size[1]) * complex(math.cos(angle), math.sin(angle))
            found.append(_in_area(centre[0] + turned.real, centre[1] + turned.imag))
    return found


def _in_area(x: float, y: float) -> bool | None:
    return _all([_between(x, -EDGE, EDGE), _between(y, -EDGE, EDGE)])


def _plain(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _between(value: float, low: float, high: float) -> bool | None:
    slack = _NEAR * max(abs(low), abs(high))
    if low <= value <= high:
        return True
    return None if low - slack <= value <= high + slack else False


def _at_most(change: float, allowed: float) -> bool | None:
    if change <= allowed:
        return True
    return None if change <= allowed * (1 + _NEAR) + 1e-14 else False


def _all(verdicts: list[bool | None]) -> bool | None:
    if False in verdicts:
        return False
    return None if None in verdicts else True
