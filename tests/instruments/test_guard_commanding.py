"""One commander at a time, a watchdog over him, and a stop that waits for nobody."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.core.adjustables import Approach, Beam, Focus, Positioner, Stage
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import (
    BudgetExceeded,
    Interlocked,
    InvalidRequest,
    NanopilotError,
    NotInCommand,
    Stopped,
    StoreError,
)
from nanopilot.core.events import Audit
from nanopilot.core.limits import Budget
from nanopilot.core.requests import ScanRequest, SetRequest
from nanopilot.instruments import Guard, Lease
from tests.instruments.watched import Twin, guarded

FRAME = ScanRequest(centre=(0, 0), field_of_view=(1e-7, 1e-7), shape=(4, 4))


def until(true: Callable[[], bool]) -> bool:
    """Wait until something is true; give up after ten seconds."""
    end = time.monotonic() + 10
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def walled(twin: Twin) -> tuple[Guard, list[Audit], VirtualClock]:
    wall = VirtualClock()
    scope, rows = guarded(twin, wall=wall)
    return scope, rows, wall


def test_while_a_lease_is_in_force_only_its_holder_commands() -> None:
    twin = Twin()
    scope, rows, _ = walled(twin)
    with scope.lease("anna", 10) as mine:
        assert isinstance(mine, Lease)
        assert isinstance(mine, Guard)
        mine.capability(Focus).set(defocus=1e-9)
        for attempt in (
            lambda: scope.capability(Focus).set(defocus=2e-9),
            lambda: scope.capability(Scanner).start(FRAME),
            lambda: scope.lease("ben"),
            lambda: mine.lease("ben"),
            lambda: scope.begin_run(Budget(), lambda row: None),
            lambda: scope.restore(0.0, (0.0, 0.0)),
        ):
            with pytest.raises(NotInCommand, match="held by 'anna' for another 10 s"):
                attempt()
        assert {one.kind for one in scope.violations(FRAME)} == {"command"}
        assert mine.violations(FRAME) == []
    scope.capability(Focus).set(defocus=3e-9)
    with pytest.raises(NotInCommand, match="was released"):
        mine.capability(Focus).set(defocus=4e-9)
    assert [values["defocus"] for _, values in twin.wire] == [1e-9, 3e-9]
    assert {row.by for row in rows if row.verdict == "allowed"} == {"anna", ""}
    assert [row.by for row in rows if row.verdict == "command"] == ["anna", "anna"]


def test_a_lease_runs_out_unless_it_is_renewed() -> None:
    scope, rows, wall = walled(Twin())
    mine = scope.lease("anna", 10)
    wall.sleep(9)
    mine.renew()
    wall.sleep(9)
    mine.renew(20)
    assert mine.expires == 38
    wall.sleep(19)
    assert mine.alive()
    wall.sleep(1)
    assert not mine.alive()
    with pytest.raises(NotInCommand, match="has run out; take a new one"):
        mine.capability(Focus).set(defocus=1e-9)
    with pytest.raises(NotInCommand):
        mine.renew()
    assert any("run out" in row.reasons[0] for row in rows if row.verdict == "command")
    scope.lease("ben", 1).capability(Focus).set(defocus=2e-9)


def test_whose_lease_ran_out_may_still_make_safe_unless_another_commands() -> None:
    twin = Twin("tip")
    scope, _, wall = walled(twin)
    mine = scope.lease("anna", 1)
    wall.sleep(2)
    mine.capability(Approach).set(engaged=0)
    with pytest.raises(NotInCommand):
        mine.capability(Approach).set(engaged=1)
    with scope.lease("ben", 1), pytest.raises(NotInCommand):
        mine.capability(Approach).set(engaged=0)
    assert len(twin.wire) == 1


times = st.sampled_from((0.0, -1.0, float("nan"), float("inf"), None, "1", True))


@given(times)
def test_a_lease_lasts_a_time_and_has_a_holder(seconds: Any) -> None:
    scope, _, _ = walled(Twin())
    for ask in (
        lambda: scope.lease("anna", seconds),
        lambda: scope.lease("anna", silence=seconds if seconds is not None else 0),
        lambda: scope.lease(""),
        lambda: scope.lease(None),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidRequest):
            ask()
    scope.lease("anna").release()


def test_no_lease_is_given_that_cannot_be_written_down() -> None:
    def full(row: Audit) -> None:
        raise OSError("disk full")

    scope = Guard(Twin(), audit=full)
    with pytest.raises(StoreError):
        scope.lease("anna")
    with pytest.raises(StoreError):  # and not: in the hands of anna
        scope.capability(Focus).set(defocus=0.0)


def test_a_silent_commander_loses_the_instrument_and_it_is_made_safe() -> None:
    twin = Twin()
    twin.put("Beam.blanked", 0.0)
    scope, rows, wall = walled(twin)
    mine = scope.lease("anna", 1000, silence=5)
    scan = mine.capability(Scanner).start(FRAME)
    wall.sleep(4)
    assert mine.alive()
    wall.sleep(4)
    time.sleep(0.2)
    assert twin.wire == []
    wall.sleep(1)
    assert until(lambda: any(row.verdict == "secured" for row in rows))
    assert twin._state.values["Beam.blanked"] == 1
    assert twin._state.values["Approach.engaged"] == 0
    assert list(scan) == []  # it was stopped
    (row,) = (row for row in rows if row.verdict == "secured")
    assert row.by == "anna"
    assert "5 s of silence" in row.reasons[0]
    assert {"stopped Scanner", "set Beam.blanked to 1", "set Approach.engaged to 0"} <= set(
        row.reasons
    )
    with pytest.raises(NotInCommand, match="silence"):
        mine.capability(Focus).set(defocus=1e-9)
    mine.release()
    scope.capability(Focus).set(defocus=1e-9)


def test_a_commander_whose_command_takes_long_is_not_silent() -> None:
    twin = Twin("tip")
    scope, rows, wall = walled(twin)
    part: Any = twin._parts["Positioner"]
    inner = part.inner

    class Slow:
        def set(self, **values: float) -> Any:
            wall.sleep(100)
            time.sleep(0.2)
            return inner.set(**values)

    part.inner = Slow()
    with scope.lease("anna", 1000, silence=5) as mine:
        mine.capability(Positioner).set(x=1e-9)
        assert mine.alive()
    assert "secured" not in {row.verdict for row in rows}


def test_the_watchdog_goes_on_past_what_fails_and_says_so() -> None:
    twin = Twin()
    part: Any = twin._parts["Beam"]
    part.inner = None  # cannot be set
    twin.put("Beam.blanked", 0.0)
    scope, rows = guarded(twin)
    done = scope.make_safe("to see")
    assert any(said.startswith("failed to set Beam.blanked") for said in done)
    assert "set Approach.engaged to 0" in done
    assert rows[-1].reasons == ("to see", *done)


def test_after_an_emergency_stop_nothing_is_done_until_it_is_released() -> None:
    twin = Twin()
    twin.put("Beam.blanked", 0.0)
    scope, rows = guarded(twin)
    mine = scope.lease("anna", 10)
    scan = mine.capability(Scanner).start(FRAME)
    done = scope.emergency_stop("ben", "smoke")  # he has no lease
    assert "set Beam.blanked to 1" in done
    assert list(scan) == []
    before = len(twin.wire)
    for who in (scope, mine):
        with pytest.raises(Stopped, match=r"pressed by 'ben' \(smoke\)"):
            who.capability(Focus).set(defocus=1e-9)
        with pytest.raises(Stopped):
            who.capability(Scanner).start(FRAME)
        assert {one.kind for one in who.violations(FRAME)} == {"stopped"}
        scope.stop()
        assert who.capability(Focus).get("defocus") == 0.0
    assert len(twin.wire) == before
    scope.release_stop("ben")
    mine.capability(Focus).set(defocus=1e-9)
    assert [row.by for row in rows if row.verdict == "stopped"] == ["ben", "ben"]


def test_an_emergency_stop_waits_for_no_command_and_secures_again_after_it() -> None:
    twin = Twin("tip")
    twin.put("Approach.engaged", 0.0)
    part: Any = twin._parts["Approach"]
    inner, there, go = part.inner, threading.Event(), threading.Event()

    class Slow:
        def set(self, **values: float) -> Any:
            if values["engaged"]:
                there.set()
                assert go.wait(10)
            return inner.set(**values)

    part.inner = Slow()
    part.parameters = inner.parameters
    scope, rows = guarded(twin)
    came: list[BaseException] = []

    def approach() -> None:
        try:
            scope.capability(Approach).set(engaged=1)
        except NanopilotError as error:
            came.append(error)

    thread = threading.Thread(target=approach)
    thread.start()
    assert there.wait(10)
    scope.emergency_stop("ben", "smoke")  # would hang if it waited for the command
    go.set()
    thread.join()
    assert [type(one) for one in came] == [Stopped]
    assert twin._state.values["Approach.engaged"] == 0
    assert [row.verdict for row in rows] == ["allowed", "stopped", "secured"]


def test_no_thread_slips_between_an_interlock_and_what_it_allowed() -> None:
    twin = Twin("tip")
    twin.put("Approach.engaged", 0.0)
    scope, _ = guarded(twin)
    wrong: list[float] = []
    stage: Any = twin._parts["Stage"]
    inner = stage.inner

    class Watching:
        def set(self, **values: float) -> Any:
            time.sleep(0.0005)  # long enough for another thread to come in between
            wrong.extend(v for v in (twin._state.values["Approach.engaged"],) if v != 0)
            return inner.set(**values)

    stage.inner = Watching()

    def hammer(kind: Any, values: dict[str, float]) -> None:
        for _ in range(100):
            try:
                scope.capability(kind).set(**values)
            except Interlocked:
                scope.capability(Approach).set(engaged=0)

    threads = [
        threading.Thread(target=hammer, args=args)
        for args in ((Stage, {"x": 1e-6}), (Approach, {"engaged": 1}), (Approach, {"engaged": 0}))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_rehearsal_judges_everything_and_sends_nothing() -> None:
    twin = Twin("tip")
    scope, rows = guarded(twin, budget=Budget(frames=2))
    rehearsal = scope.rehearsal()
    with pytest.raises(Interlocked):
        rehearsal.capability(Stage).set(x=1e-6)
    (setting,) = rehearsal.capability(Approach).set(engaged=0)
    assert (setting.commanded, setting.read_back) == (None, None)
    rehearsal.capability(Stage).set(x=1e-6)  # the tip is retracted, as far as was rehearsed
    for _ in range(2):
        assert list(rehearsal.capability(Scanner).start(FRAME)) == []
    with pytest.raises(BudgetExceeded):
        rehearsal.capability(Scanner).start(FRAME)
    rehearsal.stop()
    assert twin.wire == []
    assert scope.spent.frames == 0
    assert twin._scanner._running is None
    assert {row.verdict for row in rows} == {"refused", "rehearsed"}
    with pytest.raises(Interlocked):
        scope.capability(Stage).set(x=1e-6)


def test_whoever_is_not_in_command_cannot_set_by_a_request_either() -> None:
    scope, _, _ = walled(Twin())
    request = SetRequest(capability="Beam", values={"blanked": 1})
    assert scope.violations(request) == []
    with scope.lease("anna"):
        assert [one.kind for one in scope.violations(request)] == ["command"]
        with pytest.raises(NotInCommand):
            scope.capability(Beam).set(blanked=1)
