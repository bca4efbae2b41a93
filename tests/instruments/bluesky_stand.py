"""What the tests of bluesky devices stand on."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted

from nanopilot.core.adjustables import Focus
from nanopilot.core.capabilities import CapabilityT
from nanopilot.core.clock import VirtualClock
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import Unsupported
from nanopilot.core.knobs import Knobs
from nanopilot.core.limits import Area, Range
from nanopilot.core.parameters import Parameter, State
from nanopilot.core.requests import ScanRequest

FRAME = ScanRequest(
    centre=(0, 0), field_of_view=(1e-7, 1e-7), shape=(8, 8), channels=("height",),
    dwell_time=1e-3, directions=("trace",),
)  # fmt: skip
PATIENCE = 20.0  # seconds until a test that hangs gives up

Document = tuple[str, dict[str, Any]]


class Engine:
    """A RunEngine, what it emitted, and how to ask it for things."""

    def __init__(self) -> None:
        self.run = RunEngine({})
        self.told: list[Document] = []
        self.run.subscribe(lambda *document: self.told.append(document))

    def named(self, name: str) -> list[dict[str, Any]]:
        return [document for kind, document in self.told if kind == name]

    def column(self, field: str) -> list[Any]:
        return [event["data"][field] for event in self.named("event")]

    def close(self) -> None:
        self.run.loop.call_soon_threadsafe(self.run.loop.stop)
        self.run._th.join()
        self.run.loop.close()


class Gate(VirtualClock):
    """Time that, after some rests, passes only while the gate is open."""

    def __init__(self, rests: int = 0) -> None:
        super().__init__()
        self.open = threading.Event()
        self.waited_for = threading.Event()
        self._rests = rests

    def shut(self) -> None:
        self._rests = 0

    def sleep(self, seconds: float) -> None:
        if self._rests:
            self._rests -= 1
            return super().sleep(seconds)
        self.waited_for.set()
        assert self.open.wait(PATIENCE)
        return super().sleep(seconds)


class Lens:
    """An instrument with one parameter, whose wire is a list."""

    name = "lens-1"

    def __init__(self, *, stuck: bool = False) -> None:
        self.clock = VirtualClock()
        self.written: list[float] = []
        self._stuck = stuck
        self._declared = Parameter(
            capability="Focus", name="defocus", quantity="defocus", unit="m",
            limits=Range(low=-1e-6, high=1e-6, unit="m"), step=1e-9,
        )  # fmt: skip

    def _read(self, name: str) -> float:
        return self.written[-1] if self.written and not self._stuck else 0.0

    def describe(self) -> InstrumentDescription:
        return InstrumentDescription(
            name=self.name, kind="instrument", capabilities=("Focus",),
            area=Area(x=(0, 0), y=(0, 0)), parameters=(self._declared,),
        )  # fmt: skip

    def state(self) -> State:
        return State(time=self.clock.now(), values={"Focus.defocus": self._read("defocus")})

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        if kind is not Focus:
            raise Unsupported(f"`{self.name}` has no {kind.__name__}; it has Focus.")
        part: Any = Knobs(
            (self._declared,),
            read=self._read,
            write=lambda values: self.written.extend(values.values()),
            clock=self.clock,
        )
        return part


def paused(engine: Engine, clock: Gate, plan: Any) -> None:
    """Run a plan until its measurement waits, and pause it there."""

    def interrupt() -> None:
        assert clock.waited_for.wait(PATIENCE)
        engine.run.request_pause(defer=False)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(RunEngineInterrupted):
        engine.run(plan)
    thread.join()
    clock.open.set()
