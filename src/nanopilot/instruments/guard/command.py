"""Who is in command: at most one holder of a lease, and nobody else while it is in force."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from nanopilot.core.clock import Clock
from nanopilot.core.errors import InvalidRequest, NotInCommand
from nanopilot.core.limits import Violation

#: Seconds until it is looked again whether a long command has come to its end.
_LOOK_AGAIN = 0.05


@dataclass(eq=False)
class Token:
    """What stands for one lease; times are seconds of the wall clock.

    Parameters
    ----------
    holder : str
        Who asked for it.
    length : float
        How long it was asked for.
    expires : float
        When it runs out.
    silence : float, optional
        How long the holder may be silent; None: for ever.
    heard : float
        When the holder was last heard of.
    busy : int
        Commands of the holder that are under way.
    ended : str
        Why it is over; empty while it is not.
    """

    holder: str
    length: float
    expires: float
    silence: float | None
    heard: float
    busy: int = 0
    ended: str = ""


class Commander:
    """Gives out leases, one at a time.

    Parameters
    ----------
    wall : Clock
        Real time: a commander who is silent is silent in real seconds.
    tell : callable
        Told holder and what happened when a lease has run out.
    """

    def __init__(self, wall: Clock, tell: Callable[[str, str], None]) -> None:
        self._wall = wall
        self._tell = tell
        self._lock = Lock()
        self._token: Token | None = None

    def grant(self, holder: str, seconds: float, silence: float | None) -> Token:
        """Return a lease that is in force from now on.

        Raises
        ------
        NotInCommand
            Somebody has one.
        InvalidRequest
            Who asks has no name, or the times are no times.
        """
        if type(holder) is not str or not holder:
            raise InvalidRequest("`holder` is empty; say who takes the command.")
        length = checked_time("seconds", seconds)
        quiet = None if silence is None else checked_time("silence", silence)
        self._run_out()
        now = self._wall.now()
        with self._lock:
            if self._token is not None:
                raise NotInCommand(_taken(self._token, now))
            self._token = Token(holder, length, now + length, quiet, heard=now)
            return self._token

    def objection(self, token: Token | None, *, safe: bool = False) -> Violation | None:
        """Return why somebody may not command, or None.

        Parameters
        ----------
        token : Token or None
            His lease; None: he has none, and may command while nobody has.
        safe : bool
            What he wants makes the instrument safer; a lease that ran out is good enough.
        """
        if self._token is None and token is None:
            return None
        self._run_out()
        with self._lock:
            current = self._token
            if current is token:
                return None
            if current is not None:
                message = _taken(current, self._wall.now())
            elif token is None or safe:
                return None
            else:
                message = f"`lease` of {token.holder!r} {token.ended}; take a new one."
        return Violation(parameter="lease", kind="command", message=message)

    def begin(self, token: Token | None) -> None:
        """Note that a command of the holder begins; until `finish` he is not silent."""
        if token is not None:
            with self._lock:
                token.busy += 1

    def finish(self, token: Token | None) -> None:
        """Note that his command is over."""
        if token is not None:
            with self._lock:
                token.busy -= 1
                token.heard = self._wall.now()

    def hear(self, token: Token, seconds: float | None = None) -> bool:
        """Note a sign of life; with `seconds` the lease lasts that long from now.

        Returns False if the lease is over, which no sign of life brings back.
        """
        length = None if seconds is None else checked_time("seconds", seconds)
        self._run_out()
        with self._lock:
            if token.ended:
                return False
            token.heard = self._wall.now()
            if length is not None:
                token.expires = token.heard + length
            return True

    def end(self, token: Token, why: str) -> bool:
        """End a lease; False if it was over already."""
        with self._lock:
            return self._end(token, why)

    def end_if_silent(self, token: Token) -> float:
        """Return how long the holder may still be silent, s; 0: too long, and the lease is over.

        A lease that ended otherwise gives infinity: there is nothing to wait for.
        """
        self._run_out()
        with self._lock:
            if token.ended or token.silence is None:
                return math.inf
            left = token.heard + token.silence - self._wall.now()
            if token.busy or left > 0:
                return left if left > 0 else _LOOK_AGAIN
            self._end(token, f"was ended after {token.silence:g} s of silence")
            return 0.0

    def _end(self, token: Token, why: str) -> bool:
        if token.ended:
            return False
        token.ended = why
        if self._token is token:
            self._token = None
        return True

    def _run_out(self) -> None:
        with self._lock:
            token = self._token
            if token is None or self._wall.now() < token.expires:
                return
            self._end(token, "has run out")
        self._tell(token.holder, "the lease has run out")


def checked_time(name: str, seconds: object) -> float:
    """Return a length of time.

    Raises
    ------
    InvalidRequest
        It is no number above 0, or not finite.
    """
    if type(seconds) not in (int, float) or not 0 < float(seconds) < math.inf:  # type: ignore[arg-type]
        raise InvalidRequest(f"`{name}` is {seconds!r}; it must be a finite number above 0.")
    return float(seconds)  # type: ignore[arg-type]


def _taken(token: Token, now: float) -> str:
    left = max(0.0, token.expires - now)
    return (
        f"`lease` is held by {token.holder!r} for another {left:.3g} s; "
        f"wait, or ask for it to be released. `stop` needs no lease."
    )
