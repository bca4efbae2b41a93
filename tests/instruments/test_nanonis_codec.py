"""Bytes of the Nanonis protocol, against bytes written down by hand from its description."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import DeviceError, Unsupported
from nanopilot.instruments.nanonis import codec
from nanopilot.instruments.nanonis.commands import COMMANDS, find

#: What is sent for each command: its name, values, and the body as hex, field by field.
REQUESTS: list[tuple[str, tuple[Any, ...], str]] = [
    ("Bias.Set", (1.5,), "3fc00000"),
    ("Bias.Get", (), ""),
    ("Bias.Pulse", (1, 0.5, -2.0, 1, 2), "00000001 3f000000 c0000000 0001 0002"),
    ("BiasSpectr.Start", (1, "run"), "00000001 00000003 72756e"),
    ("BiasSpectr.ChsSet", ([0, 14],), "00000002 00000000 0000000e"),
    ("BiasSpectr.PropsSet", (2, 1, 2, 64, 0.0, 2, 2),
     "0002 00000001 0002 00000040 00000000 0002 0002"),
    ("BiasSpectr.LimitsSet", (-8.5, 8.5), "c1080000 41080000"),
    ("ZCtrl.ZPosSet", (0.5,), "3f000000"),
    ("ZCtrl.OnOffSet", (1,), "00000001"),
    ("ZCtrl.SetpntSet", (1.0,), "3f800000"),
    ("ZCtrl.GainSet", (1.0, 2.0, 0.5), "3f800000 40000000 3f000000"),
    ("ZCtrl.Withdraw", (1, -1), "00000001 ffffffff"),
    ("AutoApproach.OnOffSet", (1,), "0001"),
    ("Scan.Action", (0, 1), "0000 00000001"),
    ("Scan.WaitEndOfScan", (-1,), "ffffffff"),
    ("Scan.FrameSet", (1.0, 2.0, 4.0, 8.0, -90.0), "3f800000 40000000 40800000 41000000 c2b40000"),
    ("Scan.BufferSet", ([0, 30], 256, 128), "00000002 00000000 0000001e 00000100 00000080"),
    ("Scan.PropsSet", (2, 2, 3, "a", ""), "00000002 00000002 00000003 00000001 61 00000000"),
    ("Scan.SpeedSet", (1.0, 1.0, 0.5, 0.5, 2, 1.0),
     "3f800000 3f800000 3f000000 3f000000 0002 3f800000"),
    ("Scan.FrameDataGrab", (30, 1), "0000001e 00000001"),
    ("Scan.XYPosGet", (1,), "00000001"),
    ("FolMe.XYPosSet", (1.0, -2.0, 1), "3ff0000000000000 c000000000000000 00000001"),
    ("FolMe.XYPosGet", (1,), "00000001"),
    ("FolMe.SpeedSet", (1.0, 1), "3f800000 00000001"),
    ("FolMe.OversamplSet", (10,), "0000000a"),
    ("Signals.RangeGet", (24,), "00000018"),
    ("Signals.ValGet", (24, 1), "00000018 00000001"),
    ("Signals.ValsGet", ([0, 24], 1), "00000002 00000000 00000018 00000001"),
]  # fmt: skip

#: What comes back, likewise, without the error block.
REPLIES: list[tuple[str, list[Any], str]] = [
    ("Bias.Get", [-1.5], "bfc00000"),
    ("Bias.RangeGet", [["10V"], 0], "00000007 00000001 00000003 313056 0000"),
    ("BiasSpectr.Start", [["a", "bc"], [[1.0], [2.0]], [0.5]],
     "0000000b 00000002 00000001 61 00000002 6263 00000002 00000001 3f800000 40000000"
     "00000001 3f000000"),
    ("BiasSpectr.StatusGet", [1], "00000001"),
    ("BiasSpectr.ChsGet", [[3], ["z"]], "00000001 00000003 00000005 00000001 00000001 7a"),
    ("BiasSpectr.PropsGet", [0, 1, 0, 64, ["z"], [], []],
     "0000 00000001 0000 00000040 00000005 00000001 00000001 7a"
     "00000000 00000000 00000000 00000000"),
    ("BiasSpectr.LimitsGet", [-8.5, 8.5], "c1080000 41080000"),
    ("BiasSpectr.TimingGet", [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0],
     "00000000 00000000 00000000 00000000 00000000 3f000000 00000000 00000000"),
    ("Current.Get", [1.0], "3f800000"),
    ("ZCtrl.ZPosGet", [1.0], "3f800000"),
    ("ZCtrl.OnOffGet", [1], "00000001"),
    ("ZCtrl.SetpntGet", [1.0], "3f800000"),
    ("ZCtrl.GainGet", [1.0, 2.0, 0.5], "3f800000 40000000 3f000000"),
    ("ZCtrl.CtrlListGet", [["I"], 0], "00000005 00000001 00000001 49 00000000"),
    ("ZCtrl.LimitsGet", [1.0, -1.0], "3f800000 bf800000"),
    ("ZCtrl.StatusGet", [2], "0002"),
    ("AutoApproach.OnOffGet", [0], "0000"),
    ("Piezo.RangeGet", [2.0, 2.0, 1.0], "40000000 40000000 3f800000"),
    ("Piezo.TiltGet", [0.0, 0.0], "00000000 00000000"),
    ("Scan.StatusGet", [1], "00000001"),
    ("Scan.WaitEndOfScan", [0, "f"], "00000000 00000001 66"),
    ("Scan.FrameGet", [1.0, 2.0, 4.0, 8.0, 0.0], "3f800000 40000000 40800000 41000000 00000000"),
    ("Scan.BufferGet", [[0], 256, 128], "00000001 00000000 00000100 00000080"),
    ("Scan.PropsGet", [0, 0, 2, "s", "", [], [], 0, 0, 3],
     "00000000 00000000 00000002 00000001 73 00000000 00000000 00000000 00000000"
     "00000000 00000000 00000003"),
    ("Scan.SpeedGet", [1.0, 1.0, 0.5, 0.5, 1, 1.0],
     "3f800000 3f800000 3f000000 3f000000 0001 3f800000"),
    ("Scan.FrameDataGrab", ["z", [[1.0, 2.0]], 1],
     "00000001 7a 00000001 00000002 3f800000 40000000 00000001"),
    ("Scan.XYPosGet", [1.0, 2.0], "3f800000 40000000"),
    ("FolMe.XYPosGet", [1.0, -2.0], "3ff0000000000000 c000000000000000"),
    ("FolMe.SpeedGet", [1.0, 0], "3f800000 00000000"),
    ("FolMe.OversamplGet", [10, 1.0], "0000000a 3f800000"),
    ("Signals.NamesGet", [["a"]], "00000005 00000001 00000001 61"),
    ("Signals.MeasNamesGet", [["a"]], "00000005 00000001 00000001 61"),
    ("Signals.InSlotsGet", [["a"], [7]], "00000005 00000001 00000001 61 00000001 00000007"),
    ("Signals.RangeGet", [8.5, -8.5], "41080000 c1080000"),
    ("Signals.ValGet", [1.0], "3f800000"),
    ("Signals.ValsGet", [[1.0, 2.0]], "00000002 3f800000 40000000"),
    ("Util.VersionGet", ["p", "v", 1, 2], "00000001 70 00000001 76 00000001 00000002"),
    ("Util.SessionPathGet", ["C:"], "00000002 433a"),
]  # fmt: skip


def packed(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal.replace(" ", ""))


@pytest.mark.parametrize(("name", "values", "body"), REQUESTS, ids=[one[0] for one in REQUESTS])
def test_request_is_the_bytes_of_the_description(
    name: str, values: tuple[Any, ...], body: str
) -> None:
    assert codec.pack(find(name).takes, values) == packed(body)
    read, left = codec.unpack(find(name).takes, packed(body))
    assert (tuple(read), left) == (values, b"")


@pytest.mark.parametrize(("name", "values", "body"), REPLIES, ids=[one[0] for one in REPLIES])
def test_reply_is_the_bytes_of_the_description(name: str, values: list[Any], body: str) -> None:
    assert codec.pack(find(name).returns, values) == packed(body)
    read, left = codec.unpack(find(name).returns, packed(body))
    assert left == b""
    for found, wanted in zip(read, values, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_every_command_with_values_has_its_bytes_written_down() -> None:
    assert {name for name, one in COMMANDS.items() if one.takes} <= {one[0] for one in REQUESTS}
    assert {name for name, one in COMMANDS.items() if one.returns} <= {one[0] for one in REPLIES}


def test_header_is_the_bytes_of_the_description() -> None:
    header = codec.Header("Scan.FrameGet", 20)
    assert header.pack() == b"Scan.FrameGet" + bytes(19) + packed("00000014 0001 0000")
    assert codec.Header.unpack(header.pack()) == header


def test_error_block_is_the_bytes_of_the_description() -> None:
    assert codec.error_block() == bytes(8)
    assert codec.error_block("no") == packed("00000001 00000002 6e6f")
    assert codec.read_error(packed("00000001 00000002 6e6f")) == "no"
    assert codec.read_error(packed("00000001 00000000")) != ""


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=False))
def test_number_comes_back_as_the_shortest_that_is_the_same_on_the_wire(value: float) -> None:
    (read,), _ = codec.unpack(("f",), struct.pack(">f", value))
    assert np.float32(read) == np.float32(value)
    assert len(repr(read)) <= len(repr(float(value)))


@settings(deadline=None)
@given(st.text())
def test_text_is_cut_to_whole_letters_that_clients_can_read(text: str) -> None:
    (read,), left = codec.unpack(("s",), codec.pack(("s",), (text,)))
    assert left == b""
    assert len(read.encode()) <= 255
    if len(text.encode("utf-8", "replace")) <= 255:
        assert read == text.encode("utf-8", "replace").decode()


@settings(deadline=None)
@given(st.sampled_from(sorted(COMMANDS)), st.binary(max_size=200))
def test_any_bytes_are_read_whole_or_refused(name: str, body: bytes) -> None:
    for kinds in (find(name).takes, find(name).returns):
        try:
            values, left = codec.unpack(kinds, body)
        except DeviceError:
            continue
        assert len(values) == len(kinds)
        assert body.endswith(left)


@pytest.mark.parametrize("size", [-1, 2**31 - 1])
def test_impossible_size_is_refused_before_anything_is_read(size: int) -> None:
    with pytest.raises(DeviceError, match="announces"):
        codec.Header.unpack(struct.pack(">32siHH", b"Bias.Get", size, 1, 0))


def test_name_that_is_no_plain_text_is_refused() -> None:
    for name in (bytes(32), b"\xff\xfe", b"Bias Get"):
        with pytest.raises(DeviceError, match="names no command"):
            codec.Header.unpack(struct.pack(">32siHH", name, 0, 1, 0))


def test_value_that_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(DeviceError, match="do not fit f"):
        codec.pack(("f",), (1e300,))
    with pytest.raises(DeviceError, match="do not fit H"):
        codec.pack(("H",), (-1,))
    with pytest.raises(DeviceError, match="are 2; the command has 1"):
        codec.pack(("H",), (1, 2))


def test_command_that_is_not_spoken_is_unsupported() -> None:
    with pytest.raises(Unsupported, match=r"Lasers\.Fire"):
        find("Lasers.Fire")
