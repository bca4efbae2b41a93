"""The HTTP side of the temscript facade: who may ask, how, and what an error looks like."""

from __future__ import annotations

import ipaddress
import json
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from nanopilot.app.facades.temscript.desk import Desk
from nanopilot.core.errors import (
    BudgetExceeded,
    Interlocked,
    InvalidRequest,
    NanopilotError,
    NotInCommand,
    OutOfRange,
    Stopped,
    UnknownName,
    Unsupported,
)
from nanopilot.instruments import Guard

_LOG = logging.getLogger(__name__)
#: Bytes of a command; temscript's own server takes as many.
_LONGEST = 4096
#: Bytes of a longer one that are read away, so that its sender hears why it is refused.
_DROPPED = 1 << 20
_STATUS: tuple[tuple[tuple[type[NanopilotError], ...], int], ...] = (
    ((UnknownName,), 404),
    ((Unsupported,), 501),
    ((InvalidRequest, OutOfRange), 400),
    ((NotInCommand, Interlocked, BudgetExceeded, Stopped), 409),
)


class TemscriptFacade:
    """A temscript server in front of a guarded instrument.

    It speaks the endpoints of temscript 2.1 in JSON, so that an unmodified
    ``temscript.RemoteMicroscope((host, port))`` drives any instrument with a beam. It never
    sends or reads pickle. temscript has no passwords, so it listens on this machine only.

    Parameters
    ----------
    scope : Guard
        The instrument.
    host : str
        A loopback address.
    port : int
        Where to listen; 0: wherever there is room.

    Raises
    ------
    InvalidRequest
        The address can be reached from other machines.

    Examples
    --------
    >>> import nanopilot as npl
    >>> with TemscriptFacade(npl.connect("plain", world="beam"), port=0) as facade:
    ...     facade.port > 0
    True
    """

    def __init__(self, scope: Guard, host: str = "127.0.0.1", port: int = 8080) -> None:
        if not _loopback(host):
            raise InvalidRequest(
                f"`host` is {host!r}; temscript has no passwords, so only loopback addresses "
                "such as 127.0.0.1 are served. Reach it from elsewhere through ssh -L."
            )
        self._scope, self._host, self.port = scope, host, port
        self._server: _Server | None = None
        self._thread: Thread | None = None

    def start(self) -> int:
        """Begin to serve, and return the port."""
        self._server = _Server((self._host, self.port), Desk(self._scope))
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self.port

    def stop(self) -> None:
        """Finish what is being answered, close, and give the leases back."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server.desk.close()
        self._server = self._thread = None

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


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # answers that are under way are finished before the port closes

    def __init__(self, address: tuple[str, int], desk: Desk) -> None:
        self.desk = desk
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        _LOG.exception("a request of %s broke", client_address)


class _Refused(Exception):
    """A request that is not even looked at."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0  # seconds that a client may keep the line open and say nothing
    server_version, sys_version = "nanopilot-temscript", ""

    def do_GET(self) -> None:
        self._answer(writes=False)

    def do_PUT(self) -> None:
        self._answer(writes=True)

    def _answer(self, *, writes: bool) -> None:
        try:
            # Read first even if it is refused: what stays unread resets the connection.
            content = self._content() if writes else b""
            self._admit()
            endpoint, query = self._target()
            client = str(self.client_address[0])
            if writes:
                self.server.desk.put(endpoint, _decoded(content), query, client)
                self._send(204, None)
            else:
                self._send(200, self.server.desk.get(endpoint, query, client))
        except _Refused as refused:
            self._fail(refused.status, str(refused))
        except NanopilotError as refused:
            found = (status for kinds, status in _STATUS if isinstance(refused, kinds))
            self._fail(next(found, 500), str(refused))

    def _admit(self) -> None:
        """Refuse web pages: a browser says who sent it, or asks for us by another name."""
        if "Origin" in self.headers:
            raise _Refused(403, "requests of web pages are not served.")
        host = self.headers.get("Host", "localhost")
        if not _loopback(_name_of(host)):
            raise _Refused(403, f"`Host` is {host!r:.80}; only loopback names are served.")
        accepted = self.headers.get("Accept", "*/*")
        kinds = {part.split(";")[0].strip() for part in accepted.split(",")}
        if not kinds & {"application/json", "application/*", "*/*"}:
            raise _Refused(406, "only application/json is sent: connect with transport='JSON'.")

    def _target(self) -> tuple[str, dict[str, list[str]]]:
        path, _, asked = self.path.partition("?")
        if not path.startswith("/v1/"):
            raise _Refused(404, f"`{path:.80}` is no endpoint; they begin with /v1/.")
        try:
            query = parse_qs(asked, max_num_fields=64)
        except ValueError as cause:
            raise _Refused(400, f"the query cannot be read: {cause}.") from cause
        kind, slash, name = path.removeprefix("/v1/").partition("/")
        return kind + slash + unquote(name), query

    def _content(self) -> bytes:
        told = self.headers.get("Content-Length", "")
        if not told.isdecimal() or len(told) > 20:
            raise _Refused(411, "`Content-Length` is missing, or no number.")
        if int(told) > _LONGEST:
            self.rfile.read(min(int(told), _DROPPED))
            raise _Refused(413, f"`Content-Length` is {told}; at most {_LONGEST} are read.")
        return self.rfile.read(int(told))

    def _fail(self, status: int, message: str) -> None:
        # temscript's client shows the reason, and a reason is one line of ASCII.
        plain = " ".join(message.encode("ascii", "replace").decode("ascii").split())
        self._send(status, {"error": message}, plain[:1000])

    def _send(self, status: int, value: Any, reason: str | None = None) -> None:
        content = b"" if status == 204 else json.dumps(value, allow_nan=False).encode()
        try:
            self.send_response(status, reason)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:  # the client has gone; what it asked for is done all the same
            _LOG.info("%s did not wait for its answer", self.client_address)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        _LOG.debug(format, *args)


def _decoded(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as cause:
        raise _Refused(400, f"the body is no JSON: {cause}.") from cause


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
