"""How far a twin's frame is from the real one."""

from __future__ import annotations

import numpy as np
from scipy.stats import wasserstein_distance

from nanopilot.analysis.surface_statistics import autocorrelation, levelled
from nanopilot.core.errors import SignalError
from nanopilot.workflows.fit_stem.frames import FloatArray
from nanopilot.workflows.fit_twin.gap import Gap, two_sample


class StemGap(Gap):
    """How far a twin's frame is from the real one; 0: not at all, but for `classifier`.

    Parameters
    ----------
    spectrum : float
        Decades between the radial power spectra in counts², root mean square.
    histogram : float
        Wasserstein distance of the counts, in units of the real standard deviation.
    autocorrelation : float
        Root mean square difference along lines and columns.
    classifier : float
        Area under the curve of a classifier that has to tell real patches from simulated ones it
        has not seen: 0.5 cannot, 1 always can.
    classifier_std : float
        Its standard error.
    """


def radial_spectrum(frame: FloatArray, pixel: float) -> tuple[FloatArray, FloatArray]:
    """Return frequencies (1/m) and the mean power (counts² per pixel) in rings, Hann window.

    Parameters
    ----------
    frame : numpy.ndarray
        Counts, shape (rows, columns).
    pixel : float
        Metres.
    """
    rows, columns = frame.shape
    window = np.hanning(rows + 2)[1:-1, None] * np.hanning(columns + 2)[None, 1:-1]
    power = np.abs(np.fft.fft2((frame - frame.mean()) * window)) ** 2 / np.sum(window**2)
    away = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)[None, :])
    step = 1.0 / min(rows, columns)
    ring = np.rint(away / step).astype(int).ravel()
    last = int(0.5 / step)
    total = np.bincount(ring, power.ravel())[2:last]
    number = np.bincount(ring)[2:last]
    frequency: FloatArray = np.arange(2, last) * step / pixel
    return frequency, total / number


def stem_gap(real: FloatArray, twin: FloatArray, pixel: float) -> StemGap:
    """Compare a real frame with a simulated one of the same size.

    Parameters
    ----------
    real, twin : numpy.ndarray
        Counts, shape (rows, columns).
    pixel : float
        Metres.

    Raises
    ------
    SignalError
        They have different shapes.
    """
    if real.shape != twin.shape:
        raise SignalError(f"`twin` has shape {twin.shape}, not {real.shape} as `real`.")
    ours, theirs = (radial_spectrum(one, pixel)[1] for one in (real, twin))
    decades = np.log10(np.maximum(theirs, 1e-12) / np.maximum(ours, 1e-12))
    correlations = [autocorrelation(twin, axis) - autocorrelation(real, axis) for axis in (0, 1)]
    score, error = two_sample(levelled(real), levelled(twin))
    return StemGap(
        spectrum=float(np.sqrt(np.mean(decades**2))),
        histogram=float(wasserstein_distance(real.ravel(), twin.ravel()) / real.std()),
        autocorrelation=float(np.sqrt(np.mean(np.concatenate(correlations) ** 2))),
        classifier=score,
        classifier_std=error,
    )
