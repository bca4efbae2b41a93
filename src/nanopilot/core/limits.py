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
        Voltages that may be applied.
    dwell_time : Range, optional
        Seconds per pixel.
    max_pixels : int, optional
        Pixels of one frame.
    """

    area: Area | None = None
    bias: Range | None = None
    dwell_time: Range | None = None
    max_pixels: int | None = Field(default=None, ge=1)


class Budget(Value):
    """What one run may spend in all; None: unlimited."""

    spectra: int | None = Field(default=None, ge=0)
    seconds: Duration | None = Field(default=None, ge=0)


class Spent(Value):
    """What has been spent so far, counted by the guard when a request is let through."""

    spectra: int = 0
    frames: int = 0
    seconds: float = 0.0

    def plus(self, estimate: Estimate) -> Spent:
        """Return the sum with one more request."""
        return Spent(
            spectra=self.spectra + estimate.spectra,
            frames=self.frames + estimate.frames,
            seconds=self.seconds + estimate.seconds,
        )


class Estimate(Value):
    """What a request will cost, told before it is carried out."""

    seconds: float
    spectra: int = 0
    frames: int = 0
    bytes: int = 0
    bias_seconds: float = 0.0


class Violation(Value):
    """One reason why a request is refused, with the way out."""

    parameter: str
    message: str
    kind: Literal["limit", "budget", "unsupported"] = "limit"

    @classmethod
    def unsupported(cls, parameter: str, asked: str) -> Self:
        """Return the violation of asking for something the instrument does not have."""
        message = f"`{parameter}` asks for {asked}."
        return cls(parameter=parameter, message=message, kind="unsupported")


class Sweep(Value):
    """The bias an instrument applies during a spectrum unless told otherwise."""

    low: Bias
    high: Bias
    points: int
