"""Resonances in spectra: frequency, quality factor, amplitude and phase, with error bars."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from nanopilot.analysis.fit_maps import to_maps
from nanopilot.analysis.resonance_fitter import COLUMNS, Fitter
from nanopilot.analysis.resonance_start import ComplexArray
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.models.threads import one_thread

#: Fitted together: large enough for one matrix product, small enough for the cache.
CHUNK = 1024


def sho_response(
    frequency: FloatArray,
    resonance: FloatArray | float,
    quality: FloatArray | float,
    drive: ComplexArray | complex = 1.0,
) -> ComplexArray:
    """Return the response of a damped harmonic oscillator to a drive.

    drive f0² / (f² - i f f0 / Q - f0²), as BGlib and pycroscopy write it (Jesse et al.,
    Nanotechnology 18, 435503, 2007): at resonance it is i Q times the drive.

    Parameters
    ----------
    frequency : numpy.ndarray
        In Hz, shape (bins,).
    resonance, quality : float or numpy.ndarray
        f0 in Hz, and Q. Arrays broadcast against the frequencies.
    drive : complex or numpy.ndarray
        amplitude · exp(i phase).

    Examples
    --------
    >>> response = sho_response(np.array([3e5]), 3e5, 100.0, 2.0)
    >>> float(abs(response[0])), float(np.angle(response[0]) / np.pi)
    (200.0, 0.5)
    """
    f, f0 = frequency, resonance
    return np.asarray(drive * f0**2 / (f**2 - 1j * f * f0 / quality - f0**2))


@dataclass(frozen=True, slots=True)
class ShoFit:
    """Fits a damped harmonic oscillator to every spectrum, or says why it cannot.

    Variable projection (Golub & Pereyra, SIAM J. Numer. Anal. 10, 413, 1973): amplitude, phase
    and background are linear and solved for exactly, the search is over frequency and width
    alone, and it begins at the best of a grid that covers the band.

    Error bars are Cramer-Rao bounds with the noise found in the residual, widened where a
    peak is so weak that the bound is known to be too small. ``value ± 1.645 std`` is meant to
    hold the truth nine times out of ten; for what is positive (quality factor, amplitudes)
    that is ``value · exp(± 1.645 std / value)``. They take the noise to be white, equal in
    both quadratures, and the model to be true.

    Parameters
    ----------
    background : bool
        Allow for a complex constant, such as electrical cross-talk.
    false_alarm : float
        In pure noise this share of the spectra may pass for a resonance.
    threads : int
        At most two.

    Examples
    --------
    >>> from nanopilot.core.signals import Axis, make_signal
    >>> f = Axis(np.linspace(2.9e5, 3.1e5, 60), "Hz", "frequency")
    >>> values = sho_response(f.values, 3.01e5, 80.0, 2e-12 * np.exp(0.5j))
    >>> spectrum = make_signal(values, {"frequency": f}, quantity="displacement", units="m")
    >>> fit = ShoFit()(spectrum)
    >>> round(float(fit["quality_factor"]), 3), round(float(fit["phase"]), 3)
    (80.0, 0.5)
    """

    background: bool = True
    false_alarm: float = 0.01
    threads: int = 2

    def __post_init__(self) -> None:
        if not 0.0 < self.false_alarm < 1.0:
            raise OutOfRange(f"`false_alarm` is {self.false_alarm}; it lies between 0 and 1.")
        if self.threads not in (1, 2):
            raise OutOfRange(f"`threads` is {self.threads}; allowed are 1 and 2.")

    def __call__(self, spectra: Signal | SignalSet) -> SignalSet:
        """Return maps of the parameters.

        Parameters
        ----------
        spectra : Signal or SignalSet
            Dims (..., frequency): complex, or a set of two real channels. Of those the second
            is the phase if it is in rad, and the quadrature otherwise.

        Returns
        -------
        SignalSet
            Dims as before without ``frequency``: ``resonance_frequency`` (Hz),
            ``quality_factor``, ``amplitude`` (of the drive, see `sho_response`), ``phase``
            (rad), ``peak_amplitude`` (their product), each with ``_std``; ``noise``, standard
            deviation per quadrature; ``reason``, see `Reason`. Without an answer all but the
            reason are NaN.

        Raises
        ------
        SignalError
            There is no complex signal over at least 8 positive frequencies.
        """
        signal = as_complex(spectra)
        values = signal.to_numpy().reshape(-1, signal.sizes["frequency"])
        fitter = Fitter.over(
            signal["frequency"].to_numpy().astype(float), self.background, self.false_alarm
        )
        chunks = [values[i : i + CHUNK] for i in range(0, len(values), CHUNK)]
        with one_thread(), ThreadPoolExecutor(self.threads) as pool:
            parts = list(pool.map(fitter, chunks))
        rows = np.concatenate([rows for rows, _ in parts])
        reasons = np.concatenate([reasons for _, reasons in parts])
        units = str(signal.attrs["units"])
        columns = {
            name: (column, what, units if unit is None else unit)
            for column, (name, what, unit) in zip(rows.T, COLUMNS, strict=True)
        }
        return to_maps(signal.isel(frequency=0, drop=True), columns, reasons)


def as_complex(spectra: Signal | SignalSet) -> Signal:
    """Return spectra as one complex signal, dims (..., frequency), frequencies rising.

    Raises
    ------
    SignalError
        The channels are not two, nothing is complex, or the frequencies will not do.
    """
    if isinstance(spectra, SignalSet):
        names = list(spectra.data_vars)
        if len(names) != 2:
            raise SignalError(f"`spectra` has the channels {names}; a response has two.")
        first, second = (spectra[name] for name in names)
        polar = second.attrs.get("units") == "rad"
        joined = first * np.exp(1j * second) if polar else first + 1j * second
        spectra = joined.assign_attrs(first.attrs)
    if "frequency" not in spectra.dims or not np.iscomplexobj(spectra):
        raise SignalError(
            f"`spectra` has dims {spectra.dims} and holds {spectra.dtype}; a response is complex, "
            "or a set of two channels, over `frequency`."
        )
    signal = spectra.transpose(..., "frequency").sortby("frequency")
    frequency = signal["frequency"].to_numpy()
    if len(frequency) < 8 or frequency[0] <= 0 or (np.diff(frequency) <= 0).any():
        raise SignalError(
            f"`frequency` has {len(frequency)} values from {frequency.min(initial=np.inf)} Hz; "
            "at least 8 are needed, positive and all different."
        )
    return signal
