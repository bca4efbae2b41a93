"""`TemscriptScope`: what a temscript server has, as the contract knows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from nanopilot.core.capabilities import CapabilityT, Closable, Instrument, Scanner
from nanopilot.core.clock import Clock, RealClock
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import DeviceError, Unsupported
from nanopilot.core.parameters import State
from nanopilot.core.parts import find_part
from nanopilot.core.requests import from_outside
from nanopilot.core.units import Length
from nanopilot.core.values import Value
from nanopilot.instruments.snapshots import SnapshotCamera, SnapshotScanner
from nanopilot.instruments.temscript.dials import focus, wished
from nanopilot.instruments.temscript.link import HttpLink, Link
from nanopilot.instruments.temscript.optics import NO_AREA, Cameras, Source
from nanopilot.instruments.temscript.panel import Panel
from nanopilot.instruments.temscript.stem import StemFrames


class Calibration(Value):
    """What a temscript server does not tell, and only the owner of the microscope knows.

    Parameters
    ----------
    display_width : float, optional
        Edge of a full STEM frame times the STEM magnification, in metres. Without it nothing
        is scanned: the server tells no field of view.
    stem_size : int
        Pixels along the edge of a full STEM frame.
    defocus_scale : float, optional
        Metres of defocus for one unit of the server's ``defocus`` in TEM.
    gauge : str, optional
        Name of the gauge that `Vacuum.pressure` reads.
    camera : str, optional
        Camera that takes the frames in TEM; None: the first one.
    beam_current : float
        Amperes, for counting doses while the screen does not measure them.
    """

    display_width: Length | None = Field(default=None, gt=0)
    stem_size: int = Field(default=2048, ge=1)
    defocus_scale: float | None = None
    gauge: str | None = None
    camera: str | None = None
    beam_current: float = Field(default=0.0, ge=0)


class TemscriptScope:
    """A microscope behind a temscript server.

    In STEM its `Scanner` scans. In TEM, where nothing scans, a frame is the image of a camera.

    Parameters
    ----------
    link : Link
        The wire; what the server has is read when this is made.
    clock : Clock
        Real time.
    name : str
        What the instrument is called.
    calibration : Calibration
        What the server does not tell.
    """

    def __init__(
        self,
        link: Link,
        clock: Clock,
        *,
        name: str = "temscript",
        calibration: Calibration | None = None,
    ) -> None:
        self.clock, self._name, self._link = clock, name, link
        known = calibration or Calibration()
        self._cameras = _measurable(_told(link, "cameras"))
        self._detectors = _told(link, "stem_detectors")
        self._stem = bool(self._detectors) and link.get("instrument_mode") == "STEM"
        dials = wished(_told(link, "stage_limits"), tuple(self._detectors), known.gauge)
        dials += focus(self._stem, known.defocus_scale)
        self._panel = Panel(link, dials, clock)
        self._facts = {
            fact: str(link.get(fact)) for fact in ("family", "microscope_id", "version")
        } | {"instrument_mode": "STEM" if self._stem else "TEM"}
        self._frames, cameras = self._sources(known)
        parts: dict[str, object] = {}
        if self._frames is not None:
            parts["Scanner"] = SnapshotScanner(self._frames)
        if cameras is not None:
            parts["Camera"] = SnapshotCamera(cameras)
        self._parts = parts | self._panel.knobs()

    def _sources(self, known: Calibration) -> tuple[StemFrames | Cameras | None, Cameras | None]:
        source = Source(self._name, self._panel, known.beam_current)
        cameras = None
        if self._cameras:
            chosen = known.camera or next(iter(self._cameras))
            if chosen not in self._cameras:
                there = ", ".join(self._cameras)
                raise Unsupported(f"`camera` is {chosen!r}; there are {there}.")
            cameras = Cameras(source, self._cameras, chosen)
        if not self._stem:
            return cameras, cameras
        if known.display_width is None:
            return None, cameras
        width, size = known.display_width, known.stem_size
        return StemFrames(source, self._detectors, width, size), cameras

    @property
    def name(self) -> str:
        """What the instrument is called."""
        return self._name

    def state(self) -> State:
        """Read every parameter from the server."""
        return self._panel.read()

    def describe(self) -> InstrumentDescription:
        """Return what the server has."""
        frames = self._frames
        return InstrumentDescription(
            name=self._name,
            kind="instrument",
            capabilities=tuple(self._parts),
            area=NO_AREA if frames is None else frames.area(),
            scan_channels=() if frames is None else frames.channels,
            grid=(256, 256),
            state=dict(self._facts),
            parameters=self._panel.parameters,
            cameras=tuple(self._cameras) if "Camera" in self._parts else (),
            notice=self._notice(),
        )

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the part that has a capability.

        Raises
        ------
        Unsupported
            The server does not have it, or what it needs to know is not known.
        """
        way_out = self._notice() if kind is Scanner else ""
        return find_part(self._name, self._parts, kind, own={Closable: self._link}, way_out=way_out)

    def _notice(self) -> str:
        tried = "Tried on temscript's own simulated microscope, not on hardware."
        if self._stem and self._frames is None:
            return f"{tried} To scan, give `display_width`: the server tells no field of view."
        return tried


def _told(link: Link, endpoint: str) -> dict[str, Any]:
    """Return what the server says of its parts by name; nothing where it has no such parts."""
    try:
        answer = link.get(endpoint)
    except DeviceError:
        return {}
    if not isinstance(answer, dict):
        raise DeviceError(f"`{endpoint}` answers {answer!r:.80}; it should be an object.")
    return answer


def _measurable(cameras: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cameras whose pixels are known."""
    needed = {"width", "height", "pixel_size(um)", "binnings"}
    return {name: told for name, told in cameras.items() if needed <= told.keys()}


def temscript(
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    name: str = "temscript",
    timeout: float = 120.0,
    **calibration: Any,
) -> Instrument:
    """Connect to a temscript server.

    Parameters
    ----------
    host, port : str, int
        Where it listens.
    name : str
        What the instrument is called.
    timeout : float
        Seconds to wait for an answer; longer than the longest frame.
    **calibration
        What the server does not tell, see `Calibration`: ``display_width, stem_size,
        defocus_scale, gauge, camera``.

    Raises
    ------
    LinkLost
        Nobody answers there.
    InvalidRequest
        There is no such calibration.
    """
    known = from_outside(Calibration, **calibration)
    link = HttpLink(host, port, timeout=timeout)
    scope = TemscriptScope(link, RealClock(), name=name, calibration=known)
    link.after_loss(scope.state)
    return scope
