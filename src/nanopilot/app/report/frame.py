"""A measured or predicted image laid out on the sample, and limits for its colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

#: Pixels along an edge that no reader can tell apart in a page.
_ENOUGH = 1024
#: Robust standard deviations about the median that colours are spent on at most.
_REACH = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image laid out on the sample.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns), y upwards, x to the right.
    extent : (float, float, float, float)
        Left, right, bottom, top: the outer edges of the pixels, in metres.
    unit : str
        Of the values.
    shape : (int, int)
        Rows and columns as measured.
    """

    values: FloatArray
    extent: tuple[float, float, float, float]
    unit: str
    shape: tuple[int, int]

    @classmethod
    def of(cls, signal: Signal, unit: str | None = None) -> Frame:
        """Return the frame of a signal with dims (y, x)."""
        signal = signal.transpose("y", "x").sortby(["y", "x"])
        left, right = _edges(signal["x"].to_numpy())
        bottom, top = _edges(signal["y"].to_numpy())
        rows, columns = signal.shape
        step = -(-max(signal.shape) // _ENOUGH)
        values = signal.to_numpy()[::step, ::step].astype(float)
        known = str(signal.attrs.get("units", "")) if unit is None else unit
        return cls(values, (left, right, bottom, top), known, (rows, columns))

    @property
    def width(self) -> float:
        """Width on the sample in metres."""
        return self.extent[1] - self.extent[0]

    @property
    def aspect(self) -> float:
        """Height over width."""
        return (self.extent[3] - self.extent[2]) / self.width


def robust_limits(values: FloatArray) -> tuple[float, float]:
    """Return limits of colour that spikes cannot stretch.

    They are the 1st and 99th percentile, drawn in to 6 robust standard deviations (1.4826
    times the median absolute deviation) about the median where these lie nearer.

    Examples
    --------
    >>> robust_limits(np.array([0.0] * 50 + [1.0] * 49 + [100.0]))[1] < 2.1
    True
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, middle, high = (float(limit) for limit in np.percentile(known, (1, 50, 99)))
    reach = _REACH * 1.4826 * float(np.median(np.abs(known - middle)))
    if reach > 0:
        low, high = max(low, middle - reach), min(high, middle + reach)
    if low < high:
        return low, high
    pad = abs(low) * 0.1 or 1.0
    return low - pad, high + pad


def smooth_limits(values: FloatArray) -> tuple[float, float]:
    """Return the 1st and 99th percentile: limits for a prediction, which has no spikes."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (1, 99)) if known.size else (0.0, 0.0)
    return (float(low), float(high)) if low < high else robust_limits(values)


def _edges(centres: FloatArray) -> tuple[float, float]:
    step = (centres[-1] - centres[0]) / (len(centres) - 1) if len(centres) > 1 else 1e-9
    return float(centres[0] - step / 2), float(centres[-1] + step / 2)
