"""What was done to the electron twin survives: its memory makes another one the same."""

from typing import Any

import numpy as np
import pytest

from nanopilot.core.adjustables import Focus, Stage
from nanopilot.core.capabilities import Camera, PointSpectroscopy, Scanner
from nanopilot.core.diary import Diary
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest
from nanopilot.twins.stem.twin import StemTwin
from nanopilot.workflows.twins import stem

FRAME = ScanRequest(centre=(0, 0), field_of_view=(4e-9, 4e-9), shape=(32, 32), dwell_time=1e-4)


def made() -> StemTwin:
    return stem(
        "dichalcogenide", seed=2, size=8e-9,
        settings={
            "camera": {"pixels": 32, "angle_per_pixel": 4e-3, "phonons": 1},
            "damage": {"contamination": 1e-34},
            "motion": {"drift_noise": 1e-12, "backlash": 1e-9, "stage_drift": 0.05},
            "detectors": {"haadf": {"inner": 0.06, "outer": 0.18, "afterglow": 0.2,
                                    "afterglow_time": 1e-3}},
        },
    )  # fmt: skip


def used(twin: StemTwin) -> StemTwin:
    twin.capability(Scanner).start(FRAME).result()
    twin.capability(Stage).set(x=1e-9, y=-1e-9)
    twin.capability(Focus).set(defocus=3e-9)
    twin.capability(Stage).set(x=0.0)
    twin.faults.inject("drift-jump", x=1e-10, y=0.0)
    twin.faults.inject("focus-jump", defocus=1e-9)
    twin.faults.inject("stuck-sensor", of="Stage.x", seconds=1e4)
    twin.capability(Scanner).start(FRAME).result()
    return twin


def seen(twin: StemTwin) -> list[bytes]:
    taken: list[Any] = [twin.capability(Scanner).start(FRAME).result()]
    taken.append(twin.capability(Camera).start(CameraRequest()).result())
    asked = SpectrumRequest(position=(0, 0), kind="energy")
    taken.append(twin.capability(PointSpectroscopy).start(asked).result())
    return [one.to_numpy().tobytes() for signals in taken for one in signals.data_vars.values()]


def test_another_twin_goes_on_as_the_first_would() -> None:
    first, other = used(made()), made()
    diary = Diary(first.memory, first.restore, first.clock)
    entry = diary.entry()
    Diary(other.memory, other.restore, other.clock).recall(entry.time, (0.0, 0.0), [entry.data])
    assert (~first.truth.there).sum() > 0
    np.testing.assert_array_equal(first.truth.there, other.truth.there)
    assert other.truth.delivered == first.truth.delivered
    assert other.truth.dose.total == first.truth.dose.total
    assert other.truth.dose.total == pytest.approx(first.truth.delivered, rel=1e-12)
    assert other.truth.grown.volume == first.truth.grown.volume > 0
    assert other.truth.events == first.truth.events
    assert other.state() == first.state()
    assert seen(first) == seen(other)


def test_an_entry_after_the_first_holds_only_what_has_changed() -> None:
    twin = used(made())
    diary = Diary(twin.memory, twin.restore, twin.clock)
    whole = diary.entry()
    diary.keep(whole)
    assert diary.entry().data == b""
    twin.capability(Focus).set(defocus=1e-9)
    more = diary.entry()
    assert 0 < len(more.data) < 0.2 * len(whole.data)
    diary.keep(more)
    other = made()
    Diary(other.memory, other.restore, other.clock).recall(
        more.time, (0.0, 0.0), [whole.data, more.data]
    )
    assert seen(twin) == seen(other)


def test_without_a_memory_clock_and_place_come_back() -> None:
    twin = made()
    twin.restore(123.0, (1e-9, 2e-9))
    assert twin.clock.now() == 123.0
    assert twin.state().values["Positioner.x"] == 1e-9
