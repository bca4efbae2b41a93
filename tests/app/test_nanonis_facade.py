"""Scripts for a Nanonis controller run unchanged against any guarded instrument.

Both public clients are used as they are published; nothing of them is changed or copied.
"""

from __future__ import annotations

import copy
import math
import socket
import struct
from collections.abc import Iterator
from typing import Any

import nanonis_spm
import numpy as np
import pytest
from nanonisTCP import nanonisTCP
from nanonisTCP.AutoApproach import AutoApproach
from nanonisTCP.Bias import Bias
from nanonisTCP.BiasSpectr import BiasSpectr
from nanonisTCP.Current import Current
from nanonisTCP.FolMe import FolMe
from nanonisTCP.Piezo import Piezo
from nanonisTCP.Scan import Scan
from nanonisTCP.Signals import Signals
from nanonisTCP.Util import Util
from nanonisTCP.ZController import ZController

from nanopilot.app.facades.nanonis import NanonisFacade
from nanopilot.core.capabilities import PointSpectroscopy, Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import LinkLost
from nanopilot.core.limits import Limits, Range
from nanopilot.core.requests import ScanRequest, SpectrumRequest
from nanopilot.instruments import Guard
from nanopilot.twins.plain import PlainTwin
from nanopilot.workflows.connect import connect

SIDE = 2e-6 * 255 / 256  # of 256 pixels, from centre to centre, in a frame of 2 um
WHOLE = ScanRequest(centre=(1e-6, 1e-6), field_of_view=(SIDE, SIDE), shape=(256, 256))


def tip() -> Guard:
    return Guard(PlainTwin(VirtualClock(), world="tip"))


@pytest.fixture(scope="module")
def recorded() -> Any:
    """The frame as the instrument itself records it."""
    scope = connect("replay", sample="beps-pto")
    return scope.capability(Scanner).start(WHOLE).result()["piezoresponse"].to_numpy()


@pytest.fixture
def film() -> Iterator[NanonisFacade]:
    with NanonisFacade(connect("replay", sample="beps-pto"), port=0) as facade:
        yield facade


@pytest.fixture
def stm() -> Iterator[NanonisFacade]:
    with NanonisFacade(tip(), port=0) as facade:
        yield facade


@pytest.fixture
def spm(film: NanonisFacade) -> Iterator[Any]:
    """The maker's client."""
    yield from spm_client(film)


def spm_client(facade: NanonisFacade) -> Iterator[Any]:
    with socket.create_connection(("127.0.0.1", facade.port)) as line:
        yield nanonis_spm.Nanonis(line)


@pytest.fixture
def tcp(film: NanonisFacade) -> Iterator[Any]:
    """The other client."""
    client = nanonisTCP("127.0.0.1", film.port, max_buf_size=65536)
    yield client
    client.close_connection()


def good(reply: tuple[Any, ...]) -> list[Any]:
    """Return what the maker's client read, having seen that there was no error."""
    error, _, values = reply
    assert error == ""
    return list(values)


def test_makers_client_runs_a_whole_session(spm: Any, recorded: Any) -> None:
    good(spm.Bias_Set(-8.5))
    assert good(spm.Bias_Get()) == [-8.5]
    assert "8.6 V" in spm.Bias_Set(8.6)[0]
    assert good(spm.Bias_Get()) == [-8.5]
    good(spm.FolMe_XYPosSet(0.5e-6, 1.5e-6, 1))
    assert good(spm.FolMe_XYPosGet(1)) == [0.5e-6, 1.5e-6]
    assert good(spm.Signals_NamesGet())[2][0] == "piezoresponse (a.u.)"
    good(spm.Scan_FrameSet(1e-6, 1e-6, 2e-6, 2e-6, 0))
    np.testing.assert_allclose(good(spm.Scan_FrameGet()), [1e-6, 1e-6, 2e-6, 2e-6, 0], rtol=1e-7)
    good(spm.Scan_BufferSet([0], 256, 256))
    assert good(spm.Scan_BufferGet())[2:] == [256, 256]
    good(spm.Scan_Action(0, 1))
    assert good(spm.Scan_WaitEndOfScan(20000))[0] == 0
    assert good(spm.Scan_StatusGet()) == [0]
    _, name, rows, columns, image, up = good(spm.Scan_FrameDataGrab(0, 1))
    assert (name, rows, columns, up) == ("piezoresponse (a.u.)", 256, 256, 1)
    np.testing.assert_array_equal(np.array(image, np.float32), recorded.astype(np.float32))
    good(spm.BiasSpectr_Open())
    _, _, names, *_, data, _, place = good(spm.BiasSpectr_Start(1, ""))
    assert names == ["Bias calc (V)", "piezoresponse (a.u.)"]
    check_spectrum(np.array(data), (0.5e-6, 1.5e-6))
    np.testing.assert_allclose(np.ravel(place), (0.5e-6, 1.5e-6), rtol=1e-6)


