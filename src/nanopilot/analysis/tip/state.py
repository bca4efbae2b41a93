"""What state a tip is in: sharp, blunt, double, or nobody can tell from this image.

A tip with one end is *sharp* where, did one know it, the scan would prove the surface at half of
its pixels or more (they are certain, see `nanopilot.analysis.tip.certainty`), and *blunt* below:
a tip of 10 nm is sharp on steps of 1 nm and blunt between particles of 20 nm. It is *double* if it
has a second end that touched the surface. It is *unsure* where no answer is likely enough, or the
image is unlike those that answers are known of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nanopilot.analysis.tip.certainty import checked, contacts
from nanopilot.analysis.tip.fit import Consistency, fit_second, fit_single
from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.analysis.tip.learned_state import LEAST, LearnedState, State, load_tip_state
from nanopilot.analysis.tip.shape import TipShape
from nanopilot.core.errors import MissingExtra, OutOfRange, UnknownName
from nanopilot.models.recipes.tip_state import SHARP, companions, lopsided
from nanopilot.models.tip_imaging import dilate, erode

#: One-sidedness of the best second end at which both answers are as likely, and the range over
#: which the answer goes from one to the other: on the surfaces that the network learned from.
_EVEN, _SOFT = 0.37, 0.33
#: The same of the share of certain pixels.
_SHARE = 0.5
#: Probability from which a classical answer is given; it is less to be trusted than a learned one.
_DECISIVE = 0.7


@dataclass(frozen=True, slots=True)
class TipVerdict:
    """What an image says about its tip.

    Parameters
    ----------
    state : {"sharp", "blunt", "double", "unsure"}
        In one word; unsure where the image does not tell.
    sharp, blunt, double : float
        Probabilities, calibrated on families of surfaces held out of training if `learned`.
    tip : TipShape
        The bluntest tip of few numbers that can have made the image.
    reason : str
        Why, in words.
    learned : bool
        By the network; else by counting alone.
    """

    state: State
    sharp: float
    blunt: float
    double: float
    tip: TipShape
    reason: str
    learned: bool


def judge_tip(
    image: FloatArray, pitch: float, rng: np.random.Generator, *, learned: bool | None = None
) -> TipVerdict:
    """Estimate the tip of an image and say what state it is in.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns).
    pitch : float
        Metres per pixel.
    rng : numpy.random.Generator
        Noise for comparison.
    learned : bool, optional
        By the shipped network, or without; None: by the network where PyTorch is installed.

    Raises
    ------
    SignalError
        The image is no array of finite heights.
    OutOfRange
        It has fewer than 54 rows or columns.
    MissingExtra
        A network was asked for, and PyTorch or safetensors is not installed.
    """
    heights, _ = checked(image, np.zeros((1, 1)))
    if min(heights.shape) < LEAST:
        raise OutOfRange(
            f"`image` has shape {heights.shape}; to judge a tip it needs {LEAST} pixels along both "
            "axes. Scan more lines."
        )
    said = _by_network(heights, learned)
    possible = Consistency.of(heights, pitch, rng)
    tip = fit_single(possible)
    if said is None:
        return _counted(heights, tip, possible)
    if said.double > 0.5:
        tip = fit_second(possible, tip, said.offset)
    reason = f"the network gives double {said.double:.2f}, blunt {said.blunt:.2f}"
    if said.stranger:
        reason = "the image is unlike those the network was trained on"
    elif not said.decisive:
        reason += ": no answer is likely enough"
    return TipVerdict(said.state, said.sharp, said.blunt, said.double, tip, reason, True)


def _by_network(image: FloatArray, learned: bool | None) -> LearnedState | None:
    if learned is False:
        return None
    try:
        return load_tip_state()(image)
    except (MissingExtra, UnknownName):
        if learned:
            raise
        return None


def _counted(image: FloatArray, tip: TipShape, possible: Consistency) -> TipVerdict:
    """Judge without a network: by how one-sided companions are, and by what the tip proves."""
    excess, place = lopsided(companions(image)[0])
    double = _logistic((excess - _EVEN) / _SOFT)
    if double > 0.5:
        tip = fit_second(possible, tip, place)
    blunt = (1 - double) * _logistic((SHARP - proven(image, tip, possible.pitch)) / _SHARE)
    odds: dict[State, float] = {"sharp": 1 - double - blunt, "blunt": blunt, "double": double}
    best: State = max(odds, key=odds.__getitem__)
    reason = f"counting companions gives double {double:.2f}, the fitted tip blunt {blunt:.2f}"
    if np.ptp(image) == 0 or tip.radius > 150 * possible.pitch:
        best, reason = "unsure", "the image is too smooth to tell one tip from another"
    elif odds[best] < _DECISIVE:
        best, reason = "unsure", f"{reason}: no answer is likely enough"
    return TipVerdict(best, odds["sharp"], blunt, double, tip, reason, False)


def proven(image: FloatArray, tip: TipShape, pitch: float) -> float:
    """Return the share of pixels that would be certain if the tip was this one, without noise.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns).
    tip : TipShape
        The tip.
    pitch : float
        Metres per pixel.
    """
    shape = tip.raster(pitch, min(image.shape) // 4, float(np.ptp(image)))
    # What the tip makes of the bound is the image without its noise.
    made = np.asarray(dilate(erode(image, shape), shape), dtype=np.float64)
    return float(contacts(made, shape, 0.0)[1].mean())


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-max(min(x, 50.0), -50.0)))
