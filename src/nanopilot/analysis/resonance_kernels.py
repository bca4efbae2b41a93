"""Compiled part of the resonance fit: variable projection, one spectrum after the other.

The response at its peak has magnitude 1 here, whatever its quality factor, because the
height of a peak and its width are far less alike to noise than drive amplitude and quality
factor are. With w the full width at half maximum of the power, f0 / Q:

    eta(f) = f0 w / (f^2 - f0^2 - i f w),    spectrum = P eta + background.

P and the background are linear and are projected out; two unknowns are left, f0 and w.
The Jacobian of the projected model is Kaufman's (BIT 15, 49, 1975).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from nanopilot.analysis.resonance_start import ComplexArray
from nanopilot.core.history import FloatArray, IntArray

#: Columns of what `refine` writes: see `describe`.
COLUMNS = 11
#: `refine` stops when a step is this small, in widths and in the logarithm of the width, or
#: takes away no more than this share of the residual: 1e-4 standard deviations are nothing.
TOLERANCE, GAIN = 1e-7, 1e-10
STEPS = 60


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function, and keep the machine code on disk where there is a place for it."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither the package nor the home can be written
        return numba.njit(nogil=True, error_model="numpy")(function)


@compiled
def project(
    frequency: FloatArray, spectrum: ComplexArray, theta: Any, flat: bool, work: ComplexArray
) -> Any:
    """Take out what is linear, at one f0 and width.

    Parameters
    ----------
    frequency : numpy.ndarray
        Shape (bins,).
    spectrum : numpy.ndarray
        Shape (bins,); of mean zero if `flat`.
    theta : (float, float)
        f0 and the width.
    flat : bool
        Whether there is a constant background.
    work : numpy.ndarray
        Scratch, shape (3, bins): eta, and its derivatives by f0 in widths and by log width.

    Returns
    -------
    tuple
        P; the energy of eta; the sum of squared residuals; its negative half gradient (2);
        the Gauss-Newton matrix (3); the share of eta in either derivative (2, complex).
    """
    f0, width = theta
    bins = frequency.size
    for i in range(bins):
        f = frequency[i]
        eta = f0 * width / complex((f - f0) * (f + f0), -f * width)
        work[0, i] = eta
        work[1, i] = eta * (width / f0 + 2.0 * eta)
        work[2, i] = eta * (1.0 + 1j * eta * f / f0)
    if flat:
        for k in range(3):
            work[k] -= work[k].sum() / bins
    energy, onto, share1, share2 = 0.0, 0j, 0j, 0j
    for i in range(bins):
        eta = work[0, i].conjugate()
        energy += eta.real * eta.real + eta.imag * eta.imag
        onto += eta * spectrum[i]
        share1 += eta * work[1, i]
        share2 += eta * work[2, i]
    peak, share1, share2 = onto / energy, share1 / energy, share2 / energy
    rest, g1, g2, a11, a12, a22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(bins):
        eta = work[0, i]
        left = spectrum[i] - peak * eta
        d1, d2 = peak * (work[1, i] - share1 * eta), peak * (work[2, i] - share2 * eta)
        rest += left.real * left.real + left.imag * left.imag
        g1 += d1.real * left.real + d1.imag * left.imag
        g2 += d2.real * left.real + d2.imag * left.imag
        a11 += d1.real * d1.real + d1.imag * d1.imag
        a12 += d1.real * d2.real + d1.imag * d2.imag
        a22 += d2.real * d2.real + d2.imag * d2.imag
    return peak, energy, rest, (g1, g2), (a11, a12, a22), (share1, share2)


@compiled
def step_from(theta: Any, gradient: Any, matrix: Any, damping: float, bounds: Any) -> Any:
    """Return f0 and width after a damped step, kept within bounds; its length; its promise.

    Parameters
    ----------
    theta : (float, float)
        f0 and the width now.
    gradient, matrix : tuple of float
        What `project` found.
    damping : float
        Of Levenberg and Marquardt, relative to the diagonal.
    bounds : tuple of float
        Least and largest f0, least and largest width.
    """
    a11, a12, a22 = matrix
    b11, b22 = a11 * (1.0 + damping) + 1e-300, a22 * (1.0 + damping) + 1e-300
    det = b11 * b22 - a12 * a12
    if not det > 0.0:
        return theta, 0.0, 0.0
    shift = (b22 * gradient[0] - a12 * gradient[1]) / det
    grow = (b11 * gradient[1] - a12 * gradient[0]) / det
    # Beyond one width or a doubling the linearisation says nothing.
    f0 = theta[0] + min(max(shift, -1.0), 1.0) * theta[1]
    width = theta[1] * math.exp(min(max(grow, -0.7), 0.7))
    f0 = min(max(f0, bounds[0]), bounds[1])
    width = min(max(width, bounds[2]), bounds[3])
    shift, grow = (f0 - theta[0]) / theta[1], math.log(width / theta[1])
    hoped = 2.0 * (shift * gradient[0] + grow * gradient[1])
    hoped -= shift * shift * a11 + 2.0 * shift * grow * a12 + grow * grow * a22
    return (f0, width), max(abs(shift), abs(grow)), hoped


@compiled
def climb_down(
    frequency: FloatArray, spectrum: ComplexArray, theta: Any, flat: bool, bounds: Any
) -> Any:
    """Minimise the residual; return f0 and width, what `project` finds there, if it rests."""
    work = np.empty((3, frequency.size), np.complex128)
    here = project(frequency, spectrum, theta, flat, work)
    damping = 1e-3
    for _ in range(STEPS):
        there, length, hoped = step_from(theta, here[3], here[4], damping, bounds)
        if length < TOLERANCE:
            return theta, here, True
        then = project(frequency, spectrum, there, flat, work)
        gain = here[2] - then[2]
        # Steps that keep less than they promise swing to and fro across the minimum.
        damping = damping * 0.2 if gain >= 0.25 * hoped else max(damping * 5.0, 0.1)
        if gain >= 0.0:
            theta, here = there, then
            if gain <= GAIN * here[2]:
                return theta, here, True
    return theta, here, False


@compiled
def describe(theta: Any, here: Any, bins: int, flat: bool, out: FloatArray) -> None:
    """Write f0, Q, P, their standard deviations and the noise into a row of the result.

    The errors are the Cramer-Rao bounds of the whole model with the noise found in the
    residual. What is linear has a part of its own and one from f0 and the width.
    """
    f0, width = theta
    peak, energy, rest, _, matrix, shares = here
    freedom = 2 * bins - (6 if flat else 4)
    noise2 = rest / freedom
    a11, a12, a22 = matrix
    det = a11 * a22 - a12 * a12
    v11, v12, v22 = noise2 * a22 / det, -noise2 * a12 / det, noise2 * a11 / det
    own = noise2 / (peak.real * peak.real + peak.imag * peak.imag) / energy
    m1, m2, r = shares[0], shares[1], width / f0
    out[0] = f0
    out[1] = f0 / width
    out[2] = abs(peak) * r
    out[3] = math.atan2(peak.imag, peak.real)
    out[4] = abs(peak)
    out[5] = width * math.sqrt(v11)
    # log Q = log f0 - log w; f0 is measured in widths.
    out[6] = out[1] * math.sqrt(r * r * v11 - 2.0 * r * v12 + v22)
    s1, s2 = m1.real + r, m2.real - 1.0
    out[7] = out[2] * math.sqrt(own + s1 * s1 * v11 + 2.0 * s1 * s2 * v12 + s2 * s2 * v22)
    s1, s2 = m1.imag, m2.imag
    out[8] = math.sqrt(own + s1 * s1 * v11 + 2.0 * s1 * s2 * v12 + s2 * s2 * v22)
    s1, s2 = m1.real, m2.real
    out[9] = out[4] * math.sqrt(own + s1 * s1 * v11 + 2.0 * s1 * s2 * v12 + s2 * s2 * v22)
    out[10] = math.sqrt(noise2)


@compiled
def refine(
    frequency: FloatArray, spectra: ComplexArray, starts: FloatArray, flat: bool, bounds: Any
) -> Any:
    """Fit every spectrum from its start.

    Parameters
    ----------
    frequency : numpy.ndarray
        Shape (bins,), rising.
    spectra : numpy.ndarray
        Shape (n, bins), complex128; of mean zero each if `flat`.
    starts : numpy.ndarray
        f0 and width, shape (n, 2).
    flat : bool
        Whether there is a constant background.
    bounds : tuple of float
        Least and largest f0, least and largest width.

    Returns
    -------
    tuple of numpy.ndarray
        Rows as `describe` writes them, shape (n, COLUMNS); the energy left of the
        spectrum's, in [0, 1], shape (n,); 1 where it came to rest, shape (n,).
    """
    count, bins = spectra.shape
    rows, left = np.empty((count, COLUMNS)), np.empty(count)
    settled: IntArray = np.zeros(count, np.int64)
    for j in range(count):
        theta = (starts[j, 0], starts[j, 1])
        theta, here, rested = climb_down(frequency, spectra[j], theta, flat, bounds)
        describe(theta, here, bins, flat, rows[j])
        total = 0.0
        for i in range(bins):
            total += spectra[j, i].real ** 2 + spectra[j, i].imag ** 2
        left[j] = here[2] / total
        settled[j] = 1 if rested else 0
    return rows, left, settled
