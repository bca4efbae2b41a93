"""Faults happen when they are told to, leave what was measured alone, and are over in time."""

import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from nanopilot.core.adjustables import Positioner
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import InvalidRequest, LinkLost, NotReached, UnknownName
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard
from nanopilot.twins.spm import Fault, FaultSchedule, Sample, SpmSettings, SpmTwin

FRAME = ScanRequest(centre=(0.0, 0.0), field_of_view=(160e-9, 120e-9), shape=(12, 80))


def made(**settings: Any) -> SpmTwin:
    y, x = np.indices((128, 128)) * 2e-9
    height = 2e-9 * np.sin(2 * np.pi * x / 61e-9) * np.cos(2 * np.pi * y / 53e-9 + 0.3)
    sample = Sample("hills", height, 2e-9)
    return SpmTwin(sample, VirtualClock(), settings=SpmSettings.model_validate(settings), seed=1)


def scan(twin: SpmTwin, **changes: Any) -> SignalSet:
    return twin.capability(Scanner).start(FRAME.model_copy(update=changes)).result()


def what(twin: SpmTwin) -> list[str]:
    return [event["what"] for event in twin.truth.events]


def test_a_lost_link_comes_out_of_the_scan_once_and_the_blocks_before_it_stay() -> None:
    twin = made()
    acquisition = Guard(twin).capability(Scanner).start(FRAME)
    blocks = iter(acquisition)
    for _ in range(3):
        next(blocks)
    twin.faults.inject("lost-link")
    with pytest.raises(LinkLost, match="read the instrument back"):
        next(blocks)
    heights = acquisition.result()["height"].to_numpy()
    assert np.isfinite(heights[:3]).all()
    assert np.isnan(heights[3:]).all()
    assert np.isfinite(scan(twin)["height"].to_numpy()).all()


def test_nothing_answers_while_the_link_is_down() -> None:
    twin = made()
    twin.faults.inject("lost-link", seconds=30.0)
    for ask in (twin.state, lambda: scan(twin), lambda: twin.capability(Positioner).set(x=0.0)):
        with pytest.raises(LinkLost):
            ask()
    twin.clock.sleep(31.0)
    assert twin.state().get("Positioner.x") == 0.0


def test_a_stuck_sensor_reads_what_it_read_while_the_tip_moves() -> None:
    twin = made()
    positioner = twin.capability(Positioner)
    positioner.set(x=10e-9)
    twin.faults.inject("stuck-sensor", of="Positioner.x", seconds=60.0)
    settings = positioner.set(x=50e-9, y=20e-9)
    assert [one.read_back for one in settings] == [10e-9, 20e-9]
    assert twin.state().get("Positioner.x") == 10e-9
    assert twin.truth.place == (50e-9, 20e-9)
    twin.clock.sleep(60.0)
    assert positioner.get("x") == 50e-9


def test_the_guard_notices_a_stuck_sensor() -> None:
    twin = made()
    twin.faults.inject("stuck-sensor", of="Positioner.x")
    with pytest.raises(NotReached, match="`Positioner\\.x`"):
        Guard(twin).capability(Positioner).set(x=40e-9)


def test_what_was_due_before_a_restart_has_happened_after_it() -> None:
    schedule = {"faults": [{"name": "drift-jump", "time": 5.0, "numbers": {"z": 4e-9}}]}
    through, again = made(faults=schedule), made(faults=schedule)
    scan(through)
    again.restore(12.0, (0.0, 0.0))
    for twin in (through, again):
        assert twin.clock.now() == 12.0
    np.testing.assert_array_equal(scan(through)["height"], scan(again)["height"])


def test_a_stuck_position_sensor_sticks_in_frames_too() -> None:
    twin = made(motion={"sensors": True})
    twin.faults.inject("stuck-sensor", of="Positioner.y")
    found = scan(twin)
    assert np.ptp(found["measured_y"].to_numpy()) == 0.0
    assert np.ptp(found["measured_x"].to_numpy()) > 150e-9


def test_a_detector_that_drops_out_reads_nothing_for_its_time_and_others_go_on() -> None:
    twin, plain = made(), made()
    twin.clock.sleep(2.0)
    plain.clock.sleep(2.0)
    acquisition = twin.capability(Scanner).start(FRAME)
    blocks = iter(acquisition)
    next(blocks)
    next(blocks)
    twin.faults.inject("detector-dropout", of="deflection", seconds=3.0)
    found, expected = acquisition.result(), scan(plain)
    out = (found["deflection"] == 0).to_numpy().all(axis=1)
    assert np.flatnonzero(out).tolist() == [2, 3, 4]
    np.testing.assert_array_equal(found["height"], expected["height"])
    np.testing.assert_array_equal(found["deflection"][~out], expected["deflection"][~out])


