"""A batch from its files to its summary, also where it is stopped half way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nanopilot.app.batch.files import names_of
from nanopilot.app.batch.page import write_summary
from nanopilot.app.batch.task import Asked, Batch, FileResult
from nanopilot.app.batch.workers import over, run_jobs
from nanopilot.core import registry
from nanopilot.core.errors import StoreError
from nanopilot.workflows.analyse.together import LooksAtAll, Together

#: Told: files done, files in all, words.
Show = Callable[[int, int | None, str], None]


def run_batch(
    files: Sequence[Path], asked: Asked, *, workers: int = 1, show: Show = lambda *_: None
) -> Batch:
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
    Batch
        Frames in the order of the files, and what they tell together. The summary is written,
        whatever of it there is, also when the batch is stopped; the same call goes on from there.

    Raises
    ------
    UnknownName, InvalidRequest
        There is no such analyser, or it takes no such setting.
    StoreError
        The folder cannot be made.
    """
    analyser = registry.build("analysers", asked.kind, **asked.settings)
    _make(asked.out)
    begun = time.monotonic()
    jobs = list(zip(files, names_of(files), strict=True))
    found: dict[str, FileResult] = {}
    together: Together | None = None

    def done(result: FileResult) -> None:
        found[result.file] = result
        show(len(found), len(jobs), _said(result))

    show(0, len(jobs), "starting")
    try:
        run_jobs(jobs, asked, workers, done)
        if isinstance(analyser, LooksAtAll):
            show(len(found), len(jobs), "all together")
            together = _together(analyser, [found[str(path)] for path in files], asked, workers)
    finally:
        told = [found[str(path)] for path in files if str(path) in found]
        batch = Batch.of(told, together)
        write_summary(batch, asked, time.monotonic() - begun)
    return batch


def _together(
    analyser: LooksAtAll, files: Sequence[FileResult], asked: Asked, workers: int
) -> Together | None:
    """Look at all files together, and put what they tell into the results of each."""
    # Drawing and tables take time to import, and most analyses do not come here.
    from nanopilot.app.batch.all_files import look_at_all, tell_anew

    together, anew = look_at_all(analyser, files, asked)
    if together is None or not anew:
        return together
    broken = "a process that drew a frame again died, most likely for want of memory"
    wrong = [one for one in over(tell_anew, anew, workers, broken) if one]
    return replace(together, doubts=(*together.doubts, *dict.fromkeys(wrong)))


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
