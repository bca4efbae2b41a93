"""A scan that goes on while clients ask for other things."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from nanopilot.core.capabilities import Acquisition
from nanopilot.core.errors import NanopilotError, Unsupported
from nanopilot.core.frames import FloatArray, channel_name
from nanopilot.core.geometry import own_axes
from nanopilot.core.requests import Direction, ScanRequest
from nanopilot.core.signals import SignalSet


class ScanJob:
    """Takes the blocks of a scan off the instrument, on a thread of its own.

    Parameters
    ----------
    acquisition : Acquisition
        Already started, so that a refusal has gone to the client that asked.
    request : ScanRequest
        What was asked for.
    upwards : bool
        Whether the client asked for an upward scan.
    alive : callable
        Called with every block: whoever commands is still there.
    """

    def __init__(
        self,
        acquisition: Acquisition,
        request: ScanRequest,
        *,
        upwards: bool,
        alive: Callable[[], None],
    ) -> None:
        self.request = request
        self.upwards = upwards
        self.error: NanopilotError | None = None
        self._acquisition = acquisition
        self._alive = alive
        self._done = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._stopped = False
        self._data: dict[str, FloatArray] = {}
        self._thread = threading.Thread(target=self._run, name="nanonis-scan", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it still measures."""
        return not self._done.is_set()

    def wait(self, seconds: float | None) -> bool:
        """Wait for the end; tell whether it came."""
        return self._done.wait(seconds)

    def pause(self) -> None:
        """Hold after the block in progress."""
        self._going.clear()

    def resume(self) -> None:
        """Go on."""
        self._going.set()

    def stop(self) -> None:
        """Drop the rest of the scan."""
        self._stopped = True
        self._acquisition.abort()
        self._going.set()

    def join(self) -> None:
        """Wait until the thread is gone."""
        self._thread.join()

    def image(self, channel: str, direction: Direction) -> FloatArray:
        """Return a channel as a Nanonis controller gives it, NaN where nothing is measured.

        Rows and pixels come in the order in which they are recorded: the first row of an upward
        scan lies at the bottom (smallest y), that of a downward scan at the top; backward lines
        begin at the right. Shape (lines, pixels).

        Raises
        ------
        Unsupported
            The scan does not record it.
        """
        if channel not in self.request.channels or direction not in self._directions:
            raise Unsupported(
                f"`{channel_name(channel, direction)}` is not recorded by the last scan."
            )
        name = channel_name(channel, direction)
        data = self._data.get(name)
        if data is None:
            data = np.full(self.request.shape, np.nan)
        rows = data if self.upwards else data[::-1]
        return rows if direction == "trace" else rows[:, ::-1]

    @property
    def _directions(self) -> tuple[Direction, ...]:
        return self.request.directions or ("trace",)

    def _run(self) -> None:
        try:
            for block in self._acquisition:
                self._take(block)
                self._alive()
                self._going.wait()
                if self._stopped:
                    break
            self._take(self._acquisition.result())
        except NanopilotError as cause:
            self.error = cause
        finally:
            self._done.set()

    def _take(self, block: SignalSet) -> None:
        """Put a block where it belongs; rows are known by their place."""
        _, rows = own_axes(self.request)
        at = np.abs(rows[:, None] - block["y"].to_numpy()).argmin(axis=0)
        for name, channel in block.data_vars.items():
            data = self._data.setdefault(str(name), np.full(self.request.shape, np.nan))
            data[at] = channel.transpose("y", "x").to_numpy()
