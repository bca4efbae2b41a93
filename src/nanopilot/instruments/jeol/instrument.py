"""PyJEM as an instrument of the contract."""

from __future__ import annotations

import warnings
from typing import Any

from pydantic import Field

from nanopilot.core.capabilities import Instrument
from nanopilot.core.clock import Clock, RealClock
from nanopilot.core.errors import LinkLost, MissingExtra, Unsupported
from nanopilot.core.requests import from_outside
from nanopilot.core.units import Duration, Length
from nanopilot.core.values import Value
from nanopilot.instruments.jeol.measuring import DetectorFrames, ScanFacts
from nanopilot.instruments.jeol.wheels import knobs
from nanopilot.instruments.snapshots.scope import AssembledScope
from nanopilot.instruments.snapshots.vendor import ObjectLink, VendorLink

NOTICE = (
    "Not tried on hardware: written from what is public about PyJEM. Check every call, unit and "
    "sign as docs/how-to/jeol.md says before you rely on it."
)
_TO_SCAN = " To scan, give `display_width`: PyJEM tells no field of view."
_CLASSES = ("Stage3", "Def3", "EOS3", "HT3", "FEG3", "Scan3")


class Calibration(Value):
    """What PyJEM does not tell.

    Parameters
    ----------
    detector : str, optional
        The one that takes the frames; None: the first that is attached.
    display_width : float, optional
        Edge of a whole frame times the magnification, in metres; without it nothing is scanned.
    dwell_time : float
        Seconds per pixel where a request names none.
    beam_current : float
        Amperes, for counting doses; 0: doses are not counted.
    """

    detector: str | None = None
    display_width: Length | None = Field(default=None, gt=0)
    dwell_time: Duration = Field(default=1e-5, gt=0)
    beam_current: float = Field(default=0.0, ge=0)


def assemble(
    link: VendorLink, clock: Clock, *, name: str = "jeol", known: Calibration | None = None
) -> AssembledScope:
    """Return the instrument behind a link: what can be read is there.

    Parameters
    ----------
    link : VendorLink
        To objects called as PyJEM's classes (``Stage3, Def3, EOS3, HT3, FEG3, Scan3``), and
        the chosen detector as ``Detector``.
    clock : Clock
        Real time.
    name : str
        What it is called.
    known : Calibration, optional
        What PyJEM does not tell; `detector` has to be chosen.
    """
    known = known or Calibration()
    scans = known.display_width is not None and known.detector is not None
    notice = NOTICE if scans else NOTICE + _TO_SCAN
    scope = AssembledScope(name, clock, knobs(link, clock), facts={}, notice=notice)
    if known.display_width is not None and known.detector is not None:
        facts = ScanFacts(known.detector, known.display_width, known.dwell_time, known.beam_current)
        scope.attach(DetectorFrames(name, clock, link, scope.state, facts), None)
    return scope


def jeol(*, name: str = "jeol", **calibration: Any) -> Instrument:
    """Connect to the microscope that PyJEM of this computer is set up for.

    Parameters
    ----------
    name : str
        What the instrument is called.
    **calibration
        See `Calibration`.

    Raises
    ------
    MissingExtra
        PyJEM is not installed.
    LinkLost
        TEM Center does not answer.
    Unsupported
        The chosen detector is not attached.
    """
    known = from_outside(Calibration, **calibration)
    try:
        from PyJEM import TEM3, detector
    except ImportError as cause:
        raise MissingExtra(
            "`jeol` needs PyJEM, which JEOL delivers for the computer of the microscope; install "
            "it into this environment as its own pages say."
        ) from cause
    try:
        TEM3.connect()
        attached = [str(one) for one in detector.get_attached_detector() or ()]
        objects: dict[str, Any] = {
            kind: getattr(TEM3, kind)() for kind in _CLASSES if hasattr(TEM3, kind)
        }
        chosen = known.detector or next(iter(attached), None)
        if chosen in attached:
            objects["Detector"] = detector.Detector(chosen)
    except Exception as cause:
        raise LinkLost(f"PyJEM does not answer: {cause}") from cause
    if known.detector is not None and known.detector not in attached:
        raise Unsupported(f"`detector` is {known.detector!r}; attached are {', '.join(attached)}.")
    warnings.warn(NOTICE, UserWarning, stacklevel=2)
    known = known.model_copy(update={"detector": chosen})
    return assemble(ObjectLink(objects), RealClock(), name=name, known=known)
