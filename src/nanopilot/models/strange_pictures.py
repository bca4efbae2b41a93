"""Pictures for a network to be told of as none of its own: drawn ones, and its own, spoilt.

To have seen some outliers tells others from one's own, too (D. Hendrycks, M. Mazeika and T.
Dietterich, arXiv 1812.04606): see `nanopilot.models.familiarity.Familiarity.learn`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from nanopilot.core.errors import OutOfRange, UnknownName
from nanopilot.models.frame_features import WINDOW

Array = np.ndarray[Any, np.dtype[np.float64]]
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]
Spoil = Callable[[np.random.Generator, Array], Array]

#: Times by which a wrong pixel size is wrong.
_TIMES = (2.6, 7.0)


def strange_pictures(
    own: Sequence[Array],
    count: int,
    rng: np.random.Generator,
    without: Sequence[str] = (),
    shape: tuple[int, int] = (WINDOW, WINDOW),
) -> list[Array]:
    """Return strange pictures, all kinds in turn.

    Parameters
    ----------
    own : sequence of numpy.ndarray
        Own pictures at the network's pixel size, shape (rows, columns) each; some are spoilt.
    count : int
        How many to return.
    rng : numpy.random.Generator
        Everything.
    without : sequence of str
        Kinds of `DRAWN` and `SPOILT` that are one's own, such as ``lattice`` where atoms are, or
        ``inverted`` where both signs are.
    shape : (int, int)
        Rows and columns of those that are drawn.

    Raises
    ------
    UnknownName
        There is no such kind.
    OutOfRange
        There is no own picture.
    """
    kinds = (*DRAWN, *SPOILT)
    for name in without:
        if name not in kinds:
            raise UnknownName("without", name, kinds)
    if not len(own):
        raise OutOfRange("`own` is empty; give own pictures at the network's pixel size.")
    names = [name for name in kinds if name not in without]
    found = []
    for number in range(count):
        name = names[number % len(names)]
        if name in DRAWN:
            found.append(DRAWN[name](rng, shape))
        else:
            picture = np.asarray(own[int(rng.integers(len(own)))], dtype=np.float64)
            found.append(SPOILT[name](rng, picture))
    return found


def _coloured(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return noise of any colour, now and then of two, or of one along lines."""
    v, u = np.meshgrid(np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1]), indexing="ij")
    stretch = np.exp(rng.uniform(-1, 1)) if rng.uniform() < 0.3 else 1.0
    radius = np.hypot(u * stretch, v / stretch)
    radius[0, 0] = np.inf
    power = radius ** -rng.uniform(0, 3.2)
    power = power / power.sum() + rng.choice([0.0, rng.uniform(0, 1) / power.size])
    noise = np.fft.rfft2(rng.normal(size=shape))
    return np.asarray(np.fft.irfft2(noise * np.sqrt(power), shape))


