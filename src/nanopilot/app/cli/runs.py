"""`nanopilot runs`, `show`, `verify`, `replay`, `report`: what has been measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Which = Annotated[str, typer.Argument(metavar="RUN", help="Folder or name of the run.")]
Root = Annotated[Path | None, typer.Option(help="Folder of all runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (runs, show, verify, replay, report):
        app.command(command.__name__)(command)


def runs(root: Root = None, as_json: AsJson = False) -> None:
    """List all runs, newest first."""
    from nanopilot.app.cli.printing import print_runs
    from nanopilot.app.session import runs_root
    from nanopilot.io.catalogue import list_runs

    # The default folder comes with the first run; one that is named should be there.
    found = list_runs(root or runs_root()) if root or runs_root().exists() else []
    print_runs(sorted(found, key=lambda run: run.created, reverse=True), as_json=as_json)


def show(
    which: Which,
    root: Root = None,
    as_json: AsJson = False,
    events: Annotated[bool, typer.Option(help="Print the journal, one JSON row a line.")] = False,
) -> None:
    """Show what a run was asked and what it found."""
    from nanopilot.app.cli.printing import print_summary
    from nanopilot.app.session import open_run

    run = open_run(which, root)
    if events:
        for event in run.events():
            typer.echo(event.model_dump_json())
        return
    print_summary(run, report=None, as_json=as_json)


def verify(which: Which, root: Root = None, as_json: AsJson = False) -> None:
    """Check a run against its own hashes; exit code 1 if anything was altered."""
    from nanopilot.app.session import open_run

    run = open_run(which, root)
    verdict = run.verify()
    if as_json:
        typer.echo(verdict.model_dump_json())
    elif verdict.ok:
        typer.echo(f"{run.path}: unaltered, {verdict.rows} rows and {verdict.chunks} chunks")
    else:
        typer.echo(f"{run.path}: altered, first at {verdict.first}", err=True)
    raise typer.Exit(0 if verdict.ok else 1)


def replay(
    which: Which,
    root: Root = None,
    policy: Annotated[str | None, typer.Option(help="Another policy.")] = None,
    reward: Annotated[str | None, typer.Option(help="Another reward.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask what another policy or reward would have done with the same measurements."""
    from nanopilot.app.cli.printing import print_replay
    from nanopilot.app.session import open_run

    asked = {"policy": policy, "reward": reward, "seed": seed}
    changes = {name: value for name, value in asked.items() if value is not None}
    print_replay(open_run(which, root).replay(**changes), as_json=as_json)


def report(
    which: Which,
    root: Root = None,
    output: Annotated[Path | None, typer.Option(help="Write the HTML here.")] = None,
) -> None:
    """Write the report of a run and print its path."""
    from nanopilot.app.session import open_run

    typer.echo(open_run(which, root).report(output))
