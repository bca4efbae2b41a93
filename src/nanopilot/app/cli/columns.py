"""Plain tables: as wide as they have to be, so that no reason is cut where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, the last column as long as it is.

    Examples
    --------
    >>> list(columns([("rule", "verdict"), ("frame-has-shape", "passed")]))
    ['rule             verdict', 'frame-has-shape  passed']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
