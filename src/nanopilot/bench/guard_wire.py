"""The back end of the `guard` track: it takes whatever comes and remembers what came."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import xarray as xr

from nanopilot.core.adjustables import ADJUSTABLE
from nanopilot.core.capabilities import MEASURING
from nanopilot.core.clock import VirtualClock
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import Unsupported
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.parameters import Parameter, Setting, State
from nanopilot.core.signals import SignalSet
from nanopilot.twins.plain import PlainTwin

#: Told of every command in the moment it arrives: capability, and the request or the values.
Witness = Callable[[str, Any], None]


class Wire:
    """An instrument without any sense: every command is carried out, whatever it is.

    Parameters
    ----------
    clock : VirtualClock
        Its time.
    witness : callable
        Sees every command together with the state it meets; nothing changes meanwhile.
    """

    name = "wire"

    def __init__(self, clock: VirtualClock, witness: Witness) -> None:
        twin = PlainTwin(clock)
        self.clock = clock
        self.witness = witness
        self.truth: dict[str, float] = dict(twin.state().values)
        self.parameters = twin.describe().parameters
        self.running: WireAcquisition | None = None
        self.age = 0.0
        self.broken = False
        self.slow = False
        self.hidden: frozenset[str] = frozenset()
        self.turn = threading.RLock()
        self._description = twin.describe()
        self._parts: dict[str, Any] = {name: WireMeter(self, name) for name in MEASURING}
        self._parts |= {
            name: WireDials(self, name)
            for name in ADJUSTABLE
            if any(one.capability == name for one in self.parameters)
        }

    def describe(self) -> InstrumentDescription:
        """Return what a plain twin says of itself."""
        return self._description

    def state(self) -> State:
        """Return the truth, or what a fault makes of it."""
        if self.broken:
            raise OSError("the line is down")
        with self.turn:
            values = {key: one for key, one in self.truth.items() if key not in self.hidden}
            state = State(time=self.clock.now() - self.age, values=values)
        if self.slow:
            time.sleep(0)  # as on any line, others get a turn before the answer is there
        return state

    def capability(self, kind: Any) -> Any:
        """Return a part."""
        part = self._parts.get(getattr(kind, "__name__", ""))
        if part is None:
            raise Unsupported(f"`wire` has no {kind!r}.")
        return part


class WireDials:
    """Parameters that take any value."""

    def __init__(self, wire: Wire, name: str) -> None:
        self._wire = wire
        self._name = name

    def parameters(self) -> tuple[Parameter, ...]:
        """Return them as declared."""
        return tuple(one for one in self._wire.parameters if one.capability == self._name)

    def get(self, name: str) -> float:
        """Return the truth."""
        return self._wire.truth[f"{self._name}.{name}"]

    def set(self, **values: Any) -> tuple[Setting, ...]:
        """Take the values for the truth, as far as they are numbers at all."""
        with self._wire.turn:
            self._wire.witness(self._name, values)
            settings = []
            for name, value in values.items():
                number = _number(value)
                self._wire.truth[f"{self._name}.{name}"] = number
                settings.append(
                    Setting(
                        parameter=f"{self._name}.{name}", requested=number, commanded=number,
                        read_back=number, unit="1", time=self._wire.clock.now(),
                    )
                )  # fmt: skip
        return tuple(settings)


class WireMeter:
    """A measurement of nothing that takes a second."""

    def __init__(self, wire: Wire, name: str) -> None:
        self._wire = wire
        self._name = name

    def validate(self, request: Any) -> list[Violation]:
        """Object to nothing."""
        return []

    def estimate(self, request: Any) -> Estimate:
        """Return a second, and one spectrum or frame."""
        spectra = int(self._name == "PointSpectroscopy")
        frames = 0 if spectra else getattr(request, "frames", 1)
        return Estimate(seconds=1.0, spectra=spectra, frames=frames)

    def start(self, request: Any) -> WireAcquisition:
        """Begin."""
        with self._wire.turn:
            self._wire.witness(self._name, request)
            self._wire.running = WireAcquisition(self._wire)
            return self._wire.running

    def stop(self) -> None:
        """End whatever is being measured."""
        self._wire.running = None


class WireAcquisition:
    """Goes on until its result is taken or it is stopped."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def progress(self) -> float:
        """0 while it is the one in progress."""
        return float(self._wire.running is not self)

    def __iter__(self) -> Iterator[SignalSet]:
        """Yield nothing, and be over."""
        self.abort()
        return iter(())

    def abort(self) -> None:
        """Be over."""
        if self._wire.running is self:
            self._wire.running = None

    def result(self) -> SignalSet:
        """Return nothing, and be over."""
        self.abort()
        return xr.Dataset()


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


class Bare:
    """The wire without a guard, dressed as one: everything passes.

    Parameters
    ----------
    wire : Wire
        Is reached directly.
    change : callable
        Is given key and value of everything that is set, and returns what is sent.
    """

    def __init__(
        self, wire: Wire, change: Callable[[str, Any], Any] = lambda key, value: value
    ) -> None:
        self._wire = wire
        self._change = change

    def capability(self, kind: Any) -> Any:
        """Return a part of the wire."""
        part = self._wire.capability(kind)
        return _Changed(part, kind.__name__, self._change) if kind.__name__ in ADJUSTABLE else part

    def lease(self, holder: str, seconds: float = 60.0, *, silence: float | None = None) -> Bare:
        """Return itself: everybody is in command."""
        return self

    def release(self) -> None:
        """Do nothing."""

    def renew(self, seconds: float | None = None) -> None:
        """Do nothing."""

    def begin_run(self, *books: Any) -> None:
        """Keep no books."""

    def stop(self) -> None:
        """End whatever is being measured."""
        self._wire.running = None

    def emergency_stop(self, by: str, why: str) -> None:
        """End whatever is being measured; nothing is kept from beginning again."""
        self.stop()

    def release_stop(self, by: str) -> None:
        """Do nothing."""


class _Changed:
    """Dials whose values are changed on the way."""

    def __init__(self, inner: Any, name: str, change: Callable[[str, Any], Any]) -> None:
        self._inner = inner
        self._name = name
        self._change = change

    def set(self, **values: Any) -> Any:
        """Pass on what is left of the values."""
        changed: Mapping[str, Any] = {
            name: self._change(f"{self._name}.{name}", value) for name, value in values.items()
        }
        return self._inner.set(**changed)
