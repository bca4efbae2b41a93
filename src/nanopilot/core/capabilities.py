"""Capability protocols: what an instrument may be able to do, each asked for by type.

An instrument measures (`Scanner`, `PointSpectroscopy`, `Camera`, `BiasWriter`) and is adjusted
(`nanopilot.core.adjustables`). Every capability is optional, and one that is missing raises
`Unsupported`: nothing silently passes, nothing invents a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

from nanopilot.core.clock import Clock
from nanopilot.core.description import InstrumentDescription, SpectrumMode
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.memory import Memory
from nanopilot.core.parameters import State
from nanopilot.core.requests import (
    CameraRequest,
    Request,
    ScanRequest,
    SpectrumRequest,
    WriteRequest,
)
from nanopilot.core.signals import SignalSet

__all__ = [
    "MEASURING",
    "Acquisition",
    "BiasWriter",
    "Camera",
    "Closable",
    "Instrument",
    "InstrumentDescription",
    "Measuring",
    "PointSpectroscopy",
    "Restorable",
    "Scanner",
    "SpectrumMode",
]

CapabilityT = TypeVar("CapabilityT")
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)


class Acquisition(Protocol):
    """A measurement in progress: iterate over its blocks, or wait for the result."""

    @property
    def progress(self) -> float:
        """Fraction done, 0 to 1."""

    def __iter__(self) -> Iterator[SignalSet]:
        """Yield blocks of lines (or spectra, or patterns) as they are measured.

        Raises
        ------
        LinkLost
            The line went down; what came before stays in `result`.
        """

    def abort(self) -> None:
        """Stop measuring; what has been measured stays available. Any thread may call it."""

    def result(self) -> SignalSet:
        """Wait for the end and return what was measured, NaN where it was not."""


class Measuring(Protocol[RequestT_contra]):
    """What all capabilities that measure have in common."""

    def validate(self, request: RequestT_contra) -> list[Violation]:
        """List every reason why the request cannot be carried out; moves nothing."""

    def estimate(self, request: RequestT_contra) -> Estimate:
        """Return what the request will cost; moves nothing."""

    def start(self, request: RequestT_contra) -> Acquisition:
        """Begin to measure."""

    def stop(self) -> None:
        """Drop the measurement in progress; any thread may call it, any time."""


class Scanner(Measuring[ScanRequest], Protocol):
    """Records frames: every detector asked for at once, trace and retrace, dims (y, x)."""


class PointSpectroscopy(Measuring[SpectrumRequest], Protocol):
    """Records spectra at a place, or on a grid of places.

    Dims (bias,), (energy,), (frequency,) or (time,); a force curve has (time,) with the
    coordinate ``z``. On a grid (y, x) come first.
    """


class Camera(Measuring[CameraRequest], Protocol):
    """Records diffraction patterns, dims (ky, kx), or images, dims (y, x); frames first.

    At every place of a grid patterns have dims (y, x, ky, kx).
    """


class BiasWriter(Measuring[WriteRequest], Protocol):
    """Writes with the tip under bias; returns what was applied where and when, dims (point,)."""


#: By name: the capabilities that measure, and what they are asked with.
MEASURING: dict[str, tuple[type[Measuring[Any]], type[Request]]] = {
    "Scanner": (Scanner, ScanRequest),
    "PointSpectroscopy": (PointSpectroscopy, SpectrumRequest),
    "Camera": (Camera, CameraRequest),
    "BiasWriter": (BiasWriter, WriteRequest),
}


class Restorable(Protocol):
    """Lives in this process and can become again what a run had made of it; for twins.

    A real instrument keeps its state while the run is dead and does not have this. A twin that
    is newly made and given a memory goes on as the one would have that gave it: to the last bit.
    """

    def memory(self) -> Memory:
        """Return what a newly made twin does not know; asked at every step, so do not copy."""

    def restore(
        self, time: float, position: tuple[float, float], memory: Memory | None = None
    ) -> None:
        """Set the clock (s) to what it was, and everything to what the memory says.

        Without a memory (of a run that kept none) only the position (x, y in metres) is known.
        The layers of a memory are the twin's to keep.
        """


class Closable(Protocol):
    """Holds a line, a process or a lease that is given back at the end; for drivers."""

    def close(self) -> None:
        """Give it back; a second time does nothing."""


class Instrument(Protocol):
    """Anything that can be measured with: a twin, a recording, a vendor's controller."""

    @property
    def name(self) -> str:
        """What the instrument is called."""

    @property
    def clock(self) -> Clock:
        """The time it runs on: virtual for a twin, real for an instrument."""

    def describe(self) -> InstrumentDescription:
        """Return what it is, has and can do."""

    def state(self) -> State:
        """Read every parameter from the instrument; say when."""

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the instrument's part that has this capability.

        Raises
        ------
        Unsupported
            The instrument does not have it.
        """
