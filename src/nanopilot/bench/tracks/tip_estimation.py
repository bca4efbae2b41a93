"""`tip-estimation`: the tip from one scan of an unknown surface, and the surface from both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.tip import blind_tip, judge_tip
from nanopilot.bench.tip_surfaces import FAMILIES
from nanopilot.bench.track import Bar
from nanopilot.models.tip_imaging import dilate, erode
from nanopilot.twins.spm.tip import Apex, Tip
from nanopilot.workflows.tip_scans import log_uniform

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
PITCH = 1.5e-9
PIXELS = 128
_MARGIN = 32
#: Mean absolute error of raw scan and of erosion with the true tip, heights 0 to 1, on the lattice
#: 0.5 cos(kx) cos(ky) + 0.5 with ten periods in 128 pixels; tips: widths, second end, its offset.
TABLE = (
    ((2, 2, 0.0, 0), 0.045, 0.0057), ((8, 8, 0.0, 0), 0.398, 0.344),
    ((3, 3, 0.8, 12), 0.144, 0.057), ((6, 4, 0.5, 20), 0.345, 0.272),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One scan: heights in metres at `PITCH`."""

    image: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What made a scan."""

    surface: FloatArray
    tip: FloatArray
    radius: float
    double: bool


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Scans of one seed, in pairs: one tip with one end, one with two."""

    visible: tuple[Scan, ...]
    truth: tuple[Truth, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a method says of one scan: the surface, the radius (m), and how double the tip was."""

    surface: FloatArray
    radius: float
    double: float


class TipEstimation:
    """Surfaces of twenty-one families, tips of 5 to 30 nm, noise up to 1 % of the relief.

    Parameters
    ----------
    pairs : int
        Of scans in one case.
    """

    name: ClassVar[str] = "tip-estimation"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "tip and surface from one scan, surfaces of unknown kind"
    default: ClassVar[str] = "estimate"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="erosion with the true tip is as published", metric="table", bar=0.05,
            better="lower", method="true-tip"),
        Bar(what="error within 1.25 of the true tip's", metric="within", bar=0.95),
        Bar(what="and below that of the raw scan", metric="below_raw", bar=0.95),
        Bar(what="radius within 15 %", metric="radius_error", bar=0.15, better="lower"),
        Bar(what="double tips are told from single ones", metric="double_auc", bar=0.95),
        Bar(what="a guess from the mean tip does not do", metric="within", bar=0.9,
            better="lower", method="mean-tip"),
    )  # fmt: skip

    def __init__(self, pairs: int = 3) -> None:
        self._pairs = pairs

    @property
    def methods(self) -> Mapping[str, Callable[[tuple[Scan, ...]], Any]]:
        """The estimate and its baselines; the true tip is known to the score alone."""
        return {
            "estimate": _each(estimate),
            "blind": _each(blind),
            "mean-tip": _each(mean_tip),
            "raw": _each(raw),
            "true-tip": lambda scans: None,
        }

    def case(self, seed: int) -> Case:
        """Return scans of surfaces drawn anew for every seed."""
        rng = np.random.default_rng([seed, 16])
        made = [make(rng, double) for _ in range(self._pairs) for double in (False, True)]
        scans = tuple(Scan(image) for image, _ in made)
        return Case(scans, tuple(truth for _, truth in made))

    def score(self, case: Case, answer: tuple[Answer, ...] | None) -> Mapping[str, float]:
        """Compare; None stands for the true tip.

        Returns
        -------
        mapping
            Over scans: ``within`` and ``below_raw``, shares; ``ratio``, median error over that of
            erosion with the true tip; ``radius_error``, median relative, single tips;
            ``double_auc``, share of pairs ranked rightly; ``table``, largest relative deviation.
        """
        if answer is None:
            answer = tuple(
                Answer(np.asarray(erode(s.image, t.tip)), t.radius, float(t.double))
                for s, t in zip(case.visible, case.truth, strict=True)
            )
        both = list(zip(case.visible, case.truth, answer, strict=True))
        bound = np.array([error(erode(s.image, t.tip), t.surface) for s, t, _ in both])
        scanned = np.array([error(s.image, t.surface) for s, t, _ in both])
        ours = np.array([error(a.surface, t.surface) for _, t, a in both])
        off = [abs(a.radius / t.radius - 1) for _, t, a in both if not t.double]
        two = np.array([a.double for _, t, a in both if t.double])
        one = np.array([a.double for _, t, a in both if not t.double])
        return {
            "within": float(np.mean(ours <= 1.25 * bound)),
            "below_raw": float(np.mean(ours < scanned)),
            "ratio": float(np.median(ours / bound)),
            "radius_error": float(np.median(off)),
            "double_auc": float(np.mean((two[:, None] > one) + 0.5 * (two[:, None] == one))),
            "table": table_deviation(),
        }


def make(rng: np.random.Generator, double: bool) -> tuple[FloatArray, Truth]:
    """Draw a surface and a tip, and image one with the other."""
    names = sorted(FAMILIES)
    family = FAMILIES[names[int(rng.integers(len(names)))]]
    height = family(rng, PIXELS + 2 * _MARGIN)
    relief = rng.uniform(15e-9, 60e-9)
    surface = (height - height.min()) / float(np.ptp(height)) * relief
    radius = log_uniform(rng, 5e-9, 30e-9)
    first = Apex(radius=radius, half_angle=math.radians(rng.uniform(10, 25)))
    apexes: tuple[Apex, ...] = (first,)
    if double:
        # As far apart as an end is wide at a third of the relief, or farther.
        far = rng.uniform(1.0, 1.4) * math.sqrt(2 * radius * relief / 3)
        way = rng.uniform(0, 2 * math.pi)
        offset = (far * math.cos(way), far * math.sin(way))
        lift = 0.2 * relief * rng.uniform()
        apexes += (first.model_copy(update={"offset": offset, "height": lift}),)
    shape = Tip(apexes=apexes).raster(PITCH, relief, most=2 * _MARGIN - 3)
    inner = slice(_MARGIN, -_MARGIN)
    image = np.asarray(dilate(surface, shape))[inner, inner]
    noise = relief * rng.choice([0.0, rng.uniform(0.0, 0.01)])
    image = image + noise * rng.normal(size=image.shape)
    return image, Truth(surface[inner, inner], shape, radius, double)


def error(found: Any, surface: FloatArray) -> float:
    """Return the mean absolute error in metres."""
    return float(np.mean(np.abs(found - surface)))


def estimate(scan: Scan) -> Answer:
    """Answer with the bluntest tip of few numbers, and the end the blind estimate shows."""
    # The method's own draws; those of the case would tell it what it is to find.
    verdict = judge_tip(scan.image, PITCH, np.random.default_rng(0))
    shape = verdict.tip.raster(PITCH, PIXELS // 4, float(np.ptp(scan.image)))
    return Answer(np.asarray(erode(scan.image, shape)), verdict.tip.radius, verdict.double)


def blind(scan: Scan) -> Answer:
    """Answer with the blind estimate as it is; its radius from the pixels next to the apex."""
    found = blind_tip(scan.image, 10).shape
    near = float(np.mean([found[10, 12], found[12, 10], found[10, 8], found[8, 10]]))
    radius = (2 * PITCH) ** 2 / (2 * max(near, 1e-12))
    return Answer(np.asarray(erode(scan.image, found)), radius, 0.5)


def mean_tip(scan: Scan) -> Answer:
    """Answer with one tip for all: its radius is the middle of those there are."""
    radius = math.sqrt(5e-9 * 30e-9)
    relief = float(np.ptp(scan.image))
    shape = Tip(apexes=(Apex(radius=radius),)).raster(PITCH, relief, most=2 * _MARGIN - 3)
    smooth = gaussian_filter(scan.image, 0.5)
    return Answer(np.asarray(erode(smooth, shape)), radius, 0.5)


def raw(scan: Scan) -> Answer:
    """Answer with the scan."""
    return Answer(scan.image, PITCH, 0.5)


def table_deviation() -> float:
    """Return the largest relative deviation of raw scan and erosion from `TABLE`."""
    y, x = np.mgrid[:PIXELS, :PIXELS]
    k = 2 * np.pi * 10 / PIXELS
    surface = 0.5 * np.cos(k * x) * np.cos(k * y) + 0.5
    off = []
    for numbers, scanned, eroded in TABLE:
        tip = gaussian_tip(*numbers)
        image = dilate(surface, tip)
        pairs = ((error(image, surface), scanned), (error(erode(image, tip), surface), eroded))
        off += [abs(found / published - 1) for found, published in pairs]
    return max(off)


def gaussian_tip(first: float, second: float, share: float, offset: int) -> FloatArray:
    """Return a tip of one or two Gaussians, of height 1, on 61 x 61 pixels, apex at 0."""
    v, u = np.mgrid[-30:31, -30:31]
    body = np.exp(-(u**2 + v**2) / (2 * first**2))
    other = (u - offset) ** 2 + (v - offset) ** 2
    body = body + share * np.exp(-other / (2 * second**2))
    # The second end adds a little to the first: the apex is the reference.
    return np.asarray(np.maximum(body[30, 30] - body, 0.0))


def _each(method: Callable[[Scan], Answer]) -> Callable[[tuple[Scan, ...]], tuple[Answer, ...]]:
    return lambda scans: tuple(method(scan) for scan in scans)
