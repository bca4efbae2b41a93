"""A served instrument is the instrument: same answers, same refusals, and a line that may break."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import nanopilot as npl
from nanopilot.app.server import InstrumentServer, Role, ServerSettings
from nanopilot.core.adjustables import ADJUSTABLE, Approach, Beam, Focus, Positioner, Stage
from nanopilot.core.capabilities import (
    MEASURING,
    BiasWriter,
    Camera,
    PointSpectroscopy,
    Scanner,
)
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import (
    InvalidRequest,
    LinkLost,
    NanopilotError,
    NotInCommand,
    OutOfRange,
    Stopped,
    Unsupported,
)
from nanopilot.core.events import Audit, Decision
from nanopilot.core.limits import Limits, Range
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest, WriteRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard
from nanopilot.instruments.remote import RemoteInstrument, RemoteScope
from nanopilot.twins.plain import PlainTwin

FRAME = ScanRequest(centre=(0, 0), field_of_view=(1e-6, 1e-6), shape=(12, 16))
#: A scan that takes many seconds.
LONG = FRAME.model_copy(update={"line_rate": 20.0, "shape": (400, 8)})
RAMP = tuple(np.linspace(-1, 1, 9).tolist())
REQUESTS: dict[str, tuple[str, Any]] = {
    "frame": ("Scanner", FRAME),
    "rotated": ("Scanner", FRAME.model_copy(update={"rotation": 0.3, "order": "serpentine"})),
    "series": ("Scanner", FRAME.model_copy(update={"frames": 3, "channels": ("height",)})),
    "spiral": ("Scanner", FRAME.model_copy(update={"order": "spiral"})),
    "lines": ("Scanner", FRAME.model_copy(update={"order": "lines", "lines": (1, 5)})),
    "points": (
        "Scanner",
        FRAME.model_copy(update={"order": "points", "points": ((0, 0), (1e-7, 2e-7), (0, 3e-7))}),
    ),
    "both ways": ("Scanner", FRAME.model_copy(update={"directions": ("trace", "retrace")})),
    "spectrum": ("PointSpectroscopy", SpectrumRequest(position=(1e-7, 0), bias=RAMP)),
    "force": ("PointSpectroscopy", SpectrumRequest(position=(0, 0), kind="force")),
    "grid": (
        "PointSpectroscopy",
        SpectrumRequest(
            position=(0, 0), kind="energy", shape=(2, 3), field_of_view=(1e-7, 1e-7), rotation=0.2
        ),
    ),
    "pattern": ("Camera", CameraRequest(exposure=0.1, binning=2)),
    "patterns": ("Camera", CameraRequest(frames=3)),
    "pulses": (
        "BiasWriter",
        WriteRequest(points=((0, 0), (1e-7, 0)), bias=(3.0, -3.0), duration=0.01),
    ),
}


def remote(server: InstrumentServer, role: Role = Role.OPERATOR, **options: Any) -> RemoteScope:
    options.setdefault("silence", 30.0)  # a busy machine may hold a process up for seconds
    scope = npl.connect(server.url, token=server.keys.tokens[role], **options)
    assert isinstance(scope, RemoteScope)
    return scope


def plain(world: Any = "both", speed: float = float("inf")) -> Guard:
    return Guard(PlainTwin(VirtualClock(speed=speed), world=world))


def serve(guard: Guard, rows: list[Any] | None = None) -> InstrumentServer:
    record: Callable[[Any], object] = (lambda event: None) if rows is None else rows.append
    return InstrumentServer(guard, ServerSettings(state_seconds=0.1), record=record)


@pytest.fixture
def server() -> Iterator[InstrumentServer]:
    with serve(plain()) as running:
        yield running


@pytest.fixture
def slow() -> Iterator[InstrumentServer]:
    """Serve an instrument that takes as long as a real one."""
    with serve(plain(speed=1.0)) as running:
        yield running


@pytest.mark.parametrize("name", REQUESTS)
def test_remote_measurement_equals_the_local_one(server: InstrumentServer, name: str) -> None:
    capability, request = REQUESTS[name]
    kind, _ = MEASURING[capability]
    here = plain()
    with remote(server) as there:
        assert there.capability(kind).validate(request) == here.capability(kind).validate(request)
        assert there.capability(kind).estimate(request) == here.capability(kind).estimate(request)
        near, far = here.capability(kind).start(request), there.capability(kind).start(request)
        blocks = list(zip(near, far, strict=True))
        for mine, yours in blocks:
            xr.testing.assert_identical(mine, yours)
        assert far.progress == near.progress == 1.0
        xr.testing.assert_identical(near.result(), far.result())
        assert list(far) == []


def test_description_and_state_are_those_of_the_instrument(server: InstrumentServer) -> None:
    here = plain()
    with remote(server) as there:
        assert there.describe() == here.describe()
        assert there.state().values == here.state().values
        assert there.name == here.name


@pytest.mark.parametrize("name", sorted(ADJUSTABLE))
def test_every_parameter_is_read_and_set_as_at_the_instrument(
    server: InstrumentServer, name: str
) -> None:
    kind = ADJUSTABLE[name]
    here = plain()
    with remote(server) as there:
        near: Any = here.capability(kind)
        far: Any = there.capability(kind)
        assert near.parameters() == far.parameters()
        for parameter in near.parameters():
            assert near.get(parameter.name) == far.get(parameter.name)
            low = parameter.limits.low
            values = {parameter.name: low if parameter.switch else 0.5 * low}
            assert tried(near.set, **values) == tried(far.set, **values)
        assert here.state().values == there.state().values


def tried(do: Callable[..., Any], **values: Any) -> Any:
    """Return what came of it, without the times, or the class of the error."""
    try:
        return [one.model_copy(update={"time": 0.0}) for one in do(**values)]
    except NanopilotError as error:
        return type(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, "5", None, True, [1.0]])
def test_nonsense_is_refused_with_the_class_it_has_locally(
    server: InstrumentServer, value: Any
) -> None:
    with remote(server) as there:
        for scope in (plain(), there):
            with pytest.raises((OutOfRange, InvalidRequest)):
                scope.capability(Focus).set(defocus=value)
        assert there.state().values["Focus.defocus"] == 0.0


def test_the_server_refuses_what_a_client_lets_through(server: InstrumentServer) -> None:
    token = server.keys.tokens[Role.OPERATOR]
    with RemoteInstrument(server.url, token, "bare") as bare:
        nowhere = FRAME.model_copy(update={"centre": (float("nan"), 0.0)})
        assert bare.capability(Scanner).validate(nowhere)
        with pytest.raises(OutOfRange):
            bare.capability(Scanner).start(nowhere)
        with pytest.raises(OutOfRange):
            bare.capability(Focus).set(defocus=float("inf"))
        with pytest.raises(OutOfRange, match="this server allows"):
            bare.capability(Scanner).start(FRAME.model_copy(update={"shape": (10**9, 10**9)}))
        with pytest.raises(Unsupported):
            bare.capability(Positioner).get("nothing")


def test_limits_of_server_and_client_both_hold() -> None:
    def held(low: float, high: float) -> Limits:
        return Limits(parameters={"Focus.defocus": Range(low=low, high=high, unit="m")})

    guard = Guard(PlainTwin(VirtualClock()), limits=held(-1e-6, 1e-6))
    with serve(guard) as server, remote(server, limits=held(0, 1e-5)) as scope:
        focus = scope.capability(Focus)
        for value in (-5e-7, 5e-6):
            with pytest.raises(OutOfRange):
                focus.set(defocus=value)
        focus.set(defocus=5e-7)


def test_a_missing_capability_is_unsupported() -> None:
    with serve(plain("tip")) as server, remote(server) as scope:
        for kind in (Camera, Beam):
            with pytest.raises(Unsupported):
                scope.capability(kind)


def test_roles_below_operator_look_and_do_not_touch(server: InstrumentServer) -> None:
    for role in (Role.VIEWER, Role.PROPOSER):
        with remote(server, role) as scope:
            assert scope.state().values
            assert scope.capability(Scanner).validate(FRAME) == []
            with pytest.raises(NotInCommand, match="operator or higher"):
                scope.capability(Focus).set(defocus=1e-7)
            with pytest.raises(NotInCommand):
                scope.capability(Scanner).start(FRAME)
    assert server.service.scope.state().values["Focus.defocus"] == 0.0


def test_only_one_of_two_commands(server: InstrumentServer) -> None:
    with remote(server, holder="first") as first, remote(server, holder="second") as second:
        first.capability(Focus).set(defocus=1e-7)
        with pytest.raises(NotInCommand, match="first"):
            second.capability(Focus).set(defocus=2e-7)
        with pytest.raises(NotInCommand):
            server.service.scope.capability(Focus).set(defocus=2e-7)
        assert second.state().values["Focus.defocus"] == first.state().values["Focus.defocus"]
        first.close()
        second.capability(Focus).set(defocus=2e-7)


def test_two_threads_of_one_client_share_its_lease(server: InstrumentServer) -> None:
    failed: list[BaseException] = []
    with remote(server) as scope:

        def work(number: int) -> None:
            try:
                for step in range(5):
                    scope.capability(Focus).set(defocus=1e-8 * (number + step))
            except BaseException as error:  # noqa: BLE001 - told to the test's own thread
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []


def test_a_client_that_lives_keeps_its_lease(server: InstrumentServer) -> None:
    with remote(server, silence=3.0) as scope:
        scope.capability(Beam).set(blanked=0)
        time.sleep(4.5)
        assert scope.state().values["Beam.blanked"] == 0.0
        scope.capability(Focus).set(defocus=1e-7)


def test_a_client_that_falls_silent_loses_the_instrument_and_is_told() -> None:
    rows: list[Any] = []
    with serve(plain(), rows) as server, remote(server, silence=6.0, holder="mute") as scope:
        scope.capability(Beam).set(blanked=0)
        commander = scope._remote._commander
        assert commander._thread is not None
        commander._over.set()  # no more signs of life, as if the process hung
        commander._thread.join()
        assert until(lambda: scope.state().values["Beam.blanked"] == 1.0)
        assert until(lambda: bool(secured(rows)))
        assert [row.by for row in secured(rows)] == ["mute"]
        with pytest.raises(NotInCommand):
            scope.capability(Focus).set(defocus=1e-7)
        scope.capability(Focus).set(defocus=1e-7)


def secured(rows: list[Any]) -> list[Audit]:
    return [row for row in rows if isinstance(row, Audit) and row.verdict == "secured"]


def until(done: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Wait until something is true; False if it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.02)
    return False


def test_aborted_scan_keeps_what_was_measured(slow: InstrumentServer) -> None:
    with remote(slow) as scope:
        scan = scope.capability(Scanner).start(LONG)
        first = next(iter(scan))
        scan.abort()
        assert 0 < scan.progress < 1
        result = scan.result()
        assert result.sizes["y"] == LONG.shape[0]
        xr.testing.assert_equal(result.isel(y=[0]), first)
        assert np.isnan(result["height"].isel(y=-1)).all()


def test_stop_needs_no_lease_and_ends_the_scan_of_somebody_else(slow: InstrumentServer) -> None:
    with remote(slow, holder="commander") as commander, remote(slow, Role.VIEWER) as viewer:
        scan = commander.capability(Scanner).start(LONG)
        next(iter(scan))
        viewer.stop()
        assert np.isnan(scan.result()["height"].isel(y=-1)).all()


def test_emergency_stop_holds_for_everybody_until_an_approver_releases_it(
    slow: InstrumentServer,
) -> None:
    with remote(slow) as scope, remote(slow, Role.APPROVER) as approver:
        scope.capability(Beam).set(blanked=0)
        scan = scope.capability(Scanner).start(LONG)
        scope.emergency_stop("me", "smoke")
        assert np.isnan(scan.result()["height"].isel(y=-1)).all()
        assert scope.state().values["Beam.blanked"] == 1.0
        with pytest.raises(Stopped):
            scope.capability(Focus).set(defocus=1e-7)
        with pytest.raises(NotInCommand):
            scope.release_stop("me")
        approver.release_stop("the boss")
        scope.capability(Focus).set(defocus=1e-7)


def test_interlocks_hold_over_the_wire(server: InstrumentServer) -> None:
    with remote(server) as scope:
        assert tried(scope.capability(Stage).set, x=1e-6).__name__ == "Interlocked"
        scope.capability(Approach).set(engaged=0)
        scope.capability(Stage).set(x=1e-6)
        written = scope.capability(BiasWriter).validate(REQUESTS["pulses"][1])
        assert [one.kind for one in written] == ["interlock"]


def test_time_is_that_of_the_instrument(server: InstrumentServer) -> None:
    with remote(server) as scope:
        before, cost = scope.clock.now(), scope.capability(Scanner).estimate(FRAME).seconds
        scope.capability(Scanner).start(FRAME).result()
        assert scope.clock.now() - before == pytest.approx(cost)
        assert scope.clock.now() == server.service.scope.clock.now()


def test_token_comes_from_the_environment_and_goes_into_no_record(
    server: InstrumentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NANOPILOT_TOKEN", raising=False)
    with pytest.raises(InvalidRequest, match="`token`"):
        npl.connect(server.url)
    token = server.keys.tokens[Role.OPERATOR]
    monkeypatch.setenv("NANOPILOT_TOKEN", token)
    scope = npl.connect(server.url)
    assert isinstance(scope, RemoteScope)
    with scope:
        assert token not in str(scope.source)
        assert scope.source["instrument"] == server.url


@pytest.mark.parametrize("url", ["http://", "http://127.0.0.1:1/path"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="`instrument`"):
        npl.connect(url, token="t")


def test_a_wrong_token_or_option_is_refused_in_words(server: InstrumentServer) -> None:
    with pytest.raises(NotInCommand, match="token"):
        npl.connect(server.url, token="wrong")
    with pytest.raises(InvalidRequest, match="`colour`"):
        npl.connect(server.url, token="t", colour="red")


def result_of(scope: Guard, request: Any = FRAME, kind: Any = Scanner) -> SignalSet:
    found: SignalSet = scope.capability(kind).start(request).result()
    return found


def test_a_recording_is_replayed_over_http() -> None:
    here = npl.connect("replay", sample="beps-pto")
    area = here.describe().area
    frame = ScanRequest(
        centre=area.centre, field_of_view=(area.x[1] - area.x[0], 1e-7), shape=(4, 9)
    )
    spectrum = SpectrumRequest(position=area.centre)
    with serve(npl.connect("replay", sample="beps-pto")) as server, remote(server) as there:
        xr.testing.assert_identical(result_of(here, frame), result_of(there, frame))
        xr.testing.assert_identical(
            result_of(here, spectrum, PointSpectroscopy),
            result_of(there, spectrum, PointSpectroscopy),
        )


def test_a_server_that_was_never_there_is_a_lost_link() -> None:
    with pytest.raises(LinkLost):
        npl.connect("http://127.0.0.1:9", token="t")


def test_a_workflow_decides_over_http_as_it_does_here(tmp_path: Path) -> None:
    def run(scope: Guard, name: str) -> list[Any]:
        done = npl.run("discover", scope, folder=tmp_path / name, budget=0.01, progress=False)
        return [event for event in done.events() if isinstance(event, Decision)]

    here = run(npl.connect("replay", sample="beps-pto"), "here")
    with serve(npl.connect("replay", sample="beps-pto")) as server, remote(server) as scope:
        assert run(scope, "there") == here
    assert len(here) > 5
