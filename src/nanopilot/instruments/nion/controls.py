"""Which of Nion's controls is which parameter of ours, and by what factor they differ.

Aberrations are named after Uhlemann and Haider here and after Krivanek there. Krivanek, Dellby and
Lupini (Ultramicroscopy 78, 1999, 1) write the aberration function as the sum of
θⁿ⁺¹/(n+1) · (Cₙₘₐ cos mφ + Cₙₘᵦ sin mφ). Uhlemann and Haider (Ultramicroscopy 72, 1998, 109) write
it with ω = θ·exp(iφ), ω* its conjugate, as the real part of

    ωω*C1/2 + ω*²A1/2 + ω²ω*B2 + ω*³A2/3 + (ωω*)²C3/4 + ω³ω*S3 + ω*⁴A3/4 + (ωω*)³C5/6.

Comparing the two: A1 = C12, A2 = C23, A3 = C34, C3 = C30 and C5 = C50, while coma and star carry
the factor in themselves and stand with ω, not with ω*: B2 = C21/3 and S3 = C32/4, the second
component (y, or b) with the other sign. The defocus is -C10, since C10 > 0 acts as C30 > 0 does,
which underfocus makes up for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nanopilot.core.limits import Range
from nanopilot.core.parameters import Parameter


@dataclass(frozen=True, slots=True)
class Control:
    """A parameter and the control behind it.

    Parameters
    ----------
    parameter : Parameter
        As it is declared.
    nion : str
        Name of the control; ``beam.x`` and ``beam.y`` are ours, for the resting beam.
    factor : float
        Parameter over control.
    """

    parameter: Parameter
    nion: str
    factor: float = 1.0


#: Key, quantity, unit, control, factor, and whether it can only be read.
_TABLE: tuple[tuple[str, str, str, str, float, bool], ...] = (
    ("Beam.blanked", "beam blanked", "1", "C_Blank", 1.0, False),
    ("Beam.current", "beam current", "A", "BeamCurrent", 1.0, False),
    ("Beam.voltage", "voltage", "V", "EHT", 1.0, True),
    ("Beam.shift_x", "beam shift", "m", "CSH.x", 1.0, False),
    ("Beam.shift_y", "beam shift", "m", "CSH.y", 1.0, False),
    ("Beam.convergence_angle", "convergence angle", "rad", "ConvergenceAngle", 1.0, False),
    ("Focus.defocus", "defocus", "m", "C10", -1.0, False),
    ("Corrector.A1_x", "twofold astigmatism", "m", "C12.x", 1.0, False),
    ("Corrector.A1_y", "twofold astigmatism", "m", "C12.y", 1.0, False),
    ("Corrector.B2_x", "coma", "m", "C21.x", 1 / 3, False),
    ("Corrector.B2_y", "coma", "m", "C21.y", -1 / 3, False),
    ("Corrector.A2_x", "threefold astigmatism", "m", "C23.x", 1.0, False),
    ("Corrector.A2_y", "threefold astigmatism", "m", "C23.y", 1.0, False),
    ("Corrector.C3", "spherical aberration", "m", "C30", 1.0, False),
    ("Corrector.S3_x", "star aberration", "m", "C32.x", 1 / 4, False),
    ("Corrector.S3_y", "star aberration", "m", "C32.y", -1 / 4, False),
    ("Corrector.A3_x", "fourfold astigmatism", "m", "C34.x", 1.0, False),
    ("Corrector.A3_y", "fourfold astigmatism", "m", "C34.y", 1.0, False),
    ("Corrector.C5", "spherical aberration", "m", "C50", 1.0, False),
    ("Stage.x", "position", "m", "stage_position_m.x", 1.0, False),
    ("Stage.y", "position", "m", "stage_position_m.y", 1.0, False),
    ("Positioner.x", "position", "m", "beam.x", 1.0, False),
    ("Positioner.y", "position", "m", "beam.y", 1.0, False),
)
#: Every control that is looked for.
NAMES = tuple(row[3] for row in _TABLE)


def controls(facts: Mapping[str, Any]) -> dict[str, Control]:
    """Return the controls this microscope has, by the key of the parameter.

    Limits are declared where the microscope tells them: of the defocus, and of the resting beam.

    Parameters
    ----------
    facts : mapping
        What the worker tells of it: ``controls``, ``reach`` and ``max_defocus`` (both m).
    """
    half = facts["reach"] / 2
    limits = dict.fromkeys(("Positioner.x", "Positioner.y"), Range(low=-half, high=half, unit="m"))
    if facts["max_defocus"] is not None:
        far = facts["max_defocus"]
        limits["Focus.defocus"] = Range(low=-far, high=far, unit="m")
    limits["Beam.blanked"] = Range(low=0, high=1, unit="1")
    found = {}
    for key, quantity, unit, nion, factor, read_only in _TABLE:
        if nion not in facts["controls"] and not nion.startswith("beam."):
            continue
        capability, name = key.split(".")
        parameter = Parameter(
            capability=capability,
            name=name,
            quantity=quantity,
            unit=unit,
            limits=limits.get(key),
            step=1.0 if key == "Beam.blanked" else 0.0,
            tolerance=_tolerance(unit),
            read_only=read_only,
            switch=key == "Beam.blanked",
        )
        found[key] = Control(parameter, nion, factor)
    return found


def _tolerance(unit: str) -> float:
    """Return the rounding of a number that went through two calibrations."""
    return 1e-13 if unit == "m" else 0.0
