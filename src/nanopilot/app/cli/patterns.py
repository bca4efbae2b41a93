"""`nanopilot patterns`: 4D-STEM data recorded to disk, and looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanopilot.app.cli.start import HouseFile, LimitsFile, Sample

if TYPE_CHECKING:
    from nanopilot.core.limits import Spent
    from nanopilot.instruments import Guard

app = typer.Typer(help="4D-STEM data: recorded to disk, and looked at.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("record")
def record(
    out: Annotated[Path, typer.Option(help="Zarr folder; one begun before is gone on with.")],
    shape: Annotated[str, typer.Option(help="Rows and columns, such as '64x64'.")],
    field: Annotated[str, typer.Option(help="Width, or width and height: '2 nm,1 nm'.")],
    instrument: Annotated[str, typer.Option(help="Name of the instrument.")] = "stem",
    sample: Sample = None,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the instrument.")] = None,
    position: Annotated[str, typer.Option(help="Centre of the grid, x and y.")] = "0 nm,0 nm",
    channel: Annotated[str, typer.Option(help="Which camera.")] = "pattern",
    exposure: Annotated[str | None, typer.Option(help="Of a pattern, such as '1 ms'.")] = None,
    binning: Annotated[int, typer.Option(help="Pixels joined along each axis.")] = 1,
    rotation: Annotated[str, typer.Option(help="Of the grid, such as '30 deg'.")] = "0 rad",
    limits: LimitsFile = None,
    house: HouseFile = None,
    as_json: _Json = False,
) -> None:
    """Record a pattern at every place of a grid; the same command goes on after a kill."""
    from nanopilot.app.cli.printing import track_progress
    from nanopilot.core.requests import CameraRequest, from_outside
    from nanopilot.workflows.record_patterns import record_patterns

    request = from_outside(
        CameraRequest,
        position=_pair(position),
        shape=_shape(shape),
        field_of_view=_pair(field),
        channels=(channel,),
        exposure=exposure,
        binning=binning,
        rotation=rotation,
    )
    scope = _scope(instrument, sample, option or [], (limits, house))
    with scope, track_progress() as progress:
        record_patterns(scope, request, out, progress=progress)
    _tell(out, scope.spent, as_json=as_json)


def _scope(
    instrument: str, sample: str | None, option: list[str], rules: tuple[Path | None, Path | None]
) -> Guard:
    from nanopilot.app import session
    from nanopilot.app.cli.start import assignments, of_recordings, read_house, read_limits

    limits, house = rules
    found = {"sample": sample, "units": None, "missing": "refuse"}
    options = assignments(option) | of_recordings(instrument, found)
    options |= {} if house is None else {"house": read_house(house)}
    return session.connect(instrument, limits=read_limits(limits), **options)


def _tell(out: Path, spent: Spent, *, as_json: bool) -> None:
    """Print what has been recorded, and what it cost this time."""
    from nanopilot.workflows.record_patterns import open_patterns

    values = open_patterns(out).values
    if as_json:
        told = {"out": str(out), "shape": list(values.shape), "dtype": str(values.dtype)}
        typer.echo(json.dumps(told | {"electrons": spent.electrons, "seconds": spent.seconds}))
        return
    typer.echo(
        f"{out}: {' x '.join(map(str, values.shape))} of {values.dtype}, "
        f"{spent.electrons:.3g} electrons, {spent.seconds:.3g} s of instrument time"
    )


@app.command("show")
def show(
    path: Annotated[Path, typer.Argument(help="What `patterns record` wrote.")],
    convergence: Annotated[str, typer.Option(help="Half angle of the beam, such as '20 mrad'.")],
    channel: Annotated[str | None, typer.Option(help="Which camera; else the first.")] = None,
    out: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("patterns.png"),
    as_json: _Json = False,
) -> None:
    """Draw what the usual detectors would have seen."""
    from nanopilot.analysis.pattern_masks import standard_masks
    from nanopilot.analysis.virtual_detectors import virtual_images
    from nanopilot.app.cli.columns import columns
    from nanopilot.app.cli.printing import track_progress
    from nanopilot.app.patterns_picture import draw_images
    from nanopilot.core.units import parse
    from nanopilot.workflows.record_patterns import open_patterns

    patterns = open_patterns(path, channel)
    with track_progress() as progress:
        images = virtual_images(
            patterns, standard_masks(parse(convergence, "rad")), progress=progress
        )
    draw_images(images, out)
    told: dict[str, Any] = {
        str(name): {"mean": float(one.mean()), "std": float(one.std()), "units": one.units}
        for name, one in images.data_vars.items()
    }
    if as_json:
        typer.echo(json.dumps({"picture": str(out), "images": told}))
        return
    rows = [("image", "mean", "std", "unit")]
    rows += [(n, f"{t['mean']:.4g}", f"{t['std']:.4g}", t["units"]) for n, t in told.items()]
    for line in columns(rows):
        typer.echo(line)
    typer.echo(f"picture: {out}")


def _pair(text: str) -> tuple[str, str]:
    first, comma, second = text.partition(",")
    return (first, second) if comma else (first, first)


def _shape(text: str) -> tuple[int, int]:
    from nanopilot.core.errors import InvalidRequest

    rows, _, columns = text.lower().partition("x")
    if not (rows.strip().isdigit() and columns.strip().isdigit()):
        raise InvalidRequest(f"`shape` is {text!r}; give rows and columns, such as '64x64'.")
    return int(rows), int(columns)
