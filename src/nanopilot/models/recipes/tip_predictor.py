"""The tip predictor: what all sharp places of a scan have in common is the tip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_laplace, maximum_filter

from nanopilot.core.errors import OutOfRange
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Schedule

Array = np.ndarray[Any, np.dtype[np.float64]]
Float32 = np.ndarray[Any, np.dtype[np.float32]]

#: Pixels from the apex to the edge of the tip.
HALF = 30
SIZE = 2 * HALF + 1
#: Every second displacement is shown.
STRIDE = 2
CELLS = SIZE // STRIDE + 1
#: Least rows and columns of a scan.
LEAST = 64
#: Places of each kind that are looked at, at most.
_PLACES = 120
#: Of the drops around all places: from the largest to the smallest.
_QUANTILES = (1.0, 0.9, 0.75, 0.5, 0.25, 0.0)
#: Pixels over which noise is taken out before places are chosen.
_SMOOTH = 1.0
#: Maps in the coordinates of the tip, and numbers.
MAPS = 2 * len(_QUANTILES) + 3
NUMBERS = ("known", "range", "noise", "peaks", "edges", "sharpest")
SCHEDULE = Schedule(epochs=10, batch=32, rate=1.5e-3, patience=10)


@dataclass(frozen=True, slots=True)
class PredictorShape:
    """What the ensemble is built of.

    Parameters
    ----------
    members : int
        Networks that are trained one by one.
    modes : int
        Shapes that a tip is the mean tip plus a sum of.
    hidden : int
        Numbers between maps and modes.
    """

    members: int = 3
    modes: int = 28
    hidden: int = 80

    def __post_init__(self) -> None:
        for name in ("members", "modes", "hidden"):
            if getattr(self, name) < 1:
                raise OutOfRange(f"`{name}` is {getattr(self, name)}; it has to be 1 or more.")


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a network is shown of one scan.

    Parameters
    ----------
    channels : numpy.ndarray
        float32, shape (MAPS + len(NUMBERS), CELLS, CELLS), in the coordinates of the tip; heights
        in units of `scale`. Maps: drops around peaks and around convex places, each sorted;
        autocorrelation of the heights and of their convexity; distance from the apex. Numbers,
        the same everywhere: 1 if the relief is known, the logarithms of range over `scale` and of
        the noise, how many places there are of each kind, and how convex the sharpest are.
    scale : float
        Metres: the relief of the surface if it is known, else the range of the scan.
    """

    channels: Float32
    scale: float


def show(image: Array, noise: float, relief: float | None = None) -> Shown:
    """Bring a scan to what a network is shown.

    Around a place that the tip's apex touched, the image falls no faster than the tip rises:
    I(p) - I(p - v) <= t(v), with equality where the place is sharp. J. S. Villarrubia, J. Res.
    Natl. Inst. Stand. Technol. 102 (1997) 425, section 6. So the drops around many places, sorted
    at every displacement, are maps in the coordinates of the tip.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns), both at least `LEAST`.
    noise : float
        Standard deviation in metres.
    relief : float, optional
        Metres between the highest and the lowest place of the surface.
    """
    given = np.asarray(image, dtype=np.float64)
    scale = relief or float(np.ptp(gaussian_filter(given, _SMOOTH))) or 1.0
    heights = (given - given.max()) / scale
    smooth = gaussian_filter(heights, _SMOOTH)
    convex = -gaussian_laplace(heights, 1.5)
    peaks = _places(smooth, smooth == maximum_filter(smooth, 7))
    edges = _places(convex, (convex == maximum_filter(convex, 5)) & (convex > 0))
    padded = np.pad(smooth, HALF, constant_values=np.nan)
    maps = [*_drops(padded, peaks), *_drops(padded, edges)]
    maps += [_correlation(smooth), _correlation(np.maximum(convex, 0.0))]
    steps = np.linspace(-1.0, 1.0, CELLS)
    maps.append(np.hypot(steps[:, None], steps))
    sharpest = float(np.sort(convex[tuple(edges.T)])[-10:].mean()) if len(edges) else 0.0
    numbers = (
        float(relief is not None),
        math.log(max(float(np.ptp(smooth)), 1e-3)),
        math.log10(max(noise / scale, 1e-4)) / 4,
        len(peaks) / _PLACES,
        len(edges) / _PLACES,
        math.log10(max(sharpest, 1e-5)),
    )
    flat = [np.full((CELLS, CELLS), number) for number in numbers]
    return Shown(np.stack([*maps, *flat]).astype(np.float32), scale)


