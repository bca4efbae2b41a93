"""From the fraction of the beam that a detector catches to what is read from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numba
import numpy as np

from nanopilot.core.errors import OutOfRange

Array = np.ndarray[Any, np.dtype[Any]]


class Reading(Protocol):
    """What a detector makes of electrons; `nanopilot.twins.stem.settings.Annulus` is one."""

    @property
    def gain(self) -> float:
        """Counts per electron."""

    @property
    def offset(self) -> float:
        """Counts of a pixel without any."""

    @property
    def noise(self) -> float:
        """Standard deviation of a reading in counts."""

    @property
    def afterglow(self) -> float:
        """Fraction of the light that comes late."""

    @property
    def afterglow_time(self) -> float:
        """Its decay time in seconds."""

    @property
    def bits(self) -> int:
        """Of the converter; 0: none."""

    @property
    def efficiency(self) -> float:
        """Fraction of the electrons that are counted."""


@dataclass
class Detector:
    """A detector that is read pixel after pixel.

    Parameters
    ----------
    reading : Reading
        What it is like.
    waiting : float
        Light that is still to come, in electrons.
    since : float
        When the last exposure ended, in seconds.
    """

    reading: Reading
    waiting: float = 0.0
    since: float = -math.inf

    def read(self, mean: Array, begins: Array, dwell: float, rng: np.random.Generator) -> Array:
        """Return counts of exposures in the order they were made.

        The electrons of a pixel are drawn by Poisson's law, part of their light comes late
        (`afterglow`), then gain, offset and the noise of the amplifier, then the converter.

        Parameters
        ----------
        mean : numpy.ndarray
            Mean number of electrons that hit the detector, electrons times fraction, shape (n,).
        begins : numpy.ndarray
            When each exposure begins, in seconds, ascending, shape (n,).
        dwell : float
            Seconds that each lasts.
        rng : numpy.random.Generator
            Random numbers.

        Returns
        -------
        numpy.ndarray
            Counts, shape (n,); whole numbers if there is a converter.

        Raises
        ------
        OutOfRange
            A mean below zero or none at all, or exposures that overlap.
        """
        mean = np.asarray(mean, dtype=float)
        if not (np.isfinite(mean).all() and (mean >= 0).all()):
            raise OutOfRange("`mean` has a value that is not a number of electrons from 0 on.")
        begins = np.asarray(begins, dtype=float)
        if len(begins) > 1 and float(np.diff(begins).min()) < 0.999 * dwell:
            raise OutOfRange(f"`begins` are closer to each other than `dwell`, {dwell:g} s.")
        found = self.reading
        light = rng.poisson(mean * found.efficiency).astype(float)
        if found.afterglow > 0 and len(light):
            decay = found.afterglow, found.afterglow_time
            state = np.array([self.waiting, self.since])
            _glow(light, begins, dwell, decay, state)
            self.waiting, self.since = (float(one) for one in state)
        counts = found.gain * light + found.offset
        if found.noise > 0:
            counts = counts + rng.normal(0.0, found.noise, counts.shape)
        return converted(counts, found.bits)


def converted(counts: Array, bits: int) -> Array:
    """Return what a converter gives: whole numbers from 0 to ``2**bits - 1``; 0 bits: the same."""
    if bits == 0:
        return counts
    found: Array = np.clip(np.rint(counts), 0, 2**bits - 1)
    return found


@numba.njit(cache=True, nogil=True)
def _glow(
    light: Array, begins: Array, dwell: float, decay: tuple[float, float], state: Array
) -> None:
    """Put the light that comes late where it comes.

    With light W waiting, ``dW/dt = late n / dwell - W / time`` during an exposure: what is seen is
    what came in less what is waiting at the end. Between exposures it decays unseen.
    """
    late, time = decay
    waiting, since = state
    kept = math.exp(-dwell / time)
    filled = time / dwell * (1 - kept)
    for n in range(len(light)):
        pause = begins[n] - since
        if pause > 0:
            waiting *= math.exp(-pause / time)
        came = late * light[n]
        after = waiting * kept + came * filled
        light[n] += waiting - after
        waiting, since = after, begins[n] + dwell
    state[0], state[1] = waiting, since
