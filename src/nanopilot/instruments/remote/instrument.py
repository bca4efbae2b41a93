"""`RemoteInstrument`: an instrument that another process serves, with the same protocols."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from nanopilot.core.adjustables import ADJUSTABLE
from nanopilot.core.capabilities import MEASURING, CapabilityT, Closable
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import LinkLost, NotInCommand, Unsupported
from nanopilot.core.limits import Violation
from nanopilot.core.parameters import Parameter, State
from nanopilot.core.requests import SetRequest
from nanopilot.core.values import Value
from nanopilot.instruments.remote.clock import RemoteClock
from nanopilot.instruments.remote.commander import Commander
from nanopilot.instruments.remote.link import Link
from nanopilot.instruments.remote.messages import Acquisitions, AskLease, Progress, Verdict
from nanopilot.instruments.remote.parts import RemoteKnobs, RemoteMeasuring

ValueT = TypeVar("ValueT", bound=Value)


class RemoteInstrument:
    """An instrument served by `nanopilot serve`.

    It takes the lease with its first command and keeps it, with signs of life in the
    background, until it is closed. After the line was down, description and state are read
    before anything is sent: nobody knows what happened meanwhile.

    Parameters
    ----------
    url : str
        Such as ``"http://127.0.0.1:8500"``.
    token : str
        Of a role that may do what will be asked.
    holder : str
        Under what name it commands.
    silence : float, optional
        Seconds without a sign of life after which the server makes the instrument safe. None:
        never, whatever happens to this process.
    options
        `Link`: ``timeout``, ``ca_file``.

    Raises
    ------
    LinkLost
        There is no server.
    NotInCommand
        It does not know the token.
    """

    def __init__(
        self, url: str, token: str, holder: str, silence: float | None = 1.5, **options: Any
    ) -> None:
        self.clock = RemoteClock(self._ask)
        self._link = Link(url, token, heard=self.clock.heard, **options)
        self._commander = Commander(self._link, AskLease(holder=holder, silence=silence))
        self._turn = threading.RLock()
        self._losses = 0
        self._description: InstrumentDescription | None = None
        self._state: State | None = None
        try:
            self.describe()
        except BaseException:
            self._link.close()
            raise

    @property
    def name(self) -> str:
        """What the instrument is called."""
        return self.describe().name

    @property
    def link(self) -> Link:
        """The line to the server."""
        return self._link

    def describe(self) -> InstrumentDescription:
        """Return what it is and can do, as read when the line came up."""
        with self._turn:
            if self._description is None or self._losses != self._link.losses:
                self._read_everything()
            return cast("InstrumentDescription", self._description)

    def state(self) -> State:
        """Read every parameter from the instrument."""
        self.describe()
        self._state = self._link.get(State, "/v1/state")
        return self._state

    @property
    def last_state(self) -> State | None:
        """The last state that was read; after the line was down, the first one behind that."""
        return self._state

    def acquisitions(self) -> tuple[Progress, ...]:
        """Return how every measurement stands that the server remembers, oldest first."""
        return self._link.get(Acquisitions, "/v1/acquisitions").acquisitions

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the part that has a capability.

        Raises
        ------
        Unsupported
            The served instrument does not have it.
        """
        if kind is Closable:
            return cast("CapabilityT", self)
        name = getattr(kind, "__name__", str(kind))
        there = self.describe().capabilities
        if name in there and MEASURING.get(name, (None,))[0] is kind:
            return cast("CapabilityT", RemoteMeasuring(self, name))
        if name in there and ADJUSTABLE.get(name) is kind:
            return cast("CapabilityT", RemoteKnobs(self, name, lambda: self._declared(name)))
        raise Unsupported(f"`{self.name}` has no {name}; it has {', '.join(there)}.")

    def command(self, kind: type[ValueT], path: str, body: Value) -> ValueT:
        """Send what moves something, under the lease."""
        self.describe()
        headers = self._commander.headers()
        try:
            return self._link.post(kind, path, body, headers=headers)
        except NotInCommand:
            self._commander.check()  # so that the next command may take a new lease
            raise

    def violations(self, request: SetRequest) -> list[Violation]:
        """List what speaks at the server against setting parameters."""
        verdict = self._link.post(Verdict, "/v1/validate", request, headers=self.under_lease())
        return list(verdict.violations)

    def under_lease(self) -> dict[str, str]:
        """Return the header of the lease if there is one."""
        return self._commander.held()

    def close(self) -> None:
        """Give the lease back and close the line; safe to call twice."""
        self._commander.release()
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read_everything(self) -> None:
        losses = self._link.losses
        again = self._description is not None
        try:
            description = self._link.get(InstrumentDescription, "/v1/description")
            self._state = self._link.get(State, "/v1/state")
            if again:
                self._commander.check()
        except LinkLost:
            self._losses = -1
            raise
        self._description, self._losses = description, losses

    def _declared(self, name: str) -> tuple[Parameter, ...]:
        return tuple(one for one in self.describe().parameters if one.capability == name)

    def _ask(self) -> object:
        return self._link.call("GET", "/v1/lease")
