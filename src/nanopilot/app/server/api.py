"""The application: door, routes and streams put together."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Request, Response
from pydantic import Field
from starlette.datastructures import Headers

from nanopilot import __version__
from nanopilot.app.server import measuring, routes, streams
from nanopilot.app.server.answers import RESPONSES, Answer, handle_errors
from nanopilot.app.server.door import COOKIE, Door, session_of
from nanopilot.app.server.roles import Keys
from nanopilot.app.server.service import Service
from nanopilot.core.errors import InvalidRequest
from nanopilot.core.values import Value
from nanopilot.instruments.remote.messages import Reason

_ABOUT = """An instrument behind the guard of nanopilot. Every call carries the token of a role as
bearer, or the cookie of a session. WebSockets, which OpenAPI does not list:
`/v1/acquisitions/{id}/blocks` sends blocks as they are measured (binary, as `nanopilot.core.wire`
packs them) and JSON texts between them; `/v1/events` sends audit rows and states as JSON texts."""


class OpenSession(Value):
    """A token, exchanged for the cookie of a session."""

    token: Annotated[str, Field(max_length=1000)]


def create_app(service: Service, keys: Keys) -> Door:
    """Return the ASGI application that serves an instrument.

    Parameters
    ----------
    service : Service
        The instrument with its leases and measurements.
    keys : Keys
        Tokens of the roles.
    """
    app = FastAPI(
        title="nanopilot",
        version=__version__,
        description=_ABOUT,
        # The pages of FastAPI load their scripts from elsewhere; the document itself is served.
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
    )
    app.state.service = service
    handle_errors(app)
    for part in (routes, measuring, streams):
        app.include_router(part.router)
    _add_sessions(app, service, keys)
    return Door(app, keys, service.settings, service.scope.clock.now)


def _add_sessions(app: FastAPI, service: Service, keys: Keys) -> None:
    @app.post("/v1/session", response_model=Reason)
    async def open_session(asked: OpenSession) -> Response:
        """Exchange a token for a cookie, so that a page need not keep the token."""
        role = keys.role_of(asked.token)
        if role is None:
            return _unknown()
        answer = Answer(Reason(why=role.name.lower()))
        answer.set_cookie(
            COOKIE,
            keys.open_session(role),
            httponly=True,
            samesite="strict",
            secure=service.settings.scheme == "https",
            path="/",
        )
        return answer

    @app.delete("/v1/session", status_code=204)
    async def close_session(request: Request) -> None:
        """Forget the session of the cookie."""
        keys.close_session(session_of(Headers(scope=request.scope)))

    def _unknown() -> Response:
        from nanopilot.app.server.answers import problem_answer
        from nanopilot.instruments.remote.problems import problem_of

        return problem_answer(problem_of(InvalidRequest("`token` is of no role here.")), 401)
