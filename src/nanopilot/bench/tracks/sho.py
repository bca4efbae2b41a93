"""`sho`: resonances whose frequency, quality factor, amplitude and phase are known, in noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nanopilot.analysis.resonance import ShoFit, sho_response
from nanopilot.bench.coverage import (
    NINETY,
    Fits,
    covered,
    interval_bars,
    log_uniform,
    scores_by_snr,
    share,
)
from nanopilot.bench.resonance_peers import fit_from_peak
from nanopilot.bench.track import Bar
from nanopilot.core.history import FloatArray, IntArray
from nanopilot.core.signals import Axis, Signal, make_signal

#: Amplitude at resonance over the standard deviation of the noise in either quadrature.
SNRS = (1, 2, 5, 10, 20, 50)
NAMES = ("resonance_frequency", "quality_factor", "amplitude", "phase")
#: Of those, what is positive: its intervals are ones of the logarithm.
POSITIVE = (False, True, True, False)
#: A fit has failed when it gives no answer, or a frequency off by more of the width f0 / Q.
TOLERATED = 0.5
BANDS, EACH = 8, 12


@dataclass(frozen=True, slots=True, eq=False)
class Visible:
    """What a method is given.

    Parameters
    ----------
    bands : tuple of Signal
        Complex spectra, dims (point, frequency); how noisy each is, is not said.
    """

    bands: tuple[Signal, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Spectra and their truth, columns as `NAMES`, shape (n, 4), with the SNR, shape (n,)."""

    visible: Visible
    truth: tuple[FloatArray, ...]
    snr: IntArray


class Sho:
    """8 bands of 72 spectra; every band has its own frequencies, bins and background.

    Bands lie between 20 kHz and 2 MHz and have 60 to 256 bins; a resonance takes 1/3 to
    1/12 of its band in width and lies in the middle 70 % of it, at any phase. Every other
    band has a complex background of up to half the peak. Quality factors are then 4 to 800.
    """

    name: ClassVar[str] = "sho"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "damped oscillators in noise, SNR 1 to 50: failures, bias, coverage"
    default: ClassVar[str] = "sho-fit"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="failures at SNR 2", metric="failures_2", bar=0.03, better="lower"),
        Bar(what="failures at SNR 5", metric="failures_5", bar=0.001, better="lower"),
        *interval_bars(SNRS[1:]),
        *(
            Bar(what=f"90 % intervals hold {name}", metric=f"coverage_{name}", bar=0.85)
            for name in NAMES
        ),
    )

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], tuple[Fits, ...]]]:
        """The shipped fit, scipy's, and a constant answer."""
        return {
            "sho-fit": fit,
            "curve_fit from the largest bin": fit_from_peak,
            "constant": constant,
        }

    def case(self, seed: int) -> Case:
        """Draw the bands of a seed."""
        rng = np.random.default_rng(seed)
        snr = np.repeat(SNRS, EACH)
        drawn = [draw_band(rng, snr, flat=number % 2 == 1) for number in range(BANDS)]
        bands, truth = (tuple(part) for part in zip(*drawn, strict=True))
        return Case(Visible(bands), truth, np.tile(snr, BANDS))

    def score(self, case: Case, answer: tuple[Fits, ...]) -> Mapping[str, float]:
        """Compare answers with the truth.

        Returns
        -------
        mapping
            ``skill``: R² of the frequency within its band, no answer counting as the centre.
            Per SNR ``failures``; ``silent``, those without a flag; ``bias_f0`` (median, in
            widths) and ``bias_q`` (median, relative) and ``coverage`` of the answers. And
            ``coverage`` of each parameter from SNR 2 on.
        """
        truth, found = np.concatenate(case.truth), Fits.joined(answer)
        width = truth[:, 0] / truth[:, 1]
        off = (found.values[:, 0] - truth[:, 0]) / width
        with np.errstate(invalid="ignore"):
            wrong = np.abs(off) > TOLERATED
            relative = found.values[:, 1] / truth[:, 1] - 1.0
        hits = hold(found, truth)
        scores = {"skill": skill(case, answer)}
        scores |= scores_by_snr(found, wrong, hits, case.snr, {"bias_f0": off, "bias_q": relative})
        loud = found.answered & (case.snr >= 2)
        for column, name in enumerate(NAMES):
            scores[f"coverage_{name}"] = share(hits[loud, column])
        return scores


