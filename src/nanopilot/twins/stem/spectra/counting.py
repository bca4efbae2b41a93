"""From the probability of losses to counts of a spectrometer."""

from __future__ import annotations

import numpy as np

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.twins.stem.settings import Spectrometer
from nanopilot.twins.stem.spectra.columns import FloatArray


def energy_axis(spectrometer: Spectrometer) -> FloatArray:
    """Return the middles of the channels in eV, shape (channels,)."""
    channel = np.arange(spectrometer.channels)
    return np.asarray(spectrometer.offset + spectrometer.dispersion * channel, dtype=float)


def record(
    probability: FloatArray,
    electrons: FloatArray | float,
    spectrometer: Spectrometer,
    rng: np.random.Generator,
    shift: FloatArray | float = 0.0,
) -> FloatArray:
    """Return what the camera of the spectrometer reads.

    Electrons arrive one by one (Poisson) in the channel of their energy; each makes a spot of
    light that is wider than the channel, so that the noise of neighbours goes together; reading
    adds noise of its own.

    Parameters
    ----------
    probability : numpy.ndarray
        Per eV, shape (n, channels), at `energy_axis`.
    electrons : float or numpy.ndarray
        That hit each place, shape () or (n,).
    spectrometer : Spectrometer
        Dispersion, gain, spread and noise.
    rng : numpy.random.Generator
        Where chance comes from.
    shift : float or numpy.ndarray
        By how many eV each spectrum has wandered to higher channels, shape () or (n,); the
        expectation is interpolated linearly between channels.

    Returns
    -------
    numpy.ndarray
        Counts, shape (n, channels).

    Raises
    ------
    SignalError
        `probability` has not as many channels as the spectrometer.
    OutOfRange
        There is a negative number of electrons.
    """
    if probability.ndim != 2 or probability.shape[1] != spectrometer.channels:
        raise SignalError(
            f"`probability` has shape {probability.shape}; it is (n, {spectrometer.channels})."
        )
    dose = np.broadcast_to(np.asarray(electrons, float), probability.shape[:1])
    if not (dose >= 0).all():
        raise OutOfRange(f"`electrons` is {dose.min():g} somewhere; it is 0 or more.")
    expected = moved(probability, np.asarray(shift, float) / spectrometer.dispersion)
    found = rng.poisson(expected * (dose * spectrometer.dispersion)[:, None]).astype(float)
    if spectrometer.spread > 0:
        from scipy.ndimage import gaussian_filter1d

        found = gaussian_filter1d(found, spectrometer.spread, axis=1, mode="constant")
    found *= spectrometer.gain
    if spectrometer.noise > 0:
        found += rng.normal(0.0, spectrometer.noise, found.shape)
    return np.asarray(found)


def moved(spectra: FloatArray, channels: FloatArray) -> FloatArray:
    """Return spectra moved up by so many channels each, whole ones or parts, shape (n, channels).

    What leaves at one end is lost, and nothing comes in at the other.
    """
    if not np.any(channels):
        return spectra
    by = np.broadcast_to(channels, spectra.shape[:1])[:, None]
    place = np.arange(spectra.shape[1]) - by
    low = np.floor(place).astype(int)
    part = place - low
    padded = np.pad(spectra, ((0, 0), (1, 1)))
    last = padded.shape[1] - 1
    below = np.take_along_axis(padded, np.clip(low + 1, 0, last), axis=1)
    above = np.take_along_axis(padded, np.clip(low + 2, 0, last), axis=1)
    found: FloatArray = below * (1 - part) + above * part
    return found
