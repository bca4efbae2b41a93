"""The summary of a batch: one page of pictures and numbers, and the same as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from statistics import median
from string import Template
from urllib.parse import quote

from nanopilot.app.batch.task import Asked, Batch, FrameResult, Status
from nanopilot.app.report.escaping import escape
from nanopilot.app.report.numbers import duration, number

#: Numbers whose median over all frames stands on top of the page, at most.
_MOST_TILES = 5
_WORDS: dict[Status, str] = {"ok": "analysed", "unsure": "unsure", "failed": "failed"}


def write_summary(batch: Batch, asked: Asked, seconds: float) -> None:
    """Write ``index.html``, ``summary.csv`` and ``summary.json`` into the folder of results.

    Parameters
    ----------
    batch : Batch
        Its frames, and what they tell together.
    asked : Asked
        What was done with them.
    seconds : float
        What the batch took.
    """
    _write(asked.out / "summary.json", json.dumps(as_json(batch, asked), indent=1))
    rows = []
    for one in batch.frames:
        first: dict[str, object] = {"file": one.file, "name": one.name, "status": one.status}
        rows.append(first | {"why": "; ".join(one.why)} | dict(one.summary))
    text = io.StringIO(newline="")
    names = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(asked.out / "summary.csv", text.getvalue())
    _write(asked.out / "index.html", page(batch, asked, seconds))


def as_json(batch: Batch, asked: Asked) -> dict[str, object]:
    """Return a batch as a script reads it: counts, all together, one entry for every frame."""
    return {
        "kind": asked.kind,
        "out": str(asked.out),
        "counts": counts(batch.frames),
        "together": {**batch.together, "doubts": list(batch.doubts)},
        "frames": [one.model_dump(mode="json") for one in batch.frames],
    }


def counts(frames: Sequence[FrameResult]) -> dict[str, int]:
    """Return how many frames are ok, unsure and failed."""
    return {status: sum(one.status == status for one in frames) for status in _WORDS}


def page(batch: Batch, asked: Asked, seconds: float) -> str:
    """Return the page as HTML; it needs the pictures beside it, no script and no network."""
    from nanopilot import __version__

    here = resources.files("nanopilot.app.batch")
    house = resources.files("nanopilot.app.report")
    frames = batch.frames
    said = counts(frames)
    settings = ", ".join(f"{key} = {value}" for key, value in asked.settings.items())
    whole = not said["failed"] and not said["unsure"]
    status = "every frame is sure" if whole else "a person should look"
    return Template((here / "page.html").read_text(encoding="utf-8")).substitute(
        style=(house / "style.css").read_text(encoding="utf-8")
        + (here / "style.css").read_text(encoding="utf-8"),
        title=escape(f"{asked.kind} · {len(frames)} frames"),
        version=escape(__version__),
        settings=escape(f"{asked.kind}{': ' + settings if settings else ', default settings'}"),
        status=f"<span class='status{'' if whole else ' open'}'>{status}</span>",
        heading=escape(f"{asked.kind.capitalize()} in {_count(len(frames), 'frame')}"),
        headline=f"<p>{escape(_headline(said, seconds))}</p>",
        tiles="".join(_tile(*one) for one in _medians(frames)),
        together=_together(batch),
        attention=_attention(frames),
        cards="".join(_card(one) for one in frames),
    )


def _headline(said: dict[str, int], seconds: float) -> str:
    parts = [f"{said['ok']} analysed without doubt"]
    parts += [f"{said[key]} {word}" for key, word in (("unsure", "unsure"), ("failed", "failed"))]
    return f"{', '.join(parts)}; {duration(seconds)} in all."


def _medians(frames: Sequence[FrameResult]) -> list[tuple[str, str, str]]:
    """Return the numbers that most frames have, by their median: name, value, range."""
    values: dict[str, list[float]] = {}
    for one in frames:
        for key, value in one.summary.items():
            if isinstance(value, int | float) and math.isfinite(value):
                values.setdefault(key, []).append(float(value))
    return [
        (key, number(median(some)), f"median; {number(min(some))} to {number(max(some))}")
        for key, some in list(values.items())[:_MOST_TILES]
    ]


def _tile(name: str, value: str, more: str) -> str:
    return (
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        f"<dd class='more'>{escape(more)}</dd></div>"
    )


def _together(batch: Batch) -> str:
    """Return what all frames tell together; nothing where an analysis has none."""
    if not batch.together and not batch.doubts:
        return ""
    facts = "".join(
        f"<tr><td>{escape(key)}</td><td>{escape(_said(value))}</td></tr>"
        for key, value in batch.together.items()
    )
    doubts = "".join(f"<p>{escape(one)}</p>" for one in batch.doubts)
    table = f"<table class='together'>{facts}</table>" if facts else ""
    return f"<section><h2>All frames together</h2>{doubts}{table}</section>"


def _attention(frames: Sequence[FrameResult]) -> str:
    """Return the list of what failed or is unsure, and why; nothing where nothing is."""
    rows = [
        f"<tr><td>{_WORDS[one.status]}</td><td>{escape(one.name)}</td>"
        f"<td>{escape(' '.join(one.why))}</td></tr>"
        for status in ("failed", "unsure")
        for one in frames
        if one.status == status
    ]
    if not rows:
        return ""
    return (
        "<section><h2>What a person should look at</h2>"
        f"<table class='attention'>{''.join(rows)}</table></section>"
    )


def _card(one: FrameResult) -> str:
    picture = ""
    if one.overlay:
        at = quote(one.overlay)
        picture = f"<a href='{at}'><img src='{at}' alt='{escape(one.name)}' loading='lazy'></a>"
    table = f"<p><a href='{quote(one.table)}'>{escape(one.table)}</a></p>" if one.table else ""
    why = f"<p class='why'>{escape(' '.join(one.why))}</p>" if one.why else ""
    facts = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(_said(value))}</dd>"
        for key, value in one.summary.items()
    )
    return (
        f"<article class='card {one.status}'>{picture}<h3>{escape(one.name)}</h3>"
        f"<p>{_WORDS[one.status]}</p>{why}{table}<dl>{facts}</dl></article>"
    )


def _said(value: float | int | str) -> str:
    return number(value, 4) if isinstance(value, float) else str(value)


def _count(amount: int, word: str) -> str:
    return f"{amount} {word}{'' if amount == 1 else 's'}"


def _write(path: Path, text: str) -> None:
    half = path.with_name(path.name + ".part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
