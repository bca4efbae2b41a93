"""Shape classes of the particles of a folder of frames, as `analyse particles` tells them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nanopilot.core.signals import SignalSet
from nanopilot.workflows.analyse.shapes import UNSORTED, Classified, classify_tables
from nanopilot.workflows.analyse.together import Together

#: What particles are called that have no class.
PARTICLE, CUT = "particle", "cut by the edge"
#: A column that only particles on an even ground have: those of a search have no measured shape.
_MEASURED = "aspect_ratio"


def sorted_together(tables: Mapping[str, SignalSet], rng: np.random.Generator) -> Together:
    """Sort the particles of all frames by shape; too few, or no clear classes: say so.

    Parameters
    ----------
    tables : mapping of str to SignalSet
        By frame, of `AnalyseParticles`; gets ``shape_class``, a word, and ``class_probability``.
    rng : numpy.random.Generator
        Draws starts and resampled particles.
    """
    measured = {name: table for name, table in tables.items() if _MEASURED in table}
    told = classify_tables(measured, rng)
    words = {name: _words(told, name) for name in measured}
    made = {name: _named(told.tables[name], words[name]) for name in measured}
    none = UNSORTED if told.words else PARTICLE
    kinds = {name: _kinds(table, words.get(name), none) for name, table in tables.items()}
    counts = {name: {word: some.count(word) for word in told.words} for name, some in words.items()}
    doubts = [f"No shape classes: {told.classes.refused}"] if told.classes.refused else []
    searched = sum(table.sizes["point"] > 0 for name, table in tables.items() if name not in words)
    if searched:
        doubts.append(
            f"In {searched} of {len(tables)} frames there is no even ground: particles that were "
            "searched for have no measured shape, and no class."
        )
    order = (*told.words, none, CUT)
    return Together(dict(tables) | made, kinds, order, counts, _summary(told, words), tuple(doubts))


def _words(told: Classified, name: str) -> tuple[str, ...]:
    return tuple(told.word(int(one)) for one in told.tables[name]["shape_class"].to_numpy())


def _named(table: SignalSet, words: tuple[str, ...]) -> SignalSet:
    """Return a table with words for its classes."""
    about = {"quantity": "shape class", "units": "1"}
    return table.assign(shape_class=("point", np.array(words, dtype=object), about))


def _kinds(table: SignalSet, words: tuple[str, ...] | None, none: str) -> tuple[str, ...]:
    """Return what the marks of a frame are called; `none`: those of no class."""
    if words is None:
        return (none,) * table.sizes["point"]
    cut = table["border"].to_numpy() > 0
    return tuple(
        CUT if edge else none if word == UNSORTED else word
        for edge, word in zip(cut, words, strict=True)
    )


def _summary(
    told: Classified, words: Mapping[str, tuple[str, ...]]
) -> dict[str, float | int | str]:
    if not told.words:
        return {}
    every = [word for some in words.values() for word in some]
    found: dict[str, float | int | str] = {"sorted particles": len(every) - every.count(UNSORTED)}
    for number, word in enumerate(told.words):
        low, high = 100 * told.classes.low[number], 100 * told.classes.high[number]
        found[f"{word} (%)"] = 100 * float(told.classes.fractions[number])
        found[f"{word}, 95 % interval (%)"] = f"{low:.1f} to {high:.1f}"
    return found | {"agreement of refits": told.classes.stability}
