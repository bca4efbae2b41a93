"""The family of errors: each says what is wrong and how to get out of it.

Every error derives from `NanopilotError` and from the built-in it refines, so
that `except ValueError` and `except NanopilotError` both do what they look like.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NanopilotError(Exception):
    """Base of all errors raised on purpose by nanopilot."""


class OutOfRange(NanopilotError, ValueError):
    """A value lies outside what the instrument, the limits or the recording allow."""


class BudgetExceeded(NanopilotError, RuntimeError):
    """Carrying out the request would spend more than the budget has left."""


class Unsupported(NanopilotError, NotImplementedError):
    """The instrument does not have this capability, channel or mode."""


class Interlocked(NanopilotError, RuntimeError):
    """The instrument's state forbids it, or is not known well enough to allow it."""


class NotInCommand(NanopilotError, PermissionError):
    """Somebody else holds the instrument, the lease has run out, or the role forbids it."""


class Stopped(NanopilotError, RuntimeError):
    """The emergency stop is in force; somebody has to release it first."""


class NotReached(NanopilotError, RuntimeError):
    """A value was set, and the instrument read back another one."""


class DeviceError(NanopilotError, RuntimeError):
    """The controller reported an error, or answered what it should not."""


class LinkLost(NanopilotError, ConnectionError):
    """The line to the instrument is down; what it did since is unknown until it is read back."""


class InvalidRequest(NanopilotError, ValueError):
    """Settings from outside (file, wire, command line) do not form a valid request."""


class SignalError(NanopilotError, ValueError):
    """An array is not a signal: dims, coordinates, units or quantity are wrong."""


class UnitError(NanopilotError, ValueError):
    """A text is not a quantity, or its unit is of the wrong kind."""


class ReadError(NanopilotError, OSError):
    """A file cannot be read as what it claims to be."""


class StoreError(NanopilotError, OSError):
    """The run folder cannot be written or read."""


class DiskFull(StoreError):
    """There is no space left for the run; it can be resumed once there is."""


class Tampered(NanopilotError, ValueError):
    """A journal row or a chunk of signals is not what was written."""


class MissingExtra(NanopilotError, ImportError):
    """An optional package is needed and not installed."""


class UnknownName(NanopilotError, LookupError):
    """Nothing is registered under this name; the message gives the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        listing = ", ".join(names) or "none"
        super().__init__(f"`{kind}` is {name!r}, which is unknown; {hint}Known: {listing}.")
