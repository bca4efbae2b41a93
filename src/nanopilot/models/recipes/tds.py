"""The network that corrects an estimate of diffuse scattering, and what it is told off for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.tds.coherent import COARSE
from nanopilot.models.tds.shown import FEATURES, Shown
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Schedule

Float32 = np.ndarray[Any, np.dtype[np.float32]]
FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Planes of `pack`: patterns, where the first two are known, and numbers in the first row.
PLANES = ("elastic", "mean", "once", "nuclei", "known", "numbers")
SCHEDULE = Schedule(epochs=18, batch=16, rate=2e-3, patience=18)
#: Radians between rings that the loss looks at.
EDGES = (0.0, 10e-3, 20e-3, 30e-3, 40e-3, 50e-3, 60e-3, 70e-3, 80e-3, 95e-3, 110e-3, 130e-3,
         150e-3, 175e-3, 200e-3)  # fmt: skip
#: Of rings and of the sum, in the loss, beside that of pixels.
_RINGS, _SUM = 0.5, 3.0
#: What is added before logarithms, a fraction of the beam per pixel.
_LEAST = 1e-8


@dataclass(frozen=True, slots=True)
class TdsShape:
    """What the ensemble is built of.

    Parameters
    ----------
    members : int
        Networks that are trained one by one.
    width : int
        Channels of the first level; the second has twice, the third three times as many.
    hidden : int
        Numbers between those that describe a pattern and what they do to channels.
    """

    members: int = 2
    width: int = 16
    hidden: int = 32

    def __post_init__(self) -> None:
        for name in ("members", "width", "hidden"):
            if getattr(self, name) < 1:
                raise OutOfRange(f"`{name}` is {getattr(self, name)}; it has to be 1 or more.")


def pack(shown: Shown, known: float = 1.0) -> Float32:
    """Return the planes of one place, float32, shape (len(PLANES), 64, 64).

    Parameters
    ----------
    shown : Shown
        The place.
    known : float
        Radians up to which patterns of atoms at rest and of the mean wave are known.
    """
    size = COARSE.pixels
    planes = np.zeros((len(PLANES), size, size), dtype=np.float32)
    planes[0], planes[1], planes[2:4] = shown.elastic, shown.mean, shown.once
    planes[4] = 1.0
    planes[5, 0, : len(FEATURES)] = shown.numbers
    planes[5, 1, 0] = shown.lost
    return hide(planes, known)


def hide(planes: Float32, known: float) -> Float32:
    """Return the planes without the elastic pattern beyond a square of `known` rad."""
    angle = np.abs(np.arange(COARSE.pixels) - COARSE.pixels // 2) * COARSE.per_pixel
    inside = (np.maximum(angle[:, None], angle) <= known).astype(np.float32)
    found = planes.copy()
    found[[0, 4]] *= inside
    return found


def turn(rng: np.random.Generator, inputs: Float32, targets: Float32) -> tuple[Float32, Float32]:
    """Turn and mirror a batch, and hide the outer part of some elastic patterns."""
    quarters, flip = int(rng.integers(4)), bool(rng.integers(2))
    x = np.concatenate([turned(inputs[:, :-1], quarters, flip), inputs[:, -1:]], axis=1)
    for one in np.flatnonzero(rng.uniform(size=len(x)) < 0.5):
        x[one] = hide(x[one], float(rng.uniform(50e-3, COARSE.reach)))
    return x, turned(targets, quarters, flip)


def turned(images: Any, quarters: int, flip: bool) -> Any:
    """Turn images about pixel (size // 2, size // 2), the middle of the detector."""
    found = images
    for _ in range(quarters):
        found = np.roll(np.flip(np.swapaxes(found, -1, -2), -1), 1, -1)
    return np.ascontiguousarray(np.roll(np.flip(found, -1), 1, -1) if flip else found)


class Member:
    """One network: the logarithm by which the estimate is off, and how much leaves the detector.

    What the mean wave lost is shared out: none is made, none is lost but beyond the detector.

    Parameters
    ----------
    shape : TdsShape
        Widths.
    """

    def __init__(self, shape: TdsShape) -> None:
        self._torch = torch = need_torch()
        nn, wide = torch.nn, shape.width
        widths = (wide, 2 * wide, 3 * wide)
        parts: dict[str, Any] = {"first": nn.Conv2d(8, wide, 3, padding=1)}
        for level, width in enumerate(widths):
            before = widths[max(level - 1, 0)]
            parts[f"down{level}a"] = nn.Conv2d(before, width, 3, padding=1)
            parts[f"down{level}b"] = nn.Conv2d(width, width, 3, padding=1)
            parts[f"film{level}"] = nn.Linear(shape.hidden, 2 * width)
        for level in (1, 0):
            parts[f"up{level}"] = nn.Conv2d(widths[level + 1] + widths[level], widths[level], 3,
                                            padding=1)  # fmt: skip
        parts["last"] = nn.Conv2d(wide, 1, 1)
        parts["numbers"] = nn.Sequential(
            nn.Linear(len(FEATURES), shape.hidden), nn.SiLU(),
            nn.Linear(shape.hidden, shape.hidden), nn.SiLU(),
        )  # fmt: skip
        parts["share"] = nn.Linear(shape.hidden, 1)
        for name in ("last", "share"):
            nn.init.zeros_(parts[name].weight)
            nn.init.zeros_(parts[name].bias)
        self.parts: Any = nn.ModuleDict(parts)
        self.parts.register_buffer("centre", torch.zeros(len(FEATURES)))
        self.parts.register_buffer("spread", torch.ones(len(FEATURES)))
        self._rings = [torch.from_numpy(one) for one in _positions()]

    def __call__(self, planes: Any) -> Any:
        """Return patterns, shape (n, 1, 64, 64), of planes as `pack` makes them."""
        mean, once = planes[:, 1], planes[:, 2]
        lost = planes[:, 5, 1, 0]
        gain, share = self._correction(planes)
        weight = once * self._torch.exp(gain)
        total = once.sum((1, 2))
        inside = (total / lost.clamp_min(1e-12)).clamp(1e-4, 0.9999)
        part = self._torch.sigmoid(self._torch.logit(inside) + share) * lost
        # What is next to nothing has no sum to be scaled to.
        scale = part / weight.sum((1, 2)).clamp_min(1e-12)
        return (mean + weight * scale[:, None, None])[:, None]

    def _correction(self, planes: Any) -> tuple[Any, Any]:
        """Return the logarithm of the gain of pixels, and the logit of what stays inside."""
        torch = self._torch
        functional = torch.nn.functional
        numbers = (planes[:, 5, 0, : len(FEATURES)] - self.parts.centre) / self.parts.spread
        told = self.parts["numbers"](numbers.clamp(-4, 4))
        x = functional.silu(self.parts["first"](self._pictures(planes)))
        kept = []
        for level in range(3):
            if level:
                x = functional.avg_pool2d(x, 2)
            x = functional.silu(self.parts[f"down{level}a"](x))
            times, plus = self.parts[f"film{level}"](told)[..., None, None].chunk(2, dim=1)
            x = functional.silu(self.parts[f"down{level}b"](x) * (1 + times) + plus)
            kept.append(x)
        for level in (1, 0):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = functional.silu(self.parts[f"up{level}"](torch.cat([x, kept[level]], dim=1)))
        gain = functional.interpolate(
            self.parts["last"](x), scale_factor=2, mode="bilinear", align_corners=False
        )
        return gain[:, 0].clamp(-3, 3), self.parts["share"](told)[:, 0]

    def _pictures(self, planes: Any) -> Any:
        torch = self._torch
        logs = (torch.log10(planes[:, :4] + _LEAST) + 5) / 2
        logs = torch.cat([logs[:, :2] * planes[:, 4:5], logs[:, 2:]], dim=1)
        more = logs[:, 3:4] - logs[:, 2:3]
        where = torch.stack(self._rings)[None].expand(len(planes), -1, -1, -1)
        pictures = torch.cat([logs, more, planes[:, 4:5], where.to(planes)], dim=1)
        return torch.nn.functional.avg_pool2d(pictures, 2)

    def count(self) -> int:
        """Return how many parameters there are."""
        return sum(int(one.numel()) for one in self.parts.parameters())


def _positions() -> list[Float32]:
    """Return pictures of the angle: even, and drawn out where it is small."""
    away = angle_of_pixels().astype(np.float32) / np.float32(0.2)
    return [away, np.exp(-away / np.float32(0.15))]


def angle_of_pixels() -> FloatArray:
    """Return the angle of every pixel of `COARSE` in radians."""
    along = (np.arange(COARSE.pixels) - COARSE.pixels // 2) * COARSE.per_pixel
    return np.asarray(np.hypot(along[:, None], along))


def rings() -> Float32:
    """Return which pixels are in which ring between `EDGES`, shape (rings, 64 * 64)."""
    angle = angle_of_pixels().ravel()
    return np.stack([
        (angle >= low) & (angle < high) for low, high in pairwise(EDGES)
    ]).astype(np.float32)  # fmt: skip


def disc() -> FloatArray:
    """Return 1 on pixels within the last of `EDGES`: multislice has nothing in the corners."""
    return np.asarray(angle_of_pixels() < EDGES[-1], dtype=np.float64)


def loss(predicted: Any, true: Any) -> Any:
    """Return what it is told off for: pixels, rings, and the sum.

    Of pixels it is the R-factor, of roots, in which noise of counting is alike; of rings the
    logarithm, so that high angles count as much as the disc; of sums the relative error.
    """
    torch = need_torch()
    seen = torch.from_numpy(disc().ravel()).to(predicted)
    found, truth = predicted.clamp_min(0).flatten(1) * seen, true.flatten(1) * seen
    roots = torch.sqrt(truth + 1e-12)
    pixels = (torch.sqrt(found + 1e-12) - roots).abs().sum(1) / roots.sum(1)
    which = torch.from_numpy(rings()).to(found).T
    by_ring = (torch.log(found @ which + 1e-7) - torch.log(truth @ which + 1e-7)).abs().mean(1)
    total = (found.sum(1) / truth.sum(1) - 1).abs()
    return (pixels + _RINGS * by_ring + _SUM * total).mean()
