"""Leases of clients: each is named by a secret that only its holder knows."""

from __future__ import annotations

import secrets
import threading

from nanopilot.core.clock import Clock
from nanopilot.core.errors import NotInCommand
from nanopilot.instruments import Guard, Lease
from nanopilot.instruments.remote.messages import AskLease, LeaseGiven


class Leases:
    """The lease in force, by its secret.

    Parameters
    ----------
    scope : Guard
        Gives leases, one at a time.
    wall : Clock
        Real time, as the guard's.
    """

    def __init__(self, scope: Guard, wall: Clock) -> None:
        self._scope = scope
        self._wall = wall
        self._turn = threading.Lock()
        self._all: dict[str, Lease] = {}

    def take(self, ask: AskLease) -> LeaseGiven:
        """Give command to one client.

        Raises
        ------
        NotInCommand
            Somebody has it.
        """
        lease = self._scope.lease(ask.holder, ask.seconds, silence=ask.silence)
        secret = secrets.token_urlsafe(18)
        with self._turn:
            self._all = {secret: lease}  # there is one at a time, so any other is over
        return LeaseGiven(lease=secret, **ask.model_dump())

    def renew(self, secret: str, seconds: float | None) -> LeaseGiven:
        """Prolong a lease, which is a sign of life too."""
        lease = self.find(secret)
        lease.renew(seconds)
        return self._told(secret, lease)

    def alive(self, secret: str) -> LeaseGiven:
        """Take note of a sign of life."""
        lease = self.find(secret)
        if not lease.alive():
            lease.renew()  # says why it is over
        return self._told(secret, lease)

    def release(self, secret: str) -> None:
        """End a lease."""
        lease = self.find(secret)
        with self._turn:
            self._all.pop(secret, None)
        lease.release()

    def holder(self) -> str:
        """Return who was given command last and has not given it back."""
        with self._turn:
            return next((lease.holder for lease in self._all.values()), "")

    def guard(self, secret: str | None) -> Guard:
        """Return the instrument as the holder of a lease, or somebody without one, commands it."""
        return self._scope if secret is None else self.find(secret)

    def find(self, secret: str) -> Lease:
        """Return a lease.

        Raises
        ------
        NotInCommand
            There is none with this secret.
        """
        with self._turn:
            lease = self._all.get(secret)
        if lease is None:
            raise NotInCommand("`lease` has ended or was never given; take a new one.")
        return lease

    def close(self) -> None:
        """End whatever lease there is."""
        with self._turn:
            leases, self._all = self._all, {}
        for lease in leases.values():
            lease.release()

    def _told(self, secret: str, lease: Lease) -> LeaseGiven:
        left = max(0.0, lease.expires - self._wall.now())
        return LeaseGiven(lease=secret, holder=lease.holder, seconds=left)
