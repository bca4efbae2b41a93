"""The tip from one scan, as networks that saw many scans expect it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.analysis.tip.blind import estimate_noise
from nanopilot.analysis.tip.certainty import checked, misfit
from nanopilot.analysis.tip.familiar import strangeness_of, take_known
from nanopilot.analysis.tip.kernels import FloatArray
from nanopilot.core.errors import OutOfRange
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.recipes.tip_predictor import (
    HALF,
    LEAST,
    SIZE,
    Float32,
    Member,
    PredictorShape,
    features,
    show,
    turned,
)
from nanopilot.models.tip_imaging import erode
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.weights import Card, fill, load_weights

#: Share of a scan's range by which it may differ, beyond noise, from one that its tip made.
_MISFIT = 0.05
#: Standard deviations of the noise that are no misfit.
_NOISE = 3.0
#: How far beyond what training showed, in shares of its range, a scan may lie.
_BEYOND = 0.05
#: The ways in which a scan is turned and mirrored.
_WAYS = tuple((quarters, mirrored) for quarters in range(4) for mirrored in (False, True))


@dataclass(frozen=True, slots=True, eq=False)
class PredictedTip:
    """A tip, how sure it is, and whether the scan was one to ask about.

    Parameters
    ----------
    shape : numpy.ndarray
        Height of the flanks above the apex in metres, shape (61, 61), apex of height 0 in the
        middle: as `nanopilot.models.tip_imaging` wants it. The tip is not known sideways: its
        apex is put in the middle.
    error : numpy.ndarray
        Expected error in metres, same shape: the spread of the networks, scaled on what was held
        out of their training.
    pitch : float
        Metres per pixel.
    relief : float
        Metres between the highest and the lowest place of the surface, as given or expected.
    stranger : bool
        The scan is unlike those of training, the networks disagree, or no such tip can have made
        it.
    """

    shape: FloatArray
    error: FloatArray
    pitch: float
    relief: float
    stranger: bool

    @property
    def radius(self) -> float:
        """Radius of curvature in metres at the apex, of the parabola within three pixels of it."""
        steps = np.arange(-HALF, HALF + 1) * self.pitch
        square = steps[:, None] ** 2 + steps**2
        near = square <= (3.01 * self.pitch) ** 2
        rise = float((self.shape * square)[near].sum())
        return float((square**2)[near].sum()) / (2 * rise) if rise > 0 else math.inf


@dataclass(frozen=True, slots=True, eq=False)
class TipPredictor:
    """Trained networks; see `load_predictor`."""

    members: tuple[Any, ...]
    card: Card
    known: Familiarity | None = None

    def __call__(
        self, image: FloatArray, pitch: float, relief: float | None = None
    ) -> PredictedTip:
        """Return the tip of one scan.

        Parameters
        ----------
        image : numpy.ndarray
            Heights in metres, shape (rows, columns), levelled; 64 x 64 at least.
        pitch : float
            Metres per pixel.
        relief : float, optional
            Metres between the highest and the lowest place of the surface, if that is known, as
            of a grating. Else it is estimated along with the tip.

        Raises
        ------
        SignalError
            The image is no array of finite heights.
        OutOfRange
            It is too small or flat, or a length is not positive.
        """
        heights, _ = checked(image, np.zeros((1, 1)))
        _refuse(heights, pitch, relief)
        shown = show(heights, estimate_noise(heights), relief)
        tip, spread, ratio = self.answer(shown.channels)
        expected = shown.scale * ratio
        shape = tip * shown.scale
        known, disagreement = self.card.known, float(np.sqrt(np.mean(spread**2))) / ratio
        told = features(shown)
        # Nothing to look at: no range of training says so clearly enough.
        outside = min(told["peaks"], told["edges"]) == 0 or any(
            not low - _BEYOND * (high - low) <= value <= high + _BEYOND * (high - low)
            for name, value in told.items()
            for low, high in [known[name]]
        )
        slack = _NOISE * estimate_noise(heights)
        off = misfit(heights, shape, np.asarray(erode(heights, shape)), slack)
        stranger = outside or disagreement > known["spread"][1] or off > _MISFIT
        stranger = stranger or strangeness_of(self.known, heights) > 1
        error = spread * shown.scale * self.card.metrics["error_scale"]
        return PredictedTip(shape, error, pitch, expected, bool(stranger))

    def answer(self, channels: Float32) -> tuple[FloatArray, FloatArray, float]:
        """Return tip, spread and relief, all in units of the scale shown.

        The mean of all members over all ways to turn and mirror the scan, turned back; the spread
        is the standard deviation of the members.

        Parameters
        ----------
        channels : numpy.ndarray
            Of `nanopilot.models.recipes.tip_predictor.Shown`.
        """
        torch = need_torch()
        batch = torch.from_numpy(np.stack([turned(channels, *way) for way in _WAYS]))
        with torch.no_grad():
            answers = np.stack([member(batch).numpy() for member in self.members])
        tips = answers[..., :-1].reshape(-1, len(_WAYS), SIZE, SIZE).astype(np.float64)
        for number, way in enumerate(_WAYS):
            tips[:, number] = _back(tips[:, number], *way)
        each = tips.mean(axis=1)
        each = np.maximum(each - each[:, HALF, HALF, None, None], 0.0)
        tip = each.mean(axis=0)
        ratio = float(np.exp(answers[..., -1].mean()))
        return tip, each.std(axis=0, ddof=min(1, len(each) - 1)), ratio

    def mean_tip(self) -> FloatArray:
        """Return the mean tip of training in units of the relief: what needs no scan."""
        mean = self.members[0].parts.mean.numpy().reshape(SIZE, SIZE).astype(np.float64)
        return np.asarray(np.maximum(mean - mean[HALF, HALF], 0.0))


def _back(tips: FloatArray, quarters: int, mirrored: bool) -> FloatArray:
    return np.asarray(turned(turned(tips, 0, mirrored), -quarters, False))


def _refuse(heights: FloatArray, pitch: float, relief: float | None) -> None:
    if min(heights.shape) < LEAST:
        raise OutOfRange(
            f"`image` has shape {heights.shape}; {LEAST} rows and columns are the least."
        )
    if not float(np.ptp(heights)) > 0:
        raise OutOfRange("`image` is flat; nothing of the tip is in it. Scan something rough.")
    for name, value in (("pitch", pitch), ("relief", relief)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise OutOfRange(f"`{name}` is {value} m; it has to be more than 0.")


def load_predictor(name: str = "tip-predictor", folder: Path | None = None) -> TipPredictor:
    """Return a shipped predictor.

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
    tensors, card = load_weights(name, folder, "tip_predictor")
    tensors, known = take_known(tensors)
    shape = PredictorShape(**card.settings)
    members = []
    for number in range(shape.members):
        member = Member(shape)
        # A number for what is a member's own; the rest is common to all.
        own = {
            key.removeprefix(f"{number}."): one
            for key, one in tensors.items()
            if not key[0].isdigit() or key.startswith(f"{number}.")
        }
        fill(member.parts, own)
        members.append(member)
    return TipPredictor(tuple(members), card, known)
