"""`nanopilot twins fit`: a twin from scans of a real instrument."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from nanopilot.workflows.fit_twin import Estimate, FitReport, Fitted


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fit")(fit)


def fit(
    files: Annotated[list[Path], typer.Argument(help="Scans of one instrument, set alike.")],
    out: Annotated[Path, typer.Option(help="JSON file of the instrument.")] = Path("fitted.json"),
    picture: Annotated[Path | None, typer.Option(help="PNG of what is left.")] = None,
    surface: Annotated[str, typer.Option(help="'synthetic' or 'measured'.")] = "synthetic",
    line_rate: Annotated[
        float | None, typer.Option(help="Lines per second, if the files do not say it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides everything that is random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Estimate noise, lag, drift and tip from real scans; write a twin, and what it lacks."""
    _check(out, picture, surface)
    fitted = _fitted(files, line_rate, surface, seed)
    surfaces = _write(fitted, out)
    if picture is not None:
        from nanopilot.app.twin_gap_picture import draw_gap

        draw_gap(fitted, picture)
    if as_json:
        paths = {"out": str(out), "surfaces": [str(path) for path in surfaces]}
        told = fitted.report.model_dump(mode="json")
        typer.echo(json.dumps(paths | {"closer": fitted.report.closer} | told))
        return
    _print(fitted.report)
    width = fitted.samples[0].area.x[1] * 2e9
    typer.echo(f"settings: {out}")
    typer.echo(f"report:   {out.with_suffix('.report.json')}")
    typer.echo(
        f"try:      nanopilot twins show spm --settings {out} --sample {surfaces[0]} "
        f"--size '{width:.6g} nm'"
    )


def _check(out: Path, picture: Path | None, surface: str) -> None:
    """Refuse what cannot be written before anything is measured."""
    from nanopilot.core.errors import Unsupported

    if surface not in ("synthetic", "measured"):
        raise Unsupported(f"`surface` is {surface!r}; it is 'synthetic' or 'measured'.")
    for option, path, ending in (("out", out, ".json"), ("picture", picture, ".png")):
        if path is not None and path.suffix.lower() != ending:
            raise Unsupported(f"`{option}` is {path}; let it end in {ending}.")


def _fitted(files: list[Path], line_rate: float | None, surface: str, seed: int) -> Fitted:
    from nanopilot.app.cli.printing import track_progress
    from nanopilot.workflows.fit_twin import fit_twin, read_scan

    scans = [read_scan(path, line_rate=line_rate) for path in files]
    with track_progress() as show:
        below: Literal["synthetic", "measured"]
        below = "measured" if surface == "measured" else "synthetic"
        return fit_twin(scans, seed=seed, surface=below, progress=show)


def _write(fitted: Fitted, out: Path) -> list[Path]:
    """Write settings, report and surfaces; return where the surfaces are."""
    import numpy as np

    out.write_text(fitted.report.settings.model_dump_json(indent=2) + "\n", encoding="utf-8")
    report = fitted.report.model_dump_json(indent=2) + "\n"
    out.with_suffix(".report.json").write_text(report, encoding="utf-8")
    paths = []
    for number, sample in enumerate(fitted.samples, start=1):
        paths.append(out.with_suffix(f".surface-{number}.npy"))
        np.save(paths[-1], sample.height, allow_pickle=False)
    return paths


def _print(report: FitReport) -> None:
    from nanopilot.app.cli.columns import columns

    rows = [("setting", "value", "unit", "is", "because")]
    rows += [
        (name, _value(one), one.unit, one.status, one.how) for name, one in report.estimates.items()
    ]
    for line in columns(rows):
        typer.echo(line)
    typer.echo("")
    gaps: list[tuple[str, ...]] = [
        ("scan", "twin", "spectrum", "heights", "correlation", "told apart")
    ]
    for scan in report.scans:
        for name, gap in (
            ("fitted", scan.fitted),
            ("default", scan.default),
            ("default on fitted surface", scan.default_instrument),
        ):
            numbers = (gap.spectrum, gap.histogram, gap.autocorrelation)
            told = f"{gap.classifier:.2f} +- {gap.classifier_std:.2f}"
            gaps.append((scan.scan, name, *(f"{one:.3f}" for one in numbers), told))
    for line in columns(gaps):
        typer.echo(line)
    verdict = "closer than the default twin to every scan in every way"
    typer.echo(verdict if report.closer else f"not {verdict}")


def _value(one: Estimate) -> str:
    if one.value is None:
        return "-"
    least = "<= " if one.status == "bound" else ""
    error = "" if one.std is None else f" +- {one.std:.1g}"
    return f"{least}{one.value:.3g}{error}"
