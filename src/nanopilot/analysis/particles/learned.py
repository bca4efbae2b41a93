"""What a network adds: where it sees centres, and whether it knows this kind of frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter

from nanopilot.analysis.particles.candidates import Candidates, candidates
from nanopilot.analysis.particles.probability import Judge
from nanopilot.analysis.particles.responses import Array, pyramid
from nanopilot.core.signals import Signal
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.frame_features import frame_features
from nanopilot.models.recipes.particles import UNIT, ParticleNet, show
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.unet import UNetShape
from nanopilot.models.weights import fill, load_weights

#: Of the shipped weights.
NAME = "particles"
#: What the network adds to the features of a candidate: what it says of a centre there, one
#: level finer, on its own level and one coarser, and of its radius.
SEEN = ("centre, finer level", "centre", "centre, coarser level", "radius", "radius, absolute")
#: Rows and columns that the network looks at in one go, and what neighbours share.
_AT_ONCE, _SHARED = 512, 32
#: Where there is no level, it sees nothing: a logit.
_NOTHING = -8.0
#: Rows and columns of a frame that tell whether it is known.
_ENOUGH = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Network, probabilities with what it says, and what it knows; see `load_learned`."""

    network: ParticleNet
    judge: Judge
    known: Familiarity

    def strangeness(self, image: Array) -> float:
        """Return how strange a frame is to the network; above 1: do not rely on it.

        Parameters
        ----------
        image : numpy.ndarray
            Shape (rows, columns), 32 or more of each.
        """
        first = [max(0, (size - _ENOUGH) // 2) for size in image.shape]
        part = np.asarray(image[first[0] :, first[1] :][:_ENOUGH, :_ENOUGH], dtype=np.float64)
        return float(self.known.strangeness(frame_features(part))[0])

    def look(self, smallest: float, largest: float) -> Any:
        """Return what looks at one piece of a frame, for radii in pixels; see `tiles.Look`."""

        def look(piece: Array) -> tuple[Candidates, Array]:
            found = candidates(piece, smallest, largest)
            return found, self.judge(seen(self.network, piece, found))

        return look


def seen(network: ParticleNet, image: Array, found: Candidates) -> Array:
    """Return the features of candidates with what the network says of them.

    Parameters
    ----------
    network : ParticleNet
        Trained.
    image : numpy.ndarray
        Shape (rows, columns).
    found : Candidates
        Of this image.

    Returns
    -------
    numpy.ndarray
        Shape (n, len(NAMES) + len(SEEN)).
    """
    own = np.rint(np.log2(np.maximum(found.radius, 1) / UNIT)).astype(int)
    own = np.maximum(own, 0)
    values = np.asarray(image, dtype=np.float32)
    stack = pyramid(values - np.float32(np.median(values[::4, ::4])), int(own.max(initial=0)) + 1)
    told = np.full((len(own), 3), _NOTHING)
    size = np.zeros(len(own))
    for level, one in enumerate(stack):
        near = np.abs(own - level) <= 1
        if not near.any():
            continue
        heat, radius = _answer(network, show(one))
        heat = maximum_filter(heat, size=3)
        place = np.rint((found.place[near] + 0.5) / 2**level - 0.5).astype(int)
        rows, columns = (np.clip(place[:, k], 0, one.shape[k] - 1) for k in range(2))
        told[np.flatnonzero(near), 1 + level - own[near]] = heat[rows, columns]
        mine = own[near] == level
        guess = radius[rows[mine], columns[mine]] + level
        at = np.flatnonzero(near)[mine]
        size[at] = guess - np.log2(found.radius[at] / UNIT)
    size = np.clip(size, -2, 2)
    return np.concatenate([found.features, told, size[:, None], np.abs(size)[:, None]], axis=1)


def _answer(network: ParticleNet, image: Array) -> tuple[Array, Array]:
    """Return logits of centres and binary logarithms of radii, shape of the image each."""
    from nanopilot.analysis.tiling import blend

    torch, step = need_torch(), network.shape.step
    out = np.zeros((2, *image.shape), np.float32)

    def operate(piece: Array) -> Array:
        rows, columns = piece.shape
        padded = np.pad(piece, ((0, -rows % step), (0, -columns % step)), mode="edge")
        with torch.no_grad():
            answer = network(torch.from_numpy(np.ascontiguousarray(padded)[None, None]))
        found: Array = answer.numpy()[0, :, :rows, :columns]
        return found

    blend(image, operate, out, size=_AT_ONCE, overlap=_SHARED)
    return out[0], out[1]


@cache
def load_learned(name: str = NAME, folder: Path | None = None) -> Learned:
    """Return the shipped network with its probabilities.

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
    Tampered
        They are not those of their card.
    """
    need_torch()
    tensors, card = load_weights(name, folder, recipe="particles")
    network = ParticleNet(UNetShape(**card.settings))
    fill(network.parts, tensors)
    return Learned(network, judge_of(tensors), Familiarity.from_tensors(tensors))


def judge_tensors(judge: Judge) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return what travels with the weights of the network."""
    return {f"judge.{name}": getattr(judge, name).astype(np.float32) for name in Judge.FIELDS}


def judge_of(tensors: dict[str, Any]) -> Judge:
    """Rebuild from `judge_tensors`."""
    return Judge(*(np.asarray(tensors[f"judge.{name}"], np.float64) for name in Judge.FIELDS))


def strangeness(frame: Signal) -> float:
    """Return how strange a frame is to the shipped network; above 1: it abstains.

    The network looks at all sizes in pixels, so the size of a pixel plays no part.

    Parameters
    ----------
    frame : Signal
        Dims (y, x), 32 or more rows and columns.

    Raises
    ------
    MissingExtra
        PyTorch or safetensors is not installed.
    """
    return load_learned().strangeness(frame.transpose("y", "x").to_numpy())
