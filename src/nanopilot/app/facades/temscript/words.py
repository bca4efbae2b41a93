"""How temscript's endpoints and our parameters are called, and what is only known over there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nanopilot.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Number:
    """An endpoint with one number: our parameter, and how many of theirs one SI unit is."""

    key: str
    scale: float = 1.0


#: temscript counts kilovolts, and defocus towards overfocus.
NUMBERS = {
    "voltage": Number("Beam.voltage", 1e-3),
    "defocus": Number("Focus.defocus", -1.0),
    "probe_defocus": Number("Focus.defocus", -1.0),
    "convergence_angle": Number("Beam.convergence_angle"),
    "screen_current": Number("Beam.current"),
}
PAIRS = {
    "beam_shift": ("Beam.shift_x", "Beam.shift_y"),
    "beam_tilt": ("Beam.tilt_x", "Beam.tilt_y"),
}
#: Our parameter, and what temscript calls 0 and 1.
SWITCHES: dict[str, tuple[str, tuple[Any, Any]]] = {
    "beam_blanked": ("Beam.blanked", (False, True)),
    "column_valves_open": ("Vacuum.column_valve", (False, True)),
    "screen_position": ("Detectors.screen_inserted", ("UP", "DOWN")),
}
AXES = {"x": "x", "y": "y", "z": "z", "a": "alpha", "b": "beta"}

#: Endpoints of temscript that mean something no instrument of ours has: numbers without a
#: unit, and modes of a column.
LACKING = frozenset(
    (
        "image_shift", "diffraction_shift", "projection_mode", "projection_sub_mode",
        "projection_mode_string", "magnification_index", "indicated_magnification",
        "indicated_camera_length", "objective_excitation", "intensity", "objective_stigmator",
        "condenser_stigmator", "illumination_mode", "condenser_mode", "illuminated_area",
        "spot_size_index", "dark_field_mode", "normalize", "optics_state",
    )
)  # fmt: skip


def number(name: str, value: Any) -> float:
    """Return a number from the wire.

    Raises
    ------
    InvalidRequest
        It is none, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"`{name}` is {value!r:.80}; it must be a number.")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise InvalidRequest(f"`{name}` must be finite.")
    return found


def pair(name: str, value: Any) -> tuple[float, float]:
    """Return two numbers from the wire, or raise `InvalidRequest`."""
    if not isinstance(value, list) or len(value) != 2:
        raise InvalidRequest(f"`{name}` is {value!r:.80}; it must be a list of two numbers.")
    return number(name, value[0]), number(name, value[1])


def table(name: str, value: Any) -> dict[str, Any]:
    """Return a JSON object from the wire, or raise `InvalidRequest`."""
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{name}` is {value!r:.80}; it must be an object.")
    return value


def choice(name: str, value: Any, choices: tuple[Any, ...]) -> int:
    """Return which of the choices came over the wire, or raise `InvalidRequest`."""
    for index, one in enumerate(choices):
        if type(value) is type(one) and value == one:
            return index
    raise InvalidRequest(f"`{name}` is {value!r:.80}; it may be {' or '.join(map(str, choices))}.")
