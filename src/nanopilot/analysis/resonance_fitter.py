"""Chunks of spectra over one band: start, refine, judge, put error bars on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.analysis.fit_maps import Reason, first_reason
from nanopilot.analysis.resonance_start import Start
from nanopilot.core.history import FloatArray

#: Resonances that noise may imitate, per bin: independent ones on the grid of starts, and
#: what going downhill from the best of them adds. Found by simulating pure noise.
LOOKS = 2.5
#: How far the Cramer-Rao bound is from the truth where the peak is hardly there: standard
#: deviations grow by exp(k / T), T being the energy of the peak over the variance of the
#: noise per quadrature. One k for f0, Q, amplitude, phase and peak, found by simulation.
WIDENING = (16.0, 10.5, 7.0, 8.0, 4.0)


_NAMED: tuple[tuple[str, str, str | None], ...] = (
    ("resonance_frequency", "resonance frequency", "Hz"),
    ("quality_factor", "quality factor", "1"),
    ("amplitude", "amplitude of the drive", None),
    ("phase", "phase of the drive", "rad"),
    ("peak_amplitude", "amplitude at resonance", None),
)
#: Name, quantity and units (None: those of the signal) of every map, in the kernel's order.
COLUMNS = (
    *_NAMED,
    *((f"{name}_std", f"standard deviation of the {what}", unit) for name, what, unit in _NAMED),
    ("noise", "standard deviation of the noise", None),
)


@dataclass(frozen=True, slots=True, eq=False)
class Fitter:
    """Fits chunks of spectra over one band; any thread may call it."""

    frequency: FloatArray
    flat: bool
    false_alarm: float
    start: Start
    bounds: tuple[float, float, float, float]
    refine: Callable[..., Any]

    @classmethod
    def over(cls, frequency: FloatArray, flat: bool, false_alarm: float) -> Fitter:
        """Prepare for one band; see `ShoFit` for what the settings mean."""
        # Compiling, or loading what was compiled, waits until there is something to fit.
        from nanopilot.analysis.resonance_kernels import refine

        low, high = float(frequency[0]), float(frequency[-1])
        band, step = high - low, float(np.median(np.diff(frequency)))
        # The search may leave the band, so that an answer inside was not pushed there.
        bounds = (max(low - 0.5 * band, 0.5 * low), high + 0.5 * band, step, 3.0 * band)
        start = Start.over(frequency, (1.5 * step, band), flat=flat)
        return cls(frequency, flat, false_alarm, start, bounds, refine)

    def __call__(self, spectra: np.ndarray) -> tuple[FloatArray, np.ndarray]:
        """Return rows in the order of `COLUMNS`, shape (n, 11), and reasons, shape (n,)."""
        finite = np.isfinite(spectra).all(axis=1)
        values = np.where(finite[:, None], spectra, 0.0).astype(np.complex128)
        if self.flat:
            values -= values.mean(axis=1, keepdims=True)
        size = np.abs(values).max(axis=1)
        values /= np.where(size > 0, size, 1.0)[:, None]
        rows, left, rested = self.refine(
            self.frequency, values, self.start(values), self.flat, self.bounds
        )
        reasons = self._judge(rows, left, rested, finite)
        self._widen(rows, left)
        for column, (_, _, unit) in enumerate(COLUMNS):
            if unit is None:
                rows[:, column] *= size
        return rows, reasons

    def _judge(
        self, rows: FloatArray, left: FloatArray, rested: np.ndarray, usable: np.ndarray
    ) -> np.ndarray:
        frequency, bins = self.frequency, len(self.frequency)
        # Of white noise's energy one fixed shape takes a share with distribution Beta(1, d).
        with np.errstate(divide="ignore", invalid="ignore"):
            chance = self._freedom() * np.log(left) + np.log(LOOKS * bins)
        f0, width = rows[:, 0], rows[:, 0] / rows[:, 1]
        wide = frequency[-1] - frequency[0]
        return first_reason(
            (Reason.NOT_FINITE, ~usable),
            (Reason.NOT_SIGNIFICANT, ~(chance < np.log(self.false_alarm))),
            (Reason.AT_EDGE, (f0 <= frequency[0]) | (f0 >= frequency[-1])),
            (Reason.WIDTH, (width <= 1.001 * self.bounds[2]) | (width >= 2.0 * wide)),
            (Reason.NOT_CONVERGED, (rested == 0) | ~np.isfinite(rows).all(axis=1)),
        )

    def _widen(self, rows: FloatArray, left: FloatArray) -> None:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            strength = 2.0 * self._freedom() * (1.0 - left) / left
            rows[:, 5:10] *= np.exp(np.array(WIDENING) / strength[:, None])

    def _freedom(self) -> int:
        return len(self.frequency) - 1 - int(self.flat)
