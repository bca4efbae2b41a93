"""Commands about scans."""

from __future__ import annotations

import math
from typing import Any

from nanopilot.app.facades.nanonis.jobs import ScanJob
from nanopilot.app.facades.nanonis.session import Handlers, Session
from nanopilot.app.facades.nanonis.settings import Buffer, Frame
from nanopilot.core.adjustables import Positioner
from nanopilot.core.capabilities import Scanner
from nanopilot.core.errors import InvalidRequest, Unsupported

_START, _STOP, _PAUSE, _RESUME, _TO_CENTRE = 0, 1, 2, 3, 6
_BACKWARD, _FORWARD = 0, 1
#: More than any scanner resolves; keeps a wrong number from filling the memory.
_MOST = 8192


def action(session: Session, what: int, upwards: int) -> list[Any]:
    """Start, stop, pause or resume a scan, or go to the centre of the frame."""
    if what == _START:
        _start(session, upwards != 0)
    elif what == _TO_CENTRE:
        session.set(Positioner, x=session.panel.frame.x, y=session.panel.frame.y)
    elif what not in (_STOP, _PAUSE, _RESUME):
        raise Unsupported(f"`Scan action` is {what}; there are 0 to 3 and 6.")
    elif session.panel.job is not None:
        job = session.panel.job
        {_STOP: job.stop, _PAUSE: job.pause, _RESUME: job.resume}[what]()
        if what == _STOP:
            job.wait(None)
    return []


def _start(session: Session, upwards: bool) -> None:
    panel = session.panel
    with panel.starting:
        if panel.job is not None and panel.job.running:
            raise Unsupported("`Scan action` start: a scan is running; stop it first.")
        request = panel.scan_request()
        acquisition = session.commands(Scanner).start(request)
        panel.job = ScanJob(acquisition, request, upwards=upwards, alive=session.alive)


def status(session: Session) -> list[Any]:
    """Tell whether a scan is running."""
    job = session.panel.job
    return [job is not None and job.running]


def wait(session: Session, milliseconds: int) -> list[Any]:
    """Wait for the end of the scan; what went wrong with it comes as an error."""
    job = session.panel.job
    if job is None:
        return [0, ""]
    over = job.wait(None if milliseconds < 0 else milliseconds / 1000)
    if over and job.error is not None:
        raise job.error
    return [not over, ""]


def frame_set(session: Session, *frame: float) -> list[Any]:
    """Say where the next scan goes: centre, size, angle."""
    x, y, width, height, angle = frame
    if not all(math.isfinite(value) for value in frame):
        raise InvalidRequest(f"`frame` is {frame}; all five must be numbers.")
    if not (width > 0 and height > 0):
        raise InvalidRequest(f"`Width` and `Height` are {width:g} m and {height:g} m; they must "
                             "be positive.")  # fmt: skip
    session.panel.frame = Frame(x, y, width, height, angle)
    return []


def frame_get(session: Session) -> list[Any]:
    """Tell where the next scan goes."""
    frame = session.panel.frame
    return [frame.x, frame.y, frame.width, frame.height, frame.angle]


def buffer_set(session: Session, channels: list[int], pixels: int, lines: int) -> list[Any]:
    """Say what the next scan records; nothing given: no change."""
    panel = session.panel
    before = panel.buffer
    if not (0 <= pixels <= _MOST and 0 <= lines <= _MOST):
        raise InvalidRequest(f"`Pixels` and `Lines` are {pixels} and {lines}; 1 to {_MOST} are "
                             "allowed.")  # fmt: skip
    chosen = tuple(dict.fromkeys(channels)) or before.channels
    panel.channels(chosen, panel.described.scan_channels)
    panel.buffer = Buffer(chosen, pixels or before.pixels, lines or before.lines)
    return []


def buffer_get(session: Session) -> list[Any]:
    """Tell what the next scan records."""
    buffer = session.panel.buffer
    return [list(buffer.channels), buffer.pixels, buffer.lines]


def props_set(session: Session, *props: Any) -> list[Any]:
    """Keep the names; refuse what would be expected to happen and would not."""
    continuous, bouncy, autosave, series, comment = props
    if continuous == 1 or bouncy == 1:
        raise Unsupported("`Continuous scan` and `Bouncy scan` are not supported; switch them off.")
    if autosave in (1, 2):
        raise Unsupported("`Autosave`: nothing is saved on this side; grab the data of the frame.")
    kept = session.panel.kept
    kept.series, kept.comment = series or kept.series, comment or kept.comment
    return []


def props_get(session: Session) -> list[Any]:
    """Give the names back; everything is switched off."""
    kept = session.panel.kept
    return [0, 0, 2, kept.series, kept.comment, [], [], 0, 0, 3]


def speed_set(session: Session, *speeds: float) -> list[Any]:
    """Say how fast the next scan goes: by speeds (1) or by times per line (2), as named."""
    forward, backward, there, back, constant, ratio = speeds
    panel = session.panel
    by_speed = constant == 1 or (constant == 0 and panel.kept.speed[0] == 0)
    if forward > 0 and (by_speed or not there > 0):
        there = panel.frame.width / forward
        back = panel.frame.width / backward if backward > 0 else 0.0
    if not there > 0:
        raise InvalidRequest(f"`Forward time per line` is {there:g} s; it must be positive.")
    if not back > 0:
        back = there / ratio if ratio > 0 else there
    panel.line_times = (there, back)
    panel.kept.speed = (0 if by_speed else 1, there / back)
    return []


def speed_get(session: Session) -> list[Any]:
    """Tell how fast the next scan goes; unless it was set, as the instrument prefers."""
    panel = session.panel
    there, back = panel.line_times or _own_times(session)
    width = panel.frame.width
    constant, ratio = panel.kept.speed
    return [width / there, width / back, there, back, constant, ratio]


def _own_times(session: Session) -> tuple[float, float]:
    request = session.panel.scan_request()
    seconds = session.reads(Scanner).estimate(request).seconds / request.shape[0]
    return seconds / 2, seconds / 2


def grab(session: Session, index: int, direction: int) -> list[Any]:
    """Give what has been measured so far; NaN where nothing has."""
    panel = session.panel
    job = panel.job
    if job is None:
        raise Unsupported("`Scan.FrameDataGrab`: nothing has been scanned yet.")
    if direction not in (_BACKWARD, _FORWARD):
        raise InvalidRequest(f"`Data direction` is {direction}; 1 is forward, 0 backward.")
    signal = panel.signal(index)
    image = job.image(signal.channel, "trace" if direction == _FORWARD else "retrace")
    return [signal.label, image, job.upwards]


HANDLERS: Handlers = {
    "Scan.Action": action, "Scan.StatusGet": status, "Scan.WaitEndOfScan": wait,
    "Scan.FrameSet": frame_set, "Scan.FrameGet": frame_get,
    "Scan.BufferSet": buffer_set, "Scan.BufferGet": buffer_get,
    "Scan.PropsSet": props_set, "Scan.PropsGet": props_get,
    "Scan.SpeedSet": speed_set, "Scan.SpeedGet": speed_get, "Scan.FrameDataGrab": grab,
}  # fmt: skip
