"""`kill-resume`: a run is killed at a random moment and has to end as if it never was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar
from weakref import finalize

import numpy as np

from nanopilot.bench.track import Bar
from nanopilot.core.errors import NanopilotError, StoreError
from nanopilot.core.events import Audit, Decision, Outcome
from nanopilot.io.run_folder import RunFolder
from nanopilot.io.verify import verify
from nanopilot.workflows.launch import finished

#: Of the runs: small enough for twenty of them, large enough for several refits.
_SETTINGS = {"reward": "loop-area", "budget": "0.05"}
#: A kill that came too late is tried again this often, each time earlier.
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Visible:
    """What a method is given: a killed run's folder."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Case:
    """A killed run, what it had acknowledged, and what an uninterrupted one gives."""

    visible: Visible
    acknowledged: tuple[str, ...]
    truth: Mapping[str, object]
    measurements: int
    keep: Scratch


class Scratch:
    """A folder that goes when nobody holds on to it any more."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="nanopilot-kill-"))
        finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class KillResume:
    """Every seed is another run, killed with SIGKILL after another share of its time.

    ``resume`` goes on with the run; ``restart`` begins a new one in its place, which ends
    well and loses what had been measured; ``abandon`` leaves the run as it lies.
    """

    name: ClassVar[str] = "kill-resume"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "kill -9 at a random moment, then resume: same decisions, same signals"
    default: ClassVar[str] = "resume"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="decisions equal an uninterrupted run's", metric="decisions", bar=1.0),
        Bar(what="signals equal an uninterrupted run's", metric="signals", bar=1.0),
        Bar(what="nothing acknowledged is lost", metric="kept", bar=1.0),
        Bar(what="the finished run verifies", metric="verified", bar=1.0),
        Bar(what="at most one step is measured twice", metric="extra", bar=1.0, better="lower"),
    )

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], Path]]:
        """Resume, and what people do without it."""
        return {"resume": _resume, "restart": _restart, "abandon": lambda visible: visible.folder}

    def case(self, seed: int) -> Case:
        """Run once undisturbed, then again and kill it on the way."""
        keep = Scratch()
        whole, killed = keep.path / "whole", keep.path / "killed"
        start = time.monotonic()
        _nanopilot(*_command(seed, whole), check=True)
        seconds = time.monotonic() - start
        rng = np.random.default_rng([seed, 0])
        for attempt in range(_TRIES):
            if _kill(_command(seed, killed), killed, float(rng.uniform(0, seconds)) / 1.5**attempt):
                break
            shutil.rmtree(killed, ignore_errors=True)
        else:
            raise StoreError(f"`seed` {seed}: the run ended before it could be killed, 8 times.")
        return Case(
            Visible(killed), _acknowledged(killed), contents(whole), _measurements(whole), keep
        )

    def score(self, case: Case, answer: Path) -> Mapping[str, float]:
        """Compare the folder a method left with the uninterrupted run.

        Returns
        -------
        mapping
            ``complete``: 1 if the run came to its end. ``decisions``, ``signals``: 1 if equal to
            the uninterrupted run's. ``kept``: 1 if every outcome acknowledged before the kill is
            there. ``verified``: 1 if no row or chunk was altered. ``extra``: measurements made
            beyond the uninterrupted run's.
        """
        try:
            found = contents(answer)
            return {
                "decisions": float(found["decisions"] == case.truth["decisions"]),
                "signals": float(_equal_signals(found["signals"], case.truth["signals"])),
                "kept": float(set(case.acknowledged) <= set(_acknowledged(answer))),
                "verified": float(verify(answer).ok),
                "complete": float(_complete(answer)),
                "extra": float(_measurements(answer, case.visible.folder) - case.measurements),
            }
        except NanopilotError:  # no run, or one that cannot be read
            return {"decisions": 0.0, "signals": 0.0, "kept": 0.0, "verified": 0.0}


def _resume(visible: Visible) -> Path:
    # In a copy, so that every method finds the run as the kill left it.
    copy = visible.folder.with_name("resumed")
    shutil.copytree(visible.folder, copy)
    _nanopilot("resume", str(copy), "--no-report", check=True)
    return copy


def _restart(visible: Visible) -> Path:
    fresh = visible.folder.with_name("restarted")
    with RunFolder.open(visible.folder) as run:
        seed = run.record.seed
    _nanopilot(*_command(seed, fresh), check=True)
    return fresh


def _command(seed: int, folder: Path) -> tuple[str, ...]:
    settings = [part for name, value in _SETTINGS.items() for part in (f"--{name}", value)]
    return (
        "run", "discover", "--instrument", "replay", "--sample", "beps-pto", "--no-report",
        "--seed", str(seed), "--folder", str(folder), *settings,
    )  # fmt: skip


def _nanopilot(*arguments: str, check: bool = False) -> None:
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "nanopilot", *arguments], check=check, capture_output=True
    )


def _kill(command: tuple[str, ...], folder: Path, after: float) -> bool:
    """Start a run, kill it `after` seconds from its first sign of life; False if it had ended."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "nanopilot", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not (folder / "run.json").exists():
        time.sleep(0.002)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return not _complete(folder)
    return False


def _complete(folder: Path) -> bool:
    with RunFolder.open(folder) as run:
        return finished(run)


def _acknowledged(folder: Path) -> tuple[str, ...]:
    """Return every outcome the journal holds, as it was written."""
    with RunFolder.open(folder) as run:
        return tuple(
            event.model_dump_json() for event in run.journal.events() if isinstance(event, Outcome)
        )


def _measurements(folder: Path, killed: Path | None = None) -> int:
    """Return how often the instrument measured for a run, its killed forerunner included."""
    with RunFolder.open(folder) as run:
        record, events = run.record, list(run.journal.events())
    count = sum(isinstance(event, Audit) and event.verdict == "allowed" for event in events)
    if killed is None:
        return count
    with RunFolder.open(killed) as before:
        return count if before.record == record else count + _measurements(killed)


def contents(folder: Path) -> dict[str, object]:
    """Return the decisions and the measured values of a finished run."""
    with RunFolder.open(folder) as run:
        decisions = tuple(
            event.model_dump_json() for event in run.journal.events() if isinstance(event, Decision)
        )
        signals = {
            (name, index): run.signals.get(name, index)
            for name in run.signals.names()
            for index in run.signals.kept(name)
        }
        return {"decisions": decisions, "signals": signals}


def _equal_signals(found: object, truth: object) -> bool:
    if not isinstance(found, dict) or not isinstance(truth, dict) or found.keys() != truth.keys():
        return False
    return all(found[name].identical(truth[name]) for name in truth)
