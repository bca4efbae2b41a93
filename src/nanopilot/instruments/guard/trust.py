"""What comes in is taken for nothing until it has been looked at: requests and numbers.

A request can be made without its checks (`model_construct`, `model_copy`), and Python lets
anything be passed for a number. What leaves here is of exactly the type it says, checked, and
nobody else's object: changing the original afterwards changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from nanopilot.core.errors import InvalidRequest
from nanopilot.core.limits import Violation
from nanopilot.core.requests import SetRequest, from_outside
from nanopilot.core.values import Value

ValueT = TypeVar("ValueT", bound=Value)


def trusted(request: object, kind: type[ValueT]) -> ValueT:
    """Return a request checked anew, whatever way it was made.

    Raises
    ------
    InvalidRequest
        It is not exactly of the type that is due, or does not pass its own checks.
    """
    if type(request) is not kind:
        raise InvalidRequest(
            f"`request` is of type {type(request).__name__}; this takes a {kind.__name__}."
        )
    try:
        found = dict(vars(request))
        if found.keys() != kind.model_fields.keys():
            raise InvalidRequest(
                f"`request` was made without its checks; build it as {kind.__name__}(...)."
            )
        return from_outside(kind, **found)
    except InvalidRequest:
        raise
    except Exception as cause:  # objects of strangers raise what they like
        raise InvalidRequest(
            f"`request` was made without its checks and does not pass them: {_words(cause)}. "
            f"Build it as {kind.__name__}(...)."
        ) from cause


def trusted_set(request: object) -> SetRequest:
    """Return a `SetRequest` checked anew; its numbers are looked at by `trusted_numbers`.

    Raises
    ------
    InvalidRequest
        It is none.
    """
    if type(request) is not SetRequest:
        raise InvalidRequest(f"`request` is of type {type(request).__name__}, which is no command.")
    found = vars(request)
    capability, values = found.get("capability"), found.get("values")
    if type(capability) is not str or type(values) is not dict:
        raise InvalidRequest("`request` was made without its checks; build it as SetRequest(...).")
    try:
        return SetRequest(capability=capability, values=trusted_numbers(values))
    except ValidationError as cause:
        raise InvalidRequest("`values` is empty; name at least one parameter.") from cause


def trusted_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return plain floats; NaN and infinities are left for the limits to refuse.

    Raises
    ------
    InvalidRequest
        Something is not a number. Truth values are none: a switch is set to 1 or 0.
    """
    plain = {}
    for name, value in values.items():
        plain[name] = value if type(value) is float else _number(name, value)
    return plain


def _number(name: object, value: Any) -> float:
    if type(name) is not str:
        raise InvalidRequest(f"`values` has a name of type {type(name).__name__}; names are text.")
    kind = type(value)  # not `isinstance`: an object may lie about its class
    if issubclass(kind, float):
        return float.__float__(value)  # a subclass may have changed how it compares
    if issubclass(kind, int) and kind is not bool:
        try:
            return int.__float__(value)
        except OverflowError:
            return math.copysign(math.inf, -1 if int.__lt__(value, 0) else 1)
    if issubclass(kind, np.floating | np.integer) and kind.__module__ == "numpy":
        return float(value)
    way_out = ", 1 or 0." if issubclass(kind, bool | np.bool_) else "."
    raise InvalidRequest(f"`{name}` is of type {kind.__name__}; give a number in SI units{way_out}")


def not_finite(request: Value) -> list[Violation]:
    """List every setting of a request that is NaN or infinite."""
    found = []
    for name, value in request:
        if not _finite(value):
            message = f"`{name}` holds NaN or infinity; it must be finite."
            found.append(Violation(parameter=name, message=message))
    return found


def _finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(_finite(one) for one in value.values())
    if isinstance(value, tuple):
        if len(value) > 64 and not isinstance(value[0], str):
            return bool(np.isfinite(np.asarray(value, dtype=float)).all())
        return all(_finite(one) for one in value)
    return True


def _words(cause: Exception) -> str:
    try:
        return f"{type(cause).__name__}: {cause}"[:200]
    except Exception:  # noqa: BLE001 - an error that cannot even be told
        return type(cause).__name__
