"""A measured topography as a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field
from scipy.ndimage import map_coordinates

from nanopilot.core.errors import InvalidRequest, OutOfRange, SignalError
from nanopilot.core.units import Length
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid, Recipe


class Measured(Recipe):
    """What a microscope has measured, taken for the truth.

    The heights are as broad as the tip that measured them, and as noisy as the instrument.

    Parameters
    ----------
    height : numpy.ndarray
        Shape (rows, columns), row 0 at the lowest y; metres, or anything if `relief` is given.
    pitch : float, optional
        Metres from pixel to pixel; without it `size_m` says how wide the topography is.
    relief : float, optional
        Highest minus lowest place in metres: stretches heights that have no unit.
    levelled : bool
        Take away the least-squares plane, which is the tilt of the sample in the instrument.
    layers : mapping of str to numpy.ndarray
        Other channels, shape as `height`.
    meaning : mapping of str to (str, str)
        Quantity and SI unit of each of them.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    height: np.ndarray[Any, Any]
    pitch: Length | None = Field(default=None, gt=0)
    relief: Length | None = Field(default=None, gt=0, le=1e-4)
    levelled: bool = True
    layers: Mapping[str, Any] = {}
    meaning: Mapping[str, tuple[str, str]] = {}

    def natural(self) -> dict[str, Any]:
        """Return the grid it was measured on; how wide that is only where `pitch` says it."""
        if self.height.ndim != 2 or min(self.height.shape) < 2:
            raise SignalError(
                f"`height` has shape {self.height.shape}; a topography is (rows, columns)."
            )
        rows, columns = self.height.shape
        grid: dict[str, Any] = {"rows": rows, "columns": columns}
        return grid if self.pitch is None else grid | {"size": self.pitch * (columns - 1)}

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return the middle of the topography on a grid, by cubic splines."""
        bad = np.count_nonzero(~np.isfinite(self.height))
        if bad:
            raise SignalError(
                f"`height` has {bad} values that are no numbers; fill or crop them first."
            )
        height = np.asarray(self.height, dtype=np.float64)
        if self.levelled:
            height = _levelled(height)
        if self.relief is not None:
            if not np.ptp(height):
                raise SignalError("`height` is flat; it cannot be stretched to a `relief`.")
            height = (height - height.min()) * (self.relief / np.ptp(height))
        elif np.ptp(height) > 1e-4:
            raise InvalidRequest(
                f"`height` spans {np.ptp(height):.4g} m; if it is not in metres, give its `relief`."
            )
        at = self._places(grid)
        layers = {name: _resampled(np.asarray(one), at) for name, one in self.layers.items()}
        facts = {"levelled": self.levelled, "measured_shape": list(self.height.shape)}
        return Sample(
            name="measured",
            height=_resampled(height, at),
            pitch=grid.pitch,
            layers=layers,
            meaning=dict(self.meaning),
            facts=facts,
        )

    def _places(self, grid: Grid) -> tuple[FloatArray, FloatArray] | None:
        """Return fractional (rows, columns) of a grid's pixels; None: as measured."""
        own = self.height.shape
        pitch = self.pitch or grid.size / (own[1] - 1)
        steps = grid.pitch / pitch
        if grid.shape == own and abs(steps - 1) < 1e-9:
            return None
        for axis, (wanted, there) in enumerate(zip(grid.shape, own, strict=True)):
            if (wanted - 1) * steps > (there - 1) * (1 + 1e-9):
                raise OutOfRange(
                    f"`size_m` asks for {(wanted - 1) * grid.pitch:.4g} m along "
                    f"{'yx'[axis]}; the topography is {(there - 1) * pitch:.4g} m."
                )
        along = [
            np.clip(steps * (np.arange(wanted) - (wanted - 1) / 2) + (there - 1) / 2, 0, there - 1)
            for wanted, there in zip(grid.shape, own, strict=True)
        ]
        rows, columns = np.meshgrid(*along, indexing="ij")
        return rows, columns


def _levelled(height: FloatArray) -> FloatArray:
    """Take away the least-squares plane; on a grid its axes are independent of one another."""
    y, x = (np.linspace(-1, 1, n) for n in height.shape)
    by_y = (height * y[:, None]).mean() / np.mean(y**2)
    by_x = (height * x[None, :]).mean() / np.mean(x**2)
    level: FloatArray = height - height.mean() - by_y * y[:, None] - by_x * x[None, :]
    return level


def _resampled(values: FloatArray, at: tuple[FloatArray, FloatArray] | None) -> FloatArray:
    if at is None:
        return np.ascontiguousarray(values, dtype=np.float64)
    finer: FloatArray = map_coordinates(values.astype(np.float64), at, order=3, mode="nearest")
    return finer
