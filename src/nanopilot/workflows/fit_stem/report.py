"""What comes out of a fit of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nanopilot.core.values import Value
from nanopilot.twins.stem.settings import StemSettings
from nanopilot.workflows.estimates import Estimates
from nanopilot.workflows.fit_stem.frames import FloatArray
from nanopilot.workflows.fit_stem.gap import StemGap

SceneKind = Literal["crystal", "picture"]


class StemReport(Value):
    """What came out of a fit, as JSON.

    Parameters
    ----------
    settings : StemSettings
        The twin.
    estimates : dict of str to Estimate
        By the name of the setting.
    frames : str
        What they were called.
    scene : {"crystal", "picture"}
        What the twins were judged on: the named crystal as it lies in the frames, perfect; or
        the first frame itself, denoised, standing still. The second is easier: it has the blur
        of the real lens in it, so that only detector and scan are judged.
    fitted, default : StemGap
        Of the fitted twin and of one of which nothing was said, on the same scene, to the first
        frame.
    seed : int
        Of everything random.
    """

    settings: StemSettings
    estimates: Estimates
    frames: str
    scene: SceneKind
    fitted: StemGap
    default: StemGap
    seed: int

    @property
    def closer(self) -> bool:
        """Whether the fitted twin is closer than the default one in every way."""
        return self.fitted.smaller_than(self.default)


@dataclass(frozen=True, slots=True, eq=False)
class FittedStem:
    """A fit with what is too large for its report.

    Parameters
    ----------
    report : StemReport
        Numbers.
    real, fitted, default : numpy.ndarray
        Counts of the first frame, and of both twins.
    pixel : float
        Metres.
    """

    report: StemReport
    real: FloatArray
    fitted: FloatArray
    default: FloatArray
    pixel: float
