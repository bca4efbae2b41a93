"""Films and loops whose properties are known because they were put in."""

from __future__ import annotations

import numpy as np

from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Axis, Signal, make_signal


def waveform(points: int = 64, amplitude: float = 8.0) -> FloatArray:
    """Return one cycle of a triangular bias in volts: 0, up, down, back towards 0."""
    phase = np.arange(points) / points
    return amplitude * (2 / np.pi) * np.arcsin(np.sin(2 * np.pi * phase))


def loop(
    coercive: float = 3.0, imprint: float = 0.0, response: float = 1.0, points: int = 64
) -> Signal:
    """Return a square hysteresis loop, dims (bias,).

    Parameters
    ----------
    coercive, imprint : float
        Half the distance between the two switching voltages, and their mean, in volts.
    response : float
        Response of the switched state; the other has its negative.
    points : int
        Of the cycle.
    """
    bias = waveform(points)
    state, values = -1.0, np.empty(points)
    for cycle in range(2):  # the first cycle only brings the film into the loop
        for i, volts in enumerate(bias):
            if volts > imprint + coercive:
                state = 1.0
            elif volts < imprint - coercive:
                state = -1.0
            if cycle:
                values[i] = response * state
    axis = {"bias": Axis(bias, "V", "bias")}
    return make_signal(values, axis, quantity="piezoresponse", units="a.u.")


def film(rows: int = 6, columns: int = 8, pitch: float = 10e-9) -> Signal:
    """Return a grid of loops whose size grows with x and y, dims (y, x, bias).

    Parameters
    ----------
    rows, columns : int
        Of the grid.
    pitch : float
        Distance of neighbours in metres.
    """
    base = loop()
    size = 1.0 + np.add.outer(np.arange(rows) / rows, np.arange(columns) / columns)
    axes = {
        "y": Axis(pitch * np.arange(rows, dtype=float), "m", "position"),
        "x": Axis(pitch * np.arange(columns, dtype=float), "m", "position"),
        "bias": Axis(base["bias"].to_numpy(), "V", "bias"),
    }
    values = size[:, :, None] * base.to_numpy()
    signal = make_signal(values, axes, quantity="piezoresponse", units="a.u.")
    return signal.rename("piezoresponse")
