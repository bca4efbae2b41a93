"""What particles are outlined and sorted by otherwise: baselines of the track `particle-shapes`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, label

from nanopilot.analysis.particle_shapes.descriptors import describe
from nanopilot.analysis.particle_shapes.instances import Instance
from nanopilot.core.history import FloatArray, IntArray
from nanopilot.core.signals import Signal, SignalSet

#: Of the original: clipped percentiles, blur, and distance in pixels that makes a marker.
_CLIP, _BLUR, _MARKER = (0.8, 99.2), 2.0, 2.5
#: Its features, its numbers of classes and starts, and its rounds.
_COLUMNS = ("area", "aspect_ratio", "eccentricity", "circularity")
_COUNTS, _STARTS, _ROUNDS = range(2, 6), 5, 100


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Particles of a frame and their descriptors, dim ``point``."""

    instances: tuple[Instance, ...]
    table: SignalSet


def otsu_watershed(frame: Signal) -> Measured:
    """Outline dark or bright particles by Otsu's threshold and a watershed of the distance.

    N. Otsu, IEEE Trans. Syst. Man Cybern. 9 (1979) 62; the fewer pixels are the particles. Each
    region deeper than 2.5 pixels is a marker, as in the original.

    Parameters
    ----------
    frame : Signal
        Dims (y, x) in metres.
    """
    from skimage.filters import threshold_otsu
    from skimage.measure import regionprops
    from skimage.segmentation import watershed

    values = frame.to_numpy()
    smooth = gaussian_filter(np.clip(values, *np.percentile(values, _CLIP)), _BLUR)
    above = smooth > threshold_otsu(smooth)
    mask = above if above.mean() < 0.5 else ~above
    distance = distance_transform_edt(mask)
    markers, _ = label(distance > _MARKER)
    labels = watershed(-distance, markers, mask=mask)
    found = []
    for region in regionprops(labels):
        row, column = region.bbox[:2]
        if region.area >= 40:
            found.append(Instance(np.zeros((0, 2)), region.image, row, column))
    steps = tuple(float(frame[dim][1] - frame[dim][0]) for dim in ("y", "x"))
    table = describe(found, (steps[0], steps[1]), (0.0, 0.0), values.shape)
    return Measured(tuple(found), table)


def k_means(tables: Sequence[SignalSet], rng: np.random.Generator, count: int = 3) -> IntArray:
    """Return classes by k-means on the original's features, standardised.

    Parameters
    ----------
    tables : sequence of SignalSet
        Of `describe_instances`.
    rng : numpy.random.Generator
        Draws starts.
    count : int
        Classes.
    """
    from sklearn.cluster import KMeans

    values = _columns(tables)
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12)
    model = KMeans(count, n_init=5, random_state=int(rng.integers(2**31)))
    return np.asarray(model.fit_predict(values), dtype=np.int64)


def _columns(tables: Sequence[SignalSet]) -> FloatArray:
    columns = [np.concatenate([table[name].to_numpy() for table in tables]) for name in _COLUMNS]
    return np.asarray(np.nan_to_num(np.stack(columns, axis=-1), posinf=0.0))


def separability(tables: Sequence[SignalSet], rng: np.random.Generator) -> IntArray:
    """Return classes by the rule of AutoDetect-mNP as the original carried it out.

    k-means, then hard expectation and maximisation with Gaussians of no correlation whose standard
    deviations stand where variances belong; of 2 to 5 classes and five starts the one wins whose
    worst pair (mean density of one class under the other, over that under its own) is the
    smallest. X. Wang et al., JACS Au 1 (2021) 316.

    Parameters
    ----------
    tables : sequence of SignalSet
        Of `describe_instances`.
    rng : numpy.random.Generator
        Draws starts.
    """
    from sklearn.cluster import KMeans

    values = _columns(tables)
    values = values - values.mean(axis=0)
    values = values / np.maximum(values.max(axis=0), 1e-12)
    best: tuple[float, IntArray] = (math.inf, np.zeros(len(values), dtype=np.int64))
    for count in _COUNTS:
        for _ in range(_STARTS):
            start = KMeans(count, n_init=1, random_state=int(rng.integers(2**31)))
            labels = _hard(values, np.asarray(start.fit_predict(values), dtype=np.int64))
            worst = _worst(values, labels)
            if worst < best[0]:
                best = (worst, labels)
    return best[1]


def _hard(values: FloatArray, labels: IntArray) -> IntArray:
    for _ in range(_ROUNDS):
        density = _densities(values, labels)
        new = np.unique(labels)[np.argmax(density, axis=1)]
        if (new == labels).all():
            break
        labels = new
    return labels


def _densities(values: FloatArray, labels: IntArray) -> FloatArray:
    """Return log densities of every class that has members, shape (n, classes)."""
    found: list[Any] = []
    for one in np.unique(labels):
        mine = values[labels == one]
        # Where a variance belongs, the original has the standard deviation.
        spread = np.maximum(mine.std(axis=0), 1e-6)
        away = (values - mine.mean(axis=0)) ** 2 / spread
        found.append(-0.5 * (away + np.log(2 * np.pi * spread)).sum(axis=1))
    return np.stack(found, axis=-1)


def _worst(values: FloatArray, labels: IntArray) -> float:
    density = np.exp(np.clip(_densities(values, labels), -600, 600))
    names = np.unique(labels)
    if len(names) < 2:
        return math.inf
    mean = np.stack([density[labels == one].mean(axis=0) for one in names])
    ratio = mean / np.maximum(np.diag(mean)[:, None], 1e-300)
    return float(ratio[~np.eye(len(names), dtype=bool)].max())
