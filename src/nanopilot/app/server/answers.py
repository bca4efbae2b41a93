"""How errors are answered: one JSON shape, and a status for every class."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nanopilot.core import errors
from nanopilot.core.errors import NanopilotError
from nanopilot.core.values import Value
from nanopilot.instruments.remote.messages import Problem
from nanopilot.instruments.remote.problems import problem_of

#: What the first of these classes that fits is answered with.
STATUS: dict[type[NanopilotError], int] = {
    errors.NotInCommand: 403,
    errors.Unsupported: 404,
    errors.UnknownName: 404,
    errors.BudgetExceeded: 409,
    errors.Interlocked: 409,
    errors.NotReached: 409,
    errors.InvalidRequest: 422,
    errors.OutOfRange: 422,
    errors.SignalError: 422,
    errors.UnitError: 422,
    errors.Stopped: 423,
    errors.DeviceError: 502,
    errors.LinkLost: 504,
    errors.StoreError: 507,
}

_SAYS = {
    400: "the body is no JSON",
    401: "the token is missing or wrong",
    403: "the role is too low, somebody else commands, or the call comes from another site",
    404: "there is no such capability, parameter, acquisition or proposal",
    405: "this path knows no such method",
    409: "a budget, an interlock or the read-back speaks against it",
    413: "the body is too large",
    422: "a value is out of range or of the wrong kind",
    423: "the emergency stop is in force",
    502: "the instrument reports an error",
    504: "the line to the instrument is down",
    507: "the journal cannot be written",
}
#: For OpenAPI: what every route may answer beside its own.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": says} for status, says in _SAYS.items()
}


class Answer(Response):
    """A value as JSON; NaN and infinities as texts, as everywhere in nanopilot."""

    media_type = "application/json"

    def __init__(self, value: Value, status: int = 200) -> None:
        super().__init__(value.model_dump_json(), status)


class Binary(Response):
    """Many bytes, sent in pieces: the transport would copy them as a whole, more than once."""

    piece = 1 << 16

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them, each piece when those before have left."""
        start = {"type": "http.response.start", "status": self.status_code}
        await send(start | {"headers": self.raw_headers})
        body = memoryview(self.body)
        for begin in range(0, max(1, len(body)), self.piece):
            part = bytes(body[begin : begin + self.piece])
            more = begin + self.piece < len(body)
            await send({"type": "http.response.body", "body": part, "more_body": more})


def status_of(error: NanopilotError) -> int:
    """Return the HTTP status of an error.

    Examples
    --------
    >>> status_of(errors.Stopped("pulled"))
    423
    """
    return next((code for kind, code in STATUS.items() if isinstance(error, kind)), 422)


def problem_answer(problem: Problem, status: int) -> Response:
    """Return an error as JSON; texts of strangers are quoted so that they always can be sent."""
    text = problem.message.encode("utf-8", "backslashreplace").decode()
    return Answer(problem.model_copy(update={"message": text}), status)


def handle_errors(app: FastAPI) -> None:
    """Make every error of the application come out in the one shape."""

    async def ours(_request: Request, error: Exception) -> Response:
        assert isinstance(error, NanopilotError)  # noqa: S101 - by registration
        return problem_answer(problem_of(error), status_of(error))

    async def malformed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - by registration
        parts = [
            f"`{'.'.join(str(p) for p in one['loc'][1:]) or 'body'}`: {one['msg']}"
            for one in error.errors()
        ]
        message = "; ".join(parts[:10]) + ("; ..." if len(parts) > 10 else "")
        return problem_answer(Problem(error="InvalidRequest", message=message[:4000]), 422)

    async def of_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - by registration
        problem = Problem(error="InvalidRequest", message=str(error.detail))
        answer = problem_answer(problem, error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    async def too_much(_request: Request, _error: Exception) -> Response:
        message = "`request` holds a number, or asks for an array, larger than a computer can hold."
        return problem_answer(Problem(error="OutOfRange", message=message), 422)

    async def broken(_request: Request, error: Exception) -> Response:
        message = f"`server`: {type(error).__name__}, which is a fault of nanopilot or of a driver."
        return problem_answer(Problem(error="DeviceError", message=message), 500)

    app.add_exception_handler(NanopilotError, ours)
    app.add_exception_handler(Exception, broken)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, of_http)
    for kind in (OverflowError, MemoryError):
        app.add_exception_handler(kind, too_much)
