"""`nanopilot bench`: methods against their baselines, with hidden truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Methods against their baselines, with hidden truth.", no_args_is_help=True)


@app.command("list")
def list_tracks(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the tracks."""
    from nanopilot.app.cli.printing import print_tracks
    from nanopilot.core import registry

    print_tracks([registry.build("tracks", name) for name in registry.names("tracks")], as_json)


@app.command("run")
def run(
    track: Annotated[str, typer.Argument(help="Name of the track.")],
    seeds: Annotated[str, typer.Option(help="A:B, from A up to but not including B.")] = "0:8",
    json_to: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON here; - prints it.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="Only this method; may be given again.")
    ] = None,
) -> None:
    """Run a track on seeds; what was and was not reached is in what it prints."""
    from nanopilot.app.cli.printing import print_result, track_progress
    from nanopilot.bench.runner import parse_seeds, run_track
    from nanopilot.core import registry

    chosen = parse_seeds(seeds)
    built = registry.build("tracks", track)
    with track_progress() as progress:
        result = run_track(built, chosen, methods=method or (), progress=progress)
    if json_to == "-":
        typer.echo(result.model_dump_json(indent=1))
    else:
        if json_to:
            Path(json_to).write_text(result.model_dump_json(indent=1) + "\n")
        print_result(result)
