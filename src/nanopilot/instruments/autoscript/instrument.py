"""AutoScript TEM as an instrument of the contract."""

from __future__ import annotations

import warnings
from typing import Any

from pydantic import Field

from nanopilot.core.capabilities import Instrument
from nanopilot.core.clock import Clock, RealClock
from nanopilot.core.errors import LinkLost, MissingExtra
from nanopilot.core.requests import from_outside
from nanopilot.core.units import Duration
from nanopilot.core.values import Value
from nanopilot.instruments.autoscript.measuring import Cameras, Source, StemFrames
from nanopilot.instruments.autoscript.wheels import knobs
from nanopilot.instruments.snapshots.scope import AssembledScope
from nanopilot.instruments.snapshots.vendor import ObjectLink, VendorLink

NOTICE = (
    "Not tried on hardware: written from what is public about AutoScript TEM. Check every call "
    "and every sign as docs/how-to/autoscript.md says before you rely on it."
)


class Calibration(Value):
    """What AutoScript does not tell, or what is not public about it.

    Parameters
    ----------
    dwell_time : float
        Seconds per pixel where a request names none.
    beam_current : float
        Amperes, for counting doses; 0: doses are not counted.
    pattern_pixel : float, optional
        Radians between neighbouring camera pixels; without it there is no `Camera`.
    camera_size : int
        Pixels along the edge of a pattern.
    """

    dwell_time: Duration = Field(default=1e-6, gt=0)
    beam_current: float = Field(default=0.0, ge=0)
    pattern_pixel: float | None = Field(default=None, gt=0)
    camera_size: int = Field(default=4096, ge=8)


def assemble(
    link: VendorLink, clock: Clock, *, name: str = "autoscript", known: Calibration | None = None
) -> AssembledScope:
    """Return the instrument behind a link: what can be read is there.

    Parameters
    ----------
    link : VendorLink
        To a connected ``TemMicroscopeClient`` and the vendor's structures.
    clock : Clock
        Real time.
    name : str
        What it is called.
    known : Calibration, optional
        What AutoScript does not tell.
    """
    known = known or Calibration()
    facts = {
        "system": str(link.read("service.system.name")),
        "version": str(link.read("service.system.version")),
    }
    scope = AssembledScope(name, clock, knobs(link, clock), facts=facts, notice=NOTICE)
    source = Source(name, clock, link, scope.state, known.beam_current)
    detectors = tuple(str(one) for one in link.read("detectors.scanning_detectors"))
    cameras = tuple(str(one) for one in link.read("detectors.camera_detectors"))
    scope.attach(
        StemFrames(source, detectors, known.dwell_time) if detectors else None,
        Cameras(source, cameras, known.pattern_pixel, known.camera_size)
        if cameras and known.pattern_pixel
        else None,
    )
    return scope


def autoscript(
    host: str = "localhost",
    port: int | None = None,
    *,
    name: str = "autoscript",
    **calibration: Any,
) -> Instrument:
    """Connect to an AutoScript TEM server.

    Parameters
    ----------
    host, port : str, int, optional
        Where it listens; without a port, where AutoScript does by itself.
    name : str
        What the instrument is called.
    **calibration
        See `Calibration`.

    Raises
    ------
    MissingExtra
        The vendor's package is not installed.
    LinkLost
        The server does not answer.
    """
    known = from_outside(Calibration, **calibration)
    try:
        from autoscript_tem_microscope_client import TemMicroscopeClient, structures
    except ImportError as cause:
        raise MissingExtra(
            "`autoscript` needs the package autoscript_tem_microscope_client, which Thermo Fisher "
            "delivers with an AutoScript licence; install its wheels into this environment."
        ) from cause
    client = TemMicroscopeClient()
    try:
        client.connect(*((host,) if port is None else (host, port)))
    except Exception as cause:
        raise LinkLost(f"AutoScript does not answer at {host}: {cause}") from cause
    warnings.warn(NOTICE, UserWarning, stacklevel=2)
    return assemble(ObjectLink(client, structures), RealClock(), name=name, known=known)
