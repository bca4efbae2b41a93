"""Strokes along the fast axis: where the tip lost the surface, or something stuck to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, binary_propagation

from nanopilot.analysis.frame_arrays import BoolArray, robust_std, rows_of
from nanopilot.analysis.line_offsets import line_offsets
from nanopilot.core.errors import OutOfRange
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

#: A stroke stands out from both lines beside it by so many times as these from the next ones.
_ABRUPT = 2.0
#: It goes on while it stands out by so many times the threshold, over gaps of so many pixels.
_MORE, _GAP = 1.5, 2
#: By so many times the threshold a stroke stands out that nobody would take for surface.
_PLAIN = 3.0


@dataclass(frozen=True, slots=True)
class RemoveScars:
    """Replace strokes by what lies beside them, and say which pixels were replaced.

    A stroke is a run of pixels in up to `width` lines that lie above (or below) both lines beside
    them by more than the noise and by more than the surface changes there anyway. Lines that are
    offset as a whole are no strokes; `MatchLines` is for those.

    Parameters
    ----------
    threshold : float
        By how many robust standard deviations of the differences of lines a stroke stands out.
    length : int
        Fewest pixels along the line.
    width : int
        Most lines of one stroke.

    Raises
    ------
    OutOfRange
        A setting is not positive.
    """

    threshold: float = 3.0
    length: int = 8
    width: int = 3

    def __post_init__(self) -> None:
        for name in ("threshold", "length", "width"):
            if not getattr(self, name) > 0:
                raise OutOfRange(f"`{name}` is {getattr(self, name)}; it must be positive.")

    def __call__(self, frame: Signal) -> Signal:
        """Return the frame without strokes, dims (y, x), the input left alone.

        The coordinate ``replaced`` is True where a pixel was; all others are as they were, bit by
        bit.

        Raises
        ------
        SignalError
            The frame has other dims, fewer than three lines, or no finite pixel.
        """
        frame, heights = rows_of(frame, least=(3, 1))
        bad = self.find(heights)
        mended = _bridged(heights, bad) if bad.any() else heights
        found = frame.copy(data=mended)
        labels = {"units": "1", "quantity": "replaced pixels"}
        return found.assign_coords(replaced=(("y", "x"), bad, labels))

    def find(self, heights: FloatArray) -> BoolArray:
        """Return which pixels belong to strokes, shape (rows, columns)."""
        # A long stroke shifts what is taken for the offset of its line, and with it the rest of
        # the line: the plain ones are left out when the offsets are told.
        plain = self._seen(heights, heights, _PLAIN * self.threshold)
        return self._seen(heights, np.where(plain, np.nan, heights), self.threshold)

    def _seen(self, heights: FloatArray, trusted: FloatArray, threshold: float) -> BoolArray:
        level = heights - line_offsets(trusted, "differences")[:, None]
        noise = robust_std(np.diff(level, axis=0)) / np.sqrt(2)
        least = max(threshold * noise, 1e-9 * robust_std(level))
        bad = np.zeros(heights.shape, dtype=bool)
        for width in range(1, min(self.width, len(heights) - 2) + 1):
            for sign in (1.0, -1.0):
                jump, abrupt = _jumps(sign * level, width)
                runs = _long((jump > least) & abrupt, self.length)
                runs = _grown(runs, jump > _MORE * least)
                for line in range(width):
                    bad[1 + line : 1 + line + len(runs)] |= runs
        return bad


def _jumps(level: FloatArray, width: int) -> tuple[FloatArray, BoolArray]:
    """Return by how much lines 1 to 1 + width stand out, and where more than lines do anyway.

    Both of shape (rows - width - 1, columns); NaN beside lines that were not measured.
    """
    count = len(level) - width - 1
    below, above = level[:count], level[width + 1 :]
    inside = np.min([level[1 + k : 1 + k + count] for k in range(width)], axis=0)
    jump = inside - np.fmax(below, above)
    # Beyond the edge nothing changes.
    padded = np.pad(level, ((1, 1), (0, 0)), mode="edge")
    before = np.abs(padded[1 : 1 + count] - padded[:count])
    behind = np.abs(padded[width + 3 :] - padded[width + 2 : -1])
    return jump, jump > _ABRUPT * np.fmax(before, behind)


def _grown(runs: BoolArray, out: BoolArray) -> BoolArray:
    """Let runs grow along their lines as far as pixels stand out, small gaps included."""
    if not runs.any():
        return runs
    line = np.ones((1, 2 * _GAP + 1), dtype=bool)
    padded = np.pad(out | runs, ((0, 0), (_GAP, _GAP)))
    closed = binary_closing(padded, line)[:, _GAP:-_GAP]
    return np.asarray(
        binary_propagation(runs, structure=np.ones((1, 3), dtype=bool), mask=closed | runs)
    )


def _long(marked: BoolArray, length: int) -> BoolArray:
    """Keep runs along lines of at least `length` pixels."""
    if marked.shape[1] < length:
        return np.zeros_like(marked)
    counts = np.cumsum(np.pad(marked, ((0, 0), (1, 0))), axis=1)
    whole: BoolArray = counts[:, length:] - counts[:, :-length] == length
    kept = np.zeros_like(marked)
    for step in range(length):
        kept[:, step : step + whole.shape[1]] |= whole
    return kept


def _bridged(heights: FloatArray, bad: BoolArray) -> FloatArray:
    """Return heights with marked pixels on the straight line between those above and below."""
    offsets = line_offsets(np.where(bad, np.nan, heights), "differences")[:, None]
    level, lines = heights - offsets, np.arange(len(heights))
    mended = heights.copy()
    for column in np.flatnonzero(bad.any(axis=0)):
        gone = bad[:, column]
        good = ~gone & np.isfinite(heights[:, column])
        if good.any():
            mended[gone, column] = (
                np.interp(lines[gone], lines[good], level[good, column]) + offsets[gone, 0]
            )
    return mended
