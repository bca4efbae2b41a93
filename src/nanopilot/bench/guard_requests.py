"""What is thrown at the guard in the `guard` track: commands of every kind, good and bad."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from nanopilot.core.parameters import Parameter
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest, WriteRequest


class _Lying(float):
    """A number that says it is within whatever it is compared with."""

    def __le__(self, other: object) -> bool:
        return True

    def __ge__(self, other: object) -> bool:
        return True

    def __lt__(self, other: object) -> bool:
        return True

    def __gt__(self, other: object) -> bool:
        return True


class _Rude:
    """An object that cannot even be printed."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __float__(self) -> float:
        raise RuntimeError("no")


#: Never legal for any parameter.
STRANGE: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, 1e308, -1e308, 10**400, "5", "5 nm", "", None, True, False,
    [1.0], (0.0,), {}, {"x": 1}, 1j, b"1", object(), _Rude(), _Lying(1e9), _Lying(math.nan),
    np.float64(math.nan), np.float32(math.inf), np.array([1.0, 2.0]), np.bool_(True),
    Decimal(1), lambda: 1.0, float,
)  # fmt: skip

_SHAPES = ((1, 1), (8, 8), (64, 64), (65, 65), (10**9, 10**9), (2**62, 2**62), (4096, 1))


@dataclass
class Requests:
    """Draws commands, one after the other.

    Parameters
    ----------
    rng : numpy.random.Generator
        Chooses.
    parameters : tuple of Parameter
        Of the instrument.
    """

    rng: np.random.Generator
    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        self._makers: tuple[Callable[[], tuple[str, Any]], ...] = (
            self._set, self._set, self._set, self._set, self._set, self._set, self._switch,
            self._switch, self._scan, self._spectrum, self._camera, self._write, self._unchecked,
        )  # fmt: skip

    def draw(self) -> tuple[str, Any]:
        """Return a capability and what it is asked: values by name, or a request."""
        return self._makers[int(self.rng.integers(len(self._makers)))]()

    def _set(self) -> tuple[str, Any]:
        one = self._any_of(self.parameters)
        values = {one.name: self._value(one)}
        if self.rng.random() < 0.2:
            others = [two for two in self.parameters if two.capability == one.capability]
            other = self._any_of(others)
            values[other.name] = self._value(other)
        if self.rng.random() < 0.02:
            values[self._any_of(("", "X", "truth", "__class__", "x" * 1000))] = 0.0
        return one.capability, values

    def _switch(self) -> tuple[str, Any]:
        one = self._any_of([one for one in self.parameters if one.switch])
        return one.capability, {one.name: self._any_of((0, 1, 0.0, 1.0, 0.5, 2, -1))}

    def _value(self, one: Parameter) -> Any:
        if self.rng.random() < 0.15:
            return self._any_of(STRANGE)
        low, high = (-1.0, 1.0) if one.limits is None else (one.limits.low, one.limits.high)
        if one.switch:
            return float(self.rng.integers(2))
        reach = self._any_of((1e-3, 1e-2, 0.1, 0.5, 1.0, 1.5, 10.0))
        return float(low + (high - low) * (0.5 + reach * self.rng.uniform(-0.5, 0.5)))

    def _place(self) -> tuple[float, float]:
        reach = self._any_of((0.3e-6, 0.8e-6, 1.2e-6, 1e-3))
        x, y = (float(one) for one in self.rng.uniform(-reach, reach, 2))
        return (self._odd(x), self._odd(y))

    def _odd(self, value: float) -> float:
        if self.rng.random() > 0.04:
            return value
        return float(self._any_of((math.nan, math.inf, -math.inf, 1e308, -0.0)))

    def _size(self) -> tuple[float, float]:
        return (self._odd(self._any_of((0.0, 1e-7, 5e-7))), self._odd(self._any_of((1e-7, 3e-6))))

    def _scan(self) -> tuple[str, Any]:
        settings: dict[str, Any] = {
            "centre": self._place(),
            "field_of_view": self._size(),
            "shape": self._any_of(_SHAPES),
            "rotation": self._odd(float(self.rng.uniform(-7, 7))),
            "dwell_time": self._odd(self._any_of((1e-3, 1e-5, 2e-7, 1.0))),
        }
        if self.rng.random() < 0.2:
            points = tuple(self._place() for _ in range(int(self.rng.integers(1, 5))))
            settings |= {"order": "points", "points": points}
        return "Scanner", self._built(ScanRequest, settings)

    def _spectrum(self) -> tuple[str, Any]:
        settings: dict[str, Any] = {"position": self._place(), "kind": "bias"}
        if self.rng.random() < 0.6:
            top = self._any_of((1.0, 4.9, 5.5, 1e3))
            settings["bias"] = (0.0, self._odd(top), 0.0)
        if self.rng.random() < 0.3:
            settings |= {"shape": self._any_of(_SHAPES), "field_of_view": self._size()}
        return "PointSpectroscopy", self._built(SpectrumRequest, settings)

    def _camera(self) -> tuple[str, Any]:
        frames = self._any_of((1, 2, 10, 10**12))
        settings = {"exposure": self._any_of((0.1, math.inf, 1.0)), "frames": frames}
        return "Camera", self._built(CameraRequest, settings)

    def _write(self) -> tuple[str, Any]:
        settings = {
            "points": tuple(self._place() for _ in range(int(self.rng.integers(1, 4)))),
            "bias": (self._odd(self._any_of((3.0, -4.0, 5.1, 40.0))),),
            "duration": self._any_of((1e-3, 1.0, math.inf)),
        }
        return "BiasWriter", self._built(WriteRequest, settings)

    def _built(self, kind: Any, settings: dict[str, Any]) -> Any:
        """Build a request with its checks; one that does not pass them, without."""
        try:
            return kind(**settings)
        except ValueError:
            return kind.model_construct(**settings)

    def _unchecked(self) -> tuple[str, Any]:
        """Return a request that was never checked, or nothing like one."""
        capability, good = self._any_of((self._scan, self._spectrum, self._camera, self._write))()
        way = int(self.rng.integers(5))
        fields = list(type(good).model_fields)
        wrong = {self._any_of(fields): self._any_of(STRANGE)}
        if way == 0:
            return capability, good.model_copy(update=wrong)
        if way == 1:
            return capability, type(good).model_construct(**wrong)
        if way == 2:
            return capability, object.__new__(type(good))
        if way == 3:
            return capability, self._any_of(STRANGE)
        return self._any_of(("Scanner", "Camera", "BiasWriter", "PointSpectroscopy")), good

    def _any_of(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]
