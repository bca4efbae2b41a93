"""The state of the controller that clients believe they are talking to."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

from nanopilot.app.facades.nanonis.jobs import ScanJob
from nanopilot.app.facades.nanonis.settings import (
    Buffer,
    Frame,
    Kept,
    Signal,
    Sweep,
    signals_of,
)
from nanopilot.core.capabilities import Acquisition
from nanopilot.core.description import InstrumentDescription, SpectrumMode
from nanopilot.core.errors import OutOfRange, Unsupported
from nanopilot.core.limits import Range
from nanopilot.core.requests import ScanRequest, from_outside
from nanopilot.instruments import Guard


@dataclass
class Panel:
    """The state of the controller that a client believes it is talking to.

    Parameters
    ----------
    scope : Guard
        What really is there.
    """

    scope: Guard
    described: InstrumentDescription = field(init=False)
    signals: tuple[Signal, ...] = field(init=False)
    frame: Frame = field(init=False)
    buffer: Buffer = field(init=False)
    sweep: Sweep = field(init=False)
    line_times: tuple[float, float] | None = None
    kept: Kept = field(default_factory=Kept)
    job: ScanJob | None = None
    waiting: dict[str, Acquisition] = field(default_factory=dict)
    sweeping: bool = False
    starting: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.described = self.scope.describe()
        self.signals = signals_of(self.described)
        area, (lines, pixels) = self.described.area, self.described.grid
        x, y = area.centre
        self.frame = Frame(x, y, area.x[1] - area.x[0], area.y[1] - area.y[0])
        self.buffer = Buffer(self.indices(self.described.scan_channels), pixels, lines)
        self.sweep = Sweep(self.indices(self.described.spectrum_channels))

    def indices(self, channels: tuple[str, ...]) -> tuple[int, ...]:
        """Return where channels stand in the list of signals."""
        places = {signal.channel: index for index, signal in enumerate(self.signals)}
        return tuple(places[channel] for channel in channels)

    def signal(self, index: int) -> Signal:
        """Return a signal by its index.

        Raises
        ------
        OutOfRange
            There is none.
        """
        if not 0 <= index < len(self.signals):
            raise OutOfRange(
                f"`signal index` is {index}; there are signals 0 to {len(self.signals) - 1}."
            )
        return self.signals[index]

    def channels(self, indices: tuple[int, ...], known: tuple[str, ...]) -> tuple[str, ...]:
        """Return signals as names of channels.

        Raises
        ------
        Unsupported
            One of them cannot be recorded.
        """
        found = tuple(self.signal(index) for index in indices)
        for signal in found:
            if signal.channel not in known:
                there = ", ".join(str(index) for index in self.indices(known))
                raise Unsupported(
                    f"`channel` {signal.label!r} cannot be recorded; signals {there} can."
                )
        return tuple(signal.channel for signal in found)

    def scan_request(self) -> ScanRequest:
        """Return the next scan as the instrument understands it.

        A Nanonis frame runs from edge to edge of the outermost pixels; `field_of_view` from
        centre to centre. A Nanonis angle turns clockwise, in degrees.
        """
        frame, buffer = self.frame, self.buffer
        columns, rows = buffer.pixels, buffer.lines
        return from_outside(
            ScanRequest,
            centre=(frame.x, frame.y),
            field_of_view=(
                frame.width * (columns - 1) / columns, frame.height * (rows - 1) / rows
            ),
            shape=(rows, columns),
            channels=self.channels(buffer.channels, self.described.scan_channels),
            rotation=-math.radians(frame.angle),
            line_rate=None if self.line_times is None else 1.0 / sum(self.line_times),
            directions=tuple(
                way for way in ("trace", "retrace") if way in self.described.directions
            ),
        )  # fmt: skip

    def mode(self) -> SpectrumMode:
        """Return the bias spectra of the instrument.

        Raises
        ------
        Unsupported
            It takes none.
        """
        for mode in self.described.spectra:
            if mode.kind == "bias":
                return mode
        raise Unsupported(f"`{self.described.name}` takes no bias spectra.")

    def limits(self, key: str) -> Range:
        """Return the limits of a parameter.

        Raises
        ------
        Unsupported
            The instrument has no such parameter, or does not tell its limits.
        """
        for parameter in self.described.parameters:
            if parameter.key == key and parameter.limits is not None:
                return parameter.limits
        raise Unsupported(f"`{self.described.name}` tells no limits of `{key}`.")
