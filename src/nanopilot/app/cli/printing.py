"""How results look in a terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from nanopilot.app.progress import bar, lines
from nanopilot.app.session import Run
from nanopilot.bench.runner import Result
from nanopilot.bench.track import Track
from nanopilot.core import registry
from nanopilot.core.events import Audit
from nanopilot.core.limits import Estimate
from nanopilot.io.catalogue import RunSummary
from nanopilot.workflows.counterfactual import Counterfactual


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def print_summary(run: Run, *, report: Path | None, as_json: bool) -> None:
    """Print what a run was asked, what it found, and where its report is."""
    record, summary = run.record, dict(run.summary)
    if as_json:
        asked = record.model_dump(mode="json")
        paths = {"folder": str(run.path), "report": str(report) if report else None}
        typer.echo(json.dumps(asked | paths | {"summary": summary}))
        return
    typer.echo(f"{record.workflow} {record.id}, seed {record.seed}")
    for name, value in record.settings.items():
        if value not in ("", {}, None):
            typer.echo(f"  {name} = {value}")
    if record.workflow not in registry.names("workflows"):
        kinds = Counter(event.verdict for event in run.events() if isinstance(event, Audit))
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in kinds.items())
        typer.echo(f"journal of a server: {verdicts or 'no commands'}")
    elif not summary:
        steps = len(run.history)
        typer.echo(f"unfinished after {steps} steps; go on with: nanopilot resume {run.path}")
    else:
        typer.echo(
            f"measured {summary['measured']} of {summary['candidates']} sites "
            f"({summary['fraction']:.1%}), {summary['seconds']:.0f} s of instrument time; "
            f"stopped because: {summary['stopped']}"
        )
        best = summary["best"][0] if summary["best"] else None
        if best is not None:
            x, y = best["position"]
            typer.echo(
                f"best {summary['reward']}: {best['reward']:.4g} {summary['unit']} at "
                f"x = {x * 1e6:.3f} um, y = {y * 1e6:.3f} um"
            )
        typer.echo(summary["explained"]["text"])
    typer.echo(f"run:    {run.path}")
    if report is not None:
        typer.echo(f"report: {report}")


def print_estimate(cost: Estimate, *, as_json: bool) -> None:
    """Print what a run would cost."""
    if as_json:
        typer.echo(cost.model_dump_json())
        return
    minutes, seconds = divmod(round(cost.seconds), 60)
    dose = f", {cost.electrons:.3g} electrons" if cost.electrons else ""
    bias = f", {cost.bias_seconds:.0f} s under bias" if cost.bias_seconds else ""
    wear = f", {cost.wear * 1e3:.3g} mm of tip travel in contact" if cost.wear else ""
    frames = "1 frame" if cost.frames == 1 else f"{cost.frames} frames"
    typer.echo(
        f"nothing speaks against it; it would take {minutes} min {seconds} s of instrument time: "
        f"{frames}, {cost.spectra} spectra, {cost.bytes / 1e6:.3g} MB{dose}{bias}{wear}"
    )


def print_runs(found: Sequence[RunSummary], *, as_json: bool) -> None:
    """Print the catalogue."""
    if as_json:
        typer.echo(json.dumps([run.model_dump(mode="json") for run in found]))
        return
    if not found:
        typer.echo("no runs yet; begin with: nanopilot run discover", err=True)
        return
    table = Table("run", "workflow", "state", "steps", "best", "seed", "begun", box=None)
    for run in found:
        best = "" if run.best is None else f"{run.best:.4g}"
        table.add_row(
            run.id, run.workflow, run.state, str(run.steps), best, str(run.seed), run.created[:19]
        )
    _console().print(table)


def print_tracks(tracks: Sequence[Track], as_json: bool) -> None:
    """Print what can be benchmarked."""
    if as_json:
        rows = [
            {"track": t.name, "version": t.version, "about": t.about, "methods": list(t.methods)}
            for t in tracks
        ]
        typer.echo(json.dumps(rows))
        return
    table = Table("track", "version", "methods", "about", box=None)
    for track in tracks:
        table.add_row(track.name, track.version, ", ".join(track.methods), track.about)
    _console().print(table)


#: More metrics than this stand below one another, or no terminal were wide enough.
_ACROSS = 8


def print_result(result: Result) -> None:
    """Print methods with intervals, and the lines of acceptance."""
    metrics = list(dict.fromkeys(m for scores in result.methods.values() for m in scores))
    rows = [
        [name + (" *" if name == result.default else "")]
        + [
            f"{scores[m].mean:.3f} [{scores[m].low:.3f}, {scores[m].high:.3f}]"
            if m in scores
            else "-"
            for m in metrics
        ]
        for name, scores in result.methods.items()
    ]
    grid = [["method", *metrics], *rows]
    if len(metrics) > _ACROSS:
        grid = [list(column) for column in zip(*grid, strict=True)]
    table = Table(*grid[0], box=None, padding=(0, 2, 0, 0))
    for row in grid[1:]:
        table.add_row(*row)
    typer.echo(
        f"{result.track} {result.version}, {len(result.seeds)} seeds, {result.seconds:.0f} s; "
        "mean [95 % bootstrap], * shipped"
    )
    console = _console()
    console.print(table)
    for line in result.acceptance:
        sign = ">=" if line.better == "higher" else "<="
        verdict = "reached" if line.ok else "NOT REACHED"
        console.print(
            f"{verdict:12}{line.what}: {line.metric} {line.value:.3f} {sign} {line.bar:g}",
            markup=False,
        )


def print_replay(found: Counterfactual, *, as_json: bool) -> None:
    """Print what another policy would have done."""
    if as_json:
        typer.echo(found.model_dump_json())
        return
    typer.echo(
        f"replay of {found.run} with policy {found.policy!r} and reward {found.reward!r}: "
        f"{found.same} of {found.steps} choices as in the run"
    )
    table = Table("steps", f"replay, {found.unit}", f"run, {found.unit}", box=None)
    for share in (0.1, 0.25, 0.5, 1.0):
        step = max(1, round(share * found.steps))
        table.add_row(
            str(step), f"{found.best[step - 1]:.4g}", f"{found.recorded_best[step - 1]:.4g}"
        )
    _console().print(table)
    typer.echo(found.caveat())


@contextmanager
def track_progress() -> Iterator[Callable[[int, int, str], None]]:
    """Give the function that shows how a track gets on."""
    console = Console(stderr=True)
    if console.is_terminal:
        with bar() as show:
            yield show
    else:
        yield lines()
