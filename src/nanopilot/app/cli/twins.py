"""`nanopilot twins`: simulated instruments, and what is true of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nanopilot.app.cli import twins_fit

#: Which sample of each twin is shown unless told otherwise.
_USUAL = {"spm": "grains", "stem": "dichalcogenide"}

app = typer.Typer(help="Simulated instruments, and what is true of them.", no_args_is_help=True)
twins_fit.add_to(app)


@app.command("list")
def list_twins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the twins, and the samples that each can be given."""
    from nanopilot.app.cli.columns import columns
    from nanopilot.core import registry
    from nanopilot.twins.spm.samples import SAMPLES
    from nanopilot.twins.stem.samples import SAMPLES as SCENES

    twins = {name: _about(registry.load("twins", name)) for name in registry.names("twins")}
    families = [
        *(("spm", name, one.about, one.settings()) for name, one in SAMPLES.items()),
        *(("stem", name, one.about, one.settings()) for name, one in SCENES.items()),
    ]
    if as_json:
        keys = ("twin", "name", "about", "settings")
        samples = [dict(zip(keys, one, strict=True)) for one in families]
        rows = [{"name": name, "about": about} for name, about in twins.items()]
        typer.echo(json.dumps({"twins": rows, "samples": samples}, default=str))
        return
    for line in columns([("twin", "is"), *twins.items()]):
        typer.echo(line)
    typer.echo("")
    for line in columns([("of", "sample", "is"), *(one[:3] for one in families)]):
        typer.echo(line)


@app.command("show")
def show(
    twin: Annotated[str, typer.Argument(help="Name of the twin: spm or stem.")] = "spm",
    sample: Annotated[
        str | None, typer.Option(help="Family, or for spm a file with a topography.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides everything that is random.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("twin.png"),
    settings: Annotated[Path | None, typer.Option(help="JSON file of the instrument.")] = None,
    size: Annotated[str | None, typer.Option(help="Width of the sample, such as '2 um'.")] = None,
    pixels: Annotated[
        int | None, typer.Option(help="Of spm: rows and columns of the sample.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="Of spm: 'contact', 'tapping' or 'stm'.")] = None,
    width: Annotated[str | None, typer.Option(help="Of stem: width of the frame.")] = None,
    lines: Annotated[int, typer.Option(help="Rows and columns of the frame.")] = 256,
    recipe: Annotated[
        list[str] | None, typer.Option("--set", help="Setting of the sample, as NAME=VALUE.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Scan a sample once, and draw what the instrument sees beside what is there."""
    from nanopilot.app.cli.start import assignments
    from nanopilot.core.errors import UnknownName

    if twin not in _USUAL:
        raise UnknownName("twin", twin, tuple(_USUAL))
    sample = sample or _USUAL[twin]
    where: dict[str, Any] = {"size": size, "recipe": assignments(recipe or []), "seed": seed}
    where["settings"] = settings
    if twin == "stem":
        shown: Any = _look_stem(sample, where, lines, width, pixels or mode)
    else:
        shown = _look_spm(sample, where | {"pixels": pixels, "mode": mode}, lines, width)
    shown.draw(f"{twin}, {sample}, seed {seed}", out)
    told = shown.to_dict()
    if as_json:
        asked = {"twin": twin, "sample": sample, "seed": seed, "out": str(out)}
        typer.echo(json.dumps(asked | told))
        return
    _print(told)
    typer.echo(f"picture: {out}")


def _look_spm(sample: str, where: dict[str, Any], lines: int, width: str | None) -> Any:
    from nanopilot.app.show_twin import look
    from nanopilot.core.errors import InvalidRequest
    from nanopilot.workflows.twins import spm

    if width is not None:
        raise InvalidRequest("`width` is an option of stem; of spm the whole sample is scanned.")
    return look(spm(sample, **where), lines=lines)


def _look_stem(
    sample: str, where: dict[str, Any], lines: int, width: str | None, of_spm: Any
) -> Any:
    from nanopilot.app.show_stem import look_stem
    from nanopilot.core.errors import InvalidRequest
    from nanopilot.core.units import parse
    from nanopilot.workflows.twins import stem

    if of_spm is not None:
        raise InvalidRequest("`pixels` and `mode` are options of spm; stem has neither.")
    metres = None if width is None else parse(width, "m")
    return look_stem(stem(sample, **where), lines=lines, width=metres)


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
