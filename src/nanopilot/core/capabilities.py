"""Capability protocols: what an instrument may be able to do, each asked for by type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

from nanopilot.core.clock import Clock
from nanopilot.core.limits import Area, Estimate, Sweep, Violation
from nanopilot.core.requests import ScanRequest, SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.core.values import Value

CapabilityT = TypeVar("CapabilityT")


class InstrumentDescription(Value):
    """What a client, a console and a language model see of an instrument.

    Parameters
    ----------
    name, kind : str
        Which one it is, and what: ``"replay"``, ``"twin"``, ``"instrument"``.
    capabilities : tuple of str
        Names of the capability protocols it has.
    area : Area
        Where it can measure.
    scan_channels, spectrum_channels : tuple of str
        Detectors of frames and of spectra.
    directions : tuple of str
        Scan directions it records.
    grid : (int, int)
        Rows and columns of its natural pixel grid over `area`.
    sweep : Sweep, optional
        Bias of its own spectra.
    state : dict
        Further read-only facts, such as what is known to be wrong with a recording.
    """

    name: str
    kind: str
    capabilities: tuple[str, ...]
    area: Area
    scan_channels: tuple[str, ...] = ()
    spectrum_channels: tuple[str, ...] = ()
    directions: tuple[str, ...] = ("trace",)
    grid: tuple[int, int] = (1, 1)
    sweep: Sweep | None = None
    state: dict[str, str | float | int | bool] = {}


class Acquisition(Protocol):
    """A measurement in progress: iterate over its blocks, or wait for the result."""

    @property
    def progress(self) -> float:
        """Fraction done, 0 to 1."""

    def __iter__(self) -> Iterator[SignalSet]:
        """Yield blocks of lines (or spectra) as they are measured."""

    def abort(self) -> None:
        """Stop measuring; what has been measured stays available."""

    def result(self) -> SignalSet:
        """Wait for the end and return what was measured, NaN where it was not."""


class Scanner(Protocol):
    """Records frames."""

    def validate(self, request: ScanRequest) -> list[Violation]:
        """List every reason why the request cannot be carried out."""

    def estimate(self, request: ScanRequest) -> Estimate:
        """Return what the request will cost."""

    def start(self, request: ScanRequest) -> Acquisition:
        """Begin to measure."""

    def stop(self) -> None:
        """Drop the scan in progress; any thread may call it, any time."""


class PointSpectroscopy(Protocol):
    """Records spectra at chosen places."""

    def validate(self, request: SpectrumRequest) -> list[Violation]:
        """List every reason why the request cannot be carried out."""

    def estimate(self, request: SpectrumRequest) -> Estimate:
        """Return what the request will cost."""

    def start(self, request: SpectrumRequest) -> Acquisition:
        """Begin to measure."""

    def stop(self) -> None:
        """Drop the spectrum in progress; any thread may call it, any time."""


class Restorable(Protocol):
    """Lives in this process and can go back to where a run left it; for twins.

    A real instrument keeps its state while the run is dead and does not have this.
    """

    def restore(self, time: float, position: tuple[float, float]) -> None:
        """Set clock (s) and position (x, y in metres) to what they were."""


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

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the instrument's part that has this capability.

        Raises
        ------
        Unsupported
            The instrument does not have it.
        """
