"""What can be adjusted on an instrument, what came of adjusting it, and how it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nanopilot.core.limits import Range
from nanopilot.core.units import Duration
from nanopilot.core.values import Value


class Parameter(Value):
    """One thing that can be read, and perhaps set, as the instrument declares it.

    Parameters
    ----------
    capability, name : str
        Whose it is, and what it is called there, such as ``"Focus"`` and ``"defocus"``.
    quantity, unit : str
        What it is in words, and its SI unit; ``"1"`` for switches and ratios.
    limits : Range, optional
        What the instrument accepts; None: it does not say.
    step : float
        Smallest change it can make; 0: as good as continuous.
    tolerance : float
        How far a read-back may be from what was asked for and still count as reached.
    read_only : bool
        It can be read and not set.
    settling : float
        Seconds between the end of a change and the moment when it can be relied on.
    switch : bool
        It is off (0) or on (1) and nothing between.

    Examples
    --------
    >>> defocus = Parameter(capability="Focus", name="defocus", quantity="defocus", unit="m")
    >>> defocus.key
    'Focus.defocus'
    """

    capability: str
    name: str
    quantity: str
    unit: str
    limits: Range | None = None
    step: float = 0.0
    tolerance: float = 0.0
    read_only: bool = False
    settling: Duration = 0.0
    switch: bool = False

    @property
    def key(self) -> str:
        """Name that no other parameter of the instrument has, such as ``"Stage.x"``."""
        return f"{self.capability}.{self.name}"

    def reached(self, requested: float, read_back: float) -> bool:
        """Tell whether a read-back is what was asked for, within step and tolerance.

        NaN never is. Rounding of the numbers themselves is forgiven.
        """
        slack = max(self.tolerance, self.step / 2) + 1e-9 * abs(requested) + 1e-15
        return math.isfinite(read_back) and abs(read_back - requested) <= slack


class Setting(Value):
    """What came of setting one parameter: asked for, sent, and found afterwards.

    The read-back decides whether it was reached, never the time that has passed.

    Parameters
    ----------
    parameter : str
        Its key, such as ``"Stage.x"``.
    requested : float
        What was asked for, in the parameter's unit.
    commanded : float or None
        What was sent, rounded to the instrument's step; None: nothing was (a dry run).
    read_back : float or None
        What the instrument said afterwards; None: it was not asked (a dry run).
    unit : str
        SI unit of the three.
    time : float
        Of the read-back, in seconds on the instrument's clock.
    """

    parameter: str
    requested: float
    commanded: float | None
    read_back: float | None
    unit: str
    time: float


class State(Value):
    """How an instrument stands: every parameter's value, and when it was read.

    Parameters
    ----------
    time : float
        Seconds on the instrument's clock.
    values : dict of str to float
        By key, such as ``{"Approach.engaged": 1.0}``; what could not be read is not there.
    """

    time: float
    values: dict[str, float] = {}

    def get(self, key: str) -> float | None:
        """Return a value, or None where it is unknown."""
        value = self.values.get(key)
        return None if value is None or math.isnan(value) else value


def by_key(parameters: tuple[Parameter, ...]) -> Mapping[str, Parameter]:
    """Return parameters by their keys."""
    return {parameter.key: parameter for parameter in parameters}
