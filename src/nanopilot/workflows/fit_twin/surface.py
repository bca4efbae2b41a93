"""The surface under a scan: as it was measured, or another one that is like it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import uniform_filter1d

from nanopilot.analysis.noise_fit import noise_shapes
from nanopilot.analysis.scan_lag import unlagged, unlagging
from nanopilot.analysis.surface_statistics import levelled
from nanopilot.models.tip_imaging import erode
from nanopilot.twins.spm import Sample, SpmSettings
from nanopilot.workflows.fit_twin.scans import FloatArray, Scan

#: Rounds between heights and spectrum of a surface that is made to be like another.
_ROUNDS = 30
#: Points of the curve that puts the histogram right at last.
_KNOTS = 17
#: How much finer than the scan a sample is.
FINER = 2


def cleaned(scan: Scan, settings: SpmSettings) -> FloatArray:
    """Return levelled heights without lag and, as far as the spectrum tells, without noise.

    A Wiener filter in two dimensions: the noise is known along the lines, and from one line to the
    next it is independent.

    Parameters
    ----------
    scan : Scan
        Of both directions the mean is taken.
    settings : SpmSettings
        Loop and noise, fitted.
    """
    gain = settings.loop.integral
    height = followed(scan, gain)
    power = fft.dctn(height, norm="ortho")
    columns = height.shape[1]
    frequency = np.arange(columns) * scan.rate / (2 * columns)
    shapes = (
        noise_shapes(frequency, scan.rate, gain / (2 * np.pi) if settings.noise.in_loop else None)
        * unlagging(frequency, gain, scan.rate)[:, None]
    )
    # A one-sided density n is, of numbers at a rate r, a variance of n r / 2 in every coefficient.
    noise = shapes @ np.square([settings.noise.white, settings.noise.pink]) * scan.rate / 2
    there = uniform_filter1d(power**2, 9, axis=0, mode="nearest")
    kept = np.clip(1 - noise / len(scan.directions) / np.maximum(there, 1e-60), 0.0, 1.0)
    clean: FloatArray = fft.idctn(kept * power, norm="ortho")
    return clean


def followed(scan: Scan, gain: float) -> FloatArray:
    """Return levelled heights that the loop was following; of both directions the mean."""
    seen = []
    for way in scan.directions:
        lines = unlagged(scan.in_time(way), gain, scan.rate)
        seen.append(lines if way == "trace" else lines[:, ::-1])
    return levelled(np.mean(seen, axis=0))


def alike(height: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return a random surface with the heights and the power spectrum of another.

    Alternately the spectrum and the histogram are put right: T. Schreiber and A. Schmitz,
    Phys. Rev. Lett. 77 (1996) 635; with cosines instead of waves, so that opposite edges need not
    fit together.

    Parameters
    ----------
    height : numpy.ndarray
        Levelled heights in metres.
    rng : numpy.random.Generator
        Decides where what comes to lie.
    """
    size = np.abs(fft.dctn(height, norm="ortho"))
    heights = np.sort(height.ravel())
    made = rng.permutation(heights).reshape(height.shape)
    for _ in range(_ROUNDS):
        signs = np.sign(fft.dctn(made, norm="ortho"))
        field = fft.idctn(size * signs, norm="ortho")
        made = np.empty(height.size)
        made[np.argsort(field, axis=None)] = heights
        made = made.reshape(height.shape)
    # Sorting would fill the low end of a spectrum that spans ten decades; a smooth curve does not.
    last = fft.idctn(size * np.sign(fft.dctn(made, norm="ortho")), norm="ortho")
    steps = np.linspace(0, 1, _KNOTS)
    kept = _rising(np.quantile(last, steps))
    if np.count_nonzero(kept) < 2:  # the noise explains all of it
        return np.full(height.shape, float(heights.mean()))
    curve = PchipInterpolator(np.quantile(last, steps)[kept], np.quantile(heights, steps)[kept])
    shaped: FloatArray = curve(last)
    return shaped


def _rising(values: FloatArray) -> FloatArray:
    """Return which of sorted values are larger than all before them."""
    return np.concatenate([[True], np.diff(values) > 0])


def refined(height: FloatArray) -> FloatArray:
    """Return heights on pixels half as wide, by cosines; the edges stay where they are."""
    rows, columns = height.shape
    grown = np.zeros((FINER * rows, FINER * columns))
    grown[:rows, :columns] = fft.dctn(height, norm="ortho")
    finer: FloatArray = FINER * fft.idctn(grown, norm="ortho")
    return finer


def sample_from(height: FloatArray, scan: Scan, settings: SpmSettings) -> Sample:
    """Return a sample that looks like `height` through the tip.

    What the tip cannot reach is not there: heights are eroded by the tip that will broaden them.
    """
    pitch = scan.pitch / FINER
    fine = refined(height)
    tip = settings.tip.raster(pitch, float(np.ptp(fine)))
    facts: dict[str, Any] = {"like": scan.name}
    return Sample("fitted", np.asarray(erode(fine, tip), dtype=np.float64), pitch, facts=facts)
