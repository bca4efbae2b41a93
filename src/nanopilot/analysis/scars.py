"""Strokes along the fast axis: where the tip lost the surface, or something stuck to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, binary_propagation

from nanopilot.analysis.frame_arrays import BoolArray, robust_std, rows_of
from nanopilot.analysis.line_offsets import line_offsets
from nanopilot.analysis.stroke_kernels import BEGIN, END, GAIN, HEIGHT, SIDES, best_runs
from nanopilot.core.errors import OutOfRange
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

#: A stroke stands out from both lines beside it by so many times as these from the next ones.
_ABRUPT = 2.0
#: It goes on while it stands out by so many times the threshold, over gaps of so many pixels.
_MORE, _GAP = 1.5, 2
#: By so many times the threshold a stroke stands out that nobody would take for surface.
_PLAIN = 3.0
#: Heights below so many plain standard deviations of the differences of lines, which features
#: make large, or below this part of the spread of the surface, are no strokes of one height.
_LEAST, _FLOOR = 2.0, 0.02
#: Parts of the spread of a surface that are rounding, and what rounding makes of offsets of lines;
#: part of a line that a run may be.
_ROUNDING, _JOINED, _MOST = 1e-9, 1e-4, 0.75
#: They gain so many times what a run of the least length could gain.
_ENOUGH = 1.25
#: A run follows the surface beside it if this part of its squares, about a straight line, is left.
_FOLLOWS = 0.3
#: Strokes that touch are found one after the other, in so many rounds at most.
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class RemoveScars:
    """Replace strokes by what lies beside them, and say which pixels were replaced.

    A stroke is a run of pixels in up to `width` lines that lie above (or below) both lines beside
    them by more than the noise and by more than the surface changes there anyway; or that lie off
    both by one and the same height, whatever the surface does. Lines that are offset as a whole
    are no strokes; `MatchLines` is for those.

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
        mended = _mended(heights, bad, self.length) if bad.any() else heights
        found = frame.copy(data=mended)
        labels = {"units": "1", "quantity": "replaced pixels"}
        return found.assign_coords(replaced=(("y", "x"), bad, labels))

    def find(self, heights: FloatArray) -> BoolArray:
        """Return which pixels belong to strokes, shape (rows, columns)."""
        # A long stroke shifts what is taken for the offset of its line, and with it the rest of
        # the line: the plain ones are left out when the offsets are told.
        plain = self._seen(heights, heights, _PLAIN * self.threshold)
        bad = self._seen(heights, np.where(plain, np.nan, heights), self.threshold)
        # Of a stroke over particles only parts may have been seen: its one height tells the rest.
        bad |= self._even(heights, bad)
        for _ in range(_ROUNDS):
            more = self._even(np.where(bad, np.nan, heights), bad)
            if not more.any():
                break
            bad |= more
        return bad

    def _even(self, heights: FloatArray, bad: BoolArray) -> BoolArray:
        """Return runs of one height, of those side by side only the plainest.

        Pixels known to be bad do not tell how lines are offset, nor what noise is.
        """
        found = np.zeros(heights.shape, dtype=bool)
        trusted = np.where(bad, np.nan, heights)
        offsets = line_offsets(trusted, "differences")[:, None]
        level, trusted = heights - offsets, trusted - offsets
        apart = np.diff(trusted, axis=0)
        # What all lines have in common, such as tilt, is in no difference.
        rest = trusted - np.median(np.where(np.isnan(trusted), 0.0, trusted), axis=0)
        floors = _FLOOR * robust_std(rest), _JOINED * robust_std(trusted)
        noise = max(robust_std(apart), *floors)
        if not noise or heights.shape[1] < self.length:
            return found
        least = max(self.threshold * noise, _LEAST * float(np.nanstd(apart)))
        enough = _ENOUGH * SIDES * self.length
        # What most of a line does is its offset.
        most = _MOST * heights.shape[1]
        runs = []
        for width in range(1, min(self.width, len(heights) - 2) + 1):
            best = best_runs(level, width, self.length, noise, least)
            for row in np.flatnonzero(best[:, GAIN] >= enough):
                begin, end = int(best[row, BEGIN]), int(best[row, END])
                run = level[:, begin:end], int(row), width
                if self.length <= end - begin <= most and _sudden(*run, best[row, HEIGHT]):
                    runs.append((-float(best[row, GAIN]), int(row), width, begin, end))
        for _, top, lines, begin, end in sorted(runs):
            if not found[max(0, top - 1) : top + lines + 1, begin:end].any():
                found[top : top + lines, begin:end] = True
        return found & np.isfinite(heights)

    def _seen(self, heights: FloatArray, trusted: FloatArray, threshold: float) -> BoolArray:
        level = heights - line_offsets(trusted, "differences")[:, None]
        noise = robust_std(np.diff(level, axis=0)) / np.sqrt(2)
        least = max(threshold * noise, _ROUNDING * robust_std(level))
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


def _sudden(level: FloatArray, row: int, width: int, height: float) -> bool:
    """Return whether the lines beyond a run rise towards it by much less than its height.

    On a ridge they rise by more; that they fall means another stroke of the other sign.
    """
    for near, far in ((row - 1, row - 2), (row + width, row + width + 1)):
        if 0 <= far < len(level):
            rise = (level[near] - level[far]) * np.sign(height)
            if np.isfinite(rise).any() and _ABRUPT * float(np.nanmedian(rise)) >= abs(height):
                return False
    return True


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


def _mended(heights: FloatArray, bad: BoolArray, length: int) -> FloatArray:
    """Return heights with marked pixels put where the surface is.

    A tip that picked something up still follows the surface, only higher: such a run is shifted
    back. Elsewhere it is on the straight line between the pixels above and below.
    """
    offsets = line_offsets(np.where(bad, np.nan, heights), "differences")[:, None]
    level = heights - offsets
    bridged = _bridged(level, bad)
    mended = bridged.copy()
    for row in np.flatnonzero(bad.any(axis=1)):
        edges = np.flatnonzero(np.diff(np.pad(bad[row].astype(int), 1)))
        for begin, end in edges.reshape(-1, 2).tolist():
            if end - begin >= length:
                run = np.s_[row, begin:end]
                mended[run] = _shifted(level[run], bridged[run])
    return np.where(bad, mended + offsets, heights)


def _shifted(line: FloatArray, bridged: FloatArray) -> FloatArray:
    """Return a run shifted onto what lies beside it if it follows that, else what lies beside."""
    apart = line - bridged
    height = float(np.median(apart))
    along = np.linspace(-1, 1, line.size)
    straight = line - np.polynomial.polynomial.polyval(
        along, np.polynomial.polynomial.polyfit(along, line, 1)
    )
    follows = np.mean((apart - height) ** 2) < _FOLLOWS * np.mean(straight**2)
    return line - height if follows else bridged


def _bridged(level: FloatArray, bad: BoolArray) -> FloatArray:
    """Return heights with marked pixels on the straight line between those above and below."""
    lines, mended = np.arange(len(level)), level.copy()
    for column in np.flatnonzero(bad.any(axis=0)):
        gone = bad[:, column]
        good = ~gone & np.isfinite(level[:, column])
        if good.any():
            mended[gone, column] = np.interp(lines[gone], lines[good], level[good, column])
    return mended
