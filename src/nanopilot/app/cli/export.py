"""`nanopilot export`: a run as what other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanopilot.app.cli.runs import Root, Which

#: What a run can be written as.
FORMATS = ("bluesky",)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    which: Which,
    to: Annotated[str, typer.Option(help=f"Format: {', '.join(FORMATS)}.")],
    out: Annotated[Path, typer.Option(help="File to write; replaced if it exists.")],
    root: Root = None,
) -> None:
    """Write a run, finished or not, in a format of others."""
    from nanopilot.app.session import open_run
    from nanopilot.core.errors import UnknownName
    from nanopilot.io.exports import write_documents

    if to not in FORMATS:
        raise UnknownName("to", to, FORMATS)
    count = write_documents(open_run(which, root).path, out)
    typer.echo(f"{out}: {count} documents")
