"""The line to a server: HTTP for control and results, WebSockets for what streams."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import urllib3
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from nanopilot.core.errors import DeviceError, InvalidRequest, LinkLost, NanopilotError
from nanopilot.core.values import Value
from nanopilot.instruments.remote.messages import TIME_HEADER, Problem
from nanopilot.instruments.remote.problems import error_of

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

ValueT = TypeVar("ValueT", bound=Value)
_JSON = "application/json"
#: Bytes read at once.
_PIECE = 1 << 17


class Link:
    """One server, reached over kept-alive connections; several threads may use it at once.

    Parameters
    ----------
    url : str
        Such as ``"http://127.0.0.1:8500"``.
    token : str
        What the server knows the caller by.
    timeout : float
        Seconds without any answer after which the line counts as lost.
    ca_file : str, optional
        Certificates to trust for https; the system's when not given.
    heard : callable
        Told the instrument's time with every answer.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 60.0,
        ca_file: str | None = None,
        heard: Callable[[float], None] = lambda time: None,
    ) -> None:
        parsed = urllib3.util.parse_url(url)
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.path not in (
            None, "", "/"
        ):  # fmt: skip
            raise InvalidRequest(f"`instrument` is {url!r}; write http://HOST:PORT.")
        self.url = f"{parsed.scheme}://{parsed.netloc}"
        self._stream = f"{'wss' if parsed.scheme == 'https' else 'ws'}://{parsed.netloc}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._tls = ssl.create_default_context(cafile=ca_file) if parsed.scheme == "https" else None
        self._heard = heard
        more: dict[str, Any] = {} if self._tls is None else {"ssl_context": self._tls}
        self._pool = urllib3.connection_from_url(
            self.url, maxsize=8, timeout=urllib3.Timeout(connect=5.0, read=timeout), **more
        )
        self._turn = threading.Lock()
        self._lost = 0

    @property
    def losses(self) -> int:
        """How often the line has gone down so far."""
        return self._lost

    def lose(self, cause: Exception | str) -> LinkLost:
        """Note that the line is down, and return the error to raise."""
        with self._turn:
            self._lost += 1
        return LinkLost(
            f"the line to {self.url} is down ({cause}); what the instrument did since is unknown "
            "until it is read back, which the next use does by itself."
        )

    def get(self, kind: type[ValueT], path: str) -> ValueT:
        """Ask for a value."""
        return self._value(kind, self.call("GET", path))

    def post(
        self, kind: type[ValueT], path: str, body: Value, headers: Mapping[str, str] | None = None
    ) -> ValueT:
        """Send a value and return the answer."""
        return self._value(kind, self.call("POST", path, body, headers))

    def call(
        self,
        method: str,
        path: str,
        body: Value | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request once and return the answer to it.

        Raises
        ------
        LinkLost
            There was none; whether the request was carried out is unknown.
        NanopilotError
            What the server said is wrong, by the class it said.
        """
        answer = self._send(method, path, body, headers)
        if answer.status >= 400:
            raise self._problem(answer.data, answer.status)
        return answer

    def fetch(self, path: str) -> tuple[int, Mapping[str, str], bytearray]:
        """Ask for many bytes; return status, headers, and the bytes, which may be written to.

        They are read in pieces into the place where they stay: on most machines new memory
        costs more than a loopback.
        """
        answer = self._send("GET", path, preload_content=False)
        try:
            if answer.status >= 400:
                raise self._problem(answer.read(), answer.status)
            found = bytearray(int(answer.headers["Content-Length"]))
            view, filled = memoryview(found), 0
            while part := answer.read(_PIECE):
                view[filled : filled + len(part)] = part
                filled += len(part)
        except (HTTPError, OSError) as cause:
            raise cause if isinstance(cause, NanopilotError) else self.lose(cause) from cause
        finally:
            answer.release_conn()
        return answer.status, answer.headers, found

    def _send(
        self,
        method: str,
        path: str,
        body: Value | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> urllib3.BaseHTTPResponse:
        sent = self._headers | dict(headers or {})
        if body is not None:
            # Not `model_dump_json`: NaN must arrive as NaN, to be refused for what it is.
            more["body"] = json.dumps(body.model_dump(mode="python"))
            sent["Content-Type"] = _JSON
        try:
            answer = self._pool.request(
                method, path, headers=sent, retries=False, redirect=False, **more
            )
        except (HTTPError, OSError) as cause:
            raise self.lose(cause) from cause
        with suppress(KeyError, ValueError):
            self._heard(float(answer.headers[TIME_HEADER]))
        return answer

    def stream(self, path: str, timeout: float = 5.0) -> ClientConnection:
        """Open a stream of messages; compression off, it costs images a factor of two or three."""
        from websockets.exceptions import InvalidStatus, WebSocketException
        from websockets.sync.client import connect

        try:
            return connect(
                self._stream + path,
                additional_headers=self._headers,
                compression=None,
                max_size=None,
                open_timeout=timeout,
                close_timeout=1.0,
                ssl=self._tls,
                proxy=None,
            )
        except InvalidStatus as cause:
            said = bytes(cause.response.body or b"")
            raise self._problem(said, cause.response.status_code) from cause
        except (OSError, WebSocketException) as cause:
            raise self.lose(cause) from cause

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _value(self, kind: type[ValueT], answer: urllib3.BaseHTTPResponse) -> ValueT:
        try:
            return kind.model_validate_json(answer.data)
        except ValidationError as cause:
            first = cause.errors()[0]["msg"]
            raise DeviceError(
                f"{self.url} answered what is no {kind.__name__} ({first}); "
                "is it another version of nanopilot?"
            ) from cause

    def _problem(self, said: bytes, status: int) -> NanopilotError:
        try:
            return error_of(Problem.model_validate_json(said), status)
        except ValidationError:
            text = said[:200].decode(errors="replace")
            return error_of(Problem(error="", message=f"{self.url}: {status} {text}"), status)
