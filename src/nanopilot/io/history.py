"""What a run has done so far, read back from its journal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from nanopilot.core.events import Decision, Event, Intent, Note, Outcome, Plan
from nanopilot.core.history import History, Step
from nanopilot.core.limits import Spent

#: Topic of the note with which a workflow says that the run is complete.
COMPLETE = "finished"


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where a run stands.

    Parameters
    ----------
    history : History
        Every step that was decided and came to an outcome, in the order of the outcomes.
    outcomes : tuple of Outcome
        Those of `history`, one per step.
    pending : tuple of Intent
        Intents without outcome, the last one per step: nobody knows whether they were carried out.
    decided : Decision, optional
        The last decision, if its outcome is still to come; to be carried out again.
    spent : Spent
        As of the last outcome.
    time : float
        The run's clock at the last outcome, in seconds.
    finished : bool
        Whether the policy has said that it stops; what is done with the result may be missing.
    complete : bool
        Whether the workflow has noted its end (topic `COMPLETE`): nothing is left to do.
    plan : Plan, optional
        What was asked, once that was written.
    """

    history: History
    outcomes: tuple[Outcome, ...] = ()
    pending: tuple[Intent, ...] = ()
    decided: Decision | None = None
    spent: Spent = field(default_factory=Spent)
    time: float = 0.0
    finished: bool = False
    complete: bool = False
    plan: Plan | None = None

    @property
    def dangling(self) -> Intent | None:
        """The last intent without outcome; a straight loop leaves one at most."""
        return self.pending[-1] if self.pending else None


@dataclass(slots=True)
class _Reading:
    decisions: dict[int, Decision] = field(default_factory=dict)
    pending: dict[int, Intent] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    last: Outcome = field(default_factory=lambda: Outcome(step=-1))
    plan: Plan | None = None
    finished: bool = False
    complete: bool = False

    def see(self, event: Event) -> None:
        match event:
            case Plan():
                self.plan = event
            case Decision(action=None):
                self.finished = True
            case Decision():
                self.decisions[event.step] = event
            case Intent():
                self.pending[event.step] = event
            case Outcome():
                self._see_outcome(event)
            case Note(topic=topic) if topic == COMPLETE:
                self.complete = True
            case _:
                pass

    def _see_outcome(self, outcome: Outcome) -> None:
        self.last = outcome
        self.pending.pop(outcome.step, None)
        decision = self.decisions.pop(outcome.step, None)
        if decision is None or decision.action is None:
            return
        features = {k: math.nan if v is None else v for k, v in outcome.features.items()}
        self.steps.append(Step(decision.action, outcome.reward, features))
        self.outcomes.append(outcome)


def load_history(events: Iterable[Event]) -> Recovered:
    """Return where a run stands.

    Parameters
    ----------
    events : iterable of Event
        Of its journal, from the first on: ``run.journal.events()``.

    Examples
    --------
    >>> load_history([]).finished
    False
    """
    reading = _Reading()
    for event in events:
        reading.see(event)
    return Recovered(
        history=History(tuple(reading.steps)),
        outcomes=tuple(reading.outcomes),
        pending=tuple(reading.pending.values()),
        decided=next(reversed(reading.decisions.values()), None),
        spent=reading.last.spent,
        time=reading.last.time,
        finished=reading.finished,
        complete=reading.complete,
        plan=reading.plan,
    )
