"""A plain twin that remembers what reached it, and whose state can be spoilt."""

from collections.abc import Mapping
from typing import Any

from nanopilot.core.clock import VirtualClock
from nanopilot.core.events import Audit
from nanopilot.core.parameters import Setting, State
from nanopilot.instruments import Guard
from nanopilot.twins.plain import PlainTwin


class Twin(PlainTwin):
    """A plain twin with a wire log, whose state can be spoilt."""

    def __init__(self, world: Any = "both") -> None:
        super().__init__(VirtualClock(), world=world)
        self.wire: list[tuple[str, Mapping[str, float]]] = []
        self.age = 0.0
        self.spoilt: dict[str, float] = {}
        self.reads = 0
        for name, knobs in list(self._parts.items()):
            if hasattr(knobs, "write"):
                self._parts[name] = _Logged(self, name, knobs)

    def state(self) -> State:
        self.reads += 1
        state = super().state()
        return State(time=state.time - self.age, values=state.values | self.spoilt)

    def put(self, key: str, value: float) -> None:
        self._state.values[key] = value


class _Logged:
    def __init__(self, twin: Twin, name: str, inner: Any) -> None:
        self.twin, self.name, self.inner = twin, name, inner
        self.parameters, self.get = inner.parameters, inner.get
        self.held: float | None = None

    def set(self, **values: float) -> tuple[Setting, ...]:
        self.twin.wire.append((self.name, values))
        settings: tuple[Setting, ...] = self.inner.set(**values)
        if self.held is None:
            return settings
        return tuple(one.model_copy(update={"read_back": self.held}) for one in settings)


def guarded(twin: Twin, **options: Any) -> tuple[Guard, list[Audit]]:
    rows: list[Audit] = []
    return Guard(twin, audit=rows.append, **options), rows
