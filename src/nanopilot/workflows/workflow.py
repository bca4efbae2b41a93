"""What a named workflow is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nanopilot.core.limits import Estimate
from nanopilot.core.values import Value
from nanopilot.instruments import Guard
from nanopilot.workflows.engine import Engine


@dataclass(frozen=True, slots=True)
class Workflow:
    """A named experiment.

    Parameters
    ----------
    settings : type of Value
        What can be chosen; the schema for Python, command line, HTTP and language models.
    check : callable
        Given the instrument and the settings, raises what speaks against the run; nothing
        has been measured or written by then.
    estimate : callable
        Given the instrument and the settings, returns what the run will cost; moves nothing.
    carry_out : callable
        Given the engine and the settings, does the run or what is left of it.
    """

    settings: type[Value]
    check: Callable[[Guard, Any], None]
    estimate: Callable[[Guard, Any], Estimate]
    carry_out: Callable[[Engine, Any], None]
