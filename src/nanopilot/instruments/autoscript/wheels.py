"""Parameters of AutoScript TEM, each with the calls that read and set it."""

from __future__ import annotations

from collections.abc import Mapping

from nanopilot.core.clock import Clock
from nanopilot.core.errors import DeviceError, Interlocked, Unsupported
from nanopilot.core.knobs import Knobs
from nanopilot.core.limits import Range
from nanopilot.instruments.snapshots.vendor import VendorLink, number
from nanopilot.instruments.snapshots.wheel import Wheel, declare, there, together

_STAGE = "specimen.stage"
#: Our axis: theirs, unit, and how far from its goal a mechanical stage may end.
_AXES = {
    "x": ("x", "m", 3e-7), "y": ("y", "m", 3e-7), "z": ("z", "m", 3e-7),
    "alpha": ("a", "rad", 2e-4), "beta": ("b", "rad", 2e-4),
}  # fmt: skip
_POLL, _PATIENCE = 0.1, 120.0


def knobs(link: VendorLink, clock: Clock) -> dict[str, Knobs]:
    """Return every capability that is adjusted and can be read."""

    def move(values: Mapping[str, float]) -> None:
        target = {_AXES[name][0]: value for name, value in values.items()}
        link.call(f"{_STAGE}.absolute_move", link.make("StagePosition", **target))
        end = clock.now() + _PATIENCE
        while link.read(f"{_STAGE}.is_moving"):
            if clock.now() > end:
                raise DeviceError(f"`Stage` is still moving after {_PATIENCE:g} s.")
            clock.sleep(_POLL)

    wheels = [
        *(_axis(link, name) for name in _AXES), *_beam(link), _focus(link), _valve(link)
    ]  # fmt: skip
    return together(there(wheels), clock, {"Stage": move})


def _read(link: VendorLink, path: str) -> float:
    return number(link.read(path), path)


def _axis(link: VendorLink, name: str) -> Wheel:
    axis, unit, slack = _AXES[name]
    quantity = "position" if unit == "m" else "tilt"

    def read() -> float:
        return _read(link, f"{_STAGE}.position.{axis}")

    try:
        told = link.call(f"{_STAGE}.get_axis_limits", axis)
        limits = Range(low=number(told.min, "min"), high=number(told.max, "max"), unit=unit)
    except (AttributeError, DeviceError, Unsupported):  # an axis that this holder does not have
        limits = None
    parameter = declare(f"Stage.{name}", quantity, unit, limits=limits, tolerance=slack)
    return Wheel(parameter, read)


def _beam(link: VendorLink) -> list[Wheel]:
    def blank(value: float) -> None:
        link.call("optics.blanker.blank" if value else "optics.blanker.unblank")

    return [
        Wheel(
            declare("Beam.blanked", "beam blanked", "1", switch=True),
            lambda: float(bool(link.read("optics.blanker.is_beam_blanked"))),
            blank,
        ),
        Wheel(
            declare("Beam.voltage", "voltage", "V", read_only=True),
            lambda: _read(link, "source.acceleration_voltage.value"),
        ),
        _shift(link, 0),
        _shift(link, 1),
    ]


def _shift(link: VendorLink, index: int) -> Wheel:
    path = "optics.deflectors.beam_shift"

    def pair() -> list[float]:
        return [_read(link, f"{path}.{axis}") for axis in "xy"]

    def write(value: float) -> None:
        whole = pair()
        whole[index] = value
        link.write(path, whole)

    parameter = declare(f"Beam.shift_{'xy'[index]}", "beam shift", "m", tolerance=1e-10)
    return Wheel(parameter, lambda: pair()[index], write)


def _focus(link: VendorLink) -> Wheel:
    """Return the defocus: theirs grows towards overfocus, ours falls there."""

    def write(value: float) -> None:
        link.write("optics.defocus", -value)

    parameter = declare("Focus.defocus", "defocus", "m", tolerance=1e-10)
    return Wheel(parameter, lambda: -_read(link, "optics.defocus"), write)


def _valve(link: VendorLink) -> Wheel:
    def write(value: float) -> None:
        state = str(link.read("vacuum.state"))
        if value and state != "Ready":
            raise Interlocked(
                f"`column_valve` stays closed: the vacuum is {state}. Wait until it is Ready."
            )
        link.call(f"vacuum.column_valves.{'open' if value else 'close'}")

    return Wheel(
        declare("Vacuum.column_valve", "column valve open", "1", switch=True),
        lambda: float(str(link.read("vacuum.column_valves.state")) == "Opened"),
        write,
    )
