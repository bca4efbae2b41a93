"""An instrument on the network, from `start` to `stop`."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

import uvicorn

from nanopilot.app.server.api import create_app
from nanopilot.app.server.roles import Keys
from nanopilot.app.server.service import Service
from nanopilot.app.server.settings import ServerSettings
from nanopilot.core.errors import InvalidRequest
from nanopilot.core.events import Event
from nanopilot.instruments import Guard


class InstrumentServer:
    """Serves a guarded instrument over HTTP, in a thread of its own.

    Parameters
    ----------
    scope : Guard
        The instrument. The server becomes its run: it gets all audit rows.
    settings : ServerSettings, optional
        Where and how; loopback and any free port when not given.
    keys : Keys, optional
        Tokens by role; fresh ones when not given.
    record : callable
        Keeps every event for good, such as `Journal.append`.

    Examples
    --------
    >>> import nanopilot as npl
    >>> from nanopilot.app.server.roles import Role
    >>> with InstrumentServer(npl.connect("plain")) as server:
    ...     with npl.connect(server.url, token=server.keys.tokens[Role.OPERATOR]) as scope:
    ...         scope.name
    'plain'
    """

    def __init__(
        self,
        scope: Guard,
        settings: ServerSettings | None = None,
        keys: Keys | None = None,
        record: Callable[[Event], object] = lambda event: None,
    ) -> None:
        self.settings = settings or ServerSettings()
        self.service = Service(scope, self.settings, record)
        self.keys = keys or Keys.fresh(self.service.wall.now)
        self.port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        host = "127.0.0.1" if self.settings.host == "localhost" else self.settings.host
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"{self.settings.scheme}://{host}:{self.port}"

    def start(self) -> int:
        """Listen; return the port.

        Raises
        ------
        InvalidRequest
            The port is taken, or the certificate cannot be read.
        """
        settings = self.settings
        config = self._config()
        try:
            config.load()
            listening = _listen(settings.host.strip("[]"), settings.port)
        except OSError as cause:
            raise InvalidRequest(
                f"`port` {settings.port} of {settings.host} cannot be served on: {cause}."
            ) from cause
        self.port = int(listening.getsockname()[1])
        server = uvicorn.Server(config)
        self._server = server
        self._thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listening])),
            name="nanopilot-server",
            daemon=True,
        )
        self._thread.start()
        return self.port

    def _config(self) -> uvicorn.Config:
        settings = self.settings
        app: Any = create_app(self.service, self.keys)
        return uvicorn.Config(
            app,
            http="httptools",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=1 << 16,
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
            ssl_certfile=None if settings.tls_cert is None else str(settings.tls_cert),
            ssl_keyfile=None if settings.tls_key is None else str(settings.tls_key),
        )

    def stop(self, why: str = "the server ends") -> None:
        """Make the instrument safe, then close every connection; safe to call twice."""
        self.service.secure(why)
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once. Otherwise each of them
    # waits some 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening
