"""Processes that analyse files: one that dies takes nothing but its own file with it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from nanopilot.app.batch.task import Asked, FileResult, FrameResult

#: What limits the threads of a worker, so that all workers together have one for each core.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
#: Told of each file when it is done.
Done = Callable[[FileResult], None]
Job = tuple[Path, str]


def run_jobs(jobs: Sequence[Job], asked: Asked, workers: int, done: Done) -> None:
    """Analyse files in processes of their own.

    Parameters
    ----------
    jobs : sequence of (Path, str)
        Files, and the names of their results.
    asked : Asked
        What is done with each.
    workers : int
        Processes at once.
    done : callable
        Told of each file as it is done, in the order they are done.
    """
    left = dict(enumerate(jobs))
    broken = _pass(left, asked, min(workers, len(jobs)), done)
    # Somebody died, and whoever was at work with it is unknown: one at a time from there.
    while broken and left:
        number = next(iter(left))
        alone = {number: left[number]}
        if _pass(alone, asked, 1, done):
            done(_killed(left[number], asked))
        del left[number]


def over(
    function: Callable[[Any], str], items: Sequence[Any], workers: int, broken: str
) -> list[str]:
    """Call a function of each item in processes of their own; return what it said of each.

    Parameters
    ----------
    function : callable
        Of a module; never raises.
    items : sequence
        What it is called with.
    workers : int
        Processes at once.
    broken : str
        Said where a process died, of it and of whatever was left to do.
    """
    said = []
    with _pool(min(workers, len(items))) as pool:
        for future in [pool.submit(function, one) for one in items]:
            try:
                said.append(future.result())
            except BrokenProcessPool:
                said.append(broken)
    return said


def _pass(left: dict[int, Job], asked: Asked, workers: int, done: Done) -> bool:
    """Work on what is left, and take out what is done; True: a process died on the way."""
    try:
        with _pool(workers) as pool:
            futures: dict[Future[FileResult], int] = {
                pool.submit(_analyse, *job, asked): number for number, job in left.items()
            }
            for future in as_completed(futures):
                result = future.result()
                del left[futures[future]]
                done(result)
    except BrokenProcessPool:
        return True
    return False


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes that end when they are no longer wanted, whatever the reason."""
    context = multiprocessing.get_context("spawn")
    pools = ProcessPoolExecutor(workers, mp_context=context, initializer=_go_with_parent)
    with _few_threads(workers), pools as pool:
        try:
            yield pool
        except BrokenProcessPool:
            raise
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _go_with_parent() -> None:
    """End this process when the one that started it ends, however it did."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()


def _analyse(path: Path, name: str, asked: Asked) -> FileResult:
    # Only workers need what it takes to look at frames, and to draw them.
    from nanopilot.app.batch.one_file import analyse_file

    return analyse_file(path, name, asked)


def _killed(job: Job, asked: Asked) -> FileResult:
    path, name = job
    why = (
        "the process that analysed it died, most likely for want of memory; "
        "try it alone, or a smaller frame"
    )
    frame = FrameResult(file=str(path), name=name, status="failed", why=(why,))
    return FileResult(file=str(path), sha256="", asked=asked, version="", frames=(frame,))


@contextmanager
def _few_threads(workers: int) -> Iterator[None]:
    """Set how many threads new processes start with, for a while."""
    each = str(max(1, (os.cpu_count() or 1) // max(workers, 1)))
    unset = [name for name in _THREADS if not os.environ.get(name)]
    os.environ.update(dict.fromkeys(unset, each))
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)
