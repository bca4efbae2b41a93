"""`kill-resume`: a run is killed at a random moment and has to end as if it never was."""

from __future__ import annotations

import json
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
from typing import ClassVar, cast
from weakref import finalize

import numpy as np

from nanopilot.bench.track import Bar
from nanopilot.core import registry
from nanopilot.core.capabilities import CapabilityT, Instrument, Restorable
from nanopilot.core.errors import NanopilotError, StoreError
from nanopilot.core.events import Audit, Decision, Outcome
from nanopilot.core.memory import Memory
from nanopilot.core.requests import Position
from nanopilot.instruments import Guard
from nanopilot.io.run_folder import RunFolder
from nanopilot.io.verify import verify
from nanopilot.workflows.launch import finished, resume

#: Of the runs: small enough for twenty of them, large enough for several refits. The twin's tip
#: wears, its piezos creep, its sample switches where it is measured, and something goes wrong.
_RECORDING = ("--instrument", "replay", "--sample", "beps-pto", "--budget", "0.05")
_TWIN = ("--instrument", "spm", "--sample", "ferroelectric", "--budget", "0.0003",
         "--option", "pixels=256", "--option", "size=1 um")  # fmt: skip
_INSTRUMENT = {
    "line_rate": 50.0,
    "wear": {"archard": 1e-12},
    "motion": {"creep": 0.1},
    "noise": {"white": 1e-13, "detector": 0.01},
    "function": {"switching": {"scatter": 0.2, "growth": 60e-9}},
    "faults": {"faults": [{"name": "tip-crash", "time": 10.0, "numbers": {"push": 5e-9}}]},
}
#: A kill that came too late is tried again, each time earlier; so is one on a twin that has
#: nothing to remember yet, or nothing left to measure. This often.
_TRIES = 16
#: Outcomes before a twin's run is killed: the frame, and a first spectrum.
_LEAST = 2


@dataclass(frozen=True, slots=True)
class Visible:
    """What a method is given, and gives back: folders of a run on a recording and on a twin."""

    folder: Path
    twin: Path


@dataclass(frozen=True, slots=True)
class Killed:
    """A killed run, what it had acknowledged, and what an uninterrupted one gives."""

    folder: Path
    acknowledged: tuple[str, ...]
    truth: Mapping[str, object]
    measurements: int


@dataclass(frozen=True, slots=True)
class Case:
    """Two killed runs: on a recording, and on a twin that remembers."""

    visible: Visible
    recording: Killed
    twin: Killed
    keep: Scratch


class Scratch:
    """A folder that goes when nobody holds on to it any more."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="nanopilot-kill-"))
        finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class KillResume:
    """Every seed is two other runs, killed with SIGKILL after another share of their time.

    One measures a recording, which nothing can change. The other one measures a twin: its tip
    wears, its piezos creep, and every spectrum switches domains, so that only who gets all of that
    back goes on with the same sample.

    ``resume`` goes on with the run; ``clock-and-place`` does so with a twin that gets back its
    time and its position only; ``restart`` begins a new run in its place, which ends well and
    loses what had been measured; ``abandon`` leaves the run as it lies.
    """

    name: ClassVar[str] = "kill-resume"
    version: ClassVar[str] = "2"
    about: ClassVar[str] = "kill -9 at a random moment, then resume: same decisions, same signals"
    default: ClassVar[str] = "resume"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="decisions equal an uninterrupted run's", metric="decisions", bar=1.0),
        Bar(what="signals equal an uninterrupted run's", metric="signals", bar=1.0),
        Bar(what="nothing acknowledged is lost", metric="kept", bar=1.0),
        Bar(what="the finished run verifies", metric="verified", bar=1.0),
        Bar(what="at most one step is measured twice", metric="extra", bar=1.0, better="lower"),
        Bar(
            what="on a twin, decisions equal an uninterrupted run's",
            metric="twin_decisions",
            bar=1.0,
        ),
        Bar(what="on a twin, signals equal an uninterrupted run's", metric="twin_signals", bar=1.0),
        Bar(
            what="after every step the twin is what it would have been",
            metric="twin_memory",
            bar=1.0,
        ),
        Bar(what="on a twin, nothing acknowledged is lost", metric="twin_kept", bar=1.0),
        Bar(what="on a twin, the finished run verifies", metric="twin_verified", bar=1.0),
        Bar(
            what="on a twin, at most one step is measured twice",
            metric="twin_extra",
            bar=1.0,
            better="lower",
        ),
        Bar(
            what="clock and place alone give other signals",
            metric="twin_signals",
            bar=0.0,
            better="lower",
            method="clock-and-place",
        ),
    )

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], Visible]]:
        """Resume, and what people do without it."""
        return {
            "resume": _both(_resume),
            "clock-and-place": _both(_resume_forgetful),
            "restart": _both(_restart),
            "abandon": lambda visible: visible,
        }

    def case(self, seed: int) -> Case:
        """Run on both instruments, undisturbed; then again, and kill it on the way."""
        keep = Scratch()
        rng = np.random.default_rng([seed, 0])
        recording = _killed(_Run("recording", seed), keep.path, rng)
        twin = _killed(_Run("twin", seed), keep.path, rng)
        return Case(Visible(recording.folder, twin.folder), recording, twin, keep)

    def score(self, case: Case, answer: Visible) -> Mapping[str, float]:
        """Compare the folder a method left with the uninterrupted run.

        Returns
        -------
        mapping
            ``complete``: 1 if the run came to its end. ``decisions``, ``signals``: 1 if equal to
            the uninterrupted run's. ``kept``: 1 if every outcome acknowledged before the kill is
            there. ``verified``: 1 if no row or chunk was altered. ``extra``: measurements made
            beyond the uninterrupted run's. The same of the twin with ``twin_`` before it, and
            ``twin_memory``: 1 if after every step it had become the same.
        """
        told = _score(case.recording, answer.folder)
        of_twin = _score(case.twin, answer.twin)
        told.pop("memory")
        return told | {f"twin_{name}": value for name, value in of_twin.items()}


def _score(case: Killed, answer: Path) -> dict[str, float]:
    try:
        found = contents(answer)
        return {
            "decisions": float(found["decisions"] == case.truth["decisions"]),
            "signals": float(_equal_signals(found["signals"], case.truth["signals"])),
            "memory": float(found["memory"] == case.truth["memory"]),
            "kept": float(set(case.acknowledged) <= set(_acknowledged(answer))),
            "verified": float(verify(answer).ok),
            "complete": float(_complete(answer)),
            "extra": float(_measurements(answer, case.folder) - case.measurements),
        }
    except NanopilotError:  # no run, or one that cannot be read
        return dict.fromkeys(("decisions", "signals", "memory", "kept", "verified"), 0.0)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run that can be started as often as it takes."""

    on: str
    seed: int

    def command(self, folder: Path) -> tuple[str, ...]:
        """Return the arguments of `nanopilot`."""
        seed, told = str(self.seed), json.dumps(_INSTRUMENT)
        of_twin = (*_TWIN, "--option", f"seed={seed}", "--option", f"settings={told}")
        return (
            "run", "discover", "--no-report", "--reward", "loop-area", "--seed", seed,
            "--folder", str(folder), *(of_twin if self.on == "twin" else _RECORDING),
        )  # fmt: skip


