"""The cells of an event document: each a value, and what its descriptor says of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nanopilot.core.signals import Signal

#: Fields that live tables and plots should show.
HINTED = frozenset({"x", "y", "reward"})
_DIGITS_OF_METRES = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of an event.

    Parameters
    ----------
    value : object
        JSON, or the id of a datum.
    key : mapping
        The data key of the descriptor.
    owner : str
        Whose value it is: ``"site"``, ``"policy"``, ``"features"``, ...
    external : bool
        The value is the id of a datum.
    """

    value: Any
    key: Mapping[str, Any] = field(default_factory=dict)
    owner: str = "run"
    external: bool = False


def number(value: float | None, owner: str, units: str | None = None) -> Cell:
    """Return a number; what is not known is NaN."""
    key: dict[str, Any] = {
        "source": f"nanopilot:{owner}", "dtype": "number", "dtype_numpy": "<f8", "shape": []
    }  # fmt: skip
    if units is not None:
        key["units"] = units
    if units == "m":
        key["precision"] = _DIGITS_OF_METRES  # tables would show 0.000
    return Cell(math.nan if value is None else float(value), key, owner)


def integer(value: int, owner: str) -> Cell:
    """Return a count."""
    key = {"source": f"nanopilot:{owner}", "dtype": "integer", "dtype_numpy": "<i8", "shape": []}
    return Cell(int(value), key, owner)


def text(value: str, owner: str) -> Cell:
    """Return words, or JSON as text."""
    key = {"source": f"nanopilot:{owner}", "dtype": "string", "shape": []}
    return Cell(value, key, owner)


def array_key(like: Signal, source: str) -> dict[str, Any]:
    """Return the data key of arrays that are kept outside of the documents."""
    return {
        "source": source,
        "dtype": "array",
        "dtype_numpy": like.dtype.newbyteorder("<").str,
        "shape": list(like.shape),
        "dims": [str(dim) for dim in like.dims],
        "units": like.attrs["units"],
        "external": "FILESTORE:",
    }


def legal_name(name: str) -> str:
    """Return a name that a field of a document may have.

    Examples
    --------
    >>> legal_name("a.u./s")
    'a_u__s'
    """
    return re.sub(r"[./]", "_", name)


def legal(value: Any) -> Any:
    """Return JSON whose keys documents may have: without points and slashes.

    Examples
    --------
    >>> legal({"rates": {"Stage.x": 1.0}})
    {'rates': {'Stage_x': 1.0}}
    """
    if isinstance(value, Mapping):
        return {legal_name(str(key)): legal(one) for key, one in value.items()}
    return [legal(one) for one in value] if isinstance(value, list | tuple) else value
