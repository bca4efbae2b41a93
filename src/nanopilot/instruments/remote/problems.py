"""Errors as they cross the wire, there and back: the class stays the same."""

from __future__ import annotations

import inspect

from nanopilot.core import errors
from nanopilot.core.errors import DeviceError, InvalidRequest, NanopilotError, NotInCommand
from nanopilot.core.limits import Violation
from nanopilot.instruments.remote.messages import Problem

_CLASSES = {
    name: found
    for name, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, NanopilotError)
}


def problem_of(error: NanopilotError, violations: tuple[Violation, ...] = ()) -> Problem:
    """Return an error as it crosses the wire.

    Examples
    --------
    >>> problem_of(errors.OutOfRange("`bias` is 20 V.")).error
    'OutOfRange'
    """
    name = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _CLASSES)
    return Problem(error=name, message=str(error), violations=violations)


def error_of(problem: Problem, status: int = 0) -> NanopilotError:
    """Return the error that came over the wire; one with another name by its HTTP status.

    Examples
    --------
    >>> error_of(Problem(error="Stopped", message="the emergency stop is in force"))
    Stopped('the emergency stop is in force')
    """
    kind = _CLASSES.get(problem.error) or _by_status(status)
    error = kind.__new__(kind)  # `UnknownName` makes its message of parts that stayed behind
    Exception.__init__(error, problem.message)
    error.args = (problem.message,)
    return error


def _by_status(status: int) -> type[NanopilotError]:
    if status in (401, 403):
        return NotInCommand
    return InvalidRequest if 400 <= status < 500 else DeviceError
