"""Frames of a scanned beam through a temscript server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nanopilot.core.errors import DeviceError
from nanopilot.core.limits import Area, Violation
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments.snapshots import Picture
from nanopilot.instruments.temscript.optics import Source

_SETTINGS = "stem_acquisition_param"


class StemFrames(Source):
    """Frames of the STEM detectors: square scans about the axis.

    The server tells a magnification and no field of view, so that one number has to be known:
    the edge of a full frame times the magnification.

    Parameters
    ----------
    source : Source
        The instrument.
    described : mapping
        What the server says of each detector.
    display_width : float
        Edge of a full frame at magnification 1, in metres.
    size : int
        Pixels along the edge of a full frame that is not binned.
    """

    at_once = False

    def __init__(
        self, source: Source, described: Mapping[str, Any], display_width: float, size: int
    ) -> None:
        super().__init__(source.name, source.panel, source.current)
        self._width, self._size = display_width, size
        self.channels = tuple(described)
        common = set.intersection(*(set(one["binnings"]) for one in described.values()))
        self._binnings = sorted(int(binning) for binning in common) or [1]
        self._widest = display_width / self._magnification()

    def area(self) -> Area:
        """Return the frame at the magnification that was set when this was connected."""
        half = self._widest / 2
        return Area(x=(-half, half), y=(-half, half))

    def refusals(self, request: ScanRequest) -> list[Violation]:
        """List what the scan generator has against a request."""
        found = []
        if max(abs(part) for part in request.centre) > 1e-12:
            message = (
                f"`centre` is {request.centre} m; this server scans about its axis, (0, 0). "
                "Go there with the stage or the beam shift."
            )
            found.append(Violation(parameter="centre", message=message))
        if max(request.shape) > self._size:
            message = f"`shape` is {request.shape}; a full frame has {self._size} pixels a side."
            found.append(Violation(parameter="shape", message=message))
        mode = self.link.get("instrument_mode")
        if mode != "STEM":
            message = f"`instrument_mode` is {mode}; set the microscope to STEM."
            found.append(Violation(parameter="instrument_mode", message=message, kind="interlock"))
        return found

    def seconds(self, request: ScanRequest) -> float:
        """Return the time of a frame: the server scans a square of one of its own sizes."""
        count, _ = self._scan(request)
        return count * count * self._dwell(request)

    def take(self, request: ScanRequest, channels: tuple[str, ...]) -> Mapping[str, Picture]:
        """Scan one frame with all detectors at once."""
        count, width = self._scan(request)
        self.settle(
            _SETTINGS,
            {
                "image_size": "FULL",
                "binning": self._size // count,
                "dwell_time(s)": self._dwell(request),
            },
        )
        self.link.put("stem_magnification", self._width / width)
        self.link.put("stem_rotation", request.rotation)
        # What was set is not what is: the frame is placed with what the server reads back.
        width = self._width / self._magnification()
        rotation = float(self.link.get("stem_rotation"))
        return {
            name: Picture(
                values,
                (width / values.shape[1], width / values.shape[0]),
                rotation,
                {"recorded_by": "scan"},
            )
            for name, values in self.take_images(channels).items()
        }

    def _magnification(self) -> float:
        told = float(self.link.get("stem_magnification"))
        if told <= 0:
            raise DeviceError(f"`stem_magnification` is {told:g}; a magnification is above 0.")
        return told

    def _scan(self, request: ScanRequest) -> tuple[int, float]:
        """Return pixels along an edge, and the edge in metres, outermost pixels included."""
        sizes = [self._size // binning for binning in reversed(self._binnings)]
        count = next((size for size in sizes if size >= max(request.shape)), self._size)
        extent = max(request.field_of_view)
        return count, extent * count / max(count - 1, 1)

    def _dwell(self, request: ScanRequest) -> float:
        if request.dwell_time is not None:
            return request.dwell_time
        if request.line_rate is not None:
            return 1 / (request.line_rate * self._scan(request)[0])
        return float(self.link.get(_SETTINGS)["dwell_time(s)"])
