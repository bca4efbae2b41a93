"""Fits how probable candidates are: drawn frames in, a `Judge` out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nanopilot.analysis.particles.candidates import Candidates, candidates
from nanopilot.analysis.particles.probability import Judge, resolve
from nanopilot.core.errors import OutOfRange
from nanopilot.workflows.particle_frames import PIXELS, Frame, draw_frame

Array = np.ndarray[Any, np.dtype[Any]]
#: A candidate is a particle if its centre is within this part of the radius, and its radius
#: within this ratio.
NEAR, ALIKE = 0.3, 1.3
#: Frames drawn for what ships; of five of them one is not learned from but calibrates.
FRAMES, _HELD = 500, 5
#: Nets whose logits are averaged, units of each, rounds, weight decay.
_NETS, _UNITS, _ROUNDS, _DECAY = 6, 16, 25, 3e-2
#: Seed of the frames, so far from others that none is seen twice.
_FIRST = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Candidates of one drawn frame, and which of them are particles.

    Parameters
    ----------
    found : Candidates
        All of them.
    true : numpy.ndarray of bool
        Shape (n,).
    """

    found: Candidates
    true: Array


def truth(frame: Frame, place: Array, radius: Array) -> Array:
    """Tell which places and radii are those of a particle, shape (n,).

    Parameters
    ----------
    frame : Frame
        With its truth.
    place, radius : numpy.ndarray
        (row, column), shape (n, 2), and shape (n,); pixels.
    """
    true = np.zeros(len(radius), dtype=bool)
    for middle, size in zip(frame.place, frame.radius, strict=True):
        near = np.hypot(*(place - middle).T) < NEAR * size + 1
        true |= near & (np.abs(np.log(radius / size)) < np.log(ALIKE))
    return true


def draw_judged(seed: int) -> tuple[Frame, Judged]:
    """Draw a frame, look for candidates and say which are particles."""
    frame = draw_frame(np.random.default_rng(_FIRST + seed))
    found = candidates(frame.image, 6.0, PIXELS / 3)
    return frame, Judged(found, truth(frame, found.place, found.radius))


def fit_judge(
    drawn: list[Judged], seed: int = 0, report: Callable[[str], None] = lambda line: None
) -> Judge:
    """Fit probabilities; those of frames not learned from calibrate what stays of candidates.

    Of several outlines of one particle only the most probable stays, which makes probabilities
    too large; a line through their logits puts this right (J. Platt, Adv. Large Margin Classif.
    (1999) 61, equation 1).

    Parameters
    ----------
    drawn : list of Judged
        Five or more frames.
    seed : int
        Of the fit's first numbers.
    report : callable
        Told how it goes.

    Raises
    ------
    OutOfRange
        There are fewer than five frames.
    """
    from sklearn.linear_model import LogisticRegression

    if len(drawn) < _HELD:
        raise OutOfRange(f"`drawn` has {len(drawn)} frames; {_HELD} or more are needed.")
    learned = [one for number, one in enumerate(drawn) if number % _HELD]
    values = np.concatenate([one.found.features for one in learned])
    true = np.concatenate([one.true for one in learned])
    judge = _learned(values, true, seed)
    held = [one for number, one in enumerate(drawn) if number % _HELD == 0]
    logits, hits = kept(judge, held)
    line = LogisticRegression(C=1e3).fit(logits[:, None], hits)
    a, b = float(line.coef_[0, 0]), float(line.intercept_[0])
    report(f"{len(values)} candidates, {int(true.sum())} true; logits times {a:.3f} plus {b:.3f}")
    return replace(judge, last=a * judge.last, last_bias=a * judge.last_bias + b)


def _learned(values: Array, true: Array, seed: int) -> Judge:
    """Return the mean of the logits of a few small nets: as one net, their layers side by side."""
    import warnings

    from sklearn.neural_network import MLPClassifier

    middle, scale = values.mean(axis=0), values.std(axis=0)
    standard = np.clip((values - middle) / scale, -4, 4)
    nets = []
    for number in range(_NETS):
        net = MLPClassifier(
            (_UNITS,), activation="tanh", alpha=_DECAY, max_iter=_ROUNDS, learning_rate_init=3e-3,
            batch_size=min(512, len(values)), random_state=seed + number, n_iter_no_change=_ROUNDS,
        )  # fmt: skip
        with warnings.catch_warnings():
            # That it stopped after its rounds, which is wanted.
            warnings.simplefilter("ignore")
            nets.append(net.fit(standard, true))
    return Judge(
        middle,
        scale,
        np.concatenate([one.coefs_[0] for one in nets], axis=1),
        np.concatenate([one.intercepts_[0] for one in nets]),
        np.concatenate([one.coefs_[1][:, 0] for one in nets]) / _NETS,
        np.mean([one.intercepts_[1] for one in nets], axis=0),
    )


def refit(frames: int = FRAMES, report: Callable[[str], None] = lambda line: None) -> Judge:
    """Draw frames and fit the probabilities that ship, as `Judge.to_json` writes them.

    Parameters
    ----------
    frames : int
        How many.
    report : callable
        Told how it goes.
    """
    return fit_judge([draw_judged(number)[1] for number in range(frames)], report=report)


def kept(judge: Judge, drawn: list[Judged]) -> tuple[Array, Array]:
    """Return logits and truth of the candidates that stay in their frames, shapes (n,)."""
    logits, hits = [], []
    for one in drawn:
        said = judge.logit(one.found.features)
        stay = resolve(one.found, 1 / (1 + np.exp(-said)))
        logits.append(said[stay])
        hits.append(one.true[stay])
    return np.concatenate(logits), np.concatenate(hits)
