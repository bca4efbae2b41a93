"""A request in, a reply out: whatever comes, it is answered."""

from __future__ import annotations

import logging
from typing import Any

from nanopilot.app.facades.nanonis import bias, loop, place, reading, scan, spectra
from nanopilot.app.facades.nanonis.session import Handlers, Session
from nanopilot.core.errors import DeviceError, NanopilotError, Unsupported
from nanopilot.instruments.nanonis import codec
from nanopilot.instruments.nanonis.commands import COMMANDS, Command

_HANDLERS: Handlers = {
    **bias.HANDLERS, **loop.HANDLERS, **place.HANDLERS,
    **reading.HANDLERS, **scan.HANDLERS, **spectra.HANDLERS,
}  # fmt: skip
#: The client nanonisTCP drops the first four letters of a message; these it may.
_PREFIX = "npl "
#: What follows the values of these is packed differently by every client, and not needed.
_OPEN_ENDED = frozenset({"Scan.PropsSet"})

_log = logging.getLogger(__name__)


def answer(session: Session, name: str, body: bytes) -> bytes:
    """Carry a command out; return the body of the reply.

    An error is never the end of a connection: it comes back in the error block, after as many
    zeros as the command would have returned values, because clients look for it there.

    Parameters
    ----------
    session : Session
        Who asks.
    name : str
        Of the command.
    body : bytes
        What came with it.
    """
    known = COMMANDS.get(name, Command())
    try:
        values = _carry_out(session, name, known, body)
        return codec.pack(known.returns, values) + codec.error_block()
    except NanopilotError as cause:
        message = str(cause)
    except Exception:  # noqa: BLE001 - a defect here must not take the other clients down
        _log.exception("`%s` failed", name)
        message = f"`{name}` failed on this side; its log says why."
    return codec.pack(known.returns, codec.nothing(known.returns)) + codec.error_block(
        _PREFIX + message
    )


def _carry_out(session: Session, name: str, known: Command, body: bytes) -> list[Any]:
    if name not in _HANDLERS:
        raise Unsupported(f"`{name}` is not known here.")
    values, left = codec.unpack(known.takes, body)
    if left and name not in _OPEN_ENDED:
        raise DeviceError(f"`{name}` came with {len(left)} bytes too many.")
    session.alive()
    return _HANDLERS[name](session, *values)
