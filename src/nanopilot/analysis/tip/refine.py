"""Below the erosion bound: what a network expects where the tip did not reach."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nanopilot.analysis.tip.certainty import contacts, misfit
from nanopilot.analysis.tip.familiar import strangeness_of, take_known
from nanopilot.analysis.tip.kernels import BoolArray, FloatArray
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.recipes.tip_refiner import Refiner, Shown, features, show
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.unet import UNetShape
from nanopilot.models.weights import Card, fill, load_weights

#: Expected error over distance below the bound, above which a network helps nobody, if its
#: card has no number for it.
_NO_HELP = 0.95
#: Share of an image's range by which it may differ, beyond noise, from one that its tip made.
_MISFIT = 0.08
#: How far beyond what training showed, in shares of its range, an image may lie.
_BEYOND = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """A surface with an expectation where there was only a bound.

    Parameters
    ----------
    height : numpy.ndarray
        Metres: the bound where it is certain, at or below it elsewhere. If not `recoverable`,
        NaN where nothing is certain.
    error : numpy.ndarray
        Expected absolute error in metres; 0 where it is certain.
    certain : numpy.ndarray of bool
        Where the surface was touched.
    recoverable : bool
        The network expects to be better than the bound.
    stranger : bool
        The image is unlike those of training; then it is not recoverable either.
    """

    height: FloatArray
    error: FloatArray
    certain: BoolArray
    recoverable: bool
    stranger: bool


@dataclass(frozen=True, slots=True, eq=False)
class TipRefiner:
    """A trained refiner; see `load_refiner`."""

    network: Refiner
    card: Card
    known: Familiarity | None = None

    def __call__(self, image: FloatArray, tip: FloatArray, slack: float) -> Refined:
        """Return the refined surface of one image.

        Parameters
        ----------
        image : numpy.ndarray
            Heights in metres, shape (rows, columns).
        tip : numpy.ndarray
            Shape of the tip in metres, given or estimated.
        slack : float
            Metres that noise makes; see `contacts`.

        Raises
        ------
        SignalError
            The image or the tip is none.
        """
        bound, certain = contacts(image, tip, slack)
        shown = show(image, bound, certain, np.asarray(tip))
        down, error = (np.where(certain, 0.0, one * shown.scale) for one in self._answer(shown))
        stranger = self._strange(shown, np.asarray(image), np.asarray(tip), bound, slack) > 1
        # Beyond this doubt it did not help on what was held out of its training.
        limit = self.card.metrics.get("help_limit", _NO_HELP)
        helps = float(error.sum()) <= limit * float(down.sum()) or bool(certain.all())
        recoverable = helps and not stranger
        height = bound - down
        if not recoverable:
            height = np.where(certain, bound, np.nan)
        return Refined(height, error, certain, recoverable, stranger)

    def _answer(self, shown: Shown) -> tuple[FloatArray, FloatArray]:
        torch = need_torch()
        _, rows, columns = shown.channels.shape
        step = UNetShape(**self.card.settings).step
        wanted = [(0, 0), (0, -rows % step), (0, -columns % step)]
        padded = np.pad(shown.channels, wanted, mode="edge")
        with torch.no_grad():
            answer = self.network(torch.from_numpy(padded[None])).numpy()[0]
        down, error = answer[:2, :rows, :columns].astype(np.float64)
        return down, error * self.card.metrics.get("error_scale", 1.0)

    def strangeness(self, image: FloatArray, tip: FloatArray, slack: float) -> float:
        """Return how strange an image is to the network, or to its tip; above 1: it is not refined.

        Parameters
        ----------
        image, tip : numpy.ndarray
            Heights in metres, as of a call.
        slack : float
            Metres that noise makes.

        Raises
        ------
        SignalError
            The image or the tip is none.
        """
        bound, certain = contacts(image, tip, slack)
        shown = show(image, bound, certain, np.asarray(tip))
        return self._strange(shown, np.asarray(image), np.asarray(tip), bound, slack)

    def _strange(
        self, shown: Shown, image: FloatArray, tip: FloatArray, bound: FloatArray, slack: float
    ) -> float:
        beyond = [misfit(image, tip, bound, slack) / _MISFIT, strangeness_of(self.known, image)]
        for name, value in features(shown).items():
            low, high = self.card.known[name]
            # Half a range and what is allowed beyond it are 1 away from the middle.
            reach = (0.5 + _BEYOND) * (high - low)
            beyond.append(abs(value - (low + high) / 2) / reach if reach else np.inf)
        return max(beyond)


def load_refiner(name: str = "tip-refiner-residual", folder: Path | None = None) -> TipRefiner:
    """Return a shipped refiner.

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
    tensors, card = load_weights(name, folder, "tip_refiner")
    tensors, known = take_known(tensors)
    network = Refiner(UNetShape(**card.settings))
    fill(network.parts, tensors)
    return TipRefiner(network, card, known)
