"""Begin a run, or go on with one that was interrupted."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nanopilot.core import registry
from nanopilot.core.diary import Diary
from nanopilot.core.errors import LinkLost
from nanopilot.core.events import Note, Plan
from nanopilot.core.limits import Estimate
from nanopilot.core.requests import from_outside
from nanopilot.core.values import Value
from nanopilot.instruments import Guard, Lease
from nanopilot.io.history import Recovered, load_history
from nanopilot.io.memory import TwinNote, reached
from nanopilot.io.run_folder import RunFolder, RunRecord
from nanopilot.workflows.connect import reconnect
from nanopilot.workflows.engine import Engine, Listener
from nanopilot.workflows.workflow import Workflow

#: Seconds for which a run holds its instrument at most; when its process dies, so does its lease.
_LONGEST_RUN = 30 * 86400.0

#: Packages whose version can change a number in a run.
_WATCHED = ("nanopilot", "numpy", "scipy", "xarray", "numba", "zarr", "pydantic")


def find(workflow: str) -> Workflow:
    """Return a workflow by name."""
    found: Workflow = registry.load("workflows", workflow)
    return found


def settings_of(workflow: str, settings: Mapping[str, Any]) -> Value:
    """Return the checked settings of a workflow.

    Raises
    ------
    UnknownName
        No such workflow.
    InvalidRequest
        A setting is unknown or outside what it may be.
    """
    return from_outside(find(workflow).settings, **settings)


def fresh_name(workflow: str) -> str:
    """Return a name no other run has; names sort by the time they were given."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{workflow}-{secrets.token_hex(2)}"


def new_record(workflow: str, scope: Guard, settings: Value, name: str) -> RunRecord:
    """Return what was asked, and with which versions."""
    versions = {name: version(name) for name in _WATCHED}
    versions |= {"python": platform.python_version(), "machine": platform.machine()}
    plain = settings.model_dump(mode="json")
    return RunRecord(
        id=name,
        workflow=workflow,
        settings=plain,
        seed=int(plain.get("seed", 0)),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions,
        instrument=scope.source,
    )


def launch(
    workflow: str,
    scope: Guard,
    settings: Mapping[str, Any],
    folder: Path,
    *,
    listeners: tuple[Listener, ...] = (),
) -> None:
    """Carry out a workflow on an instrument and keep it in a folder of its own.

    Parameters
    ----------
    workflow : str
        Name of the workflow.
    scope : Guard
        The instrument.
    settings : mapping
        Of the workflow.
    folder : Path
        Where the run is kept; its last part is the name of the run.
    listeners : tuple of callable
        Are told every event.
    """
    work, checked = find(workflow), settings_of(workflow, settings)
    work.check(scope, checked)
    record = new_record(workflow, scope, checked, folder.name)
    with in_command(scope, record.id) as held, _begun(folder, record, held) as (run, diary):
        engine = Engine(run, held, listeners, diary)
        instrument = scope.describe().model_dump(mode="json")
        engine.record(Plan(workflow=workflow, settings=record.settings, instrument=instrument))
        _carry_out(work, engine, checked)


@contextmanager
def _begun(
    folder: Path, record: RunRecord, scope: Guard
) -> Iterator[tuple[RunFolder, Diary | None]]:
    """Make the folder of a run, with what a twin is like at its beginning; close it at the end."""
    diary = scope.diary()
    entry = None if diary is None else diary.entry()
    start = None if entry is None else TwinNote.of(entry, "the run begins", scope.state())
    with RunFolder.create(folder, record, start=start) as run:
        if diary is not None and entry is not None:
            diary.keep(entry)
        yield run, diary


def rehearse(workflow: str, scope: Guard, settings: Mapping[str, Any]) -> Estimate:
    """Check a workflow as `launch` would, and return what it will cost; nothing is measured.

    Raises
    ------
    NanopilotError
        What speaks against the run.
    """
    work, checked = find(workflow), settings_of(workflow, settings)
    work.check(scope, checked)
    return work.estimate(scope, checked)


def resume(
    folder: Path, scope: Guard | None = None, *, listeners: tuple[Listener, ...] = ()
) -> bool:
    """Go on with an interrupted run; return False where there is nothing left to do.

    A twin becomes again what it was at the last row that speaks of it: time, place, and
    everything that was done to sample and instrument. An instrument that kept its state while
    the run was dead is left alone.

    Parameters
    ----------
    folder : Path
        Of the run.
    scope : Guard, optional
        The instrument; connected as it was before when not given.
    listeners : tuple of callable
        Are told every event.
    """
    with RunFolder.open(folder, write=True) as run:
        if finished(run):
            return False
        record = run.record
        if scope is None:
            scope = reconnect(record.instrument)
        with in_command(scope, record.id) as held:
            _go_on(run, held, listeners)
    return True


def _go_on(run: RunFolder, scope: Guard, listeners: tuple[Listener, ...]) -> None:
    record, progress = run.record, load_history(run.journal.events())
    engine = Engine(run, scope, listeners, _recall(run, scope, progress))
    if not any(isinstance(event, Plan) for event in run.journal.events()):
        instrument = scope.describe().model_dump(mode="json")
        engine.record(
            Plan(workflow=record.workflow, settings=record.settings, instrument=instrument)
        )
    engine.record(Note(topic="resumed", text=f"after {len(progress.history)} steps"))
    settings = settings_of(record.workflow, record.settings)
    _carry_out(find(record.workflow), engine, settings)


def _carry_out(work: Workflow, engine: Engine, settings: Value) -> None:
    """Carry out a run; what a twin was in the middle of when its line went down stays done."""
    try:
        work.carry_out(engine, settings)
    except LinkLost as lost:
        engine.note_twin(str(lost))
        raise


def _recall(run: RunFolder, scope: Guard, progress: Recovered) -> Diary | None:
    """Make a twin what it had become in the run; return the diary, to go on with."""
    diary = scope.diary()
    if diary is not None:
        kept = reached(run.journal)
        time = 0.0 if kept.time is None else kept.time
        last = kept.position or scope.describe().area.centre
        for step, outcome in zip(progress.history.steps, progress.outcomes, strict=True):
            # Where a measurement failed, the tip may never have been.
            last = step.action.position if outcome.signals else last
        diary.recall(time, last, kept.entries)
    return diary


@contextmanager
def in_command(scope: Guard, name: str) -> Iterator[Guard]:
    """Give a run the instrument for itself, unless whoever starts it holds it already.

    Raises
    ------
    NotInCommand
        Somebody else holds it.
    """
    if isinstance(scope, Lease):
        yield scope
    else:
        with scope.lease(f"run {name}", seconds=_LONGEST_RUN) as held:
            yield held


def finished(run: RunFolder) -> bool:
    """Tell whether a run came to its end."""
    return any(
        isinstance(event, Note) and event.topic == "finished" for event in run.journal.events()
    )
