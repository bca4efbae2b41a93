"""How fast and how far parameters have been changed: rates and excursions."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from nanopilot.core.clock import Clock
from nanopilot.core.limits import Limits, Violation
from nanopilot.core.parameters import State


class Motion:
    """When each parameter was last set, and what it was at the beginning.

    Parameters
    ----------
    limits : Limits
        `rates` and `excursions` by parameter key.
    clock : Clock
        Of the instrument. A parameter that was never set counts as set when this was made:
        nobody knows what was done before.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._rates = limits.rates
        self._excursions = limits.excursions
        self._clock = clock
        self._start = clock.now() if self._rates else 0.0
        self._moved: dict[str, float] = {}
        self._origin: dict[str, float] = {}

    @property
    def has_excursions(self) -> bool:
        """Whether values at the beginning matter."""
        return bool(self._excursions)

    def concerns(self, keys: Iterable[str]) -> bool:
        """Tell whether one of the parameters is limited here."""
        return any(key in self._rates or key in self._excursions for key in keys)

    def begin(self, state: State | None) -> None:
        """Note the values that excursions are counted from; None: they are not known yet."""
        self._origin = {}
        if state is not None:
            self._note(state)

    def _note(self, state: State) -> None:
        for key in self._excursions:
            value = state.get(key)
            if value is not None:
                self._origin.setdefault(key, value)

    def check(self, key: str, value: float, state: State) -> list[Violation]:
        """List what speaks against a value; `state` is how the instrument stands now."""
        if key not in self._rates and key not in self._excursions:
            return []
        now = state.get(key)
        if now is None:
            message = f"`{key}` is not known, so how far it would change is not. Read it first."
            return [Violation(parameter=key, kind="interlock", message=message)]
        self._note(state)
        return self._check_rate(key, value, now) + self._check_excursion(key, value)

    def _check_rate(self, key: str, value: float, now: float) -> list[Violation]:
        rate = self._rates.get(key)
        if rate is None:
            return []
        elapsed = max(0.0, self._clock.now() - self._moved.get(key, self._start))
        allowed, change = rate * elapsed, abs(value - now)
        if change <= allowed * (1 + 1e-9) + 1e-15:
            return []
        wait = f"wait {change / rate - elapsed:.3g} s" if rate > 0 else "leave it"
        since = "it was last set" if key in self._moved else "the instrument was connected"
        message = (
            f"`{key}` would change by {change:.4g}; {rate:g} per second since {since} "
            f"{elapsed:.3g} s ago allow {now - allowed:.6g} to {now + allowed:.6g}. Take a "
            f"smaller step, or {wait}."
        )
        return [Violation(parameter=key, message=message)]

    def _check_excursion(self, key: str, value: float) -> list[Violation]:
        reach = self._excursions.get(key)
        if reach is None:
            return []
        origin = self._origin[key]
        if abs(value - origin) <= reach * (1 + 1e-9) + 1e-15:
            return []
        message = (
            f"`{key}` is {value:.6g}; the run began at {origin:.6g} and may go {reach:g} from "
            f"there, {origin - reach:.6g} to {origin + reach:.6g}."
        )
        return [Violation(parameter=key, message=message)]

    def moved(self, capability: str, names: Iterable[str]) -> None:
        """Note that parameters have just been set, or that it was tried."""
        if self._rates:
            limited = [f"{capability}.{name}" for name in names]
            self._moved |= {key: self._clock.now() for key in limited if key in self._rates}

    def copied(self) -> Motion:
        """Return a copy for a rehearsal."""
        other = copy(self)
        other._moved, other._origin = dict(self._moved), dict(self._origin)  # noqa: SLF001
        return other
