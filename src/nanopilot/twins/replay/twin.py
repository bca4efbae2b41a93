"""`ReplayTwin`: recorded data that looks exactly like an instrument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from nanopilot.core.adjustables import BiasSource, Positioner
from nanopilot.core.capabilities import CapabilityT, PointSpectroscopy, Restorable, Scanner
from nanopilot.core.clock import Clock, jump
from nanopilot.core.description import InstrumentDescription, SpectrumMode
from nanopilot.core.errors import Unsupported
from nanopilot.core.geometry import FloatArray
from nanopilot.core.limits import Range
from nanopilot.core.memory import Memory
from nanopilot.core.parameters import State
from nanopilot.core.requests import Position
from nanopilot.core.signals import Signal
from nanopilot.twins.replay.recording import Recording
from nanopilot.twins.replay.scanner import ReplayScanner
from nanopilot.twins.replay.spectroscopy import ReplaySpectroscopy
from nanopilot.twins.replay.tip import ReplayBias, ReplayTip


@dataclass(frozen=True, slots=True)
class ReplayTiming:
    """How long the instrument that made the recording would take again.

    Parameters
    ----------
    line_rate : float
        Lines per second of a frame, trace and retrace together.
    spectrum : float
        Seconds of one sweep.
    settle : float
        Seconds of rest after a move.
    speed : float
        Metres per second between places.
    """

    line_rate: float = 1.0
    spectrum: float = 1.0
    settle: float = 0.1
    speed: float = 2e-6


class ReplayTwin:
    """An instrument that answers from a recording.

    Frames are interpolated between recorded pixels and say how much of them is; spectra
    are the nearest recorded one and say where that is. Outside what was recorded it
    refuses. It gives out nothing that was not asked for: the recording itself is
    reachable only through `truth`, which no guard and no wire passes on.

    Parameters
    ----------
    signals : sequence of Signal
        Frames (y, x) and grids of spectra (y, x, bias).
    clock : Clock
        Usually a `VirtualClock`.
    name : str
        What it is called in journals and reports.
    timing : ReplayTiming
        What things cost in seconds.
    """

    def __init__(
        self,
        signals: Sequence[Signal],
        clock: Clock,
        *,
        name: str = "replay",
        timing: ReplayTiming | None = None,
    ) -> None:
        self._recording = Recording.of(signals)
        self.clock = clock
        self._name = name
        self._timing = timing or ReplayTiming()
        self._tip = ReplayTip(self._recording.area, clock, self._timing.speed)
        self._bias = ReplayBias(_voltages(self._recording), clock)
        self._parts: dict[type[object], object] = {Restorable: self}
        self._parts[Scanner] = ReplayScanner(
            self._recording, clock, name=name, line_rate=self._timing.line_rate, state=self.state
        )
        self._parts[Positioner] = self._tip
        self._parts[BiasSource] = self._bias
        if self._recording.spectra:
            self._parts[PointSpectroscopy] = ReplaySpectroscopy(
                self._recording,
                clock,
                seconds=self._seconds,
                arrived=self._tip.arrive,
                state=self.state,
            )
        self._description = self._describe()

    @property
    def name(self) -> str:
        """What the instrument is called."""
        return self._name

    @property
    def truth(self) -> Recording:
        """Everything that was recorded; for scoring, out of band."""
        return self._recording

    def describe(self) -> InstrumentDescription:
        """Return what can be asked of the recording; none of its values."""
        return self._description

    def state(self) -> State:
        """Return where the tip rests, at what bias."""
        x, y = self._tip.position
        values = {"Positioner.x": x, "Positioner.y": y, "BiasSource.bias": self._bias.get("bias")}
        return State(time=self.clock.now(), values=values)

    def _describe(self) -> InstrumentDescription:
        recording = self._recording
        directions = {recording.direction(name) or "trace" for name in recording.frames}
        return InstrumentDescription(
            name=self._name,
            kind="replay",
            capabilities=tuple(kind.__name__ for kind in self._parts if kind is not Restorable),
            area=recording.area,
            scan_channels=tuple(recording.frames),
            spectrum_channels=tuple(recording.spectra),
            directions=tuple(sorted(directions)),
            grid=recording.grid,
            sweep=recording.sweep,
            parameters=self._tip.parameters() + self._bias.parameters(),
            spectra=self._modes(),
            orders=("raster", "serpentine", "spiral", "lines", "points"),
            state={"frames_from_spectra": set(recording.frames) == set(recording.spectra)},
            units={
                name: signal.attrs["units"]
                for group in (recording.frames, recording.spectra)
                for name, signal in group.items()
            },
        )

    def _modes(self) -> tuple[SpectrumMode, ...]:
        if not self._recording.spectra:
            return ()
        first = next(iter(self._recording.spectra.values()))
        axis = first[first.dims[-1]]
        return (
            SpectrumMode(
                kind="bias" if axis.name == "bias" else "energy",
                dim=str(axis.name),
                quantity=axis.attrs["quantity"],
                unit=axis.attrs["units"],
                low=float(axis.min()),
                high=float(axis.max()),
                points=axis.size,
                channels=tuple(self._recording.spectra),
            ),
        )

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the scanner or the spectroscopy of the recording."""
        if kind not in self._parts:
            known = ", ".join(self.describe().capabilities)
            raise Unsupported(
                f"`{self._name}` has no {getattr(kind, '__name__', kind)}; it has {known}."
            )
        return cast("CapabilityT", self._parts[kind])

    def memory(self) -> Memory:
        """Return what was set; a recording remembers nothing of what is measured.

        Where the tip has measured last is known without it, and so is not kept at every step.
        """
        sent = self._tip.position if self._tip.sent else None
        return Memory({"sent": sent, "bias": self._bias.get("bias")})

    def restore(self, time: float, position: Position, memory: Memory | None = None) -> None:
        """Go back to where a run left the instrument when its process died."""
        jump(self.clock, time)
        self._tip.arrive(position)
        if memory is not None:
            self._bias.rest(memory.facts["bias"])
            if memory.facts["sent"] is not None:
                x, y = memory.facts["sent"]
                self._tip.send((x, y))

    def _seconds(self, visited: FloatArray) -> float:
        route = np.vstack([np.array(self._tip.position), visited])
        travel = float(np.hypot(*np.diff(route, axis=0).T).sum()) / self._timing.speed
        return travel + len(visited) * (self._timing.settle + self._timing.spectrum)


def _voltages(recording: Recording) -> Range:
    sweep = recording.sweep
    low, high = (sweep.low, sweep.high) if sweep else (0.0, 0.0)
    return Range(low=low, high=high, unit="V")
