"""The part of an instrument that has a capability, found the same way by every driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from nanopilot.core.adjustables import ADJUSTABLE
from nanopilot.core.capabilities import MEASURING, CapabilityT
from nanopilot.core.errors import Unsupported


def find_part(
    instrument: str,
    parts: Mapping[str, object],
    kind: type[CapabilityT],
    *,
    own: Mapping[type, object] | None = None,
    way_out: str = "",
) -> CapabilityT:
    """Return the part that has a capability.

    Parameters
    ----------
    instrument : str
        What it is called, for the message.
    parts : mapping of str to object
        By the name of their capability, such as ``"Scanner"``.
    kind : type
        The capability's protocol.
    own : mapping of type to object
        What only concerns driver and guard: `Closable`, `Restorable`.
    way_out : str
        Said to whom the capability is refused.

    Raises
    ------
    Unsupported
        The instrument does not have it.
    """
    if own and kind in own:
        return cast("CapabilityT", own[kind])
    known = {name: one for name, (one, _) in MEASURING.items()} | ADJUSTABLE
    for name, part in parts.items():
        if known[name] is kind:
            return cast("CapabilityT", part)
    asked = getattr(kind, "__name__", str(kind))
    there = ", ".join(parts)
    raise Unsupported(f"`{instrument}` has no {asked}; it has {there}.{way_out and ' ' + way_out}")
