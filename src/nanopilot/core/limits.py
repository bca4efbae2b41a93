"""Limits, budgets, and what a request would violate or cost."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from nanopilot.core.units import Bias, Duration, Length
from nanopilot.core.values import Value


class Range(Value):
    """An interval that a parameter must stay in, ends included."""

    low: float
    high: float
    unit: str

    def holds(self, value: float) -> bool:
        """Tell whether the value may be set; NaN may not."""
        return self.low <= value <= self.high


class Area(Value):
    """A rectangle on the sample in metres, edges included."""

    x: tuple[Length, Length]
    y: tuple[Length, Length]

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the area, (x, y) in metres."""
        return sum(self.x) / 2, sum(self.y) / 2

    def holds(self, position: tuple[float, float], slack: float = 1e-12) -> bool:
        """Tell whether (x, y) lies inside; `slack` (m) forgives rounding of the edges."""
        return (
            self.x[0] - slack <= position[0] <= self.x[1] + slack
            and self.y[0] - slack <= position[1] <= self.y[1] + slack
        )


class Limits(Value):
    """Absolute limits the guard holds every request against; None: no limit set.

    Parameters
    ----------
    area : Area, optional
        Where the tip or beam may go.
    bias : Range, optional
        Voltages that may be applied: at rest, in a sweep, or in a pulse.
    dwell_time : Range, optional
        Seconds per pixel.
    max_pixels : int, optional
        Pixels of one frame.
    parameters : dict of str to Range
        By parameter key, such as ``{"Stage.x": ...}``; beside what the instrument accepts.
    rates : dict of str to float
        By parameter key: largest change per second.
    excursions : dict of str to float
        By parameter key: how far from its value at the beginning of a run.
    """

    area: Area | None = None
    bias: Range | None = None
    dwell_time: Range | None = None
    max_pixels: int | None = Field(default=None, ge=1)
    parameters: dict[str, Range] = {}
    rates: dict[str, float] = {}
    excursions: dict[str, float] = {}


class PlaceBudget(Value):
    """What every place of the sample may be given in all; None: unlimited.

    Parameters
    ----------
    cell : float
        Edge of the squares the sample is divided into, in metres.
    dose : float, optional
        Electrons per square metre.
    bias_seconds : float, optional
        Seconds under bias.
    wear : float, optional
        Metres the tip travels in contact there.
    """

    cell: Length = Field(default=10e-9, gt=0)
    dose: float | None = Field(default=None, ge=0)
    bias_seconds: Duration | None = Field(default=None, ge=0)
    wear: Length | None = Field(default=None, ge=0)


class Budget(Value):
    """What one run may spend in all; None: unlimited.

    Parameters
    ----------
    spectra, frames : int, optional
        How many.
    seconds : float, optional
        On the instrument's clock.
    electrons : float, optional
        Onto the sample.
    bias_seconds : float, optional
        Seconds under bias.
    wear : float, optional
        Metres the tip travels in contact.
    place : PlaceBudget, optional
        What each place may be given.
    """

    spectra: int | None = Field(default=None, ge=0)
    frames: int | None = Field(default=None, ge=0)
    seconds: Duration | None = Field(default=None, ge=0)
    electrons: float | None = Field(default=None, ge=0)
    bias_seconds: Duration | None = Field(default=None, ge=0)
    wear: Length | None = Field(default=None, ge=0)
    place: PlaceBudget | None = None


class Spent(Value):
    """What has been spent so far, counted by the guard when a request is let through."""

    spectra: int = 0
    frames: int = 0
    seconds: float = 0.0
    electrons: float = 0.0
    bias_seconds: float = 0.0
    wear: float = 0.0

    def plus(self, estimate: Estimate) -> Spent:
        """Return the sum with one more request."""
        return Spent(
            spectra=self.spectra + estimate.spectra,
            frames=self.frames + estimate.frames,
            seconds=self.seconds + estimate.seconds,
            electrons=self.electrons + estimate.electrons,
            bias_seconds=self.bias_seconds + estimate.bias_seconds,
            wear=self.wear + estimate.wear,
        )


class Estimate(Value):
    """What a request will cost, told before it is carried out.

    Parameters
    ----------
    seconds : float
        On the instrument's clock.
    spectra, frames, bytes : int
        How much will be measured.
    electrons : float
        Onto the sample, in all.
    bias_seconds : float
        Seconds under bias.
    wear : float
        Metres the tip travels in contact.
    """

    seconds: float
    spectra: int = 0
    frames: int = 0
    bytes: int = 0
    electrons: float = 0.0
    bias_seconds: float = 0.0
    wear: float = 0.0


class Violation(Value):
    """One reason why a request is refused, with the way out."""

    parameter: str
    message: str
    kind: Literal["limit", "budget", "unsupported", "interlock", "command", "stopped"] = "limit"

    @classmethod
    def unsupported(cls, parameter: str, asked: str) -> Self:
        """Return the violation of asking for something the instrument does not have."""
        message = f"`{parameter}` asks for {asked}."
        return cls(parameter=parameter, message=message, kind="unsupported")


def no_grid(position: tuple[float, float] | None) -> list[Violation]:
    """List the violation of asking a camera for a place that it cannot send the beam to."""
    if position is None:
        return []
    return [Violation.unsupported("position", "patterns at a place; this camera takes them where "
                                  "the beam rests")]  # fmt: skip


class Sweep(Value):
    """The bias an instrument applies during a spectrum unless told otherwise."""

    low: Bias
    high: Bias
    points: int
