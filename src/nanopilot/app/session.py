"""The Python calls; the command line is a thin skin over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nanopilot.app.progress import progress_listener
from nanopilot.core import registry
from nanopilot.core.errors import InvalidRequest
from nanopilot.core.events import Event, Note
from nanopilot.core.history import History
from nanopilot.core.limits import Estimate
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard
from nanopilot.io.catalogue import find_run
from nanopilot.io.history import load_history
from nanopilot.io.run_folder import RunFolder, RunRecord
from nanopilot.io.verify import Verdict, verify
from nanopilot.workflows import counterfactual as _counterfactual
from nanopilot.workflows.connect import connect
from nanopilot.workflows.counterfactual import Counterfactual
from nanopilot.workflows.launch import fresh_name, launch, resume
from nanopilot.workflows.launch import rehearse as _rehearse

__all__ = ["Run", "connect", "open_run", "rehearse", "run", "runs_root"]


def runs_root() -> Path:
    """Return the folder of all runs: ``$NANOPILOT_RUNS``, or ``runs`` in the working folder."""
    return Path(os.environ.get("NANOPILOT_RUNS", "runs"))


class Run:
    """A run on disk, finished or not.

    Parameters
    ----------
    folder : Path
        Holds ``run.json``, ``run.sqlite`` and ``signals.zarr``.
    """

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def record(self) -> RunRecord:
        """What was asked, with which versions and seed."""
        with self._open() as stored:
            return stored.record

    @property
    def history(self) -> History:
        """Every step: where it was, what was found, what it was worth."""
        with self._open() as stored:
            return load_history(stored.journal.events()).history

    @property
    def summary(self) -> Mapping[str, Any]:
        """What the run found; empty while it is unfinished."""
        with self._open() as stored:
            return self._note(stored, "summary")

    def events(self) -> list[Event]:
        """Return the whole journal."""
        with self._open() as stored:
            return list(stored.journal.events())

    def signals(self, name: str, step: int = 0) -> SignalSet:
        """Return signals: ``"structure"``, ``"map"``, or the ``"spectra"`` of one step."""
        with self._open() as stored:
            return stored.signals.get(name, step)

    def verify(self) -> Verdict:
        """Check every row and every chunk against the hashes in the journal."""
        return verify(self.path)

    def resume(self, scope: Guard | None = None, *, progress: bool | None = None) -> bool:
        """Go on where the run was interrupted; False when it is complete already.

        The instrument is connected as it was before, unless it is given.
        """
        self._must_be_an_experiment("go on with")
        with progress_listener(progress) as listener:
            return resume(self.path, scope, listeners=(listener,))

    def replay(self, **changes: Any) -> Counterfactual:
        """Ask what another policy or reward would have done, without measuring.

        Examples
        --------
        ``run.replay(policy="random")``, ``run.replay(reward="coercive-bias")``.
        """
        self._must_be_an_experiment("replay")
        with self._open() as stored:
            return _counterfactual.counterfactual(stored, changes)

    def report(self, path: Path | None = None) -> Path:
        """Write the report, one HTML file with its figures beside it, and return its path."""
        from nanopilot.app.report import write_report

        self._must_be_an_experiment("report on")
        return write_report(self.path, path)

    def _must_be_an_experiment(self, wanted: str) -> None:
        workflow = self.record.workflow
        if workflow not in registry.names("workflows"):
            raise InvalidRequest(
                f"`run` {self.path.name} is the journal of `nanopilot {workflow}`; there is "
                f"nothing to {wanted}. Read it with: nanopilot show --events {self.path}"
            )

    def _open(self) -> RunFolder:
        return RunFolder.open(self.path)

    @staticmethod
    def _note(stored: RunFolder, topic: str) -> Mapping[str, Any]:
        notes = [
            event.data
            for event in stored.journal.events()
            if isinstance(event, Note) and event.topic == topic
        ]
        return notes[-1] if notes else {}


def run(
    workflow: str,
    scope: Guard,
    *,
    folder: Path | str | None = None,
    progress: bool | None = None,
    listener: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Run:
    """Carry out a workflow and return the finished run.

    Parameters
    ----------
    workflow : str
        Such as ``"discover"``.
    scope : Guard
        From `connect`.
    folder : path, optional
        Where to keep the run; a fresh folder below `runs_root` when not given.
    progress : bool, optional
        Show progress; as a bar in a terminal, as lines elsewhere. Not given: in a terminal.
    listener : callable, optional
        Is told every event of the run.
    **settings
        Of the workflow, for instance ``reward="loop-area", budget=0.1, seed=0``.
    """
    with progress_listener(progress) as shown:
        listeners = (shown,) if listener is None else (shown, listener)
        path = runs_root() / fresh_name(workflow) if folder is None else Path(folder)
        launch(workflow, scope, settings, path, listeners=listeners)
    return Run(path)


def rehearse(workflow: str, scope: Guard, **settings: Any) -> Estimate:
    """Return what a run would cost, having checked it as `run` does; nothing is measured.

    Examples
    --------
    >>> rehearse("discover", connect("replay", sample="beps-pto"), budget=0.1).spectra
    250
    """
    return _rehearse(workflow, scope, settings)


def open_run(which: str | Path, root: Path | None = None) -> Run:
    """Return a run by its folder, its name, or the beginning of its name."""
    return Run(find_run(root or runs_root(), str(which)))
