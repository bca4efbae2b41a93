"""How an instrument is made ready for a rule, and put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nanopilot.core.adjustables import ADJUSTABLE, Adjustable
from nanopilot.core.errors import Interlocked
from nanopilot.core.interlocks import STANDARD_INTERLOCKS, Condition
from nanopilot.core.parameters import by_key
from nanopilot.instruments import Guard
from nanopilot.testing.rules import not_applicable


class Contract:
    """What all contracts have in common: the capability they are about, and how to get ready.

    The instrument is brought into the state that the standard interlocks ask for (a stage is
    moved with the tip retracted), and back into the one it was found in.
    """

    capability = ""

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        several = [base for base in cls.__bases__ if getattr(base, "capability", "")]
        if len(several) > 1:
            _side_by_side(cls, several)

    @pytest.fixture(autouse=True)
    def _ready(self, scope: Guard) -> Iterator[None]:
        with ready(scope, self.capability):
            yield


def _side_by_side(cls: type[Contract], contracts: list[type[Any]]) -> None:
    """Give a class that inherits several contracts one nested class for each.

    Contracts share names of tests; without this, one would hide those of the next.
    """
    for contract in contracts:
        own = {
            name: value
            for name, value in vars(cls).items()
            if not name.startswith(("__", "test_")) and hasattr(contract, name)
        }
        name = f"Test{contract.capability}"
        setattr(cls, name, type(name, (contract,), own | {"__module__": cls.__module__}))
    for name in dir(cls):
        if name.startswith("test_") and name not in vars(cls):
            setattr(cls, name, None)


@contextmanager
def ready(scope: Guard, capability: str) -> Iterator[None]:
    """Fulfil what the standard interlocks require of a capability, then take it back."""
    declared = by_key(scope.describe().parameters)
    wanted = [
        condition
        for interlock in STANDARD_INTERLOCKS
        if interlock.command == capability and interlock.setting is None
        for condition in interlock.requires
        if condition.parameter in declared
    ]
    changed: list[tuple[str, float]] = []
    try:
        for condition in wanted:
            before = scope.state().get(condition.parameter)
            if not condition.holds(scope.state()):
                _fulfil(scope, condition)
                changed.append((condition.parameter, before if before is not None else 0.0))
        yield
    finally:
        for key, value in reversed(changed):
            _set(scope, key, value)


def _fulfil(scope: Guard, condition: Condition) -> None:
    try:
        _set(scope, condition.parameter, condition.value)
    except Interlocked as error:
        not_applicable(f"it needs {condition}, and the guard says: {error}")


def _set(scope: Guard, key: str, value: float) -> None:
    owner, name = key.split(".")
    adjustable(scope, owner).set(**{name: value})


def adjustable(scope: Guard, capability: str) -> Adjustable:
    """Return a capability that is adjusted, by name."""
    found: Adjustable = scope.capability(ADJUSTABLE[capability])  # type: ignore[assignment]
    return found
