"""Operators on frames: seeing through a tip that is known, or estimated from the frame."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from nanopilot.analysis.tip.blind import estimate_noise
from nanopilot.analysis.tip.certainty import contacts
from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.analysis.tip.refine import load_refiner
from nanopilot.analysis.tip.shape import TipShape
from nanopilot.analysis.tip.state import RADII, judge_tip
from nanopilot.core.errors import SignalError
from nanopilot.core.signals import Axis, Signal, SignalSet, make_signal

#: Noise of a pixel and of those its bound is made of, in standard deviations.
_SLACK = 3.0


@dataclass(frozen=True, slots=True)
class SeeThroughTip:
    """The surface below a topograph, what of it is certain, and what the tip was like.

    Parameters
    ----------
    radius : float, optional
        Of the tip's end in metres; None: it is estimated from the frame.
    half_angle : float
        Of its cone in radians, if the radius is given.
    radii : (float, float)
        Least and largest radius there may be if it is estimated, in metres.
    refine : {"no", "plain", "residual"}
        Let a U-Net go below the bound where nothing is certain; needs the extra `ml`.
    """

    radius: float | None = None
    half_angle: float = math.radians(15)
    radii: tuple[float, float] = RADII
    refine: Literal["no", "plain", "residual"] = "no"

    def __call__(self, frame: Signal) -> SignalSet:
        """Return ``height`` (m), ``certain`` (1 or 0) and, if refined, ``error`` (m).

        What is known of the tip is in the metadata of ``height``: ``tip``, ``state``, the
        probabilities ``sharp``, ``blunt`` and ``double``, ``reason``, whether that was ``learned``
        (PyTorch was there) and, if refined, ``recoverable`` and ``stranger``. Where a refiner
        cannot help, heights that are not certain are NaN.

        Raises
        ------
        SignalError
            The frame holds no heights in metres on square pixels.
        OutOfRange
            It is too small for an estimate.
        """
        frame = frame.transpose("y", "x")
        pitch = square_pitch(frame)
        image = np.ascontiguousarray(frame.to_numpy(), dtype=np.float64)
        tip, facts = self._tip(image, pitch)
        relief = float(np.ptp(image))
        shape = tip.raster(pitch, max(1, min(image.shape) // 4), relief)
        slack = _SLACK * estimate_noise(image)
        facts = {"tip": asdict(tip)} | facts
        if self.refine == "no":
            bound, certain = contacts(image, shape, slack)
            return _together(frame, {"height": bound, "certain": certain}, facts)
        name = "tip-refiner" + ("-residual" if self.refine == "residual" else "")
        refined = load_refiner(name)(image, shape, slack)
        facts |= {"recoverable": refined.recoverable, "stranger": refined.stranger}
        maps = {"height": refined.height, "certain": refined.certain, "error": refined.error}
        return _together(frame, maps, facts)

    def _tip(self, image: FloatArray, pitch: float) -> tuple[TipShape, dict[str, object]]:
        if self.radius is not None:
            return TipShape(self.radius, half_angle=self.half_angle), {"state": "given"}
        verdict = judge_tip(image, pitch, self.radii)
        said: dict[str, object] = {
            "state": verdict.state,
            "sharp": verdict.sharp,
            "blunt": verdict.blunt,
            "double": verdict.double,
            "reason": verdict.reason,
            "learned": verdict.learned,
        }
        return verdict.tip, said


def square_pitch(frame: Signal) -> float:
    """Return metres per pixel of a frame of heights.

    Raises
    ------
    SignalError
        Heights or places are not in metres, or pixels are not square.
    """
    units = [frame.attrs.get("units"), *(frame[dim].attrs.get("units") for dim in ("y", "x"))]
    if units != ["m", "m", "m"]:
        raise SignalError(
            f"`frame` has units {units} for height, y and x; a tip is as long as it is wide, so "
            "all three have to be metres."
        )
    if min(frame.shape) < 2:
        raise SignalError(f"`frame` has shape {frame.shape}; two rows and columns are the least.")
    y, x = (abs(float(np.diff(frame[dim].to_numpy()).mean())) for dim in ("y", "x"))
    if not math.isclose(y, x, rel_tol=0.01):
        raise SignalError(
            f"`frame` has pixels of {y:.3g} m x {x:.3g} m; resample it to square ones first."
        )
    return x


def _together(frame: Signal, maps: dict[str, np.ndarray], facts: dict[str, object]) -> SignalSet:
    axes = {
        dim: Axis(frame[dim].to_numpy(), "m", str(frame[dim].attrs["quantity"]))
        for dim in ("y", "x")
    }
    words = {"height": ("height", "m"), "certain": ("certainty", "1"),
             "error": ("expected error", "m")}  # fmt: skip
    signals = {
        name: make_signal(
            np.asarray(values, dtype=np.float64), axes, quantity=words[name][0],
            units=words[name][1], metadata=facts if name == "height" else None,
        )
        for name, values in maps.items()
    }  # fmt: skip
    return SignalSet(signals)
