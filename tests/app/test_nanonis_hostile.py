"""Whatever reaches the port of the Nanonis facade: it is answered or hung up on, and no more."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanopilot.app.facades.nanonis import NanonisFacade
from nanopilot.core.clock import VirtualClock
from nanopilot.instruments import Guard
from nanopilot.instruments.nanonis import codec
from nanopilot.instruments.nanonis.commands import COMMANDS
from nanopilot.twins.plain import PlainTwin


@pytest.fixture(scope="module")
def target() -> Iterator[NanonisFacade]:
    with NanonisFacade(Guard(PlainTwin(VirtualClock(), world="tip")), port=0) as facade:
        yield facade


bodies = st.binary(max_size=64)
headers = st.builds(
    lambda name, size, body: struct.pack(">32siHH", name, size, 1, 0) + body,
    st.sampled_from([name.encode() for name in COMMANDS]) | st.binary(max_size=32),
    st.integers(-(2**31), 2**31 - 1) | st.integers(0, 64),
    bodies,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(headers | st.binary(max_size=120))
def test_hostile_bytes_hurt_nobody(target: NanonisFacade, packed: bytes) -> None:
    with socket.create_connection(("127.0.0.1", target.port)) as line:
        line.settimeout(10)
        with contextlib.suppress(OSError):  # it may hang up as soon as it has seen enough
            line.sendall(packed)
            line.shutdown(socket.SHUT_WR)
            while line.recv(65536):
                pass
    with socket.create_connection(("127.0.0.1", target.port)) as line:
        line.sendall(struct.pack(">32siHH", b"Util.SessionPathGet", 0, 1, 0))
        assert line.recv(1000)[-12:] == bytes(12)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(set(COMMANDS) - {"Scan.WaitEndOfScan"})), bodies)
def test_any_body_is_answered_with_whole_values_and_an_error_block(
    target: NanonisFacade, name: str, body: bytes
) -> None:
    """The reply can be read as the command's values, whatever it was sent."""
    with socket.create_connection(("127.0.0.1", target.port)) as line:
        line.settimeout(10)
        line.sendall(codec.Header(name, len(body)).pack() + body)
        reader = line.makefile("rb")
        header = codec.Header.unpack(reader.read(40))
        assert header.command == name
        _, block = codec.unpack(COMMANDS[name].returns, reader.read(header.size))
        codec.read_error(block)
        assert codec.unpack(("I", "s"), block)[1] == b""
        reader.close()
        line.sendall(codec.Header("Scan.Action", 6).pack() + struct.pack(">HI", 1, 1))
        line.recv(1000)


def test_request_of_a_megabyte_is_hung_up_on_before_it_is_read(target: NanonisFacade) -> None:
    with socket.create_connection(("127.0.0.1", target.port)) as line:
        line.settimeout(10)
        line.sendall(codec.Header("Bias.Set", 2 << 20).pack())
        assert line.recv(1) == b""
