"""What frames and patterns of a temscript server show: pixel sizes, exposures, scan settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from nanopilot.core.errors import DeviceError, Unsupported
from nanopilot.core.limits import Area, Violation
from nanopilot.core.parameters import State
from nanopilot.core.requests import CameraRequest, ScanRequest
from nanopilot.instruments.snapshots import Picture, Plate
from nanopilot.instruments.temscript.panel import Panel

#: Nothing can be scanned.
NO_AREA = Area(x=(0.0, 0.0), y=(0.0, 0.0))


class Source:
    """What scanning and exposing have in common.

    Parameters
    ----------
    name : str
        Of the instrument.
    panel : Panel
        Its dials, with the wire and the clock.
    current : float
        Beam current in amperes that counts while the screen does not measure it.
    """

    def __init__(self, name: str, panel: Panel, current: float) -> None:
        self.name, self.panel, self.current = name, panel, current
        self.link, self.clock = panel.link, panel.clock

    def state(self) -> State:
        """Read every parameter."""
        return self.panel.read()

    def beam_current(self) -> float:
        """Return what the screen measures in amperes, or what is known from before."""
        current = self.panel.value("Beam.current")
        return self.current if math.isnan(current) else current

    def halt(self) -> None:
        """Do nothing: a temscript server cannot drop a frame that it has begun."""

    def take_images(self, names: tuple[str, ...]) -> Mapping[str, np.ndarray[Any, Any]]:
        """Measure with all detectors at once."""
        images = self.link.acquire(names)
        missing = [name for name in names if name not in images]
        if missing:
            raise DeviceError(f"`{', '.join(missing)}` was asked for and did not come.")
        return images

    def settle(self, endpoint: str, wanted: Mapping[str, Any]) -> None:
        """Bring acquisition settings to what is wanted, sending only what differs.

        Raises
        ------
        DeviceError
            The server read back another value.
        """
        now = self.link.get(endpoint)
        for key, value in wanted.items():
            if not _same(now.get(key), value):
                self.link.put(endpoint, {key: value})
        now = self.link.get(endpoint)
        for key, value in wanted.items():
            if not _same(now.get(key), value):
                raise DeviceError(f"`{key}` was set to {value}; read back was {now.get(key)}.")


class Cameras(Source):
    """Cameras: patterns, images, and (where nothing scans) the frames of a TEM.

    Parameters
    ----------
    source : Source
        The instrument.
    described : mapping
        What the server says of each camera.
    chosen : str
        The camera that frames are taken with.
    """

    at_once = True

    def __init__(self, source: Source, described: Mapping[str, Any], chosen: str) -> None:
        super().__init__(source.name, source.panel, source.current)
        self._described, self._chosen = described, chosen

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras there are."""
        return tuple(self._described)

    @property
    def channels(self) -> tuple[str, ...]:
        """What a frame is taken with."""
        return (self._chosen,)

    def plate(self, camera: str, binning: int) -> Plate:
        """Return what the pixels mean now.

        Raises
        ------
        Unsupported
            The server does not tell magnification or camera length.
        """
        told = self._described[camera]
        size = told["pixel_size(um)"]
        pitch = [part * 1e-6 * binning for part in (size if isinstance(size, list) else [size] * 2)]
        pattern = self.link.get("projection_mode") == "DIFFRACTION"
        what = "indicated_camera_length" if pattern else "indicated_magnification"
        scale = float(self.link.get(what) or 0.0)
        if scale <= 0:
            raise Unsupported(f"`{camera}` has no calibrated pixels: `{what}` is {scale:g}.")
        shape = int(told["height"]) // binning, int(told["width"]) // binning
        return Plate(shape, (pitch[0] / scale, pitch[1] / scale), pattern)

    def faults(self, camera: str, request: CameraRequest) -> list[Violation]:
        """List what this camera has against a request."""
        found = []
        binnings = self._described[camera]["binnings"]
        if request.binning not in binnings:
            there = ", ".join(str(binning) for binning in binnings)
            message = f"`binning` is {request.binning}; `{camera}` has {there}."
            found.append(Violation(parameter="binning", message=message))
        try:
            self.plate(camera, 1)
        except Unsupported as lack:
            found.append(Violation(parameter="channels", message=str(lack), kind="unsupported"))
        return found

    def exposure(self, camera: str, request: CameraRequest) -> float:
        """Return the exposure in seconds."""
        return request.exposure or self._exposure_now(camera)

    def expose(self, camera: str, request: CameraRequest) -> np.ndarray[Any, np.dtype[Any]]:
        """Take one frame."""
        self._ready(camera, request.binning, self.exposure(camera, request))
        return self.take_images((camera,))[camera]

    def area(self) -> Area:
        """Return what the chosen camera sees now, in metres; nothing where it sees a pattern."""
        try:
            plate = self.plate(self._chosen, 1)
        except Unsupported:
            return NO_AREA
        if plate.pattern:
            return NO_AREA
        height, width = (
            (size - 1) * pitch / 2
            for size, pitch in zip(plate.shape, reversed(plate.pitch), strict=True)
        )
        return Area(x=(-width, width), y=(-height, height))

    def refusals(self, request: ScanRequest) -> list[Violation]:
        """List nothing: what a camera cannot do is told by its area."""
        return []

    def seconds(self, request: ScanRequest) -> float:
        """Return the exposure of a frame: as long as scanning it would take.

        So a script that says how long a pixel is looked at gets a frame of the same time
        and dose as from a scanned beam; all its pixels are exposed together.
        """
        rows, columns = request.shape
        if request.dwell_time is not None:
            return rows * columns * request.dwell_time
        if request.line_rate is not None:
            return rows / request.line_rate
        return self._exposure_now(self._chosen)

    def take(self, request: ScanRequest, channels: tuple[str, ...]) -> Mapping[str, Picture]:
        """Expose one frame, binned no further than its pixels need."""
        (camera,) = channels
        told = self._described[camera]
        whole = self.plate(camera, 1)
        finest = min(
            _spacing(extent, count) / pitch
            for extent, count, pitch in zip(
                request.field_of_view, reversed(request.shape), whole.pitch, strict=True
            )
        )
        binning = max((b for b in told["binnings"] if b <= max(finest, 1)), default=1)
        self._ready(camera, binning, self.seconds(request))
        values = self.take_images((camera,))[camera]
        pitch = whole.pitch[0] * binning, whole.pitch[1] * binning
        screen = self.panel.value("Detectors.screen_inserted")
        details: dict[str, Any] = {"recorded_by": "camera", "binning": binning}
        if not math.isnan(screen):
            details["screen_inserted"] = bool(screen)
        return {camera: Picture(values, pitch, details=details)}

    def _exposure_now(self, camera: str) -> float:
        return float(self.link.get(f"camera_param/{_safe(camera)}")["exposure(s)"])

    def _ready(self, camera: str, binning: int, exposure: float) -> None:
        # Some servers change the exposure with the binning, so it comes last.
        wanted = {"image_size": "FULL", "binning": binning, "exposure(s)": exposure}
        self.settle(f"camera_param/{_safe(camera)}", wanted)


def _spacing(extent: float, count: int) -> float:
    return extent / (count - 1) if count > 1 else math.inf


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float) and isinstance(found, int | float):
        return math.isclose(found, wanted, rel_tol=0.05)  # cameras round exposures
    return bool(found == wanted)


def _safe(name: str) -> str:
    return quote(name, safe="")
