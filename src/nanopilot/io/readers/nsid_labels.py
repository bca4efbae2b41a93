"""Names of channels in NSID files: quantity, scan direction, a name of its own for each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

#: What sidpy writes where nobody said anything.
PLACEHOLDERS = frozenset({"", "generic", "unknown", "none"})

_DIRECTIONS = {
    "trace": "trace", "forward": "trace", "fwd": "trace",
    "retrace": "retrace", "backward": "retrace", "bwd": "retrace",
}  # fmt: skip
_ENDING = re.compile(
    r"^(.+?)[\s_\-\[(]*(retrace|trace|forward|backward|fwd|bwd)[\])]?$", re.IGNORECASE
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def quantity_and_direction(label: str) -> tuple[str, str | None]:
    """Return the quantity in words and the scan direction hidden in a channel's label.

    Examples
    --------
    >>> quantity_and_direction("HeightRetrace")
    ('height', 'retrace')
    >>> quantity_and_direction("ZSensorTrace"), quantity_and_direction("Piezoresponse")
    (('z sensor', 'trace'), ('piezoresponse', None))
    """
    direction = None
    if found := _ENDING.match(label.strip()):
        label, direction = found[1], _DIRECTIONS[found[2].lower()]
    words = re.split(r"[\s_\-]+", _HUMP.sub(" ", label.strip()))
    return " ".join(word.lower() for word in words if word), direction


def unique_names(channels: Sequence[tuple[str, str | None]]) -> list[str]:
    """Return a name for each (quantity, direction): the quantity, and what tells it from others.

    Examples
    --------
    >>> unique_names([("height", "trace"), ("height", "retrace"), ("phase", "retrace")])
    ['height_trace', 'height_retrace', 'phase']
    >>> unique_names([("height", None), ("height", None)])
    ['height', 'height_2']
    """
    plain = [re.sub(r"\W+", "_", quantity).strip("_") or "signal" for quantity, _ in channels]
    often = Counter(plain)
    names: list[str] = []
    for name, (_, direction) in zip(plain, channels, strict=True):
        wanted = f"{name}_{direction}" if often[name] > 1 and direction else name
        number, chosen = 1, wanted
        while chosen in names:
            number += 1
            chosen = f"{wanted}_{number}"
        names.append(chosen)
    return names
