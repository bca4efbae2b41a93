"""Height frames of polycrystals whose grains are known, as a scanning probe would give them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.models.tip_imaging import dilate
from nanopilot.twins.spm.samples import family
from nanopilot.twins.spm.tip import Apex, Tip

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: What is drawn for every seed.
KINDS = ("twin", "caps", "elongated", "terraced", "islands")
#: Pixels that a tip feels beyond the edge of a frame.
_MARGIN = 24


@dataclass(frozen=True, slots=True, eq=False)
class GrainScene:
    """A frame and its truth.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    frame : Signal
        Heights in metres, dims (y, x): what a method is shown.
    labels : numpy.ndarray
        Number of the grain of every pixel of the surface, 0 for substrate; shape of the frame.
    diameter : float
        Mean equivalent diameter asked for, in pixels.
    snr : float
        Variance of the scanned surface over that of the white noise, in decibels.
    """

    kind: str
    frame: Signal
    labels: IntArray
    diameter: float
    snr: float


def draw_scene(kind: str, rng: np.random.Generator, *, snr: float | None = None) -> GrainScene:
    """Draw one frame: surface, tip, tilt, bow, offsets of lines and noise.

    Parameters
    ----------
    kind : str
        One of `KINDS`. "twin": the family ``grains`` of the scanning-probe twin. "caps": the
        upper envelope of paraboloids, whose feet are Laguerre cells exactly. "elongated": the
        same, stretched. "terraced": grains lie at different heights. "islands": some grains are
        left out, and flat substrate is seen.
    rng : numpy.random.Generator
        Every draw.
    snr : float, optional
        Decibels; 10 to 30 are drawn otherwise.
    """
    shape = (int(rng.integers(144, 225)), int(rng.integers(144, 225)))
    wide = (shape[0] + 2 * _MARGIN, shape[1] + 2 * _MARGIN)
    diameter = _log_uniform(rng, 11.0, 30.0)
    height, labels = _twin(rng, wide, diameter) if kind == "twin" else _caps(
        kind, rng, wide, diameter
    )  # fmt: skip
    pitch = _log_uniform(rng, 1e-9, 4e-8)
    # Between a polished film and grains half as high as they are wide.
    height = height * (pitch * diameter * _log_uniform(rng, 0.005, 0.1) / height.std())
    inner = (slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
    image = np.asarray(dilate(height, _tip(rng, height, pitch, diameter)), float)[inner]
    snr = rng.uniform(10.0, 30.0) if snr is None else snr
    image = _scanned(rng, image, snr)
    y, x = (Axis(pitch * np.arange(float(size)), "m", "position") for size in shape)
    frame = make_signal(image, {"y": y, "x": x}, quantity="height", units="m")
    return GrainScene(kind, frame, np.ascontiguousarray(labels[inner]), diameter, snr)


def _twin(
    rng: np.random.Generator, shape: tuple[int, int], diameter: float
) -> tuple[FloatArray, IntArray]:
    """Return surface and labels of the twin's family; one nanometre per pixel."""
    sample = family("grains")(
        rng,
        size_m=(shape[1] - 1) * 1e-9,
        pixels=shape,
        diameter=diameter * 1e-9,
        spread=rng.uniform(0.15, 0.4),
        dome=diameter * 1e-10,
    )
    return sample.height, sample.layers["grain"].astype(np.int64)


