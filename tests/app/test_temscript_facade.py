"""temscript's own client drives our instruments through the facade, and nobody breaks it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nanopilot as npl
from nanopilot.app.facades.temscript import TemscriptFacade
from nanopilot.app.facades.temscript.settings import DISPLAY_WIDTH
from nanopilot.core.adjustables import Beam, Focus, Stage
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import InvalidRequest, NotInCommand
from nanopilot.core.limits import Limits, Range
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments import Guard
from nanopilot.twins.plain import PlainTwin

temscript = pytest.importorskip("temscript")
BOUND = Limits(parameters={"Stage.x": Range(low=-1e-5, high=1e-5, unit="m")})


@pytest.fixture
def scope() -> Guard:
    return Guard(PlainTwin(VirtualClock(), world="beam"), limits=BOUND)


@pytest.fixture
def facade(scope: Guard) -> Iterator[TemscriptFacade]:
    with TemscriptFacade(scope, port=0) as served:
        yield served


@pytest.fixture
def remote(facade: TemscriptFacade) -> Any:
    return temscript.RemoteMicroscope(("127.0.0.1", facade.port))


def test_stage_sent_by_temscript_is_where_the_twin_says_it_is(remote: Any, scope: Guard) -> None:
    remote.set_stage_position({"x": 4e-6, "y": -2e-6}, a=0.25)
    assert scope.capability(Stage).get("x") == pytest.approx(4e-6)
    assert scope.capability(Stage).get("alpha") == pytest.approx(0.25)
    assert remote.get_stage_position() == pytest.approx(
        {"x": 4e-6, "y": -2e-6, "z": 0.0, "a": 0.25, "b": 0.0}
    )


def test_beam_and_focus_keep_their_units_and_signs(remote: Any, scope: Guard) -> None:
    remote.set_beam_blanked(False)
    remote.set_beam_shift((1e-8, -2e-8))
    remote.set_convergence_angle(0.02)
    remote.set_probe_defocus(-50e-9)
    beam = scope.capability(Beam)
    assert [beam.get(name) for name in ("blanked", "shift_x", "shift_y")] == [0.0, 1e-8, -2e-8]
    assert scope.capability(Focus).get("defocus") == pytest.approx(50e-9)
    assert remote.get_probe_defocus() == pytest.approx(-50e-9)
    assert remote.get_defocus() == pytest.approx(-50e-9)
    assert remote.get_voltage() == pytest.approx(200.0)
    assert remote.get_beam_shift() == pytest.approx([1e-8, -2e-8])
    assert remote.get_beam_blanked() is False


def test_everything_that_only_reads_is_answered(remote: Any) -> None:
    assert remote.get_family() == "TITAN"
    assert remote.get_microscope_id() == "plain"
    assert remote.get_stage_limits()["x"] == [-2e-3, 2e-3]
    assert remote.get_stage_status() == "READY"
    assert remote.get_stage_holder() == "DOUBLE_TILT"
    assert remote.get_vacuum()["gauges(Pa)"] == {"column": 1e-6}
    assert remote.get_column_valves_open() is True
    assert set(remote.get_stem_detectors()) == {"haadf", "bf"}
    assert set(remote.get_cameras()) == {"ronchigram"}
    assert remote.is_stem_available() is True
    assert remote.get_instrument_mode() == "STEM"
    assert remote.get_screen_current() == pytest.approx(5e-11)
    state = remote.get_state()
    assert state["voltage(kV)"] == pytest.approx(200.0)
    assert "beam_tilt" not in state


def test_frame_that_temscript_acquires_is_that_of_the_twin(remote: Any, scope: Guard) -> None:
    remote.set_stem_magnification(DISPLAY_WIDTH / 1e-6)
    remote.set_stem_acquisition_param({"binning": 4, "dwell_time(s)": 2e-6})
    images = remote.acquire("haadf", "bf", "haadf")
    extent = 1e-6 * 63 / 64
    request = ScanRequest(
        centre=(0, 0), field_of_view=(extent, extent), shape=(64, 64), dwell_time=2e-6
    )
    frame = scope.capability(Scanner)
    with pytest.raises(NotInCommand):
        frame.start(request)
    for name in ("haadf", "bf"):
        alone = npl.connect("plain", world="beam").capability(Scanner).start(request).result()
        np.testing.assert_allclose(images[name], alone[name], atol=1.0)


def test_half_an_image_is_its_middle(remote: Any) -> None:
    remote.set_stem_magnification(DISPLAY_WIDTH / 1e-6)
    whole = remote.acquire("haadf")["haadf"]
    remote.set_stem_acquisition_param({"image_size": "HALF"})
    np.testing.assert_allclose(remote.acquire("haadf")["haadf"], whole[64:192, 64:192], atol=1.0)


def test_pattern_comes_with_the_exposure_asked_for(remote: Any, scope: Guard) -> None:
    remote.set_camera_param("ronchigram", {"exposure(s)": 0.5, "binning": 2})
    before = scope.clock.now()
    assert remote.acquire("ronchigram")["ronchigram"].shape == (32, 32)
    assert scope.clock.now() - before == pytest.approx(0.5)
    assert remote.get_camera_param("ronchigram")["binning"] == 2


def test_our_driver_over_our_facade_is_the_twin(facade: TemscriptFacade) -> None:
    over = npl.connect(
        "temscript", port=facade.port, display_width=DISPLAY_WIDTH, stem_size=256
    )  # fmt: skip
    twin = npl.connect("plain", world="beam")
    request = ScanRequest(
        centre=(0, 0), field_of_view=(4e-7, 4e-7), shape=(64, 64), rotation=0.4, dwell_time=1e-6
    )
    ours, theirs = (one.capability(Scanner).start(request).result() for one in (over, twin))
    for name in ("haadf", "bf"):
        np.testing.assert_allclose(ours[name], theirs[name], atol=1.0)
    for axis in ("measured_x", "measured_y"):
        np.testing.assert_allclose(ours[axis], theirs[axis], atol=1e-15)
    over.capability(Focus).set(defocus=1e-7)
    over.capability(Stage).set(x=2e-6, beta=0.1)
    shared = set(over.state().values) & set(twin.state().values)
    assert {"Focus.defocus", "Stage.beta", "Beam.current", "Vacuum.column_valve"} <= shared
    moved = {"Focus.defocus": 1e-7, "Stage.x": 2e-6, "Stage.beta": 0.1}
    expected = twin.state().values | moved
    for key in shared:
        assert over.state().values[key] == pytest.approx(expected[key], abs=1e-12), key


LACKING = {
    "get_objective_stigmator": (),
    "set_condenser_stigmator": ([0.1, 0.1],),
    "get_image_shift": (),
    "set_spot_size_index": (3,),
    "normalize": (),
    "get_stem_detector_param": ("haadf",),
    "set_beam_tilt": ([0.0, 0.0],),
    "set_stage_position": ({"x": 0.0}, "GO", 0.1),
}


@pytest.mark.parametrize("call", LACKING)
def test_what_the_instrument_lacks_is_said(remote: Any, call: str) -> None:
    with pytest.raises(RuntimeError, match=r"501: .*(does not have|cannot be chosen)"):
        getattr(remote, call)(*LACKING[call])


def test_refusals_of_the_guard_arrive_with_their_reason(remote: Any, scope: Guard) -> None:
    with pytest.raises(RuntimeError, match=r"400: .*`Stage\.x`"):
        remote.set_stage_position(x=2e-5)
    remote.set_stem_magnification(DISPLAY_WIDTH / 1e-3)
    with pytest.raises(RuntimeError, match="400"):
        remote.acquire("haadf")
    scope.emergency_stop("somebody", "smoke")
    with pytest.raises(RuntimeError, match="409"):
        remote.set_beam_blanked(False)
    assert scope.capability(Stage).get("x") == 0.0


def test_client_of_temscript_has_a_lease_from_its_first_command(remote: Any, scope: Guard) -> None:
    remote.get_stage_position()
    scope.lease("me").release()
    remote.set_beam_shift((0.0, 0.0))
    with pytest.raises(NotInCommand, match=r"temscript client 127\.0\.0\.1"):
        scope.lease("me")


def test_somebody_else_in_command_is_respected_and_the_lease_given_back(scope: Guard) -> None:
    with TemscriptFacade(scope, port=0) as facade:
        remote = temscript.RemoteMicroscope(("127.0.0.1", facade.port))
        with scope.lease("me"), pytest.raises(RuntimeError, match=r"409: .*me"):
            remote.set_beam_shift((0.0, 0.0))
        remote.set_beam_shift((0.0, 0.0))
    scope.lease("me").release()


def test_pickle_is_never_sent(facade: TemscriptFacade) -> None:
    address = ("127.0.0.1", facade.port)
    with pytest.raises(RuntimeError, match=r"406: .*transport='JSON'"):
        temscript.RemoteMicroscope(address, transport="PICKLE")
    both = "application/python-pickle, application/json"
    status, kind, content = ask(facade, "GET", "/v1/acquire?detectors=bf", {"Accept": both})
    assert (status, kind) == (200, "application/json")
    assert set(json.loads(content)) == {"bf"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::", "example.org", ""])
def test_addresses_that_others_can_reach_are_refused(scope: Guard, host: str) -> None:
    with pytest.raises(InvalidRequest, match="loopback"):
        TemscriptFacade(scope, host=host)


def ask(
    facade: TemscriptFacade, method: str, path: str, headers: dict[str, str], body: Any = None
) -> tuple[int, str | None, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", facade.port, timeout=5)
    try:
        line.request(method, path, body, headers)
        answer = line.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    finally:
        line.close()


HOSTILE: list[tuple[str, str, dict[str, str], bytes | None, int]] = [
    ("GET", "/v1/voltage", {"Origin": "http://evil.example"}, None, 403),
    ("GET", "/v1/voltage", {"Host": "evil.example"}, None, 403),
    ("GET", "/v1/voltage", {"Host": "["}, None, 403),
    ("GET", "/v1/no_such_thing", {}, None, 404),
    ("GET", "/v2/voltage", {}, None, 404),
    ("GET", "/v1/acquire?detectors=nobody", {}, None, 404),
    ("GET", "/v1/acquire?" + "a=1&" * 100, {}, None, 400),
    ("GET", "/v1/camera_param/nobody", {}, None, 404),
    ("PUT", "/v1/defocus", {}, b"{", 400),
    ("PUT", "/v1/defocus", {}, b"NaN", 400),
    ("PUT", "/v1/defocus", {}, b"1e999", 400),
    ("PUT", "/v1/defocus", {}, b"true", 400),
    ("PUT", "/v1/defocus", {}, b"1" + b"0" * 400, 400),
    ("PUT", "/v1/defocus", {}, b"[" * 4000, 400),
    ("PUT", "/v1/defocus", {}, b"\xff\xfe", 400),
    ("PUT", "/v1/defocus", {}, b" " * 5000, 413),
    ("PUT", "/v1/defocus", {"Content-Length": "-1"}, None, 411),
    ("PUT", "/v1/beam_shift", {}, b"[1e-9]", 400),
    ("PUT", "/v1/beam_blanked", {}, b"1", 400),
    ("PUT", "/v1/stage_position", {}, b'{"q": 1}', 400),
    ("PUT", "/v1/stage_position?method=JUMP", {}, b'{"x": 0}', 400),
    ("PUT", "/v1/stage_position", {}, b'"x"', 400),
    ("PUT", "/v1/voltage", {}, b"300", 501),
    ("PUT", "/v1/stem_magnification", {}, b"0", 400),
    ("PUT", "/v1/stem_acquisition_param", {}, b'{"binning": 3}', 400),
    ("PUT", "/v1/stem_acquisition_param", {}, b'{"speed": 3}', 400),
    ("PUT", "/v1/camera_param/ronchigram", {}, b'{"image_size": "HALF"}', 400),
    ("PUT", "/v1/instrument_mode", {}, b'"TEM"', 400),
    ("DELETE", "/v1/voltage", {}, None, 501),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(HOSTILE)))
def test_hostile_request_is_refused_and_changes_nothing(
    facade: TemscriptFacade, scope: Guard, case: int
) -> None:
    method, path, headers, body, status = HOSTILE[case]
    before = scope.state().values
    assert ask(facade, method, path, headers, body)[0] == status
    assert scope.state().values == before
    assert ask(facade, "GET", "/v1/voltage", {})[0] == 200


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=300))
def test_noise_on_the_line_leaves_the_server_alive(facade: TemscriptFacade, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", facade.port), timeout=5) as line:
        line.sendall(noise)
        line.shutdown(socket.SHUT_WR)
        while line.recv(4096):
            pass
    assert ask(facade, "GET", "/v1/version", {})[0] == 200


def test_tip_without_a_beam_says_so_at_every_endpoint_of_a_beam() -> None:
    scope = npl.connect("plain", world="tip")
    with TemscriptFacade(scope, port=0) as facade:
        remote = temscript.RemoteMicroscope(("127.0.0.1", facade.port))
        with pytest.raises(RuntimeError, match="501"):
            remote.get_voltage()
        with pytest.raises(RuntimeError, match="501"):
            remote.get_vacuum()
        assert "beam_shift" not in remote.get_state()
