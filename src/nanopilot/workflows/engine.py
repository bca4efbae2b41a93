"""The engine: decide, intend, measure, analyse, reward, remember; and again.

Every decision and intent is committed before anything moves, every outcome after its
signal is safe. Whatever kills the process, the journal says where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nanopilot.core.capabilities import PointSpectroscopy
from nanopilot.core.diary import Diary
from nanopilot.core.errors import BudgetExceeded, NanopilotError, OutOfRange
from nanopilot.core.events import Audit, Decision, Event, Intent, Note, Outcome
from nanopilot.core.history import Action, History, Step
from nanopilot.core.limits import Budget
from nanopilot.core.requests import SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard
from nanopilot.io.history import Recovered, load_history
from nanopilot.io.memory import TwinNote
from nanopilot.io.run_folder import RunFolder
from nanopilot.policies.policy import Policy
from nanopilot.policies.rewards.reward import Reward
from nanopilot.policies.stop import StopRule

Listener = Callable[[Event], None]
Features = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Parts:
    """What is wired into the loop of one run.

    Parameters
    ----------
    policy : Policy
        Decides where to go next.
    stop : StopRule
        Says why to stop, or nothing.
    analyse : callable
        Turns one measurement into features.
    reward : Reward
        Turns features into one number.
    channel : str
        Detector that is recorded and analysed.
    capacity : int
        How many measurements are expected; room is made for them beforehand.
    """

    policy: Policy
    stop: StopRule
    analyse: Callable[[SignalSet], Features]
    reward: Reward
    channel: str
    capacity: int


class Engine:
    """Carries out a run on a guarded instrument and keeps its books.

    Parameters
    ----------
    run : RunFolder
        Open for writing.
    scope : Guard
        The instrument.
    listeners : tuple of callable
        Are told every event; they change nothing.
    diary : Diary, optional
        Writes down what a twin becomes, with every intent and outcome.
    """

    def __init__(
        self,
        run: RunFolder,
        scope: Guard,
        listeners: tuple[Listener, ...] = (),
        diary: Diary | None = None,
    ) -> None:
        self.run = run
        self.scope = scope
        self._listeners = listeners
        self._diary = diary
        self._audits: list[Audit] = []

    def open_books(self, budget: Budget) -> None:
        """Tell the guard what this run may spend and what it has spent before.

        A step whose outcome nobody knows counts as spent.
        """
        progress = load_history(self.run.journal.events())
        spent = progress.spent
        if progress.dangling is not None:
            spent = spent.model_copy(update={"spectra": spent.spectra + 1})
        self.scope.begin_run(budget, self.audit, spent)

    def record(self, *events: Event) -> None:
        """Commit events, with the guard's verdicts since the last commit, as one transaction."""
        waiting, self._audits = self._audits, []
        for event in self._commit((*waiting, *events)):
            for listener in self._listeners:
                listener(event)

    def _commit(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """Commit events, an intent or an outcome with what a twin has become; return the rows."""
        marks = [n for n, event in enumerate(events) if isinstance(event, Intent | Outcome)]
        if self._diary is None or not marks:
            self.run.journal.append(*events)
            return events
        place, marked = marks[-1], events[marks[-1]]
        # Between outcome and intent nothing is measured; settings and time may have changed.
        entry = self._diary.entry(whole=isinstance(marked, Outcome))
        told: dict[str, object] = {"memory": entry.sha256}
        if isinstance(marked, Intent):
            told["time"] = entry.time
        rows = (*events[:place], marked.model_copy(update=told), *events[place + 1 :])
        self.run.journal.append(*rows, memory=entry.data)
        self._diary.keep(entry)
        return rows

    def note_twin(self, why: str) -> None:
        """Commit what a twin is like now; of an instrument there is nothing to say."""
        if self._diary is not None:
            entry = self._diary.entry()
            told = TwinNote.of(entry, why)
            self.run.journal.append(told.note, memory=entry.data)
            self._diary.keep(entry)

    def audit(self, row: Audit) -> None:
        """Keep a verdict; a refusal is committed at once, a permission with its outcome."""
        self._audits.append(row)
        if row.verdict == "refused":
            self.record()

    def loop(self, parts: Parts) -> History:
        """Measure until the stop rule or the policy says that it is enough."""
        progress = load_history(self.run.journal.events())
        history = progress.history
        if progress.finished:
            return history
        pending = self._settle(progress)
        while True:
            step = len(history)
            action = pending or self._decide(parts, history, step)
            if action is None:
                return history
            done = self._measure(parts, action, step, intended=pending is not None)
            pending = None
            if done is None:
                return history
            history = history.plus(done)

    def _settle(self, progress: Recovered) -> Action | None:
        """Return the action of an intent whose outcome nobody knows, to be done again."""
        if progress.dangling is None or progress.decided is None:
            return None
        step = progress.dangling.step
        self.record(
            Note(
                topic="unknown",
                text=f"step {step} was begun and never reported; the instrument answers as "
                f"{self.scope.describe().name!r} and the step is measured again",
                data={"step": step},
            )
        )
        return progress.decided.action

    def _decide(self, parts: Parts, history: History, step: int) -> Action | None:
        reason = parts.stop(history)
        action = None if reason else parts.policy.propose(history)
        if action is None:
            why = reason or "every candidate has been measured"
            self.record(Decision(step=step, action=None, why=why))
        return action

    def _measure(self, parts: Parts, action: Action, step: int, *, intended: bool) -> Step | None:
        request = SpectrumRequest(position=action.position, channels=(parts.channel,))
        intent = Intent(
            step=step, capability="PointSpectroscopy", request=request.model_dump(mode="json")
        )
        if not intended:
            self.record(Decision(step=step, action=action, why=action.why), intent)
        try:
            signals = self.scope.capability(PointSpectroscopy).start(request).result()
        except BudgetExceeded as spent:
            self.record(Decision(step=step, action=None, why=f"the guard refused: {spent}"))
            return None
        except OutOfRange as refused:
            return self._fail(action, step, refused)
        if "spectra" not in self.run.signals.names():
            self.run.signals.create("spectra", signals, parts.capacity)
        references = self.run.signals.append("spectra", step, signals)
        features = dict(parts.analyse(signals))
        reward = parts.reward(features)
        outcome = Outcome(
            step=step,
            signals=references,
            features=features,
            reward=reward,
            time=self.scope.clock.now(),
            spent=self.scope.spent,
        )
        self.record(outcome)
        return Step(action, reward, features)

    def _fail(self, action: Action, step: int, error: NanopilotError) -> Step:
        """Book a place that could not be measured, so that it is not proposed again."""
        now = self.scope.clock.now()
        self.record(Outcome(step=step, error=str(error), time=now, spent=self.scope.spent))
        return Step(action, None)
