"""A sample of the scanning-probe twin: heights in metres, and what else is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.core.errors import SignalError, UnknownName
from nanopilot.core.limits import Area

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A square or rectangular piece of surface, its middle at (0, 0).

    Parameters
    ----------
    name : str
        What it is.
    height : numpy.ndarray
        Metres, shape (rows, columns); row 0 at the lowest y, as everywhere here.
    pitch : float
        Metres from pixel to pixel.
    layers : mapping of str to numpy.ndarray
        What is true of every place, by name, shape as `height`: ``"polarisation"`` (-1 to 1),
        ``"grain"`` (label), ``"ldos"``, ``"potential"`` (V), ``"stiffness"`` (N/m), ...; each
        with its meaning and unit in `meaning`.
    meaning : mapping of str to (str, str)
        Quantity and SI unit of every layer.
    facts : mapping
        What is true of the sample as a whole, as JSON: grain sizes, lattice vectors, positions
        of particles.

    Raises
    ------
    SignalError
        Heights that are no numbers, or a layer of another shape or without a meaning.
    """

    name: str
    height: FloatArray
    pitch: float
    layers: Mapping[str, FloatArray] = field(default_factory=dict)
    meaning: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.height.ndim != 2 or min(self.height.shape) < 2 or self.pitch <= 0:
            raise SignalError(
                f"`height` has shape {self.height.shape} at {self.pitch} m per pixel; a sample is "
                "(rows, columns), two or more of each, at a positive pitch."
            )
        if not np.isfinite(self.height).all():
            bad = np.count_nonzero(~np.isfinite(self.height))
            raise SignalError(f"`height` has {bad} values that are no numbers; fill or crop them.")
        for name, layer in self.layers.items():
            if layer.shape != self.height.shape:
                raise SignalError(f"`{name}` has shape {layer.shape}, not {self.height.shape}.")
            if name not in self.meaning:
                raise SignalError(f"`{name}` has no `meaning`; give its quantity and SI unit.")

    @property
    def area(self) -> Area:
        """Where the sample is, outermost pixel centres included."""
        half_y, half_x = (self.pitch * (size - 1) / 2 for size in self.height.shape)
        return Area(x=(-half_x, half_x), y=(-half_y, half_y))

    @property
    def relief(self) -> float:
        """Highest minus lowest place in metres."""
        return float(np.ptp(self.height))

    def at(self, name: str, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return a layer (or ``"height"``) at places x, y in metres, bilinear; NaN outside.

        Raises
        ------
        UnknownName
            The sample has no such layer.
        """
        if name != "height" and name not in self.layers:
            raise UnknownName("layer", name, ("height", *self.layers))
        layer = self.height if name == "height" else self.layers[name]
        return bilinear(layer, *self.pixels(x, y))

    def pixels(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return fractional (row, column) of places x, y in metres."""
        rows, columns = self.height.shape
        return y / self.pitch + (rows - 1) / 2, x / self.pitch + (columns - 1) / 2


def bilinear(layer: FloatArray, row: FloatArray, column: FloatArray) -> FloatArray:
    """Return values between pixels; NaN outside the outermost pixel centres.

    A picometre beyond the edge counts as the edge.
    """
    rows, columns = layer.shape
    slack = 1e-6
    outside = (row < -slack) | (row > rows - 1 + slack)
    outside |= (column < -slack) | (column > columns - 1 + slack)
    outside |= np.isnan(row) | np.isnan(column)
    r = np.clip(np.where(outside, 0, row), 0, rows - 1)
    c = np.clip(np.where(outside, 0, column), 0, columns - 1)
    i = np.minimum(r.astype(int), rows - 2)
    j = np.minimum(c.astype(int), columns - 2)
    u, v = r - i, c - j
    low = layer[i, j] * (1 - v) + layer[i, j + 1] * v
    high = layer[i + 1, j] * (1 - v) + layer[i + 1, j + 1] * v
    values: FloatArray = np.where(outside, np.nan, low * (1 - u) + high * u)
    return values
