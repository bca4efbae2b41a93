"""Columns found by what is at hand elsewhere: bright pixels, scikit-image, trackpy."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.feature import blob_log, peak_local_max

from nanopilot.analysis.atoms.columns import find_columns
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

HAS_TRACKPY = importlib.util.find_spec("trackpy") is not None
#: Diameters in pixels that trackpy is asked with.
_DIAMETERS = (5, 7, 9, 11, 13)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A frame, and what peers are told beyond it.

    Parameters
    ----------
    frame : Signal
        Counts, dims (y, x).
    columns : int
        How many columns there are. The shipped method does not look at it, nor at the rest.
    width, spacing : float
        Of a column, and of next neighbours, in pixels.
    """

    frame: Signal
    columns: int
    width: float
    spacing: float


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Columns found in a frame, one entry per answer that a method may be judged by.

    Parameters
    ----------
    choices : tuple of numpy.ndarray
        Rows and columns in pixels, each of shape (n, 2); the best one counts.
    error : numpy.ndarray
        Stated standard errors of the first, shape (n, 2); NaN where none is stated.
    """

    choices: tuple[FloatArray, ...]
    error: FloatArray


def silent(*choices: FloatArray) -> Places:
    """Return places without errors."""
    return Places(tuple(choices), np.full(choices[0].shape, np.nan))


def shipped(questions: Sequence[Question]) -> list[Places]:
    """Answer with `find_columns` as it comes."""
    answers = []
    for one in questions:
        found = find_columns(one.frame)
        step = float(one.frame["y"][1] - one.frame["y"][0])
        place = np.stack([found["y"], found["x"]], axis=1) / step
        error = np.stack([found["y_error"], found["x_error"]], axis=1) / step
        answers.append(Places((place,), error))
    return answers


def brightest(questions: Sequence[Question]) -> list[Places]:
    """Take the brightest pixels of the blurred frame, as many as there are columns."""
    answers = []
    for one in questions:
        smooth = gaussian_filter(one.frame.to_numpy().astype(float), one.width)
        apart = max(1, int(one.spacing / 2))
        found = peak_local_max(
            smooth, min_distance=apart, num_peaks=one.columns, exclude_border=False
        )
        answers.append(silent(found.astype(float)))
    return answers


def blobs(questions: Sequence[Question]) -> list[Places]:
    """Ask `skimage.feature.blob_log` at the right width, for as many as there are columns."""
    answers = []
    for one in questions:
        values = one.frame.to_numpy().astype(float)
        values = (values - values.min()) / np.ptp(values)
        found = blob_log(
            values, min_sigma=one.width, max_sigma=one.width, num_sigma=1, threshold=None,
            threshold_rel=0.02, overlap=0.5,
        )  # fmt: skip
        # It names no order but that of places: the ones brightest in its own filter stay.
        smooth = gaussian_filter(values, one.width) - gaussian_filter(values, 2 * one.width)
        place = found[:, :2]
        rank = np.argsort(-smooth[tuple(place.astype(int).T)], kind="stable")
        answers.append(silent(place[rank[: one.columns]]))
    return answers


def trackpy(questions: Sequence[Question]) -> list[Places]:
    """Ask trackpy with every diameter, for as many features as there are columns and for all."""
    from trackpy import locate  # type: ignore[import-untyped, unused-ignore]

    answers = []
    for one in questions:
        choices = []
        for diameter in _DIAMETERS:
            with warnings.catch_warnings():
                # Its use of pandas is not ours to mend.
                warnings.simplefilter("ignore")
                found = locate(one.frame.to_numpy(), diameter, engine="python")
            place = found.sort_values("mass", ascending=False)[["y", "x"]].to_numpy()
            choices += [place[: one.columns], place]
        answers.append(silent(*choices))
    return answers
