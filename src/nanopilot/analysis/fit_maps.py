"""What every fit hands back: a map per parameter and per error bar, and why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import IntEnum

import numpy as np
import xarray as xr

from nanopilot.core.history import FloatArray, IntArray
from nanopilot.core.signals import Signal, SignalSet, check_set


class Reason(IntEnum):
    """Why a fit gives no answer."""

    ANSWERED = 0
    NOT_FINITE = 1
    NOT_SIGNIFICANT = 2
    AT_EDGE = 3
    WIDTH = 4
    NOT_CONVERGED = 5


#: In words, for people; travels with the map of reasons.
REASONS = {
    Reason.ANSWERED: "answered",
    Reason.NOT_FINITE: "holds NaN or infinity, or too few points are left",
    Reason.NOT_SIGNIFICANT: "not better than noise would look",
    Reason.AT_EDGE: "lies at the edge of what was swept, or beyond",
    Reason.WIDTH: "narrower than a step, or wider than what was swept",
    Reason.NOT_CONVERGED: "the fit did not come to rest",
}


def first_reason(*failures: tuple[Reason, np.ndarray]) -> IntArray:
    """Return the first reason that holds for each fit.

    Parameters
    ----------
    *failures : (Reason, numpy.ndarray of bool)
        In order of weight, each of shape (n,).

    Examples
    --------
    >>> late, edge = np.array([True, False]), np.array([True, True])
    >>> first_reason((Reason.NOT_CONVERGED, late), (Reason.AT_EDGE, edge)).tolist()
    [5, 3]
    """
    conditions = [np.asarray(failed) for _, failed in failures]
    return np.asarray(
        np.select(conditions, [int(reason) for reason, _ in failures], default=0), dtype=np.int64
    )


def to_maps(
    like: Signal,
    columns: Mapping[str, tuple[FloatArray, str, str]],
    reasons: IntArray,
) -> SignalSet:
    """Put fitted numbers where their curves were.

    Parameters
    ----------
    like : Signal
        One value of every curve: dims and coordinates of the maps.
    columns : mapping
        Name to (values of shape (n,), quantity, units).
    reasons : numpy.ndarray of int
        Shape (n,); where it is not 0 the maps hold NaN.

    Returns
    -------
    SignalSet
        The columns and ``reason``.
    """
    answered = reasons == Reason.ANSWERED
    maps = {
        name: like.copy(data=np.where(answered, values, np.nan).reshape(like.shape))
        for name, (values, _, _) in columns.items()
    }
    for name, (_, quantity, units) in columns.items():
        maps[name].attrs = {"quantity": quantity, "units": units}
    maps["reason"] = like.copy(data=reasons.reshape(like.shape))
    said = json.dumps({int(code): text for code, text in REASONS.items()})
    maps["reason"].attrs = {"quantity": "why there is no answer", "units": "1", "reasons": said}
    return check_set(xr.Dataset(maps))