def check_spectrum(data: Any, place: tuple[float, float]) -> None:
    """See that rows are the bias and the channel, as the instrument itself measures them."""
    own = connect("replay", sample="beps-pto").capability(PointSpectroscopy)
    spectrum = own.start(SpectrumRequest(position=place)).result()
    np.testing.assert_array_equal(data[0], spectrum["bias"].astype(np.float32))
    np.testing.assert_array_equal(data[1], spectrum["piezoresponse"].astype(np.float32))


def test_other_client_runs_a_whole_session(tcp: Any, recorded: Any) -> None:
    bias, scan, spectra = Bias(tcp), Scan(tcp), BiasSpectr(tcp)
    bias.Set(8.5)
    assert bias.Get() == 8.5
    with pytest.raises(Exception, match=r"^`BiasSource.bias` is -9"):
        bias.Set(-9)
    assert bias.RangeGet() == [["-8.5 V to 8.5 V"], 0]
    FolMe(tcp).XYPosSet(1e-6, 1.2e-6, Wait_end_of_move=True)
    assert FolMe(tcp).XYPosGet(1) == (1e-6, 1.2e-6)
    assert Piezo(tcp).RangeGet()[:2] == pytest.approx([4e-6, 4e-6])
    assert Signals(tcp).InSlotsGet()[1][0] == 0
    scan.FrameSet(1e-6, 1e-6, 2e-6, 2e-6)
    scan.BufferSet(pixels=256, lines=256)
    scan.SpeedSet(fwd_line_time=0.5, bwd_line_time=0.25)
    assert scan.SpeedGet()[2:4] == [0.5, 0.25]
    scan.PropsSet(series_name="film", comment="a test")
    assert scan.PropsGet()[3:5] == ["film", "a test"]
    scan.Start("up")
    assert scan.WaitEndOfScan() == [False, 0, ""]
    assert not scan.StatusGet()
    name, image, direction = scan.FrameDataGrab(0, 1)
    assert (name, direction) == ("piezoresponse (a.u.)", "up")
    np.testing.assert_array_equal(image.astype(np.float32), recorded.astype(np.float32))
    spectra.Open()
    assert spectra.LimitsGet() == {"start_value": -8.5, "end_value": 8.5}
    assert spectra.ChsGet()[0] == [0]  # it looks for the names four bytes too early
    assert spectra.PropsGet()["num_points"] == 64
    spectra.PropsSet(num_points=64)
    spectra.LimitsSet(-8.5, 8.5)  # the recorded loop's own ends: still the recorded loop
    found = spectra.Start(1)["data_dict"]
    check_spectrum(list(found.values()), (1e-6, 1.2e-6))
    assert spectra.StatusGet() == 0
    assert Util(tcp).SessionPathGet() == ""


def test_tip_is_held_retracted_and_brought_back(stm: NanonisFacade) -> None:
    client = nanonisTCP("127.0.0.1", stm.port)
    loop, approach = ZController(client), AutoApproach(client)
    loop.SetpntSet(2.5e-10)
    assert loop.SetpntGet() == np.float32(2.5e-10)
    loop.GainSet(1e-9, 1e-3)
    assert loop.GainGet() == pytest.approx([1e-9, 1e-3, 1e-6])
    loop.OnOffSet(False)
    assert (loop.OnOffGet(), loop.StatusGet()[1]) == (0, "Off")
    loop.OnOffSet(True)
    assert (loop.OnOffGet(), loop.StatusGet()[1]) == (1, "On")
    down = loop.ZPosGet()
    loop.Withdraw(True)
    assert loop.ZPosGet() == loop.LimitsGet()[0] > down
    with pytest.raises(Exception, match="no-writing-while-retracted"):
        Bias(client).Pulse(0.1, 1.0, wait_until_done=True)
    approach.Open()
    approach.OnOffSet(True)
    assert (approach.OnOffGet(), loop.ZPosGet()) == (0, down)
    Bias(client).Pulse(0.1, 1.0, rel_abs=1, wait_until_done=True)
    assert Current(client).Get() == np.float32(1e-10)
    with pytest.raises(Exception, match="can be read and not set"):
        loop.ZPosSet(0)
    assert loop.CtrlListGet() == [["current (A)"], 0]
    client.close_connection()


