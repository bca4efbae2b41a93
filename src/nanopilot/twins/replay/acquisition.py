"""A replayed measurement in progress: it takes (virtual) time and can be aborted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nanopilot.core.clock import Clock
from nanopilot.core.signals import SignalSet


class ReplayAcquisition:
    """Blocks of a measurement that is revealed line by line.

    Parameters
    ----------
    whole : callable
        Returns the complete measurement; called once, when the first block is due.
    dim : str or None
        Dim along which blocks are cut; None: everything is one block.
    blocks : int
        How many blocks.
    seconds : float
        How long the whole takes.
    clock : Clock
        Passes the time.
    """

    def __init__(
        self,
        whole: Callable[[], SignalSet],
        *,
        dim: str | None,
        blocks: int,
        seconds: float,
        clock: Clock,
    ) -> None:
        self._whole = whole
        self._dim = dim
        self._blocks = blocks
        self._seconds = seconds
        self._clock = clock
        self._done = 0
        self._aborted = False
        self._signals: SignalSet | None = None

    @property
    def progress(self) -> float:
        """Fraction of the blocks measured so far."""
        return self._done / self._blocks

    def abort(self) -> None:
        """Stop after the block in progress."""
        self._aborted = True

    def __iter__(self) -> Iterator[SignalSet]:
        """Yield the blocks that are still to be measured."""
        while self._done < self._blocks and not self._aborted:
            self._clock.sleep(self._seconds / self._blocks)
            self._done += 1
            yield self._cut(self._done - 1)

    def result(self) -> SignalSet:
        """Measure what is left and return everything, NaN where it was aborted."""
        for _ in self:
            pass
        signals = self._measurement()
        if self._done == self._blocks:
            return signals
        return signals.map(self._hide, keep_attrs=True)

    def _measurement(self) -> SignalSet:
        if self._signals is None:
            self._signals = self._whole()
        return self._signals

    def _cut(self, block: int) -> SignalSet:
        signals = self._measurement()
        return signals if self._dim is None else signals.isel({self._dim: self._edges(block)})

    def _edges(self, block: int) -> slice:
        size = self._measurement().sizes[str(self._dim)]
        edges = np.linspace(0, size, self._blocks + 1).astype(int)
        return slice(int(edges[block]), int(edges[block + 1]))

    def _hide(self, channel: SignalSet) -> SignalSet:
        hidden = channel.copy(data=channel.to_numpy().astype(float))
        if self._dim is None:
            hidden[...] = np.nan
        else:
            first = self._edges(self._done).start
            hidden[{self._dim: slice(first, None)}] = np.nan
        return hidden
