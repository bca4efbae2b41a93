"""`drift`: how fast the sample drifts, told from two frames of the scanning-probe twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from skimage.registration import phase_cross_correlation

from nanopilot.analysis.drift import DriftFromFrames
from nanopilot.bench.coverage import NINETY
from nanopilot.bench.track import Bar
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.history import FloatArray
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import Signal
from nanopilot.twins.spm import SpmSettings, SpmTwin
from nanopilot.twins.spm.samples import family

#: Kinds of surface; every seed has each of them at each loudness of the noise.
KINDS = ("particles", "grains", "rough")
NOISES = (0.02, 0.1, 0.3)
SIZE, PIXELS, FIELD, LINES = 1.4e-6, 512, 0.9e-6, 128
#: Shift from frame to frame in pixels.
SLOWEST, FASTEST = 0.3, 16.0
#: An answer off by more than so many pixels per frame is wrong.
TOLERATED = 0.5

Pair = tuple[Signal, Signal]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Velocities (x, y) in m/s and their standard deviations, shape (n, 2); NaN: no answer."""

    velocity: FloatArray
    std: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Pairs of frames, the true velocities, and pixels per frame in 1 m/s, shape (n,)."""

    visible: tuple[Pair, ...]
    truth: FloatArray
    pixels: FloatArray


class DriftTrack:
    """9 pairs of frames of 128 lines: three kinds of surface, three loudnesses of noise.

    The drift is 0.3 to 16 pixels per frame in any direction; frames may be turned. Noise: white,
    1/f and hum, together with a standard deviation of 0.02, 0.1 or 0.3 times that of the surface,
    about; with it the offsets of lines that 1/f noise makes.
    """

    name: ClassVar[str] = "drift"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "velocity of drift from two frames, with its error"
    default: ClassVar[str] = "drift-from-frames"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="error in pixels per frame, median", metric="error", bar=0.05, better="lower"),
        Bar(what="wrong by more than half a pixel", metric="wrong", bar=0.02, better="lower"),
        Bar(what="90 % intervals: enough", metric="coverage", bar=0.85),
        Bar(what="90 % intervals: not too wide", metric="coverage", bar=0.95, better="lower"),
        Bar(what="velocity explained", metric="skill", bar=0.99),
    )

    @property
    def methods(self) -> Mapping[str, Callable[[tuple[Pair, ...]], Answer]]:
        """The shipped operator, scikit-image with both normalisations, and no drift at all."""
        return {
            "drift-from-frames": measured,
            "scikit-image": lambda pairs: correlated(pairs, None),
            "scikit-image, phase": lambda pairs: correlated(pairs, "phase"),
            "zero": lambda pairs: Answer(
                np.zeros((len(pairs), 2)), np.full((len(pairs), 2), 1e-12)
            ),
        }

    def case(self, seed: int) -> Case:
        """Scan the pairs of a seed."""
        rng = np.random.default_rng(seed)
        drawn = [draw_pair(kind, noise, rng) for kind in KINDS for noise in NOISES]
        seconds = np.array([_between(pair) for pair, _ in drawn])
        return Case(
            tuple(pair for pair, _ in drawn),
            np.array([velocity for _, velocity in drawn]),
            seconds / (FIELD / (LINES - 1)),
        )

    def score(self, case: Case, answer: Answer) -> Mapping[str, float]:
        """Compare velocities with the truth, in pixels per frame.

        Returns
        -------
        mapping
            ``error``: median length of the difference; ``worst``: its largest; ``wrong``: how
            many are off by more than half a pixel or missing; ``coverage`` of 90 % intervals;
            ``skill``: 1 - squared error over that of no drift, no answer counting as none.
        """
        scale = case.pixels[:, None]
        true, found = case.truth * scale, answer.velocity * scale
        said = np.asarray(np.isfinite(found).all(axis=1))
        away = np.sqrt(((found - true) ** 2).sum(axis=1))
        guess = np.where(said[:, None], found, 0.0)
        pulls = np.asarray(np.abs(found - true) / (answer.std * scale))[said]
        return {
            "error": float(np.median(np.where(said, away, np.inf))),
            "worst": float(np.where(said, away, np.inf).max()),
            "wrong": float((~said | (away > TOLERATED)).mean()),
            "coverage": float(np.mean(pulls <= NINETY)) if said.any() else float("nan"),
            "skill": 1.0 - float(((guess - true) ** 2).sum() / (true**2).sum()),
        }


def measured(pairs: tuple[Pair, ...]) -> Answer:
    """Answer with the shipped operator as it comes."""
    found = [DriftFromFrames()(*pair) for pair in pairs]
    return Answer(np.array([one.velocity for one in found]), np.array([one.std for one in found]))


def correlated(pairs: tuple[Pair, ...], normalization: str | None) -> Answer:
    """Answer as scripts do: the shift by scikit-image over the time between two frames.

    Parameters
    ----------
    pairs : tuple of (Signal, Signal)
        Frames.
    normalization : str or None
        As of `skimage.registration.phase_cross_correlation`.
    """
    found = []
    for first, second in pairs:
        images = [one.to_numpy() - float(one.mean()) for one in (first, second)]
        shift, *_ = phase_cross_correlation(
            *images, upsample_factor=100, normalization=normalization
        )
        inside = np.asarray(shift)[::-1] * FIELD / (LINES - 1) / _between((first, second))
        turn = float(first.attrs["rotation"])
        cos, sin = np.cos(turn), np.sin(turn)
        found.append(np.array([[cos, -sin], [sin, cos]]) @ inside)
    # It says nothing of its error; a hundredth of a pixel is what was asked for.
    return Answer(np.array(found), np.full((len(pairs), 2), 0.01 * FIELD / LINES / LINES))


def _between(pair: Pair) -> float:
    return float((pair[1]["time"] - pair[0]["time"]).mean())


def draw_pair(kind: str, noise: float, rng: np.random.Generator) -> tuple[Pair, FloatArray]:
    """Draw a surface and a drift; return two frames, one after the other, and the velocity.

    Parameters
    ----------
    kind : str
        Name of a family of samples.
    noise : float
        Its standard deviation over that of the surface.
    rng : numpy.random.Generator
        Draws everything.
    """
    sample = family(kind)(rng, size_m=SIZE, pixels=PIXELS)
    level = noise * float(sample.height.std())
    speed = np.exp(rng.uniform(np.log(SLOWEST), np.log(FASTEST))) * FIELD / LINES / LINES
    angle, turn = rng.uniform(0, 2 * np.pi, 2)
    velocity = speed * np.array([np.cos(angle), np.sin(angle)])
    # A pixel is a mean over 1/128 of half a second: 128 Hz of bandwidth.
    settings: dict[str, Any] = {
        "noise": {"white": level / np.sqrt(LINES), "pink": level / 4, "mains": level / 4},
        "motion": {"drift": (*velocity.tolist(), 0.0)},
    }
    twin = SpmTwin(
        sample,
        VirtualClock(),
        settings=SpmSettings.model_validate(settings),
        seed=int(rng.integers(2**31)),
    )
    request = ScanRequest(
        centre=(0.0, 0.0),
        field_of_view=(FIELD, FIELD),
        shape=(LINES, LINES),
        rotation=turn if noise == NOISES[1] else 0.0,
        channels=("height",),
        directions=("trace",),
    )
    scanner = twin.capability(Scanner)
    first, second = (scanner.start(request).result()["height"] for _ in range(2))
    return (first, second), velocity
