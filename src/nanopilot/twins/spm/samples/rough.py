"""Self-affine roughness."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy import fft

from nanopilot.core.units import Length
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.layers import ordinary, sample_of
from nanopilot.twins.spm.samples.recipe import FloatArray, Grid, Recipe


class Rough(Recipe):
    """A random surface, self-affine below its correlation length and flat above it.

    Its power spectral density is that of Palasantzas, Phys. Rev. B 48, 14472 (1993), eq. 4, the
    roll-off in wave numbers at 1 / correlation length: C(q) ~ (1 + q² xi²)^-(1 + H).

    Parameters
    ----------
    hurst : float
        The exponent H, 0 (jagged) to 1 (smooth hills).
    rms : float
        Standard deviation of this piece's heights, in metres.
    correlation_length : float
        xi in metres.
    """

    SIZE: ClassVar[float] = 2e-6

    hurst: float = Field(default=0.7, gt=0, le=1)
    rms: Length = Field(default=5e-9, gt=0, le=1e-5)
    correlation_length: Length = Field(default=120e-9, gt=0)

    def make(self, rng: np.random.Generator, grid: Grid) -> Sample:
        """Return a surface of mean height 0 and exactly the rms that was asked for."""
        grid.check("correlation_length", self.correlation_length, share=0.5)
        shape, plain = rng.spawn(2)
        height = self_affine(shape, grid, self.hurst, self.correlation_length)
        height -= height.mean()
        height *= self.rms / height.std()
        facts = {
            "hurst": self.hurst,
            "rms": self.rms,
            "correlation_length": self.correlation_length,
            "rms_slope": float(np.hypot(*np.gradient(height, grid.pitch)).std()),
        }
        return sample_of("rough", grid, height, ordinary(plain, grid), facts)


def self_affine(
    rng: np.random.Generator, grid: Grid, hurst: float, correlation_length: float
) -> FloatArray:
    """Return a self-affine random field, in units of its own, shape as the grid.

    Parameters
    ----------
    rng : numpy.random.Generator
        Its noise.
    grid : Grid
        Where.
    hurst : float
        Exponent.
    correlation_length : float
        Metres.
    """
    # The transform joins opposite edges; what is cut off lets them forget each other.
    padding = int(min(4 * correlation_length / grid.pitch, max(grid.shape)))
    rows, columns = (fft.next_fast_len(n + padding, real=True) for n in grid.shape)
    qy = 2 * np.pi / grid.pitch * fft.fftfreq(rows)[:, None]
    qx = 2 * np.pi / grid.pitch * fft.rfftfreq(columns)[None, :]
    reduced = (qx**2 + qy**2) * correlation_length**2
    filtered = fft.rfft2(rng.standard_normal((rows, columns)))
    filtered *= (1 + reduced) ** (-(1 + hurst) / 2)
    field: FloatArray = fft.irfft2(filtered, s=(rows, columns))[: grid.rows, : grid.columns]
    return field.copy()
