"""Electrochemical strain: the surface swells under a pulse of bias and relaxes after it."""

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
from nanopilot.twins.spm.world import World


@dataclass(frozen=True, slots=True)
class Relaxation:
    """Strain over the time after a pulse.

    Ions follow the bias with a time constant ``charging`` and go back with their own
    (first-order kinetics, the simplest that Jesse and others, Nano Lett. 12, 4161 (2012),
    compare such curves with): swelling V (1 - exp(-t_pulse / charging)) exp(-t / relaxation).
    The layer ``swelling`` (m/V) says how much; ``relaxation_time`` (s), if there, how slowly it
    goes back. The sample is given time to come to rest before each spectrum, so that it
    does not remember the one before.
    """

    kind: ClassVar[SpectrumKind] = "time"
    dim: ClassVar[str] = "time"

    def channels(self, world: World) -> dict[str, tuple[str, str]]:
        """Return the strain, in contact with something that swells."""
        if not in_contact(world) or "swelling" not in world.layers:
            return {}
        return {"strain": ("displacement of the surface", "m")}

    def settings(self, world: World) -> tuple[Setting, ...]:
        """Return what can be chosen."""
        return (
            Setting("pulse_bias", "bias", "V", (-10.0, 10.0), 5.0),
            Setting("pulse_time", "time", "s", (1e-4, 100.0), 0.1),
            Setting("duration", "time", "s", (1e-3, 1000.0), 2.0),
            Setting("points", "samples", "1", (2.0, 65536.0), 128.0, step=1.0),
        )

    def axis(self, world: World, values: Mapping[str, float]) -> Axis:
        """Return seconds from the end of the pulse."""
        return Axis(np.linspace(0.0, values["duration"], round(values["points"])), "s", "time")

    def along(self, axis: FloatArray, values: Mapping[str, float]) -> dict[str, Axis]:
        """Return nothing further."""
        return {}

    def cost(self, axis: FloatArray, values: Mapping[str, float]) -> Cost:
        """Return the time of pulse and decay."""
        return Cost(values["pulse_time"] + values["duration"], values["pulse_time"])

    def take(self, world: World, asked: Asked, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Return the displacement of the surface in metres."""
        settings, values = world.settings.function, asked.values
        spot = gaussian(settings.piezoresponse.spot * world.tip.radius)
        swelling = float(under(world, world.layers["swelling"], *asked.xy, spot)[0])
        slow = settings.electrochemistry.relaxation
        if "relaxation_time" in world.layers:
            slow = float(under(world, world.layers["relaxation_time"], *asked.xy, spot)[0])
        charged = -np.expm1(-values["pulse_time"] / settings.electrochemistry.charging)
        strain = swelling * values["pulse_bias"] * charged * np.exp(-asked.axis / slow)
        scale = float(np.abs(world.layers["swelling"]).mean()) * abs(values["pulse_bias"])
        noise = world.settings.noise.detector * scale * rng.normal(size=strain.size)
        return {"strain": strain + noise}
