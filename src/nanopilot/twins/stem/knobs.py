"""What can be adjusted on the electron twin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nanopilot.core.clock import Clock
from nanopilot.core.errors import OutOfRange
from nanopilot.core.knobs import Knobs
from nanopilot.core.limits import Area, Range
from nanopilot.core.parameters import Parameter, State
from nanopilot.models.electron_optics import Aberrations
from nanopilot.twins.mishaps import Luck
from nanopilot.twins.stem.motion import BeamPath
from nanopilot.twins.stem.settings import StemSettings

#: Metres per second of the stage, and of the parked beam between places.
STAGE_SPEED, TRAVEL = 2e-6, 1e-2
#: Radians per second of the stage's tilt.
TILT_SPEED = 0.02
_DEGREE = math.pi / 180
#: How far each aberration can be corrected either way, in metres.
_REACH = {
    "A1_x": 5e-6, "A1_y": 5e-6, "B2_x": 2e-5, "B2_y": 2e-5, "A2_x": 2e-5, "A2_y": 2e-5,
    "C3": 5e-3, "S3_x": 5e-4, "S3_y": 5e-4, "A3_x": 5e-4, "A3_y": 5e-4, "C5": 0.05,
}  # fmt: skip


def _declare(
    key: str, quantity: str, span: tuple[float, float], unit: str, **more: Any
) -> Parameter:
    capability, name = key.split(".")
    limits = Range(low=span[0], high=span[1], unit=unit)
    return Parameter(
        capability=capability, name=name, quantity=quantity, unit=unit, limits=limits, **more
    )


@dataclass
class Panel:
    """Every knob of the instrument, and how far it is turned.

    Corrections begin at 0: what the lens is like without them is for the user to find out.

    Parameters
    ----------
    settings : StemSettings
        The instrument as it was made.
    area : Area
        Where the stage goes, in metres.
    clock : Clock
        Of the twin.
    path : BeamPath
        Told where the stage goes.
    luck : Luck
        What goes wrong meanwhile.
    """

    settings: StemSettings
    area: Area
    clock: Clock
    path: BeamPath
    luck: Luck
    values: dict[str, float] = field(init=False)
    #: What the lens has jumped by, in metres of underfocus; nobody is told.
    jumped: float = 0.0

    def __post_init__(self) -> None:
        self.values = self._start()
        self.luck.reading = self.values.__getitem__

    def _start(self) -> dict[str, float]:
        found = {one.key: 0.0 for one in self.parameters()}
        lens = self.settings.lens
        found |= {
            "Beam.current": self.settings.current,
            "Beam.voltage": lens.voltage,
            "Beam.convergence_angle": lens.convergence_angle,
            "Vacuum.pressure": 2e-6,
            "Vacuum.column_valve": 1.0,
        }
        for name, one in self.settings.detectors.named().items():
            found[f"Detectors.{name}_inserted"] = 1.0
            found[f"Detectors.{name}_gain"] = one.gain
            found[f"Detectors.{name}_offset"] = one.offset
        return found

    def parameters(self) -> tuple[Parameter, ...]:
        """Return everything that can be read or set."""
        reach, switch = self.settings.scan_range, {"switch": True, "step": 1.0}
        scan, tilt = (-reach, reach), (-35 * _DEGREE, 35 * _DEGREE)
        wide = [
            (-abs(max(map(abs, ends))), max(map(abs, ends))) for ends in (self.area.x, self.area.y)
        ]
        return (
            _declare("Stage.x", "position", wide[0], "m", settling=0.1, tolerance=1e-10),
            _declare("Stage.y", "position", wide[1], "m", settling=0.1, tolerance=1e-10),
            _declare("Stage.z", "height", (-2e-4, 2e-4), "m", settling=0.1, tolerance=1e-10),
            _declare("Stage.alpha", "tilt", tilt, "rad", settling=0.1, tolerance=1e-6),
            _declare("Stage.beta", "tilt", tilt, "rad", settling=0.1, tolerance=1e-6),
            _declare("Positioner.x", "position", scan, "m"),
            _declare("Positioner.y", "position", scan, "m"),
            _declare("Beam.blanked", "beam blanked", (0, 1), "1", **switch),
            _declare("Beam.current", "beam current", (1e-13, 1e-8), "A", settling=0.5),
            _declare("Beam.voltage", "voltage", (2e4, 3e5), "V", settling=30.0),
            _declare("Beam.convergence_angle", "convergence angle", (1e-3, 0.06), "rad",
                     settling=0.5),
            _declare("Beam.shift_x", "beam shift", scan, "m"),
            _declare("Beam.shift_y", "beam shift", scan, "m"),
            _declare("Focus.defocus", "defocus", (-2e-5, 2e-5), "m", step=1e-11, settling=0.05),
            *(
                _declare(f"Corrector.{name}", "aberration", (-far, far), "m", settling=0.05)
                for name, far in _REACH.items()
            ),
            *self._of_detectors(),
            _declare("Vacuum.pressure", "pressure", (0.0, 1e5), "Pa", read_only=True),
            _declare("Vacuum.column_valve", "column valve open", (0, 1), "1", settling=0.5,
                     **switch),
        )  # fmt: skip

    def _of_detectors(self) -> list[Parameter]:
        found = []
        for name in self.settings.detectors.named():
            found += [
                _declare(f"Detectors.{name}_inserted", "detector inserted", (0, 1), "1",
                         settling=0.5, switch=True, step=1.0),
                _declare(f"Detectors.{name}_gain", "gain", (1e-3, 1e4), "1"),
                _declare(f"Detectors.{name}_offset", "offset", (-1e5, 1e5), "1"),
            ]  # fmt: skip
        return found

    def state(self) -> State:
        """Return all values as the sensors say."""
        self.luck.check_link()
        return State(time=self.clock.now(), values={key: self.read(key) for key in self.values})

    def read(self, key: str) -> float:
        """Return one value as its sensor says."""
        self.luck.check_link()
        return self.luck.read(key, self.values[key])

    def knobs(self) -> dict[str, Knobs]:
        """Return every capability that is adjusted, by name."""
        declared = self.parameters()
        owners = dict.fromkeys(one.capability for one in declared)
        return {
            owner: Knobs(
                tuple(one for one in declared if one.capability == owner),
                read=partial(self._read_of, owner),
                write=partial(self._write, owner),
                clock=self.clock,
            )
            for owner in owners
        }

    def _read_of(self, owner: str, name: str) -> float:
        return self.read(f"{owner}.{name}")

    def _write(self, owner: str, values: Mapping[str, float]) -> None:
        self.luck.check_link()
        self._check(owner, values)
        told = {f"{owner}.{name}": value for name, value in values.items()}
        before = dict(self.values)
        self.values.update(told)
        if owner == "Stage":
            self._move_stage(before)
        elif owner == "Positioner":
            away = math.dist(self.rest, (before["Positioner.x"], before["Positioner.y"]))
            self.clock.sleep(away / TRAVEL)

    def _check(self, owner: str, values: Mapping[str, float]) -> None:
        for one in self.parameters():
            if one.capability == owner and one.switch and values.get(one.name, 0.0) not in (0, 1):
                raise OutOfRange(f"`{one.key}` is a switch: 0 or 1, not {values[one.name]:g}.")

    def _move_stage(self, before: Mapping[str, float]) -> None:
        keys = ("Stage.x", "Stage.y", "Stage.z")
        way = math.dist([self.values[k] for k in keys], [before[k] for k in keys])
        turn = max(abs(self.values[k] - before[k]) for k in ("Stage.alpha", "Stage.beta"))
        self.clock.sleep(max(way / STAGE_SPEED, turn / TILT_SPEED))
        self.path.move_stage((self.values["Stage.x"], self.values["Stage.y"]), self.clock.now())

    @property
    def rest(self) -> tuple[float, float]:
        """Where the beam rests, (x, y) in metres of deflection."""
        return self.values["Positioner.x"], self.values["Positioner.y"]

    @property
    def shift(self) -> tuple[float, float]:
        """Beam shift, (x, y) in metres."""
        return self.values["Beam.shift_x"], self.values["Beam.shift_y"]

    @property
    def tilt(self) -> tuple[float, float]:
        """Tilt of the sample about x and y, in radians."""
        return self.values["Stage.alpha"], self.values["Stage.beta"]

    def correction(self) -> Aberrations:
        """Return what corrector and focus add to the lens's own aberrations."""
        added = {name: self.values[f"Corrector.{name}"] for name in _REACH}
        return Aberrations(C1=-self.values["Focus.defocus"] - self.jumped, **added)
