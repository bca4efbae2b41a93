"""`tip-estimation`: the tip from one scan of an unknown surface, and the surface from both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.tip import blind_tip, contacts, judge_tip
from nanopilot.bench.tip_surfaces import FAMILIES
from nanopilot.bench.tip_table import table_deviation
from nanopilot.bench.track import Bar
from nanopilot.models.recipes.tip_state import SHARP
from nanopilot.models.tip_imaging import erode
from nanopilot.twins.spm.tip import Apex, Tip
from nanopilot.workflows.tip_scans import MARGIN, MOST, EndRange, log_uniform, tip_picture

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
PIXELS = 128
#: Second ends are at least two widths away and reach at least 0.3 of the relief down.
ENDS = EndRange()
#: Radii of all tips in metres: as on a data sheet, told to all methods.
RADII = (5e-9, 30e-9)
STATES = ("sharp", "blunt", "double")


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One scan: heights in metres, and metres per pixel."""

    image: FloatArray
    pitch: float


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What made a scan."""

    surface: FloatArray
    tip: FloatArray
    radius: float
    state: str

    @property
    def double(self) -> bool:
        """Whether the tip had two ends."""
        return self.state == "double"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Scans of one seed, in pairs: one tip with one end, one with two."""

    visible: tuple[Scan, ...]
    truth: tuple[Truth, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a method says of one scan: the surface, the radius (m), how double the tip was.

    And its state in a word; anything but sharp, blunt and double is an abstention.
    """

    surface: FloatArray
    radius: float
    double: float
    state: str = "unsure"


class TipEstimation:
    """Surfaces of twenty-one families, tips of 5 to 30 nm, noise up to 1 % of the relief.

    Half of the tips have one end, round or elliptic (radii up to 2.5 times one another), half have
    two. A tip of radius R is felt as an end of width w = sqrt(R relief), the width of a Gaussian as
    high as the relief and as curved; in the broader direction w is 3 to 11 pixels for all tips, so
    that wide does not mean double. A second end is 2 w to 4 w away in any direction, w of the
    broader of both, at most 26 pixels, so that it is on a tip of 61 x 61; it reaches 0.3 to 1 times
    the relief down. Nearer ends are one elongated end, and higher ones hardly touch. Where the
    second end touched nothing, so that the scan is bit for bit that of the first, all is drawn
    again; one pixel that it touched is enough to stay.

    A tip with one end is sharp where, the tip known, the scan without noise proves half of its
    pixels, else blunt.

    Parameters
    ----------
    pairs : int
        Of scans in one case.
    """

    name: ClassVar[str] = "tip-estimation"
    version: ClassVar[str] = "2"
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
            "counted": _each(counted),
            "blind": _each(blind),
            "mean-tip": _each(mean_tip),
            "raw": _each(raw),
            "true-tip": lambda scans: None,
        }

    def case(self, seed: int) -> Case:
        """Return scans of surfaces drawn anew for every seed."""
        rng = np.random.default_rng([seed, 16])
        made = [make(rng, double) for _ in range(self._pairs) for double in (False, True)]
        return Case(tuple(scan for scan, _ in made), tuple(truth for _, truth in made))

    def score(self, case: Case, answer: tuple[Answer, ...] | None) -> Mapping[str, float]:
        """Compare; None stands for the true tip.

        Returns
        -------
        mapping
            Over scans: ``within`` and ``below_raw``, shares; ``ratio``, median error over that of
            erosion with the true tip; ``radius_error``, median relative, single tips;
            ``double_auc``, share of pairs of a double and a single tip ranked rightly;
            ``abstained``, share of tips whose state is not said; ``state_accuracy``, share of
            right ones among the others, NaN if there is none; ``table``, largest relative
            deviation.
        """
        if answer is None:
            answer = tuple(
                Answer(np.asarray(erode(s.image, t.tip)), t.radius, float(t.double), t.state)
                for s, t in zip(case.visible, case.truth, strict=True)
            )
        both = list(zip(case.visible, case.truth, answer, strict=True))
        bound = np.array([error(erode(s.image, t.tip), t.surface) for s, t, _ in both])
        scanned = np.array([error(s.image, t.surface) for s, t, _ in both])
        ours = np.array([error(a.surface, t.surface) for _, t, a in both])
        off = [abs(a.radius / t.radius - 1) for _, t, a in both if not t.double]
        two = np.array([a.double for _, t, a in both if t.double])
        one = np.array([a.double for _, t, a in both if not t.double])
        said = [(a.state, t.state) for _, t, a in both if a.state in STATES]
        return {
            "within": float(np.mean(ours <= 1.25 * bound)),
            "below_raw": float(np.mean(ours < scanned)),
            "ratio": float(np.median(ours / bound)),
            "radius_error": float(np.median(off)),
            "double_auc": float(np.mean((two[:, None] > one) + 0.5 * (two[:, None] == one))),
            "state_accuracy": float(np.mean([a == t for a, t in said])) if said else math.nan,
            "abstained": 1 - len(said) / len(both),
            "table": table_deviation(),
        }


def make(rng: np.random.Generator, double: bool) -> tuple[Scan, Truth]:
    """Draw a surface and a tip, and image one with the other.

    A second end that touched nothing leaves no trace, not one bit: then all is drawn again.
    """
    while True:
        names = sorted(FAMILIES)
        family = FAMILIES[names[int(rng.integers(len(names)))]]
        raw = family(rng, PIXELS + 2 * MARGIN)
        relief, radius = rng.uniform(15e-9, 60e-9), log_uniform(rng, *RADII)
        made = tip_picture(raw, relief, *ENDS.draw(rng, radius, relief, double))
        if made.second > 0 or not double:
            break
    certain = contacts(made.image, made.shape, 0.0)[1].mean()
    state = "double" if double else "sharp" if certain >= SHARP else "blunt"
    noise = relief * rng.choice([0.0, rng.uniform(0.0, 0.01)])
    image = made.image + noise * rng.normal(size=made.image.shape)
    return Scan(image, made.pitch), Truth(made.surface, made.shape, radius, state)


def error(found: Any, surface: FloatArray) -> float:
    """Return the mean absolute error in metres."""
    return float(np.mean(np.abs(found - surface)))


def estimate(scan: Scan) -> Answer:
    """Answer with a tip of few numbers, and a second end if the network sees one."""
    return _judged(scan, None)


def counted(scan: Scan) -> Answer:
    """Answer alike without networks: by how well the best second end suits."""
    return _judged(scan, False)


def _judged(scan: Scan, learned: bool | None) -> Answer:
    verdict = judge_tip(scan.image, scan.pitch, RADII, learned=learned)
    shape = verdict.tip.raster(scan.pitch, PIXELS // 4, float(np.ptp(scan.image)))
    surface = np.asarray(erode(scan.image, shape), dtype=np.float64)
    return Answer(surface, verdict.tip.radius, verdict.double, verdict.state)


def blind(scan: Scan) -> Answer:
    """Answer with the blind estimate as it is; its radius from the pixels next to the apex."""
    found = blind_tip(scan.image, 10).shape
    near = float(np.mean([found[10, 12], found[12, 10], found[10, 8], found[8, 10]]))
    radius = (2 * scan.pitch) ** 2 / (2 * max(near, 1e-12))
    return Answer(np.asarray(erode(scan.image, found)), radius, 0.5)


def mean_tip(scan: Scan) -> Answer:
    """Answer with one tip for all: its radius is the middle of those there are."""
    radius = math.sqrt(RADII[0] * RADII[1])
    relief = float(np.ptp(scan.image))
    shape = Tip(apexes=(Apex(radius=radius),)).raster(scan.pitch, relief, most=MOST)
    smooth = gaussian_filter(scan.image, 0.5)
    return Answer(np.asarray(erode(smooth, shape)), radius, 0.5)


def raw(scan: Scan) -> Answer:
    """Answer with the scan."""
    return Answer(scan.image, scan.pitch, 0.5)


def _each(method: Callable[[Scan], Answer]) -> Callable[[tuple[Scan, ...]], tuple[Answer, ...]]:
    return lambda scans: tuple(method(scan) for scan in scans)
