"""What a temscript client sets before it acquires; kept here until then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nanopilot.app.facades.temscript.words import choice, number, table
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import InvalidRequest
from nanopilot.core.requests import CameraRequest, ScanRequest

#: Edge of a full STEM frame at magnification 1, in metres: 1 micrometre at 100,000 times.
DISPLAY_WIDTH = 0.1
_BINNINGS = (1, 2, 4, 8, 16)
_PARTS = {"FULL": 1, "HALF": 2, "QUARTER": 4}


@dataclass
class Scanning:
    """How the next STEM frames are taken.

    Parameters
    ----------
    centre : (float, float)
        Of every frame, in metres: temscript has no word for another place.
    size : int
        Pixels along the edge of a full frame that is not binned.
    magnification : float
        `DISPLAY_WIDTH` over the edge of a full frame.
    """

    centre: tuple[float, float]
    size: int
    magnification: float
    rotation: float = 0.0
    dwell_time: float = 1e-6
    binning: int = 1
    part: str = "FULL"

    @classmethod
    def of(cls, described: InstrumentDescription) -> Scanning:
        """Return settings whose full frame is the largest that the instrument covers."""
        area = described.area
        width = min(area.x[1] - area.x[0], area.y[1] - area.y[0]) or 1e-6
        return cls(area.centre, max(*described.grid, 2), DISPLAY_WIDTH / width)

    @property
    def binnings(self) -> list[int]:
        """Binnings that leave a frame."""
        return [binning for binning in _BINNINGS if self.size // binning >= 2]

    def tell(self) -> dict[str, Any]:
        """Return them in temscript's words."""
        return {
            "image_size": self.part,
            "binning": self.binning,
            "dwell_time(s)": self.dwell_time,
        }

    def change(self, values: Any, *, ignore: bool) -> None:
        """Take over what came from the wire.

        Raises
        ------
        InvalidRequest
            A key or a value is unknown, unless `ignore`.
        """
        given = table("stem_acquisition_param", values)
        known = {"image_size", "binning", "dwell_time(s)"}
        if not ignore:
            only(given, known)
        if "image_size" in given:
            parts = tuple(_PARTS)
            self.part = parts[choice("image_size", given["image_size"], parts)]
        if "binning" in given:
            binnings = tuple(self.binnings)
            self.binning = binnings[choice("binning", given["binning"], binnings)]
        if "dwell_time(s)" in given:
            self.dwell_time = positive("dwell_time(s)", given["dwell_time(s)"])

    def request(self, channels: tuple[str, ...]) -> ScanRequest:
        """Return the frame as the instrument is asked for it."""
        parts = _PARTS[self.part]
        count = max(self.size // self.binning // parts, 1)
        edge = DISPLAY_WIDTH / self.magnification / parts
        extent = edge * (count - 1) / count
        return ScanRequest(
            centre=self.centre,
            field_of_view=(extent, extent),
            shape=(count, count),
            rotation=self.rotation,
            dwell_time=self.dwell_time,
            channels=channels,
        )


@dataclass
class Exposing:
    """How the next frame of one camera is taken."""

    exposure: float = 0.1
    binning: int = 1
    fixed: dict[str, Any] = field(
        default_factory=lambda: {
            "image_size": "FULL",
            "correction": "DEFAULT",
            "exposure_mode": "NONE",
            "shutter_mode": "POST_SPECIMEN",
            "pre_exposure(s)": 0.0,
            "pre_exposure_pause(s)": 0.0,
        }
    )

    def tell(self) -> dict[str, Any]:
        """Return them in temscript's words."""
        return {"exposure(s)": self.exposure, "binning": self.binning} | self.fixed

    def change(self, values: Any, *, ignore: bool) -> None:
        """Take over what came from the wire.

        Raises
        ------
        InvalidRequest
            A key or a value is unknown or cannot be chosen, unless `ignore`.
        """
        given = table("camera_param", values)
        if not ignore:
            only(given, {"exposure(s)", "binning", *self.fixed})
            for key in self.fixed.keys() & given.keys():
                choice(key, given[key], (self.fixed[key],))
        if "exposure(s)" in given:
            self.exposure = positive("exposure(s)", given["exposure(s)"])
        if "binning" in given:
            self.binning = _BINNINGS[choice("binning", given["binning"], _BINNINGS)]

    def request(self, camera: str) -> CameraRequest:
        """Return the exposure as the instrument is asked for it."""
        return CameraRequest(channels=(camera,), exposure=self.exposure, binning=self.binning)


def only(given: Iterable[str], known: set[str]) -> None:
    """Raise `InvalidRequest` where a key is none of the known ones."""
    strange = sorted(set(given) - known)
    if strange:
        raise InvalidRequest(
            f"`{strange[0]:.80}` is unknown; there are {', '.join(sorted(known))}."
        )


def positive(name: str, value: Any) -> float:
    """Return a number above zero, or raise `InvalidRequest`."""
    found = number(name, value)
    if found <= 0:
        raise InvalidRequest(f"`{name}` is {found:g}; it must be above 0.")
    return found
