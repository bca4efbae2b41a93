"""Plans that are paused, aborted, or fail: nothing goes on, nothing is reported as done."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from bluesky.plan_stubs import mv
from bluesky.plans import count, grid_scan
from bluesky.utils import FailedStatus

import nanopilot as npl
from nanopilot.core.capabilities import Acquisition, Scanner
from nanopilot.core.errors import DeviceError
from nanopilot.core.events import Audit
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments import Guard
from nanopilot.instruments.bluesky import Devices, secured
from nanopilot.twins.plain import PlainTwin
from tests.instruments.bluesky_stand import FRAME, PATIENCE, Engine, Gate, paused


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


@pytest.fixture
def devices() -> Iterator[Callable[[Guard], Devices]]:
    made: list[Devices] = []

    def make(scope: Guard) -> Devices:
        made.append(Devices(scope))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[[Guard], Devices]


def test_resumed_plan_measures_again_what_the_pause_dropped(engine: Engine, devices: Make) -> None:
    clock, rows = Gate(), list[Audit]()
    scope = Guard(PlainTwin(clock, world="tip"), audit=rows.append)
    frame = devices(scope).scanner(FRAME)
    paused(engine, clock, count([frame]))
    assert engine.named("event") == []
    engine.run.resume()
    (values,) = engine.column("plain_frame_height_values")
    assert np.isfinite(values).all()
    assert [row.verdict for row in rows if row.capability == "Scanner"] == ["allowed"] * 2
    assert engine.named("stop")[0]["exit_status"] == "success"


@pytest.mark.parametrize("rests", range(0, 24, 3))
def test_plan_paused_anywhere_and_resumed_gives_what_an_unbroken_one_gives(
    rests: int, engine: Engine, devices: Make
) -> None:
    clock = Gate(rests)
    here = devices(Guard(PlainTwin(clock, world="tip")))
    frame, x, y = here.scanner(FRAME), here.movable("Positioner.x"), here.movable("Positioner.y")
    paused(engine, clock, grid_scan([frame], x, 0, 1e-8, 2, y, 0, 1e-8, 2))
    engine.run.resume()
    assert engine.column("plain_positioner_x") == pytest.approx([0, 0, 1e-8, 1e-8])
    assert engine.column("plain_positioner_y") == pytest.approx([0, 1e-8, 0, 1e-8])
    for values in engine.column("plain_frame_height_values"):
        assert np.isfinite(values).all()
    assert engine.named("stop")[0]["exit_status"] == "success"


@pytest.mark.parametrize("ending", ["abort", "stop", "halt"])
def test_plan_that_is_ended_early_leaves_nothing_measuring(
    ending: str, engine: Engine, devices: Make
) -> None:
    clock = Gate()
    here = devices(Guard(PlainTwin(clock, world="tip")))
    frame = here.scanner(FRAME)
    paused(engine, clock, count([frame]))
    getattr(engine.run, ending)()
    here.close()  # waits for the thread that measures
    assert clock.now() < 0.9 * 64e-3  # of 64 pixels of 1 ms
    assert engine.named("event") == []
    assert len(engine.named("stop")) == 1
    with pytest.raises(DeviceError, match="has measured nothing yet"):
        frame.read()


def test_what_was_measured_before_is_no_answer_to_a_dropped_trigger(devices: Make) -> None:
    clock = Gate(100)
    frame = devices(Guard(PlainTwin(clock, world="tip"))).scanner(FRAME)
    assert frame.trigger().exception(PATIENCE) is None
    assert frame.read()
    clock.shut()
    again = frame.trigger()
    assert clock.waited_for.wait(PATIENCE)
    frame.pause()
    clock.open.set()
    assert again.exception(PATIENCE) is None  # excused: the plan asks for it again
    with pytest.raises(DeviceError, match="trigger it first"):
        frame.read()


def test_dropped_measurement_is_never_reported_as_done(devices: Make) -> None:
    clock = Gate()
    here = devices(Guard(PlainTwin(clock, world="tip")))
    frame, x = here.scanner(FRAME), here.movable("Positioner.x")
    measuring, moving = frame.trigger(), x.set(1e-8)
    assert clock.waited_for.wait(PATIENCE)
    with pytest.raises(TimeoutError):
        measuring.exception(0.0)
    x.stop()
    frame.stop()
    clock.open.set()
    assert isinstance(measuring.exception(PATIENCE), DeviceError)
    assert "was stopped before it began" in str(moving.exception(PATIENCE))
    assert x.locate() == {"setpoint": 0.0, "readback": 0.0}
    heard: list[Any] = []
    measuring.add_callback(heard.append)
    assert heard == [measuring]
    assert not measuring.success


def test_measurement_stopped_while_it_is_being_started_is_dropped(
    devices: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = npl.connect("plain", world="tip")
    frame = devices(scope).scanner(FRAME)
    part = scope.capability(Scanner)

    class Stopped:
        def start(self, request: ScanRequest) -> Acquisition:
            acquisition = part.start(request)
            frame.stop()
            return acquisition

    monkeypatch.setattr(frame, "_part", Stopped)
    assert "was stopped at 0%" in str(frame.trigger().exception(PATIENCE))


def test_measurement_dropped_by_somebody_else_is_a_failure(devices: Make) -> None:
    clock = Gate()
    scope = Guard(PlainTwin(clock, world="tip"))
    measuring = devices(scope).scanner(FRAME).trigger()
    assert clock.waited_for.wait(PATIENCE)
    scope.stop()
    clock.open.set()
    assert "was stopped at" in str(measuring.exception(PATIENCE))


@pytest.mark.parametrize("fails", [True, False])
def test_secured_plan_that_fails_leaves_the_tip_retracted(
    fails: bool, engine: Engine, devices: Make
) -> None:
    scope = npl.connect("plain", world="tip")
    here = devices(scope)
    x, tip = here.movable("Positioner.x"), here.movable("Approach.engaged")

    def plan() -> Iterator[Any]:
        yield from mv(tip, 1)
        yield from mv(x, math.inf if fails else 1e-8)

    if fails:
        with pytest.raises(FailedStatus):
            engine.run(secured(plan(), scope))
    else:
        engine.run(secured(plan(), scope))
    assert scope.state().values["Approach.engaged"] == (0.0 if fails else 1.0)
