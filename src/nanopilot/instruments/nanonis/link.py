"""The line to a Nanonis controller: one request, one reply, and what happens when it breaks."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any, Protocol

from nanopilot.core.errors import DeviceError, LinkLost
from nanopilot.instruments.nanonis import codec
from nanopilot.instruments.nanonis.commands import find


class Link(Protocol):
    """Asks the controller."""

    @property
    def lost(self) -> bool:
        """Whether the line is down."""

    def reopen(self) -> None:
        """Connect again."""

    def ask(self, command: str, *values: Any, timeout: float | None = None) -> list[Any]:
        """Send a command; return what the controller returns.

        Raises
        ------
        DeviceError
            The controller answered with an error, or not as it should.
        LinkLost
            It did not answer.
        """

    def close(self) -> None:
        """Hang up."""


class SocketLink:
    """A `Link` over TCP.

    A link that broke stays broken until `reopen`: what the controller did with the last command
    is unknown, and whoever uses the link has to read the state before it commands again.

    Parameters
    ----------
    host, port : str, int
        Where the controller listens.
    timeout : float
        Seconds to wait for a reply, unless a command says otherwise.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 10.0) -> None:
        self._address = (host, port)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.reopen()

    @property
    def lost(self) -> bool:
        """Whether the line is down."""
        return self._socket is None

    def reopen(self) -> None:
        """Connect again.

        Raises
        ------
        LinkLost
            Nobody answers.
        """
        with self._lock:
            self._drop()
            try:
                self._socket = socket.create_connection(self._address, self._timeout)
            except OSError as cause:
                raise self._gone(f"nobody answers: {cause}") from cause

    def close(self) -> None:
        """Hang up; a command in progress on another thread fails with `LinkLost`."""
        line = self._socket
        if line is not None:
            with contextlib.suppress(OSError):  # it was down already
                line.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._drop()

    def ask(self, command: str, *values: Any, timeout: float | None = None) -> list[Any]:
        """Send a command; return what the controller returns."""
        known = find(command)
        body = codec.pack(known.takes, values)
        with self._lock:
            if self._socket is None:
                raise self._gone("the line is down; reconnect, and read the state back")
            try:
                self._socket.settimeout(self._timeout if timeout is None else timeout)
                self._socket.sendall(codec.Header(command, len(body)).pack() + body)
                header = codec.Header.unpack(self._receive(self._socket, codec.HEADER))
                reply = self._receive(self._socket, header.size)
            except (OSError, DeviceError) as cause:
                # After half a reply nothing on this line can be told apart any more.
                self._drop()
                raise self._gone(f"`{command}` got no answer ({cause})") from cause
            if header.command != command:
                self._drop()
                raise self._gone(f"`{command}` was answered with {header.command!r}")
        return _values(command, known.returns, reply)

    def __del__(self) -> None:
        line = getattr(self, "_socket", None)
        if line is not None:
            line.close()

    def _receive(self, line: socket.socket, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            piece = line.recv(min(size - len(received), 1 << 20))
            if not piece:
                raise ConnectionResetError("the controller hung up")
            received += piece
        return bytes(received)

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _gone(self, why: str) -> LinkLost:
        host, port = self._address
        return LinkLost(f"`{host}:{port}`: {why}. What it did since is unknown.")


def _values(command: str, kinds: tuple[str, ...], reply: bytes) -> list[Any]:
    """Read a reply.

    Notes
    -----
    Some controllers leave the values out where there is an error, so the error is also looked
    for at the very beginning.
    """
    try:
        values, block = codec.unpack(kinds, reply)
        message = codec.read_error(block)
    except DeviceError:
        message = codec.read_error(reply)
        if not message:
            raise
        values = []
    if message:
        raise DeviceError(f"`{command}` was refused by the controller: {message}")
    return values


class SteadyLink:
    """A `Link` that connects again by itself when it was lost, and looks before it goes on.

    The command during which it was lost is not repeated: nobody knows whether it was carried
    out. It fails with `LinkLost`; the next one connects again and has the state read first.

    Parameters
    ----------
    link : Link
        What may break.
    look : callable
        Reads the state of the instrument through `link`.
    """

    def __init__(self, link: Link, look: Callable[[], None]) -> None:
        self._link = link
        self._look = look

    @property
    def lost(self) -> bool:
        """Whether the line is down."""
        return self._link.lost

    def reopen(self) -> None:
        """Connect again, and look."""
        self._link.reopen()
        self._look()

    def ask(self, command: str, *values: Any, timeout: float | None = None) -> list[Any]:
        """Send a command; return what the controller returns."""
        if self._link.lost:
            self.reopen()
        return self._link.ask(command, *values, timeout=timeout)

    def close(self) -> None:
        """Hang up."""
        self._link.close()
