"""The tip's state by a trained network: calibrated, and silent on scans unlike those it knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from nanopilot.analysis.tip.certainty import checked
from nanopilot.analysis.tip.familiar import strangeness_of, take_known
from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.core.errors import OutOfRange
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.recipes import tip_state
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.weights import Card, fill, load_weights

#: Rows and columns that an image needs: room for a second end on both sides.
LEAST = 2 * tip_state.REACH + 2
State = Literal["sharp", "blunt", "double", "unsure"]
_STATES: tuple[State, ...] = ("sharp", "blunt", "double")


@dataclass(frozen=True, slots=True)
class LearnedState:
    """What the network says of one scan.

    Parameters
    ----------
    sharp, blunt, double : float
        Probabilities; they add up to 1.
    offset : (float, float)
        Where a second end is if there is one, (x, y) in pixels from the first.
    distance : float
        How far the scan is from those of training, in standard deviations.
    stranger : bool
        Farther than one in fifty scans of families that were held out of training, or it looks
        like none of them; see `TipStateModel.strangeness`.
    decisive : bool
        The likeliest state is likely enough to be right in nine of ten such scans.
    """

    sharp: float
    blunt: float
    double: float
    offset: tuple[float, float]
    distance: float
    stranger: bool
    decisive: bool

    @property
    def likeliest(self) -> State:
        """The likeliest of sharp, blunt and double, however close the call."""
        return max(_STATES, key=lambda name: float(getattr(self, name)))

    @property
    def state(self) -> State:
        """The likeliest; unsure of strangers and close calls."""
        return "unsure" if self.stranger or not self.decisive else self.likeliest


@dataclass(frozen=True, slots=True, eq=False)
class TipStateModel:
    """A trained network; see `load_tip_state`."""

    network: tip_state.TipStateNet
    card: Card
    mean: tip_state.Float32
    whiten: tip_state.Float32
    known: Familiarity | None = None

    def __call__(self, image: FloatArray) -> LearnedState:
        """Return the state of the tip that made an image.

        An image of more than twice as many pixels as the network sees along both axes is shrunk
        first, so that second ends are looked for farther away.

        Parameters
        ----------
        image : numpy.ndarray
            Heights in metres, shape (rows, columns), finite.

        Raises
        ------
        SignalError
            The image is no array of finite heights.
        OutOfRange
            It has fewer than `LEAST` rows or columns.
        """
        heights, _ = checked(image, np.zeros((1, 1)))
        if min(heights.shape) < LEAST:
            raise OutOfRange(
                f"`image` has {heights.shape[0]} x {heights.shape[1]} pixels; to look for a second "
                f"end it needs {LEAST} along both axes. Scan more lines."
            )
        factor = max(1, min(heights.shape) // tip_state.PIXELS)
        small = shrunk(heights, factor)
        shown = tip_state.show(small)
        answer, inner = tip_state.run(self.network, shown[None])
        numbers = self.card.metrics
        soft = (numbers["soft_double"], numbers["soft_blunt"])
        sharp, blunt, double = (float(p) for p in tip_state.probabilities(answer, soft)[0])
        row, column = tip_state.place(answer[0])
        distance = float(np.linalg.norm((inner[0] - self.mean) @ self.whiten))
        return LearnedState(
            sharp, blunt, double, (factor * column, factor * row), distance,
            stranger=distance > numbers["strange"] or not np.ptp(heights) > 0
            or strangeness_of(self.known, small) > 1,
            decisive=max(sharp, blunt, double) >= numbers["decisive"],
        )  # fmt: skip

    def strangeness(self, image: FloatArray) -> float:
        """Return how strange a scan is to the network; above 1: it says nothing.

        Parameters
        ----------
        image : numpy.ndarray
            Heights in metres, shape (rows, columns), finite.

        Raises
        ------
        SignalError
            The image is no array of finite heights.
        OutOfRange
            It has fewer than `LEAST` rows or columns.
        """
        factor = max(1, min(np.shape(image)) // tip_state.PIXELS)
        far = self(image).distance / self.card.metrics["strange"]
        return max(far, strangeness_of(self.known, shrunk(np.asarray(image), factor)))


def shrunk(image: FloatArray, factor: int) -> FloatArray:
    """Return means over factor x factor pixels; what is left over at the end is cut off."""
    rows, columns = (size // factor for size in image.shape)
    kept = image[: rows * factor, : columns * factor]
    return np.asarray(kept.reshape(rows, factor, columns, factor).mean(axis=(1, 3)))


@lru_cache(maxsize=4)
def load_tip_state(name: str = "tip-state", folder: Path | None = None) -> TipStateModel:
    """Return a shipped network for the state of a tip.

    Parameters
    ----------
    name : str
        Of its weights.
    folder : Path, optional
        Where they are, if they are one's own.

    Raises
    ------
    MissingExtra
        PyTorch or safetensors is not installed.
    UnknownName
        There are no such weights.
    ReadError
        They are weights of something else.
    """
    need_torch()
    tensors, card = load_weights(name, folder, "tip_state")
    network = tip_state.TipStateNet()
    tensors, known = take_known(tensors)
    mean, whiten = tensors.pop("stranger.mean"), tensors.pop("stranger.whiten")
    fill(network.parts, tensors)
    return TipStateModel(network, card, mean, whiten, known)
