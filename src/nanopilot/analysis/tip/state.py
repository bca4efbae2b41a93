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
from nanopilot.analysis.tip.fit import Consistency, fit_single
from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.analysis.tip.learned_state import (
    LEAST,
    LearnedState,
    State,
    load_tip_state,
    shrunk,
)
from nanopilot.analysis.tip.second import (
    SecondEnds,
    likeliest,
    second_ends,
    together,
    with_second,
)
from nanopilot.analysis.tip.shape import TipShape
from nanopilot.core.errors import MissingExtra, OutOfRange, UnknownName
from nanopilot.models.recipes.tip_state import PIXELS, SHARP
from nanopilot.models.tip_imaging import dilate, erode

#: How much better than others the best second end suits where both answers are as likely, and the
#: range over which the answer goes from one to the other: on the surfaces that networks learn from.
_EVEN, _SOFT = 0.85, 0.53
#: Temperature of what this and the network say together, on families held out of its training.
_BOTH = 1.3
#: The same of the share of certain pixels.
_SHARE = 0.5
#: Radii of tips, where nobody says more: from one atom's to one long worn.
RADII = (1e-9, 100e-9)
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
        A likely tip of few numbers: little sharper than the bluntest that can have made the image.
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
    image: FloatArray,
    pitch: float,
    radii: tuple[float, float] = RADII,
    *,
    learned: bool | None = None,
) -> TipVerdict:
    """Estimate the tip of an image and say what state it is in.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns).
    pitch : float
        Metres per pixel.
    radii : (float, float)
        Least and largest radius the tip may have, in metres: what its maker says, worn or not.
    learned : bool, optional
        By the shipped networks, or without; None: by the networks where PyTorch is installed.

    Raises
    ------
    SignalError
        The image is no array of finite heights.
    OutOfRange
        It has fewer than 54 rows or columns, or the radii are no range.
    MissingExtra
        Networks were asked for, and PyTorch or safetensors is not installed.
    """
    heights, _ = checked(image, np.zeros((1, 1)))
    if min(heights.shape) < LEAST:
        raise OutOfRange(
            f"`image` has shape {heights.shape}; to judge a tip it needs {LEAST} pixels along both "
            "axes. Scan more lines."
        )
    if not 0 < radii[0] < radii[1] < math.inf:
        raise OutOfRange(f"`radii` is {radii} m; give the least and the largest, above 0.")
    factor = max(1, min(heights.shape) // PIXELS)
    ends = second_ends(shrunk(heights, factor), factor)
    possible = Consistency.of(heights, pitch)
    tip = fit_single(possible, radii)
    said = _by_networks(heights, ends, learned)
    if said is None:
        return _counted(possible, tip, ends)
    state, double, least = said
    # What the network says of tips with one end is left as it is.
    share = state.blunt / max(state.sharp + state.blunt, 1e-12)
    if double > 0.5:
        tip = with_second(tip, ends, (pitch, float(np.ptp(heights))), state.offset)
    odds = _odds(double, share)
    best: State = max(odds, key=odds.__getitem__)
    reason = f"the network and second ends give double {double:.2f}, blunt {odds['blunt']:.2f}"
    if state.stranger:
        best, reason = "unsure", "the image is unlike those the network was trained on"
    elif best != state.likeliest:
        best, reason = "unsure", f"{reason}: the network alone says {state.likeliest}"
    elif odds[best] < least:
        best, reason = "unsure", f"{reason}: no answer is likely enough"
    return TipVerdict(best, odds["sharp"], odds["blunt"], double, tip, reason, True)


def _by_networks(
    image: FloatArray, ends: SecondEnds, learned: bool | None
) -> tuple[LearnedState, float, float] | None:
    """Return what one network says, what both say of two ends, and what is likely enough."""
    if learned is False:
        return None
    try:
        model = load_tip_state()
        state = model(image)
        double = together((likeliest(ends)[0] - _EVEN) / _SOFT, state.double, _BOTH)
        return state, double, model.card.metrics["decisive"]
    except (MissingExtra, UnknownName):
        if learned:
            raise
        return None


def _odds(double: float, blunt: float) -> dict[State, float]:
    """Return the probabilities of all states from that of two ends and that of blunt if one."""
    return {"sharp": (1 - double) * (1 - blunt), "blunt": (1 - double) * blunt, "double": double}


def _counted(possible: Consistency, tip: TipShape, ends: SecondEnds) -> TipVerdict:
    """Judge without networks: by how well a second end suits, and by what the tip proves."""
    image, pitch = possible.image, possible.pitch
    double = _logistic((likeliest(ends)[0] - _EVEN) / _SOFT)
    if double > 0.5:
        tip = with_second(tip, ends, (pitch, float(np.ptp(image))), None)
    odds = _odds(double, _logistic((SHARP - proven(image, tip, pitch)) / _SHARE))
    best: State = max(odds, key=odds.__getitem__)
    reason = f"second ends give double {double:.2f}, the fitted tip blunt {odds['blunt']:.2f}"
    if np.ptp(image) == 0 or tip.radius > 150 * pitch:
        best, reason = "unsure", "the image is too smooth to tell one tip from another"
    elif odds[best] < _DECISIVE:
        best, reason = "unsure", f"{reason}: no answer is likely enough"
    return TipVerdict(best, odds["sharp"], odds["blunt"], double, tip, reason, False)


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
