"""One pass over the journal of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nanopilot.app.report.data import Incident, Measured
from nanopilot.app.report.numbers import real
from nanopilot.core.events import Audit, Decision, Event, Note, Outcome, Plan


@dataclass(slots=True)
class Reading:
    """What one pass over the journal picks up."""

    plan: Plan | None = None
    decisions: dict[int, Decision] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    notes: dict[str, Note] = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=lambda: {"allowed": 0, "refused": 0})
    last: Outcome | None = None
    stopped: str = ""
    now: float = 0.0

    def see(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case Plan():
                self.plan = event
            case Decision(action=None):
                self.stopped = event.why
            case Decision():
                self.decisions[event.step] = event
            case Outcome():
                self._see_outcome(event)
            case Note():
                self._see_note(event)
            case Audit():
                self._see_audit(event)
            case _:
                pass

    def _see_outcome(self, event: Outcome) -> None:
        self.now = event.time
        self.outcomes[event.step] = self.last = event
        if event.error:
            self.incidents.append(Incident("failed", event.error, event.time))

    def _see_note(self, event: Note) -> None:
        self.notes[event.topic] = event
        if event.topic == "resumed":
            # What was decided before the process died was not the end.
            self.stopped = ""
            self.incidents.append(Incident("resumed", event.text, self.now))
        if event.topic == "unknown":
            self.incidents.append(Incident("unknown", event.text, self.now))

    def _see_audit(self, event: Audit) -> None:
        self.verdicts[event.verdict] = self.verdicts.get(event.verdict, 0) + 1
        match event.verdict:
            case "refused" | "unverified" | "stopped" | "secured" as kind:
                self.now = max(self.now, event.time)
                self.incidents.append(Incident(kind, " ".join(event.reasons), event.time))
            case _:
                pass

    def steps(self) -> tuple[Measured, ...]:
        """Join decisions and outcomes, in order of the steps."""
        found = []
        for step, outcome in sorted(self.outcomes.items()):
            decision = self.decisions.get(step)
            if decision is None or decision.action is None:
                continue
            features = {name: real(value) for name, value in outcome.features.items()}
            reward = real(outcome.reward)
            found.append(
                Measured(step, decision.action, reward, features, outcome.time, outcome.error)
            )
        return tuple(found)

    def data(self, topic: str) -> Mapping[str, Any]:
        """Return what the last note of a topic holds."""
        return self.notes[topic].data if topic in self.notes else {}
