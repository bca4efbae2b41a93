"""`nanopilot doctor`: what works on this machine."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what loads here and what does not, why, and the way out; exit code 1 if broken."""
    from nanopilot.app.cli.columns import columns
    from nanopilot.app.doctor import examine

    checks = examine()
    ok = all(check.status != "broken" for check in checks)
    if as_json:
        typer.echo(json.dumps({"ok": ok, "checks": [check.to_dict() for check in checks]}))
        raise typer.Exit(0 if ok else 1)
    rows = []
    for check in checks:
        status = "BROKEN" if check.status == "broken" else check.status
        said = "; ".join(filter(None, (check.found, check.way_out)))
        rows.append((check.group, check.name, status, said))
    for line in columns(rows):
        typer.echo(line)
    count = sum(check.status == "broken" for check in checks)
    typer.echo("nothing is broken" if ok else f"{count} broken")
    raise typer.Exit(0 if ok else 1)
