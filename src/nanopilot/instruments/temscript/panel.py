"""All dials of one server together: reading them, and setting those of one capability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from nanopilot.core.clock import Clock
from nanopilot.core.errors import DeviceError, Interlocked, LinkLost
from nanopilot.core.knobs import Knobs
from nanopilot.core.parameters import Parameter, State
from nanopilot.instruments.temscript.dials import Dial, body
from nanopilot.instruments.temscript.link import Link

_MOVING = ("GOING", "MOVING", "WOBBLING", "NOT_READY")
_POLL = 0.05


class Panel:
    """The dials that a server really has.

    Parameters
    ----------
    link : Link
        The wire.
    dials : sequence of Dial
        What it may have; a dial that cannot be read is left out.
    clock : Clock
        Of the instrument.
    patience : float
        Seconds that a stage may be on its way.
    """

    def __init__(
        self, link: Link, dials: Sequence[Dial], clock: Clock, *, patience: float = 120.0
    ) -> None:
        self.link, self.clock, self._patience = link, clock, patience
        self._dials = tuple(dials)
        answers = self._answers(self._dials)
        self._dials = tuple(
            dial
            for dial in self._dials
            if _readable(dial, answers)
            and not (dial.optional and math.isnan(dial.pick(answers[dial.endpoint])))
        )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Everything there is."""
        return tuple(dial.parameter for dial in self._dials)

    def knobs(self) -> dict[str, Knobs]:
        """Return every capability that is adjusted, by name."""
        owners = dict.fromkeys(parameter.capability for parameter in self.parameters)
        return {owner: self._of(owner) for owner in owners}

    def read(self) -> State:
        """Read everything, each endpoint once.

        Raises
        ------
        LinkLost
            The server does not answer.
        """
        answers = self._answers(self._dials)
        values = {
            dial.parameter.key: dial.pick(answers[dial.endpoint])
            for dial in self._dials
            if _readable(dial, answers)
        }
        known = {key: value for key, value in values.items() if not math.isnan(value)}
        return State(time=self.clock.now(), values=known)

    def value(self, key: str) -> float:
        """Read one parameter; NaN where there is none, or where it is not known."""
        for dial in self._dials:
            if dial.parameter.key == key:
                return dial.pick(self._fetch(dial.endpoint))
        return math.nan

    def _answers(self, dials: Sequence[Dial]) -> dict[str, Any]:
        answers = {}
        for endpoint in dict.fromkeys(dial.endpoint for dial in dials):
            with suppress(DeviceError):
                answers[endpoint] = self._fetch(endpoint)
        return answers

    def _fetch(self, endpoint: str) -> Any:
        if endpoint == "screen_current":
            # A screen measures the beam only while it is in it; a server without a screen
            # that tells a current measures it in another way.
            with suppress(DeviceError):
                if self.link.get("screen_position") != "DOWN":
                    return None
        return self.link.get(endpoint)

    def _of(self, owner: str) -> Knobs:
        mine = {dial.parameter.name: dial for dial in self._dials
                if dial.parameter.capability == owner}  # fmt: skip

        def read(name: str) -> float:
            return mine[name].pick(self._fetch(mine[name].endpoint))

        def write(values: Mapping[str, float]) -> None:
            self._send({mine[name]: value for name, value in values.items()})

        declared = tuple(dial.parameter for dial in mine.values())
        return Knobs(declared, read, write, self.clock)

    def _send(self, values: Mapping[Dial, float]) -> None:
        # The beam is let through last: only after everything else is as it was asked for.
        endpoints = sorted(
            {dial.endpoint for dial in values}, key=lambda name: name == "beam_blanked"
        )
        if any(dial.endpoint == "beam_blanked" and value for dial, value in values.items()):
            endpoints.reverse()
        for endpoint in endpoints:
            part = {dial: value for dial, value in values.items() if dial.endpoint == endpoint}
            if endpoint == "stage_position":
                self._move(body(part, None))
            else:
                self._put(endpoint, part)

    def _put(self, endpoint: str, part: Mapping[Dial, float]) -> None:
        if endpoint == "column_valves_open" and any(part.values()):
            status = self.link.get("vacuum")["status"]
            if status != "READY":
                raise Interlocked(
                    f"`column_valve` stays closed: the vacuum is {status}. Wait until it is READY."
                )
        paired = any(dial.path and isinstance(dial.path[0], int) for dial in part)
        self.link.put(endpoint, body(part, self.link.get(endpoint) if paired else None))

    def _move(self, target: Mapping[str, float]) -> None:
        """Send the stage off and wait until it says that it stands, whatever the wire said."""
        with suppress(LinkLost):  # a time-out is no arrival; the status that follows decides
            self.link.put("stage_position", dict(target))
        end = self.clock.now() + self._patience
        while (status := self.link.get("stage_status")) in _MOVING:
            if self.clock.now() > end:
                raise DeviceError(f"`Stage` is still {status} after {self._patience:g} s.")
            self.clock.sleep(_POLL)
        if status != "READY":
            raise DeviceError(f"`Stage` is {status}; see to it at the microscope.")


def _readable(dial: Dial, answers: Mapping[str, Any]) -> bool:
    if dial.endpoint not in answers:
        return False
    try:
        dial.pick(answers[dial.endpoint])
    except DeviceError:
        return False
    return True
