"""A lease: the instrument in one hand."""

from __future__ import annotations

from typing import Any, Self

from nanopilot.core.errors import NotInCommand
from nanopilot.instruments.guard.command import Token
from nanopilot.instruments.guard.desk import Desk
from nanopilot.instruments.guard.guard import Guard
from nanopilot.instruments.guard.watchdog import Watchdog


class Lease(Guard):
    """The guard of an instrument for whoever is in command; made by `Guard.lease`.

    While it is in force nobody else commands. It ends when it is released, runs out, or its
    holder has been silent too long. Use it as a context manager.

    Parameters
    ----------
    desk : Desk
        Of the instrument.
    source : dict
        How the instrument was connected.
    token : Token
        What stands for the lease.

    Examples
    --------
    >>> from nanopilot.core.adjustables import Positioner
    >>> from nanopilot.workflows.connect import connect
    >>> scope = connect("plain", world="tip")
    >>> with scope.lease("night run", seconds=600) as mine:
    ...     settings = mine.capability(Positioner).set(x=1e-6)
    ...     scope.capability(Positioner).set(x=0.0)
    Traceback (most recent call last):
    ...
    nanopilot.core.errors.NotInCommand: `lease` is held by 'night run' ...
    """

    def __init__(self, desk: Desk, source: dict[str, Any], token: Token) -> None:
        self._sit(desk, dict(source), token)
        self.__desk = desk
        self.__held = token
        self.__watchdog: Watchdog | None = None
        if token.silence is not None:
            self.__watchdog = Watchdog(
                lambda: desk.control.commander.end_if_silent(token),
                lambda: desk.secure_after(token),
            )

    @property
    def holder(self) -> str:
        """Who has it."""
        return self.__held.holder

    @property
    def expires(self) -> float:
        """When it runs out, in seconds of the guard's wall clock."""
        return self.__held.expires

    def renew(self, seconds: float | None = None) -> None:
        """Let it last `seconds` from now, or as long as it was first asked for.

        Raises
        ------
        NotInCommand
            It is over; take a new one.
        """
        length = self.__held.length if seconds is None else seconds
        if not self.__desk.control.commander.hear(self.__held, length):
            raise NotInCommand(f"`lease` of {self.holder!r} {self.__held.ended}; take a new one.")

    def alive(self) -> bool:
        """Give a sign of life to the watchdog; False: the lease is over.

        Taking the blocks of a measurement is none: a server does that for a client who may
        be gone. Commands are.
        """
        return self.__desk.control.commander.hear(self.__held)

    def release(self) -> None:
        """Give it back; what is being measured goes on."""
        if self.__desk.control.commander.end(self.__held, "was released"):
            self.__desk.control.tell(self.holder, "the lease was released")
        if self.__watchdog is not None:
            self.__watchdog.dismiss()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()