@pytest.mark.parametrize("upwards", [0, 1])
def test_data_come_in_the_order_in_which_a_controller_records_them(
    stm: NanonisFacade, upwards: int
) -> None:
    angle = 30.0
    request = ScanRequest(
        centre=(1e-7, -2e-7), field_of_view=(3e-7, 1e-7), shape=(2, 4), channels=("height",),
        rotation=-math.radians(angle), directions=("trace", "retrace"),
    )  # fmt: skip
    own = tip().capability(Scanner).start(request).result()
    client = nanonisTCP("127.0.0.1", stm.port)
    scan = Scan(client)
    scan.FrameSet(1e-7, -2e-7, 4e-7, 2e-7, angle)
    scan.BufferSet([0], 4, 2)
    scan.Action("start", ["down", "up"][upwards])
    scan.WaitEndOfScan()
    for direction, name in ((1, "height"), (0, "height_retrace")):
        _, image, said = scan.FrameDataGrab(0, direction)
        assert said == ["down", "up"][upwards]
        rows = image if upwards else image[::-1]
        placed = rows if direction else rows[:, ::-1]
        np.testing.assert_allclose(placed, own[name], rtol=1e-5, atol=1e-15)
    client.close_connection()


def test_unknown_and_malformed_requests_are_answered_and_the_link_stays_alive(
    spm: Any, film: NanonisFacade
) -> None:
    assert "`Lasers.Fire` is not known" in spm.quickSend("Lasers.Fire", [], [], [])[0]
    assert "not f" in spm.quickSend("Bias.Set", [1], ["H"], [])[0]
    assert "too many" in spm.quickSend("Bias.Set", [1, 2], ["f", "f"], [])[0]
    assert "`replay` has no Approach" in spm.AutoApproach_Open()[0]
    assert "`replay` has no BiasWriter" in spm.Bias_Pulse(1, 0.1, 1, 0, 2)[0]
    assert "cannot be recorded" in spm.Scan_BufferSet([1], 16, 16)[0]
    assert "nothing has been scanned" in spm.Scan_FrameDataGrab(0, 1)[0]
    assert "1 to 8192" in spm.Scan_BufferSet([0], -1, 16)[0]
    assert "Continuous scan" in spm.Scan_PropsSet(1, 2, 3, "", "", [], 0)[0]
    good(spm.Scan_PropsSet(2, 2, 3, "name", "comment", ["a module"], 0))
    assert good(spm.Bias_Get()) == [0.0]


def test_refusal_of_a_scan_comes_with_the_start_of_it(spm: Any) -> None:
    good(spm.Scan_FrameSet(1.9e-6, 1e-6, 2e-6, 2e-6, 0))
    error = spm.Scan_Action(0, 1)[0]
    assert error.startswith("npl `centre` and `field_of_view` reach")
    assert len(error.encode()) <= 255
    assert good(spm.Scan_StatusGet()) == [0]


def test_limits_of_the_guard_hold_for_clients(recorded: Any) -> None:
    limits = Limits(bias=Range(low=-1, high=1, unit="V"))
    with NanonisFacade(connect("plain", limits=limits, world="tip"), port=0) as facade:
        for spm in spm_client(facade):
            assert "1 V" in spm.Bias_Set(1.5)[0]
            assert good(spm.Bias_Get()) == [0.5]


def test_one_client_commands_and_the_others_look_on_until_it_hangs_up(
    stm: NanonisFacade,
) -> None:
    first, second = (nanonisTCP("127.0.0.1", stm.port) for _ in range(2))
    Bias(first).Set(1.0)
    with pytest.raises(Exception, match="held by"):
        Bias(second).Set(2.0)
    assert Bias(second).Get() == 1.0
    Scan(second).Stop()  # stopping needs no permission
    first.close_connection()
    Bias(second).Set(2.0)
    assert Bias(second).Get() == 2.0
    second.close_connection()


