"""Parameters of PyJEM's TEM3, each with the calls that read and set it.

PyJEM counts nanometres and degrees; nothing here leaves this module but metres and radians.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nanopilot.core.clock import Clock
from nanopilot.core.errors import DeviceError, Interlocked
from nanopilot.core.knobs import Knobs
from nanopilot.core.limits import Range
from nanopilot.instruments.snapshots.vendor import VendorLink, number
from nanopilot.instruments.snapshots.wheel import Wheel, declare, there, together

_NM, _DEGREE = 1e-9, math.pi / 180
#: Our axis: place in GetPos, setter, their unit in ours, unit, slack of a mechanical stage.
_AXES = {
    "x": (0, "SetX", _NM, "m", 3e-7),
    "y": (1, "SetY", _NM, "m", 3e-7),
    "z": (2, "SetZ", _NM, "m", 3e-7),
    "alpha": (3, "SetTiltXAngle", _DEGREE, "rad", 2e-3),
    "beta": (4, "SetTiltYAngle", _DEGREE, "rad", 2e-3),
}
#: Of an axis in GetStatus, where 0 is at rest and 1 is moving.
_AT_LIMIT = 2
_POLL, _PATIENCE = 0.1, 120.0


def knobs(link: VendorLink, clock: Clock) -> dict[str, Knobs]:
    """Return every capability that is adjusted and can be read."""

    def move(values: Mapping[str, float]) -> None:
        for name, value in values.items():
            _, setter, unit, _, _ = _AXES[name]
            link.call(f"Stage3.{setter}", value / unit)
            _arrive(link, clock)

    wheels = [*(_axis(link, name) for name in _AXES), *_beam(link), _valve(link)]
    return together(there(wheels), clock, {"Stage": move})


def _arrive(link: VendorLink, clock: Clock) -> None:
    """Wait until every axis is at rest."""
    end = clock.now() + _PATIENCE
    while any(status := _status(link)):
        if _AT_LIMIT in status:
            raise DeviceError(f"`Stage` ran into a hardware limit: GetStatus is {list(status)}.")
        if clock.now() > end:
            raise DeviceError(f"`Stage` is still moving after {_PATIENCE:g} s.")
        clock.sleep(_POLL)


def _status(link: VendorLink) -> Sequence[int]:
    told = link.call("Stage3.GetStatus")
    return [int(axis) for axis in told] if isinstance(told, list | tuple) else [int(told)]


def _position(link: VendorLink) -> Sequence[object]:
    told = link.call("Stage3.GetPos")
    if not isinstance(told, list | tuple) or len(told) < len(_AXES):
        raise DeviceError(f"`GetPos` is {told!r:.80}; it should be five numbers.")
    return told


def _axis(link: VendorLink, name: str) -> Wheel:
    index, _, unit, si, slack = _AXES[name]
    # The range that PyJEM documents for its setters; a holder may have less.
    reach = (100_000.0 if si == "m" else 90.0) * unit
    return Wheel(
        declare(
            f"Stage.{name}",
            "position" if si == "m" else "tilt",
            si,
            limits=Range(low=-reach, high=reach, unit=si),
            tolerance=slack,
        ),
        lambda: number(_position(link)[index], f"GetPos[{index}]") * unit,
    )


def _beam(link: VendorLink) -> list[Wheel]:
    return [
        Wheel(
            declare("Beam.blanked", "beam blanked", "1", switch=True),
            lambda: float(bool(link.call("Def3.GetBeamBlank"))),
            lambda value: link.call("Def3.SetBeamBlank", round(value)),
        ),
        Wheel(
            declare("Beam.voltage", "voltage", "V", read_only=True),
            lambda: number(link.call("HT3.GetHtValue"), "GetHtValue"),
        ),
    ]


def _valve(link: VendorLink) -> Wheel:
    def write(value: float) -> None:
        if value and not link.call("FEG3.GetV1Ready"):
            raise Interlocked(
                "`column_valve` stays closed: GetV1Ready says that V1 may not be opened yet."
            )
        link.call("FEG3.SetBeamValve", round(value))

    return Wheel(
        declare("Vacuum.column_valve", "beam valve open", "1", switch=True),
        lambda: float(bool(link.call("FEG3.GetBeamValve"))),
        write,
    )
