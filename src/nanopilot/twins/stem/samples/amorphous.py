"""Amorphous matter atom by atom."""

from __future__ import annotations

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.twins.stem.samples.near import nearest, pairs_within
from nanopilot.twins.stem.samples.recipe import FloatArray

#: Rounds of filling up; each finds room for most of what is missing.
_ROUNDS = 60
#: Part of a block that balls fill when no more of them fits: 0.382 (J. Feder, J. Theor. Biol. 87,
#: 237 (1980)), less what would take too long.
_JAMMED = 0.3


def packed(
    rng: np.random.Generator, edges: tuple[float, float, float], density: float, closest: float
) -> FloatArray:
    """Return places at random in a block, none too close to another.

    Random sequential addition: B. Widom, J. Chem. Phys. 44, 3888 (1966). It has the density and
    the shortest distance of the matter, and no order beyond.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the atoms are.
    edges : (float, float, float)
        Of the block in metres, its middle at (0, 0, 0).
    density : float
        Atoms per cubic metre.
    closest : float
        Metres. Balls of this diameter may fill 0.38 of the block at most: random sequential
        addition jams there.

    Returns
    -------
    numpy.ndarray
        Metres, shape (n, 3).

    Raises
    ------
    OutOfRange
        Matter is too dense to be packed in this way.
    """
    filled = np.pi / 6 * closest**3 * density
    if filled > _JAMMED:
        raise OutOfRange(
            f"`closest` is {closest:g} m; at this density balls of it fill {filled:.3g} of the "
            f"block, and random addition jams at {_JAMMED:g}."
        )
    block = np.array(edges)
    count = round(density * float(np.prod(block)))
    places = np.zeros((0, 3))
    for _ in range(_ROUNDS):
        missing = count - len(places)
        if missing <= 0:
            break
        tried = rng.uniform(-0.5, 0.5, (round(1.3 * missing) + 8, 3)) * block
        if len(places):
            away, _ = nearest(tried, places, closest)
            tried = tried[~np.isfinite(away)]
        pairs = pairs_within(tried, closest)
        kept = np.ones(len(tried), dtype=bool)
        # Those that came first stay: of a pair the later one goes.
        kept[pairs.max(axis=1)] = False
        places = np.concatenate([places, tried[kept]])
    return places[:count]
