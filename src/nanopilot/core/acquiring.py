"""A measurement in progress, out of a generator that fills arrays as values come in."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping

from nanopilot.core.signals import SignalSet

#: Which part of the measurement has just been filled: by dim, such as ``{"y": slice(0, 8)}``.
Filled = Mapping[str, int | slice]
#: Dims whose samples count as pixels.
_PIXELS = ("frame", "y", "x", "point")


class LiveAcquisition:
    """The `Acquisition` of a driver: it fills arrays that begin as NaN, block by block.

    Parameters
    ----------
    whole : callable
        Returns the measurement as it stands, made of the arrays that are being filled; called
        for every block, so it should not copy them.
    filling : generator
        Waits for values, fills them in, and yields which part that was. When it is closed it
        stops waiting.
    halt : callable
        Tells the instrument to drop the measurement; called by `abort` from any thread.

    Notes
    -----
    An error of the generator (a lost link) comes out of the iteration or of `result` once;
    after that `result` gives what was measured before it.
    """

    def __init__(
        self,
        whole: Callable[[], SignalSet],
        filling: Generator[Filled, None, None],
        halt: Callable[[], None],
    ) -> None:
        self._whole = whole
        self._filling = filling
        self._halt = halt
        self._aborted = False
        self._broken = False
        self._done = 0
        self._sizes = {dim: n for dim, n in whole().sizes.items() if dim in _PIXELS}
        self._size = max(1, math.prod(self._sizes.values()))

    @property
    def progress(self) -> float:
        """Fraction of the pixels that have been measured."""
        return self._done / self._size

    def abort(self) -> None:
        """Stop after the block in progress; what has been measured stays."""
        self._aborted = True
        self._halt()

    def __iter__(self) -> Iterator[SignalSet]:
        """Yield blocks that are still to come."""
        for filled in self._parts():
            block = self._whole().isel({dim: _kept(part) for dim, part in filled.items()})
            yield block.squeeze("frame", drop=False) if _one_frame(filled) else block

    def _parts(self) -> Iterator[Filled]:
        """Let the parts that are still to come be filled, one by one."""
        while not self._aborted:
            filled = self._next()
            if filled is None:
                return
            self._done += self._count(filled)
            yield filled
        self._filling.close()

    def _count(self, filled: Filled) -> int:
        """Return the pixels of a part."""
        counts = dict(self._sizes)
        for dim in set(counts) & set(filled):
            counts[dim] = len(range(self._sizes[dim])[_kept(filled[dim])])
        return max(1, math.prod(counts.values()))

    def _next(self) -> Filled | None:
        try:
            return next(self._filling)
        except StopIteration:
            # A generator that broke is exhausted as well, and has not come to its end.
            self._done = self._done if self._broken or self._aborted else self._size
            return None
        except BaseException:
            self._broken = True
            raise

    def result(self) -> SignalSet:
        """Wait for the end and return everything, NaN where it was not measured."""
        for _ in self._parts():
            pass
        return self._whole().copy(deep=True)


def _kept(part: int | slice) -> slice:
    """Return an index as a slice, so that the dim stays."""
    return slice(part, part + 1) if isinstance(part, int) else part


def _one_frame(filled: Filled) -> bool:
    return isinstance(filled.get("frame"), int)
