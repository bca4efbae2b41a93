"""What a controller says of itself, read once when it is connected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nanopilot.core.errors import DeviceError
from nanopilot.core.limits import Area, Range
from nanopilot.instruments.nanonis.link import Link
from nanopilot.instruments.nanonis.names import Named, read_name


@dataclass(frozen=True, slots=True)
class Controller:
    """What a controller has, and within which limits.

    Parameters
    ----------
    labels : tuple of str
        Its signals, as on the wire.
    area : Area
        What the scanner reaches.
    bias : Range, optional
        What its source gives; None: it does not say.
    setpoint : Named, optional
        What the loop holds; None: there is no loop.
    z : Range, optional
        Heights the tip reaches; None: there is no approach.
    scan, spectrum : tuple of int
        Signals that are selected for frames and for bias spectra.
    grid : (int, int)
        Lines and pixels of the scan buffer.
    sweep : (float, float, int), optional
        Start, end and points of a bias spectrum as it was set up; None: there are none.
    """

    labels: tuple[str, ...]
    area: Area
    bias: Range | None
    setpoint: Named | None
    z: Range | None
    scan: tuple[int, ...]
    spectrum: tuple[int, ...]
    grid: tuple[int, int]
    sweep: tuple[float, float, int] | None

    def named(self, indices: tuple[int, ...]) -> dict[str, tuple[int, Named]]:
        """Return signals by their names without units."""
        found = ((index, read_name(self.labels[index])) for index in indices)
        return {named.name: (index, named) for index, named in found}


def read_controller(link: Link) -> Controller:
    """Ask a controller what it has; moves nothing.

    Raises
    ------
    DeviceError
        It does not even know where its tip can go, or has no scanner.
    """
    labels = tuple(link.ask("Signals.NamesGet")[0])
    x, y = (_range(link, labels, name) for name in ("X (m)", "Y (m)"))
    if x is None or y is None:
        raise DeviceError("`Signals.RangeGet`: the controller tells no range of X (m) and Y (m).")
    scan, pixels, lines = link.ask("Scan.BufferGet")
    spectra = _perhaps(link, "BiasSpectr.ChsGet")
    loop, heights = _perhaps(link, "ZCtrl.CtrlListGet"), _perhaps(link, "ZCtrl.LimitsGet")
    return Controller(
        labels=labels,
        area=Area(x=(x.low, x.high), y=(y.low, y.high)),
        bias=_range(link, labels, "Bias (V)"),
        setpoint=None if loop is None else _held(*loop),
        z=None if heights is None else Range(low=heights[1], high=heights[0], unit="m"),
        scan=tuple(index for index in scan if 0 <= index < len(labels)),
        spectrum=() if spectra is None else tuple(spectra[0]),
        grid=(lines, pixels),
        sweep=None if spectra is None else _sweep(link),
    )


def _range(link: Link, labels: tuple[str, ...], label: str) -> Range | None:
    if label not in labels:
        return None
    found = _perhaps(link, "Signals.RangeGet", labels.index(label))
    if found is None:
        return None
    return Range(low=min(found), high=max(found), unit=read_name(label).unit)


def _sweep(link: Link) -> tuple[float, float, int]:
    low, high = link.ask("BiasSpectr.LimitsGet")
    return low, high, link.ask("BiasSpectr.PropsGet")[3]


def _held(names: list[str], active: int) -> Named:
    """Return what the loop holds: its name has a unit only on some controllers."""
    named = read_name(names[active] if 0 <= active < len(names) else "")
    if named.unit == "a.u." and "current" in named.name.lower():
        return Named(named.name, "A", 1.0)
    return named


def _perhaps(link: Link, command: str, *values: Any) -> list[Any] | None:
    """Ask what not every controller can answer."""
    try:
        return link.ask(command, *values)
    except DeviceError:
        return None
