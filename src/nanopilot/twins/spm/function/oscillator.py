"""The lever on a surface that moves: a driven, damped oscillator at the contact resonance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nanopilot.twins.spm.function.kernels import gaussian, under

if TYPE_CHECKING:
    from nanopilot.twins.spm.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
ComplexArray = np.ndarray[Any, np.dtype[np.complex128]]


def oscillator(
    frequency: FloatArray | float, resonance: FloatArray | float, quality: float
) -> ComplexArray:
    """Return what a unit of drive gives: f0² / (f² - i f f0 / Q - f0²); i Q at the resonance.

    In the sign of Jesse, Kalinin, Proksch, Baddorf and Rodriguez, Nanotechnology 18, 435503
    (2007), eq. 2.

    Parameters
    ----------
    frequency, resonance : numpy.ndarray or float
        f and f0 in hertz.
    quality : float
        Q.
    """
    f = np.asarray(frequency, dtype=np.float64)
    f0 = np.asarray(resonance, dtype=np.float64)
    denominator = f**2 - 1j * f * f0 / quality - f0**2
    return np.asarray(f0**2 / denominator, dtype=np.complex128)


def contact_resonance(world: World, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the contact resonance at places x, y (metres) in hertz, shape (n,).

    f0 = f_ref (k / k_ref)^s, the power law that the dispersion of a clamped lever on a spring
    follows over a limited range of k (Rabe, Janser and Arnold, Rev. Sci. Instrum. 67, 3281
    (1996)). On a slope the tip touches with its flank: k grows by ``crosstalk`` times slope².
    """
    lever, piezo = world.settings.lever, world.settings.function.piezoresponse
    ratio = np.ones(np.shape(x))
    if "stiffness" in world.layers:
        point = np.zeros((1, 2))
        stiffness = under(world, world.layers["stiffness"], x, y, point)
        ratio = np.maximum(stiffness / piezo.reference, 1e-6)
    if piezo.crosstalk:
        ratio = ratio * (1 + piezo.crosstalk * slope(world, x, y) ** 2)
    resonance: FloatArray = lever.contact_resonance * ratio**piezo.stiffening
    return resonance


def slope(world: World, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return how steep the surface is that the apex follows, metres per metre, shape (n,)."""
    step = world.sample.pitch
    apparent, point = world.apparent, np.zeros((1, 2))
    along = under(world, apparent, x + step, y, point) - under(world, apparent, x - step, y, point)
    across = under(world, apparent, x, y + step, point) - under(world, apparent, x, y - step, point)
    steepness: FloatArray = np.hypot(along, across) / (2 * step)
    return steepness


def drive(world: World, x: FloatArray, y: FloatArray, bias: FloatArray | float) -> FloatArray:
    """Return how far the surface itself moves at places x, y, in metres; negative: opposed.

    Drive voltage times (sensitivity times polarisation, plus the electrostatic background times
    bias minus surface potential). The polarisation is the mean over a Gaussian spot under the
    tip, in the spirit of the resolution function of Kalinin and others, Nanotechnology 17, 3400
    (2006); a tip that has become blunt has a larger spot.

    Parameters
    ----------
    world : World
        Layers ``polarisation`` and, if there, ``potential``.
    x, y : numpy.ndarray
        Metres, shape (n,).
    bias : float or numpy.ndarray
        Volts of direct voltage while it is measured.
    """
    settings = world.settings.function.piezoresponse
    kernel = gaussian(settings.spot * world.tip.radius)
    moved = settings.sensitivity * under(world, world.layers["polarisation"], x, y, kernel)
    if settings.background:
        below = np.zeros(np.shape(x))
        if "potential" in world.layers:
            below = under(world, world.layers["potential"], x, y, np.zeros((1, 2)))
        moved = moved + settings.background * (bias - below)
    return world.settings.electrics.drive * moved


def driven_at(world: World, resonance: FloatArray) -> FloatArray:
    """Return the frequency of the drive in hertz, shape as `resonance`."""
    if world.settings.function.piezoresponse.tracking:
        return resonance
    fixed = world.settings.electrics.drive_frequency or world.settings.lever.contact_resonance
    return np.full(np.shape(resonance), fixed)


def response(
    world: World, x: FloatArray, y: FloatArray, bias: FloatArray | float | None = None
) -> ComplexArray:
    """Return the lever's complex amplitude in metres at places x, y; bias None: that at rest."""
    volts = world.settings.electrics.bias if bias is None else bias
    resonance = contact_resonance(world, x, y)
    quality = world.settings.lever.contact_quality
    answer: ComplexArray = drive(world, x, y, volts) * oscillator(
        driven_at(world, resonance), resonance, quality
    )
    return answer


def noisy(world: World, signal: ComplexArray, rng: np.random.Generator) -> ComplexArray:
    """Return a complex amplitude with the noise of its detector, the same in both quadratures.

    The scale of the noise is the amplitude of a single domain in resonance.
    """
    piezo, settings = world.settings.function.piezoresponse, world.settings
    scale = piezo.sensitivity * settings.electrics.drive * settings.lever.contact_quality
    both = rng.normal(size=(2, *signal.shape))
    noise = settings.noise.detector * scale * (both[0] + 1j * both[1])
    return np.asarray(signal + noise, dtype=np.complex128)