def _counts(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return counts of few electrons on an even or a cloudy field."""
    mean = np.exp(rng.uniform(np.log(0.01), np.log(5.0)))
    cloud = gaussian_filter(rng.normal(size=shape), rng.uniform(1, 20))
    cloud = np.exp(rng.choice([0.0, 0.7]) * cloud / cloud.std())
    return np.asarray(rng.poisson(mean * cloud), dtype=np.float64)


def _collage(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return few or many things in front of one another, textured, and lit unevenly."""
    y, x = np.meshgrid(*(np.arange(size, dtype=float) for size in shape), indexing="ij")
    picture = _shade(rng, shape)
    least = np.exp(rng.uniform(np.log(2.0), np.log(20.0)))
    for _ in range(int(np.exp(rng.uniform(np.log(3), np.log(120))))):
        size = np.exp(rng.uniform(np.log(least), np.log(0.5 * max(shape))))
        angle = rng.uniform(0, np.pi)
        down, across = y - rng.uniform(0, shape[0]), x - rng.uniform(0, shape[1])
        along = (np.cos(angle) * across + np.sin(angle) * down) / size
        aside = (np.cos(angle) * down - np.sin(angle) * across) / (size * rng.uniform(0.15, 1))
        power = rng.choice([1.0, 2.0, 4.0, 20.0])
        inside = np.abs(along) ** power + np.abs(aside) ** power < 1
        picture = np.where(inside, _shade(rng, shape), picture)
    return _taken(rng, picture)


def _shade(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return an even, a slanting, or a rough shade of grey."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    slopes = rng.normal(0, 0.3, 2) * (rng.uniform() < 0.5)
    shade = rng.uniform() + slopes[0] * y + slopes[1] * x
    if rng.uniform() < 0.3:
        rough = _coloured(rng, shape)
        shade = shade + rng.uniform(0, 0.3) * rough / (rough.std() or 1.0)
    return np.asarray(shade)


def _strokes(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return lines of a pen, or print, on paper that is lit unevenly."""
    ink = np.zeros(shape)
    for _ in range(int(rng.integers(4, 60))):
        steps = int(rng.integers(4, 60))
        bend = rng.uniform(0, 0.5)
        angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, bend, steps))
        rows = rng.uniform(0, shape[0]) + np.cumsum(np.sin(angles))
        columns = rng.uniform(0, shape[1]) + np.cumsum(np.cos(angles))
        at = np.rint(np.stack([rows, columns])).astype(int)
        at = at[:, (at >= 0).all(axis=0) & (at[0] < shape[0]) & (at[1] < shape[1])]
        ink[at[0], at[1]] = rng.uniform(0.5, 1)
    pen = rng.uniform(0.5, 2.0)
    drawn = np.minimum(4 * pen * gaussian_filter(ink, pen), 1.0)
    return _taken(rng, _shade(rng, shape) + rng.choice([-1.0, 1.0]) * drawn)


def _lattice(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return bumps of one or two heights on a lattice, counted in electrons."""
    period, slant = rng.uniform(5, 24), rng.uniform(-0.5, 0.5)
    turn = rng.uniform(0, 2 * np.pi)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    y, x = np.meshgrid(*(np.arange(size, dtype=float) for size in shape), indexing="ij")
    along, aside = np.tensordot(spin, np.stack([x, y]), axes=1) / period
    width = rng.uniform(0.1, 0.25)
    picture = np.zeros(shape)
    for height, off in ((1.0, 0.0), (rng.choice([0.0, rng.uniform(0.2, 1)]), 0.5)):
        first = (along - slant * aside + off + 0.5) % 1 - 0.5
        second = (aside + off + 0.5) % 1 - 0.5
        picture += height * np.exp(-(first**2 + second**2) / (2 * width**2))
    dose = np.exp(rng.uniform(np.log(2.0), np.log(2000.0)))
    counted = rng.poisson(dose * (picture + rng.uniform(0.02, 0.5)))
    return np.asarray(counted, dtype=np.float64)


def _spots(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Return discs or rings round one centre, of a range of brightness that no scan has."""
    y, x = np.meshgrid(*(np.arange(size, dtype=float) for size in shape), indexing="ij")
    centre = [size * rng.uniform(0.3, 0.7) for size in shape]
    radius = np.hypot(y - centre[0], x - centre[1])
    picture = np.exp(-radius / rng.uniform(5, 40))
    for _ in range(int(rng.integers(1, 8))):
        ring, width = rng.uniform(5, 0.7 * max(shape)), rng.uniform(0.7, 6)
        picture += rng.uniform(0, 0.5) * np.exp(-(((radius - ring) / width) ** 2))
    dose = np.exp(rng.uniform(np.log(5.0), np.log(5000.0)))
    counted = np.asarray(rng.poisson(dose * picture), dtype=np.float64)
    return np.asarray(np.log1p(counted)) if rng.uniform() < 0.5 else counted


def _wrong_size(rng: np.random.Generator, own: Array) -> Array:
    """Return an own picture at a pixel size that is wrong by 2.6 to 7 times either way.

    Shrunk ones are mirrored outwards, so that there is as much to see.
    """
    times = np.exp(rng.uniform(*np.log(_TIMES)))
    rows, columns = own.shape
    if rng.uniform() < 0.5:
        row, column = (rng.uniform(0, size - size / times) for size in own.shape)
        at = np.meshgrid(
            row + np.arange(rows) / times, column + np.arange(columns) / times, indexing="ij"
        )
        return np.asarray(map_coordinates(own, at, order=3, mode="mirror"))
    # A pixel is the mean over what it covers.
    soft = gaussian_filter(own, 0.29 * times, mode="mirror")
    at = np.meshgrid(np.arange(rows) * times, np.arange(columns) * times, indexing="ij")
    return np.asarray(map_coordinates(soft, at, order=1, mode="mirror"))


def _phases(rng: np.random.Generator, own: Array) -> Array:
    """Return an own picture with its power at every frequency, and nothing else of it."""
    noise = np.fft.rfft2(rng.normal(size=own.shape))
    phases = noise / np.maximum(np.abs(noise), 1e-12)
    power = np.abs(np.fft.rfft2(own - own.mean()))
    return np.asarray(np.fft.irfft2(power * phases, own.shape))


def _drowned(rng: np.random.Generator, own: Array) -> Array:
    """Return an own picture below noise of any colour that is two to ten times as strong."""
    noise = _coloured(rng, (own.shape[0], own.shape[1]))
    times = np.exp(rng.uniform(np.log(2.0), np.log(10.0)))
    return np.asarray(own + times * own.std() * noise / (noise.std() or 1.0))


def _inverted(rng: np.random.Generator, own: Array) -> Array:
    """Return an own picture upside down in height, and bent a little."""
    height = (own.max() - own) / (float(np.ptp(own)) or 1.0)
    return np.asarray(height ** rng.uniform(0.7, 1.4))


def _shuffled(rng: np.random.Generator, own: Array) -> Array:
    """Return an own picture cut into squares that have changed places."""
    size = int(rng.integers(5, 25))
    rows, columns = (length // size for length in own.shape)
    cut = own[: rows * size, : columns * size].reshape(rows, size, columns, size)
    squares = rng.permutation(cut.transpose(0, 2, 1, 3).reshape(-1, size, size))
    laid = squares.reshape(rows, columns, size, size).transpose(0, 2, 1, 3)
    whole = laid.reshape(rows * size, columns * size)
    left = [(0, was - now) for was, now in zip(own.shape, whole.shape, strict=True)]
    return np.pad(whole, left, mode="symmetric")


def _taken(rng: np.random.Generator, picture: Array) -> Array:
    """Return a picture as a camera takes it: out of focus, not in proportion, with noise."""
    focus = rng.choice([0.0, rng.uniform(0.3, 1.5), rng.uniform(1.5, 4.0)], p=[0.3, 0.5, 0.2])
    soft = gaussian_filter(picture, focus)
    soft = (soft - soft.min()) / (float(np.ptp(soft)) or 1.0)
    soft = soft ** np.exp(rng.uniform(-0.7, 0.7))
    noise = (float(soft.std()) or 1.0) * rng.choice([0.0, rng.uniform(0, 0.1)])
    return np.asarray(soft + noise * rng.normal(size=picture.shape))


DRAWN: Mapping[str, Draw] = {
    "coloured": _coloured,
    "collage": _collage,
    "counts": _counts,
    "strokes": _strokes,
    "lattice": _lattice,
    "spots": _spots,
}
SPOILT: Mapping[str, Spoil] = {
    "wrong size": _wrong_size,
    "phases": _phases,
    "drowned": _drowned,
    "inverted": _inverted,
    "shuffled": _shuffled,
}
