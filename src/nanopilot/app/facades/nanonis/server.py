"""The sockets of the facade."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from nanopilot.app.facades.nanonis.answering import answer
from nanopilot.app.facades.nanonis.panel import Panel
from nanopilot.app.facades.nanonis.session import Session
from nanopilot.core.errors import DeviceError
from nanopilot.instruments import Guard
from nanopilot.instruments.nanonis import codec

#: Longest body of a request: names and indices, never data.
_LONGEST_REQUEST = 1 << 20


class NanonisFacade:
    """Answers like a Nanonis controller, and drives a guarded instrument.

    Scripts written for the Nanonis TCP interface run unchanged against it. Each connection takes
    the lease of the instrument with its first command and gives it back when it hangs up. The
    protocol knows no password: whoever reaches the port commands, so it listens on this machine
    only, unless told otherwise.

    Parameters
    ----------
    scope : Guard
        The instrument, with the guard in front.
    host : str
        Address to listen on.
    port : int
        0: any that is free.

    Examples
    --------
    >>> from nanopilot.workflows import connect
    >>> with NanonisFacade(connect("plain", world="tip"), port=0) as facade:
    ...     facade.port > 0
    True
    """

    def __init__(self, scope: Guard, host: str = "127.0.0.1", port: int = 6501) -> None:
        self._panel = Panel(scope)
        self._address = (host, port)
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._lines: dict[socket.socket, threading.Thread] = {}
        self._accepting: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 before `start` where any free one was asked for."""
        if self._listener is None:
            return self._address[1]
        return int(self._listener.getsockname()[1])

    def start(self) -> int:
        """Begin to listen; return the port."""
        if self._listener is None:
            self._listener = socket.create_server(self._address)
            self._accepting = threading.Thread(
                target=self._accept, args=(self._listener,), name="nanonis-accept", daemon=True
            )
            self._accepting.start()
        return self.port

    def stop(self) -> None:
        """Stop what clients are measuring, hang up on everybody, and stop listening."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        _shut(listener)
        if self._accepting is not None:
            self._accepting.join()
        listener.close()
        if self._panel.job is not None:
            self._panel.job.stop()
        for acquisition in list(self._panel.waiting.values()):
            acquisition.abort()
        with self._lock:
            lines = dict(self._lines)
        for line in lines:
            _shut(line)
        for thread in lines.values():
            thread.join()
        if self._panel.job is not None:
            self._panel.job.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                line, address = listener.accept()
            except OSError:
                return  # `stop` has closed it
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            holder = f"nanonis client {address[0]}:{address[1]}"
            thread = threading.Thread(
                target=self._serve, args=(line, holder), name="nanonis-client", daemon=True
            )
            with self._lock:
                self._lines[line] = thread
            thread.start()

    def _serve(self, line: socket.socket, holder: str) -> None:
        session = Session(self._panel, holder)
        try:
            while _exchange(line, session):
                pass
        except (OSError, DeviceError):
            pass  # hung up, or what came is no request: nothing after it can be understood
        finally:
            session.close()
            line.close()
            with self._lock:
                self._lines.pop(line, None)


def _exchange(line: socket.socket, session: Session) -> bool:
    """Answer one request; tell whether there was one."""
    packed = _receive(line, codec.HEADER)
    if packed is None:
        return False
    header = codec.Header.unpack(packed)
    if header.size > _LONGEST_REQUEST:
        raise DeviceError(f"`header` announces {header.size} bytes; that is no request.")
    body = _receive(line, header.size)
    if body is None:
        return False
    reply = answer(session, header.command, body)
    if header.wants_reply:
        line.sendall(codec.Header(header.command, len(reply)).pack() + reply)
    return True


def _receive(line: socket.socket, size: int) -> bytes | None:
    """Return so many bytes, or None where the client hung up before they came."""
    received = bytearray()
    while len(received) < size:
        piece = line.recv(size - len(received))
        if not piece:
            return None
        received += piece
    return bytes(received)


def _shut(line: socket.socket) -> None:
    """Wake up whoever waits on a socket."""
    with contextlib.suppress(OSError):  # it is down already
        line.shutdown(socket.SHUT_RDWR)
