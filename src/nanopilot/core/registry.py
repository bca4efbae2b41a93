"""Everything that can be chosen by name, found through entry points.

Built-ins register the same way as outsiders, and nothing is imported before it is
asked for.
"""

from __future__ import annotations

import inspect
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nanopilot.core.errors import InvalidRequest, MissingExtra, UnknownName

KINDS = (
    "instruments", "twins", "operators", "rewards", "policies",
    "readers", "workflows", "tracks", "models", "analysers", "panels",
)  # fmt: skip


@cache
def _entries(kind: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"nanopilot.{kind}")}


def names(kind: str) -> tuple[str, ...]:
    """Return the names registered for a kind (see `KINDS`), sorted.

    Examples
    --------
    >>> "loop-area" in names("rewards")
    True
    """
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    return tuple(sorted(_entries(kind)))


def load(kind: str, name: str) -> Any:
    """Return what is registered under a name.

    Raises
    ------
    UnknownName
        Nothing is; the message gives the nearest names.
    MissingExtra
        It needs a package that is not installed.
    """
    known = names(kind)
    if name not in known:
        raise UnknownName(kind.rstrip("s") if kind != "policies" else "policy", name, known)
    try:
        return _entries(kind)[name].load()
    except ModuleNotFoundError as cause:
        raise MissingExtra(f"{name!r} needs the package {cause.name!r}: pip install it.") from cause


def build(kind: str, name: str, /, **settings: Any) -> Any:
    """Rebuild an operator, reward or policy from its name and its JSON settings.

    Raises
    ------
    InvalidRequest
        It has no such setting.
    """
    made = load(kind, name)
    try:
        inspect.signature(made).bind(**settings)
    except TypeError as cause:
        takes = ", ".join(inspect.signature(made).parameters) or "none"
        raise InvalidRequest(f"`{name}`: {cause}; its settings are: {takes}.") from cause
    return made(**settings)
