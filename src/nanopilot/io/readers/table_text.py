"""Numbers in a text file: which sign parts them, where the header ends, what it says."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nanopilot.core.errors import ReadError, UnitError
from nanopilot.core.units import parse
from nanopilot.io.readers.frames import Array
from nanopilot.io.readers.source import content_of

_COMMENTS = ("#", "%", "//")
_MISSING = frozenset(("", "-", "--", "nan", "na", "n/a", "null", "none"))
_SAYS = re.compile(r"^\s*([^:]{1,40}):\s*(.*?)\s*$")
#: Lines of words that may stand before the numbers.
_TITLES = 100


@dataclass(frozen=True, slots=True, eq=False)
class TextTable:
    """What a text file holds.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns), or (blocks, rows, columns) with empty lines between the blocks.
    header : dict
        What its header says, by the name in small letters.
    """

    values: Array
    header: dict[str, str]

    def length(self, key: str) -> float | None:
        """Return a length the header says, in metres, or None."""
        try:
            return parse(self.header[key].replace("μ", "µ"), "m") if key in self.header else None
        except UnitError:
            return None


def read_text(file: Path) -> TextTable:
    """Read the table of numbers in a text file.

    Raises
    ------
    ReadError
        It is no text, or no table of numbers.
    """
    header: dict[str, str] = {}
    titles = 0
    blocks: list[list[list[float]]] = [[]]
    delimiter: str | None = None
    decimal_comma = False
    for number, line in enumerate(_text(file).splitlines(), start=1):
        plain = line.strip(" \r\f\v")
        if plain.startswith(_COMMENTS):
            if said := _SAYS.match(plain.lstrip("#%/ ")):
                header[said[1].strip().lower()] = said[2]
            continue
        if not plain.strip():
            blocks += [[]] if blocks[-1] else []
            continue
        first = not blocks[0]
        if first:
            delimiter, decimal_comma = _delimiter(plain)
        row = _row(plain, delimiter, decimal_comma=decimal_comma)
        if row is not None:
            _check_width(file, number, row, blocks)
            blocks[-1].append(row)
        elif first and titles < _TITLES:
            titles += 1
        else:
            raise ReadError(f"`{file}`, line {number}: {plain[:60]!r} is no row of numbers.")
    return TextTable(_stacked(file, [block for block in blocks if block]), header)


def _text(file: Path) -> str:
    raw = file.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw:
        raise ReadError(f"`{file}` is {content_of(file) or 'binary'}, no text with numbers.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _delimiter(line: str) -> tuple[str | None, bool]:
    """Return what parts the numbers of a line (None: spaces), and whether commas are points."""
    for sign in ("\t", ";"):
        if sign in line:
            return sign, "," in line and "." not in line
    if "," in line and not re.search(r"\d,\d+\s+-?\d", line):
        return ",", False
    return None, "," in line


def _row(line: str, delimiter: str | None, *, decimal_comma: bool) -> list[float] | None:
    """Return the numbers of a line, or None where a field is none."""
    fields = line.split(delimiter)
    if delimiter and not fields[-1].strip():
        fields = fields[:-1]  # a sign at the end parts nothing
    row = []
    for one in fields:
        plain = one.strip().strip('"')
        if plain.lower() in _MISSING:
            row.append(np.nan)
            continue
        try:
            row.append(float(plain.replace(",", ".") if decimal_comma else plain))
        except ValueError:
            return None
    return row


def _check_width(
    file: Path, number: int, row: list[float], blocks: list[list[list[float]]]
) -> None:
    if blocks[0] and len(row) != len(blocks[0][0]):
        raise ReadError(
            f"`{file}`, line {number}: {len(row)} numbers, where the first row has "
            f"{len(blocks[0][0])}; rows of a frame are equally long."
        )


def _stacked(file: Path, blocks: list[list[list[float]]]) -> Array:
    if not blocks:
        raise ReadError(f"`{file}` holds no numbers.")
    heights = {len(block) for block in blocks}
    if len(heights) > 1:
        raise ReadError(
            f"`{file}` has blocks of {', '.join(str(h) for h in sorted(heights))} rows; frames "
            "of a stack are equally high."
        )
    return np.array(blocks[0] if len(blocks) == 1 else blocks)
