"""The guard in front of a remote instrument, which has a guard of its own at the server."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from typing import Any

from nanopilot.core.errors import InvalidRequest, LinkLost
from nanopilot.core.limits import Limits, Violation
from nanopilot.core.requests import Command, SetRequest
from nanopilot.instruments.guard import Guard
from nanopilot.instruments.remote.instrument import RemoteInstrument
from nanopilot.instruments.remote.messages import Made, Reason

#: Where the token is looked for when it is not given.
TOKEN = "NANOPILOT_TOKEN"  # noqa: S105 - the name of a variable, not what it holds


class RemoteScope(Guard):
    """A `Guard` around a `RemoteInstrument`, that can be closed.

    Limits given here come on top of those of the server, which nobody on this end can change.
    An emergency stop holds for everybody, and only an approver can release it.

    Parameters
    ----------
    instrument : RemoteInstrument
        What is guarded.
    limits : Limits, optional
        Further limits, of this client alone.
    source : mapping
        How it was connected; without the token.
    """

    def __init__(
        self,
        instrument: RemoteInstrument,
        *,
        limits: Limits | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(instrument, limits=limits, source=source)
        self._remote = instrument

    def violations(self, command: Command) -> list[Violation]:
        """List everything that speaks against a command, here or at the server; send nothing."""
        found = super().violations(command)
        if found or not isinstance(command, SetRequest):
            return found  # of a measurement, the server has been asked already
        return self._remote.violations(command)

    def make_safe(self, why: str) -> tuple[str, ...]:
        """Have the server stop, blank the beam and retract the tip, whoever is in command."""
        return self._remote.link.post(Made, "/v1/make-safe", Reason(why=why)).done

    def emergency_stop(self, by: str, why: str) -> tuple[str, ...]:
        """Have the server make safe and refuse every command, from whomever, until released.

        Raises
        ------
        LinkLost
            It was not reached; this client commands no more, but others might.
        """
        try:
            return self._remote.link.post(
                Made, "/v1/emergency-stop", Reason(why=f"{by}: {why}")
            ).done
        except LinkLost:
            super().emergency_stop(by, why)
            raise

    def release_stop(self, by: str) -> None:
        """Allow commands again, at the server, whose token must be an approver's, and here."""
        self._remote.link.post(Made, "/v1/release-stop", Reason(why=by))
        super().release_stop(by)


def connect_remote(
    url: str,
    *,
    token: str | None = None,
    limits: Limits | None = None,
    holder: str | None = None,
    **options: Any,
) -> RemoteScope:
    """Return an instrument that `nanopilot serve` serves, with a guard in front of it.

    Parameters
    ----------
    url : str
        Such as ``"http://127.0.0.1:8500"``.
    token : str, optional
        The variable ``NANOPILOT_TOKEN`` when not given.
    limits : Limits, optional
        On top of those of the server.
    holder : str, optional
        Under what name it commands; user, host and process when not given.
    **options
        ``silence`` (s), ``timeout`` (s), ``ca_file``: see `RemoteInstrument` and `Link`.

    Raises
    ------
    InvalidRequest
        There is no token, or an option is unknown.
    LinkLost
        There is no server.
    """
    known = {"silence", "timeout", "ca_file"}
    if not options.keys() <= known:
        name = min(options.keys() - known)
        raise InvalidRequest(f"`{name}` is no option of {url}; there are {', '.join(known)}.")
    secret = token or os.environ.get(TOKEN, "")
    if not secret:
        raise InvalidRequest(
            f"`token` is missing; give the one that `nanopilot serve` printed, or set {TOKEN}."
        )
    source = {
        "instrument": url,
        "options": dict(options),
        "limits": None if limits is None else limits.model_dump(mode="json"),
    }
    instrument = RemoteInstrument(url, secret, holder or _myself(), **options)
    return RemoteScope(instrument, limits=limits, source=source)


def _myself() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container need not know its user
        user = "somebody"
    return f"{user}@{socket.gethostname()}:{os.getpid()}"[:100]
