"""Grains by a network: how deep inside its grain every pixel lies, and where two grains meet."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum

from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Schedule
from nanopilot.models.unet import UNet, UNetShape

Array = np.ndarray[Any, np.dtype[np.float64]]
Float32 = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

#: Channels shown: levelled heights, and the same without what is smooth over `COARSE` pixels.
#: Channels answered: depth, boundary (logit), grain (logit).
SHAPE = UNetShape(inputs=2, outputs=3, width=12, depth=3)
SCHEDULE = Schedule(epochs=9, batch=8, rate=2e-3, patience=6)
#: Pixels across a grain of usual size when the network looks at it, and what it knows.
USUAL, LEAST, MOST = 16.0, 8.0, 32.0
COARSE = 8.0
#: Heights beyond so many standard deviations are all the same to it.
_BEYOND = 4.0


def show(level: Array) -> Float32:
    """Return what the network is shown of levelled heights, shape (2, rows, columns).

    Parameters
    ----------
    level : numpy.ndarray
        Levelled heights in any unit, shape (rows, columns), about `USUAL` pixels a grain.
    """
    fine = level - gaussian_filter(level, COARSE, mode="nearest")
    both = [_scaled(level), _scaled(fine)]
    return np.stack(both).astype(np.float32)


def _scaled(values: Array) -> Array:
    values = values - np.median(values)
    size = float(values.std())
    scaled = values / size if size > 0 else values
    return np.clip(scaled, -_BEYOND, _BEYOND)


def target(labels: Ints, inner: tuple[slice, slice]) -> Float32:
    """Return what the network should answer, shape (3, rows, columns).

    Parameters
    ----------
    labels : numpy.ndarray
        Number of the grain of every pixel, 0 for substrate; wider than what is shown.
    inner : (slice, slice)
        What is shown.

    Returns
    -------
    numpy.ndarray
        Distance to the boundary of the grain over the largest such distance in it; 1 where two
        labels meet; 1 where a grain is.
    """
    edge = meeting(labels)
    depth = np.asarray(distance_transform_edt(~edge))[inner]
    seen = labels[inner]
    deepest = np.asarray(maximum(depth, seen, np.arange(int(labels.max()) + 1)))
    share = np.where(seen > 0, depth / np.maximum(deepest[seen], 1.0), 0.0)
    return np.stack([share, edge[inner], seen > 0]).astype(np.float32)


def meeting(labels: Ints) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell where a pixel has a neighbour, above, below or beside it, of another label."""
    edge = np.zeros(labels.shape, dtype=bool)
    for near, far in (
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        other = labels[near] != labels[far]
        edge[near] |= other
        edge[far] |= other
    return edge


class GrainUNet:
    """A U-Net that is told nothing but the picture; its tensors are in `parts`."""

    def __init__(self, shape: UNetShape = SHAPE) -> None:
        self._inner = UNet(shape)
        self.shape = shape
        self.parts = self._inner.parts

    def __call__(self, inputs: Any) -> Any:
        """Return depth, and logits of boundary and grain, shape (n, 3, rows, columns)."""
        return self._inner(inputs)

    def bottleneck(self, inputs: Any) -> Any:
        """Return what the deepest level makes of pictures, as of `UNet.bottleneck`."""
        return self._inner.bottleneck(inputs)


def loss(answer: Any, truth: Any) -> Any:
    """Return the error of the depth, and how unlikely boundaries and grains were made.

    Parameters
    ----------
    answer, truth : torch.Tensor
        Depth, boundary and grain, shape (n, 3, rows, columns); of the answer the last two are
        logits.
    """
    unlikely = need_torch().nn.functional.binary_cross_entropy_with_logits
    depth = (answer[:, 0] - truth[:, 0]).abs().mean()
    boundary, grain = (unlikely(answer[:, k], truth[:, k]) for k in (1, 2))
    return 2 * depth + boundary + 0.5 * grain


def turn(rng: np.random.Generator, inputs: Float32, targets: Float32) -> tuple[Float32, Float32]:
    """Turn and mirror a batch: a surface looks as likely from any side."""
    quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    turned = [np.rot90(one, quarters, axes=(2, 3)) for one in (inputs, targets)]
    first, second = (one[..., ::-1] if mirrored else one for one in turned)
    return np.ascontiguousarray(first), np.ascontiguousarray(second)
