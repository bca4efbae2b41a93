"""Rules: each contract test is one, with a name for reports and a sentence that explains it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import pytest

from nanopilot.core.errors import NanopilotError

TestT = TypeVar("TestT", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that every instrument does.

    Parameters
    ----------
    name : str
        Such as ``"frame-has-shape"``: what reports call it.
    sentence : str
        What it demands.
    test : str
        Method that checks it.
    owner : str
        Contract class in which it is written; others inherit it.
    """

    name: str
    sentence: str
    test: str
    owner: str


def rule(name: str) -> Callable[[TestT], TestT]:
    """Name the rule that a test checks; the first line of its docstring is the sentence."""

    def named(test: TestT) -> TestT:
        test.rule = name  # type: ignore[attr-defined]
        return test

    return named


def rules_of(contract: type[Any]) -> dict[str, Rule]:
    """Return the rules of a contract class, inherited ones included, by name."""
    found = {}
    for method in dir(contract):
        test = getattr(contract, method)
        name = getattr(test, "rule", None)
        if name is not None:
            sentence = (test.__doc__ or "").partition("\n")[0]
            owner = test.__qualname__.partition(".")[0]
            found[name] = Rule(name, sentence, method, owner)
    return found


def not_applicable(reason: str) -> NoReturn:
    """End a test because the instrument has nothing that the rule speaks of."""
    pytest.skip(reason)


def refused(call: Callable[[], object], what: str) -> NanopilotError:
    """Return the error with which a call is refused, and fail if it is not.

    A measurement that was begun all the same is aborted.

    Parameters
    ----------
    call : callable
        Does what must be refused.
    what : str
        It, in words, for the message.
    """
    error: NanopilotError | None = None
    try:
        accepted = call()
    except NanopilotError as raised:
        error = raised
    if error is None:
        abort = getattr(accepted, "abort", None)
        if abort is not None:
            abort()
        raise AssertionError(f"{what} was accepted; it must be refused with a NanopilotError")
    assert str(error), f"{what} is refused without a word of why"
    return error
