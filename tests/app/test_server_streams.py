"""Streams: every block to who keeps up, the newest frame to who does not, and no queue grows."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.sync.client import ClientConnection, connect

import nanopilot as npl
from nanopilot.app.server import InstrumentServer, Role, ServerSettings
from nanopilot.app.server.events import Listeners
from nanopilot.app.server.measurements import Measurement, Measurements
from nanopilot.app.server.streams import _send_blocks
from nanopilot.core.adjustables import Focus
from nanopilot.core.capabilities import Camera, Scanner
from nanopilot.core.errors import DeviceError, UnknownName
from nanopilot.core.requests import CameraRequest, ScanRequest
from nanopilot.core.signals import SignalSet
from nanopilot.core.wire import unpack

FRAME = ScanRequest(centre=(0, 0), field_of_view=(1e-6, 1e-6), shape=(5, 4))


class Film:
    """A series of frames in blocks of one row each, as fast as they are taken."""

    def __init__(self, frames: int, rows: int, error: Exception | None = None) -> None:
        self.values = np.arange(frames * rows, dtype=float).reshape(frames, rows)
        self.error = error
        self.progress = 1.0

    def whole(self) -> SignalSet:
        frame = np.arange(self.values.shape[0], dtype=float)
        return xr.Dataset({"haadf": (("frame", "y"), self.values)}, coords={"frame": frame})

    def __iter__(self) -> Iterator[SignalSet]:
        whole = self.whole()
        for frame in range(self.values.shape[0]):
            for row in range(self.values.shape[1]):
                yield whole.isel(frame=frame, y=slice(row, row + 1))
        if self.error is not None:
            raise self.error

    def abort(self) -> None: ...

    def result(self) -> SignalSet:
        return self.whole()


class Socket:
    """A reader that says when it takes the next message."""

    def __init__(self, paces: Iterator[int]) -> None:
        self.paces = paces
        self.blocks: list[float] = []
        self.told: list[dict[str, Any]] = []
        self.closed = False

    async def send_bytes(self, packed: bytes) -> None:
        self.blocks.append(unpack(packed)["haadf"].item())
        for _ in range(next(self.paces, 0)):
            await asyncio.sleep(0)

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text))

    async def close(self) -> None:
        self.closed = True


def stream(measurement: Measurement, *, newest: bool, first: int = 0) -> Socket:
    socket = Socket(iter(()))

    async def run() -> None:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await _send_blocks(socket, measurement, (newest, first), gone)  # type: ignore[arg-type]

    asyncio.run(run())
    return socket


def finished(film: Film, **limits: int) -> Measurement:
    measurement = Measurement("Scanner", film, ServerSettings(**limits))
    measurement.thread.start()
    measurement.thread.join()
    return measurement


sizes = st.tuples(st.integers(1, 6), st.integers(1, 5))


@given(sizes, st.integers(0, 10))
@settings(deadline=None, max_examples=30)
def test_who_wants_all_gets_all_in_order(size: tuple[int, int], first: int) -> None:
    film = Film(*size)
    socket = stream(finished(film), newest=False, first=first)
    assert socket.blocks == film.values.ravel()[first:].tolist()
    assert [told["kind"] for told in socket.told] == ["end"]
    assert socket.closed


@given(sizes)
@settings(deadline=None, max_examples=30)
def test_who_is_late_gets_the_newest_frame_and_is_told_what_was_dropped(
    size: tuple[int, int],
) -> None:
    film = Film(*size)
    socket = stream(finished(film), newest=True)
    assert socket.blocks == film.values[-1].tolist()
    dropped = [told["count"] for told in socket.told if told["kind"] == "dropped"]
    assert sum(dropped) == film.values[:-1].size
    assert xr.Dataset.identical(unpack(finished(film).result or b""), film.whole())


@given(sizes, st.integers(1, 8))
@settings(deadline=None, max_examples=30)
def test_only_so_many_blocks_are_kept_and_the_rest_is_told(
    size: tuple[int, int], keep: int
) -> None:
    film = Film(*size)
    measurement = finished(film, keep_blocks=keep)
    assert len(measurement._blocks) == min(keep, film.values.size)
    socket = stream(measurement, newest=False)
    assert socket.blocks == film.values.ravel()[-keep:].tolist()
    dropped = sum(told["count"] for told in socket.told if told["kind"] == "dropped")
    assert dropped + len(socket.blocks) == film.values.size


def test_memory_for_blocks_is_bounded_in_bytes_too() -> None:
    measurement = finished(Film(20, 1), keep_block_bytes=64)
    assert 1 <= len(measurement._blocks) <= 4


def test_an_error_of_the_instrument_ends_the_stream_with_its_name() -> None:
    for error, name in ((DeviceError("no beam"), "DeviceError"), (KeyError("x"), "DeviceError")):
        socket = stream(finished(Film(1, 3, error)), newest=True)
        assert len(socket.blocks) == 3
        assert socket.told[-1]["progress"]["error"]["error"] == name


def test_old_results_make_room_and_the_newest_stays() -> None:
    kept = Measurements(ServerSettings(keep_results=3, keep_bytes=1))
    for _ in range(6):
        last = kept.add("Scanner", Film(2, 2))
        last.thread.join()
    assert [one.id for one in kept.all()][-1] == last.id
    assert len(kept.all()) <= 3
    with pytest.raises(UnknownName):
        kept.find("none")


def test_a_listener_that_does_not_listen_is_told_how_much_it_missed() -> None:
    listeners = Listeners()
    listener = listeners.add()
    for number in range(1000):
        listeners.tell(str(number))
    dropped, waiting = listener.take()
    assert dropped + len(waiting) == 1000
    assert waiting[-1] == "999"
    assert len(waiting) <= 256


@pytest.fixture
def server() -> Iterator[InstrumentServer]:
    settings = ServerSettings(state_seconds=0.05)
    with InstrumentServer(npl.connect("plain"), settings) as running:
        yield running


def listen(server: InstrumentServer, path: str) -> ClientConnection:
    token = server.keys.tokens[Role.VIEWER]
    headers = {"Authorization": f"Bearer {token}"}
    url = server.url.replace("http", "ws") + path
    return connect(url, additional_headers=headers, compression=None, proxy=None)


def test_events_tell_every_verdict_and_the_state(server: InstrumentServer) -> None:
    with listen(server, "/v1/events") as line:
        kinds = [json.loads(line.recv())["kind"]]
        server.service.scope.capability(Focus).set(defocus=1e-7)
        while {"audit", "state"} - set(kinds):
            kinds.append(json.loads(line.recv(timeout=20))["kind"])
    assert set(kinds) <= {"audit", "state"}


def test_streams_end_when_the_server_does(server: InstrumentServer) -> None:
    with listen(server, "/v1/events") as line:
        line.recv(timeout=20)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        for _ in line:
            pass
        stopping.join()
    assert server.service.closing.is_set()


def test_many_readers_get_the_same_blocks(server: InstrumentServer) -> None:
    token = server.keys.tokens[Role.OPERATOR]
    with npl.connect(server.url, token=token) as scope:  # type: ignore[attr-defined]
        series = CameraRequest(frames=5)
        blocks = list(scope.capability(Camera).start(series))
        (measurement,) = server.service.measurements.all()
        path = f"/v1/acquisitions/{measurement.id}/blocks?newest=false"
        for _ in range(2):
            with listen(server, path) as line:
                seen = [unpack(message) for message in line if isinstance(message, bytes)]
            assert len(seen) == len(blocks) == 5
            for mine, yours in zip(seen, blocks, strict=True):
                xr.testing.assert_identical(mine, yours)
        assert scope.capability(Scanner).start(FRAME).result().sizes == {"y": 5, "x": 4}
