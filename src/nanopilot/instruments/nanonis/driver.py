"""`NanonisInstrument`: a Nanonis controller as an instrument."""

from __future__ import annotations

from typing import Any

from nanopilot.core.capabilities import CapabilityT, Closable
from nanopilot.core.clock import Clock, RealClock
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.limits import Sweep
from nanopilot.core.parameters import State
from nanopilot.core.parts import find_part
from nanopilot.instruments.nanonis.controller import read_controller
from nanopilot.instruments.nanonis.desk import Desk, Pace
from nanopilot.instruments.nanonis.link import Link, SocketLink, SteadyLink
from nanopilot.instruments.nanonis.pulses import NanonisWriter
from nanopilot.instruments.nanonis.scanning import NanonisScanner
from nanopilot.instruments.nanonis.spectra import NanonisSpectroscopy
from nanopilot.instruments.nanonis.wires import Wires

NOTICE = "Spoken to a simulated controller only; not tried on hardware."


class NanonisInstrument:
    """A Nanonis controller.

    What it has, and within which limits, is read from the controller once, here. Frames and
    spectra record the signals that are selected on it.

    Parameters
    ----------
    link, urgent : Link
        Two lines: one for everything, one for stopping what the first one waits for.
    name : str
        What it is called.
    clock : Clock, optional
        Real time when not given.
    pace : Pace, optional
        How long it waits.
    """

    def __init__(
        self,
        link: Link,
        urgent: Link,
        *,
        name: str = "nanonis",
        clock: Clock | None = None,
        pace: Pace | None = None,
    ) -> None:
        pace = pace or Pace()
        self.clock: Clock = clock or RealClock()
        self._name = name
        self._controller = read_controller(link)
        self._lines = (SteadyLink(link, self._look), SteadyLink(urgent, lambda: None))
        self._raw = Wires(link, link, self._controller, self.clock, patience=pace.patience)
        self._wires = Wires(*self._lines, self._controller, self.clock, patience=pace.patience)
        desk = Desk(
            name=name, link=self._lines[0], urgent=self._lines[1], controller=self._controller,
            clock=self.clock, state=self.state, move=self._wires.move, pace=pace,
        )  # fmt: skip
        self._parts: dict[str, Any] = {"Scanner": NanonisScanner(desk), **self._wires.knobs()}
        if self._controller.sweep is not None:
            self._parts["PointSpectroscopy"] = NanonisSpectroscopy(desk, self._controller.sweep)
        if "BiasSource" in self._parts:
            self._parts["BiasWriter"] = NanonisWriter(desk)
        self._look()

    @property
    def name(self) -> str:
        """What the instrument is called."""
        return self._name

    def describe(self) -> InstrumentDescription:
        """Return what the controller said of itself."""
        controller = self._controller
        scan, spectrum = controller.named(controller.scan), controller.named(controller.spectrum)
        low, high, points = controller.sweep or (0.0, 0.0, 0)
        spectra = self._parts.get("PointSpectroscopy")
        return InstrumentDescription(
            name=self._name,
            kind="instrument",
            capabilities=tuple(self._parts),
            area=controller.area,
            scan_channels=tuple(scan),
            spectrum_channels=tuple(spectrum),
            directions=("trace", "retrace"),
            grid=controller.grid,
            sweep=Sweep(low=min(low, high), high=max(low, high), points=points) if points else None,
            parameters=self._wires.parameters,
            spectra=() if spectra is None else (spectra.mode,),
            orders=("raster",),
            notice=NOTICE,
            units={name: named.unit for name, (_, named) in (scan | spectrum).items()},
        )

    def state(self) -> State:
        """Read every parameter from the controller."""
        return self._read(self._wires)

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the part that has a capability.

        Raises
        ------
        Unsupported
            The controller does not have it.
        """
        return find_part(self._name, self._parts, kind, own={Closable: self})

    def close(self) -> None:
        """Hang up."""
        for line in self._lines:
            line.close()

    def _look(self) -> None:
        """Read the state before anything is commanded: at the beginning, and on a new line."""
        self._read(self._raw)

    def _read(self, wires: Wires) -> State:
        values = {one.key: wires.read(one.key) for one in wires.parameters}
        return State(time=self.clock.now(), values=values)


def connect(
    host: str = "127.0.0.1",
    port: int = 6501,
    *,
    stop_port: int | None = None,
    name: str = "nanonis",
    timeout: float = 10.0,
) -> NanonisInstrument:
    """Return a Nanonis controller as an instrument.

    Parameters
    ----------
    host, port : str, int
        Where its TCP programming interface listens.
    stop_port : int, optional
        For the second line, which stops what the first one waits for. A controller takes one
        client on each of its ports (6501 to 6504), so give another one; None: the same port,
        which a simulated controller allows.
    name : str
        What it is called.
    timeout : float
        Seconds to wait for an answer that should come at once.

    Raises
    ------
    LinkLost
        Nobody answers.
    """
    link = SocketLink(host, port, timeout=timeout)
    urgent = SocketLink(host, port if stop_port is None else stop_port, timeout=timeout)
    return NanonisInstrument(link, urgent, name=name)
