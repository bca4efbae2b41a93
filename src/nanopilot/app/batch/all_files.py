"""What all frames of a batch tell together, put into the table and the picture of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nanopilot.app.batch.overlay import draw_overlay
from nanopilot.app.batch.table_file import read_table, table_text, write_table
from nanopilot.app.batch.task import Asked, FileResult, FrameResult
from nanopilot.core.signals import SignalSet
from nanopilot.workflows.analyse.findings import Array, Mark
from nanopilot.workflows.analyse.frames import frames_of
from nanopilot.workflows.analyse.together import LooksAtAll, Together

#: Folder of the outlines, in that of the results.
OUTLINES = "outlines"
#: Seed of what is drawn: the same files give the same answer.
_SEED = 0


@dataclass(frozen=True, slots=True)
class Anew:
    """A file whose frames are told anew.

    Parameters
    ----------
    file : FileResult
        As it was told.
    tables, kinds : mapping
        Of those of its frames that change, by name, as of `Together`.
    order : tuple of str
        Every kind there is.
    """

    file: FileResult
    tables: Mapping[str, SignalSet]
    kinds: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]


def look_at_all(
    analyser: object, files: Sequence[FileResult], asked: Asked
) -> tuple[Together | None, list[Anew]]:
    """Return what all frames tell together, and the files whose tables do not say so yet.

    Parameters
    ----------
    analyser : object
        Asked if it is a `LooksAtAll`.
    files : sequence of FileResult
        Of the whole batch, in its order.
    asked : Asked
        What was done.
    """
    if not isinstance(analyser, LooksAtAll):
        return None, []
    paths = {one.name: asked.out / one.table for file in files for one in file.frames if one.table}
    told = analyser.together(
        {name: read_table(path) for name, path in paths.items()}, np.random.default_rng(_SEED)
    )
    if told is None:
        return None, []
    changed = [
        name
        for name, path in paths.items()
        if table_text(told.tables[name], in_pixels=asked.in_pixels)
        != path.read_text(encoding="utf-8")
    ]
    anew = []
    for file in files:
        mine = [one.name for one in file.frames if one.name in changed]
        if mine:
            tables = {name: told.tables[name] for name in mine}
            anew.append(Anew(file, tables, {name: told.kinds[name] for name in mine}, told.order))
    return told, anew


def tell_anew(anew: Anew) -> str:
    """Draw the frames of a file again and write their tables; return what went wrong, or nothing.

    The table comes last: a batch that was stopped sees by it what is left to do.
    """
    asked = anew.file.asked
    try:
        frames = frames_of(Path(anew.file.file), asked.look())
        for number, one in enumerate(anew.file.frames):
            if one.name not in anew.tables:
                continue
            marks = _marks(one, anew.kinds[one.name], asked)
            if one.overlay:
                draw_overlay(
                    frames[number], marks, asked.out / one.overlay,
                    in_pixels=asked.in_pixels, order=anew.order,
                )  # fmt: skip
            write_table(
                anew.tables[one.name], asked.out / f"{one.name}.csv", in_pixels=asked.in_pixels
            )
    except Exception as error:  # noqa: BLE001 - one file that is gone never stops the batch
        return f"{anew.file.file}: {' '.join(str(error).split())}"
    return ""


def write_outlines(marks: Sequence[Mark], path: Path, *, in_pixels: bool) -> None:
    """Write the outlines of a frame, one row a corner; the file appears when it is whole.

    Parameters
    ----------
    marks : sequence of Mark
        One for each row of the table of the frame, in its order.
    path : Path
        Of the CSV: ``row`` of the table from 1, and x and y as there.
    in_pixels : bool
        A nanometre stands for a pixel; the names of the columns say so.
    """
    unit = "px" if in_pixels else "nm"
    places = np.concatenate([np.zeros((0, 2)), *(mark.points for mark in marks)]) * 1e9
    rows = np.repeat(np.arange(1, len(marks) + 1), [len(mark.points) for mark in marks])
    table = pd.DataFrame({"row": rows, f"x ({unit})": places[:, 0], f"y ({unit})": places[:, 1]})
    path.parent.mkdir(exist_ok=True)
    half = path.with_suffix(".part")
    table.to_csv(half, index=False, float_format="%.8g")
    half.replace(path)


def _marks(one: FrameResult, kinds: Sequence[str], asked: Asked) -> list[Mark]:
    corners = pd.read_csv(asked.out / OUTLINES / f"{one.name}.csv").to_numpy()
    ends = np.searchsorted(corners[:, 0], np.arange(1, len(kinds) + 2))
    lines: list[Array] = np.split(corners[:, 1:] * 1e-9, ends)[1:-1]
    return [Mark(kind, line) for kind, line in zip(kinds, lines, strict=True)]
