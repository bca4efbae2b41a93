"""`nanopilot twins fit`: a twin from scans of a real instrument."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from nanopilot.workflows.fit_twin import FitReport, Fitted


#: Options of the command, and what its help says of them.
_Files = Annotated[list[Path], typer.Argument(help="Scans of one instrument, set alike.")]
_Twin = Annotated[str, typer.Option(help="'spm' or 'stem'.")]
_Out = Annotated[Path, typer.Option(help="JSON file of the instrument.")]
_Picture = Annotated[Path | None, typer.Option(help="PNG of what is left.")]
_Surface = Annotated[str, typer.Option(help="spm: 'synthetic' or 'measured'.")]
_LineRate = Annotated[
    float | None, typer.Option(help="spm: lines per second, if the files do not say it.")
]
_Seed = Annotated[int, typer.Option(help="Decides everything that is random.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
_PixelSize = Annotated[str | None, typer.Option(help="stem: such as '20 pm'.")]
_DwellTime = Annotated[str | None, typer.Option(help="stem: per pixel.")]
_LineTime = Annotated[str | None, typer.Option(help="stem: from line to line.")]
_FrameTime = Annotated[str | None, typer.Option(help="stem: from frame to frame.")]
_Voltage = Annotated[float | None, typer.Option(help="stem: volts.")]
_Current = Annotated[float | None, typer.Option(help="stem: amperes.")]
_ConvergenceAngle = Annotated[str | None, typer.Option(help="stem: such as '30 mrad'.")]
_Detector = Annotated[str | None, typer.Option(help="stem: haadf, maadf, abf or bf.")]
_Crystal = Annotated[str | None, typer.Option(help="stem: such as mos2, if it is one.")]
_Layers = Annotated[int | None, typer.Option(help="stem: cells of it along the beam.")]
_FocusStep = Annotated[
    str | None, typer.Option(help="stem: by how much C1 rose from frame to frame.")
]
_Dark = Annotated[Path | None, typer.Option(help="stem: frames, beam blanked.")]
_Apart = Annotated[bool, typer.Option("--apart", help="stem: frames of several places.")]


#: Those that are for frames of electrons.
_OF_STEM = (
    "pixel_size", "dwell_time", "line_time", "frame_time", "voltage", "current",
    "convergence_angle", "detector", "focus_step", "crystal", "layers", "dark", "apart",
)  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fit")(fit)


def fit(
    files: _Files,
    twin: _Twin = "spm",
    out: _Out = Path("fitted.json"),
    picture: _Picture = None,
    surface: _Surface = "synthetic",
    line_rate: _LineRate = None,
    seed: _Seed = 0,
    as_json: _AsJson = False,
    pixel_size: _PixelSize = None,
    dwell_time: _DwellTime = None,
    line_time: _LineTime = None,
    frame_time: _FrameTime = None,
    voltage: _Voltage = None,
    current: _Current = None,
    convergence_angle: _ConvergenceAngle = None,
    detector: _Detector = None,
    crystal: _Crystal = None,
    layers: _Layers = None,
    focus_step: _FocusStep = None,
    dark: _Dark = None,
    apart: _Apart = False,
) -> None:
    """Estimate what an instrument is like from its scans; write a twin, and what it lacks."""
    given = dict(locals()) | {"apart": apart or None}
    said = {name: given[name] for name in _OF_STEM if given[name] is not None}
    stem = _is_stem(twin, list(said), surface, line_rate)
    _check(out, picture, surface)
    if stem:
        from nanopilot.app.cli.twins_fit_stem import fit_frames

        fit_frames(files, said, out, picture, seed=seed, as_json=as_json)
        return
    _tell(_fitted(files, line_rate, surface, seed), out, picture, as_json=as_json)


def _tell(fitted: Fitted, out: Path, picture: Path | None, *, as_json: bool) -> None:
    """Write a fit, draw it, and print what was found."""
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


def _is_stem(twin: str, told: list[str], surface: str, line_rate: float | None) -> bool:
    """Tell which twin is meant; refuse options of the other one."""
    from nanopilot.core.errors import Unsupported

    if twin not in ("spm", "stem"):
        raise Unsupported(f"`twin` is {twin!r}; it is 'spm' or 'stem'.")
    if twin == "spm" and told:
        raise Unsupported(f"`{told[0]}` is for frames of electrons; add `--twin stem`.")
    if twin == "stem" and (surface != "synthetic" or line_rate is not None):
        name = "line_rate" if line_rate is not None else "surface"
        raise Unsupported(f"`{name}` is for scanning probes; leave it out with `--twin stem`.")
    return twin == "stem"


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
    from nanopilot.app.cli.fit_tables import gap_cells, settings_table

    gaps = [("scan", "twin", "spectrum", "heights", "correlation", "told apart")]
    for scan in report.scans:
        gaps += [
            (scan.scan, "fitted", *gap_cells(scan.fitted)),
            (scan.scan, "default", *gap_cells(scan.default)),
            (scan.scan, "default on fitted surface", *gap_cells(scan.default_instrument)),
        ]
    for line in (*settings_table(report.estimates), "", *columns(gaps)):
        typer.echo(line)
    verdict = "closer than the default twin to every scan in every way"
    typer.echo(verdict if report.closer else f"not {verdict}")
