"""A run on a twin that is killed goes on as if it never was: journal, signals, and the truth."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanopilot.core.adjustables import BiasSource, Feedback
from nanopilot.core.capabilities import BiasWriter
from nanopilot.core.clock import VirtualClock
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import LinkLost, StoreError
from nanopilot.core.events import Audit, Decision, Event, Intent, Note, Outcome, Plan
from nanopilot.core.memory import Memory
from nanopilot.core.requests import Position, WriteRequest
from nanopilot.instruments import Guard
from nanopilot.io.run_folder import RunFolder
from nanopilot.io.verify import verify
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin
from nanopilot.workflows.launch import launch, resume
from nanopilot.workflows.twins import make_sample

#: Everything that leaves something behind: wear, creep, scatter, and faults on the way.
INSTRUMENT: dict[str, Any] = {
    "tip": {"apexes": [{"radius": 20e-9}]},
    "line_rate": 50.0,
    "wear": {"archard": 2e-12},
    "motion": {"creep": 0.1, "drift": (1e-11, 0.0, 0.0), "sensors": True},
    "noise": {"white": 1e-13, "detector": 0.01},
    "function": {"switching": {"scatter": 0.2, "growth": 60e-9}},
    "faults": {
        "faults": [
            {"name": "drift-jump", "time": 1.5},
            {"name": "tip-crash", "time": 3.0, "numbers": {"push": 5e-9}},
            {"name": "detector-dropout", "time": 4.5, "of": "piezoresponse",
             "numbers": {"seconds": 2.0}},
            {"name": "stuck-sensor", "time": 5.5, "of": "Positioner.x"},
            {"name": "double-tip", "time": 6.5},
        ]
    },
}  # fmt: skip
ASKED = {"budget": 0.1, "seed": 1, "survey": 4, "window": 3}


class SmallTwin(SpmTwin):
    """The twin with a coarse grid, so that a run takes a second."""

    def describe(self) -> InstrumentDescription:
        return super().describe().model_copy(update={"grid": (10, 10)})


@cache
def film(seed: int = 3) -> Sample:
    return make_sample("ferroelectric", seed, size="600 nm", pixels=96, recipe={})


def made(kind: type[SpmTwin] = SmallTwin, **changes: Any) -> SpmTwin:
    told = SpmSettings.model_validate(INSTRUMENT | changes)
    return kind(film(), VirtualClock(), settings=told, seed=3)


def truth(twin: SpmTwin) -> dict[str, bytes]:
    """Return everything there is of a twin, bit by bit, read without the help of `memory`."""
    world, path = twin.truth, twin.faults.path
    told = {
        "tip": world.tip, "settings": world.settings, "events": world.events, "held": world.held,
        "worn": world.worn, "place": world.place, "drawn": world._drawn, "jumps": path._jumps,
        "shifts": path._shifts, "centre": path._centre, "to come": twin.faults._to_come,
        "out": twin.faults._out, "stuck": twin.faults._stuck, "down": twin.faults._down,
        "state": twin.state(), "clock": twin.clock.now(),
    }  # fmt: skip
    found = {name: repr(value).encode() for name, value in told.items()}
    layers = {"height": world.height, "apparent": world.apparent} | world.layers
    return found | {name: sha256(layer.tobytes()).digest() for name, layer in layers.items()}


def rows(folder: Path) -> list[str]:
    """Return the rows of a run, but for those that tell of its deaths and what they cost."""
    with RunFolder.open(folder) as run:
        events = list(run.journal.events())
    kept = []
    for event in events:
        if isinstance(event, Note) and event.topic in ("run", "resumed", "unknown", "planned"):
            continue
        if isinstance(event, Audit | Plan):
            continue
        kept.append(_costless(event).model_dump_json())
    return kept


def _costless(event: Event) -> Event:
    return event.model_copy(update={"spent": None}) if isinstance(event, Outcome) else event


def signals(folder: Path) -> dict[tuple[str, int], Any]:
    with RunFolder.open(folder) as run:
        store = run.signals
        return {(n, i): store.get(n, i) for n in store.names() for i in store.kept(n)}


def assert_same_run(folder: Path, whole: Path) -> None:
    found, expected = rows(folder), rows(whole)
    # An overview that was begun twice has two intents.
    assert list(dict.fromkeys(found)) == list(dict.fromkeys(expected))
    measured, reference = signals(folder), signals(whole)
    assert measured.keys() == reference.keys()
    for key, one in reference.items():
        assert one.identical(measured[key]), key
    assert verify(folder).ok


class Killed(BaseException):
    """What no part of the program catches."""


def kill_at(number: int) -> Callable[[Event], None]:
    """Return a listener that kills the run at its event of this number."""
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            raise Killed

    return listen


Whole = tuple[Path, dict[str, bytes]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder, twin = tmp_path_factory.mktemp("whole") / "run", made()
    launch("discover", Guard(twin), ASKED, folder)
    return folder, truth(twin)


def test_the_run_leaves_something_behind(whole: Whole) -> None:
    """Else the tests below would show nothing."""
    before = truth(made())
    changed = {name for name, value in before.items() if whole[1][name] != value}
    assert changed >= {
        "tip", "worn", "events", "drawn", "jumps", "shifts", "out", "stuck", "to come",
        "polarisation", "height", "apparent",
    }  # fmt: skip


@given(kills=st.lists(st.integers(1, 45), min_size=1, max_size=3))
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_run_killed_at_any_event_ends_as_if_it_never_was(
    whole: Whole, tmp_path_factory: pytest.TempPathFactory, kills: list[int]
) -> None:
    folder, twin = tmp_path_factory.mktemp("killed") / "run", made()
    with suppress(Killed):
        launch("discover", Guard(twin), ASKED, folder, listeners=(kill_at(kills[0]),))
    for number in kills[1:]:
        again = made()
        with suppress(Killed):
            if resume(folder, Guard(again), listeners=(kill_at(number),)):
                twin = again
    again = made()
    if resume(folder, Guard(again)):
        twin = again
    assert_same_run(folder, whole[0])
    assert truth(twin) == whole[1]


def launched(folder: Path, scope: Guard, kill: int | None = None) -> None:
    listeners = () if kill is None else (kill_at(kill),)
    with suppress(Killed):
        launch("discover", scope, ASKED, folder, listeners=listeners)


WHO = """
    import os, signal, sys
    from pathlib import Path
    from nanopilot.instruments import Guard
    from nanopilot.workflows.launch import launch, resume
    from tests.workflows.test_twin_resume import ASKED, made, truth

    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    seen = 0

    def listen(event):
        global seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    twin = made()
    if folder.exists():
        resume(folder, Guard(twin), listeners=(listen,))
    else:
        launch("discover", Guard(twin), ASKED, folder, listeners=(listen,))
    for name, value in truth(twin).items():
        print(name, value.hex())
