"""Read-back: whether what was set is what the instrument says it is."""

from __future__ import annotations

from collections.abc import Mapping

from nanopilot.core.parameters import Parameter, Setting
from nanopilot.instruments.guard.gates import Gate


def not_reached(
    known: Mapping[str, Gate], values: Mapping[str, float], settings: tuple[Setting, ...]
) -> tuple[str, ...]:
    """Return a reason for every parameter that is not where it was told to go.

    Parameters
    ----------
    known : mapping of str to Gate
        Of the capability, by name.
    values : mapping of str to float
        What was asked for.
    settings : tuple of Setting
        What the driver says came of it. A parameter that is missing there was not reached.
    """
    by_key = {setting.parameter: setting for setting in settings}
    reasons = []
    for name, value in values.items():
        parameter = known[name].parameter
        setting = by_key.get(parameter.key)
        found = None if setting is None else setting.read_back
        if found is None or not parameter.reached(value, found):
            reasons.append(_reason(parameter, value, found))
    return tuple(reasons)


def _reason(parameter: Parameter, value: float, found: float | None) -> str:
    unit = "" if parameter.unit == "1" else f" {parameter.unit}"
    read = "nothing" if found is None else f"{found:.9g}{unit}"
    return (
        f"`{parameter.key}` was set to {value:.9g}{unit} and reads back {read}. "
        f"Read it again, and see what holds it."
    )
