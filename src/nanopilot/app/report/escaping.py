"""Text as HTML."""

from __future__ import annotations

import html
import re

#: The space between a number and its unit, where a line must not break.
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|[pnµmk]?[mVs]|min|h|px)(?!\w))")


def escape(text: str) -> str:
    """Return text as HTML, with numbers held together with their units.

    Examples
    --------
    >>> escape("a < b & c")
    'a &lt; b &amp; c'
    """
    return html.escape(_BEFORE_UNIT.sub("\u00a0", text))
