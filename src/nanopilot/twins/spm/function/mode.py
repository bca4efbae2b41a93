"""What every kind of spectrum has: channels, settings, an axis, a cost, and values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nanopilot.core.limits import Range
from nanopilot.core.parameters import Parameter
from nanopilot.core.requests import SpectrumKind
from nanopilot.core.signals import Axis
from nanopilot.twins.spm.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Setting:
    """One of `SpectrumRequest.parameters`, and what it is if nobody says.

    Parameters
    ----------
    name, quantity, unit : str
        As in `Parameter`.
    span : (float, float)
        Least and largest.
    default : float
        If it is not given.
    step : float
        1 where only whole numbers will do.
    """

    name: str
    quantity: str
    unit: str
    span: tuple[float, float]
    default: float
    step: float = 0.0

    @property
    def declared(self) -> Parameter:
        """The same for `SpectrumMode.parameters`."""
        return Parameter(
            capability="PointSpectroscopy", name=self.name, quantity=self.quantity,
            unit=self.unit, step=self.step,
            limits=Range(low=self.span[0], high=self.span[1], unit=self.unit),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One spectrum at one place.

    Parameters
    ----------
    place : (float, float)
        Where the tip really is, (x, y) in metres.
    axis : numpy.ndarray
        Of the spectrum, shape (n,).
    values : mapping of str to float
        Every setting of the mode.
    """

    place: tuple[float, float]
    axis: FloatArray
    values: Mapping[str, float]

    @property
    def xy(self) -> tuple[FloatArray, FloatArray]:
        """The place as two arrays of shape (1,)."""
        return np.array([self.place[0]]), np.array([self.place[1]])


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one spectrum, and how many of them are under bias."""

    seconds: float
    bias_seconds: float = 0.0


class Mode(Protocol):
    """One kind of spectrum; what it does to the sample stays done."""

    @property
    def kind(self) -> SpectrumKind:
        """By which it is asked for."""

    @property
    def dim(self) -> str:
        """Of the axis; one of the kinds sweeps what the axis is."""

    def channels(self, world: World) -> dict[str, tuple[str, str]]:
        """Return quantity and unit of every channel; nothing: the mode is not there."""

    def settings(self, world: World) -> tuple[Setting, ...]:
        """Return what can be chosen."""

    def axis(self, world: World, values: Mapping[str, float]) -> Axis:
        """Return the instrument's own axis with these settings."""

    def along(self, axis: FloatArray, values: Mapping[str, float]) -> dict[str, Axis]:
        """Return further coordinates along the axis, by name."""

    def cost(self, axis: FloatArray, values: Mapping[str, float]) -> Cost:
        """Return what one spectrum costs."""

    def take(self, world: World, asked: Asked, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Return every channel, each with shape (n,)."""
