"""What a scan says of the noise of its instrument."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nanopilot.analysis.hum import Hum, find_hum
from nanopilot.analysis.noise_fit import NoiseFit, fit_noise, noise_shapes
from nanopilot.analysis.noise_spectra import NoiseSpectrum, neighbours_differ, pair_differs
from nanopilot.analysis.scan_lag import PairDifference, reading_noise, unlagged, unlagging
from nanopilot.workflows.estimates import SEEN, Estimate, Estimates, Status, lost
from nanopilot.workflows.fit_twin.scans import FloatArray, Scan

#: Frequencies of the mains in hertz.
MAINS = (50.0, 60.0)
#: The same of the amplitude of a hum.
_HUM = 0.01
#: Shares of the pixel rate between which noise of the reading is looked for.
_FAST = (0.1, 0.3)


def noise_of(scan: Scan, gain: Estimate, pair: PairDifference | None) -> Estimates:
    """Return white and 1/f noise and hum, and where they come in."""
    if pair is not None:
        spectrum, how = pair_differs(pair.residual, scan.rate), "trace minus retrace"
    else:
        spectrum = neighbours_differ(scan.in_time(scan.directions[0]), scan.rate)
        how = "what neighbouring lines do not share"
    hum = _strongest_hum(scan, pair)
    seen = () if hum is None or hum.significance < SEEN else (hum.frequency,)
    shapes = _shapes(spectrum, scan, gain.value)
    status: Status = "estimated"
    fits = _fits(spectrum, shapes, sure=True, hum=seen)
    if not fits:
        status, fits = "bound", _fits(spectrum, shapes, sure=False, hum=seen)
        how = "neighbouring lines differ so much, of which fine structure may be a part"
    if not fits:
        why = "neighbouring lines share less than the surface has"
        none = lost("m/sqrt(Hz)", why)
        return {"noise.white": none, "noise.pink": none, **_hum(scan, gain, hum, inside=False)}
    inside = _in_loop(scan, fits, pair, gain.value)
    fit = fits[inside]
    if status == "bound":
        fit = _below(fit, spectrum, shapes[inside])
    elif gain.value is not None and gain.std is not None:
        shifted = _shapes(spectrum, scan, gain.value + gain.std)
        fit = _widened(fit, _fits(spectrum, shifted, sure=True, hum=seen)[inside])
    where = "in the loop" if inside else "in the height that is read"
    how = f"{how}; {where}; misfit of the spectrum {fit.misfit:.2f} decades"
    return {
        "noise.white": _density(fit.white, fit.white_std, status, how),
        "noise.pink": _density(fit.pink, fit.pink_std, status, how),
        "noise.in_loop": _placed(inside, status == "estimated" and len(fits) == 2),
        **_hum(scan, gain, hum, inside=inside),
    }


def _shapes(spectrum: NoiseSpectrum, scan: Scan, gain: float | None) -> dict[bool, FloatArray]:
    """Return what noise would look like: of the reading (False) and, with a gain, in the loop."""
    paired = len(scan.directions) == 2 and gain is not None
    factor = unlagging(spectrum.frequency, gain, scan.rate) if paired and gain else 1.0
    shapes = {False: noise_shapes(spectrum.frequency, scan.rate)}
    if gain is not None:
        shapes[True] = noise_shapes(spectrum.frequency, scan.rate, gain / (2 * np.pi))
    return {one: shape * np.reshape(factor, (-1, 1)) for one, shape in shapes.items()}


def _widened(fit: NoiseFit, shifted: NoiseFit) -> NoiseFit:
    """Add to the errors what another gain, one error away, would have changed."""
    return replace(
        fit,
        white_std=float(np.hypot(fit.white_std, shifted.white - fit.white)),
        pink_std=float(np.hypot(fit.pink_std, shifted.pink - fit.pink)),
    )


def _placed(inside: bool, known: bool) -> Estimate:
    how = "whether height and error keep together, or which fits the spectrum better"
    status: Status = "estimated" if known else "not identifiable"
    return Estimate(
        value=float(inside), unit="1", status=status, how=how if known else f"a guess: {how}"
    )


def _fits(
    spectrum: NoiseSpectrum,
    shapes: dict[bool, FloatArray],
    *,
    sure: bool,
    hum: tuple[float, ...],
) -> dict[bool, NoiseFit]:
    used = spectrum.sure if sure else spectrum.alike
    fits = {one: fit_noise(spectrum, shape, used, hum) for one, shape in shapes.items()}
    return {one: fit for one, fit in fits.items() if fit is not None}


def _below(fit: NoiseFit, spectrum: NoiseSpectrum, shapes: FloatArray) -> NoiseFit:
    """Return a fit to what may be noise, made so small that no bin has more than was measured."""
    model = shapes @ np.square([fit.white, fit.pink])
    allowed = spectrum.ceiling * (1 + 3 / np.sqrt(spectrum.lines.max()))
    share = float(np.sqrt(np.min(np.where(model > 0, allowed / np.maximum(model, 1e-60), np.inf))))
    return replace(fit, white=share * fit.white, pink=share * fit.pink)


def _density(value: float, std: float, status: Status, how: str) -> Estimate:
    if status == "bound":
        return Estimate(value=value, unit="m/sqrt(Hz)", status="bound", how=how)
    if value <= 2 * std:
        none = f"{how}; not seen"
        return Estimate(value=value + 2 * std, unit="m/sqrt(Hz)", status="bound", how=none)
    return Estimate(value=value, std=std, unit="m/sqrt(Hz)", status="estimated", how=how)


def _in_loop(
    scan: Scan, fits: dict[bool, NoiseFit], pair: PairDifference | None, gain: float | None
) -> bool:
    """Tell whether the noise is in the loop.

    Only noise of the reading breaks the rule that error and slope of the height keep to.
    """
    likelier = min(fits, key=lambda one: fits[one].likelihood)
    way = scan.directions[0]
    if len(fits) < 2 or gain is None or way not in scan.error:
        return likelier
    error, height = scan.in_time(way, "error"), scan.in_time(way)
    if pair is None:
        # Neighbouring lines share most of the surface, and have noise of their own each.
        error, height = (np.diff(one, axis=0) / np.sqrt(2) for one in (error, height))
    lines = unlagged(height, gain, scan.rate) if pair is None else pair.residual
    frequency, found = reading_noise(lines, error, height, gain, scan.rate)
    used = (frequency > _FAST[0] * scan.rate) & (frequency < _FAST[1] * scan.rate)
    powers = np.square([fits[False].white, fits[False].pink])
    wanted = noise_shapes(frequency, scan.rate) @ powers
    return float(found[used].sum()) < 0.5 * float(wanted[used].sum())


def _strongest_hum(scan: Scan, pair: PairDifference | None) -> Hum | None:
    lines = scan.in_time(scan.directions[0]) if pair is None else pair.residual
    known = [find_hum(lines, scan.rate, one) for one in MAINS if one < 0.4 * scan.rate]
    return max(known, key=lambda one: one.significance) if known else None


def _hum(scan: Scan, gain: Estimate, hum: Hum | None, *, inside: bool) -> Estimates:
    """Return the hum where it comes in: of the reading, or in the loop."""
    if hum is None:
        why = f"the mains are faster than {0.4 * scan.rate:.3g} Hz, which pixels still show"
        return {"noise.mains": lost("m", why)}
    pair = len(scan.directions) == 2
    late = float(unlagging(np.array([hum.frequency]), gain.value or np.inf, scan.rate)[0])
    # Trace minus retrace has it twice; what was in the loop, the height has followed in part.
    power = (2.0 if pair else 1.0) * (late if pair else 1.0) / (late if inside else 1.0)
    amplitude, std = hum.amplitude / np.sqrt(power), hum.std / np.sqrt(power)
    std = float(np.hypot(std, _HUM * amplitude))
    how = f"a line at {hum.frequency:g} Hz"
    if hum.significance < SEEN:
        how = f"no line at {' or '.join(f'{one:g}' for one in MAINS)} Hz stands out"
        above = float(amplitude + 2 * std)
        return {"noise.mains": Estimate(value=above, unit="m", status="bound", how=how)}
    if pair and _in_step(scan, hum.frequency):
        # Then every retrace meets the hum at the same phase, and may hide up to all of it.
        why = f"{how}, but {hum.frequency:g} Hz keep step with the lines: scan at another rate"
        return {"noise.mains": lost("m", why)}
    frequency = Estimate(
        value=hum.frequency, unit="Hz", status="estimated", how="the stronger of 50 and 60 Hz"
    )
    found = Estimate(value=float(amplitude), std=std, unit="m", status="estimated", how=how)
    return {"noise.mains": found, "noise.mains_frequency": frequency}


def _in_step(scan: Scan, frequency: float) -> bool:
    turns = frequency / scan.line_rate * np.arange(scan.shape[0])
    return bool(abs(np.mean(np.exp(2j * np.pi * turns))) > 0.5)
