"""One file of a batch, from reading to the last picture; whatever goes wrong stays in it."""

from __future__ import annotations

import hashlib
import time
import traceback
from pathlib import Path
from typing import Any

from nanopilot.app.batch.all_files import OUTLINES, write_outlines
from nanopilot.app.batch.overlay import draw_overlay
from nanopilot.app.batch.table_file import write_table
from nanopilot.app.batch.task import Asked, FileResult, FrameResult
from nanopilot.core import registry
from nanopilot.core.errors import NanopilotError
from nanopilot.core.signals import Signal
from nanopilot.io.readers import NoPixelSize
from nanopilot.workflows.analyse.findings import Findings
from nanopilot.workflows.analyse.frames import frames_of
from nanopilot.workflows.analyse.together import LooksAtAll

#: Bytes read at once for the digest.
_CHUNK = 1 << 20
#: Pixels in a unit of length where a nanometre stands for a pixel.
_PIXELS = {"pm": 1e-3, "nm": 1, "um": 1e3, "µm": 1e3, "mm": 1e6}


def analyse_file(path: Path, name: str, asked: Asked) -> FileResult:
    """Analyse every frame of a file and write what was found; never raises for the file's sake.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Of its results in the folder ``asked.out``.
    asked : Asked
        What is done.

    Returns
    -------
    FileResult
        Also written as ``NAME.json``; where it is there already for the same content, question
        and version, it is read and nothing is done again.
    """
    begun = time.monotonic()
    digest = ""
    try:
        digest = _digest(path)
        known = kept(path, name, asked, digest)
        if known is not None:
            return known
        frames = frames_of(path, asked.look())
        analyser = registry.build("analysers", asked.kind, **asked.settings)
    except Exception as error:  # noqa: BLE001 - one broken file never stops the batch
        said = _failed(path, name, asked.out, error, time.monotonic() - begun)
        return _keep(path, name, asked, digest, (said,))
    several = len(frames) > 1
    found = []
    for number, frame in enumerate(frames):
        own = f"{name}-{number:04d}" if several else name
        found.append(_analyse(path, own, asked, analyser, frame))
    return _keep(path, name, asked, digest, tuple(found))


def kept(path: Path, name: str, asked: Asked, digest: str) -> FileResult | None:
    """Return what an earlier batch said of the same file, if it still holds."""
    from nanopilot import __version__

    try:
        text = (asked.out / f"{name}.json").read_text(encoding="utf-8")
        known = FileResult.model_validate_json(text)
    except (OSError, ValueError):
        return None
    same = (known.sha256, known.asked, known.version) == (digest, asked, __version__)
    if not same or any(one.status == "failed" for one in known.frames):
        return None
    made = [one for frame in known.frames for one in (frame.overlay, frame.table) if one]
    whole = all((asked.out / one).is_file() for one in made)
    return known.model_copy(update={"file": str(path)}) if whole else None


def _analyse(path: Path, name: str, asked: Asked, analyser: Any, frame: Signal) -> FrameResult:
    begun = time.monotonic()
    try:
        findings: Findings = analyser(frame)
        overlay, table = f"{name}.png", f"{name}.csv"
        draw_overlay(frame, findings.marks, asked.out / overlay, in_pixels=asked.in_pixels)
        if isinstance(analyser, LooksAtAll):
            drawn = asked.out / OUTLINES / f"{name}.csv"
            write_outlines(findings.marks, drawn, in_pixels=asked.in_pixels)
        write_table(findings.table, asked.out / table, in_pixels=asked.in_pixels)
    except Exception as error:  # noqa: BLE001 - one broken frame never stops the batch
        return _failed(path, name, asked.out, error, time.monotonic() - begun)
    summary = dict(findings.summary)
    if asked.in_pixels:
        summary = dict(_in_pixels(key, value) for key, value in summary.items())
    return FrameResult(
        file=str(path), name=name, status="unsure" if findings.doubts else "ok",
        why=tuple(findings.doubts), summary=summary, overlay=overlay, table=table,
        seconds=time.monotonic() - begun,
    )  # fmt: skip


def _in_pixels(key: str, value: float | str) -> tuple[str, float | int | str]:
    """Return a number of a summary where a nanometre stands for a pixel."""
    unit = key.rpartition("(")[2].removesuffix(")")
    if unit not in _PIXELS or isinstance(value, str):
        return key, value
    return key.replace(f"({unit})", "(px)"), value * _PIXELS[unit]


def _failed(path: Path, name: str, out: Path, error: Exception, seconds: float) -> FrameResult:
    """Say what went wrong; what is no error of ours leaves its trace beside the results."""
    for suffix in (".png", ".csv"):
        (out / f"{name}{suffix}").unlink(missing_ok=True)
    why = " ".join(str(error).split())
    if isinstance(error, NoPixelSize):
        why += " On the command line: --pixel-size '0.2 nm', or --pixel-size px."
    if not isinstance(error, NanopilotError):
        trace = f"{name}.traceback.txt"
        (out / trace).write_text(traceback.format_exc(), encoding="utf-8")
        why = f"{type(error).__name__}: {why or 'no message'} (see {trace})"
    return FrameResult(file=str(path), name=name, status="failed", why=(why,), seconds=seconds)


def _keep(
    path: Path, name: str, asked: Asked, digest: str, frames: tuple[FrameResult, ...]
) -> FileResult:
    from nanopilot import __version__

    result = FileResult(
        file=str(path), sha256=digest, asked=asked, version=__version__, frames=frames
    )
    half = asked.out / f"{name}.json.part"
    half.write_text(result.model_dump_json(indent=1), encoding="utf-8")
    half.replace(asked.out / f"{name}.json")
    return result


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
