"""`NionInstrument`: a Nion STEM, by way of the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from nanopilot.core.capabilities import CapabilityT, Closable, Instrument
from nanopilot.core.clock import Clock, RealClock
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import InvalidRequest, MissingExtra
from nanopilot.core.parameters import State
from nanopilot.core.parts import find_part
from nanopilot.instruments.nion.camera import CAMERAS, NionCamera
from nanopilot.instruments.nion.controls import NAMES, controls
from nanopilot.instruments.nion.link import Link, WorkerLink
from nanopilot.instruments.nion.microscope import SAMPLES
from nanopilot.instruments.nion.panel import Panel
from nanopilot.instruments.nion.part import Bench
from nanopilot.instruments.nion.scanner import NionScanner
from nanopilot.instruments.nion.spectroscopy import NionSpectroscopy

_PACKAGES = ("nionswift-instrumentation", "nionswift-usim")
_NOTICE = (
    "This is Nion's own simulator, driven as Nion Swift drives a microscope; the driver has not "
    "been tried on hardware. Its scan image knows neither focus nor blanking; its ronchigram does."
)


class NionInstrument:
    """Scan, ronchigrams, energy-loss spectra and controls of a Nion STEM.

    What there is, it reads from the microscope when it connects; a control that the microscope
    does not have is not offered.

    Parameters
    ----------
    dial : callable
        Opens a line to a microscope.
    clock : Clock
        Of the instrument; a real one.
    name : str
        What it is called.

    Raises
    ------
    LinkLost
        Nobody answers on the line.
    """

    def __init__(self, dial: Callable[[], Link], clock: Clock, *, name: str = "nion") -> None:
        self.clock = clock
        self._name = name
        self._dial = dial
        self._link = dial()
        facts: Mapping[str, Any] = self._link.call("facts", controls=list(NAMES))
        self._panel = Panel(lambda: self._link, controls(facts), clock)
        bench = Bench(name, lambda: self._link, facts, self._panel, clock)
        self._bench = bench
        self._scanner = NionScanner(bench)
        self._spectroscopy = NionSpectroscopy(bench)
        self._parts: dict[str, object] = {
            "Scanner": self._scanner,
            "PointSpectroscopy": self._spectroscopy,
            "Camera": NionCamera(bench),
        } | self._panel.knobs()

    @property
    def name(self) -> str:
        """What the instrument is called."""
        return self._name

    def describe(self) -> InstrumentDescription:
        """Return what it is and can do."""
        mode = self._spectroscopy.mode()
        return InstrumentDescription(
            name=self._name,
            kind="instrument",
            capabilities=tuple(self._parts),
            area=self._bench.area,
            scan_channels=self._scanner.channels,
            spectrum_channels=mode.channels,
            grid=(256, 256),
            parameters=self._panel.parameters,
            spectra=(mode,),
            cameras=CAMERAS,
            notice=_NOTICE,
            units=dict.fromkeys(self._scanner.channels, "1")
            | dict.fromkeys((*mode.channels, *CAMERAS), "counts"),
        )

    def state(self) -> State:
        """Read every parameter from the microscope."""
        return self._panel.state()

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the part that has a capability."""
        return find_part(self._name, self._parts, kind, own={Closable: self})

    def reconnect(self) -> State:
        """End the line, open a new one, and return how the microscope stands now.

        A simulator that was killed begins anew, as it was when it was first started.
        """
        self._link.close()
        self._link = self._dial()
        return self.state()

    def close(self) -> None:
        """End the line and the worker; a second time does nothing."""
        self._link.close()


def nion(sample: str = "flake", *, name: str = "nion") -> Instrument:
    """Return Nion's simulated STEM as an instrument; it runs in a process of its own.

    Parameters
    ----------
    sample : {"flake", "amorphous", "gold"}
        What lies in it: rectangular flakes of nickel, germanium and silicon; amorphous carbon;
        gold particles on amorphous carbon (slow to compute).
    name : str
        What the instrument is called.

    Raises
    ------
    MissingExtra
        Nion's packages are not installed.
    InvalidRequest
        There is no such sample.
    """
    if sample not in SAMPLES:
        raise InvalidRequest(f"`sample` is {sample!r}; it may be {', '.join(SAMPLES)}.")
    for package in _PACKAGES:
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError as cause:
            raise MissingExtra(
                f"`nion` needs {package}, which is not installed: pip install 'nanopilot[nion]'"
            ) from cause
    return NionInstrument(lambda: WorkerLink(sample), RealClock(), name=name)
