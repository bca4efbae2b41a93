"""The emergency stop: a latch that anybody may press, without waiting for anything."""

from __future__ import annotations

from nanopilot.core.limits import Violation


class EmergencyStop:
    """Whether it has been pressed, by whom, and how often.

    It has no lock: pressing is two assignments, the latch first, so that a command either sees
    the latch or finds afterwards that the count has changed.
    """

    def __init__(self) -> None:
        self._pressed: tuple[str, str] | None = None
        self.count = 0

    def press(self, by: str, why: str) -> None:
        """Latch it."""
        self._pressed = (by, why)
        self.count += 1

    def release(self) -> None:
        """Unlatch it."""
        self._pressed = None

    def objection(self) -> Violation | None:
        """Return why nobody may command, or None."""
        pressed = self._pressed
        if pressed is None:
            return None
        by, why = pressed
        message = (
            f"`emergency_stop` was pressed by {by!r} ({why}); nothing is done until somebody has "
            f"seen to it and called `release_stop`."
        )
        return Violation(parameter="emergency_stop", kind="stopped", message=message)
