"""What all devices of one instrument share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from nanopilot.instruments.bluesky.tasks import Turn
from nanopilot.instruments.guard import Guard

#: Digits behind the point, for tables, which would show 0.000 otherwise.
DIGITS = {"m": 10, "A": 14, "N": 12}


@dataclass(frozen=True, slots=True)
class Shared:
    """The instrument, whose turn it is, and what its devices are called.

    Parameters
    ----------
    scope : Guard
        The instrument.
    turn : Turn
        Commands wait here for one another.
    prefix : str
        Of all names.
    wall : callable
        Seconds since 1970.
    """

    scope: Guard
    turn: Turn
    prefix: str
    wall: Callable[[], float]

    def named(self, *parts: str) -> str:
        """Return a name that bluesky takes."""
        return legal("_".join(part for part in (self.prefix, *parts) if part))

    def source(self, *parts: str) -> str:
        """Return where a value comes from."""
        return f"nanopilot:{'/'.join((self.scope.name, *parts))}"


def legal(name: str) -> str:
    """Return a name made of letters, digits and underscores, beginning with a letter.

    Examples
    --------
    >>> legal("STEM no. 2")
    'STEM_no__2'
    """
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if plain[:1].isalpha() else f"n_{plain}"