def test_a_drift_jump_shifts_what_comes_after_it() -> None:
    twin, plain = made(), made()
    twin.faults.inject("drift-jump", x=20e-9, y=-8e-9, z=3e-9)
    found = scan(twin, field_of_view=(100e-9, 60e-9))["height"]
    expected = scan(plain, centre=(20e-9, -8e-9), field_of_view=(100e-9, 60e-9))["height"]
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy() + 3e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["tip-crash", "tip-change", "double-tip", "drift-jump"])
def test_faults_of_tip_and_sample_are_noted_and_change_the_image(name: str) -> None:
    twin, plain = made(), made()
    twin.faults.inject(name)
    assert what(twin)[0] == f"fault: {name}"
    assert np.abs(scan(twin)["height"] - scan(plain)["height"]).max() > 1e-11
    assert (twin.truth.tip != plain.truth.tip) == (name != "drift-jump")
    assert ("crash" in what(twin)) == (name == "tip-crash")


def test_a_schedule_happens_at_its_times() -> None:
    schedule = FaultSchedule(
        faults=(
            Fault(name="tip-change", time=4.5),
            Fault(name="lost-link", time=8.0),
            Fault(name="tip-change", time=1e4),
        )
    )
    twin = made(faults=schedule.model_dump())
    acquisition = twin.capability(Scanner).start(FRAME)
    with pytest.raises(LinkLost):
        acquisition.result()
    heights = acquisition.result()["height"].to_numpy()
    plain = scan(made())["height"].to_numpy()
    assert np.isfinite(heights[:8]).all()
    assert np.isnan(heights[8:]).all()
    np.testing.assert_array_equal(heights[:5], plain[:5])
    assert np.abs(heights[5:8] - plain[5:8]).max() > 1e-11
    assert twin.truth.events[0]["time"] == pytest.approx(5.0)
    assert what(twin).count("fault: tip-change") == 1


def test_a_drawn_schedule_is_seeded_and_as_frequent_as_asked() -> None:
    def drawn(seed: int) -> FaultSchedule:
        rng = np.random.default_rng(seed)
        return FaultSchedule.drawn(
            rng, seconds=3600 * 100, per_hour={"tip-change": 2.0, "stuck-sensor": 0.5}
        )

    assert drawn(1) == drawn(1) != drawn(2)
    names = [fault.name for fault in drawn(1).faults]
    assert names.count("tip-change") == pytest.approx(200, abs=4 * math.sqrt(200))
    assert names.count("stuck-sensor") == pytest.approx(50, abs=4 * math.sqrt(50))
    assert set(names) == {"tip-change", "stuck-sensor"}
    assert FaultSchedule.model_validate_json(drawn(1).model_dump_json()) == drawn(1)


def test_no_fault_changes_no_byte() -> None:
    twin = made(faults={"faults": [{"name": "tip-change", "time": 1e6}]})
    assert scan(twin)["height"].to_numpy().tobytes() == scan(made())["height"].to_numpy().tobytes()


def test_unknown_faults_and_numbers_are_refused() -> None:
    faults = made().faults
    with pytest.raises(UnknownName, match="tip-crash"):
        faults.inject("tip-crsh")
    with pytest.raises(InvalidRequest, match="`volts` is no number of tip-crash"):
        faults.inject("tip-crash", volts=1.0)
    with pytest.raises(InvalidRequest, match="`of` names the parameter"):
        faults.inject("stuck-sensor")
    with pytest.raises(InvalidRequest, match="`of` goes with"):
        faults.inject("drift-jump", of="height")
    with pytest.raises(ValidationError, match="in the order"):
        FaultSchedule(faults=(Fault(name="lost-link", time=2.0), Fault(name="lost-link", time=1.0)))


def test_neither_faults_nor_truth_can_be_reached_through_the_guard() -> None:
    scope = Guard(made())
    for name in ("faults", "truth", "_world", "_faults"):
        assert not hasattr(scope, name)
        for part in (Scanner, Positioner):
            assert not hasattr(scope.capability(part), name)
