"""How a good instrument is broken on purpose: a plain twin with one thing about it bent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nanopilot.core.clock import VirtualClock
from nanopilot.core.parameters import Parameter
from nanopilot.core.signals import SignalSet
from nanopilot.twins.plain import PlainTwin

Bend = Callable[..., Any]


class Bent:
    """A plain twin of both worlds; each bend is given the good thing and returns the bad one."""

    def __init__(self, **bends: Bend) -> None:
        self._twin = PlainTwin(VirtualClock(), world=bends.pop("world", "both"))  # type: ignore[arg-type]
        self._bends, self._parts = bends, dict[type[Any], Any]()
        self.name = self._twin.name
        self.clock = bends.get("clock", lambda clock: clock)(self._twin.clock)

    def describe(self) -> Any:
        return self._bend("describe", self._twin.describe())

    def state(self) -> Any:
        return self._bend("state", self._twin.state())

    def capability(self, kind: type[Any]) -> Any:
        if "capability" in self._bends:
            return self._bends["capability"](self._twin, kind)
        if kind not in self._parts:
            self._parts[kind] = self._bend(kind.__name__, self._twin.capability(kind))
        return self._parts[kind]

    def _bend(self, name: str, good: Any) -> Any:
        return self._bends.get(name, lambda good: good)(good)


class Proxy:
    """Something good with some of its methods replaced; each is given the good thing first."""

    def __init__(self, good: Any, **changed: Bend) -> None:
        self._good, self._changed = good, changed

    def __getattr__(self, name: str) -> Any:
        if name in self._changed:
            return lambda *given, **named: self._changed[name](self._good, *given, **named)
        return getattr(self._good, name)


def methods(**changed: Bend) -> Bend:
    """Return the bend that replaces methods of a capability."""
    return lambda good: Proxy(good, **changed)


def says(**changed: Any) -> Bend:
    """Return the bend of a description or a state in which some fields say something else."""
    return lambda good: good.model_copy(update=changed)


class BentAcquisition:
    """A measurement whose blocks and result are changed on the way out."""

    def __init__(self, good: Any, change: Callable[[SignalSet], SignalSet]) -> None:
        self._good, self._change = good, change
        self.abort = good.abort

    @property
    def progress(self) -> float:
        return float(self._good.progress)

    def __iter__(self) -> Any:
        return (self._change(block) for block in self._good)

    def result(self) -> SignalSet:
        return self._change(self._good.result())


def measured(change: Callable[[SignalSet], SignalSet]) -> Bend:
    """Return the bend that changes whatever a capability measures."""
    return methods(start=lambda good, request: BentAcquisition(good.start(request), change))


def asked(change: Callable[[Any], Any]) -> Bend:
    """Return the bend that measures, and says it measured, something else than was asked."""
    return methods(start=lambda good, request: good.start(change(request)))


def running(**changed: Bend) -> Bend:
    """Return the bend that replaces methods of every acquisition."""
    return methods(start=lambda good, request: Proxy2(good.start(request), changed))


class Proxy2:
    """An acquisition with some methods replaced; `progress` is a property."""

    def __init__(self, good: Any, changed: dict[str, Bend]) -> None:
        self._good, self._changed = good, changed
        self.calls = 0

    @property
    def progress(self) -> float:
        return float(self._say("progress", lambda good: good.progress))

    def __iter__(self) -> Any:
        return self._say("blocks", iter)

    def abort(self) -> None:
        self._say("abort", lambda good: good.abort())

    def result(self) -> SignalSet:
        self.calls += 1
        changed = self._changed.get("result")
        return changed(self._good, self.calls) if changed else self._good.result()

    def _say(self, name: str, usual: Bend) -> Any:
        return self._changed.get(name, usual)(self._good)


def relabelled(key: str, value: Any = None, *, channels: bool = False) -> Bend:
    """Return the bend that drops a label of a measurement, or gives it another value."""

    def change(signals: SignalSet) -> SignalSet:
        signals = signals.copy()
        for one in list(signals.data_vars.values()) if channels else [signals]:
            one.attrs.pop(key, None)
            if value is not None:
                one.attrs[key] = value
        return signals

    return measured(change)


def with_values(change: Callable[[np.ndarray[Any, Any]], Any]) -> Bend:
    """Return the bend that changes the values of every channel."""
    return measured(lambda signals: signals.map(lambda one: one.copy(data=change(one.to_numpy()))))


def declared(key: str, **changed: Any) -> Bend:
    """Return the bend of a description in which one parameter says something else."""

    def change(good: Any) -> Any:
        changed_all = tuple(_changed(one, key, changed) for one in good.parameters)
        return good.model_copy(update={"parameters": changed_all})

    return change


def knobs(key: str, **changed: Any) -> dict[str, Bend]:
    """Return the bends of an instrument in which one parameter says something else everywhere."""

    def owner(good: Any) -> Any:
        return Proxy(
            good,
            parameters=lambda good: tuple(_changed(one, key, changed) for one in good.parameters()),
        )

    return {"describe": declared(key, **changed), key.partition(".")[0]: owner}


def _changed(one: Parameter, key: str, changed: dict[str, Any]) -> Parameter:
    return one.model_copy(update=changed) if one.key == key else one
