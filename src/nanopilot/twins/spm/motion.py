"""Where the tip really is when it has been told to be somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.twins.spm.settings import Motion

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class RealPath:
    """Drift, creep and hysteresis of the lateral piezos.

    After a jump d the piezo goes on moving, by d * creep * log10(1 + t / creep_time); only moves of
    the middle of the scan do that, not the scan itself. S. M. Hues, C. F. Draper, K. P. Lee and
    R. J. Colton, Rev. Sci. Instrum. 65 (1994) 1561. Hysteresis bends each line: the lag is
    largest in its middle and opposite on the way back.

    Parameters
    ----------
    motion : Motion
        How large they are.
    """

    motion: Motion
    _jumps: list[tuple[float, FloatArray]] = field(default_factory=list)
    _shifts: list[tuple[float, FloatArray]] = field(default_factory=list)
    _centre: FloatArray = field(default_factory=lambda: np.zeros(2))

    def move(self, centre: tuple[float, float], now: float) -> None:
        """Note that the middle of the scan has gone elsewhere, at a time in seconds."""
        jump = np.array(centre) - self._centre
        if jump.any():
            self._jumps.append((now, jump))
        self._centre = np.array(centre)

    def slip(self, shift: tuple[float, float, float], now: float) -> None:
        """Let the sample slip under the tip by (x, y, z) in metres, at a time in seconds."""
        self._shifts.append((now, np.array(shift)))

    def offset(self, times: FloatArray) -> FloatArray:
        """Return drift and creep at times in seconds: (x, y) in metres, shape (..., 2)."""
        return self.drift(times)[..., :2] + self.creep(times)

    def drift(self, times: FloatArray) -> FloatArray:
        """Return how far the sample has gone: (x, y, z) in metres, shape (..., 3)."""
        total: FloatArray = np.multiply.outer(times, np.array(self.motion.drift))
        for began, shift in self._shifts:
            total = total + np.multiply.outer(np.asarray(times) >= began, shift)
        return total

    def creep(self, times: FloatArray) -> FloatArray:
        """Return how much further the piezos have gone: (x, y) in metres, shape (..., 2)."""
        total = np.zeros((*np.shape(times), 2))
        if self.motion.creep:
            for began, jump in self._jumps:
                since = np.clip(times - began, 0, None) / self.motion.creep_time
                further = self.motion.creep * np.log10(1 + since)
                total += np.multiply.outer(further, jump)
        return total

    def facts(self) -> dict[str, Any]:
        """Return every move and slip so far, as JSON; see `Memory.facts`."""
        return {
            "jumps": [[when, *jump.tolist()] for when, jump in self._jumps],
            "shifts": [[when, *shift.tolist()] for when, shift in self._shifts],
            "centre": self._centre.tolist(),
        }

    def recall(self, facts: Mapping[str, Any]) -> None:
        """Take over what `facts` returned."""
        self._jumps = [(when, np.array(jump)) for when, *jump in facts["jumps"]]
        self._shifts = [(when, np.array(shift)) for when, *shift in facts["shifts"]]
        self._centre = np.array(facts["centre"])

    @property
    def drifts(self) -> bool:
        """Whether the sample moves at all."""
        return any(self.motion.drift) or bool(self._shifts)

    def height(self, times: FloatArray) -> FloatArray:
        """Return the drift of height at times in seconds, in metres."""
        return self.drift(times)[..., 2]

    def lag(self, along: FloatArray, width: float, *, back: bool) -> FloatArray:
        """Return the hysteresis along a line, in metres.

        Parameters
        ----------
        along : numpy.ndarray
            0 at the left end, 1 at the right end.
        width : float
            Of the line, in metres.
        back : bool
            On the way back.
        """
        bend = 2 * self.motion.hysteresis * width * along * (1 - along)
        return bend if back else -bend
