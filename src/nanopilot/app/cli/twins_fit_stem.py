"""`nanopilot twins fit --twin stem`: an electron twin from frames of a real microscope."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from nanopilot.workflows.fit_stem import FittedStem, StemReport


def fit_frames(
    files: list[Path],
    told: Mapping[str, Any],
    out: Path,
    picture: Path | None,
    *,
    seed: int,
    as_json: bool,
) -> None:
    """Fit, write settings and report, draw, and print what was found.

    Parameters
    ----------
    files : list of Path
        Frames.
    told : mapping
        What was said of them: fields of `Conditions`, and crystal, layers, dark, apart.
    out, picture : Path
        JSON file of the instrument, and PNG or None.
    seed : int
        Of the twins' noise.
    as_json : bool
        Print the report as JSON.
    """
    fitted = _fitted(files, dict(told), seed)
    report = fitted.report
    out.write_text(report.settings.model_dump_json(indent=2) + "\n", encoding="utf-8")
    beside = out.with_suffix(".report.json")
    beside.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if picture is not None:
        from nanopilot.app.stem_gap_picture import draw_stem_gap

        draw_stem_gap(fitted, picture)
    if as_json:
        said = {"out": str(out), "closer": report.closer} | report.model_dump(mode="json")
        typer.echo(json.dumps(said))
        return
    _print(report)
    typer.echo(f"settings: {out}")
    typer.echo(f"report:   {beside}")
    typer.echo(f"try:      nanopilot twins show stem --settings {out}")


def _fitted(files: list[Path], told: dict[str, Any], seed: int) -> FittedStem:
    from nanopilot.app.cli.printing import track_progress
    from nanopilot.core.errors import InvalidRequest
    from nanopilot.core.requests import from_outside
    from nanopilot.workflows.fit_stem import Conditions, fit_stem, read_frames

    crystal, layers = told.pop("crystal", None), int(told.pop("layers", 1))
    dark, apart = told.pop("dark", None), bool(told.pop("apart", False))
    if layers < 1:
        raise InvalidRequest(f"`layers` is {layers}; a crystal has one or more.")
    frames = read_frames(files, from_outside(Conditions, **told), dark=dark, one_place=not apart)
    with track_progress() as show:
        return fit_stem(frames, crystal=crystal, layers=layers, seed=seed, progress=show)


def _print(report: StemReport) -> None:
    from nanopilot.app.cli.columns import columns
    from nanopilot.app.cli.fit_tables import gap_cells, settings_table

    gaps = [
        (f"on a {report.scene}", "spectrum", "counts", "correlation", "told apart"),
        ("fitted", *gap_cells(report.fitted)),
        ("default", *gap_cells(report.default)),
    ]
    for line in (*settings_table(report.estimates), "", *columns(gaps)):
        typer.echo(line)
    verdict = "closer than the default twin in every way"
    typer.echo(verdict if report.closer else f"not {verdict}")
