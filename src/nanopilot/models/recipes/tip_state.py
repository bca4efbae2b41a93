"""The tip's state from one scan: where a second end would sit if there was one, and how blunt.

A second end at displacement d, higher than the first by h, paints everything twice: what the first
end shows at x the second shows at x - d, lower by h. Over all displacements and all heights such
companions are counted first; the network looks at the counts and at the scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Schedule

Array = np.ndarray[Any, np.dtype[np.float64]]
Float32 = np.ndarray[Any, np.dtype[np.float32]]

#: Pixels from the first end to the farthest second end looked for.
REACH = 26
#: Bins of height drop, each a tenth of the image's range wide.
BINS = 9
BINS_PER_RANGE = 10
#: Every second displacement is kept, with the best of its neighbours.
STRIDE = 2
#: Rows and columns of the counts that the network sees.
CELLS = 2 * (REACH // STRIDE) + 1
#: Rows and columns of the scan that it sees.
PIXELS = 128
_COUNTS = 4 * BINS
#: A tip with one end is sharp where at least this share of the scan's pixels is certain.
SHARP = 0.5
#: Pixels whose companions are looked for: the most prominent convex ones.
_POINTS = 1200
#: Least height, in shares of the range, by which a companion may be missed.
_SLACK = 0.01
SCHEDULE = Schedule(epochs=12, batch=32, rate=2e-3, patience=5)


@dataclass(frozen=True, slots=True, eq=False)
class Companions:
    """How well each second end explains a scan.

    Parameters
    ----------
    twins : numpy.ndarray
        Share of prominent pixels that have a companion of equal curvature at displacement -d, so
        much lower; shape (BINS, 2 REACH + 1, 2 REACH + 1), d along rows, then columns.
    broken : numpy.ndarray
        Share of prominent pixels that contradict a second end there: they neither have a
        companion nor are one; of the same shape.
    """

    twins: Array
    broken: Array


def companions(image: Array) -> tuple[Companions, Companions]:
    """Count companions over all displacements and heights.

    A scan made by two ends {0: 0, d: h} is left alone by the opening with them, so that every x
    has I(x - d) >= I(x) - h, or I(x + d) >= I(x) + h: the opening (J. S. Villarrubia, J. Res. Natl.
    Inst. Stand. Technol. 102 (1997) 425, section 4) written out for a tip of two points.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns), both above 2 REACH.

    Returns
    -------
    Companions, Companions
        Of all prominent pixels, and of the highest quarter of them: low ones leave no trace of a
        second end that sits higher than they are.
    """
    relief = float(np.ptp(image)) or 1.0
    height = gaussian_filter((image - image.min()) / relief, 0.8)
    noise = float(np.median(np.abs(np.diff(np.diff(image, 2, 0), 2, 1)))) / 6 / 0.6745 / relief
    bend = np.maximum(2 * (gaussian_filter(height, 1.0) - gaussian_filter(height, 2.0)), 0.0)
    score = bend * np.maximum(height - gaussian_filter(height, 6.0), 0.0)
    places = np.argsort(score, axis=None, kind="stable")[::-1][:_POINTS]
    places = places[score.ravel()[places] > 0]
    places = places[np.argsort(height.ravel()[places], kind="stable")[::-1]]
    slack, few = _SLACK + 2 * noise, len(places) // 4
    high, low = (_count(height, bend, part, slack) for part in (places[:few], places[few:]))
    return _shares([one + other for one, other in zip(high, low, strict=True)]), _shares(high)


def _shares(counts: Sequence[Array]) -> Companions:
    twins, broken, seen, both = counts
    twins, broken = (np.moveaxis(one, 2, 0) for one in (twins, np.cumsum(broken, axis=2)))
    return Companions(twins / np.maximum(seen, 1), broken[:BINS] / np.maximum(both, 1))


@numba.njit(cache=True)
def _count(height: Array, bend: Array, places: Any, slack: float) -> tuple[Array, ...]:
    """Return sums of twins, steps along the bins of counts of broken, and how many were asked."""
    rows, columns = height.shape
    size = 2 * REACH + 1
    twins, steps = np.zeros((size, size, BINS)), np.zeros((size, size, BINS + 1))
    seen, both = np.zeros((size, size)), np.zeros((size, size))
    for place in places:
        i, j = place // columns, place % columns
        here, bent = height[i, j], bend[i, j]
        for u in range(max(-REACH, i - rows + 1), min(REACH, i) + 1):
            for v in range(max(-REACH, j - columns + 1), min(REACH, j) + 1):
                a, b = u + REACH, v + REACH
                seen[a, b] += 1
                drop = here - height[i - u, j - v]
                other = bend[i - u, j - v]
                k = int(max(drop, 0.0) * BINS_PER_RANGE)
                if drop > -slack and k < BINS and other > 0:
                    twins[a, b, k] += min(bent, other) / max(bent, other)
                if not (0 <= i + u < rows and 0 <= j + v < columns):
                    continue
                both[a, b] += 1
                # Broken in bin k: drop > (k + 1) / 10 + slack, and rise < k / 10 - slack.
                rise = height[i + u, j + v] - here
                first = max(0, int(np.floor((rise + slack) * BINS_PER_RANGE)) + 1)
                end = min(BINS, int(np.ceil((drop - slack) * BINS_PER_RANGE)) - 1)
                if first < end:
                    steps[a, b, first] += 1
                    steps[a, b, end] -= 1
    return twins, steps, seen, both


def show(image: Array) -> Float32:
    """Return what the network is shown of one scan, in one row.

    Parameters
    ----------
    image : numpy.ndarray
        Heights in metres, shape (rows, columns), both above 2 REACH.

    Returns
    -------
    numpy.ndarray
        float32: the counts of `companions`, thinned, of all and of the highest pixels, shape
        (4 BINS, CELLS, CELLS), then the middle of the scan without its plane in units of its range,
        shape (PIXELS, PIXELS).
    """
    near = (1, 3, 3)
    thin = (slice(None), slice(None, None, STRIDE), slice(None, None, STRIDE))
    counts = np.concatenate([
        found
        for each in companions(image)
        for found in (
            maximum_filter(each.twins, near)[thin],
            minimum_filter(each.broken, near)[thin],
        )
    ])  # fmt: skip
    scan = _middle(_levelled(image)) / (float(np.ptp(image)) or 1.0)
    return np.concatenate([counts.ravel(), scan.ravel()]).astype(np.float32)


def _levelled(image: Array) -> Array:
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in image.shape), indexing="ij")
    slopes = [np.sum(image * axis) / np.sum(axis**2) for axis in (y, x)]
    return np.asarray(image - image.mean() - slopes[0] * y - slopes[1] * x)


def _middle(image: Array) -> Array:
    """Return the middle PIXELS x PIXELS, mirrored outwards where the image is smaller."""
    wanted = [(max(0, PIXELS - size) // 2, -(-max(0, PIXELS - size) // 2)) for size in image.shape]
    padded = np.pad(image, wanted, mode="symmetric")
    top, left = ((size - PIXELS) // 2 for size in padded.shape)
    return padded[top : top + PIXELS, left : left + PIXELS]


class TipStateNet:
    """Two small branches: over displacements, and over the scan.

    Their answer is one softmax over all cells of displacement and "no second end", so that the
    place of a second end is learned with its being there; and the odds of a blunt one.
    """

    def __init__(self, width: int = 32, image_width: int = 16) -> None:
        torch = self._torch = need_torch()
        nn = torch.nn
        first, second = image_width, 2 * image_width
        self.parts = nn.ModuleDict({
            "in": nn.Conv2d(2 * _COUNTS + 1, width, 1),
            "a1": nn.Conv2d(width, width, 3, padding=1),
            "a2": nn.Conv2d(width, width, 3, padding=1),
            "b1": nn.Conv2d(width, width, 3, padding=2, dilation=2),
            "b2": nn.Conv2d(width, width, 3, padding=1),
            "where": nn.Conv2d(width, 1, 1),
            "i1": nn.Conv2d(3, first, 5, stride=2, padding=2),
            "i2": nn.Conv2d(first, first, 3, stride=2, padding=1),
            "i3": nn.Conv2d(first, first, 3, padding=1),
            "i4": nn.Conv2d(first, second, 3, stride=2, padding=1),
            "i5": nn.Conv2d(second, second, 3, padding=1),
            "mix": nn.Linear(2 * width + 2 * second + 1, 64),
            "say": nn.Linear(64, 2),
        })  # fmt: skip
        half = REACH // STRIDE
        v, u = np.mgrid[-half : half + 1, -half : half + 1] / half
        self._far = torch.from_numpy(np.hypot(u, v).astype(np.float32))[None, None]

    def __call__(self, inputs: Any) -> Any:
        """Return logits, shape (n, CELLS^2 + 2): every cell, no second end, blunt."""
        return self.both(inputs)[0]

    def both(self, inputs: Any) -> tuple[Any, Any]:
        """Return the logits, and what they were made of, shape (n, 64)."""
        torch, parts = self._torch, self.parts
        cut = _COUNTS * CELLS**2
        counts = inputs[:, :cut].reshape(-1, _COUNTS, CELLS, CELLS)
        far = self._far.to(inputs.device).expand(len(inputs), -1, -1, -1)
        x = torch.cat([counts, torch.flip(counts, (2, 3)), far], dim=1)
        relu = torch.nn.functional.leaky_relu
        x = relu(parts["in"](x))
        x = relu(x + parts["a2"](relu(parts["a1"](x))))
        x = relu(x + parts["b2"](relu(parts["b1"](x))))
        where = parts["where"](x).flatten(1)
        y = self._scan(inputs[:, cut:].reshape(-1, 1, PIXELS, PIXELS))
        best = torch.logsumexp(where, dim=1, keepdim=True)
        pooled = torch.cat([x.amax((2, 3)), x.mean((2, 3)), y, best], dim=1)
        inner = relu(parts["mix"](pooled))
        return torch.cat([where, parts["say"](inner)], dim=1), inner

    def _scan(self, scan: Any) -> Any:
        torch, parts = self._torch, self.parts
        pool, relu = torch.nn.functional.avg_pool2d, torch.nn.functional.leaky_relu
        smooth = [pool(scan, 2 * half + 1, 1, half, count_include_pad=False) for half in (1, 3)]
        # Curvature in units in which a tip as wide as a few pixels shows.
        y = torch.cat([scan, 10 * (scan - smooth[0]), 4 * (scan - smooth[1])], dim=1)
        y = relu(parts["i1"](y))
        y = relu(parts["i2"](y))
        y = relu(y + parts["i3"](y))
        y = relu(parts["i4"](y))
        y = relu(y + parts["i5"](y))
        return torch.cat([y.amax((2, 3)), y.mean((2, 3))], dim=1)

    def count(self) -> int:
        """Return how many parameters there are."""
        return sum(int(one.numel()) for one in self.parts.parameters())


def target(offset: tuple[float, float] | None, blunt: bool) -> Float32:
    """Return what the network should say, shape (CELLS^2 + 2,): shares of cells, none, blunt.

    Parameters
    ----------
    offset : (float, float), optional
        Of the second end from the first, (row, column) in pixels; None: there is none.
    blunt : bool
        Of a tip with one end; not asked of others.
    """
    truth = np.zeros(CELLS**2 + 2, dtype=np.float32)
    if offset is None:
        truth[-2:] = 1.0, float(blunt)
        return truth
    half = REACH // STRIDE
    v, u = np.mgrid[-half : half + 1, -half : half + 1] * STRIDE
    near = np.exp(-((v - offset[0]) ** 2 + (u - offset[1]) ** 2) / (2 * 1.2**2))
    truth[:-2] = (near / near.sum()).ravel()
    return truth


def loss(answer: Any, truth: Any) -> Any:
    """Return the cross-entropy of being double, of the place, and of being blunt.

    Parameters
    ----------
    answer, truth : torch.Tensor
        Shape (n, CELLS^2 + 2), see `target`.
    """
    torch = need_torch()
    functional = torch.nn.functional
    log = torch.log_softmax(answer[:, :-1], dim=1)
    none = truth[:, -2]
    doubled = log_double(answer)
    state = -(none * log[:, -1] + (1 - none) * doubled).mean()
    place = -((truth[:, :-2] * log[:, :-1]).sum(1) - (1 - none) * doubled).mean()
    blunt = functional.binary_cross_entropy_with_logits(
        answer[:, -1], truth[:, -1], reduction="none"
    )
    return state + 0.15 * place + 0.3 * (none * blunt).mean()


def log_double(answer: Any) -> Any:
    """Return the logarithm of the probability of a second end, shape (n,)."""
    torch = need_torch()
    cells, none = torch.logsumexp(answer[:, :-2], dim=1), answer[:, -2]
    return torch.nn.functional.logsigmoid(cells - none)


def turn(rng: np.random.Generator, inputs: Float32, targets: Float32) -> tuple[Float32, Float32]:
    """Turn and mirror a batch: a scan looks as likely from any side, and displacements with it."""
    quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))

    def turned(flat: Float32, size: int) -> Float32:
        one = np.rot90(flat.reshape(len(flat), -1, size, size), quarters, axes=(2, 3))
        one = one[..., ::-1] if mirrored else one
        return np.ascontiguousarray(one).reshape(len(flat), -1)

    cut = _COUNTS * CELLS**2
    shown = [turned(inputs[:, :cut], CELLS), turned(inputs[:, cut:], PIXELS)]
    said = [turned(targets[:, :-2], CELLS), targets[:, -2:]]
    return np.concatenate(shown, axis=1), np.concatenate(said, axis=1)


def odds(answer: Float32) -> tuple[Array, Array]:
    """Return the logarithms of the odds of two ends, and of a blunt one, each of shape (n,)."""
    logits = answer.astype(np.float64)
    return np.logaddexp.reduce(logits[:, :-2], axis=1) - logits[:, -2], logits[:, -1]


def probabilities(answer: Float32, softness: tuple[float, float]) -> Array:
    """Return those of sharp, blunt and double, shape (n, 3).

    Parameters
    ----------
    answer : numpy.ndarray
        Of the network, shape (n, CELLS^2 + 2).
    softness : (float, float)
        What both logarithms of odds are divided by: temperatures. C. Guo et al., Proc. Mach.
        Learn. Res. 70 (2017) 1321, equation 9.
    """
    double, blunt = (
        1 / (1 + np.exp(-np.clip(one / soft, -30, 30)))
        for one, soft in zip(odds(answer), softness, strict=True)
    )
    return np.stack([(1 - double) * (1 - blunt), (1 - double) * blunt, double], axis=1)


def place(answer: Float32) -> tuple[float, float]:
    """Return where one answer puts the second end, (row, column) in pixels from the first.

    The mean over the likeliest cell and its neighbours.
    """
    cells = answer[:-2].reshape(CELLS, CELLS).astype(np.float64)
    shares = np.pad(np.exp(cells - cells.max()), 1)
    row, column = np.unravel_index(int(np.argmax(cells)), cells.shape)
    near = shares[row : row + 3, column : column + 3]
    v, u = np.mgrid[-1:2, -1:2]
    half = REACH // STRIDE
    down, right = ((near * axis).sum() / near.sum() for axis in (v, u))
    return float(STRIDE * (row - half + down)), float(STRIDE * (column - half + right))


def run(network: TipStateNet, inputs: Float32) -> tuple[Float32, Float32]:
    """Return logits and inner values of many scans, nothing learned."""
    torch = need_torch()
    said, inner = [], []
    with torch.no_grad():
        for first in range(0, len(inputs), 64):
            one, other = network.both(torch.from_numpy(inputs[first : first + 64]))
            said.append(one.numpy())
            inner.append(other.numpy())
    return np.concatenate(said), np.concatenate(inner)
