"""What a Nanonis controller keeps between commands, one value each."""

from __future__ import annotations

from dataclasses import dataclass

from nanopilot.core.description import InstrumentDescription
from nanopilot.core.limits import Range
from nanopilot.instruments.nanonis.names import write_name


@dataclass(frozen=True, slots=True)
class Signal:
    """One entry of the controller's list of signals.

    Parameters
    ----------
    label : str
        As on the wire, ``"height (m)"``.
    channel : str
        Of frames or spectra; empty for a parameter.
    key : str
        Of a parameter; empty for a channel.
    limits : Range, optional
        Where its values lie.
    """

    label: str
    channel: str = ""
    key: str = ""
    limits: Range | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the next scan goes: metres, edge to edge, and degrees clockwise."""

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0


@dataclass(frozen=True, slots=True)
class Buffer:
    """What the next scan records: indices of signals, pixels per line, lines."""

    channels: tuple[int, ...]
    pixels: int
    lines: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """What the next spectrum does; None: as the instrument does it by itself."""

    channels: tuple[int, ...]
    limits: tuple[float, float] | None = None
    points: int | None = None


@dataclass
class Kept:
    """Settings that are kept and given back, and change nothing."""

    follow_speed: tuple[float, int] = (0.0, 0)
    oversampling: int = 1
    series: str = ""
    comment: str = ""
    speed: tuple[int, float] = (1, 1.0)


_PARAMETERS = {"BiasSource.bias": "Bias", "Positioner.x": "X", "Positioner.y": "Y",
               "Feedback.z": "Z"}  # fmt: skip


def signals_of(described: InstrumentDescription) -> tuple[Signal, ...]:
    """Return the list of signals: channels of frames, of bias spectra, then parameters."""
    spectra = [mode.channels for mode in described.spectra if mode.kind == "bias"]
    names = dict.fromkeys((*described.scan_channels, *described.spectrum_channels))
    names |= dict.fromkeys(name for channels in spectra for name in channels)
    found = [
        Signal(write_name(name, described.units.get(name, "")), channel=name) for name in names
    ]
    known = {parameter.key: parameter for parameter in described.parameters}
    for key, name in _PARAMETERS.items():
        if key in known:
            limits = known[key].limits
            if name in "XY":
                low, high = getattr(described.area, name.lower())
                limits = Range(low=low, high=high, unit="m")
            label = write_name(name, known[key].unit)
            found.append(Signal(label, key=key, limits=limits))
    return tuple(found)