def _caps(
    kind: str, rng: np.random.Generator, shape: tuple[int, int], diameter: float
) -> tuple[FloatArray, IntArray]:
    """Return the upper envelope of paraboloids and whose each pixel is.

    Where w_i - |p - c_i|² is largest the power |p - c_i|² - w_i is smallest: the cells are those
    of Laguerre (F. Aurenhammer, SIAM J. Comput. 16 (1987) 78).
    """
    stretch = rng.uniform(1.8, 2.8) if kind == "elongated" else 1.0
    angle = rng.uniform(0, math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    metric = turn.T @ np.diag([stretch**-0.5, stretch**0.5]) @ turn
    places = np.indices(shape).reshape(2, -1).T - (np.array(shape) - 1) / 2
    seen = places @ metric.T
    seeds = _seeds(rng, seen, diameter)
    normal = np.clip(rng.standard_normal(len(seeds)), -1.8, 1.8)
    weights = (diameter * rng.uniform(0.1, 0.4) * normal) ** 2
    lift = np.sqrt(weights.max() - weights)
    away, owner = cKDTree(np.column_stack([seeds, lift])).query(
        np.column_stack([seen, np.zeros(len(seen))])
    )
    z = ((weights.max() - np.asarray(away) ** 2) / diameter**2).reshape(shape)
    names, dense = np.unique(np.asarray(owner), return_inverse=True)
    labels = dense.reshape(shape).astype(np.int64) + 1
    step = float(z.std())
    if kind == "terraced":
        z = z + rng.uniform(0.3, 1.2) * step * rng.standard_normal(len(names) + 1)[labels]
    if kind == "islands":
        gone = rng.permutation(len(names))[: round(rng.uniform(0.2, 0.45) * len(names))] + 1
        labels = np.where(np.isin(labels, gone), 0, labels)
        z = np.where(labels > 0, z, np.quantile(z, 0.02) - rng.uniform(0.3, 1.5) * step)
    z = gaussian_filter(z, rng.uniform(0.3, 0.9))
    return z + rng.uniform(0.0, 0.05) * step * _rough(rng, shape), labels


def _seeds(rng: np.random.Generator, seen: FloatArray, diameter: float) -> FloatArray:
    """Return seeds of one per grain's area over where pixels are seen, none too near another."""
    low, high = seen.min(axis=0) - 2 * diameter, seen.max(axis=0) + 2 * diameter
    count = round(float(np.prod(high - low)) / (math.pi / 4 * diameter**2))
    # The best of a few candidates, where some are so near others that one grain has no room.
    tries = rng.uniform(low, high, (6 * count, 2))
    kept = np.ones(len(tries), dtype=bool)
    for first, second in cKDTree(tries).query_pairs(0.55 * diameter, output_type="ndarray"):
        if kept[first] and kept[second]:
            kept[max(first, second)] = False
    return np.asarray(tries[kept][:count])


def _rough(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    fine = gaussian_filter(rng.standard_normal(shape), 1.0, mode="wrap")
    coarse = gaussian_filter(rng.standard_normal(shape), 4.0, mode="wrap")
    both: FloatArray = fine / fine.std() + coarse / coarse.std()
    return np.asarray(both / both.std())


def _tip(rng: np.random.Generator, height: FloatArray, pitch: float, diameter: float) -> FloatArray:
    """Return a tip, from one much sharper than a grain to one a fifth of a grain wide."""
    depth = 2 * float(height.std())
    width = _log_uniform(rng, 0.02, 0.2) * diameter * pitch
    apex = Apex(
        radius=min(max(width**2 / (2 * depth), 1e-12), 1e-5),
        half_angle=math.radians(rng.uniform(10, 25)),
        aspect=_log_uniform(rng, 0.7, 1.4),
        rotation=rng.uniform(0, math.pi),
    )
    shape: FloatArray = Tip(apexes=(apex,)).raster(pitch, float(np.ptp(height)), 2 * _MARGIN - 3)
    return shape


def _scanned(rng: np.random.Generator, image: FloatArray, snr: float) -> FloatArray:
    """Add white noise, offsets of lines, tilt and bow."""
    size = float(image.std())
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape), indexing="ij")
    noise = size * 10 ** (-snr / 20) * rng.standard_normal(image.shape)
    lines = size * rng.uniform(0.0, 0.4) * rng.standard_normal((image.shape[0], 1))
    tilt = size * (rng.uniform(-6, 6) * x + rng.uniform(-6, 6) * y)
    bow = size * (rng.uniform(-2, 2) * x**2 + rng.uniform(-2, 2) * y**2)
    scanned: FloatArray = image + noise + lines + tilt + bow
    return scanned


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))
