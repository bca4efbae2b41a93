"""The door: nothing reaches a route, HTTP or WebSocket, that has not been let in here.

In this order: the Host and Origin headers (a page of another site must not reach a server on
this machine), the token, and the size of the body.
"""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nanopilot.app.server.roles import Keys, Role
from nanopilot.app.server.settings import ServerSettings
from nanopilot.instruments.remote.messages import TIME_HEADER, Problem

COOKIE = "nanopilot_session"
ROLE = "nanopilot.role"
_SESSION = "/v1/session"


class Door:
    """ASGI middleware that authenticates; see the module.

    Parameters
    ----------
    app : ASGI application
        What is behind the door.
    keys : Keys
        Who may come in.
    settings : ServerSettings
        Names of the host, and the largest body.
    now : callable
        Returns the instrument's time, which goes along with every answer.
    """

    def __init__(
        self, app: ASGIApp, keys: Keys, settings: ServerSettings, now: Callable[[], float]
    ) -> None:
        self._app = app
        self._keys = keys
        self._settings = settings
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in or refuse."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._elsewhere(scope, headers) or self._stranger(scope, headers)
        if refused is not None:
            await _refuse(scope, receive, send, refused)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            body = await _body(headers, receive, self._settings.max_body)
            if body is None:
                too_large = f"the body is larger than {self._settings.max_body} bytes."
                await _refuse(scope, receive, send, (413, "InvalidRequest", too_large))
                return
            await self._app(scope, _replay(body, receive), self._stamped(send))

    def _elsewhere(self, scope: Scope, headers: Headers) -> tuple[int, str, str] | None:
        """Refuse what was addressed to another host, or comes from a page of another site."""
        server = scope.get("server") or ("", 0)
        allowed = self._settings.allowed(int(server[1] or 0))
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0].lower() not in allowed:
            return 403, "NotInCommand", "the Host header does not name this server."
        scheme = self._settings.scheme
        same = {f"{scheme}://{host}" for host in allowed}
        if any(origin.lower() not in same for origin in origins):
            return 403, "NotInCommand", "pages of other sites may not call this server."
        return None

    def _stranger(self, scope: Scope, headers: Headers) -> tuple[int, str, str] | None:
        role = self._role(headers)
        scope[ROLE] = role
        if role is not None or (scope["path"] == _SESSION and scope["type"] == "http"):
            return None
        return 401, "NotInCommand", "the token is missing or wrong; `nanopilot serve` printed it."

    def _role(self, headers: Headers) -> Role | None:
        given = headers.getlist("authorization")
        if given:
            kind, _, token = given[0].partition(" ")
            if len(given) != 1 or kind.lower() != "bearer":
                return None
            return self._keys.role_of(token.strip())
        return self._keys.role_in_session(session_of(headers))

    def _stamped(self, send: Send) -> Send:
        async def stamp(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", ()),
                    (TIME_HEADER.lower().encode(), repr(self._now()).encode()),
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        return stamp


def session_of(headers: Headers) -> str:
    """Return the secret in the session cookie, or nothing."""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


async def _body(headers: Headers, receive: Receive, limit: int) -> bytes | None:
    """Return the body, whether or not its length was announced; None: it is too large."""
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced[:20]) > limit:
        return None
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    read = False

    async def again() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(
    scope: Scope, receive: Receive, send: Send, refused: tuple[int, str, str]
) -> None:
    status, error, message = refused
    body = Problem(error=error, message=message).model_dump_json().encode()
    kind = "http"
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http"
    headers = [
        (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]  # fmt: skip
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": f"{kind}.response.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})
