"""`tip-restoration`: what lies where a known, very blunt tip did not reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.ndimage import median_filter

from nanopilot.analysis.tip import contacts, load_refiner
from nanopilot.bench.tip_surfaces import FAMILIES
from nanopilot.bench.track import Bar
from nanopilot.models.tip_imaging import dilate

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
PIXELS = 128
RELIEF = 20e-9
_MARGIN = 12
_SHIFT = 3
#: Widths r of the needle exp(-d^2 / 2 (2 r)^2) on 25 x 25 pixels of the unit square.
WIDTHS = (0.2, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One scan and its tip, both known, in metres."""

    image: FloatArray
    tip: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Scans of one seed, and the surfaces they are of."""

    visible: tuple[Scan, ...]
    truth: tuple[FloatArray, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A surface, and whether the method stands by it where nothing is certain."""

    surface: FloatArray
    sure: bool = True


class TipRestoration:
    """Surfaces of twenty-one families under needles with r from 0.2 to 0.5: none was trained on.

    Parameters
    ----------
    scans : int
        In one case.
    """

    name: ClassVar[str] = "tip-restoration"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "surface below a very blunt tip that is known"
    default: ClassVar[str] = "residual-unet"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="error at most 0.75 of erosion's", metric="ratio", bar=0.75, better="lower"),
        Bar(what="on certain pixels never more than 1.02 of it", metric="certain_ratio",
            bar=1.02, better="lower"),
        Bar(what="never above the bound", metric="above", bar=0.0, better="lower"),
        Bar(what="the scan itself does not do", metric="ratio", bar=1.0, method="raw"),
        Bar(what="nor does a constant", metric="ratio", bar=1.0, method="constant"),
    )  # fmt: skip

    def __init__(self, scans: int = 6) -> None:
        self._scans = scans

    @property
    def methods(self) -> Mapping[str, Callable[[tuple[Scan, ...]], tuple[Answer, ...]]]:
        """The refiner, erosion, and trivial baselines."""
        return {
            "residual-unet": _each(lambda scan: refined(scan, "tip-refiner-residual")),
            "unet": _each(lambda scan: refined(scan, "tip-refiner")),
            "erosion": _each(lambda scan: Answer(bound(scan))),
            "lowered": _each(lowered),
            "median": _each(lambda scan: Answer(np.asarray(median_filter(scan.image, 5)))),
            "raw": _each(lambda scan: Answer(scan.image)),
            "constant": _each(lambda scan: Answer(np.full_like(scan.image, scan.image.mean()))),
        }

    def case(self, seed: int) -> Case:
        """Return scans of surfaces drawn anew for every seed."""
        rng = np.random.default_rng([seed, 8])
        made = [make(rng) for _ in range(self._scans)]
        return Case(tuple(scan for scan, _ in made), tuple(surface for _, surface in made))

    def score(self, case: Case, answer: tuple[Answer, ...]) -> Mapping[str, float]:
        """Compare answers with the surfaces.

        Returns
        -------
        mapping
            Root-mean-square error over that of erosion with the true tip: ``ratio`` and
            ``shifted`` (after the best shift by whole pixels), mean over scans;
            ``certain_ratio``, the largest on certain pixels; ``above``, share of pixels above
            the bound; ``gain``, dB over the scan, mean; ``sure``, share of answers stood by.
        """
        rows = [
            judge(scan, surface, one)
            for scan, surface, one in zip(case.visible, case.truth, answer, strict=True)
        ]
        means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        return means | {"certain_ratio": max(row["certain_ratio"] for row in rows)}


def needle(r: float) -> FloatArray:
    """Return a Gaussian needle in units of the relief, apex at 0, shape (25, 25)."""
    steps = np.linspace(0, 1, 25) - 0.5
    distance = np.hypot(*np.meshgrid(steps, steps))
    return np.asarray(1 - np.exp(-(distance**2) / (2 * (2 * r) ** 2)))


def make(rng: np.random.Generator) -> tuple[Scan, FloatArray]:
    """Draw a surface and a needle; return the scan, and the surface."""
    names = sorted(FAMILIES)
    family = FAMILIES[names[int(rng.integers(len(names)))]]
    raw = family(rng, PIXELS + 2 * _MARGIN)
    surface = (raw - raw.min()) / float(np.ptp(raw)) * RELIEF
    tip = needle(rng.uniform(*WIDTHS)) * RELIEF
    inner = slice(_MARGIN, -_MARGIN)
    image = np.asarray(dilate(surface, tip))[inner, inner]
    return Scan(np.ascontiguousarray(image), tip), np.ascontiguousarray(surface[inner, inner])


def judge(scan: Scan, surface: FloatArray, answer: Answer) -> dict[str, float]:
    """Return the numbers of one scan."""
    eroded, certain = contacts(scan.image, scan.tip, slack=0.0)
    least = 1e-4 * RELIEF
    reference = max(rms(eroded - surface), least)
    # Where nothing is said, the bound is what is known.
    said = np.where(np.isnan(answer.surface), eroded, answer.surface)
    on_certain = rms((said - surface)[certain]) + 1e-15
    return {
        "ratio": rms(said - surface) / reference,
        "shifted": best_shift(said, surface) / max(best_shift(eroded, surface), least),
        "certain_ratio": on_certain / (rms((eroded - surface)[certain]) + 1e-15),
        "above": float(np.mean(said > eroded + 1e-15)),
        "gain": 20
        * np.log10(max(rms(scan.image - surface), least) / max(rms(said - surface), least)),
        "sure": float(answer.sure),
    }


def rms(off: FloatArray) -> float:
    """Return the root mean square; 0 of nothing."""
    return float(np.sqrt(np.mean(off**2))) if off.size else 0.0


def best_shift(found: FloatArray, surface: FloatArray) -> float:
    """Return the error after the best shift by whole pixels: a tip's place in it is unknown."""
    s, inner = _SHIFT, slice(_SHIFT, -_SHIFT)
    moves = [(i, j) for i in range(-s, s + 1) for j in range(-s, s + 1)]
    return min(rms(np.roll(found, move, (0, 1))[inner, inner] - surface[inner, inner])
               for move in moves)  # fmt: skip


def bound(scan: Scan) -> FloatArray:
    """Return the erosion."""
    return contacts(scan.image, scan.tip, slack=0.0)[0]


def refined(scan: Scan, name: str) -> Answer:
    """Answer with a shipped refiner."""
    found = load_refiner(name)(scan.image, scan.tip, slack=0.0)
    return Answer(found.height, found.recoverable)


def lowered(scan: Scan) -> Answer:
    """Answer with the bound, lowered where it is open by what the erosion moved on average."""
    eroded, certain = contacts(scan.image, scan.tip, slack=0.0)
    return Answer(eroded - np.where(certain, 0.0, float(np.mean(scan.image - eroded))))


def _each(method: Callable[[Scan], Answer]) -> Callable[[tuple[Scan, ...]], tuple[Answer, ...]]:
    return lambda scans: tuple(method(scan) for scan in scans)
