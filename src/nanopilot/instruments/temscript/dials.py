"""Every parameter of a temscript server: where it is read, in which unit, and how it is sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nanopilot.core.errors import DeviceError
from nanopilot.core.limits import Range
from nanopilot.core.parameters import Parameter

#: How far a stage may end from where it was sent: mechanical stages of these columns
#: reproduce positions to a few hundred nanometres and tilts to about 0.01 degree.
_STAGE_SLACK = {"m": 3e-7, "rad": 2e-4}
_AXES = {"x": ("x", "m"), "y": ("y", "m"), "z": ("z", "m"), "alpha": ("a", "rad"),
         "beta": ("b", "rad")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dial:
    """One parameter and its place on the wire.

    Parameters
    ----------
    parameter : Parameter
        As it is declared.
    endpoint : str
        Where it is read and set.
    path : tuple of str or int
        Where it is inside what the endpoint answers.
    scale : float
        The server's number of one SI unit; negative where the server counts the other way.
    words : (str or bool, str or bool), optional
        What the server calls 0 and 1 of a switch.
    optional : bool
        Left out if it is not known when the instrument is connected.
    """

    parameter: Parameter
    endpoint: str
    path: tuple[str | int, ...] = ()
    scale: float = 1.0
    words: tuple[str | bool, str | bool] | None = None
    optional: bool = False

    def pick(self, answer: Any) -> float:
        """Return the value in its SI unit; NaN where the server does not know it.

        Raises
        ------
        DeviceError
            The answer is not of the form it should have.
        """
        try:
            return self._value(answer)
        except (KeyError, IndexError, TypeError, ValueError) as cause:
            raise DeviceError(f"`{self.endpoint}` answers {answer!r:.80}.") from cause

    def _value(self, answer: Any) -> float:
        for step in self.path:
            answer = answer[step]
        if self.words is not None:
            return float(self.words.index(answer)) if answer in self.words else math.nan
        if isinstance(answer, str):
            # A gauge that is below its range has a pressure no interlock minds.
            return 0.0 if answer == "UNDERFLOW" else math.nan
        return math.nan if answer is None else float(answer) / self.scale

    def encode(self, value: float) -> Any:
        """Return the value as the server wants it."""
        if self.words is not None:
            return self.words[round(value)]
        return value * self.scale


def body(dials: Mapping[Dial, float], now: Any) -> Any:
    """Return what is sent to the one endpoint of these dials.

    Pairs are sent whole, so that what stays is filled in from `now`; of a dict only the keys
    that change are sent.
    """
    first = next(iter(dials))
    if not first.path:
        return first.encode(dials[first])
    if isinstance(first.path[0], str):
        return {dial.path[0]: dial.encode(value) for dial, value in dials.items()}
    pair = [float(part) for part in now]
    for dial, value in dials.items():
        pair[int(dial.path[0])] = dial.encode(value)
    return pair


def _parameter(key: str, quantity: str, unit: str, **more: Any) -> Parameter:
    capability, name = key.split(".")
    return Parameter(capability=capability, name=name, quantity=quantity, unit=unit, **more)


def _switch(key: str, quantity: str) -> Parameter:
    limits = Range(low=0, high=1, unit="1")
    return _parameter(key, quantity, "1", limits=limits, step=1.0, switch=True)


def _stage(limits: Mapping[str, tuple[float, float]]) -> list[Dial]:
    return [
        Dial(
            _parameter(
                f"Stage.{name}",
                "position" if unit == "m" else "tilt",
                unit,
                limits=Range(low=min(limits[axis]), high=max(limits[axis]), unit=unit),
                tolerance=_STAGE_SLACK[unit],
            ),
            "stage_position",
            (axis,),
        )
        for name, (axis, unit) in _AXES.items()
        if axis in limits and limits[axis][0] != limits[axis][1]
    ]


def _pair(stem: str, quantity: str, unit: str) -> list[Dial]:
    # What a deflector reads back is rounded to its converter.
    slack = {"m": 1e-10, "rad": 1e-6}[unit]
    return [
        Dial(
            _parameter(f"Beam.{stem}_{axis}", quantity, unit, tolerance=slack),
            f"beam_{stem}",
            (index,),
        )
        for index, axis in enumerate("xy")
    ]


def wished(
    limits: Mapping[str, tuple[float, float]], detectors: tuple[str, ...], gauge: str | None
) -> list[Dial]:
    """Return every dial a server may have; which it really has is found by reading them.

    Parameters
    ----------
    limits : mapping
        Lowest and highest of each stage axis, as the server tells them.
    detectors : tuple of str
        STEM detectors.
    gauge : str, optional
        The one that measures the vacuum before the column valves.
    """
    angle = Range(low=0.0, high=0.2, unit="rad")
    dials = [
        *_stage(limits),
        Dial(_switch("Beam.blanked", "beam blanked"), "beam_blanked", words=(False, True)),
        Dial(_parameter("Beam.voltage", "voltage", "V", read_only=True), "voltage", scale=1e-3),
        Dial(
            _parameter("Beam.current", "beam current", "A", read_only=True),
            "screen_current",
            optional=True,
        ),
        *_pair("shift", "beam shift", "m"),
        *_pair("tilt", "beam tilt", "rad"),
        Dial(
            _parameter("Beam.convergence_angle", "convergence angle", "rad", limits=angle),
            "convergence_angle",
        ),
        Dial(
            _switch("Detectors.screen_inserted", "fluorescent screen inserted"),
            "screen_position",
            words=("UP", "DOWN"),
        ),
        Dial(
            _switch("Vacuum.column_valve", "column valve open"),
            "column_valves_open",
            words=(False, True),
        ),
    ]
    for name in detectors:
        for setting in ("brightness", "contrast"):
            parameter = _parameter(f"Detectors.{_word(name)}_{setting}", setting, "1")
            dials.append(Dial(parameter, f"stem_detector_param/{quote(name, safe='')}", (setting,)))
    if gauge is not None:
        pressure = _parameter("Vacuum.pressure", "pressure", "Pa", read_only=True)
        dials.append(Dial(pressure, "vacuum", ("gauges(Pa)", gauge)))
    return dials


def _word(name: str) -> str:
    """Return a detector's name as part of a parameter's.

    Examples
    --------
    >>> _word("BF-S/DF 2")
    'bf_s_df_2'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def focus(stem: bool, defocus_scale: float | None) -> list[Dial]:
    """Return the dial of the defocus, if there is one whose unit is known.

    In STEM the server has ``probe_defocus`` in metres. ``defocus`` of the objective is in
    arbitrary units on most columns, so it takes a calibration. Both grow towards overfocus,
    which is where our defocus falls.
    """
    parameter = _parameter("Focus.defocus", "defocus", "m", tolerance=1e-10)
    if stem:
        return [Dial(parameter, "probe_defocus", scale=-1.0)]
    if defocus_scale:
        return [Dial(parameter, "defocus", scale=-1.0 / defocus_scale)]
    return []
