"""One broken instrument for every rule: it breaks what the rule demands and is good otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.core.limits import Area, Range
from nanopilot.core.parameters import Setting
from nanopilot.core.signals import SignalSet
from tests.testing.bending import (
    Bend,
    BentAcquisition,
    asked,
    declared,
    knobs,
    measured,
    methods,
    relabelled,
    running,
    says,
)  # fmt: skip


@dataclass(frozen=True)
class Broken:
    """What is bent about a plain twin, and which rule notices.

    Without the guard, where the guard would refuse before the driver could do wrong.
    """

    capability: str
    rule: str
    bends: dict[str, Bend] = field(default_factory=dict)
    guarded: bool = True


def pretend(good: Any, **values: float) -> tuple[Setting, ...]:
    """Say that everything was reached, and do nothing."""
    return tuple(_setting(good, name, value) for name, value in values.items())


def lax(good: Any, **values: float) -> tuple[Setting, ...]:
    """Write whatever comes, unasked."""
    good.write({name: value for name, value in values.items() if _declares(good, name)})
    return pretend(good, **values)


def _declares(good: Any, name: str) -> bool:
    return name in {one.name for one in good.parameters()}


def _setting(good: Any, name: str, value: float) -> Setting:
    one = next(one for one in good.parameters() if one.name == name)
    return Setting(
        parameter=one.key, requested=value, commanded=value, read_back=value, unit=one.unit,
        time=good.clock.now(),
    )  # fmt: skip


def told(**changed: Any) -> Bend:
    """Return the bend that sets rightly and tells it wrongly."""
    return methods(
        set=lambda good, **values: tuple(
            one.model_copy(
                update={name: f(one) if callable(f) else f for name, f in changed.items()}
            )
            for one in good.set(**values)
        )
    )


def holes(signals: SignalSet) -> SignalSet:
    """Return a measurement with nothing in it."""
    return signals.map(lambda one: one.copy(data=np.full(one.shape, math.nan)))


def _tired(good: Any) -> Any:
    """Measure once."""
    begun: list[bool] = []

    def start(good: Any, request: Any) -> Any:
        begun.append(True)
        acquisition = good.start(request)
        return acquisition if len(begun) == 1 else BentAcquisition(acquisition, holes)

    return methods(start=start)(good)


def _strays(good: Any, request: Any) -> Any:
    good._state.values["Stage.x"] += 1e-4
    return good.validate(request)


def _drags(good: Any, **values: float) -> Any:
    found = good.set(**values)
    if "x" in values:
        good.write({"y": good.get("y") + 1e-4})
    return found


def _stuck_unblanked(good: Any) -> Any:
    good.write({"blanked": 0.0})
    return methods(set=pretend)(good)


def _shifted(name: str, by: float) -> Bend:
    def change(signals: SignalSet) -> SignalSet:
        one = signals[name]
        return signals.assign_coords({name: (one.dims, one.to_numpy() + by, one.attrs)})

    return measured(change)


def _swapped(signals: SignalSet) -> SignalSet:
    x, y = signals["measured_x"], signals["measured_y"]
    turned = {
        "measured_x": (x.dims, y.to_numpy(), x.attrs),
        "measured_y": (y.dims, x.to_numpy(), y.attrs),
    }
    return signals.assign_coords(turned)


def _extra(signals: SignalSet) -> SignalSet:
    return signals.assign(extra=next(iter(signals.data_vars.values())))


def _mislabelled(signals: SignalSet) -> SignalSet:
    axis = signals["bias"] if "bias" in signals.coords else None
    if axis is None:
        return signals
    return signals.assign_coords(bias=(axis.dims, axis.to_numpy(), axis.attrs | {"units": "A"}))


def _dropped(name: str) -> Bend:
    return measured(lambda signals: signals.drop_vars(name, errors="ignore"))


def _turned(*dims: str) -> Bend:
    return measured(lambda signals: signals.transpose(*dims, ..., missing_dims="ignore"))


def _update(when: Any = lambda request: True, **changes: Any) -> Bend:
    """Return the bend that does something else than what was asked for."""
    return asked(lambda one: one.model_copy(update=changes) if when(one) else one)


_FREE_HEIGHT = methods(
    set=lax,
    parameters=lambda good: tuple(
        one.model_copy(update={"read_only": False}) for one in good.parameters()
    ),
)
_ONE_BY_ONE = methods(
    set=lambda good, **values: tuple(
        one for name, value in values.items() for one in good.set(**{name: value})
    )
)
_ROUNDS = methods(
    set=lambda good, **values: good.set(
        **{name: min(max(round(value), 0), 1) if name == "blanked" else value
           for name, value in values.items()}
    )
)  # fmt: skip
_FAR = Area(x=(1e-3, 2e-3), y=(1e-3, 2e-3))

INSTRUMENTS = (
    Broken("Instrument", "declared-capability-is-there",
           {"describe": lambda one: one.model_copy(update={"capabilities": ("Turbo",)})}),
    Broken("Instrument", "missing-capability-is-refused",
           {"world": "tip",  # type: ignore[dict-item]
            "capability": lambda twin, kind: twin.capability(kind)
            if kind.__name__ in twin.describe().capabilities else object()}, guarded=False),
    Broken("Instrument", "description-is-complete", {"describe": says(scan_channels=())}),
    Broken("Instrument", "description-is-json", {"describe": says(state={"since": math.nan})}),
    Broken("Instrument", "parameters-are-listed",
           {"describe": lambda one: one.model_copy(update={"parameters": one.parameters[1:]})}),
    Broken("Instrument", "standard-names", knobs("Focus.defocus", unit="nm")),
    Broken("Instrument", "parameters-are-consistent",
           knobs("BiasSource.bias", limits=Range(low=5, high=-5, unit="V"))),
    Broken("Instrument", "state-is-complete",
           {"state": lambda one: one.model_copy(
               update={"values": dict(list(one.values.items())[1:])})}),
    Broken("Instrument", "state-is-now",
           {"state": lambda one: one.model_copy(update={"time": one.time - 100})}),
    Broken("Instrument", "state-agrees-with-get",
           {"BiasSource": methods(get=lambda good, name: good.get(name) + 3)}),
    Broken("Instrument", "state-is-within-limits",
           knobs("Stage.x", limits=Range(low=1e-3, high=2e-3, unit="m"))),
)  # fmt: skip

MEASURING = (
    Broken("Scanner", "signals-are-calibrated", {"Scanner": relabelled("units", channels=True)}),
    Broken("Scanner", "units-as-declared", {"describe": says(units={"height": "V"})}),
    Broken("Scanner", "request-comes-back", {"Scanner": relabelled("request")}),
    Broken("Scanner", "state-comes-along", {"Scanner": relabelled("state")}),
    Broken("Scanner", "validate-moves-nothing", {"Scanner": methods(validate=_strays)}),
    Broken("Scanner", "impossible-is-refused",
           {"Scanner": methods(validate=lambda good, request: [])}, guarded=False),
    Broken("Scanner", "estimate-is-plausible",
           {"Scanner": methods(estimate=lambda good, request: good.estimate(request).model_copy(
               update={"seconds": 1e5}))}),
    Broken("Scanner", "blocks-join",
           {"Scanner": running(blocks=lambda good: (b for i, b in enumerate(good) if i % 2))}),
    Broken("Scanner", "progress-rises", {"Scanner": running(progress=lambda good: 0.5)}),
    Broken("Scanner", "result-stays",
           {"Scanner": running(result=lambda good, calls: good.result() * calls)}),
    Broken("Scanner", "abort-keeps-what-was-measured",
           {"Scanner": running(abort=lambda good: None)}),
    Broken("Scanner", "stop-ends-it", {"Scanner": methods(stop=lambda good: None)}, guarded=False),
    Broken("Scanner", "one-after-another", {"Scanner": _tired}),
)  # fmt: skip

FRAMES = (
    Broken("Scanner", "frame-has-shape", {"Scanner": _turned("x", "y")}),
    Broken("Scanner", "frame-has-every-channel",
           {"Scanner": _update(lambda one: not one.channels, channels=("height",))}),
    Broken("Scanner", "only-channels-asked-for", {"Scanner": _update(channels=())}),
    Broken("Scanner", "frame-has-axes", {"Scanner": _shifted("x", 1e-6)}),
    Broken("Scanner", "frame-says-where", {"Scanner": measured(_swapped)}),
    Broken("Scanner", "frame-says-when", {"Scanner": _shifted("time", 1e4)}),
    Broken("Scanner", "frame-has-metadata", {"Scanner": relabelled("instrument")}),
    Broken("Scanner", "channel-has-metadata", {"Scanner": relabelled("origin", channels=True)}),
    Broken("Scanner", "every-direction-works", {"Scanner": _update(directions=())}),
    Broken("Scanner", "undeclared-direction-is-refused",
           {"describe": says(directions=("trace",))}),
    Broken("Scanner", "every-order-works",
           {"Scanner": methods(start=lambda good, request: BentAcquisition(
               good.start(request), holes if request.order == "spiral" else lambda one: one))}),
    Broken("Scanner", "undeclared-order-is-refused", {"describe": says(orders=("raster",))}),
    Broken("Scanner", "lines-only-those-rows",
           {"Scanner": _update(lambda one: one.lines, order="raster", lines=())}),
    Broken("Scanner", "points-only-those-places",
           {"Scanner": asked(lambda one: one.model_copy(update={"points": one.points[::-1]}))}),
    Broken("Scanner", "several-frames", {"Scanner": _update(frames=1)}),
    Broken("Scanner", "rotation-is-honoured",
           {"Scanner": asked(lambda one: one.model_copy(update={"rotation": -one.rotation}))}),
)  # fmt: skip

OTHERS = (
    Broken("PointSpectroscopy", "spectrum-has-its-axis",
           {"PointSpectroscopy": measured(_mislabelled)}),
    Broken("PointSpectroscopy", "only-channels-asked-for",
           {"PointSpectroscopy": measured(_extra)}),
    Broken("PointSpectroscopy", "spectrum-says-where", {"PointSpectroscopy": _shifted("x", 1e-6)}),
    Broken("PointSpectroscopy", "spectrum-says-when", {"PointSpectroscopy": _dropped("time")}),
    Broken("PointSpectroscopy", "force-has-height", {"PointSpectroscopy": _dropped("z")}),
    Broken("PointSpectroscopy", "bias-sweep-as-asked",
           {"PointSpectroscopy": asked(lambda one: one.model_copy(
               update={"bias": tuple(1.1 * volts for volts in one.bias)}))}),
    Broken("PointSpectroscopy", "grid-has-shape", {"PointSpectroscopy": _turned("x", "y")}),
    Broken("PointSpectroscopy", "undeclared-kind-is-refused",
           {"describe": lambda one: one.model_copy(update={"spectra": one.spectra[:1]})}),
    Broken("Camera", "pattern-has-dims", {"Camera": _turned("kx", "ky")}),
    Broken("Camera", "every-camera-is-there", {"describe": says(cameras=("ronchigram", "ccd"))}),
    Broken("Camera", "only-channels-asked-for", {"Camera": measured(_extra)}),
    Broken("Camera", "several-frames", {"Camera": _update(frames=1)}),
    Broken("Camera", "binning-joins-pixels", {"Camera": _update(binning=1)}),
    Broken("BiasWriter", "writing-says-what-where-when", {"BiasWriter": _shifted("time", 1e4)}),
    Broken("BiasWriter", "every-point-its-own-bias",
           {"BiasWriter": asked(lambda one: one.model_copy(update={"bias": one.bias[:1]}))}),
    Broken("BiasWriter", "a-path-is-drawn",
           {"BiasWriter": _update(lambda one: one.mode == "path", bias=(1.0,))}),
)  # fmt: skip

KNOBS = (
    Broken("Focus", "every-parameter-can-be-read",
           {"Focus": methods(get=lambda good, name: math.nan)}),
    Broken("Focus", "unknown-parameter-is-refused",
           {"Focus": methods(get=lambda good, name: 0.0)}, guarded=False),
    Broken("Focus", "setting-is-complete", {"Focus": told(unit="nm")}),
    Broken("Focus", "set-reaches-the-value", {"Focus": methods(set=pretend)}),
    Broken("Focus", "step-is-honoured",
           {"Focus": told(commanded=lambda one: one.requested)}),
    Broken("Stage", "two-are-set-together",
           {"Stage": methods(set=lambda good, **v: good.set(**dict(list(v.items())[:1])))}),
    Broken("Stage", "others-stay", {"Stage": methods(set=_drags)}),
    Broken("Focus", "limits-are-held", {"Focus": methods(set=lax)}, guarded=False),
    Broken("Focus", "nan-is-refused", {"Focus": methods(set=lax)}, guarded=False),
    Broken("Vacuum", "read-only-is-refused", {"Vacuum": methods(set=lax)}, guarded=False),
    Broken("Beam", "switch-is-off-or-on", {"Beam": _ROUNDS}, guarded=False),
    Broken("Stage", "refused-as-a-whole", {"Stage": _ONE_BY_ONE}, guarded=False),
    Broken("Positioner", "rests-inside-the-area", {"describe": says(area=_FAR)}),
    Broken("Feedback", "loop-holds-the-height",
           {"describe": declared("Feedback.z", read_only=False), "Feedback": _FREE_HEIGHT}),
    Broken("Approach", "tip-retracts", {"Approach": methods(set=pretend)}),
    Broken("Beam", "beam-blanks", {"Beam": _stuck_unblanked}),
    Broken("Vacuum", "pressure-is-read-only", knobs("Vacuum.pressure", read_only=False)),
)  # fmt: skip

BROKEN = (*INSTRUMENTS, *MEASURING, *FRAMES, *OTHERS, *KNOBS)
