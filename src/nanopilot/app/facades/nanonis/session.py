"""One client: who it is, and its lease on the instrument."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from nanopilot.app.facades.nanonis.panel import Panel
from nanopilot.core.capabilities import CapabilityT, Measuring
from nanopilot.core.errors import NotInCommand
from nanopilot.core.parameters import Setting
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard, Lease

RequestT = TypeVar("RequestT")

#: A client that asks nothing for so long is no longer in command.
LEASE_SECONDS = 60.0
_TRIES, _BETWEEN = 10, 0.02


class Session:
    """A connection, what it may command, and the panel it looks at.

    Parameters
    ----------
    panel : Panel
        Shared by all connections.
    holder : str
        What the client is called in leases and audit rows.
    """

    def __init__(self, panel: Panel, holder: str) -> None:
        self.panel = panel
        self.holder = holder
        self._lease: Lease | None = None

    def reads(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return a capability to read from; needs no lease."""
        return self.panel.scope.capability(kind)

    def commands(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return a capability to command with; takes the lease if nobody else has it.

        Raises
        ------
        NotInCommand
            Somebody else has it.
        """
        return self.commanding().capability(kind)

    def commanding(self) -> Guard:
        """Return the instrument under the lease of this client.

        A client that has just hung up is in command until its end has been noticed, so a new
        one waits a moment before it takes no for an answer.
        """
        if self._lease is None:
            for _ in range(_TRIES):
                try:
                    self._lease = self._take()
                    return self._lease
                except NotInCommand:
                    time.sleep(_BETWEEN)
            self._lease = self._take()
        return self._lease

    def held(self) -> Guard:
        """Return the instrument under the lease if this client has it, and without one if not."""
        return self._lease or self.panel.scope

    def _take(self) -> Lease:
        return self.panel.scope.lease(holder=self.holder, seconds=LEASE_SECONDS)

    def set(self, kind: type[CapabilityT], **values: float) -> tuple[Setting, ...]:
        """Set parameters of a capability."""
        part = self.commands(kind)
        return part.set(**values)  # type: ignore[attr-defined,no-any-return]

    def measure(self, kind: type[Measuring[RequestT]], request: RequestT) -> SignalSet:
        """Measure and wait for the end; stopping the facade ends it."""
        acquisition = self.commands(kind).start(request)
        self.panel.waiting[self.holder] = acquisition
        try:
            return acquisition.result()
        finally:
            del self.panel.waiting[self.holder]

    def alive(self) -> None:
        """Renew the lease: the client has asked something, or its scan goes on."""
        lease = self._lease
        if lease is None:
            return
        try:
            lease.renew(LEASE_SECONDS)
        except NotInCommand:
            self._lease = None  # it ran out; the next command takes a new one

    def close(self) -> None:
        """Give the lease back."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()


#: What answers a command, by name: takes the session and the values, returns values.
Handlers = dict[str, Callable[..., list[Any]]]
