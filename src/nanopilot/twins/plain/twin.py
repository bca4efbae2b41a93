"""`PlainTwin`: every capability, the plainest physics."""

from __future__ import annotations

from typing import Literal

from nanopilot.core.capabilities import CapabilityT, Restorable
from nanopilot.core.clock import Clock, jump
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.limits import Area
from nanopilot.core.memory import Memory
from nanopilot.core.parameters import State
from nanopilot.core.parts import find_part
from nanopilot.core.requests import Position
from nanopilot.twins.plain.camera import PlainCamera
from nanopilot.twins.plain.knobs import SCAN_RANGE, PlainState
from nanopilot.twins.plain.scanner import PlainScanner
from nanopilot.twins.plain.spectroscopy import UNITS, PlainSpectroscopy
from nanopilot.twins.plain.surface import CHANNELS
from nanopilot.twins.plain.writer import PlainWriter


class PlainTwin:
    """An instrument to try scripts, consoles and vendors' clients on.

    It has every capability of a tip, of a beam, or of both; parameters go where they are told,
    frames and spectra are formulas. It has no drift, no noise and no memory of what was done to
    the sample: a twin with physics is another twin.

    Parameters
    ----------
    clock : Clock
        A `VirtualClock` for tests, a real one for a demonstration in real time.
    world : {"tip", "beam", "both"}
        What it is.
    name : str
        What it is called.
    """

    def __init__(
        self, clock: Clock, *, world: Literal["tip", "beam", "both"] = "both", name: str = "plain"
    ) -> None:
        self.clock = clock
        self._name = name
        self._state = PlainState(world, clock)
        self._scanner = PlainScanner(self._state, name)
        self._spectroscopy = PlainSpectroscopy(self._state, name)
        parts: dict[str, object] = {
            "Scanner": self._scanner, "PointSpectroscopy": self._spectroscopy
        }  # fmt: skip
        if world in ("beam", "both"):
            parts["Camera"] = PlainCamera(self._state, name)
        if world in ("tip", "both"):
            parts["BiasWriter"] = PlainWriter(self._state, name)
        self._parts = parts | self._state.knobs()

    @property
    def name(self) -> str:
        """What the instrument is called."""
        return self._name

    def state(self) -> State:
        """Return every parameter's value."""
        return self._state.read()

    def memory(self) -> Memory:
        """Return every parameter's value; there is nothing else to remember."""
        return Memory({"values": self._state.values})

    def restore(self, time: float, position: Position, memory: Memory | None = None) -> None:
        """Go back to where a run left the instrument; its measurements leave it where it is."""
        jump(self.clock, time)
        if memory is not None:
            self._state.values.update(memory.facts["values"])

    def describe(self) -> InstrumentDescription:
        """Return what it is and can do."""
        edges = (-SCAN_RANGE, SCAN_RANGE)
        modes = self._spectroscopy.modes
        return InstrumentDescription(
            name=self._name,
            kind="twin",
            capabilities=tuple(self._parts),
            area=Area(x=edges, y=edges),
            scan_channels=self._scanner.channels,
            spectrum_channels=modes[0].channels,
            directions=("trace", "retrace"),
            grid=(256, 256),
            parameters=tuple(self._state.parameters.values()),
            spectra=modes,
            cameras=("ronchigram",) if "Camera" in self._parts else (),
            orders=("raster", "serpentine", "spiral", "lines", "points"),
            units={name: unit for name, (_, unit, _) in CHANNELS.items()} | UNITS,
        )

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the part that has a capability."""
        return find_part(self._name, self._parts, kind, own={Restorable: self})