def draw_band(rng: np.random.Generator, snr: IntArray, *, flat: bool) -> tuple[Signal, FloatArray]:
    """Draw a band, and spectra over it: see `draw_spectra`."""
    centre, share = log_uniform(rng, 2e4, 2e6), log_uniform(rng, 0.015, 1.0)
    bins = round(log_uniform(rng, 60, 256))
    frequency = centre * (1.0 + share * np.linspace(-0.5, 0.5, bins))
    return draw_spectra(rng, frequency, snr, flat=flat)


def draw_spectra(
    rng: np.random.Generator, frequency: FloatArray, snr: IntArray, *, flat: bool
) -> tuple[Signal, FloatArray]:
    """Draw spectra over one band, one per entry of `snr`, and their truth, shape (n, 4).

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    frequency : numpy.ndarray
        In Hz, shape (bins,).
    snr : numpy.ndarray
        Shape (n,).
    flat : bool
        Add a background.
    """
    centre, band = frequency.mean(), np.ptp(frequency)
    f0 = rng.uniform(centre - 0.35 * band, centre + 0.35 * band, snr.size)
    width = band / np.exp(rng.uniform(np.log(3), np.log(12), snr.size))
    peak = log_uniform(rng, 1e-12, 1e-3) * np.exp(rng.normal(0.0, 0.5, snr.size))
    phase = rng.uniform(-np.pi, np.pi, snr.size)
    truth = np.stack([f0, f0 / width, peak * width / f0, phase], axis=1)
    drive = truth[:, 2] * np.exp(1j * phase)
    values = sho_response(frequency, f0[:, None], truth[:, 1, None], drive[:, None])
    if flat:
        turn = np.exp(1j * rng.uniform(-np.pi, np.pi, snr.size))
        values += (peak * rng.uniform(0.0, 0.5, snr.size) * turn)[:, None]
    noise = rng.normal(size=(2, *values.shape))
    values += (peak / snr)[:, None] * (noise[0] + 1j * noise[1])
    axes = {
        "point": Axis(np.arange(snr.size, dtype=float), "1", "number"),
        "frequency": Axis(frequency, "Hz", "frequency"),
    }
    return make_signal(values, axes, quantity="response", units="a.u."), truth


def fit(visible: Visible) -> tuple[Fits, ...]:
    """Answer with the shipped operator as it comes."""
    found = [ShoFit()(band) for band in visible.bands]
    return tuple(Fits.of(maps, NAMES) for maps in found)


def constant(visible: Visible) -> tuple[Fits, ...]:
    """Answer every spectrum with the centre of its band, and be very unsure."""
    answers = []
    for band in visible.bands:
        frequency = band["frequency"].to_numpy()
        middle = [frequency.mean(), 6 * frequency.mean() / np.ptp(frequency), 1.0, 0.0]
        values = np.tile(middle, (band.sizes["point"], 1))
        answers.append(Fits(values, np.abs(values) + 1.0, np.ones(len(values), dtype=bool)))
    return tuple(answers)


def hold(found: Fits, truth: FloatArray) -> np.ndarray:
    """Tell which 90 % intervals hold the truth, shape (n, 4)."""
    near = found.values.copy()
    # The interval of a phase is one on the circle.
    turn = np.exp(1j * (near[:, 3] - truth[:, 3]))
    near[:, 3] = truth[:, 3] + np.angle(turn)
    return covered(near, found.std, truth, positive=POSITIVE, deviations=NINETY)


def skill(case: Case, answer: tuple[Fits, ...]) -> float:
    """Return 1 - (error of the frequency) / (error of the band's centre), squared, summed."""
    ours, trivial = 0.0, 0.0
    for band, truth, found in zip(case.visible.bands, case.truth, answer, strict=True):
        frequency = band["frequency"].to_numpy()
        centre, half = frequency.mean(), np.ptp(frequency) / 2
        # Beyond the band one wild answer would drown all others.
        guess = np.clip(found.values[:, 0], centre - half, centre + half)
        guess = np.where(found.answered, guess, centre)
        ours += float((((guess - truth[:, 0]) / half) ** 2).sum())
        trivial += float((((centre - truth[:, 0]) / half) ** 2).sum())
    return 1.0 - ours / trivial
