"""Frames and patterns of AutoScript TEM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nanopilot.core.clock import Clock
from nanopilot.core.errors import DeviceError
from nanopilot.core.limits import Area, Violation
from nanopilot.core.parameters import State
from nanopilot.core.requests import CameraRequest, ScanRequest
from nanopilot.instruments.snapshots import Picture, Plate
from nanopilot.instruments.snapshots.vendor import VendorLink, number

#: Edges of a frame in pixels, as the presets of the vendor.
_SIZES = (256, 512, 1024, 2048, 4096)
_FIELD, _ROTATION = "optics.scan_field_of_view", "optics.scan_rotation"


class Source:
    """What scanning and exposing have in common.

    Parameters
    ----------
    name, clock, link : str, Clock, VendorLink
        Of the instrument.
    read : callable
        Reads every parameter.
    current : float
        Beam current in amperes that doses are counted with.
    """

    def __init__(
        self, name: str, clock: Clock, link: VendorLink, read: Callable[[], State], current: float
    ) -> None:
        self.name, self.clock, self.link = name, clock, link
        self._read, self._current = read, current

    def state(self) -> State:
        """Read every parameter."""
        return self._read()

    def beam_current(self) -> float:
        """Return what is known of the beam current, in amperes."""
        return self._current

    def halt(self) -> None:
        """Do nothing: a frame that was begun is finished."""


class StemFrames:
    """Frames of the scanning detectors: square, about the axis.

    Parameters
    ----------
    source : Source
        The instrument.
    channels : tuple of str
        Scanning detectors.
    dwell_time : float
        Seconds per pixel where a request names none.
    """

    at_once = False

    def __init__(self, source: Source, channels: tuple[str, ...], dwell_time: float) -> None:
        self.name, self.clock, self.channels = source.name, source.clock, channels
        self.state, self.beam_current, self.halt = source.state, source.beam_current, source.halt
        self._link, self._default = source.link, dwell_time
        self._widest = self._read(_FIELD)

    def area(self) -> Area:
        """Return the field of view that was set when this was connected, in metres."""
        half = self._widest / 2
        return Area(x=(-half, half), y=(-half, half))

    def refusals(self, request: ScanRequest) -> list[Violation]:
        """List what the scan generator has against a request."""
        found = []
        if max(abs(part) for part in request.centre) > 1e-12:
            message = (
                f"`centre` is {request.centre} m; this driver scans about the axis, (0, 0). "
                "Go there with the stage or the beam shift."
            )
            found.append(Violation(parameter="centre", message=message))
        if max(request.shape) > _SIZES[-1]:
            message = f"`shape` is {request.shape}; at most {_SIZES[-1]} pixels a side are scanned."
            found.append(Violation(parameter="shape", message=message))
        mode = str(self._link.read("optics.optical_mode"))
        if not mode.upper().endswith("STEM"):
            message = f"`optical_mode` is {mode}; set the microscope to STEM."
            found.append(Violation(parameter="optical_mode", message=message, kind="interlock"))
        return found

    def seconds(self, request: ScanRequest) -> float:
        """Return the time of a frame of the next larger size there is."""
        return _count(request) ** 2 * self._dwell(request)

    def take(self, request: ScanRequest, channels: tuple[str, ...]) -> Mapping[str, Picture]:
        """Scan one frame with all detectors at once."""
        count = _count(request)
        self._link.write(_FIELD, max(request.field_of_view) * count / (count - 1))
        if request.rotation != self._read(_ROTATION):
            self._link.write(_ROTATION, request.rotation)
        # What was set is not what is: the frame is placed with what is read back.
        width, rotation = self._read(_FIELD), self._read(_ROTATION)
        images = self._images(channels, count, self._dwell(request))
        return {
            name: Picture(values, (width / values.shape[1], width / values.shape[0]), rotation)
            for name, values in images.items()
        }

    def _read(self, path: str) -> float:
        return number(self._link.read(path), path)

    def _images(
        self, channels: tuple[str, ...], count: int, dwell: float
    ) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        if len(channels) == 1:
            path = "acquisition.acquire_stem_image"
            return {channels[0]: _data(self._link.call(path, channels[0], count, dwell))}
        settings = self._link.make(
            "StemAcquisitionSettings",
            dwell_time=dwell,
            detector_types=list(channels),
            size=count,
        )
        came = self._link.call("acquisition.acquire_stem_images_advanced", settings)
        if len(came) != len(channels):
            raise DeviceError(f"`{', '.join(channels)}` were asked for; {len(came)} images came.")
        return {name: _data(one) for name, one in zip(channels, came, strict=True)}

    def _dwell(self, request: ScanRequest) -> float:
        if request.line_rate is not None:
            return 1 / (request.line_rate * _count(request))
        return request.dwell_time or self._default


class Cameras:
    """Patterns of the cameras, whose pixels the owner has calibrated.

    Parameters
    ----------
    source : Source
        The instrument.
    cameras : tuple of str
        Cameras there are.
    pixel : float
        Radians between neighbouring pixels that are not binned.
    size : int
        Pixels along the edge of a pattern that is not binned.
    """

    def __init__(self, source: Source, cameras: tuple[str, ...], pixel: float, size: int) -> None:
        self.name, self.clock, self.cameras = source.name, source.clock, cameras
        self.state, self.beam_current, self.halt = source.state, source.beam_current, source.halt
        self._link, self._pixel, self._size = source.link, pixel, size

    def plate(self, camera: str, binning: int) -> Plate:
        """Return what the pixels mean; the owner's calibration holds for all cameras."""
        side = self._size // binning
        return Plate((side, side), (self._pixel * binning,) * 2, pattern=True)

    def faults(self, camera: str, request: CameraRequest) -> list[Violation]:
        """List what this camera has against a request."""
        if request.binning in (1, 2, 4, 8):
            return []
        message = f"`binning` is {request.binning}; `{camera}` has 1, 2, 4, 8."
        return [Violation(parameter="binning", message=message)]

    def exposure(self, camera: str, request: CameraRequest) -> float:
        """Return the exposure in seconds; 0.1 s where the request names none."""
        return request.exposure or 0.1

    def expose(self, camera: str, request: CameraRequest) -> np.ndarray[Any, np.dtype[Any]]:
        """Take one pattern."""
        side, seconds = self._size // request.binning, self.exposure(camera, request)
        return _data(self._link.call("acquisition.acquire_camera_image", camera, side, seconds))


def _count(request: ScanRequest) -> int:
    return next((size for size in _SIZES if size >= max(request.shape)), _SIZES[-1])


def _data(image: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return the numbers of an image of theirs."""
    values = np.asarray(image.data)
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise DeviceError(f"an image came with shape {values.shape} and type {values.dtype}.")
    return values
