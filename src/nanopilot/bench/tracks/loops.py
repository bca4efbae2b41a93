"""`loops`: hysteresis loops whose switching biases are known, with noise and spikes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nanopilot.analysis.loop_fit import LoopFit, switching_loop
from nanopilot.bench.coverage import (
    NINETY,
    Fits,
    covered,
    interval_bars,
    log_uniform,
    scores_by_snr,
    share,
)
from nanopilot.bench.loop_peers import constant, fit_plainly
from nanopilot.bench.track import Bar
from nanopilot.core.history import FloatArray, IntArray
from nanopilot.core.signals import Axis, Signal, make_signal

#: Height, half the distance of the two states, over the standard deviation of the noise.
SNRS = (1, 2, 5, 10, 20, 50)
NAMES = ("offset", "slope", "height", "bias_up", "bias_down", "width_up", "width_down")
POSITIVE = (False, False, False, False, False, True, True)
#: A fit has failed when it gives no answer, or a switching bias off by more full widths at
#: half maximum of the step's slope, and more than two points of the bias.
TOLERATED = 0.5
FILMS, EACH = 6, 8


@dataclass(frozen=True, slots=True, eq=False)
class Visible:
    """What a method is given.

    Parameters
    ----------
    films : tuple of Signal
        Loops, dims (point, bias); how noisy each is, is not said.
    """

    films: tuple[Signal, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Loops and their truth, columns as `NAMES`, shape (n, 7), with the SNR, shape (n,)."""

    visible: Visible
    truth: tuple[FloatArray, ...]
    snr: IntArray
    step: FloatArray


class Loops:
    """6 films of 48 loops; every film has its own sweep; every other one has spikes.

    Sweeps reach 3 V to 30 V in 64 to 160 points, triangular or sinusoidal. The coercive bias is
    1/8 to 1/2 of that, the imprint up to 1/4, the width of a step 1/16 to 3/8; loops may be
    inverted and stand on a slope. Spikes: up to 1 point in 16, 3 to 50 times the height.
    """

    name: ClassVar[str] = "loops"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "hysteresis loops in noise and spikes: failures, bias, coverage"
    default: ClassVar[str] = "loop-fit"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="failures at SNR 2", metric="failures_2", bar=0.03, better="lower"),
        Bar(what="failures at SNR 5", metric="failures_5", bar=0.01, better="lower"),
        *interval_bars(SNRS[1:]),
    )

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], tuple[Fits, ...]]]:
        """The shipped fit, scipy's, and a constant answer."""
        return {
            "loop-fit": fit,
            "curve_fit from the loop's features": fit_plainly,
            "constant": constant,
        }

    def case(self, seed: int) -> Case:
        """Draw the films of a seed."""
        rng = np.random.default_rng(seed)
        snr = np.repeat(SNRS, EACH)
        drawn = [draw_film(rng, snr, spikes=number % 2 == 1) for number in range(FILMS)]
        films, truth = (tuple(part) for part in zip(*drawn, strict=True))
        steps = [np.abs(np.diff(film["bias"].to_numpy())).max() for film in films]
        return Case(Visible(films), truth, np.tile(snr, FILMS), np.repeat(steps, snr.size))

    def score(self, case: Case, answer: tuple[Fits, ...]) -> Mapping[str, float]:
        """Compare answers with the truth.

        Returns
        -------
        mapping
            ``skill``: R² of the switching biases in units of the sweep, no answer counting as
            none. Per SNR ``failures``; ``silent``, those without a flag; ``bias`` (median
            error of the coercive bias, relative) and ``coverage`` of the answers. And
            ``coverage`` of each parameter from SNR 2 on.
        """
        truth, found = np.concatenate(case.truth), Fits.joined(answer)
        width = np.maximum(2.0 * np.sqrt(np.log(2.0)) * truth[:, 5:], 2.0 * case.step[:, None])
        with np.errstate(invalid="ignore"):
            off = np.abs(found.values[:, 3:5] - truth[:, 3:5])
            wrong = (off > TOLERATED * width).any(axis=1)
        coercive = np.diff(found.values[:, 3:5])[:, 0] / np.diff(truth[:, 3:5])[:, 0] - 1.0
        hits = covered(found.values, found.std, truth, positive=POSITIVE, deviations=NINETY)
        scores = {"skill": skill(case, answer)}
        scores |= scores_by_snr(found, wrong, hits, case.snr, {"bias": coercive})
        loud = found.answered & (case.snr >= 2)
        for column, name in enumerate(NAMES):
            scores[f"coverage_{name}"] = share(hits[loud, column])
        return scores


def draw_film(
    rng: np.random.Generator, snr: IntArray, *, spikes: bool
) -> tuple[Signal, FloatArray]:
    """Draw loops of one sweep, one per entry of `snr`, and their truth, shape (n, 7).

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    snr : numpy.ndarray
        Shape (n,).
    spikes : bool
        Add some.
    """
    points, reach = 8 * int(rng.integers(8, 21)), log_uniform(rng, 3.0, 30.0)
    phase = np.arange(points) / points
    wave = np.sin(2 * np.pi * phase)
    bias = reach * (wave if rng.random() < 0.5 else 2 / np.pi * np.arcsin(wave))
    n = snr.size
    coercive, imprint = rng.uniform(1 / 8, 1 / 2, n), rng.uniform(-1 / 4, 1 / 4, n)
    widths = np.exp(rng.uniform(np.log(1 / 16), np.log(3 / 8), (2, n)))
    size = log_uniform(rng, 1e-6, 1.0)
    height = size * rng.choice([-1.0, 1.0], n) * np.exp(rng.normal(0.0, 0.3, n))
    line = size * rng.normal(size=(2, n)) / [[1.0], [4.0 * reach]]
    steps = reach * np.stack([imprint + coercive, imprint - coercive, *widths])
    truth = np.stack([*line, height, *steps], axis=1)
    values = np.stack([switching_loop(bias, (row[0], row[1]), row[2], row[3:]) for row in truth])
    values += (np.abs(height) / snr)[:, None] * rng.normal(size=values.shape)
    if spikes:
        for row, loop in enumerate(values):
            at = rng.choice(points, rng.integers(0, points // 16 + 1), replace=False)
            loop[at] += height[row] * rng.choice([-1.0, 1.0], at.size) * rng.uniform(3, 50, at.size)
    axes = {
        "point": Axis(np.arange(n, dtype=float), "1", "number"),
        "bias": Axis(bias, "V", "bias"),
    }
    return make_signal(values, axes, quantity="response", units="a.u."), truth


def fit(visible: Visible) -> tuple[Fits, ...]:
    """Answer with the shipped operator as it comes."""
    found = [LoopFit()(film) for film in visible.films]
    return tuple(Fits.of(maps, NAMES) for maps in found)


def skill(case: Case, answer: tuple[Fits, ...]) -> float:
    """Return 1 - (error of the switching biases) / (that of their mean), squared, summed."""
    ours, trivial = 0.0, 0.0
    for film, truth, found in zip(case.visible.films, case.truth, answer, strict=True):
        reach = float(film["bias"].max())
        # What anybody can say beforehand: half way between where the draws begin and end.
        usual = reach * 5 / 16 * np.sign([1.0, -1.0])
        # Beyond the sweep one wild answer would drown all others.
        guess = np.clip(found.values[:, 3:5], -reach, reach)
        guess = np.where(found.answered[:, None], guess, usual)
        ours += float((((guess - truth[:, 3:5]) / reach) ** 2).sum())
        trivial += float((((usual - truth[:, 3:5]) / reach) ** 2).sum())
    return 1.0 - ours / trivial
