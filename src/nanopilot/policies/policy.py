"""What every policy is: a function of the whole history."""

from __future__ import annotations

from typing import Protocol

from nanopilot.core.history import Action, History


class Policy(Protocol):
    """Decides where to measure next."""

    def propose(self, history: History) -> Action | None:
        """Return the next place to measure, or None when none is left.

        A pure function: the same history gives the same proposal, in this process or in
        another one that resumes the run.
        """
