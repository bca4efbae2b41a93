"""`nanopilot twins`: simulated instruments, and what is true of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nanopilot.app.cli import twins_fit

app = typer.Typer(help="Simulated instruments, and what is true of them.", no_args_is_help=True)
twins_fit.add_to(app)


@app.command("list")
def list_twins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the twins, and the samples of the scanning-probe twin."""
    from nanopilot.app.cli.columns import columns
    from nanopilot.core import registry
    from nanopilot.twins.spm.samples import SAMPLES

    twins = {name: _about(registry.load("twins", name)) for name in registry.names("twins")}
    if as_json:
        samples = [
            {"name": name, "about": one.about, "settings": one.settings()}
            for name, one in SAMPLES.items()
        ]
        rows = [{"name": name, "about": about} for name, about in twins.items()]
        typer.echo(json.dumps({"twins": rows, "samples": samples}))
        return
    for line in columns([("twin", "is"), *twins.items()]):
        typer.echo(line)
    typer.echo("")
    for line in columns([("sample", "is"), *((n, one.about) for n, one in SAMPLES.items())]):
        typer.echo(line)


@app.command("show")
def show(
    twin: Annotated[str, typer.Argument(help="Name of the twin: spm.")] = "spm",
    sample: Annotated[str, typer.Option(help="Family, or file with a topography.")] = "grains",
    seed: Annotated[int, typer.Option(help="Decides everything that is random.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("twin.png"),
    settings: Annotated[Path | None, typer.Option(help="JSON file of the instrument.")] = None,
    size: Annotated[str | None, typer.Option(help="Width of the sample, such as '2 um'.")] = None,
    pixels: Annotated[int | None, typer.Option(help="Rows and columns of the sample.")] = None,
    mode: Annotated[str | None, typer.Option(help="'contact', 'tapping' or 'stm'.")] = None,
    lines: Annotated[int, typer.Option(help="Rows and columns of the frame.")] = 256,
    recipe: Annotated[
        list[str] | None, typer.Option("--set", help="Setting of the sample, as NAME=VALUE.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Scan a sample once, and draw what the instrument sees beside what is there."""
    from nanopilot.app.cli.start import assignments
    from nanopilot.app.show_twin import look
    from nanopilot.core.errors import UnknownName
    from nanopilot.workflows.twins import spm

    if twin != "spm":
        raise UnknownName("twin", twin, ("spm",))
    where: dict[str, Any] = {"size": size, "pixels": pixels, "recipe": assignments(recipe or [])}
    shown = look(spm(sample, seed=seed, settings=settings, mode=mode, **where), lines=lines)
    shown.draw(f"{twin}, {sample}, seed {seed}", out)
    told = shown.to_dict()
    if as_json:
        asked = {"twin": twin, "sample": sample, "seed": seed, "out": str(out)}
        typer.echo(json.dumps(asked | told))
        return
    _print(told)
    typer.echo(f"picture: {out}")


def _print(told: dict[str, Any]) -> None:
    from nanopilot.app.cli.columns import columns

    rows = [("", "name", "quantity", "lowest", "highest", "unit")]
    for side, kind in (("seen", "channels"), ("true", "truth")):
        for one in told[kind]:
            ends = (f"{one['low']:.4g}", f"{one['high']:.4g}")
            rows.append((side, one["name"], one["quantity"], *ends, one["unit"]))
    for line in columns(rows):
        typer.echo(line)


def _about(kind: Any) -> str:
    first: str = (kind.__doc__ or "").strip().split("\n")[0]
    return first.removesuffix(".")
