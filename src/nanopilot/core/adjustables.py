"""Capabilities that are adjusted: parameters that are declared, read and set.

All have the same three methods. What tells them apart is which parameters they have: the
names a driver uses where it has that quantity are fixed here, so that a script that sets
``defocus`` means the same on every instrument. A driver leaves out what it does not have.
"""

from __future__ import annotations

from typing import Any, Protocol, TypedDict, Unpack

from nanopilot.core.parameters import Parameter, Setting


class Readable(Protocol):
    """Something with parameters."""

    def parameters(self) -> tuple[Parameter, ...]:
        """Return every parameter with unit, limits, step and settling time."""

    def get(self, name: str) -> float:
        """Read one parameter from the instrument, in its SI unit.

        Raises
        ------
        Unsupported
            There is no such parameter.
        """


class Adjustable(Readable, Protocol):
    """Something whose parameters can be set: what every capability below is at least."""

    def set(self, **values: Any) -> tuple[Setting, ...]:
        """Set parameters together, wait until they have settled, and read them back.

        Raises
        ------
        Unsupported
            There is no such parameter, or it is read-only.
        """


class StageValues(TypedDict, total=False):
    """Position in metres and tilts in radians."""

    x: float
    y: float
    z: float
    alpha: float
    beta: float
    rotation: float


class Stage(Readable, Protocol):
    """Moves the sample: ``x, y, z`` in metres, ``alpha, beta, rotation`` in radians."""

    def set(self, **values: Unpack[StageValues]) -> tuple[Setting, ...]:
        """Move there in one go, and read the position back."""


class PositionerValues(TypedDict, total=False):
    """Position in metres."""

    x: float
    y: float


class Positioner(Readable, Protocol):
    """Where tip or beam rests while nothing is scanned: ``x, y`` in metres, scan coordinates."""

    def set(self, **values: Unpack[PositionerValues]) -> tuple[Setting, ...]:
        """Go there in a straight line, and read the position back."""


class FeedbackValues(TypedDict, total=False):
    """Set-point in the unit of the signal that is held; gains as declared."""

    enabled: float
    setpoint: float
    proportional: float
    integral: float
    z: float


class Feedback(Readable, Protocol):
    """The loop that holds the tip at the surface.

    ``enabled`` (switch), ``setpoint`` in the unit of the signal that is held,
    ``proportional`` and ``integral`` gain, ``z`` in metres (read-only while enabled).
    """

    def set(self, **values: Unpack[FeedbackValues]) -> tuple[Setting, ...]:
        """Adjust the loop, and read it back."""


class ApproachValues(TypedDict, total=False):
    """1: tip at the surface; 0: retracted."""

    engaged: float


class Approach(Readable, Protocol):
    """Brings the tip to the surface and away from it: ``engaged`` (switch)."""

    def set(self, **values: Unpack[ApproachValues]) -> tuple[Setting, ...]:
        """Approach (1) or retract (0), wait for the end, and read back which it is."""


class BiasSourceValues(TypedDict, total=False):
    """Voltage in volts."""

    bias: float


class BiasSource(Readable, Protocol):
    """The voltage between tip and sample at rest: ``bias`` in volts."""

    def set(self, **values: Unpack[BiasSourceValues]) -> tuple[Setting, ...]:
        """Apply the bias, and read it back."""


class BeamValues(TypedDict, total=False):
    """Current in amperes, voltage in volts, shifts in metres, tilts in radians."""

    blanked: float
    current: float
    voltage: float
    shift_x: float
    shift_y: float
    tilt_x: float
    tilt_y: float
    convergence_angle: float


class Beam(Readable, Protocol):
    """The electron beam.

    ``blanked`` (switch), ``current`` in amperes, ``voltage`` in volts, ``shift_x, shift_y``
    in metres at the sample, ``tilt_x, tilt_y`` and ``convergence_angle`` in radians.
    """

    def set(self, **values: Unpack[BeamValues]) -> tuple[Setting, ...]:
        """Adjust the beam, and read it back."""


class FocusValues(TypedDict, total=False):
    """Defocus in metres."""

    defocus: float


class Focus(Readable, Protocol):
    """``defocus`` in metres; positive is underfocus (the lens is weaker than in focus)."""

    def set(self, **values: Unpack[FocusValues]) -> tuple[Setting, ...]:
        """Focus, and read it back."""


class CorrectorValues(TypedDict, total=False):
    """Aberration coefficients in metres, two components where they have a direction."""

    A1_x: float
    A1_y: float
    B2_x: float
    B2_y: float
    A2_x: float
    A2_y: float
    C3: float
    S3_x: float
    S3_y: float
    A3_x: float
    A3_y: float
    C5: float


class Corrector(Readable, Protocol):
    """Aberrations in metres by the names of Uhlemann and Haider (Ultramicroscopy 72, 1998, 109).

    Twofold astigmatism ``A1_x, A1_y``, coma ``B2_x, B2_y``, threefold astigmatism
    ``A2_x, A2_y``, spherical ``C3``, star ``S3_x, S3_y``, fourfold ``A3_x, A3_y``, ``C5``.
    """

    def set(self, **values: Unpack[CorrectorValues]) -> tuple[Setting, ...]:
        """Adjust aberrations, and read them back."""


class Detectors(Adjustable, Protocol):
    """Gain, offset and insertion of each detector: ``haadf_gain``, ``haadf_inserted``, ..."""


class VacuumValues(TypedDict, total=False):
    """Pressure in pascals; valve 1: open."""

    pressure: float
    column_valve: float


class Vacuum(Readable, Protocol):
    """``pressure`` in pascals (read-only) and ``column_valve`` (switch, 1: open)."""

    def set(self, **values: Unpack[VacuumValues]) -> tuple[Setting, ...]:
        """Open or close the valve, and read it back."""


#: Standard names and SI units; a driver that has the quantity uses this name. The unit of a
#: set-point is that of the signal which is held, and gains have none that all makers share.
STANDARD: dict[str, dict[str, str | None]] = {
    "Stage": {"x": "m", "y": "m", "z": "m", "alpha": "rad", "beta": "rad", "rotation": "rad"},
    "Positioner": {"x": "m", "y": "m"},
    "Feedback": {
        "enabled": "1", "setpoint": None, "proportional": None, "integral": None, "z": "m",
    },
    "Approach": {"engaged": "1"},
    "BiasSource": {"bias": "V"},
    "Beam": {
        "blanked": "1", "current": "A", "voltage": "V", "shift_x": "m", "shift_y": "m",
        "tilt_x": "rad", "tilt_y": "rad", "convergence_angle": "rad",
    },
    "Focus": {"defocus": "m"},
    "Corrector": dict.fromkeys(CorrectorValues.__annotations__, "m"),
    "Vacuum": {"pressure": "Pa", "column_valve": "1"},
}  # fmt: skip

#: By name.
ADJUSTABLE: dict[str, type[Readable]] = {
    kind.__name__: kind
    for kind in (
        Stage, Positioner, Feedback, Approach, BiasSource,
        Beam, Focus, Corrector, Detectors, Vacuum,
    )
}  # fmt: skip
