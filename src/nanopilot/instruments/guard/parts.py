"""The parts of an instrument that can be guarded, each looked up once."""

from __future__ import annotations

from typing import Any, cast

from nanopilot.core.adjustables import ADJUSTABLE
from nanopilot.core.capabilities import MEASURING, Instrument
from nanopilot.core.errors import InvalidRequest, Unsupported
from nanopilot.core.limits import Limits
from nanopilot.core.requests import Command, SetRequest
from nanopilot.instruments.guard.gates import gates
from nanopilot.instruments.guard.judging import Dials, Meter


class Parts:
    """What can be measured with and adjusted.

    Parameters
    ----------
    instrument : Instrument
        Whose parts they are.
    limits : Limits
        What their parameters have to pass beside the instrument's own limits.
    """

    def __init__(self, instrument: Instrument, limits: Limits) -> None:
        self._instrument = instrument
        self._limits = limits
        self._known: dict[str, Meter | Dials] = {}

    def find(self, kind: Any) -> Meter | Dials:
        """Return a part; its parameters are asked for once.

        Raises
        ------
        Unsupported
            The instrument does not have it, or it cannot be guarded.
        """
        name = kind.__name__ if isinstance(kind, type) else ""
        measuring, adjustable = MEASURING.get(name), ADJUSTABLE.get(name)
        if not (measuring is not None and measuring[0] is kind) and adjustable is not kind:
            raise Unsupported(
                f"`{name or type(kind).__name__}` cannot be guarded, so it cannot be used."
            )
        inner: Any = self._instrument.capability(cast("type[Any]", kind))
        known = self._known.get(name)
        if known is None or known.inner is not inner:
            known = self._made(name, inner)
            self._known[name] = known
        return known

    def _made(self, name: str, inner: Any) -> Meter | Dials:
        if name in MEASURING:
            return Meter(name, cast("Any", MEASURING[name][1]), inner)
        return Dials(name, inner, gates(inner.parameters(), self._limits))

    def asked_by(self, command: Command) -> Meter | Dials:
        """Return the part that a command is for.

        Raises
        ------
        InvalidRequest
            It is no command.
        Unsupported
            The instrument does not have such a part.
        """
        if type(command) is SetRequest:
            kind: Any = ADJUSTABLE.get(command.capability)
            if kind is None:
                known = ", ".join(ADJUSTABLE)
                raise Unsupported(
                    f"`capability` is {command.capability!r}; what can be adjusted is {known}."
                )
            return self.find(kind)
        for protocol, request in MEASURING.values():
            if type(command) is request:
                return self.find(protocol)
        raise InvalidRequest(f"`command` is of type {type(command).__name__}, which is no command.")
