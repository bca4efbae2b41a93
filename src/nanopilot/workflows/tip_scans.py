"""Scans with tips that are known: what networks for tips learn from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.models.tip_imaging import dilate
from nanopilot.twins.spm.tip import Apex, Tip
from nanopilot.workflows.tip_surfaces import Family

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class TipRange:
    """Tips to draw from, lengths in pixels.

    Parameters
    ----------
    radius : (float, float)
        Least and largest; drawn evenly in the logarithm.
    half_angle : (float, float)
        Of the cone, in degrees.
    double : float
        Share of tips with two ends.
    gap : (float, float)
        Radii between those two are left out.
    """

    radius: tuple[float, float] = (2.0, 60.0)
    half_angle: tuple[float, float] = (8.0, 22.0)
    double: float = 0.35
    gap: tuple[float, float] = (6.0, 9.0)

    def draw(self, rng: np.random.Generator) -> Tip:
        """Return a tip; a second end is as far away as two to five radii of curvature allow."""
        radius = log_uniform(rng, *self.radius)
        while self.gap[0] < radius < self.gap[1]:
            radius = log_uniform(rng, *self.radius)
        angle = math.radians(rng.uniform(*self.half_angle))
        first = Apex(
            radius=radius * 1e-9,
            half_angle=angle,
            aspect=log_uniform(rng, 0.6, 1.7),
            rotation=rng.uniform(0, math.pi),
        )
        if rng.uniform() >= self.double:
            return Tip(apexes=(first,))
        return Tip(apexes=(first, _second(rng, first)))


def _second(rng: np.random.Generator, first: Apex) -> Apex:
    distance, way = rng.uniform(3.0, 11.0), rng.uniform(0, 2 * math.pi)
    offset = (distance * math.cos(way) * 1e-9, distance * math.sin(way) * 1e-9)
    # Hidden behind the first end it would be none: its own end has to stick out.
    room = float(first.flank(np.array(offset[0]), np.array(offset[1])))
    radius = first.radius * log_uniform(rng, 0.5, 2.0)
    return Apex(radius=radius, half_angle=first.half_angle, offset=offset,
                height=room * rng.uniform(0.0, 0.7))  # fmt: skip


@dataclass(frozen=True, slots=True)
class EndRange:
    """Tips by the width of their ends, as a surface of some relief feels them.

    A parabola of radius R is as curved as a Gaussian as high as the relief and of width
    sqrt(R relief); widths below are that of the broader direction, in pixels.

    Parameters
    ----------
    width : (float, float)
        Least and largest; drawn evenly in the logarithm.
    aspect : (float, float)
        Radius of the broader direction over that of the other.
    half_angle : (float, float)
        Of the cone, in degrees.
    apart : (float, float)
        From the first end to the second, in widths of the broader of them.
    share : (float, float)
        How far the second end reaches down into the relief: 1 as far as the first.
    reach : float
        Pixels from the first end to the second at most.
    """

    width: tuple[float, float] = (3.0, 11.0)
    aspect: tuple[float, float] = (1.0, 2.5)
    half_angle: tuple[float, float] = (10.0, 25.0)
    apart: tuple[float, float] = (2.0, 4.0)
    share: tuple[float, float] = (0.3, 1.0)
    reach: float = 26.0

    def draw(
        self, rng: np.random.Generator, radius: float, relief: float, double: bool
    ) -> tuple[Tip, float]:
        """Return a tip whose first end has a radius (m), and the metres per pixel that fit it.

        One end and two have the same range of widths, and are as often elliptic.
        """
        angle = math.radians(rng.uniform(*self.half_angle))
        ends = [self._end(rng, R, angle) for R in (radius, radius * log_uniform(rng, 0.6, 1.5))]
        broad = [math.sqrt(end.radius * end.aspect * relief) for end in ends]
        least = self.apart[0] * max(broad)
        # A second end has to be on the tip's pixels; tips with one end are drawn alike.
        pitch = max(broad[0] / log_uniform(rng, *self.width), least / (0.85 * self.reach))
        if not double:
            return Tip(apexes=(ends[0],)), pitch
        far = rng.uniform(least, min(self.apart[1] * max(broad), self.reach * pitch))
        way = rng.uniform(0, 2 * math.pi)
        lift = (1 - rng.uniform(*self.share)) * relief
        place = {"offset": (far * math.cos(way), far * math.sin(way)), "height": lift}
        return Tip(apexes=(ends[0], ends[1].model_copy(update=place))), pitch

    def _end(self, rng: np.random.Generator, radius: float, angle: float) -> Apex:
        aspect, rotation = log_uniform(rng, *self.aspect), rng.uniform(0, math.pi)
        return Apex(radius=radius, half_angle=angle, aspect=aspect, rotation=rotation)


@dataclass(frozen=True, slots=True, eq=False)
class KnownScan:
    """A scan and what made it; one nanometre per pixel.

    Parameters
    ----------
    image, surface : numpy.ndarray
        Heights in metres, shape (pixels, pixels).
    shape : numpy.ndarray
        The tip on pixels, as `nanopilot.models.tip_imaging` wants it.
    tip : Tip
        The tip.
    noise : float
        Standard deviation in metres.
    """

    image: FloatArray
    surface: FloatArray
    shape: FloatArray
    tip: Tip
    noise: float


def scan_known(
    rng: np.random.Generator, family: Family, tip: Tip, *, pixels: int = 64, noise: float = 0.0
) -> KnownScan:
    """Image a surface of random relief with a tip.

    The tip feels what lies beyond the edge of the image, as a real one does.

    Parameters
    ----------
    rng : numpy.random.Generator
        Surface, relief and noise.
    family : callable
        Draws a surface.
    tip : Tip
        One pixel is one nanometre.
    pixels : int
        Rows and columns.
    noise : float
        Standard deviation in units of the relief.
    """
    margin = 14
    raw = family(rng, pixels + 2 * margin)
    relief = log_uniform(rng, 2.0, 40.0) * 1e-9
    surface = (raw - raw.min()) / max(float(np.ptp(raw)), 1e-30) * relief
    shape = tip.raster(1e-9, relief, most=2 * margin - 3)
    inner = slice(margin, margin + pixels)
    image = np.asarray(dilate(surface, shape))[inner, inner]
    image = image + noise * relief * rng.normal(size=image.shape)
    return KnownScan(image, surface[inner, inner], shape, tip, noise * relief)


#: Pixels by which a tip feels beyond the edge of a picture, and rows and columns it has at most.
MARGIN, MOST = 32, 61


@dataclass(frozen=True, slots=True, eq=False)
class TipPicture:
    """A scan without noise whose tip is known.

    Parameters
    ----------
    image, surface : numpy.ndarray
        Heights in metres, shape (pixels, pixels).
    shape : numpy.ndarray
        The tip on pixels, as `nanopilot.models.tip_imaging` wants it.
    tip : Tip
        The tip.
    pitch : float
        Metres per pixel.
    second : float
        Share of pixels that the second end alone touched; 0 for one end.
    """

    image: FloatArray
    surface: FloatArray
    shape: FloatArray
    tip: Tip
    pitch: float
    second: float


def tip_picture(raw: FloatArray, relief: float, tip: Tip, pitch: float) -> TipPicture:
    """Image a surface with a tip that feels beyond the edge of the picture.

    Parameters
    ----------
    raw : numpy.ndarray
        The surface in any unit, `MARGIN` pixels larger than the picture on every side.
    relief : float
        Its highest minus its lowest place, in metres.
    tip : Tip
        What images it.
    pitch : float
        Metres per pixel.
    """
    surface = (raw - raw.min()) / max(float(np.ptp(raw)), 1e-30) * relief
    inner = slice(MARGIN, -MARGIN)
    shape = tip.raster(pitch, relief, most=MOST)
    image = np.asarray(dilate(surface, shape))[inner, inner]
    share = 0.0
    if len(tip.apexes) > 1:
        first = tip.model_copy(update={"apexes": tip.apexes[:1]}).raster(pitch, relief, most=MOST)
        alone = np.asarray(dilate(surface, first))[inner, inner]
        share = float(np.mean(image > alone))
    return TipPicture(np.asarray(image, float), surface[inner, inner], shape, tip, pitch, share)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number evenly in its logarithm."""
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))
