"""Serving an instrument from the first to the last moment: journal, tokens, facades, signals."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol

from nanopilot.app.server.record import open_journal
from nanopilot.app.server.roles import Keys, Role
from nanopilot.app.server.serving import InstrumentServer
from nanopilot.app.server.settings import ServerSettings
from nanopilot.core.clock import RealClock
from nanopilot.core.errors import InvalidRequest
from nanopilot.core.values import Value
from nanopilot.instruments import Guard

#: Vendors' protocols, loaded when they are asked for.
_FACADES = {
    "nanonis": "nanopilot.app.facades.nanonis:NanonisFacade",
    "temscript": "nanopilot.app.facades.temscript:TemscriptFacade",
}


class Addresses(Value):
    """Where an instrument is served, and with which secret.

    Parameters
    ----------
    instrument, url, token : str
        Its name, its address, and the operator's token.
    tokens : str
        File with the tokens of all roles.
    journal : str
        Folder of the journal.
    facades : dict of str to int
        Ports of vendors' protocols.
    """

    instrument: str
    url: str
    token: str
    tokens: str
    journal: str
    facades: dict[str, int] = {}


class Facade(Protocol):
    """A vendor's protocol in front of an instrument."""

    def start(self) -> int:
        """Listen; return the port."""

    def stop(self) -> None:
        """Close every connection."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How an instrument is to be served.

    Parameters
    ----------
    settings : ServerSettings
        Where to listen.
    runs : Path
        Folder that the journal's folder is made in.
    token_file : Path, optional
        Where tokens are kept; a file that goes at the end when not given.
    facades : mapping of str to int
        Ports of vendors' protocols to serve as well, by name; 0: any.
    """

    settings: ServerSettings
    runs: Path
    token_file: Path | None = None
    facades: Mapping[str, int] = field(default_factory=dict)


def run_server(scope: Guard, wanted: Wanted, ready: Callable[[Addresses], None]) -> None:
    """Serve until SIGTERM or SIGINT; then make the instrument safe and close.

    Parameters
    ----------
    scope : Guard
        The instrument.
    wanted : Wanted
        Where and how.
    ready : callable
        Told where it is, once it listens.
    """
    over, host = threading.Event(), wanted.settings.host
    said: list[int] = []

    def leave(number: int, _frame: object) -> None:
        said.append(number)
        over.set()

    with ExitStack() as stack:
        # First of all, so that a signal never finds the instrument half served.
        for number in (signal.SIGTERM, signal.SIGINT):
            stack.callback(signal.signal, number, signal.signal(number, leave))
        tokens = wanted.token_file or _passing(stack)
        keys = Keys.of_file(tokens, RealClock().now)
        journal = stack.enter_context(open_journal(wanted.runs, scope, scope.name, host))
        server = InstrumentServer(scope, wanted.settings, keys, journal.journal.append)
        stack.callback(lambda: server.stop(_why(said)))
        server.start()
        # Facades close first: what they do goes through the same guard, into the same journal.
        ports = {
            name: _facade(name, scope, host, port, stack) for name, port in wanted.facades.items()
        }
        ready(
            Addresses(
                instrument=scope.name,
                url=server.url,
                token=keys.tokens[Role.OPERATOR],
                tokens=str(tokens),
                journal=str(journal.path),
                facades=ports,
            )
        )
        over.wait()


def _passing(stack: ExitStack) -> Path:
    """Return a place for tokens that only their owner can look into, and that goes at the end."""
    folder = mkdtemp(prefix="nanopilot-")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder, "tokens.json")


def _facade(name: str, scope: Guard, host: str, port: int, stack: ExitStack) -> int:
    if host not in ("127.0.0.1", "localhost"):
        raise InvalidRequest(
            f"`{name}`: this protocol knows no token, so it is served on 127.0.0.1 only, "
            f"and `host` is {host}."
        )
    facade: Facade = _facade_class(name)(scope, "127.0.0.1", port)
    found = facade.start()
    stack.callback(facade.stop)
    return found


def _facade_class(name: str) -> Any:
    module, _, kind = _FACADES[name].partition(":")
    return getattr(import_module(module), kind)


def _why(said: list[int]) -> str:
    return f"{signal.Signals(said[0]).name} received" if said else "the server ends"
