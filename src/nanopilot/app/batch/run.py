"""A batch from its files to its summary, also where it is stopped half way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nanopilot.app.batch.files import names_of
from nanopilot.app.batch.page import write_summary
from nanopilot.app.batch.task import Asked, FileResult, FrameResult
from nanopilot.app.batch.workers import run_jobs
from nanopilot.core import registry
from nanopilot.core.errors import StoreError

#: Told: files done, files in all, words.
Show = Callable[[int, int | None, str], None]


def run_batch(
    files: Sequence[Path], asked: Asked, *, workers: int = 1, show: Show = lambda *_: None
) -> tuple[FrameResult, ...]:
    """Analyse files into a folder; results of an earlier batch that still hold are kept.

    Parameters
    ----------
    files : sequence of Path
        See `files_of`.
    asked : Asked
        What is done with each, and where results go.
    workers : int
        Processes at once.
    show : callable
        Told how it gets on.

    Returns
    -------
    tuple of FrameResult
        In the order of the files. The summary is written, whatever of it there is, also when
        the batch is stopped; the same call goes on from there.

    Raises
    ------
    UnknownName, InvalidRequest
        There is no such analyser, or it takes no such setting.
    StoreError
        The folder cannot be made.
    """
    registry.build("analysers", asked.kind, **asked.settings)
    _make(asked.out)
    begun = time.monotonic()
    jobs = list(zip(files, names_of(files), strict=True))
    found: dict[str, FileResult] = {}

    def done(result: FileResult) -> None:
        found[result.file] = result
        show(len(found), len(jobs), _said(result))

    show(0, len(jobs), "starting")
    try:
        run_jobs(jobs, asked, workers, done)
    finally:
        frames = [one for path in files for one in _frames(found, path)]
        write_summary(frames, asked, time.monotonic() - begun)
    return tuple(frames)


def _frames(found: dict[str, FileResult], path: Path) -> tuple[FrameResult, ...]:
    result = found.get(str(path))
    return result.frames if result else ()


def _said(result: FileResult) -> str:
    worst = next(
        (s for s in ("failed", "unsure") if any(one.status == s for one in result.frames)), "ok"
    )
    return f"{Path(result.file).name}: {worst}"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise StoreError(f"`out` is `{folder}`: {cause.strerror}; name another folder.") from cause
