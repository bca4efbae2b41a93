"""The zero-loss peak: electrons that have lost nothing have not all the same energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.twins.stem.spectra.columns import FloatArray

#: The peak ends so many standard deviations out.
REACH = 9.0


def check_asymmetry(asymmetry: float) -> None:
    """Raise unless the share of the tail is one that a zero-loss peak may have.

    Raises
    ------
    OutOfRange
        It is not from 0 to below 1.
    """
    if not 0 <= asymmetry < 1:
        raise OutOfRange(f"`asymmetry` is {asymmetry:g}; it is 0 or more and below 1.")


@dataclass(frozen=True, slots=True)
class ZeroLoss:
    """A Gaussian, or one with an exponential tail towards losses.

    The tail stands for the energy distribution of a cold field emitter (R. D. Young, Phys. Rev. 113
    (1959) 110). Mean and standard deviation stay those of the Gaussian.

    Parameters
    ----------
    spread : float
        Standard deviation in eV; 0: all electrons have the same energy.
    asymmetry : float
        Share of the tail in the standard deviation, from 0 to below 1.
    """

    spread: float
    asymmetry: float = 0.0

    def below(self, energy: FloatArray) -> FloatArray:
        """Return the share of the electrons that have lost less than so many eV."""
        from scipy.special import log_ndtr, ndtr

        if self.spread == 0:
            return np.asarray(np.heaviside(energy, 0.5))
        tail = self.asymmetry * self.spread
        core = self.spread * float(np.sqrt(1 - self.asymmetry**2))
        if self.asymmetry < 0.02:
            return np.asarray(ndtr(energy / self.spread))
        moved = energy + tail  # the mean stays at zero
        away = log_ndtr(moved / core - core / tail) - moved / tail + 0.5 * (core / tail) ** 2
        return np.asarray(ndtr(moved / core) - np.exp(away))

    def channels(self, step: float, width: float, first: float) -> tuple[FloatArray, int]:
        """Return the peak as densities per eV, each averaged over a channel, and where it starts.

        Parameters
        ----------
        step : float
            Distance of the values in eV.
        width : float
            Of a channel, in eV.
        first : float
            The values lie at ``first`` plus whole steps.

        Returns
        -------
        (numpy.ndarray, int)
            The values, and the index of the first, where index 0 is the value closest to no loss.
        """
        offset = first - round(first / step) * step
        reach = int(np.ceil((REACH * (1 + self.asymmetry) * self.spread + width) / step)) + 1
        energy = np.asarray(offset + np.arange(-reach, reach + 1) * step, dtype=float)
        high, low = self.below(energy + width / 2), self.below(energy - width / 2)
        return np.asarray((high - low) / width), -reach
