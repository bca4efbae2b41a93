"""The particle network: where centres are and how large, for one octave of radii at a time.

It is shown the levels of an image pyramid one by one and on each says only what is 5 to 10 pixels
in radius, so that one small network serves all sizes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Schedule
from nanopilot.models.unet import UNet, UNetShape

Array = np.ndarray[Any, np.dtype[Any]]
Float32 = np.ndarray[Any, np.dtype[np.float32]]

SHAPE = UNetShape(inputs=1, outputs=2, width=8, depth=3)
SCHEDULE = Schedule(epochs=10, batch=16, rate=3e-3, patience=6)
#: Radii in pixels of the level that count as its own, a little more than an octave, and the one
#: that the network's sizes are told in.
OWN, UNIT = (4.6, 11.0), 7.0
#: Rows and columns of a crop.
CROP = 96
#: Width of the spot at a centre over the radius (standard deviation).
_SPOT = 0.22
#: Weight of sizes in the loss.
_SIZES = 0.3


class ParticleNet:
    """A U-Net with two answers: the logit of a centre, and the size of what is round it."""

    def __init__(self, shape: UNetShape = SHAPE) -> None:
        self._inner = UNet(shape)
        self.shape = shape
        self.parts = self._inner.parts

    def __call__(self, inputs: Any) -> Any:
        """Return logits and sizes, shape (n, 2, rows, columns)."""
        return self._inner(inputs)

    def count(self) -> int:
        """Return how many parameters there are."""
        return self._inner.count()


def show(image: Array) -> Float32:
    """Bring a level to what the network is shown: middle 0, spread 1 for most of its pixels.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (rows, columns).
    """
    some = image[::2, ::2]
    middle = np.median(some)
    spread = 1.4826 * np.median(np.abs(some - middle)) or 1.0
    found: Float32 = np.clip((image - middle) / spread, -8, 8).astype(np.float32)
    return found


def targets(place: Array, radius: Array, size: int) -> Float32:
    """Return what the network has to say of a square crop.

    Parameters
    ----------
    place, radius : numpy.ndarray
        Of all particles, (row, column) in pixels of the crop, shapes (n, 2) and (n,).
    size : int
        Rows and columns of the crop.

    Returns
    -------
    numpy.ndarray
        Shape (2, size, size): spots at centres of particles of the level's own octave, and the
        binary logarithm of their radius over `UNIT` there.
    """
    found = np.zeros((2, size, size), np.float32)
    rows, columns = np.indices((size, size))
    for middle, one in zip(place, radius, strict=True):
        if not OWN[0] <= one <= OWN[1]:
            continue
        away = np.hypot(rows - middle[0], columns - middle[1])
        spot = np.exp(-0.5 * (away / (_SPOT * one)) ** 2).astype(np.float32)
        nearer = spot > found[0]
        found[0][nearer] = spot[nearer]
        found[1][nearer & (spot > 0.05)] = np.log2(one / UNIT)
    return found


def loss(answer: Any, truth: Any) -> Any:
    """Return the cross-entropy of spots, where hits weigh more, plus the error of sizes.

    Parameters
    ----------
    answer : torch.Tensor
        Logit of the spot and size, shape (n, 2, rows, columns).
    truth : torch.Tensor
        As of `targets`.
    """
    torch = need_torch()
    heat, there = truth[:, 0], (truth[:, 0] > 0.3).float()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        answer[:, 0], heat, reduction="none"
    )
    size = torch.abs(answer[:, 1] - truth[:, 1]) * there
    return (entropy * (1 + 5 * heat)).mean() + _SIZES * size.sum() / (there.sum() + 20.0)


def turn(rng: np.random.Generator, inputs: Float32, wanted: Float32) -> tuple[Float32, Float32]:
    """Turn, mirror and invert a batch: a particle is one from any side, bright or dark."""
    quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    turned = [np.rot90(one, quarters, axes=(2, 3)) for one in (inputs, wanted)]
    first, second = (one[..., ::-1] if mirrored else one for one in turned)
    sign = rng.choice(np.array([-1, 1], np.float32), size=(len(first), 1, 1, 1))
    return np.ascontiguousarray(first * sign), np.ascontiguousarray(second)
