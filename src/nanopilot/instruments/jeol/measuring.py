"""Frames of PyJEM's detectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.clock import Clock
from nanopilot.core.errors import DeviceError
from nanopilot.core.limits import Area, Violation
from nanopilot.core.parameters import State
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments.snapshots import Picture
from nanopilot.instruments.snapshots.vendor import VendorLink, number

_SIZES = (256, 512, 1024, 2048, 4096)
_MICROSECOND = 1e-6
_STEM = 1


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """Which detector, and what PyJEM does not tell.

    Parameters
    ----------
    detector : str
        As ``get_attached_detector`` calls it.
    display_width : float
        Edge of a whole frame times the magnification, in metres.
    dwell_time : float
        Seconds per pixel where a request names none.
    beam_current : float
        Amperes, for counting doses.
    """

    detector: str
    display_width: float
    dwell_time: float
    beam_current: float


class DetectorFrames:
    """Frames of one scanning detector, at the magnification that is set.

    Each detector of PyJEM is read by a scan of its own, so one is chosen: two channels would
    be two doses. Magnification and scan rotation are left as they are; a frame is cut out.

    Parameters
    ----------
    name, clock, link : str, Clock, VendorLink
        Of the instrument; the detector is at ``Detector`` of the link.
    read : callable
        Reads every parameter.
    scan : ScanFacts
        Which detector, and what PyJEM does not tell.
    """

    at_once = False

    def __init__(
        self, name: str, clock: Clock, link: VendorLink, read: Callable[[], State], scan: ScanFacts
    ) -> None:
        self.name, self.clock, self.state = name, clock, read
        self.channels = (scan.detector,)
        self._link, self._scan = link, scan

    def area(self) -> Area:
        """Return the largest upright square inside what is scanned now, in metres."""
        turn = self._rotation()
        half = self._width() / (abs(math.cos(turn)) + abs(math.sin(turn))) / 2
        return Area(x=(-half, half), y=(-half, half))

    def beam_current(self) -> float:
        """Return what is known of the beam current, in amperes."""
        return self._scan.beam_current

    def refusals(self, request: ScanRequest) -> list[Violation]:
        """List what the scan generator has against a request."""
        found = []
        if self._count(request) is None:
            message = (
                f"`field_of_view` {request.field_of_view} m in {request.shape} pixels needs finer "
                f"pixels than {_SIZES[-1]} across {self._width():g} m. Raise the magnification."
            )
            found.append(Violation(parameter="field_of_view", message=message))
        if int(self._link.call("EOS3.GetTemStemMode")) != _STEM:
            message = "`GetTemStemMode` says TEM; set the microscope to STEM."
            found.append(Violation(parameter="mode", message=message, kind="interlock"))
        return found

    def seconds(self, request: ScanRequest) -> float:
        """Return the time of a whole frame."""
        count = self._count(request) or _SIZES[-1]
        return count * count * self._dwell(request, count)

    def take(self, request: ScanRequest, channels: tuple[str, ...]) -> Mapping[str, Picture]:
        """Scan one whole frame."""
        count = self._count(request) or _SIZES[-1]
        dwell = self._dwell(request, count)
        self._link.call("Detector.set_scanmode", 0)
        self._link.call("Detector.set_imaging_area", count, count)
        self._link.call("Detector.set_exposuretime_value", dwell / _MICROSECOND)
        told = self._link.call("Detector.get_detectorsetting")
        found = number(told["ExposureTimeValue"], "ExposureTimeValue") * _MICROSECOND
        if not math.isclose(found, dwell, rel_tol=0.05):
            raise DeviceError(f"`dwell_time` was set to {dwell:g} s; read back was {found:g} s.")
        size = told["OutputImageInformation"]["ImageSize"]
        shape = int(size["Height"]), int(size["Width"])
        values = _image(self._link.call("Detector.snapshot_rawdata"), shape)
        pitch = self._width() / shape[1], self._width() / shape[0]
        return {channels[0]: Picture(values, pitch, self._rotation())}

    def halt(self) -> None:
        """Do nothing: a snapshot that was begun is finished."""

    def _width(self) -> float:
        return self._scan.display_width / number(
            self._link.call("EOS3.GetMagValue")[0], "GetMagValue"
        )

    def _rotation(self) -> float:
        return math.radians(number(self._link.call("Scan3.GetRotationAngle"), "GetRotationAngle"))

    def _count(self, request: ScanRequest) -> int | None:
        """Return the size of a whole frame whose pixels are as fine as those asked for."""
        finest = min(
            extent / max(pixels - 1, 1)
            for extent, pixels in zip(request.field_of_view, reversed(request.shape), strict=True)
        )
        width = self._width() * (1 - 1e-9)
        return next((size for size in _SIZES if width / size <= finest), None)

    def _dwell(self, request: ScanRequest, count: int) -> float:
        if request.line_rate is not None:
            return 1 / (request.line_rate * count)
        return request.dwell_time or self._scan.dwell_time


def _image(raw: Any, shape: tuple[int, int]) -> np.ndarray[Any, np.dtype[Any]]:
    """Return raw data, 8 or 16 bit and little-endian, in the shape the detector announced."""
    data, pixels = bytes(raw), shape[0] * shape[1]
    if pixels < 1 or len(data) not in (pixels, 2 * pixels):
        raise DeviceError(f"{len(data)} bytes came; announced were {shape[0]} x {shape[1]} pixels.")
    return np.frombuffer(data, "<u2" if len(data) == 2 * pixels else "u1").reshape(shape)
