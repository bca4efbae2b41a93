"""`nanopilot models`: networks that ship, trained anew, and checked."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Networks that ship: their cards, training, checks.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_models(as_json: _Json = False) -> None:
    """List networks, and what each was trained on."""
    from nanopilot.app.cli.columns import columns
    from nanopilot.models.shelf import entries

    found = entries()
    if as_json:
        rows = [
            {
                "name": one.name,
                "problem": one.problem,
                "card": one.card.model_dump(mode="json") if one.card else None,
            }
            for one in found
        ]
        typer.echo(json.dumps(rows))
        return
    table = [("model", "seed", "sha256", "limits")]
    for one in found:
        if one.card is None:
            table.append((one.name, "-", "-", one.problem))
        else:
            table.append((one.name, str(one.card.seed), one.card.sha256[:12], one.card.limits))
    for line in columns(table):
        typer.echo(line)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Name of the network.")], as_json: _Json = False
) -> None:
    """Print the card of a network: data, seed, hash, metrics, limits."""
    from nanopilot.models.shelf import card_of

    card = card_of(name)
    if as_json:
        typer.echo(card.model_dump_json())
        return
    for key in ("name", "recipe", "data", "seed", "sha256", "limits"):
        typer.echo(f"{key}: {getattr(card, key)}")
    for key, value in card.settings.items():
        typer.echo(f"  setting {key} = {value}")
    for key, number in card.metrics.items():
        typer.echo(f"  metric {key} = {number:.5g}")
    for key, (number, tolerance) in card.checks.items():
        typer.echo(f"  check {key} = {number:.6g} +- {tolerance:.2g}")
    for key, (low, high) in card.known.items():
        typer.echo(f"  training saw {key} from {low:.4g} to {high:.4g}")


@app.command("train")
def train(
    name: Annotated[str, typer.Argument(help="Name of the network.")],
    seed: Annotated[int, typer.Option(help="Of data, first weights and order.")] = 0,
    steps: Annotated[
        int | None, typer.Option(help="Steps at most; the recipe's own number if not given.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for weights and card.")] = Path("weights"),
    as_json: _Json = False,
) -> None:
    """Train a network anew from its recipe; write weights and card."""
    from nanopilot.models.shelf import train_anew

    begun = time.monotonic()

    def report(line: str) -> None:
        sys.stderr.write(f"{time.monotonic() - begun:6.0f} s  {line}\n")
        sys.stderr.flush()

    card = train_anew(name, out, seed=seed, steps=steps, report=report)
    paths = {"weights": str(out / f"{name}.safetensors"), "card": str(out / f"{name}.json")}
    if as_json:
        typer.echo(json.dumps(paths | {"metrics": card.metrics, "sha256": card.sha256}))
        return
    for key, number in card.metrics.items():
        typer.echo(f"{key} = {number:.5g}")
    typer.echo(f"weights: {paths['weights']}")
    typer.echo(f"card:    {paths['card']}")


@app.command("check")
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Names; all if none.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--from", help="Folder of weights of one's own.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Check hash, network and promised numbers; exit code 1 if one is not what its card says."""
    from nanopilot.app.cli.columns import columns
    from nanopilot.models import shelf

    if folder is not None and not names:
        names = [path.stem for path in sorted(folder.glob("*.safetensors"))]
    found = [shelf.check(name, folder) for name in names] if names else shelf.check_all()
    ok = all(one.status != "failed" for one in found)
    if as_json:
        checks = [one.model_dump(mode="json") for one in found]
        typer.echo(json.dumps({"ok": ok, "checks": checks}))
    else:
        rows = [(one.name, "FAILED" if one.status == "failed" else one.status, one.said)
                for one in found]  # fmt: skip
        for line in columns([("model", "is", "because"), *rows]):
            typer.echo(line)
    raise typer.Exit(0 if ok else 1)