def _killed(run: _Run, place: Path, rng: np.random.Generator) -> Killed:
    whole, killed = place / run.on / "whole", place / run.on / "killed"
    start = time.monotonic()
    _nanopilot(*run.command(whole), check=True)
    seconds = time.monotonic() - start
    shorter, steps = 1.0, len(_acknowledged(whole))
    for _ in range(_TRIES):
        if not _kill(run.command(killed), killed, float(rng.uniform(0, seconds)) * shorter):
            shorter /= 1.5
        elif run.on == "recording" or _LEAST <= len(_acknowledged(killed)) < steps:
            return Killed(killed, _acknowledged(killed), contents(whole), _measurements(whole))
        shutil.rmtree(killed, ignore_errors=True)
    raise StoreError(f"`seed` {run.seed}: the run could not be killed on its way, {_TRIES} times.")


def _both(method: Callable[[Path], Path]) -> Callable[[Visible], Visible]:
    return lambda visible: Visible(method(visible.folder), method(visible.twin))


def _copy(folder: Path, name: str) -> Path:
    """Return a copy, so that every method finds the run as the kill left it."""
    return Path(shutil.copytree(folder, folder.with_name(name)))


def _resume(folder: Path) -> Path:
    copy = _copy(folder, "resumed")
    _nanopilot("resume", str(copy), "--no-report", check=True)
    return copy


def _resume_forgetful(folder: Path) -> Path:
    copy = _copy(folder, "forgotten")
    with RunFolder.open(copy) as run:
        source = run.record.instrument
    instrument = registry.load("instruments", source["instrument"])(**source["options"])
    resume(copy, Guard(Forgetful(instrument), source=source))
    return copy


class Forgetful:
    """A twin that gets back its clock and its place, and nothing of what was done to it.

    Parameters
    ----------
    twin : Instrument
        One that could.
    """

    def __init__(self, twin: Instrument) -> None:
        self._twin = twin
        self._able = twin.capability(Restorable)
        self.name, self.clock = twin.name, twin.clock
        self.describe, self.state = twin.describe, twin.state

    def memory(self) -> Memory:
        """Return what the twin has become, all of it."""
        return self._able.memory()

    def restore(self, time: float, position: Position, memory: Memory | None = None) -> None:
        """Go back to a time and a place."""
        self._able.restore(time, position)

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the twin's part."""
        return cast("CapabilityT", self) if kind is Restorable else self._twin.capability(kind)


def _restart(folder: Path) -> Path:
    fresh = folder.with_name("restarted")
    with RunFolder.open(folder) as run:
        seed = run.record.seed
    _nanopilot(*_Run(folder.parent.name, seed).command(fresh), check=True)
    return fresh


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
    """Return decisions and measured values of a run, and hashes of what a twin had become."""
    with RunFolder.open(folder) as run:
        events = list(run.journal.events())
        decisions = tuple(e.model_dump_json() for e in events if isinstance(e, Decision))
        memory = tuple(event.memory for event in events if isinstance(event, Outcome))
        signals = {
            (name, index): run.signals.get(name, index)
            for name in run.signals.names()
            for index in run.signals.kept(name)
        }
        return {"decisions": decisions, "signals": signals, "memory": memory}


def _equal_signals(found: object, truth: object) -> bool:
    if not isinstance(found, dict) or not isinstance(truth, dict) or found.keys() != truth.keys():
        return False
    return all(found[name].identical(truth[name]) for name in truth)
