"""A frame that is grabbed while it grows."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from threading import Event

import numpy as np

from nanopilot.core.acquiring import Filled
from nanopilot.core.errors import DeviceError
from nanopilot.core.frames import Channel
from nanopilot.core.geometry import FloatArray
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments.nanonis.desk import Desk

_START, _UP = 0, 1
_FORWARD = {"trace": 1, "retrace": 0}


def begin(desk: Desk) -> None:
    """Start an upward scan."""
    desk.link.ask("Scan.Action", _START, _UP)


@dataclass(frozen=True, slots=True)
class Growing:
    """Frames in progress: asks for them again and again, and takes the rows that are new.

    Parameters
    ----------
    desk : Desk
        What there is.
    request : ScanRequest
        What was asked for.
    channels : mapping of str to Channel
        Begin as NaN and are filled.
    times : numpy.ndarray
        Seconds of every pixel, filled likewise; known to within one look at the controller.
    halted : threading.Event
        Set when it is ended from here.
    """

    desk: Desk
    request: ScanRequest
    channels: Mapping[str, Channel]
    times: FloatArray
    halted: Event = field(default_factory=Event)

    def fill(self) -> Generator[Filled, None, None]:
        """Yield each row of each frame; the first frame has been begun already.

        Raises
        ------
        DeviceError
            The scan ended before it was complete: somebody else has stopped it.
        """
        if self.request.frames == 1:
            for row in self._rows(self.times, {n: c.values for n, c in self.channels.items()}):
                yield {"y": row}
            return
        for frame in range(self.request.frames):
            if frame:
                begin(self.desk)
            values = {name: one.values[frame] for name, one in self.channels.items()}
            for row in self._rows(self.times[frame], values):
                yield {"y": row, "frame": frame}

    def _rows(
        self, times: FloatArray, values: Mapping[str, FloatArray]
    ) -> Generator[int, None, None]:
        rows, columns = self.request.shape
        pixel = (np.arange(columns) + 0.5) / columns
        done, since = 0, self.desk.clock.now()
        while done < rows:
            over = self._wait()
            images = {name: self._grab(name) for name in values}
            measured = self._measured(images, over=over)
            now = self.desk.clock.now()
            for row in range(done, measured):
                times[row] = since + (now - since) / (measured - done) * (row - done + pixel)
                for name, image in images.items():
                    values[name][row] = image[row]
                yield row
            if self.halted.is_set():
                return
            if over and measured < rows:
                raise DeviceError(
                    f"`Scan` ended after {measured} of {rows} lines: it was stopped on the "
                    "controller."
                )
            done, since = max(done, measured), now

    def _wait(self) -> bool:
        """Wait a little; tell whether the scan is over."""
        milliseconds = max(1, round(1000 * self.desk.pace.poll))
        return not self.desk.link.ask("Scan.WaitEndOfScan", milliseconds)[0]

    def _grab(self, name: str) -> FloatArray:
        """Return a channel with pixels in their places, in SI, shape (rows, columns).

        The controller gives them in the order in which they were recorded.
        """
        way = self.channels[name].direction
        known = self.desk.controller.named(self.desk.controller.scan)
        index, named = known[name if way == "trace" else name.removesuffix("_retrace")]
        _, image, up = self.desk.link.ask("Scan.FrameDataGrab", index, _FORWARD[way])
        if image.shape != self.request.shape:
            raise DeviceError(
                f"`{name}` came with shape {image.shape}; asked for was {self.request.shape}."
            )
        rows = image if up else image[::-1]
        values: FloatArray = named.factor * (rows if way == "trace" else rows[:, ::-1])
        return values

    @staticmethod
    def _measured(images: Mapping[str, FloatArray], *, over: bool) -> int:
        """Return how many rows are complete.

        While the scan goes on the last row that is begun may not be, and channels that were
        asked for later have more rows than the first.
        """
        begun = [np.flatnonzero(np.isfinite(image).any(axis=1)) for image in images.values()]
        rows = [int(found[-1]) + 1 if found.size else 0 for found in begun]
        return max(rows) if over else max(min(rows) - 1, 0)
