"""`nanopilot analyse`: what is in frames, file after file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nanopilot.app.batch.task import Asked, Batch

_Kind = Annotated[
    str, typer.Argument(help="atoms, defects, grains, particles, electrodes, or a plugin's.")
]
_Files = Annotated[list[Path], typer.Argument(help="Files, or folders of files.")]
_Out = Annotated[Path, typer.Option(help="Folder of the results.")]
_Jobs = Annotated[int, typer.Option(help="Files at once; 0: one for each core.", min=0)]
_Pixel = Annotated[
    str | None,
    typer.Option(help="Such as '0.2 nm', for files that do not know it; 'px': lengths in pixels."),
]
_Channel = Annotated[str | None, typer.Option(help="Channel of files that have several.")]
_Method = Annotated[
    str | None, typer.Option(help="classical, learned or auto, where an analysis has a network.")
]
_Set = Annotated[
    list[str] | None, typer.Option("--set", help="NAME=VALUE of the analysis; may be repeated.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print counts and every frame as JSON.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("analyse")(analyse)


def analyse(
    kind: _Kind,
    files: _Files,
    out: _Out = Path("analysed"),
    jobs: _Jobs = 0,
    pixel_size: _Pixel = None,
    channel: _Channel = None,
    method: _Method = None,
    settings: _Set = None,
    as_json: _Json = False,
) -> None:
    """Analyse files: a picture and a table for each, one page for all.

    Nothing stops the batch: what failed or is unsure is listed with the reason, and the exit code
    is 1 if something failed. Called again, it goes on where it was stopped.
    """
    from nanopilot.app.batch.files import files_of
    from nanopilot.app.batch.run import run_batch
    from nanopilot.app.batch.task import Asked
    from nanopilot.app.progress import bar, lines
    from nanopilot.core.requests import from_outside

    given = _settings(settings or [], method)
    in_pixels, size = _pixels(pixel_size)
    asked = from_outside(
        Asked, kind=kind, out=out, settings=given, channel=channel,
        pixel_size=size, in_pixels=in_pixels,
    )  # fmt: skip
    (found, strange), workers = files_of(files, out), jobs or os.cpu_count() or 1
    try:
        with bar() if sys.stderr.isatty() else nullcontext(lines()) as show:
            batch = run_batch(found, asked, workers=workers, show=show)
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command goes on; so far: {out / 'index.html'}", err=True)
        raise typer.Exit(130) from None
    _tell(batch, asked, as_json=as_json)
    if strange:
        names = ", ".join(str(one) for one in strange[:5])
        more = ", ..." if len(strange) > 5 else ""
        typer.echo(f"not looked at, no reader knows them: {names}{more}", err=True)
    if any(one.status == "failed" for one in batch.frames):
        raise typer.Exit(1)


def _tell(batch: Batch, asked: Asked, *, as_json: bool) -> None:
    from nanopilot.app.batch.page import as_json as told
    from nanopilot.app.batch.page import counts
    from nanopilot.app.cli.columns import columns

    if as_json:
        typer.echo(json.dumps(told(batch, asked)))
        return
    rows = [("frame", "status", "found")]
    for one in batch.frames:
        said = _words(one.summary)
        rows.append((one.name, one.status, " ".join(one.why) if one.why else said))
    for line in columns(rows):
        typer.echo(line)
    if batch.together or batch.doubts:
        typer.echo(f"all frames together: {' '.join((_words(batch.together), *batch.doubts))}")
    amount = counts(batch.frames)
    typer.echo(f"{amount['ok']} ok, {amount['unsure']} unsure, {amount['failed']} failed")
    typer.echo(f"summary: {asked.out / 'index.html'}")


def _words(numbers: Mapping[str, float | int | str]) -> str:
    return ", ".join(f"{key} {_short(value)}" for key, value in numbers.items())


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _settings(given: list[str], method: str | None) -> dict[str, Any]:
    """Return NAME=VALUE as settings: JSON where it is JSON, words otherwise."""
    from nanopilot.core.errors import InvalidRequest

    found: dict[str, Any] = {} if method is None else {"method": method}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name:
            raise InvalidRequest(f"`--set` is {one!r}; write NAME=VALUE.")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def _pixels(said: str | None) -> tuple[bool, float | None]:
    """Return whether lengths are told in pixels, and the pixel size in metres."""
    from nanopilot.core.units import parse

    if said is None:
        return False, None
    if said.strip() in ("px", "1 px", "pixel", "pixels"):
        return True, None
    return False, parse(said, "m")
