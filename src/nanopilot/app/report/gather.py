"""From a run folder to `ReportData`: one pass over the journal, then the few signals shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nanopilot.app.report.data import Goal, Measured, ReportData, best_of
from nanopilot.app.report.reading import Reading
from nanopilot.core import registry
from nanopilot.core.errors import NanopilotError
from nanopilot.core.events import Outcome, SignalRef
from nanopilot.core.limits import Spent
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.io.run_folder import RunFolder


def gather(folder: Path) -> ReportData:
    """Read a run folder.

    Raises
    ------
    StoreError
        The folder holds no run.
    Tampered
        A signal is not what the journal says: there is no report of altered signals.
    """
    with RunFolder.open(folder) as run:
        seen = Reading()
        for event in run.journal.events():
            seen.see(event)
        steps = seen.steps()
        goal = _goal(run.record.settings, seen.data("summary"))
        overview, last = seen.outcomes.get(-1), seen.last
        return ReportData(
            record=run.record,
            goal=goal,
            plan=seen.plan,
            steps=steps,
            structure=_structure(run, overview),
            overview_seconds=overview.time if overview else float("nan"),
            maps=_stored(run, "map"),
            loops=_loops(run, best_of(steps, goal), seen.outcomes),
            summary=seen.data("summary"),
            score=seen.data("score"),
            planned=seen.data("planned").get("sites"),
            candidates=seen.data("planned").get("candidates"),
            incidents=tuple(seen.incidents),
            allowed=seen.verdicts["allowed"],
            refused=seen.verdicts["refused"],
            spent=last.spent if last else Spent(),
            seconds=last.time if last else float("nan"),
            stopped=seen.stopped,
            finished="finished" in seen.notes,
            head=run.journal.head,
        )


def _goal(settings: Mapping[str, Any], summary: Mapping[str, Any]) -> Goal:
    """Return what was looked for, from the summary or, in an unfinished run, the reward itself."""
    name = str(summary.get("reward") or settings.get("reward", "reward"))
    if "unit" in summary:
        return Goal(name, str(summary["unit"]), summary.get("direction", "maximise"))
    asked = settings.get("reward_settings", {})
    try:
        reward = registry.build("rewards", name, **asked)
    except (NanopilotError, TypeError):
        # The package that brought the reward is not here; the run still has its numbers.
        return Goal(name, "", asked.get("direction", "maximise"))
    return Goal(name, reward.unit, reward.direction)


def _stored(
    run: RunFolder, name: str, index: int = 0, refs: tuple[SignalRef, ...] = ()
) -> SignalSet | None:
    if name not in run.signals.names() or index not in run.signals.kept(name):
        return None
    return run.signals.get(name, index, refs)


def _structure(run: RunFolder, overview: Outcome | None) -> Signal | None:
    if overview is None:
        return None
    return _channel(_stored(run, "structure", 0, overview.signals), run.record.settings)


def _channel(signals: SignalSet | None, settings: Mapping[str, Any]) -> Signal | None:
    if signals is None:
        return None
    wanted = settings.get("channel")
    return signals[wanted if wanted in signals else next(iter(signals.data_vars))]


def _loops(
    run: RunFolder, best: tuple[Measured, ...], outcomes: Mapping[int, Outcome]
) -> dict[int, Signal]:
    found = {}
    for one in best:
        spectra = _stored(run, "spectra", one.step, outcomes[one.step].signals)
        loop = _channel(spectra, run.record.settings)
        if loop is not None and loop.ndim == 1 and bool(loop.notnull().all()):
            found[one.step] = loop
    return found
