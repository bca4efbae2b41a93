"""`tip-prediction`: the whole tip from one scan, on surfaces that no network was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from nanopilot.analysis.tip import blind_tip, estimate_noise
from nanopilot.analysis.tip.predict import TipPredictor, load_predictor
from nanopilot.bench.tip_surfaces import FAMILIES
from nanopilot.bench.track import Bar
from nanopilot.models.tip_imaging import erode
from nanopilot.workflows.gaussian_tips import HALF, draw_tip, scan_with
from nanopilot.workflows.tip_scans import log_uniform

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
#: Pixels by which a tip may be moved sideways before it is compared.
_SHIFT = 10
#: Pixels from the apex to the edge of the blind estimate, whose time goes with their fourth power,
#: and standard deviations of noise that it is given as its threshold.
_BLIND, _THRESHOLD = 8, 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One scan: heights in metres, metres per pixel, and the relief of the surface in metres.

    The shipped method leaves the relief alone; it is there for those who know their sample.
    """

    image: FloatArray
    pitch: float
    relief: float


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Surface and tip of a scan, in metres."""

    surface: FloatArray
    tip: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One scan of every family, and what made them."""

    visible: tuple[Scan, ...]
    truth: tuple[Truth, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A tip in metres, shape (61, 61), its expected error, and whether the scan looked strange."""

    tip: FloatArray
    error: FloatArray | None = None
    stranger: bool = False


class TipPrediction:
    """One scan of 128 x 128 pixels of each of twenty-one families, noise up to 1 % of the relief.

    Tips are those of `nanopilot.workflows.gaussian_tips`, tip and relief are equally tall. Heights
    of tips are compared in units of the relief and up to 1: below, no tip touches anything.

    Parameters
    ----------
    families : tuple of str
        Names in `nanopilot.bench.tip_surfaces.FAMILIES`.
    """

    name: ClassVar[str] = "tip-prediction"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "the whole tip from one scan of a surface of unknown kind"
    default: ClassVar[str] = "learned"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="median squared error of the tip", metric="mse", bar=0.01, better="lower"),
        Bar(what="after the best shift too", metric="mse_shifted", bar=0.01, better="lower"),
        Bar(what="erosion within 1.25 of the true tip's", metric="within", bar=0.95),
        Bar(what="and nearer to the surface than the scan", metric="below_raw", bar=0.95),
        Bar(what="the mean tip does not do", metric="mse", bar=0.01, method="mean-tip"),
        Bar(what="nor does the blind estimate", metric="mse", bar=0.01, method="blind"),
    )

    def __init__(self, families: tuple[str, ...] = tuple(sorted(FAMILIES))) -> None:
        self._families = families

    @property
    def methods(self) -> Mapping[str, Callable[[tuple[Scan, ...]], Any]]:
        """The networks, baselines, and the true tip, which the score alone knows."""
        return {
            "learned": _each(learned),
            "learned-with-relief": _each(learned_with_relief),
            "mean-tip": _each(mean_tip),
            "blind": _each(blind),
            "raw": _each(raw),
            "true-tip": lambda scans: None,
        }

    def case(self, seed: int) -> Case:
        """Return scans of surfaces and tips drawn anew for every seed."""
        rng = np.random.default_rng([seed, 1605])
        made = [make(rng, family) for family in self._families]
        return Case(tuple(scan for scan, _ in made), tuple(truth for _, truth in made))

    def score(self, case: Case, answer: tuple[Answer, ...] | None) -> Mapping[str, float]:
        """Compare; None stands for the true tip.

        Returns
        -------
        mapping
            ``mse`` and ``mse_shifted``, medians over scans of the mean squared error of the tip,
            raw and after the best shift by whole pixels; ``mse_mean``, the mean; ``honest``,
            share of pixels off by less than twice what was expected; ``stranger``, share. Of
            erosion with the tip: ``within``, share with an error within 1.25 of that with the
            true tip; ``below_raw``, share below that of the scan; ``ratio``, median over that
            with the true tip; ``error``, median in units of the relief.
        """
        if answer is None:
            answer = tuple(Answer(truth.tip) for truth in case.truth)
        rows = [judge(*one) for one in zip(case.visible, case.truth, answer, strict=True)]
        columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        middle = {key: float(np.median(columns[key])) for key in
                  ("mse", "mse_shifted", "ratio", "error")}  # fmt: skip
        shares = ("within", "below_raw", "honest", "stranger")
        means = {key: float(np.mean(columns[key])) for key in shares}
        return middle | means | {"mse_mean": float(np.mean(columns["mse"]))}


def make(rng: np.random.Generator, family: str) -> tuple[Scan, Truth]:
    """Draw a surface of a family and a tip, and image one with the other."""
    image, surface, tip = scan_with(rng, FAMILIES[family], draw_tip(rng))
    relief, pitch = log_uniform(rng, 1e-9, 100e-9), log_uniform(rng, 0.1e-9, 10e-9)
    return Scan(image * relief, pitch, relief), Truth(surface * relief, tip * relief)


def judge(scan: Scan, truth: Truth, answer: Answer) -> dict[str, float]:
    """Return the numbers of one scan."""
    found, true = (np.clip(tip / scan.relief, 0.0, 1.0) for tip in (answer.tip, truth.tip))
    off = np.abs(found - true)
    expected = np.zeros_like(off) if answer.error is None else answer.error / scan.relief
    ours = _error(scan, truth.surface, answer.tip)
    bound = _error(scan, truth.surface, truth.tip)
    scanned = float(np.mean(np.abs(scan.image - truth.surface))) / scan.relief
    return {
        "mse": float(np.mean(off**2)),
        "mse_shifted": best_shift(found, true),
        "within": float(ours <= 1.25 * bound),
        "below_raw": float(ours < scanned),
        "ratio": ours / max(bound, 1e-6),
        "error": ours,
        "honest": float(np.mean(off <= 2 * expected)),
        "stranger": float(answer.stranger),
    }


def _error(scan: Scan, surface: FloatArray, tip: FloatArray) -> float:
    """Return the mean absolute error of erosion with a tip, in units of the relief."""
    return float(np.mean(np.abs(erode(scan.image, tip) - surface))) / scan.relief


def best_shift(found: FloatArray, true: FloatArray) -> float:
    """Return the least mean squared error over shifts by whole pixels.

    A tip that is moved sideways makes the same image at another place. What comes in at the edge
    is as high as can be.
    """
    rows, columns = found.shape
    padded = np.pad(found, _SHIFT, constant_values=1.0)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (rows, columns))
    return min(float(np.mean((one - true) ** 2)) for line in windows for one in line)


@cache
def _predictor() -> TipPredictor:
    return load_predictor()


def learned(scan: Scan) -> Answer:
    """Answer with the networks, who see the scan alone."""
    found = _predictor()(scan.image, scan.pitch)
    return Answer(found.shape, found.error, found.stranger)


def learned_with_relief(scan: Scan) -> Answer:
    """Answer with the networks, told how high the surface is."""
    found = _predictor()(scan.image, scan.pitch, scan.relief)
    return Answer(found.shape, found.error, found.stranger)


def mean_tip(scan: Scan) -> Answer:
    """Answer with the mean tip of training, as tall as the relief: a constant."""
    return Answer(_predictor().mean_tip() * scan.relief)


def blind(scan: Scan) -> Answer:
    """Answer with the blind estimate, and beyond its edge with what it is there."""
    threshold = _THRESHOLD * estimate_noise(scan.image)
    found = blind_tip(scan.image, _BLIND, threshold).shape
    return Answer(np.pad(found, HALF - _BLIND, mode="edge"))


def raw(scan: Scan) -> Answer:
    """Answer with a needle: the scan is the surface."""
    tip = np.full((2 * HALF + 1, 2 * HALF + 1), float(np.ptp(scan.image)))
    tip[HALF, HALF] = 0.0
    return Answer(tip)


def _each(method: Callable[[Scan], Answer]) -> Callable[[tuple[Scan, ...]], tuple[Answer, ...]]:
    return lambda scans: tuple(method(scan) for scan in scans)
