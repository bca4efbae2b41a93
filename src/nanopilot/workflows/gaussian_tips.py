"""Tips of one or two Gaussians as tall as the surface, and scans made with them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.tip_imaging import dilate
from nanopilot.workflows.tip_surfaces import Family

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Pixels from the apex to the edge of a tip: it is 61 pixels wide.
HALF = 30


@dataclass(frozen=True, slots=True)
class GaussianTip:
    """A tip of one or two Gaussian ends; the first is 1 high, all lengths are in pixels.

    k(u) = exp(-u_x^2 / 2 w_x1^2 - u_y^2 / 2 w_y1^2) + a exp(-...) of u - o with the widths of the
    second end. How a tip is modelled in spmsimu (2024); there o is on the diagonal.

    Parameters
    ----------
    first, second : (float, float)
        Widths along x and y.
    share : float
        Height a of the second end, 0 to 1; 0: there is none.
    offset : (float, float)
        Where it is, (x, y).

    Raises
    ------
    OutOfRange
        A width is not positive, or the second end higher than the first.

    Examples
    --------
    >>> tip = GaussianTip((3.0, 3.0), (3.0, 3.0), 0.8, (12.0, 0.0)).raster()
    >>> tip.shape, float(tip[30, 30]), bool(tip[30, 42] < tip[30, 18])
    ((61, 61), 0.0, True)
    """

    first: tuple[float, float]
    second: tuple[float, float] = (1.0, 1.0)
    share: float = 0.0
    offset: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("first", "second"):
            if not min(getattr(self, name)) > 0:
                raise OutOfRange(f"`{name}` is {getattr(self, name)}; a width is more than 0.")
        if not 0 <= self.share <= 1:
            raise OutOfRange(f"`share` is {self.share}; it has to be 0 to 1.")

    def raster(self) -> FloatArray:
        """Return the flanks above the apex, shape (61, 61), the highest pixel in the middle.

        Two ends that overlap add up; the apex of the sum is the reference, not that of the first.
        Beyond the edge there is no tip.
        """
        steps = np.arange(-HALF, HALF + 1, dtype=np.float64)
        # The apex of two ends may lie between them: once more, with it in the middle.
        body = self._body(steps, steps)
        row, column = np.unravel_index(int(np.argmax(body)), body.shape)
        body = self._body(steps + float(steps[row]), steps + float(steps[column]))
        return np.asarray(np.maximum(body[HALF, HALF] - body, 0.0))

    def _body(self, y: FloatArray, x: FloatArray) -> FloatArray:
        (wx, wy), (vx, vy), (ox, oy) = self.first, self.second, self.offset
        one = np.exp(-((x / wx) ** 2) / 2) * np.exp(-((y / wy) ** 2) / 2)[:, None]
        across = np.exp(-(((x - ox) / vx) ** 2) / 2)
        two = across * np.exp(-(((y - oy) / vy) ** 2) / 2)[:, None]
        return np.asarray(one + self.share * two)


def draw_tip(rng: np.random.Generator, *, single: float = 0.3) -> GaussianTip:
    """Draw a tip: widths evenly from 1 to 19 pixels, the second end in any direction.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws.
    single : float
        Share of tips with one end.
    """
    widths = rng.uniform(1.0, 19.0, 4)
    share = 0.0 if rng.uniform() < single else float(rng.uniform())
    far, way = rng.uniform(0.0, 20.0), rng.uniform(0.0, 2 * math.pi)
    return GaussianTip(
        (float(widths[0]), float(widths[1])),
        (float(widths[2]), float(widths[3])),
        share,
        (far * math.cos(way), far * math.sin(way)),
    )


def scan_with(
    rng: np.random.Generator, family: Family, tip: GaussianTip, *, pixels: int = 128
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Image a surface of relief 1 with a tip; the tip feels what lies beyond the edge.

    Half of the scans have noise, up to 1 % of the relief.

    Parameters
    ----------
    rng : numpy.random.Generator
        Surface and noise.
    family : callable
        Draws a surface.
    tip : GaussianTip
        The tip.
    pixels : int
        Rows and columns.

    Returns
    -------
    numpy.ndarray, numpy.ndarray, numpy.ndarray
        Image and surface, shape (pixels, pixels), and the tip, all in units of the relief.
    """
    raw = family(rng, pixels + 2 * HALF)
    surface = (raw - raw.min()) / max(float(np.ptp(raw)), 1e-30)
    shape = tip.raster()
    inner = (slice(HALF, HALF + pixels),) * 2
    image = np.asarray(dilate(surface.astype(np.float32), shape), dtype=np.float64)[inner]
    noise = rng.choice([0.0, rng.uniform(0.0, 0.01)])
    return image + noise * rng.normal(size=image.shape), np.asarray(surface[inner]), shape
