"""Spectra over bias: hysteresis loops, current and dI/dV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nanopilot.core.requests import SpectrumKind
from nanopilot.core.signals import Axis
from nanopilot.twins.spm.function.detectors import in_contact
from nanopilot.twins.spm.function.kernels import gaussian, under
from nanopilot.twins.spm.function.mode import Asked, Cost, FloatArray, Setting
from nanopilot.twins.spm.function.oscillator import (
    ComplexArray,
    contact_resonance,
    drive,
    driven_at,
    noisy,
    oscillator,
)
from nanopilot.twins.spm.function.switching import pulse, switchable
from nanopilot.twins.spm.function.tunnelling import LEAST, density, states_within
from nanopilot.twins.spm.world import World

#: Volts of a sweep where nothing switches, and points of every sweep.
PLAIN_SWEEP, POINTS = 1.0, 64

_DWELL = Setting("dwell", "time at each bias", "s", (1e-5, 10.0), 10e-3)
_LOOP = (
    Setting("read_bias", "bias", "V", (-10.0, 10.0), 0.0),
    Setting("on_field", "read under the bias itself", "1", (0.0, 1.0), 0.0, step=1.0),
)
_RETREAT = Setting("retreat", "further gap", "m", (0.0, 1e-9), 0.0)


@dataclass(frozen=True, slots=True)
class BiasSweep:
    """The bias goes from point to point and stays at each for `dwell`.

    In contact with what can be switched, every point is a pulse that may switch it, and is read
    at `read_bias` afterwards (or under the pulse itself: `on_field`): a hysteresis loop. Of what
    conducts it gives the current. Tunnelling, the loop is open and the apex `retreat` further away
    than where the set-point would flow at the bias at rest on a density of states of 1: the current
    and its derivative are as large as the local density.
    """

    kind: ClassVar[SpectrumKind] = "bias"
    dim: ClassVar[str] = "bias"

    def channels(self, world: World) -> dict[str, tuple[str, str]]:
        """Return what the sample has to say to a bias."""
        if world.settings.loop.mode == "stm":
            return {"current": ("current", "A"), "didv": ("differential conductance", "A/V")}
        found: dict[str, tuple[str, str]] = {}
        if in_contact(world) and switchable(world):
            found |= {
                "piezoresponse": ("piezoresponse", "m"),
                "pfm_amplitude": ("piezoresponse amplitude", "m"),
                "pfm_phase": ("piezoresponse phase", "rad"),
            }
        if in_contact(world) and "conductivity" in world.layers:
            found["current"] = ("current", "A")
        return found

    def settings(self, world: World) -> tuple[Setting, ...]:
        """Return what can be chosen."""
        if world.settings.loop.mode == "stm":
            return (_DWELL, _RETREAT)
        return (_DWELL, *_LOOP) if switchable(world) else (_DWELL,)

    def axis(self, world: World, values: Mapping[str, float]) -> Axis:
        """Return one cycle, from the largest bias down and back: its first point saturates."""
        switches = in_contact(world) and switchable(world)
        ends = world.settings.function.switching.sweep if switches else PLAIN_SWEEP
        triangle = np.abs(np.arange(POINTS) / POINTS * 4 - 2) - 1
        return Axis(ends * triangle, "V", "bias")

    def along(self, axis: FloatArray, values: Mapping[str, float]) -> dict[str, Axis]:
        """Return nothing: the bias says it all."""
        return {}

    def cost(self, axis: FloatArray, values: Mapping[str, float]) -> Cost:
        """Return the time; all of it is under bias."""
        seconds = axis.size * values["dwell"]
        return Cost(seconds, seconds)

    def take(self, world: World, asked: Asked, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Sweep the bias; what has switched stays switched."""
        if world.settings.loop.mode == "stm":
            return tunnel(world, asked, rng)
        found: dict[str, FloatArray] = {}
        if switchable(world):
            signal = noisy(world, hysteresis(world, asked), rng)
            found = {
                "piezoresponse": signal.imag, "pfm_amplitude": np.abs(signal),
                "pfm_phase": np.angle(signal),
            }  # fmt: skip
        if "conductivity" in world.layers:
            layer = world.layers["conductivity"]
            spot = gaussian(world.settings.function.piezoresponse.spot * world.tip.radius)
            clean = asked.axis * under(world, layer, *asked.xy, spot)
            scale = world.settings.noise.detector * float(np.abs(clean).max(initial=0.0))
            found["current"] = clean + scale * rng.normal(size=clean.size)
        return found


def hysteresis(world: World, asked: Asked) -> ComplexArray:
    """Pulse at every bias and read the lever's complex amplitude (m) after it, shape (n,).

    At the contact resonance its imaginary part is the piezoresponse, positive where the
    polarisation points up.
    """
    rng = world.rng("writing")
    resonance = contact_resonance(world, *asked.xy)
    quality = world.settings.lever.contact_quality
    gain = complex(oscillator(driven_at(world, resonance), resonance, quality)[0])
    moved, changed = np.empty(asked.axis.size), 0
    for n, bias in enumerate(asked.axis):
        changed += pulse(world, asked.place, float(bias), asked.values["dwell"], rng)
        reading = float(bias) if asked.values["on_field"] else asked.values["read_bias"]
        moved[n] = drive(world, *asked.xy, reading)[0]
    x, y = asked.place
    world.note("hysteresis loop", x=x, y=y, switched=changed)
    return np.asarray(gain * moved, dtype=np.complex128)


def tunnel(world: World, asked: Asked, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Return current (A) and its derivative (A/V) at constant height, each shape (n,)."""
    settings, tunnelling = world.settings, world.settings.function.tunnelling
    states = world.layers.get("ldos")
    local = 1.0
    if states is not None:
        local = max(float(under(world, states, *asked.xy, np.zeros((1, 2)))[0]), 0.0)
    rest = np.array(max(abs(settings.electrics.bias), LEAST))
    per_volt = settings.loop.setpoint / max(float(states_within(tunnelling, rest)), 1e-12)
    scale = local * per_volt * np.exp(-2 * settings.lever.decay * asked.values["retreat"])
    current = scale * states_within(tunnelling, asked.axis)
    conductance = scale * density(tunnelling, asked.axis)
    noise = settings.noise.detector * rng.normal(size=(2, asked.axis.size))
    return {
        "current": current + noise[0] * settings.loop.setpoint,
        "didv": conductance + noise[1] * settings.loop.setpoint / rest,
    }
