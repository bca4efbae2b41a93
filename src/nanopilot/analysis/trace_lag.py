"""What trace and retrace disagree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.analysis.frame_arrays import rows_of
from nanopilot.analysis.levelling import SubtractPlane
from nanopilot.analysis.scan_lag import BLOCKS, Measured, pair_difference
from nanopilot.core.errors import SignalError
from nanopilot.core.signals import Signal


@dataclass(frozen=True, slots=True)
class TraceLag:
    """How far trace and retrace are off, in metres, each with its standard error.

    Parameters
    ----------
    lag : Measured
        How far either direction lags behind, as a slow loop does.
    bend : Measured
        Largest difference of trace and retrace from hysteresis, in the middle of the line.
    """

    lag: Measured
    bend: Measured


def trace_lag(trace: Signal, retrace: Signal) -> TraceLag:
    """Measure lag and hysteresis from the two directions of one frame.

    Drift between the two is fitted along with them, and left out.

    Parameters
    ----------
    trace, retrace : Signal
        Dims (y, x), same shape, at least 16 lines and 16 columns, nothing missing.

    Raises
    ------
    SignalError
        They are no such frames.
    """
    (trace, _), (retrace, _) = (rows_of(one, least=(BLOCKS, 16)) for one in (trace, retrace))
    there, back = (SubtractPlane()(one).to_numpy() for one in (trace, retrace))
    if there.shape != back.shape:
        raise SignalError(f"`retrace` has shape {back.shape}, but `trace` {there.shape}.")
    if not (np.isfinite(there).all() and np.isfinite(back).all()):
        raise SignalError("`trace` or `retrace` has NaN; crop the lines that were not measured.")
    pitch = float(np.diff(trace["x"].to_numpy()).mean())
    found = pair_difference(there, back)
    return TraceLag(found.lag.times(pitch), found.bend.times(pitch))
