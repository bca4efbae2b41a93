"""What is asked of everything that measures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nanopilot.core.capabilities import MEASURING, Measuring
from nanopilot.core.requests import Request
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard
from nanopilot.testing.readiness import Contract
from nanopilot.testing.rules import not_applicable

#: Seconds that clocks of instrument and reader may differ by.
CLOCK_SLACK = 1.0


class MeasuringContract(Contract):
    """What every contract of a capability that measures needs: requests to make of it."""

    @pytest.fixture(autouse=True)
    def _ended(self, scope: Guard, _ready: None) -> Iterator[None]:
        """Stop what a rule that failed has left running, so that it is not the next to fail."""
        yield
        self.part(scope).stop()

    def small(self, scope: Guard) -> Request:
        """Return the smallest request worth making."""
        raise NotImplementedError

    def long(self, scope: Guard) -> Request:
        """Return a request that takes long enough to be ended early."""
        raise NotImplementedError

    def several(self, scope: Guard) -> Request:
        """Return a request that comes in more than one block and is still short."""
        return self.long(scope)

    def impossible(self, scope: Guard) -> dict[str, Request]:
        """Return requests that the instrument must refuse, by what is wrong with them."""
        raise NotImplementedError

    def part(self, scope: Guard) -> Measuring[Any]:
        """Return the guarded capability."""
        return scope.capability(MEASURING[self.capability][0])

    def measure(self, scope: Guard, request: Request) -> SignalSet:
        """Carry out a request, or leave the rule aside where the instrument lacks a mode for it."""
        self.supported(scope, request)
        return self.part(scope).start(request).result()

    def supported(self, scope: Guard, request: Request) -> None:
        """Leave the rule aside if the instrument cannot do this at all; fail if it should."""
        found = self.part(scope).validate(request)
        reasons = " ".join(violation.message for violation in found)
        if any(violation.kind in ("unsupported", "interlock") for violation in found):
            not_applicable(reasons)
        assert not found, f"a plain request is refused: {reasons}"

    def check_counts(self, request: Any, expected: Any) -> None:
        """Check what else an estimate says."""
