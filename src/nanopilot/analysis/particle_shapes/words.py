"""Classes told to a person: in words, and in colours that stay."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nanopilot.analysis.particle_shapes.features import DEFAULT
from nanopilot.analysis.particle_shapes.mixture import Mixture

#: Eight colours that colour-blind people tell apart (M. Okabe, K. Ito, 2008), black last.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000",
)  # fmt: skip
#: What is of no class.
NO_COLOUR = "#8C8C8C"
#: From this aspect ratio on a class is called elongated.
_LONG = 1.5
#: Area over that of the ellipse of the same moments, below which a class is called so: half way
#: between the ideal shapes, triangle 0.827, square 0.955, hexagon 0.992.
_CALLED = ((0.91, "triangular"), (0.978, "square"), (math.inf, "round"))


def colour(number: int) -> str:
    """Return the colour of a class, the same wherever it is drawn; grey for -1."""
    return NO_COLOUR if number < 0 else COLOURS[number % len(COLOURS)]


def class_words(mixture: Mixture, features: Sequence[str] = DEFAULT) -> tuple[str, ...]:
    """Return a word for each class from its mean, such as ``"triangular"``.

    Words that would name two classes get a number; without `DEFAULT` among the features there
    are numbers only.

    Parameters
    ----------
    mixture : Mixture
        The classes.
    features : sequence of str
        What it was fitted to.
    """
    if not set(DEFAULT) <= set(features):
        return tuple(f"class {number + 1}" for number in range(mixture.count))
    words = []
    for number in range(mixture.count):
        plain = mixture.mean(number)
        aspect = math.exp(plain[list(features).index("elongation")] ** 2)
        full = 1 - plain[list(features).index("corners")] ** 2
        called = next(word for limit, word in _CALLED if full < limit)
        words.append("elongated" if aspect > _LONG else called)
    return tuple(
        word if words.count(word) == 1 else f"{word} {words[: number + 1].count(word)}"
        for number, word in enumerate(words)
    )
