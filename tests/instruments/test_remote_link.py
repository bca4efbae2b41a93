"""A line that goes down: it is said, nothing measured is lost, and the truth is read first."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import nanopilot as npl
from nanopilot.app.server import InstrumentServer, Role, ServerSettings
from nanopilot.core import errors
from nanopilot.core.adjustables import Beam, Focus
from nanopilot.core.capabilities import MEASURING, Acquisition, Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import LinkLost, NanopilotError
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest, WriteRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard
from nanopilot.instruments.remote import RemoteScope
from nanopilot.instruments.remote.assembly import assemble
from nanopilot.instruments.remote.messages import Problem
from nanopilot.instruments.remote.problems import error_of, problem_of
from nanopilot.twins.plain import PlainTwin

SCAN = ScanRequest(centre=(0, 0), field_of_view=(1e-6, 1e-6), shape=(400, 8), line_rate=20)


class Line:
    """A line to a server that can be cut and mended, and remembers what was asked over it."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.asked: list[str] = []
        self.target = 0
        self.good = True
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, run: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listening.accept()
            except OSError:
                return
            if not self.good:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.target))
            self._open += [near, far]
            self._start(self._pump, near, far, True)
            self._start(self._pump, far, near, False)

    def _pump(self, source: socket.socket, target: socket.socket, outwards: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if outwards and data[:5] in (b"GET /", b"POST ", b"DELET"):
                    self.asked.append(" ".join(data.split(b"\r\n")[0].decode().split()[:2]))
                target.sendall(data)
        self._shut(source, target)

    @staticmethod
    def _shut(*ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        self.good = False
        self._shut(*self._open)

    def close(self) -> None:
        self.cut()
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


@pytest.fixture
def server(line: Line) -> Iterator[InstrumentServer]:
    settings = ServerSettings(names=(f"127.0.0.1:{line.port}",))
    with InstrumentServer(Guard(PlainTwin(VirtualClock(speed=1.0))), settings) as running:
        line.target = running.port
        yield running


@pytest.fixture
def scope(line: Line, server: InstrumentServer) -> Iterator[RemoteScope]:
    token = server.keys.tokens[Role.OPERATOR]
    made = npl.connect(f"http://127.0.0.1:{line.port}", token=token, silence=6.0)
    assert isinstance(made, RemoteScope)
    with made:
        yield made


def take_and_cut(scan: Acquisition, line: Line, after: int, seen: list[SignalSet]) -> None:
    """Take all blocks there are, and cut the line after some of them."""
    for block in scan:
        seen.append(block)
        if len(seen) == after:
            line.cut()


def test_blocks_that_came_before_the_loss_are_kept(scope: RemoteScope, line: Line) -> None:
    scan = scope.capability(Scanner).start(SCAN)
    seen: list[SignalSet] = []
    with pytest.raises(LinkLost, match="read back"):
        take_and_cut(scan, line, 3, seen)
    result = scan.result()
    assert dict(result.sizes) == {"y": 400, "x": 8}
    xr.testing.assert_equal(result.isel(y=slice(0, 3)), xr.concat(seen[:3], "y"))
    assert np.isnan(result["height"].isel(y=slice(len(seen), None))).all()
    assert 0 <= scan.progress < 1


def test_the_server_tells_what_it_kept_once_the_line_is_back(
    scope: RemoteScope, server: InstrumentServer, line: Line
) -> None:
    scan = scope.capability(Scanner).start(SCAN)
    with pytest.raises(LinkLost):
        take_and_cut(scan, line, 2, [])
    line.good = True
    (measurement,) = server.service.measurements.all()
    measurement.abort()
    result = scan.result()
    assert int(np.isfinite(result["height"].isel(x=0)).sum()) == measurement.count


def test_nothing_is_sent_after_a_loss_before_everything_was_read(
    scope: RemoteScope, server: InstrumentServer, line: Line
) -> None:
    scope.capability(Beam).set(blanked=0)
    line.cut()
    with pytest.raises(LinkLost):
        scope.capability(Focus).set(defocus=1e-7)
    guard = server.service.scope
    until_safe(guard)
    line.asked.clear()
    line.good = True
    scope.capability(Focus).set(defocus=2e-7)
    assert line.asked[:2] == ["GET /v1/description", "GET /v1/state"]
    assert line.asked.index("POST /v1/set") > 1
    assert scope._remote.last_state is not None
    assert scope._remote.last_state.values["Beam.blanked"] == 1.0
    assert guard.state().values["Focus.defocus"] == pytest.approx(2e-7)


def until_safe(guard: Guard) -> None:
    end = time.monotonic() + 60
    while guard.state().values["Beam.blanked"] == 0.0:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_command_is_never_sent_twice(scope: RemoteScope, line: Line) -> None:
    scope.capability(Focus).set(defocus=1e-7)
    line.cut()
    line.asked.clear()
    for _ in range(3):
        with pytest.raises(LinkLost):
            scope.capability(Focus).set(defocus=2e-7)
    assert "POST /v1/set" not in line.asked


def plain() -> Guard:
    return Guard(PlainTwin(VirtualClock()))


FRAME = SCAN.model_copy(update={"shape": (6, 5)})
PLACES = ((0.0, 0.0), (1e-7, 2e-7), (0.0, 3e-7))
REQUESTS: tuple[tuple[str, Any], ...] = (
    ("Scanner", FRAME),
    ("Scanner", FRAME.model_copy(update={"rotation": 0.3, "frames": 3})),
    ("Scanner", FRAME.model_copy(update={"order": "lines", "lines": (1, 4)})),
    ("Scanner", FRAME.model_copy(update={"order": "points", "points": PLACES})),
    ("PointSpectroscopy", SpectrumRequest(position=(1e-7, 0))),
    ("PointSpectroscopy", SpectrumRequest(position=(0, 0), kind="force")),
    (
        "PointSpectroscopy",
        SpectrumRequest(position=(0, 0), shape=(2, 3), field_of_view=(1e-7, 1e-7), rotation=0.2),
    ),
    ("Camera", CameraRequest(frames=4, binning=8)),
    ("BiasWriter", WriteRequest(points=PLACES, bias=(1.0,), duration=0.1)),
)


@given(which=st.integers(0, len(REQUESTS) - 1), count=st.integers(1, 20))
@settings(deadline=None, max_examples=60)
def test_assembled_blocks_are_the_aborted_measurement(which: int, count: int) -> None:
    capability, request = REQUESTS[which]
    kind, _ = MEASURING[capability]
    acquisition = plain().capability(kind).start(request)
    blocks = []
    for block in acquisition:
        blocks.append(block)
        if len(blocks) == count:
            acquisition.abort()
            break
    whole, found = acquisition.result(), assemble(request, blocks)
    if capability == "BiasWriter":  # which says where points are only as it gets there
        whole = whole.isel(point=slice(0, len(blocks)))
    for name, channel in whole.data_vars.items():
        assert found[name].dims == channel.dims
        np.testing.assert_array_equal(found[name], channel)
        for dim in set(channel.dims) & set(whole.coords) - {"point"}:
            np.testing.assert_allclose(found[dim], whole[dim], atol=1e-15)


@pytest.mark.parametrize("name", sorted(vars(errors)))
def test_every_error_comes_back_as_what_it_was(name: str) -> None:
    kind = getattr(errors, name)
    if not isinstance(kind, type) or not issubclass(kind, NanopilotError):
        return
    made = error_of(Problem(error=name, message="`bias` is 20 V."))
    assert type(made) is kind
    assert str(made) == "`bias` is 20 V."
    assert problem_of(made) == Problem(error=name, message="`bias` is 20 V.")
