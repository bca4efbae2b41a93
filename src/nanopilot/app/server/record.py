"""The journal of a server: a run folder that every verdict goes into as it is made."""

from __future__ import annotations

from pathlib import Path

from nanopilot.core.events import Plan
from nanopilot.core.requests import from_outside
from nanopilot.core.values import Value
from nanopilot.instruments import Guard
from nanopilot.io.run_folder import RunFolder
from nanopilot.workflows.launch import fresh_name, new_record


class Serve(Value):
    """What was asked of a server, as it stands in the record of its folder."""

    name: str
    host: str


def open_journal(root: Path, scope: Guard, name: str, host: str) -> RunFolder:
    """Make the folder of a server's journal below `root`.

    It survives the end of the process, not loss of power: a flush to the disk for every row would
    make each command wait for it.

    Raises
    ------
    StoreError
        It cannot be made.
    """
    settings = from_outside(Serve, name=name, host=host)
    run = fresh_name("serve")
    folder = RunFolder.create(
        root / run, new_record("serve", scope, settings, run), durability="process"
    )
    plan = Plan(
        workflow="serve",
        settings=settings.model_dump(mode="json"),
        instrument=scope.describe().model_dump(mode="json"),
    )
    folder.journal.append(plan)
    return folder
