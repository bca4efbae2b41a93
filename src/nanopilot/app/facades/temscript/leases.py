"""Who of the temscript clients is in command."""

from __future__ import annotations

from threading import Lock

from nanopilot.core.errors import NotInCommand
from nanopilot.instruments import Guard, Lease

_SECONDS = 60.0


class Leases:
    """Takes the instrument's lease for a client at its first command, and keeps it renewed.

    temscript has no names and no passwords, so a client is the address it calls from.

    Parameters
    ----------
    scope : Guard
        The instrument.
    """

    def __init__(self, scope: Guard) -> None:
        self._scope = scope
        self._held: dict[str, Lease] = {}
        self._lock = Lock()

    def command(self, client: str) -> Lease:
        """Return the instrument with the client in command.

        Raises
        ------
        NotInCommand
            Somebody else is.
        """
        with self._lock:
            lease = self._renewed(client)
            if lease is None:
                lease = self._scope.lease(f"temscript client {client}", seconds=_SECONDS)
                self._held[client] = lease
            return lease

    def heard(self, client: str) -> None:
        """Note that a client is still there."""
        with self._lock:
            self._renewed(client)

    def release(self) -> None:
        """Give every lease back."""
        with self._lock:
            for lease in self._held.values():
                lease.release()
            self._held.clear()

    def _renewed(self, client: str) -> Lease | None:
        lease = self._held.get(client)
        if lease is None:
            return None
        try:
            lease.renew(_SECONDS)
        except NotInCommand:
            del self._held[client]
            return None
        return lease