def test_scan_can_be_paused_resumed_and_stopped() -> None:
    twin = PlainTwin(VirtualClock(speed=200.0), world="tip")  # a line takes half a millisecond
    with NanonisFacade(Guard(twin), port=0) as facade:
        client = nanonisTCP("127.0.0.1", facade.port, max_buf_size=65536)
        scan = Scan(client)
        scan.FrameSet(0, 0, 1e-6, 1e-6)
        scan.BufferSet([0], 16, 2000)
        scan.Start()
        scan.Pause()
        assert scan.WaitEndOfScan(timeout=100)[0]
        before = np.isfinite(scan.FrameDataGrab(0, 1)[1]).all(axis=1).sum()
        assert scan.WaitEndOfScan(timeout=50)[0]
        assert np.isfinite(scan.FrameDataGrab(0, 1)[1]).all(axis=1).sum() == before < 2000
        with pytest.raises(Exception, match="stop it first"):
            scan.Start()
        scan.Resume()
        while np.isfinite(scan.FrameDataGrab(0, 1)[1]).all(axis=1).sum() == before:
            scan.WaitEndOfScan(timeout=10)
        scan.Stop()
        assert not scan.StatusGet()
        image = scan.FrameDataGrab(0, 1)[1]
        assert np.isfinite(image[0]).all()
        assert np.isnan(image[-1]).all()
        client.close_connection()


def test_sweep_that_is_asked_for_is_the_one_that_is_made(stm: NanonisFacade) -> None:
    client = nanonisTCP("127.0.0.1", stm.port)
    spectra = BiasSpectr(client)
    spectra.LimitsSet(1.0, -1.0)
    spectra.PropsSet(num_points=5)
    assert spectra.LimitsGet() == {"start_value": 1.0, "end_value": -1.0}
    found = spectra.Start(1)["data_dict"]
    assert found["Bias calc (V)"].tolist() == [1.0, 0.5, 0.0, -0.5, -1.0]
    own = tip().capability(PointSpectroscopy)
    wanted = own.start(SpectrumRequest(position=(0, 0), bias=(1.0, 0.5, 0.0, -0.5, -1.0))).result()
    np.testing.assert_array_equal(found["current (A)"], wanted["current"].astype(np.float32))
    with pytest.raises(Exception, match="one forward sweep"):
        spectra.PropsSet(num_sweeps=3)
    client.close_connection()


def test_signals_are_read_and_ranges_told(stm: NanonisFacade) -> None:
    for spm in spm_client(stm):
        labels = good(spm.Signals_NamesGet())[2]
        assert labels == ["height (m)", "current (A)", "Bias (V)", "X (m)", "Y (m)", "Z (m)"]
        assert good(spm.Signals_RangeGet(2)) == [10, -10]
        assert good(spm.Signals_ValGet(2, 1)) == [0.5]
        good(spm.FolMe_XYPosSet(5e-8, 0, 1))
        read = np.ravel(good(spm.Signals_ValsGet([0, 3], 1))[1])
        np.testing.assert_allclose(read, [1e-9, 5e-8], rtol=1e-6)  # the top of a wave
        assert "signals 0 to 5" in spm.Signals_ValGet(6, 1)[0]
        assert "no known range" in spm.Signals_RangeGet(0)[0]


class Breaking(PlainTwin):
    """A twin whose scans are lost after their first line."""

    def capability(self, kind: Any) -> Any:
        part = super().capability(kind)
        if kind is Scanner:
            part = copy.copy(part)
            part._fill = self._fill
        return part

    @staticmethod
    def _fill(request: ScanRequest, channels: Any, times: Any) -> Any:
        for channel in channels.values():
            channel.values[0] = 1.0
        yield {"y": 0}
        raise LinkLost("the line went dead")


def test_scan_that_fails_tells_whoever_waits_for_it() -> None:
    with NanonisFacade(Guard(Breaking(VirtualClock(), world="tip")), port=0) as facade:
        for spm in spm_client(facade):
            good(spm.Scan_BufferSet([0], 4, 4))
            good(spm.Scan_Action(0, 1))
            assert "the line went dead" in spm.Scan_WaitEndOfScan(5000)[0]
            image = good(spm.Scan_FrameDataGrab(0, 1))[4]
            np.testing.assert_array_equal(np.isfinite(image).all(axis=1), [True] + 3 * [False])
            assert good(spm.Bias_Get()) == [0.5]


def test_stopping_the_facade_ends_a_scan_and_hangs_up() -> None:
    scope = Guard(PlainTwin(VirtualClock(speed=1.0), world="tip"))
    facade = NanonisFacade(scope, port=0)
    client = nanonisTCP("127.0.0.1", facade.start())
    scan = Scan(client)
    scan.FrameSet(0, 0, 1e-6, 1e-6)
    scan.BufferSet([0], 16, 512)  # would take most of a minute
    scan.Start()
    facade.stop()
    with pytest.raises((OSError, struct.error, ValueError)):
        scan.StatusGet()
    client.close_connection()
    facade.stop()  # a second time changes nothing
