"""The wire of the temscript driver: what is sent when, and what is made of bad answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nanopilot.core.adjustables import Beam, Stage
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import DeviceError, InvalidRequest, LinkLost, NotReached
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments import Guard
from nanopilot.instruments.temscript import TemscriptScope, temscript
from nanopilot.instruments.temscript.arrays import pack_image, unpack_image
from nanopilot.instruments.temscript.link import HttpLink

KINDS = ("i1", "i2", "<i4", "<i8", "u1", "<u2", "u4", "u8", "<f4", "<f8")


class FakeLink:
    """A wire whose far end is a table; it notes what crosses it."""

    def __init__(self, **changes: Any) -> None:
        self.lost = False
        self.sent: list[tuple[str, Any]] = []
        self.statuses = ["READY"]
        self.deaf: set[str] = set()
        self.table: dict[str, Any] = {
            "cameras": {}, "stem_detectors": {}, "instrument_mode": "TEM", "family": "NULL",
            "microscope_id": "fake", "version": "2.1.0", "screen_position": "UP",
            "stage_limits": {"x": [-1e-3, 1e-3], "y": [-1e-3, 1e-3]},
            "stage_position": {"x": 0.0, "y": 0.0}, "beam_blanked": True,
            "beam_shift": [1e-8, 2e-8],
        } | changes  # fmt: skip

    def get(self, endpoint: str) -> Any:
        if endpoint == "stage_status":
            return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if endpoint not in self.table:
            raise DeviceError(f"{endpoint} is not there")
        return self.table[endpoint]

    def put(self, endpoint: str, value: Any) -> None:
        self.sent.append((endpoint, value))
        if endpoint in self.deaf:
            raise LinkLost("timed out")
        if isinstance(value, dict):
            self.table[endpoint] = self.table[endpoint] | value
        else:
            self.table[endpoint] = value

    def acquire(self, detectors: tuple[str, ...]) -> Mapping[str, Any]:
        self.sent.append(("acquire", detectors))
        return {}


def guarded(link: FakeLink) -> Guard:
    return Guard(TemscriptScope(link, VirtualClock()))


def test_stage_is_waited_for_until_it_says_that_it_stands() -> None:
    link = FakeLink()
    stage = guarded(link).capability(Stage)
    link.statuses = ["MOVING", "GOING", "READY"]
    (setting,) = stage.set(x=1e-4)
    assert setting.read_back == 1e-4
    assert link.statuses == ["READY"]


def test_time_out_is_no_finished_move_and_no_failed_one_the_read_back_decides() -> None:
    link = FakeLink()
    stage = guarded(link).capability(Stage)
    link.deaf = {"stage_position"}
    with pytest.raises(NotReached):
        stage.set(x=1e-4)
    link.table["stage_position"] = {"x": 1e-4, "y": 0.0}
    assert stage.set(x=1e-4)[0].read_back == 1e-4


def test_stage_that_never_arrives_is_an_error_and_not_a_position() -> None:
    link = FakeLink()
    stage = guarded(link).capability(Stage)
    link.statuses = ["MOVING"]
    with pytest.raises(DeviceError, match="MOVING"):
        stage.set(x=1e-4)
    link.statuses = ["DISABLED"]
    with pytest.raises(DeviceError, match="DISABLED"):
        stage.set(x=1e-4)


def test_only_the_axes_asked_for_are_sent() -> None:
    link = FakeLink()
    guarded(link).capability(Stage).set(y=1e-5)
    assert link.sent == [("stage_position", {"y": 1e-5})]


def test_pairs_are_sent_whole_with_the_other_half_as_it_is() -> None:
    link = FakeLink()
    guarded(link).capability(Beam).set(shift_y=5e-8)
    assert link.sent == [("beam_shift", [1e-8, 5e-8])]


@pytest.mark.parametrize(("blanked", "order"), [
    (1.0, ["beam_blanked", "beam_shift"]), (0.0, ["beam_shift", "beam_blanked"]),
])  # fmt: skip
def test_beam_is_blanked_first_and_let_through_last(blanked: float, order: list[str]) -> None:
    link = FakeLink()
    guarded(link).capability(Beam).set(blanked=blanked, shift_x=0.0)
    assert [endpoint for endpoint, _ in link.sent] == order


def test_detector_that_does_not_answer_is_an_error_and_no_frame() -> None:
    camera = {"width": 64, "height": 64, "pixel_size(um)": [10, 10], "binnings": [1]}
    settings = {"image_size": "FULL", "binning": 1, "exposure(s)": 0.1}
    link = FakeLink(**{
        "cameras": {"CCD": camera}, "camera_param/CCD": settings,
        "projection_mode": "IMAGING", "indicated_magnification": 1e5,
    })  # fmt: skip
    request = ScanRequest(centre=(0, 0), field_of_view=(1e-9, 1e-9), shape=(4, 4))
    acquisition = guarded(link).capability(Scanner).start(request)
    with pytest.raises(DeviceError, match="CCD"):
        acquisition.result()
    assert np.isnan(acquisition.result()["CCD"]).all()


@given(
    st.sampled_from(KINDS).flatmap(
        lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=2, max_dims=2))
    )
)
def test_images_mean_the_same_to_temscript_and_to_us(image: Any) -> None:
    theirs = pytest.importorskip("temscript.marshall")
    np.testing.assert_array_equal(unpack_image("a", theirs.pack_array(image)), image)
    np.testing.assert_array_equal(theirs.unpack_array(pack_image(image)), image)
    swapped = pack_image(image) | {"endianness": "BIG"}
    np.testing.assert_array_equal(
        unpack_image("a", swapped), image.astype(image.dtype.newbyteorder("<")).view(
            image.dtype.newbyteorder(">"))
    )  # fmt: skip


@pytest.mark.parametrize("change", [
    {"height": 3}, {"type": "OBJECT"}, {"endianness": "MIDDLE"}, {"encoding": "PICKLE"},
    {"data": "no base64"}, {"width": -2}, {"data": None}, {"height": "two"},
])  # fmt: skip
def test_image_that_is_not_what_it_says_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DeviceError, match="haadf"):
        unpack_image("haadf", pack_image(np.zeros((2, 2))) | change)


@contextmanager
def answering(status: int, kind: str, content: bytes) -> Iterator[int]:
    """A server with one answer to everything."""

    class Parrot(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Parrot) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("answer", "says"), [
    ((200, "application/python-pickle", b"\x80\x02."), "application/json is read"),
    ((200, "application/json", b"{"), "no JSON"),
    ((200, "application/json", b'"' + b"x" * 5000 + b'"'), "longer than"),
    ((500, "text/html", b"<p>"), "500"),
    ((404, "text/html", b""), "404"),
])  # fmt: skip
def test_bad_answer_is_an_error_of_the_device(answer: tuple[int, str, bytes], says: str) -> None:
    with answering(*answer) as port:
        link = HttpLink("127.0.0.1", port, largest=1000)
        with pytest.raises(DeviceError, match=says):
            link.get("voltage")
        assert not link.lost


def test_nobody_there_is_a_lost_line() -> None:
    with answering(200, "application/json", b"1") as port:
        pass
    with pytest.raises(LinkLost, match="unknown until it is read back"):
        temscript(port=port)


def test_after_a_lost_line_the_instrument_is_read_before_anything_is_set() -> None:
    order: list[str] = []

    class Link(HttpLink):
        def _ask(self, method: str, endpoint: str, body: bytes | None = None) -> Any:
            order.append(f"{method} {endpoint}")
            return None if method == "PUT" else super()._ask(method, endpoint, body)

    with answering(200, "application/json", b"1") as port:
        link = Link("127.0.0.1", port)
        link.after_loss(lambda: link.get("state"))
    with pytest.raises(LinkLost):
        link.get("voltage")
    with pytest.raises(LinkLost):
        link.put("beam_blanked", True)
    assert order == ["GET voltage", "GET state"], "nothing is set on a line that is still down"
    link.after_loss(lambda: order.append("read back"))
    link.put("beam_blanked", True)
    link.put("beam_blanked", False)
    assert order[2:] == ["read back", "PUT beam_blanked", "PUT beam_blanked"]


def test_not_a_number_does_not_cross_the_wire() -> None:
    link = HttpLink("127.0.0.1", 1)
    with pytest.raises(InvalidRequest, match="finite"):
        link.put("defocus", float("nan"))


def test_unknown_calibration_is_named() -> None:
    with pytest.raises(InvalidRequest, match="display_with"):
        temscript(display_with=0.1)
