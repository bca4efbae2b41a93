"""What every place has been given: electrons, seconds under bias, metres of the tip, per cell.

The sample is divided into squares. A frame gives its electrons evenly to its pixels, a spectrum
to its place, a pulse to its point. Places are those of the sample: where the stage moves it by d,
the scan coordinate s is the place s - d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from nanopilot.core.geometry import own_axes
from nanopilot.core.history import FloatArray
from nanopilot.core.limits import Estimate, PlaceBudget, Violation
from nanopilot.core.requests import (
    CameraRequest,
    Position,
    Request,
    ScanRequest,
    SpectrumRequest,
    WriteRequest,
)
from nanopilot.core.signals import Axis, Signal, make_signal

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Cells that one request may touch, and that are remembered in all: 32 bytes each.
MOST_CELLS = 2**22
#: Pixels of a rotated frame that are looked at; finer ones are thinned out.
_MOST_PIXELS = 2**20
_FAR = 2**30
_MAP_SIDE = 2048


@dataclass(frozen=True, slots=True)
class Deposit:
    """What one request gives to which cells.

    Parameters
    ----------
    cells : numpy.ndarray
        Number of each cell, shape (n,), ascending.
    electrons, bias_seconds, wear : numpy.ndarray
        For each of them, shape (n,).
    """

    cells: IntArray
    electrons: FloatArray
    bias_seconds: FloatArray
    wear: FloatArray


def _nothing() -> Deposit:
    return Deposit(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros(0))


@dataclass
class Places:
    """The ledger of one run; memory grows with the cells that were touched, and no further.

    Parameters
    ----------
    budget : PlaceBudget
        Size of the cells, and what each may be given.
    given : Deposit
        What they have been given.
    """

    budget: PlaceBudget
    given: Deposit = field(default_factory=_nothing)

    def deposit(
        self, request: Request, estimate: Estimate, rest: Position, stage: Position
    ) -> Deposit | Violation:
        """Return what a request would give, or why that cannot be counted.

        Parameters
        ----------
        request, estimate : Request, Estimate
            What is asked, and what it costs in all.
        rest : (float, float)
            Where tip or beam rests, (x, y) in metres: there a camera looks.
        stage : (float, float)
            Position of the stage, (x, y) in metres.
        """
        if not (estimate.electrons or estimate.bias_seconds or estimate.wear):
            return _nothing()
        cell = self.budget.cell
        counted = _cells(request, cell, rest, stage)
        if counted is None:
            return Violation(
                parameter="place",
                kind="budget",
                message=f"`cell` of the place budget is {cell:g} m; what is asked would touch more "
                f"than {MOST_CELLS} such cells. Choose larger cells or a smaller area.",
            )
        cells, share = counted
        given = (estimate.electrons, estimate.bias_seconds, estimate.wear)
        return Deposit(cells, *(share * one for one in given))

    def check(self, deposit: Deposit) -> list[Violation]:
        """List the budgets of places that would be overdrawn."""
        if not deposit.cells.size:
            return []
        before = self._at(deposit.cells)
        area = self.budget.cell**2
        found = self._over(
            "dose", (before.electrons + deposit.electrons) / area, self.budget.dose, " e/m^2"
        )
        found += self._over(
            "bias_seconds",
            before.bias_seconds + deposit.bias_seconds,
            self.budget.bias_seconds,
            " s",
        )
        found += self._over("wear", before.wear + deposit.wear, self.budget.wear, " m")
        if np.union1d(self.given.cells, deposit.cells).size > MOST_CELLS:
            message = f"`cell` is too small: more than {MOST_CELLS} cells would be remembered."
            found.append(Violation(parameter="place", kind="budget", message=message))
        return found

    def _over(
        self, name: str, after: FloatArray, allowed: float | None, unit: str
    ) -> list[Violation]:
        if allowed is None or bool((after <= allowed * (1 + 1e-9)).all()):
            return []
        message = (
            f"`{name}` of one place would be {np.max(after):.4g}{unit}; the budget of a place is "
            f"{allowed:g}{unit}. Go elsewhere, give less, or raise the budget."
        )
        return [Violation(parameter=name, kind="budget", message=message)]

    def _at(self, cells: IntArray) -> Deposit:
        """Return what some cells have been given, 0 where nothing was."""
        known = self.given
        if not known.cells.size:
            return Deposit(cells, *np.zeros((3, cells.size)))
        where = np.minimum(np.searchsorted(known.cells, cells), known.cells.size - 1)
        there = known.cells[where] == cells
        return Deposit(
            cells,
            np.where(there, known.electrons[where], 0.0),
            np.where(there, known.bias_seconds[where], 0.0),
            np.where(there, known.wear[where], 0.0),
        )

    def book(self, deposit: Deposit) -> None:
        """Add what has been let through."""
        if not deposit.cells.size:
            return
        cells = np.union1d(self.given.cells, deposit.cells)
        before = self._at(cells)
        at = np.searchsorted(cells, deposit.cells)
        before.electrons[at] += deposit.electrons
        before.bias_seconds[at] += deposit.bias_seconds
        before.wear[at] += deposit.wear
        self.given = before

    def dose_map(self) -> Signal:
        """Return the dose of every place, dims (y, x), electrons per square metre.

        Where the places lie so far apart that the map would be huge, cells are joined, and the
        largest dose among them is told.
        """
        column, row = self.given.cells % (2 * _FAR) - _FAR, self.given.cells // (2 * _FAR) - _FAR
        if not column.size:
            column, row = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        left, low = int(column.min()), int(row.min())
        side = max(int(column.max()) - left, int(row.max()) - low) + 1
        joined = -(-side // _MAP_SIDE)
        column, row = (column - left) // joined, (row - low) // joined
        dose = np.zeros((int(row.max()) + 1, int(column.max()) + 1))
        if self.given.cells.size:
            np.maximum.at(dose, (row, column), self.given.electrons / self.budget.cell**2)
        cell = self.budget.cell * joined
        y, x = (cell * np.arange(0.5, n, dtype=np.float64) for n in dose.shape)
        axes = {
            "y": Axis(y + low * self.budget.cell, "m", "position"),
            "x": Axis(x + left * self.budget.cell, "m", "position"),
        }
        return make_signal(
            dose, axes, quantity="dose", units="1/m^2", metadata={"cell": cell, "joined": joined}
        )


def _cells(
    request: Request, cell: float, rest: Position, stage: Position
) -> tuple[IntArray, FloatArray] | None:
    """Return the cells that are touched, ascending, and the share each gets; None: too many."""
    frame = request if isinstance(request, ScanRequest) else None
    if isinstance(request, SpectrumRequest | CameraRequest):
        frame = request.grid
    if frame is not None:
        if not frame.points and not frame.rotation:
            return _straight(frame, cell, stage)
        spots: FloatArray | None = _turned(frame, cell)
    elif isinstance(request, WriteRequest):
        spots = _written(request, cell)
    else:
        spots = np.array([rest], dtype=float)
    if spots is None:
        return None
    index = np.floor((spots - stage) / cell)
    if not (np.abs(index) < _FAR).all():
        return None
    cells, counts = np.unique(_number(index[:, 0], index[:, 1]), return_counts=True)
    return cells, counts / len(spots)


def _number(column: FloatArray, row: FloatArray) -> IntArray:
    return (row.astype(np.int64) + _FAR) * (2 * _FAR) + column.astype(np.int64) + _FAR


def _straight(
    frame: ScanRequest, cell: float, stage: Position
) -> tuple[IntArray, FloatArray] | None:
    """Return cells and shares of a frame along the axes: columns times rows."""
    (rows, columns), (width, height) = frame.shape, frame.field_of_view
    across = _along(frame.centre[0] - stage[0], width, columns, cell)
    if frame.order == "lines":
        y = (_rows(frame) - stage[1]) / cell
        index, counts = np.unique(np.floor(y), return_counts=True)
        down: tuple[FloatArray, FloatArray] | None = index, counts / len(frame.lines)
    else:
        down = _along(frame.centre[1] - stage[1], height, rows, cell)
    if across is None or down is None or across[0].size * down[0].size > MOST_CELLS:
        return None
    column, row = np.meshgrid(across[0], down[0])
    cells = _number(column.ravel(), row.ravel())  # ascending, as both axes are
    return cells, np.outer(down[1], across[1]).ravel()


def _along(
    centre: float, extent: float, pixels: int, cell: float
) -> tuple[FloatArray, FloatArray] | None:
    """Return the cells of one axis and their shares of its pixels."""
    low, high = (centre - extent / 2) / cell, (centre + extent / 2) / cell
    if not max(abs(low), abs(high)) < _FAR:
        return None
    if pixels <= _MOST_PIXELS:
        x = np.linspace(low, high, pixels) if pixels > 1 else np.array([centre / cell])
        index, counts = np.unique(np.floor(x), return_counts=True)
        return index, counts / pixels
    if high - low > MOST_CELLS:
        return None
    # So many pixels are as good as a line: each cell gets the length that lies in it.
    index = np.arange(math.floor(low), math.floor(high) + 1, dtype=float)
    covered = np.minimum(index + 1, high) - np.maximum(index, low)
    return index, covered / max(high - low, 1e-300) if high > low else np.ones(index.size)


def _turned(frame: ScanRequest, cell: float) -> FloatArray | None:
    """Return the places of a rotated or a sparse frame, thinned out where they are many."""
    if frame.points:
        return np.array(frame.points, dtype=float)
    extent = [size / cell for size in reversed(frame.field_of_view)]
    if (extent[0] + 1) * (extent[1] + 1) > MOST_CELLS:
        return None
    rows, columns = (
        min(n, max(256, math.ceil(8 * size))) for n, size in zip(frame.shape, extent, strict=True)
    )
    if frame.order == "lines":
        rows = len(frame.lines)
    if rows * columns > 16 * _MOST_PIXELS:
        return None
    x, y = own_axes(frame.model_copy(update={"shape": (rows, columns)}))
    if frame.order == "lines":
        y = _rows(frame)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) - frame.centre
    cos, sin = np.cos(frame.rotation), np.sin(frame.rotation)
    turned: FloatArray = grid @ np.array([[cos, sin], [-sin, cos]]) + np.array(frame.centre)
    return turned


def _rows(frame: ScanRequest) -> FloatArray:
    """Return where the chosen rows lie along the frame's own y, in metres."""
    part = np.array(frame.lines) / max(1, frame.shape[0] - 1) - 0.5
    if frame.shape[0] == 1:
        part = np.zeros(len(frame.lines))
    rows: FloatArray = frame.centre[1] + frame.field_of_view[1] * part
    return rows


def _written(request: WriteRequest, cell: float) -> FloatArray | None:
    """Return the places of pulses, or places close together along a path."""
    points = np.array(request.points, dtype=float)
    if request.mode == "pulses":
        return points
    lengths = np.hypot(*np.diff(points, axis=0).T)
    each = max(2, math.ceil(4 * float(lengths.max()) / cell) + 1)
    if each * len(lengths) > MOST_CELLS:
        return None
    # Every stretch takes equally long, so each is given as many places.
    part = np.linspace(0, 1, each)[:, None]
    along = [a + (b - a) * part for a, b in pairwise(points)]
    return np.concatenate(along)
