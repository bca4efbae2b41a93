"""Signals to be kept, for the tests of the store."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from nanopilot.core.signals import Axis, SignalSet, make_signal
from nanopilot.io import SignalStore

NUMBERS = ["u1", "i2", "<u4", ">i4", "f2", "f4", ">f8", "c8", "c16", "?"]
BIAS = xr.Variable("bias", np.array([0.0, 1.0]), {"units": "V", "quantity": "bias"})


def reopened(store: SignalStore) -> SignalStore:
    return SignalStore(store.path)


def axis(size: int) -> Axis:
    return Axis(np.arange(float(size)), "m", "position")


def image(seed: int = 0) -> SignalSet:
    rng = np.random.default_rng(seed)
    axes = {"y": axis(4), "x": axis(5)}
    height = make_signal(rng.normal(size=(4, 5)), axes, quantity="height", units="m")
    phase = make_signal(
        rng.normal(size=(4, 5)).astype("f4"), axes, quantity="phase", units="rad",
        metadata={"direction": "retrace"},
    )  # fmt: skip
    return xr.Dataset({"height": height, "phase": phase}, attrs={"scan": json.dumps({"n": 1})})
