"""The line to a Nanonis controller: when it breaks, and when the controller has its own mind."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from nanopilot.app.facades.nanonis import NanonisFacade
from nanopilot.core.adjustables import BiasSource
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import DeviceError, LinkLost, NotReached
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments import Guard
from nanopilot.instruments.nanonis import codec, connect
from nanopilot.instruments.nanonis.commands import find
from nanopilot.instruments.nanonis.link import SocketLink
from nanopilot.twins.plain import PlainTwin

REQUEST = ScanRequest(centre=(1e-7, -2e-7), field_of_view=(8e-7, 4e-7), shape=(5, 9))


@contextlib.contextmanager
def stand_in() -> Iterator[tuple[PlainTwin, int]]:
    """A twin that answers like a controller, and the port it answers on."""
    twin = PlainTwin(VirtualClock(), world="tip")
    with NanonisFacade(Guard(twin), port=0) as facade:
        yield twin, facade.port


class Cut:
    """A wire that can be cut: bytes go through it until then."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.passed: list[str] = []

    def cut(self) -> None:
        for line in self._open:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.cut()
        for thread in self._threads[1:]:
            thread.join()
        for line in self._open:
            line.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            self._open += [near, far]
            for pair in ((near, far), (far, near)):
                thread = threading.Thread(
                    target=self._pass, args=(*pair, pair[0] is near), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, forth: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if forth:
                    self.passed.append(piece[:32].rstrip(b"\0").decode())
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_RDWR)


def test_lost_link_is_an_error_once_and_the_state_is_read_before_anything_else() -> None:
    with stand_in() as (twin, port), contextlib.closing(Cut(port)) as wire:
        driver = connect(port=wire.port)
        bias = Guard(driver).capability(BiasSource)
        bias.set(bias=1.0)
        wire.cut()
        with pytest.raises(LinkLost, match="unknown"):
            bias.set(bias=2.0)
        wire.passed.clear()
        bias.set(bias=3.0)
        before = wire.passed[: wire.passed.index("Bias.Set")]
        assert {"Bias.Get", "ZCtrl.ZPosGet", "FolMe.XYPosGet"} <= set(before)
        assert twin.state().values["BiasSource.bias"] == 3.0
        driver.close()


def test_nobody_there_is_a_lost_link() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(LinkLost, match="nobody answers"):
        connect(port=port)


@contextlib.contextmanager
def controller(**fixed: Any) -> Iterator[tuple[int, list[str]]]:
    """A controller that coerces: whatever it is told, it says what was fixed beforehand."""
    with stand_in() as (_, inner), socket.create_server(("127.0.0.1", 0)) as listener:
        asked: list[str] = []

        def serve() -> None:
            threads = [threading.Thread(target=talk, args=(listener.accept()[0],))
                       for _ in range(2)]  # fmt: skip
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def talk(near: socket.socket) -> None:
            far = SocketLink("127.0.0.1", inner)
            with near, near.makefile("rb") as reader:
                while packed := reader.read(codec.HEADER):
                    header = codec.Header.unpack(packed)
                    known = find(header.command)
                    values, _ = codec.unpack(known.takes, reader.read(header.size))
                    asked.append(header.command)
                    found = fixed.get(header.command) or far.ask(header.command, *values)
                    reply = codec.pack(known.returns, found) + codec.error_block()
                    near.sendall(codec.Header(header.command, len(reply)).pack() + reply)
            far.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join()


@pytest.mark.parametrize(
    ("fixed", "said"),
    [
        ({"Scan.BufferGet": [[0, 1], 16, 5]}, "multiples of 16"),
        ({"Scan.FrameGet": [0.0, 0.0, 1e-6, 1e-6, 0.0]}, "does not take the frame"),
    ],
)
def test_frame_that_the_controller_changes_is_not_scanned(fixed: Any, said: str) -> None:
    with controller(**fixed) as (port, asked):
        driver = connect(port=port)
        with pytest.raises(DeviceError, match=said):
            driver.capability(Scanner).start(REQUEST)
        assert "Scan.Action" not in asked
        driver.close()


def test_value_that_the_controller_does_not_take_is_not_reached() -> None:
    with controller(**{"Bias.Get": [0.25]}) as (port, _):
        driver = connect(port=port)
        with pytest.raises(NotReached, match=r"0\.25"):
            Guard(driver).capability(BiasSource).set(bias=1.0)
        driver.close()
