"""The refiner: how far below the erosion bound the surface lies, where the tip did not reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Schedule
from nanopilot.models.unet import UNet, UNetShape

Array = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Float32 = np.ndarray[Any, np.dtype[np.float32]]

#: Distances from the apex, in pixels, at which the network is told the tip's flank.
RINGS = (1, 2, 4, 8, 12)
SHAPE = UNetShape(inputs=4 + len(RINGS), outputs=2, width=12, depth=3)
SCHEDULE = Schedule(epochs=9, batch=8, rate=1.5e-3, patience=9)
#: Half a percent of the range: what moves less is as good as still.
_LEAST = 5e-3
#: Flanks higher than this many ranges of the image are all the same to it.
_HIGHEST = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the network is shown of one image.

    Parameters
    ----------
    channels : numpy.ndarray
        float32, shape (4 + len(RINGS), rows, columns): image, erosion, their difference,
        certainty, and flanks of the tip; heights in units of `scale`, from the image's median.
    scale : float
        Metres: range of the image.
    """

    channels: Float32
    scale: float


def show(image: Array, bound: Array, certain: Bools, tip: Array) -> Shown:
    """Bring one image to what the network is shown; one scale for all heights.

    Parameters
    ----------
    image, bound : numpy.ndarray
        Heights of the scan and of its erosion in metres, shape (rows, columns).
    certain : numpy.ndarray of bool
        Where the bound is the surface.
    tip : numpy.ndarray
        Shape of the tip in metres, apex in the middle.
    """
    scale = float(np.ptp(image)) or 1.0
    middle = float(np.median(image))
    first = [(image - middle) / scale, (bound - middle) / scale, (image - bound) / scale, certain]
    flanks = [np.full(image.shape, height) for height in _rings(tip, scale)]
    return Shown(np.stack([*first, *flanks]).astype(np.float32), scale)


def features(shown: Shown) -> dict[str, float]:
    """Return what tells whether an image is like those of training."""
    image, _, gap, certain = shown.channels[:4].astype(np.float64)
    return {
        "certain": float(certain.mean()),
        "gap": float(np.sqrt(np.mean(gap**2))),
        "middle": float(image.mean()),
        "spread": float(image.std()),
        "slope": float(np.mean(np.abs(np.diff(image, axis=1)))),
    }


class Refiner:
    """A U-Net whose answers are distances below the erosion bound, never above it.

    Distances are in units of the image's range, but the network thinks in units of how far the
    erosion moved the image: a tip that changed little is worth little correction.
    """

    def __init__(self, shape: UNetShape = SHAPE) -> None:
        self._torch = need_torch()
        self._inner = UNet(shape)
        self.parts = self._inner.parts

    def __call__(self, inputs: Any) -> Any:
        """Return distances, their expected errors and the unit, shape (n, 3, rows, columns)."""
        torch = self._torch
        unit = torch.sqrt((inputs[:, 2] ** 2).mean((1, 2), keepdim=True)) + _LEAST
        raw = self._inner(inputs)
        down = torch.nn.functional.softplus(raw[:, 0] - 1.0)
        error = torch.exp(torch.clamp(raw[:, 1] - 1.0, -4.0, 3.0))
        return torch.stack([unit * down, unit * error, unit.expand_as(down)], dim=1)

    def count(self) -> int:
        """Return how many parameters there are."""
        return self._inner.count()


def loss(answer: Any, truth: Any) -> Any:
    """Return the error relative to that of erosion, image by image, and how honest its size is.

    Parameters
    ----------
    answer : torch.Tensor
        Distances, expected errors and the image's unit, shape (n, 3, rows, columns).
    truth : torch.Tensor
        Shape (n, 2, rows, columns): true distance below the bound, and 1 where it is open.
    """
    torch = need_torch()
    down, error, unit = answer[:, 0], answer[:, 1], answer[:, 2]
    gap, is_open = truth[:, 0], truth[:, 1]
    off = (down - gap) * is_open
    pixels = (1, 2)
    # Where erosion is all but right, being worse than it counts little: there it is bounded.
    floor = (0.3 * unit[:, 0, 0]) ** 2
    relative = (off**2).mean(pixels) / ((gap**2 * is_open).mean(pixels) + floor)
    honest = torch.log(error) + torch.abs(off.detach()) / error
    honest = (honest * is_open).sum(pixels) / (is_open.sum(pixels) + 1.0)
    return torch.sqrt(relative + 1e-4).mean() + 0.02 * honest.mean()


def turn(rng: np.random.Generator, inputs: Float32, targets: Float32) -> tuple[Float32, Float32]:
    """Turn and mirror a batch: a surface looks as likely from any side."""
    quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    turned = [np.rot90(one, quarters, axes=(2, 3)) for one in (inputs, targets)]
    first, second = (one[..., ::-1] if mirrored else one for one in turned)
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


def _rings(tip: Array, scale: float) -> list[float]:
    rows, columns = (size // 2 for size in tip.shape)
    v, u = np.mgrid[-rows : rows + 1, -columns : columns + 1]
    distance = np.hypot(u, v)
    heights = np.minimum(tip / scale, _HIGHEST)
    found = []
    for ring in RINGS:
        on = np.abs(distance - ring) < 0.75
        found.append(float(heights[on].mean()) if on.any() else _HIGHEST)
    return found