def features(shown: Shown) -> dict[str, float]:
    """Return what tells whether a scan is like those of training."""
    maps, numbers = shown.channels[:MAPS], shown.channels[MAPS:, 0, 0]
    near = slice(CELLS // 2 - 2, CELLS // 2 + 3)
    return {
        **{name: float(one) for name, one in zip(NUMBERS[1:], numbers[1:], strict=True)},
        "largest drop": float(maps[0].mean()),
        "middle drop": float(maps[3].mean()),
        "smallest drop": float(maps[5].mean()),
        "drop nearby": float(maps[3][near, near].mean()),
        "likeness nearby": float(maps[-3][near, near].mean()),
    }


def turned(inputs: Any, quarters: int, mirrored: bool) -> Any:
    """Return arrays turned by right angles, and mirrored; the last two axes are y and x."""
    found = np.rot90(inputs, quarters, axes=(-2, -1))
    return np.ascontiguousarray(found[..., ::-1] if mirrored else found)


def turn(rng: np.random.Generator, inputs: Float32, targets: Float32) -> tuple[Float32, Float32]:
    """Turn and mirror a batch: a tip looks as likely from any side."""
    way = int(rng.integers(4)), bool(rng.integers(2))
    tips = turned(targets[:, :-1].reshape(-1, SIZE, SIZE), *way).reshape(len(targets), -1)
    return turned(inputs, *way), np.concatenate([tips, targets[:, -1:]], axis=1)


class Member:
    """A small convolutional network from maps to a tip; its tensors are in `parts`.

    Parameters
    ----------
    shape : PredictorShape
        What it is built of.
    """

    def __init__(self, shape: PredictorShape = PredictorShape()) -> None:
        torch = need_torch()
        nn = torch.nn
        self._torch, self._shape = torch, shape
        last = nn.Linear(shape.hidden, shape.modes + 1)
        # It begins with the mean tip.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        cells = (CELLS + 3) // 4
        self.parts = nn.ModuleDict(
            {
                "first": nn.Conv2d(MAPS, 20, 3, padding=1),
                "second": nn.Conv2d(20, 32, 3, 2, 1),
                "third": nn.Conv2d(32, 40, 3, 2, 1),
                "hidden": nn.Linear(40 * cells**2 + len(NUMBERS), shape.hidden),
                "last": last,
            }
        )
        channels = MAPS + len(NUMBERS)
        for name, size in (("mean", (SIZE**2,)), ("basis", (shape.modes, SIZE**2)),
                           ("centre", (channels, 1, 1)), ("spread", (channels, 1, 1))):  # fmt: skip
            self.parts.register_buffer(name, torch.zeros(size))

    def __call__(self, inputs: Any) -> Any:
        """Return tips in units of the scale shown, and logarithms of relief over scale.

        Shape (n, SIZE * SIZE + 1).
        """
        torch, parts = self._torch, self.parts
        functional = torch.nn.functional
        known = inputs[:, MAPS, 0, 0]
        x = (inputs - parts.centre) / parts.spread
        numbers = x[:, MAPS:, 0, 0]
        x = x[:, :MAPS]
        for name in ("first", "second", "third"):
            x = functional.leaky_relu(parts[name](x), 0.1)
        x = functional.dropout(torch.cat([x.flatten(1), numbers], 1), 0.1, parts.training)
        x = functional.dropout(functional.leaky_relu(parts["hidden"](x), 0.1), 0.1, parts.training)
        x = parts["last"](x)
        # Relief over range is unknown if the relief is; the tip is learned in units of it.
        ratio = torch.clamp(x[:, -1], -1.0, 5.0) * (1 - known)
        tip = (parts.mean + x[:, :-1] @ parts.basis) * torch.exp(ratio)[:, None]
        return torch.cat([tip, ratio[:, None]], 1)


def loss(answer: Any, truth: Any) -> Any:
    """Return the root-mean-square error in units of the relief, scan by scan; heights up to 1.

    Parameters
    ----------
    answer : torch.Tensor
        Of a `Member`.
    truth : torch.Tensor
        Shape (n, SIZE * SIZE + 1): the tip in units of the relief, and scale over relief.
    """
    torch = need_torch()
    scale = truth[:, -1:]
    off = torch.clamp(answer[:, :-1] * scale, 0.0, 1.0) - truth[:, :-1]
    ratio = torch.nn.functional.smooth_l1_loss(answer[:, -1], -torch.log(scale[:, 0]))
    # Where the scan shows little of the tip, being wrong must not outweigh all the others.
    return torch.sqrt((off**2).mean(1) + 1e-3).mean() + 0.01 * ratio


def _places(value: Array, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> Any:
    """Return rows and columns of the chosen places with the largest values, edge excluded."""
    inside = np.zeros_like(chosen)
    inside[2:-2, 2:-2] = chosen[2:-2, 2:-2]
    found = np.argwhere(inside)
    order = np.argsort(-value[tuple(found.T)], kind="stable")
    if order.size > _PLACES:
        # Half of them the largest, the others spread over the rest.
        rest = np.linspace(_PLACES // 2, order.size - 1, _PLACES - _PLACES // 2).astype(int)
        order = np.concatenate([order[: _PLACES // 2], order[rest]])
    return found[order]


def _drops(padded: Array, places: Any) -> list[Array]:
    """Return sorted drops around places in the coordinates of the tip; 0 where nothing is known."""
    if not len(places):
        return [np.zeros((CELLS, CELLS))] * len(_QUANTILES)
    patches = np.lib.stride_tricks.sliding_window_view(padded, (SIZE, SIZE))
    # At p - v stands what the flank at v did.
    around = patches[places[:, 0], places[:, 1], ::-STRIDE, ::-STRIDE]
    middle = CELLS // 2
    drops = np.sort(around[:, middle, middle, None, None] - around, axis=0)  # NaN goes last
    count = np.isfinite(drops).sum(axis=0)
    rows = [np.round(q * np.maximum(count - 1, 0)).astype(int) for q in _QUANTILES]
    found = np.take_along_axis(drops, np.stack(rows), axis=0)
    return list(np.clip(np.nan_to_num(found), -1.0, 1.2))


def _correlation(values: Array) -> Array:
    """Return the autocorrelation, 1 in the middle; the edge meets nothing."""
    centred = values - values.mean()
    size = [length + HALF for length in values.shape]
    power = np.abs(np.fft.rfft2(centred, size)) ** 2
    full = np.fft.irfft2(power, size)
    lags = np.arange(-HALF, HALF + 1, STRIDE)
    pairs = [length - np.abs(lags) for length in values.shape]
    near = full[np.ix_(lags % size[0], lags % size[1])] / np.outer(*pairs)
    return np.asarray(near / max(float(near[CELLS // 2, CELLS // 2]), 1e-12))
