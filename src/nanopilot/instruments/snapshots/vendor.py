"""The wire to a vendor's own Python package: dotted names in, plain values out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Protocol, TypeVar

from nanopilot.core.errors import DeviceError, LinkLost, Unsupported

ResultT = TypeVar("ResultT")


class VendorLink(Protocol):
    """What a driver needs of a vendor's objects."""

    def read(self, path: str) -> Any:
        """Return an attribute, such as ``"optics.defocus"``."""

    def write(self, path: str, value: Any) -> None:
        """Set an attribute."""

    def call(self, path: str, *values: Any) -> Any:
        """Call a method."""

    def make(self, kind: str, **fields: Any) -> Any:
        """Build one of the vendor's own structures."""


class ObjectLink:
    """A `VendorLink` to objects that are already there.

    Whatever the vendor's package raises comes out as an error of ours that names the call.

    Parameters
    ----------
    root : object or mapping
        What paths begin at; of a mapping, the first part of a path is a key.
    kinds : object
        Module with the vendor's structures.
    """

    def __init__(self, root: Any, kinds: Any = None) -> None:
        self._root, self._kinds = root, kinds

    def read(self, path: str) -> Any:
        """Return an attribute."""
        return self._try(path, lambda: self._find(path))

    def write(self, path: str, value: Any) -> None:
        """Set an attribute."""
        owner, _, name = path.rpartition(".")
        self._try(path, lambda: setattr(self._find(owner), name, value))

    def call(self, path: str, *values: Any) -> Any:
        """Call a method."""
        return self._try(path, lambda: self._find(path)(*values))

    def make(self, kind: str, **fields: Any) -> Any:
        """Build a structure."""
        return self._try(kind, lambda: getattr(self._kinds, kind)(**fields))

    def _find(self, path: str) -> Any:
        first, *rest = path.split(".")
        start = self._root[first] if isinstance(self._root, Mapping) else getattr(self._root, first)
        return reduce(getattr, rest, start)

    def _try(self, path: str, action: Callable[[], ResultT]) -> ResultT:
        try:
            return action()
        except (AttributeError, KeyError) as cause:
            raise Unsupported(f"`{path}` is not there: {cause}.") from cause
        except (ConnectionError, TimeoutError) as cause:
            raise LinkLost(f"`{path}`: the line is down: {cause}.") from cause
        except Exception as cause:
            raise DeviceError(f"`{path}`: the vendor's package says: {cause}") from cause


def number(value: Any, path: str) -> float:
    """Return what came from the vendor as a number.

    Raises
    ------
    DeviceError
        It is none.
    """
    try:
        return float(value)
    except (TypeError, ValueError) as cause:
        raise DeviceError(f"`{path}` is {value!r:.80}, which is no number.") from cause
