"""Pictures that no network for microscopes was made for: noise, dead leaves, and photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
#: Draws a picture of a shape, (rows, columns).
Draw = Callable[[np.random.Generator, tuple[int, int]], FloatArray]

#: Photographs, drawings and print that scikit-image brings along.
PHOTOGRAPHS = (
    "astronaut", "camera", "chelsea", "clock_motion", "coffee", "motorcycle_left", "page",
    "text",
)  # fmt: skip


def white(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Return normal noise."""
    return rng.normal(size=shape)


def pink(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Return noise whose power falls with the frequency f as about 1/f."""
    return coloured(rng, shape, rng.uniform(0.8, 1.2))


def coloured(rng: np.random.Generator, shape: tuple[int, int], fall: float) -> FloatArray:
    """Return normal noise with a power of 1/f^fall, mean 0 and spread 1."""
    v, u = np.meshgrid(np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1]), indexing="ij")
    radius = np.hypot(u, v)
    radius[0, 0] = np.inf
    found = np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * radius ** (-fall / 2), shape)
    return np.asarray(found / found.std())


def shot(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Return counts of an empty field: a few in a hundred pixels, to a few per pixel."""
    return rng.poisson(np.exp(rng.uniform(np.log(0.02), np.log(3.0))), shape).astype(np.float64)


def dead_leaves(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Return discs that lie on one another, their number falling as the cube of their radius.

    A. B. Lee, D. Mumford and J. Huang, Int. J. Comput. Vis. 41 (2001) 35, section 4: so are
    sizes and edges spread in photographs. A little out of focus, with a little noise.
    """
    owner, shades = _leaves(rng, shape)
    return _taken(rng, shades[owner])


def natural(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Return dead leaves, each with a texture of its own whose power falls as 1/f², lit sideways.

    D. J. Field, J. Opt. Soc. Am. A 4 (1987) 2379: the fall of power in photographs.
    """
    owner, shades = _leaves(rng, shape)
    first, second = (coloured(rng, shape, rng.uniform(1.6, 2.4)) for _ in range(2))
    mix = rng.uniform(-1, 1, shades.size)[owner]
    picture = shades[owner] + rng.uniform(0.1, 0.3) * (mix * first + (1 - np.abs(mix)) * second)
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    slopes = rng.normal(0, 0.2, 2)
    return _taken(rng, picture * (1 + slopes[0] * y + slopes[1] * x))


def photograph(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Return a part of a photograph, a drawing or a printed page, in grey."""
    whole = _photograph(PHOTOGRAPHS[int(rng.integers(len(PHOTOGRAPHS)))])
    # What is smaller than the part asked for is mirrored outwards.
    grow = [(0, max(0, want - size)) for want, size in zip(shape, whole.shape, strict=True)]
    whole = np.pad(whole, grow, mode="symmetric")
    top, left = (
        int(rng.integers(size - want + 1)) for size, want in zip(whole.shape, shape, strict=True)
    )
    part = whole[top : top + shape[0], left : left + shape[1]]
    # An even sky says nothing; take another part.
    return part if np.ptp(part) > 0.3 * np.ptp(whole) else photograph(rng, shape)


@lru_cache(maxsize=len(PHOTOGRAPHS))
def _photograph(name: str) -> FloatArray:
    from pathlib import Path

    import skimage
    from skimage.io import imread

    found = imread(Path(skimage.__file__).parent / "data" / f"{name}.png").astype(np.float64)
    return found if found.ndim == 2 else np.asarray(found[..., :3].mean(axis=2))


def _leaves(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Any, FloatArray]:
    """Return which leaf is on top in each pixel, and the shades of the leaves."""
    least, most = 2.0, 0.4 * min(shape)
    owner = np.full(shape, -1)
    number = 0
    # Later leaves lie below earlier ones, so that it ends when nothing is bare.
    while (owner < 0).any() and number < 20_000:
        chance = rng.uniform()
        radius = (least**-2 + chance * (most**-2 - least**-2)) ** -0.5
        row, column = (rng.uniform(-radius, size + radius) for size in shape)
        low = [max(0, int(np.ceil(at - radius))) for at in (row, column)]
        high = [
            min(size, int(at + radius) + 1) for at, size in zip((row, column), shape, strict=True)
        ]
        y, x = np.ogrid[low[0] : high[0], low[1] : high[1]]
        part = owner[low[0] : high[0], low[1] : high[1]]
        part[((y - row) ** 2 + (x - column) ** 2 <= radius**2) & (part < 0)] = number
        number += 1
    return np.maximum(owner, 0), rng.uniform(size=number)


def _taken(rng: np.random.Generator, picture: FloatArray) -> FloatArray:
    """Return a picture as a camera takes it."""
    soft = gaussian_filter(picture, rng.uniform(0.3, 1.0))
    return np.asarray(soft + rng.uniform(0, 0.02) * rng.normal(size=picture.shape))


KINDS: Mapping[str, Draw] = {
    "white noise": white,
    "1/f noise": pink,
    "shot noise": shot,
    "dead leaves": dead_leaves,
    "natural texture": natural,
    "photograph": photograph,
}
