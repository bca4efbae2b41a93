"""Grains by a trained network: how deep in its grain a pixel lies, the same from any side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.analysis.grains.poses import POSES, posed, unposed
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.frame_features import frame_features
from nanopilot.models.recipes import grains
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.unet import UNetShape
from nanopilot.models.weights import Card, fill, load_weights

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Float32 = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class GrainMaps:
    """What the network says of every pixel, shape (rows, columns) each.

    Parameters
    ----------
    depth : numpy.ndarray
        Distance to the boundary over the largest of the grain, about 0 to 1.
    boundary, grain : numpy.ndarray
        Probability that two grains, or grain and substrate, meet here; that a grain is here.
    """

    depth: FloatArray
    boundary: FloatArray
    grain: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class GrainNet:
    """A trained network; see `load_grain_net`."""

    network: grains.GrainUNet
    card: Card
    familiarity: Familiarity

    def __call__(self, level: FloatArray) -> GrainMaps:
        """Return depth, boundary and grain: the mean over the eight ways to lay the frame.

        Parameters
        ----------
        level : numpy.ndarray
            Levelled heights, grains about `grains.USUAL` pixels wide, shape (rows, columns).
        """
        shown = grains.show(level)
        total = np.zeros((3, *level.shape))
        for pose in POSES:
            total += unposed(self._answer(posed(shown, pose)), pose)
        depth, boundary, grain = total / len(POSES)
        return GrainMaps(depth, boundary, grain)

    def _answer(self, shown: Float32) -> FloatArray:
        torch = need_torch()
        _, rows, columns = shown.shape
        step = UNetShape(**self.card.settings).step
        wanted = [(0, 0), (0, -rows % step), (0, -columns % step)]
        padded = np.pad(shown, wanted, mode="symmetric" if min(rows, columns) >= step else "edge")
        with torch.no_grad(), _one_thread(torch):
            answer = self.network(torch.from_numpy(np.ascontiguousarray(padded[None])))[0]
            answer = torch.cat([answer[:1], torch.sigmoid(answer[1:])])
        found: FloatArray = answer.numpy()[:, :rows, :columns].astype(np.float64)
        return found

    def strangeness(self, level: FloatArray) -> float:
        """Return how unlike its own pictures levelled heights are; above 1: of no known kind."""
        return float(self.familiarity.strangeness(features(self.network, grains.show(level)))[0])


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    # Pictures are small: threads that wait for a busy core cost more than they save.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def features(network: grains.GrainUNet, shown: Float32) -> FloatArray:
    """Return what tells whether a picture is familiar: of the picture, and of the deepest level.

    Parameters
    ----------
    network : GrainUNet
        The network.
    shown : numpy.ndarray
        What it is shown, shape (2, rows, columns).
    """
    torch = need_torch()
    step = network.shape.step
    rows, columns = (size // step * step for size in shown.shape[1:])
    inner = np.ascontiguousarray(shown[None, :, :rows, :columns])
    with torch.no_grad(), _one_thread(torch):
        deep = network.bottleneck(torch.from_numpy(inner)).numpy()[0]
    return np.concatenate([frame_features(shown[0]), deep.astype(np.float64)])


@lru_cache(maxsize=4)
def load_grain_net(name: str = "grains", folder: Path | None = None) -> GrainNet:
    """Return a shipped network for grains.

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
        They are weights of something else, or know nothing of their own pictures.
    """
    need_torch()
    tensors, card = load_weights(name, folder, "grains")
    network = grains.GrainUNet(UNetShape(**card.settings))
    fill(network.parts, tensors)
    return GrainNet(network, card, Familiarity.from_tensors(tensors))
