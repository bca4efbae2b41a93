"""What comes out of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nanopilot.analysis.surface_statistics import profile_spectrum
from nanopilot.core.values import Value
from nanopilot.twins.spm import Sample, SpmSettings
from nanopilot.workflows.estimates import Estimates
from nanopilot.workflows.fit_twin.gap import Gap
from nanopilot.workflows.fit_twin.scans import FloatArray, Scan

Surface = Literal["synthetic", "measured"]


class SurfaceFacts(Value):
    """Statistics of a surface, noise and lag taken away.

    Parameters
    ----------
    rms, skewness, excess_kurtosis : float
        Of its levelled heights; metres for the first.
    hurst, correlation_length : float
        Of the self-affine spectrum that fits best: settings of the sample family ``rough``.
    misfit : float
        Decades that spectrum is off by.
    """

    rms: float
    skewness: float
    excess_kurtosis: float
    hurst: float
    correlation_length: float
    misfit: float


class ScanReport(Value):
    """What one scan said, and how far twins are from it.

    Parameters
    ----------
    scan : str
        Name of the file.
    estimates : dict of str to Estimate
        Of this scan alone.
    surface : SurfaceFacts
        Below it.
    fitted, default, default_instrument : Gap
        Of the fitted twin on the fitted surface; of a twin with nothing said; and of an
        instrument with nothing said on the fitted surface, which tells what of the difference is
        the instrument's.
    """

    scan: str
    estimates: Estimates
    surface: SurfaceFacts
    fitted: Gap
    default: Gap
    default_instrument: Gap


class FitReport(Value):
    """What came out of a fit, as JSON.

    Parameters
    ----------
    settings : SpmSettings
        The twin.
    estimates : dict of str to Estimate
        Of all scans together.
    scans : tuple of ScanReport
        One by one.
    surface : {"synthetic", "measured"}
        What the twin was judged on.
    seed : int
        Of everything random.
    """

    settings: SpmSettings
    estimates: Estimates
    scans: tuple[ScanReport, ...]
    surface: Surface
    seed: int

    @property
    def closer(self) -> bool:
        """Whether the fitted twin is closer than the default one to every scan, in every way."""
        return all(one.fitted.smaller_than(one.default) for one in self.scans)


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Pictures of one scan: real, of the fitted twin, and of the default one.

    Parameters
    ----------
    scan : Scan
        The real one.
    real, fitted, default, default_instrument : numpy.ndarray
        Heights in metres, levelled, shape (lines, columns).
    """

    scan: Scan
    real: FloatArray
    fitted: FloatArray
    default: FloatArray
    default_instrument: FloatArray

    def spectra(self, axis: int) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Return wave numbers (1/m) and power densities (m² m) of profiles along an axis."""
        shown = {"real": self.real, "fitted twin": self.fitted, "default twin": self.default}
        return {name: profile_spectrum(one, self.scan.pitch, axis) for name, one in shown.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fit with what is too large for its report.

    Parameters
    ----------
    report : FitReport
        Numbers.
    samples : tuple of Sample
        The fitted surface of every scan.
    pictures : tuple of Compared
        Of every scan.
    """

    report: FitReport
    samples: tuple[Sample, ...]
    pictures: tuple[Compared, ...]
