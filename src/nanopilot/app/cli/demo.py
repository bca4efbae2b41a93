"""`nanopilot demo`: a whole autonomous experiment on recorded data, scored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    seed: Annotated[int, typer.Option(help="Decides every draw of the run.")] = 0,
    budget: Annotated[float, typer.Option(help="Fraction of the sites that is measured.")] = 0.1,
    folder: Annotated[Path | None, typer.Option(help="Where to keep the run.")] = None,
) -> None:
    """Find the largest hysteresis loops of a PbTiO3 film by measuring a tenth of them."""
    from nanopilot.app.demo import run_demo

    for line in run_demo(seed=seed, budget=budget, folder=folder):
        typer.echo(line)
