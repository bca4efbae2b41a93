"""A driver's measurement in progress: blocks, abort, and what a lost link leaves behind."""

from collections.abc import Generator

import numpy as np
import pytest
import xarray as xr

from nanopilot.core.acquiring import Filled, LiveAcquisition
from nanopilot.core.errors import LinkLost


class Wire:
    """Gives one line after the other, until the line is cut."""

    def __init__(self, cut_at: int = 99) -> None:
        self.values = np.full((4, 3), np.nan)
        self.cut_at = cut_at
        self.halted = 0
        self.closed = False

    def lines(self) -> Generator[Filled, None, None]:
        try:
            for row in range(4):
                if row == self.cut_at:
                    raise LinkLost("the line went dead")
                self.values[row] = row
                yield {"y": row}
        finally:
            self.closed = True

    def start(self) -> LiveAcquisition:
        def halt() -> None:
            self.halted += 1

        def whole() -> xr.Dataset:
            return xr.Dataset({"height": (("y", "x"), self.values)})

        return LiveAcquisition(whole, self.lines(), halt)


def test_blocks_are_lines_and_join_to_the_result() -> None:
    acquisition = Wire().start()
    assert acquisition.progress == 0
    blocks = list(acquisition)
    assert [block.sizes["y"] for block in blocks] == [1, 1, 1, 1]
    assert xr.concat(blocks, "y").identical(acquisition.result())
    assert acquisition.progress == 1


def test_abort_halts_the_instrument_and_keeps_what_was_measured() -> None:
    wire = Wire()
    acquisition = wire.start()
    next(iter(acquisition))
    acquisition.abort()
    left = acquisition.result()["height"]
    assert np.isfinite(left[0]).all()
    assert np.isnan(left[1:]).all()
    assert (wire.halted, wire.closed, acquisition.progress) == (1, True, 0.25)


def test_lost_link_is_told_once_and_the_blocks_so_far_are_kept() -> None:
    acquisition = Wire(cut_at=2).start()
    with pytest.raises(LinkLost):
        acquisition.result()
    left = acquisition.result()["height"]
    assert np.isfinite(left[:2]).all()
    assert np.isnan(left[2:]).all()
    assert acquisition.progress == 0.5


def test_result_does_not_change_afterwards() -> None:
    wire = Wire()
    result = wire.start().result()
    wire.values[:] = 7
    assert float(result["height"].max()) == 3
