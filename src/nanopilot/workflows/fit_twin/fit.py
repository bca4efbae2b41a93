"""Fit a twin to real scans, and say what is left between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import kurtosis, skew

from nanopilot.analysis.surface_statistics import levelled, self_affine_fit
from nanopilot.analysis.tip.blind import blind_tip
from nanopilot.core.errors import InvalidRequest, OutOfRange, SignalError
from nanopilot.twins.spm import Sample, SpmSettings
from nanopilot.twins.spm.samples import family
from nanopilot.workflows.estimates import Estimate
from nanopilot.workflows.fit_twin.estimates import estimate
from nanopilot.workflows.fit_twin.gap import gap_between, scanned
from nanopilot.workflows.fit_twin.pool import pooled, settings_of
from nanopilot.workflows.fit_twin.report import (
    Compared,
    FitReport,
    Fitted,
    ScanReport,
    Surface,
    SurfaceFacts,
)
from nanopilot.workflows.fit_twin.scans import FloatArray, Scan
from nanopilot.workflows.fit_twin.surface import FINER, alike, cleaned, followed, sample_from

Progress = Callable[[int, int, str], None]

#: Pixels from the apex to the edge of the tip that is looked for.
_TIP = 8
#: Random streams of a fit; a purpose keeps its number for ever.
_DEFAULT_SAMPLE, _ALIKE = 0, 1


def fit_twin(
    scans: Sequence[Scan],
    *,
    seed: int = 0,
    surface: Surface = "synthetic",
    progress: Progress = lambda done, total, text: None,
) -> Fitted:
    """Estimate an instrument from its scans, and compare the twin with them.

    Parameters
    ----------
    scans : sequence of Scan
        Of one instrument with one tip, set alike.
    seed : int
        Of surfaces and noise; the real scans' estimates do not depend on it.
    surface : {"synthetic", "measured"}
        What the twin is judged on: a random surface with the spectrum and the heights of the
        measured one, or the measured one itself, noise and lag taken away. The second is easier:
        the twin then only has to add what the instrument does.
    progress : callable
        Told how many steps are done, of how many, and which is next.

    Raises
    ------
    InvalidRequest
        There is no scan, or they hold different signals.
    SignalError
        A scan is flat.
    """
    _check(scans)
    total = 3 * len(scans)
    each = []
    for number, scan in enumerate(scans):
        progress(number, total, f"measuring {scan.name}")
        each.append(estimate(scan))
    first = settings_of(pooled(each), scans)
    clean = [cleaned(scan, first) for scan in scans]
    for number, scan in enumerate(scans):
        progress(len(scans) + number, total, f"tip of {scan.name}")
        taken = followed(scan, first.loop.integral) - clean[number]
        each[number]["tip.radius"] = tip_bound(clean[number], scan.pitch, float(taken.std()))
    together = pooled(each)
    settings = settings_of(together, scans)
    reports, samples, pictures = [], [], []
    for number, scan in enumerate(scans):
        progress(2 * len(scans) + number, total, f"comparing {scan.name}")
        rng = np.random.default_rng([seed, _ALIKE, number])
        below = alike(clean[number], rng) if surface == "synthetic" else clean[number]
        samples.append(sample_from(below, scan, settings))
        shown = _compare(scan, samples[-1], settings, seed)
        pictures.append(shown)
        facts = surface_facts(clean[number], scan.pitch)
        reports.append(_report(shown, facts).model_copy(update={"estimates": each[number]}))
    progress(total, total, "done")
    report = FitReport(
        settings=settings, estimates=together, scans=tuple(reports), surface=surface, seed=seed
    )
    return Fitted(report, tuple(samples), tuple(pictures))


def _check(scans: Sequence[Scan]) -> None:
    if not scans:
        raise InvalidRequest("`scans` is empty; give one scan or more.")
    if len({one.mode for one in scans}) > 1:
        modes = ", ".join(f"{one.name} ({one.mode})" for one in scans)
        raise InvalidRequest(f"`scans` hold different signals: {modes}. Fit them apart.")
    for scan in scans:
        _check_relief(scan)


def _check_relief(scan: Scan) -> None:
    if not np.ptp(levelled(scan.height[scan.directions[0]])) > 1e-15:
        raise SignalError(f"`height` of {scan.name} is flat: there is nothing to be like.")


def tip_bound(height: FloatArray, pitch: float, noise: float) -> Estimate:
    """Return the largest radius that the tip can have had.

    Blind estimation gives flanks t that those of the tip are at least as high as; a parabola
    r²/2R that is nowhere below them has R of at most r²/2t.

    Parameters
    ----------
    height : numpy.ndarray
        Levelled heights in metres, noise taken away.
    pitch : float
        Metres per pixel.
    noise : float
        Metres; three times as much is put down to noise.
    """
    half = min(_TIP, (min(height.shape) - 1) // 4)
    shape = blind_tip(height, half, 3 * noise).shape
    steps = pitch * np.arange(-half, half + 1)
    square = np.add.outer(steps**2, steps**2)
    # The nearest pixels are but noise; beyond half the way a cone may rule.
    ring = (square >= (2 * pitch) ** 2) & (square <= (half * pitch) ** 2) & (shape > 0)
    if not ring.any():
        why = "nothing on this surface is steep enough to show the tip"
        return Estimate(value=None, unit="m", status="not identifiable", how=why)
    bound = float(np.min(square[ring] / (2 * shape[ring])))
    how = "blind estimation: a blunter tip could not have made this scan"
    return Estimate(value=bound, unit="m", status="bound", how=how)


def surface_facts(height: FloatArray, pitch: float) -> SurfaceFacts:
    """Return the statistics of levelled heights; parameters as of `tip_bound`."""
    found = self_affine_fit(height, pitch)
    return SurfaceFacts(
        rms=found.rms,
        skewness=float(skew(height, axis=None)),
        excess_kurtosis=float(kurtosis(height, axis=None)),
        hurst=found.hurst,
        correlation_length=found.correlation_length,
        misfit=found.misfit,
    )


def default_sample(scan: Scan, seed: int) -> Sample:
    """Return the sample a twin has if nothing is said, as large as a scan."""
    rng = np.random.default_rng([seed, _DEFAULT_SAMPLE])
    rows, columns = (FINER * size for size in scan.shape)
    size = (columns - 1) * scan.pitch / FINER
    try:
        return family("grains")(rng, size_m=size, pixels=(rows, columns))
    except OutOfRange:
        # So small a field lies within one grain; the usual piece of the sample has it in it.
        return family("grains")(rng)


def _compare(scan: Scan, sample: Sample, settings: SpmSettings, seed: int) -> Compared:
    usual = SpmSettings()
    by_default = scanned(scan, default_sample(scan, seed), usual, seed)
    real = levelled(scan.height[scan.directions[0]])
    fitted, instrument = (levelled(scanned(scan, sample, one, seed)) for one in (settings, usual))
    return Compared(scan, real, fitted, levelled(by_default), instrument)


def _report(shown: Compared, facts: SurfaceFacts) -> ScanReport:
    pitch = shown.scan.pitch
    return ScanReport(
        scan=shown.scan.name,
        estimates={},
        surface=facts,
        fitted=gap_between(shown.real, shown.fitted, pitch),
        default=gap_between(shown.real, shown.default, pitch),
        default_instrument=gap_between(shown.real, shown.default_instrument, pitch),
    )
