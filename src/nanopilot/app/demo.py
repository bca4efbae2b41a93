"""The demonstration: an autonomous experiment on recorded data, held against the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from nanopilot.app import session
from nanopilot.bench.closed_loop import (
    Answer,
    Case,
    answer_of,
    discover_with,
    random_recall,
    recall_curve,
)
from nanopilot.bench.tracks.beps_loops import BepsLoops
from nanopilot.core.events import Note
from nanopilot.io.run_folder import RunFolder


def run_demo(*, seed: int, budget: float, folder: Path | None) -> Iterator[str]:
    """Carry out the experiment, score it, write the report; yield what to tell the user.

    The run itself sees the instrument only. The truth, which here is known because every
    loop was recorded once, is looked at when the run is over.
    """
    yield "finding the largest hysteresis loops of a PbTiO3 film (2,500 recorded, replayed)"
    scope = session.connect("replay", sample="beps-pto")
    done = session.run(
        "discover",
        scope,
        folder=folder,
        progress=True,
        reward="loop-area",
        budget=budget,
        seed=seed,
    )
    yield "carrying out the control: the same run with the structure shuffled"
    score = add_score(done.path, seed=seed, budget=budget)
    report = done.report()
    summary = done.summary
    yield f"measured {summary['fraction']:.1%} of the sites ({summary['measured']} loops)"
    yield (
        f"recall of the best {score['best_sites']} loops: {score['recall']:.2f} "
        f"(random: {score['random']:.2f}, structure shuffled: {score['control_curve'][-1]:.2f})"
    )
    yield (
        f"R² of the map at the sites not measured: {score['r2']:.2f} "
        f"(structure shuffled: {score['r2_control']:.2f})"
    )
    yield f"run:    {done.path}"
    yield f"report: {report}"


def add_score(folder: Path, *, seed: int, budget: float) -> dict[str, Any]:
    """Score a run on the packaged recording and note the score in its journal."""
    track = BepsLoops()
    case = track.case(seed)
    case = replace(case, visible=replace(case.visible, budget=budget))
    with RunFolder.open(folder, write=True) as run:
        answer = answer_of(run)
        control = discover_with(policy=run.record.settings["policy"], shuffled=True)(case.visible)
        score = _score(track, case, answer, control)
        run.journal.append(Note(topic="score", text="held against the recording", data=score))
    return score


def _score(track: BepsLoops, case: Case, answer: Answer, control: Answer) -> dict[str, Any]:
    reached = track.score(case, answer)
    steps = len(answer.measured)
    chance = random_recall(case, steps)
    return {
        "best_sites": case.best,
        "recall": reached["recall"],
        "random": chance["random_curve"][-1],
        "r2": reached["r2"],
        "r2_control": reached["r2_control"],
        "steps": list(range(1, steps + 1)),
        "recall_curve": recall_curve(case, answer),
        "control_curve": recall_curve(case, control),
        **chance,
    }
