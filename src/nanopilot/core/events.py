"""Events of a run: every one is a journal row, and all that listeners ever see."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from nanopilot.core.history import Action
from nanopilot.core.limits import Spent
from nanopilot.core.values import Value


class Plan(Value):
    """What was asked: the workflow, its settings, and the instrument it found."""

    kind: Literal["plan"] = "plan"
    workflow: str
    settings: dict[str, Any]
    instrument: dict[str, Any]


class Decision(Value):
    """Where the policy wants to go next, or why it stops (`action` is None)."""

    kind: Literal["decision"] = "decision"
    step: int
    action: Action | None
    why: str = ""


class Intent(Value):
    """What is about to be done; committed before anything moves.

    Parameters
    ----------
    step : int
        Which.
    capability, request : str, dict
        What is asked of which part of the instrument.
    time : float, optional
        Seconds on the clock of a twin, from which it has to go on.
    memory : str
        Hash of what a twin has become since the row before that says so; empty: nothing new.
    """

    kind: Literal["intent"] = "intent"
    step: int
    capability: str
    request: dict[str, Any]
    time: float | None = None
    memory: str = ""


class SignalRef(Value):
    """Where the measured values are kept, and the hash they must have."""

    array: str
    index: int
    sha256: str


class Outcome(Value):
    """What came of an intent; committed after the signal is safe.

    Parameters
    ----------
    step : int
        Which.
    signals : tuple of SignalRef
        What was measured.
    features, reward : dict, float
        What was made of it.
    time : float
        Seconds on the instrument's clock.
    spent : Spent
        In the whole run so far.
    error : str
        Why there are no signals.
    memory : str
        Hash of what a twin has become since the row before that says so; empty: nothing new.
    """

    kind: Literal["outcome"] = "outcome"
    step: int
    signals: tuple[SignalRef, ...] = ()
    features: dict[str, float | None] = {}
    reward: float | None = None
    time: float = 0.0
    spent: Spent = Spent()
    error: str = ""
    memory: str = ""


class Note(Value):
    """Something worth remembering that changes nothing."""

    kind: Literal["note"] = "note"
    topic: str
    text: str
    data: dict[str, Any] = {}


class Audit(Value):
    """A verdict of the guard, or what it did on its own account.

    Parameters
    ----------
    verdict : str
        ``allowed`` or ``refused``; ``rehearsed``: would have been allowed, nothing was sent;
        ``unverified``: carried out, and the read-back was another value; ``stopped``: the
        emergency stop; ``secured``: the watchdog made the instrument safe; ``command``: a
        lease was given, renewed by another holder, released or ran out.
    capability : str
        Which part of the instrument.
    request : dict
        What was asked for.
    reasons : tuple of str
        Why.
    time : float
        Seconds on the instrument's clock.
    by : str
        Who asked.
    """

    kind: Literal["audit"] = "audit"
    verdict: Literal[
        "allowed", "refused", "rehearsed", "unverified", "stopped", "secured", "command"
    ]
    capability: str
    request: dict[str, Any]
    reasons: tuple[str, ...] = ()
    time: float = 0.0
    by: str = ""


Event = Plan | Decision | Intent | Outcome | Note | Audit

_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def event_from_json(text: str | bytes) -> Event:
    """Rebuild an event from its journal row.

    Examples
    --------
    >>> event_from_json(Note(topic="drift", text="locked").model_dump_json()).text
    'locked'
    """
    return _EVENTS.validate_json(text)
