"""An instrument behind the interface of the guard and without its checks.

What the guard refuses never reaches a driver, so that a driver that would not refuse it can only
be told apart without the guard.
"""

from __future__ import annotations

from typing import Any

from nanopilot.core.capabilities import MEASURING
from nanopilot.core.errors import OutOfRange, Unsupported


class Bare:
    """Passes everything on; refuses what the driver's own `validate` objects to."""

    def __init__(self, instrument: Any) -> None:
        self._instrument = instrument
        self.name, self.clock = instrument.name, instrument.clock
        self.describe, self.state = instrument.describe, instrument.state

    def capability(self, kind: type[Any]) -> Any:
        part = self._instrument.capability(kind)
        return Checked(part) if kind.__name__ in MEASURING else part


class Checked:
    """A capability that measures; refuses what its own `validate` objects to."""

    def __init__(self, part: Any) -> None:
        self._part = part
        self.validate, self.estimate, self.stop = part.validate, part.estimate, part.stop

    def start(self, request: Any) -> Any:
        found = self._part.validate(request)
        if any(violation.kind == "unsupported" for violation in found):
            raise Unsupported(found[0].message)
        if found:
            raise OutOfRange(found[0].message)
        return self._part.start(request)