"""


def in_new_process(folder: Path, kill: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(WHO), str(folder), str(kill)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)


def test_run_killed_by_the_system_goes_on_in_a_new_process_bit_by_bit(
    whole: Whole, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert in_new_process(folder, 23).returncode == -signal.SIGKILL
    ended = in_new_process(folder, 0)
    assert ended.returncode == 0, ended.stderr
    assert_same_run(folder, whole[0])
    told = dict(line.rsplit(" ", 1) for line in ended.stdout.splitlines())
    assert told == {name: value.hex() for name, value in whole[1].items()}


def test_what_was_done_before_the_run_began_is_not_lost_either(tmp_path: Path) -> None:
    def used() -> SpmTwin:
        twin = made()
        scope = Guard(twin)
        writing = WriteRequest(points=((0.0, 0.0), (50e-9, 0.0)), bias=(9.0,), duration="10 ms")
        scope.capability(BiasWriter).start(writing).result()
        scope.capability(BiasSource).set(bias=0.5)
        scope.capability(Feedback).set(setpoint=30e-9)
        return twin

    through = used()
    launched(tmp_path / "whole", Guard(through))
    launched(tmp_path / "run", Guard(used()), kill=1)
    fresh = made()
    resume(tmp_path / "run", Guard(fresh))
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert truth(fresh) == truth(through)


def test_run_killed_before_its_plan_was_written_remembers_what_was_there(tmp_path: Path) -> None:
    """The folder appears with the memory in it: there is no moment between the two."""
    twin = made()
    Guard(twin).capability(BiasSource).set(bias=0.5)
    launched(tmp_path / "run", Guard(twin), kill=1)
    with RunFolder.open(tmp_path / "run") as run:
        kinds = [type(event) for event in run.journal.events()]
    assert kinds[:3] == [Note, Note, Plan]


class Forgetful(SmallTwin):
    """A twin that gets back its clock and its place, and nothing else."""

    def restore(self, time: float, position: Position, memory: Memory | None = None) -> None:
        super().restore(time, position)


def test_clock_and_place_alone_give_another_run(whole: Whole, tmp_path: Path) -> None:
    launched(tmp_path / "run", Guard(made()), kill=30)
    twin = made(Forgetful)
    resume(tmp_path / "run", Guard(twin))
    with pytest.raises(AssertionError):
        assert_same_run(tmp_path / "run", whole[0])
    assert truth(twin) != whole[1]


def test_the_same_process_may_go_on_with_the_twin_it_has(whole: Whole, tmp_path: Path) -> None:
    """It goes back to before the step that was under way, which is then measured again."""
    twin = made()
    launched(tmp_path / "run", Guard(twin), kill=33)
    resume(tmp_path / "run", Guard(twin))
    assert_same_run(tmp_path / "run", whole[0])
    assert truth(twin) == whole[1]


def test_another_sample_is_refused(tmp_path: Path) -> None:
    launched(tmp_path / "run", Guard(made()), kill=20)
    other = SmallTwin(film(4), VirtualClock(), settings=SpmSettings.model_validate(INSTRUMENT))
    with pytest.raises(StoreError, match="`height` of the twin is not made as it was"):
        resume(tmp_path / "run", Guard(other))


def test_run_whose_line_was_cut_goes_on_after_the_cut(tmp_path: Path) -> None:
    cut = {"faults": {"faults": [{"name": "lost-link", "time": 4.0}]}}
    with pytest.raises(LinkLost):
        launch("discover", Guard(made(**cut)), ASKED, tmp_path / "run")
    assert resume(tmp_path / "run", Guard(made(**cut)))
    assert verify(tmp_path / "run").ok


def test_policy_that_sleeps_is_not_waited_for_twice(tmp_path: Path) -> None:
    """Time that passes between outcome and intent is in the intent, with what was set then."""

    def tinkering(twin: SpmTwin) -> Callable[[Event], None]:
        def listen(event: Event) -> None:
            if isinstance(event, Outcome) and event.step == 2:
                twin.clock.sleep(11.0)
                twin.capability(BiasSource).set(bias=0.25)

        return listen

    through, first, fresh = made(), made(), made()
    launch("discover", Guard(through), ASKED, tmp_path / "whole", listeners=(tinkering(through),))

    def kill(event: Event) -> None:
        if isinstance(event, Intent) and event.step == 3:
            raise Killed

    with pytest.raises(Killed):
        launch(
            "discover", Guard(first), ASKED, tmp_path / "run", listeners=(tinkering(first), kill)
        )
    resume(tmp_path / "run", Guard(fresh))
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert truth(fresh) == truth(through)


def test_decisions_do_not_tell_listeners_what_the_twin_has_become(whole: Whole) -> None:
    """Rows have a hash of the memory; the truth is in nothing that is passed on."""
    with RunFolder.open(whole[0]) as run:
        events = list(run.journal.events())
    kept = [event.memory for event in events if isinstance(event, Intent | Outcome)]
    assert any(kept)
    assert all(one == "" or len(one) == 64 for one in kept)
    assert any(isinstance(event, Decision) for event in events)
