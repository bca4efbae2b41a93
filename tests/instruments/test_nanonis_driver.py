"""The Nanonis driver, spoken to the facade: what it gives is what the twin behind it gives."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanopilot.app.facades.nanonis import NanonisFacade
from nanopilot.core.adjustables import Approach, BiasSource, Feedback, Positioner, Stage
from nanopilot.core.capabilities import BiasWriter, PointSpectroscopy, Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import (
    DeviceError,
    Interlocked,
    OutOfRange,
    Unsupported,
)
from nanopilot.core.requests import ScanRequest, SpectrumRequest, WriteRequest
from nanopilot.core.signals import metadata
from nanopilot.instruments import Guard
from nanopilot.instruments.nanonis import NanonisInstrument
from nanopilot.instruments.nanonis.desk import Pace
from nanopilot.instruments.nanonis.link import Link, SocketLink
from nanopilot.testing import (
    ApproachTests,
    BiasSourceTests,
    BiasWriterTests,
    FeedbackTests,
    InstrumentTests,
    PointSpectroscopyTests,
    PositionerTests,
    ScannerTests,
)
from nanopilot.twins.plain import PlainTwin
from nanopilot.workflows.connect import connect as named

REQUEST = ScanRequest(
    centre=(1e-7, -2e-7), field_of_view=(8e-7, 4e-7), shape=(5, 9), rotation=0.4,
    directions=("trace", "retrace"),
)  # fmt: skip


@dataclass
class Bench:
    """A twin, the facade in front of it, and the driver on the other side of the wire."""

    twin: PlainTwin
    facade: NanonisFacade
    driver: NanonisInstrument
    scope: Guard


@contextlib.contextmanager
def bench(speed: float = math.inf) -> Iterator[Bench]:
    twin = PlainTwin(VirtualClock(speed=speed), world="tip")
    with NanonisFacade(Guard(twin), port=0) as facade:
        lines = [SocketLink("127.0.0.1", facade.port) for _ in range(2)]
        driver = NanonisInstrument(*lines, clock=twin.clock, pace=Pace(poll=0.02, patience=20.0))
        yield Bench(twin, facade, driver, Guard(driver))
        driver.close()


@pytest.fixture
def wired() -> Iterator[Bench]:
    with bench() as found:
        yield found


@pytest.fixture
def scope(wired: Bench) -> Guard:
    return wired.scope


class TestInstrument(InstrumentTests):
    pass


class TestScanner(ScannerTests):
    pass


class TestPointSpectroscopy(PointSpectroscopyTests):
    pass


class TestBiasWriter(BiasWriterTests):
    pass


class TestPositioner(PositionerTests):
    pass


class TestFeedback(FeedbackTests):
    pass


class TestApproach(ApproachTests):
    pass


class TestBiasSource(BiasSourceTests):
    pass


def own(kind: Any, request: Any) -> Any:
    """Return what a twin gives without any wire."""
    return Guard(PlainTwin(VirtualClock(), world="tip")).capability(kind).start(request).result()


def test_frame_is_that_of_the_twin(wired: Bench) -> None:
    found = wired.scope.capability(Scanner).start(REQUEST).result()
    wanted = own(Scanner, REQUEST)
    assert list(found.data_vars) == list(wanted.data_vars)
    for name, channel in wanted.data_vars.items():
        span = float(channel.max() - channel.min())
        np.testing.assert_allclose(found[name], channel, rtol=1e-6, atol=1e-5 * span)
        assert found[name].attrs["units"] == channel.attrs["units"]
        assert metadata(found[name])["direction"] == metadata(channel)["direction"]
    for name in ("x", "y", "measured_x", "measured_y"):
        np.testing.assert_array_equal(found[name], wanted[name])
    assert metadata(found)["state"]["values"]["Approach.engaged"] == 1.0
    assert np.isfinite(found["time"]).all()


def test_several_frames_come_one_after_the_other(wired: Bench) -> None:
    request = REQUEST.model_copy(update={"frames": 2, "channels": ("current",)})
    found = wired.scope.capability(Scanner).start(request).result()
    assert found["current"].dims == ("frame", "y", "x")
    assert float(found["time"][1].min()) >= float(found["time"][0].max())
    np.testing.assert_array_equal(found["current"][0], found["current"][1])


def test_grid_of_spectra_is_that_of_the_twin(wired: Bench) -> None:
    request = SpectrumRequest(
        position=(1e-7, 0), shape=(2, 3), field_of_view=(4e-7, 1e-7), bias=(-1.0, 0.0, 1.0)
    )
    found = wired.scope.capability(PointSpectroscopy).start(request).result()
    wanted = own(PointSpectroscopy, request)
    assert found["current"].dims == wanted["current"].dims
    np.testing.assert_allclose(found["current"], wanted["current"], rtol=1e-5)
    np.testing.assert_array_equal(found["bias"], request.bias)


def test_instruments_own_sweep_is_made_after_another_one_too(wired: Bench) -> None:
    spectra = wired.scope.capability(PointSpectroscopy)
    spectra.start(SpectrumRequest(position=(0, 0), bias=(0.0, 0.5, 1.0))).result()
    found = spectra.start(SpectrumRequest(position=(0, 0))).result()
    wanted = own(PointSpectroscopy, SpectrumRequest(position=(0, 0)))
    np.testing.assert_allclose(found["bias"], wanted["bias"], rtol=1e-6)
    np.testing.assert_allclose(found["current"], wanted["current"], rtol=1e-5, atol=1e-16)


def test_pulses_are_written_where_and_as_asked(wired: Bench) -> None:
    request = WriteRequest(points=((0, 0), (1e-7, 2e-7)), bias=(1.0, -2.0), duration=0.25)
    found = wired.scope.capability(BiasWriter).start(request).result()
    np.testing.assert_array_equal(found["bias"], [1.0, -2.0])
    assert (wired.twin.state().values["Positioner.x"], wired.twin.state().values["Positioner.y"]) \
        == (1e-7, 2e-7)  # fmt: skip
    assert float(found["time"][1] - found["time"][0]) == pytest.approx(0.25)
    path = request.model_copy(update={"mode": "path"})
    with pytest.raises(Unsupported, match="there are pulses"):
        wired.scope.capability(BiasWriter).start(path)


KINDS = {"BiasSource": BiasSource, "Positioner": Positioner, "Feedback": Feedback}
settable = st.sampled_from(
    [
        ("BiasSource", "bias", st.floats(-10, 10)),
        ("Positioner", "x", st.floats(-5e-6, 5e-6)),
        ("Positioner", "y", st.floats(-5e-6, 5e-6)),
        ("Feedback", "enabled", st.sampled_from([0.0, 1.0])),
        ("Feedback", "setpoint", st.floats(2e-12, 9e-9)),
        ("Feedback", "proportional", st.floats(1e-12, 9e-7)),
        ("Feedback", "integral", st.floats(1e-9, 9e-4)),
    ]
).flatmap(lambda one: st.tuples(st.just(one[0]), st.just(one[1]), one[2]))


@settings(
    max_examples=40, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(settable)
def test_what_is_set_is_set_on_the_twin_and_verified(
    wired: Bench, setting: tuple[str, str, float]
) -> None:
    owner, name, value = setting
    (found,) = wired.scope.capability(KINDS[owner]).set(**{name: value})  # type: ignore[call-arg]
    assert found.read_back == value
    key = f"{owner}.{name}"
    assert wired.twin.state().values[key] == pytest.approx(value, rel=2e-7, abs=1e-30)
    assert wired.driver.state().values[key] == value
    for other, wanted in wired.twin.state().values.items():
        if other in wired.driver.state().values:
            read = wired.driver.state().values[other]
            assert read == pytest.approx(wanted, rel=2e-6, abs=1e-30)


def test_tip_is_retracted_and_brought_back(wired: Bench) -> None:
    approach = wired.scope.capability(Approach)
    assert approach.set(engaged=0.0)[0].read_back == 0.0
    assert wired.twin.state().values["Approach.engaged"] == 0.0
    with pytest.raises(Interlocked):
        wired.scope.capability(BiasWriter).start(
            WriteRequest(points=((0, 0),), bias=(1.0,), duration=0.1)
        )
    assert approach.set(engaged=1.0)[0].read_back == 1.0
    assert wired.twin.state().values["Approach.engaged"] == 1.0


def test_tip_is_retracted_over_the_line_that_nothing_waits_on() -> None:
    with bench(speed=1.0) as slow:
        other = SocketLink("127.0.0.1", slow.facade.port)
        grid = SpectrumRequest(position=(0, 0), shape=(1, 30))  # half a minute
        acquisition = slow.scope.capability(PointSpectroscopy).start(grid)
        thread = threading.Thread(target=acquisition.result)
        thread.start()
        while not other.ask("BiasSpectr.StatusGet")[0]:
            pass
        slow.driver.capability(Approach).set(engaged=0.0)
        assert slow.twin.state().values["Approach.engaged"] == 0.0
        acquisition.abort()
        thread.join()
        other.close()


def test_driver_is_found_by_name(wired: Bench) -> None:
    scope = named("nanonis", port=wired.facade.port)
    assert scope.describe().scan_channels == ("height", "current")
    assert scope.source["options"] == {"port": wired.facade.port}


def test_limits_are_those_the_controller_tells(wired: Bench) -> None:
    described = wired.scope.describe()
    bias = next(one for one in described.parameters if one.key == "BiasSource.bias")
    assert bias.limits is not None
    assert (bias.limits.low, bias.limits.high) == (-10, 10)
    assert described.area == wired.twin.describe().area
    assert "not tried on hardware" in described.notice
    assert "Stage" not in described.capabilities
    with pytest.raises(Unsupported):
        wired.scope.capability(Stage)
    with pytest.raises(OutOfRange, match="10 V"):
        wired.scope.capability(BiasSource).set(bias=10.5)


def test_refusal_of_the_controller_is_an_error_here(wired: Bench) -> None:
    with pytest.raises(DeviceError, match=r"`ZCtrl.SetpntSet` was refused .*Feedback.setpoint"):
        wired.scope.capability(Feedback).set(setpoint=1.0)


def test_rows_come_while_the_scan_goes_on_and_abort_stops_it() -> None:
    with bench(speed=100.0) as slow:  # a line takes a millisecond
        request = REQUEST.model_copy(update={"shape": (2000, 4), "channels": ("height",)})
        acquisition = slow.scope.capability(Scanner).start(request)
        blocks = iter(acquisition)
        first = next(blocks)
        assert np.isfinite(first["height"]).all()
        assert 0 < acquisition.progress < 0.5
        acquisition.abort()
        left = acquisition.result()["height"]
        assert np.isfinite(left[0]).all()
        assert np.isnan(left[-1]).all()
        line = SocketLink("127.0.0.1", slow.facade.port)
        assert line.ask("Scan.StatusGet") == [0]
        line.close()


class Overtaking:
    """A link to a scan that goes on between one question and the next: a row each time."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._grabbed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def ask(self, command: str, *values: Any, timeout: float | None = None) -> list[Any]:
        found = self._link.ask(command, *values, timeout=timeout)
        if command == "Scan.WaitEndOfScan":
            return [self._grabbed < 8, ""]
        if command == "Scan.FrameDataGrab":
            self._grabbed += 1
            found[1][self._grabbed :] = np.nan
        return found


def test_rows_are_whole_in_all_channels_though_the_scan_goes_on_between_them() -> None:
    twin = PlainTwin(VirtualClock(), world="tip")
    with NanonisFacade(Guard(twin), port=0) as facade:
        link, urgent = (SocketLink("127.0.0.1", facade.port) for _ in range(2))
        driver = NanonisInstrument(Overtaking(link), urgent, clock=twin.clock)
        blocks = list(driver.capability(Scanner).start(REQUEST))
        driver.close()
    assert len(blocks) == REQUEST.shape[0]
    for block in blocks:
        for name, channel in block.data_vars.items():
            assert np.isfinite(channel).all(), name


def test_scan_stopped_on_the_controller_is_not_taken_for_complete() -> None:
    with bench(speed=100.0) as slow:
        request = REQUEST.model_copy(update={"shape": (2000, 4), "channels": ("height",)})
        acquisition = slow.scope.capability(Scanner).start(request)
        next(iter(acquisition))
        line = SocketLink("127.0.0.1", slow.facade.port)
        line.ask("Scan.Action", 1, 1)
        line.close()
        with pytest.raises(DeviceError, match="stopped on the controller"):
            acquisition.result()
        assert np.isnan(acquisition.result()["height"][-1]).all()
