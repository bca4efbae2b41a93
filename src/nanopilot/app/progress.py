"""Progress of a run: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nanopilot.core.events import Event, Intent, Note, Outcome, Plan

#: Seconds between two lines where there is no terminal.
_PATIENCE = 5.0


class _Steps:
    """Turns events into the number of steps done and the best reward so far."""

    def __init__(self, show: Callable[[int, int | None, str], None]) -> None:
        self._show = show
        self._total: int | None = None
        self._done = 0
        self._best: float | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Plan):
            self._show(0, None, "overview frame")
        elif isinstance(event, Note) and event.topic == "planned":
            self._total = int(event.data["sites"])
        elif isinstance(event, Intent) and event.step < 0:
            self._show(0, None, "overview frame")
        elif isinstance(event, Outcome) and event.step >= 0:
            if event.reward is not None:
                self._best = max(event.reward, -float("inf") if self._best is None else self._best)
            best = "" if self._best is None else f"highest reward {self._best:.3g}"
            self._done = event.step + 1
            self._show(self._done, self._total, best)
        elif isinstance(event, Note) and event.topic == "finished":
            self._show(self._done, self._total, "finished")


@contextmanager
def progress_listener(wanted: bool | None = None) -> Iterator[Callable[[Event], None]]:
    """Give a listener that shows how a run gets on.

    Parameters
    ----------
    wanted : bool, optional
        True: show; False: do not; None: show in a terminal only.
    """
    terminal = sys.stderr.isatty()
    if wanted is False or (wanted is None and not terminal):
        yield lambda event: None
    elif terminal:
        with bar() as show:
            yield _Steps(show)
    else:
        yield _Steps(lines())


@contextmanager
def bar() -> Iterator[Callable[[int, int | None, str], None]]:
    """Give a function that moves a progress bar on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(done: int, total: int | None, text: str) -> None:
            progress.update(task, completed=done, total=total, description=text)

        yield show


def lines() -> Callable[[int, int | None, str], None]:
    """Give a function that writes a line to standard error every few seconds."""
    last = time.monotonic()

    def show(done: int, total: int | None, text: str) -> None:
        nonlocal last
        if time.monotonic() - last > _PATIENCE:
            last = time.monotonic()
            of = "" if total is None else f" of {total}"
            sys.stderr.write(f"{done}{of} {text}\n")
            sys.stderr.flush()

    return show
