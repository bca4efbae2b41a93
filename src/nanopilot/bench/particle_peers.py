"""Particles found by the shipped search, and by what is at hand elsewhere."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from skimage.feature import blob_log, peak_local_max
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from skimage.transform import downscale_local_mean

from nanopilot.analysis.particles import find_particles
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal
from nanopilot.models.weights import FOLDER

#: Whether the network can be asked: PyTorch is installed, and its weights are there.
HAS_NET = (
    all(importlib.util.find_spec(name) for name in ("torch", "safetensors"))
    and (FOLDER / "particles.safetensors").exists()
)
#: Radii that particles may have, in pixels: peers are told.
_RADII = (8.0, 80.0)
#: Radius and width of the fixed ring: those of the frames that it was made for.
_RING, _WIDE = 58.0, 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Candidates of one frame.

    Parameters
    ----------
    place, radius : numpy.ndarray
        (row, column), shape (n, 2), and radius, shape (n,), in pixels.
    probability : numpy.ndarray
        That each is a particle, shape (n,).
    outlines : tuple of numpy.ndarray
        Corners (x, y) in pixels, one polygon each; empty where a method draws none.
    """

    place: FloatArray
    radius: FloatArray
    probability: FloatArray
    outlines: tuple[FloatArray, ...] = field(default=())


def _asked(
    frames: Sequence[Signal], method: Literal["auto", "classical", "learned"]
) -> list[Answer]:
    answers = []
    for frame in frames:
        pixel = float(frame["x"][1] - frame["x"][0])
        # Every candidate is asked for, so that the calibration of all of them can be judged.
        found = find_particles(frame, least_probability=0.0, method=method)
        table = found.table
        answers.append(
            Answer(
                np.stack([table["y"], table["x"]], axis=1) / pixel,
                table["radius"].to_numpy() / pixel,
                table["probability"].to_numpy(),
                tuple(one / pixel for one in found.outlines),
            )
        )
    return answers


def shipped(frames: Sequence[Signal]) -> list[Answer]:
    """Answer with `find_particles` as it comes."""
    return _asked(frames, "auto")


def classical(frames: Sequence[Signal]) -> list[Answer]:
    """Answer without a network."""
    return _asked(frames, "classical")


def learned(frames: Sequence[Signal]) -> list[Answer]:
    """Answer with the network."""
    return _asked(frames, "learned")


def _even(frame: Signal) -> FloatArray:
    values = frame.to_numpy().astype(float)
    return np.asarray((values - values.mean()) / values.std())


def brightest(frames: Sequence[Signal]) -> list[Answer]:
    """Take the brightest spot of the blurred frame, and its width at half height."""
    answers = []
    for frame in frames:
        smooth = gaussian_filter(_even(frame), 8.0)
        at = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
        half = label(smooth > (smooth[at] + np.median(smooth)) / 2)
        area = float((half == half[at]).sum())
        answers.append(Answer(np.array([at], dtype=float), np.sqrt([area / np.pi]), np.ones(1)))
    return answers


def matched_ring(frames: Sequence[Signal]) -> list[Answer]:
    """Correlate with one dark ring; what stands out six spreads over the median is claimed."""
    reach = int(_RING + 3 * _WIDE)
    away = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    ring = -np.exp(-0.5 * ((away - _RING) / _WIDE) ** 2)
    ring -= ring.mean()
    answers = []
    for frame in frames:
        score = fftconvolve(_even(frame), ring, mode="same")
        spread = 1.4826 * np.median(np.abs(score - np.median(score)))
        tops = peak_local_max(
            score, min_distance=int(_RING), threshold_abs=float(np.median(score) + 4 * spread)
        )
        answers.append(Answer(tops.astype(float), np.full(len(tops), _RING), np.ones(len(tops))))
    return answers


def blobs(frames: Sequence[Signal]) -> list[Answer]:
    """Ask `skimage.feature.blob_log` for bright and for dark blobs of all radii, at half size."""
    low, high = (one / np.sqrt(2) / 2 for one in _RADII)
    answers = []
    for frame in frames:
        values, found = downscale_local_mean(_even(frame), (2, 2)), []
        for one in (values, -values):
            found.append(
                blob_log(one, min_sigma=low, max_sigma=high, num_sigma=10, log_scale=True,
                         threshold=0.7)
            )  # fmt: skip
        both = np.concatenate(found)
        place, radius = 2 * both[:, :2] + 0.5, 2 * both[:, 2] * np.sqrt(2)
        answers.append(Answer(place, radius, np.ones(len(both))))
    return answers


def otsu(frames: Sequence[Signal]) -> list[Answer]:
    """Cut the blurred frame at Otsu's level; each piece of the rarer side is a particle."""
    answers = []
    for frame in frames:
        smooth = gaussian_filter(_even(frame), 2.0)
        above = smooth > threshold_otsu(smooth)
        pieces: list[Any] = [
            one
            for one in regionprops(label(above if above.mean() < 0.5 else ~above))
            if np.pi * _RADII[0] ** 2 / 2 <= one.area <= 2 * np.pi * _RADII[1] ** 2
        ]
        place = np.array([one.centroid for one in pieces]).reshape(-1, 2)
        radius = np.array([np.sqrt(one.area / np.pi) for one in pieces])
        answers.append(Answer(place, radius, np.ones(len(pieces))))
    return answers
