"""Interlocks: rules, as data, about what an instrument's state must be before a command."""

from __future__ import annotations

from typing import Literal

from nanopilot.core.parameters import State
from nanopilot.core.values import Value


class Condition(Value):
    """A comparison of one parameter with a number.

    Examples
    --------
    >>> retracted = Condition(parameter="Approach.engaged", compare="==", value=0)
    >>> retracted.holds(State(time=0.0, values={"Approach.engaged": 0.0}))
    True
    >>> retracted.holds(State(time=0.0))  # unknown is not good enough
    False
    """

    parameter: str
    compare: Literal["==", "<=", ">="]
    value: float

    def holds(self, state: State) -> bool:
        """Tell whether the state is known to fulfil it."""
        found = state.get(self.parameter)
        if found is None:
            return False
        if self.compare == "==":
            return found == self.value
        return found <= self.value if self.compare == "<=" else found >= self.value

    def __str__(self) -> str:
        return f"{self.parameter} {self.compare} {self.value:g}"


class Interlock(Value):
    """What must hold before something is done.

    Parameters
    ----------
    name : str
        Short, for journals: ``"no-stage-while-engaged"``.
    command : str
        A parameter's key (``"Vacuum.column_valve"``), or a capability's name for everything it
        can do (``"Stage"``, ``"Scanner"``).
    setting : float, optional
        Only when the parameter is set to this value; None: whatever it is set to.
    requires : tuple of Condition
        All must hold; a value that is not known does not.
    why : str
        What would happen otherwise, and the way out, for the person who is refused.
    needs : tuple of str
        Capabilities and parameters without which the rule has no meaning: an instrument that
        does not declare one of them is not held to it.
    """

    name: str
    command: str
    setting: float | None = None
    requires: tuple[Condition, ...]
    why: str
    needs: tuple[str, ...] = ()


def _is(parameter: str, value: float) -> Condition:
    return Condition(parameter=parameter, compare="==", value=value)


#: In force on every instrument that has the capabilities they speak of.
STANDARD_INTERLOCKS: tuple[Interlock, ...] = (
    Interlock(
        name="no-stage-while-engaged",
        command="Stage",
        requires=(_is("Approach.engaged", 0),),
        why="The stage would drag the tip over the sample. Retract first: set `engaged` to 0.",
        needs=("Approach.engaged",),
    ),
    Interlock(
        name="no-valve-without-vacuum",
        command="Vacuum.column_valve",
        setting=1,
        requires=(Condition(parameter="Vacuum.pressure", compare="<=", value=1e-3),),
        why="Air would reach the gun. Wait until `pressure` is below 1e-3 Pa.",
        needs=("Vacuum.pressure",),
    ),
    Interlock(
        name="no-beam-without-valve",
        command="Beam.blanked",
        setting=0,
        requires=(_is("Vacuum.column_valve", 1),),
        why="There is no beam behind a closed valve. Open `column_valve` first.",
        needs=("Vacuum.column_valve",),
    ),
    Interlock(
        name="no-approach-with-beam",
        command="Approach.engaged",
        setting=1,
        requires=(_is("Beam.blanked", 1),),
        why="The tip would come under the beam. Blank it first: set `blanked` to 1.",
        needs=("Beam.blanked",),
    ),
    Interlock(
        name="no-writing-while-retracted",
        command="BiasWriter",
        requires=(_is("Approach.engaged", 1),),
        why="A pulse into the gap does not write and can arc. Approach first.",
        needs=("Approach.engaged",),
    ),
)
