"""Spectra over frequency: the contact resonance, by band excitation or at two frequencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nanopilot.core.requests import SpectrumKind
from nanopilot.core.signals import Axis
from nanopilot.twins.spm.function.detectors import in_contact
from nanopilot.twins.spm.function.mode import Asked, Cost, FloatArray, Setting
from nanopilot.twins.spm.function.oscillator import contact_resonance, drive, noisy, oscillator
from nanopilot.twins.spm.world import World

#: Widths of the resonance that the instrument's own band covers.
_WIDTHS = 8.0


@dataclass(frozen=True, slots=True)
class Band:
    """The drive holds all frequencies of a band at once (Jesse and others, 2007).

    With `points` 2 it is dual-frequency tracking: one frequency on either side of the resonance
    (Rodriguez, Callahan, Kalinin and Proksch, Nanotechnology 18, 475504 (2007)). Amplitude and
    phase come from the same noisy complex amplitude.
    """

    kind: ClassVar[SpectrumKind] = "frequency"
    dim: ClassVar[str] = "frequency"

    def channels(self, world: World) -> dict[str, tuple[str, str]]:
        """Return amplitude and phase, in contact with something polar."""
        if not in_contact(world) or "polarisation" not in world.layers:
            return {}
        return {
            "pfm_amplitude": ("piezoresponse amplitude", "m"),
            "pfm_phase": ("piezoresponse phase", "rad"),
        }

    def settings(self, world: World) -> tuple[Setting, ...]:
        """Return what can be chosen; the band has to stay above 0 Hz."""
        lever = world.settings.lever
        middle, width = lever.contact_resonance, lever.contact_resonance / lever.contact_quality
        return (
            Setting("centre", "frequency", "Hz", (0.5 * middle, 1.5 * middle), middle),
            Setting("span", "width of the band", "Hz", (0.1 * width, 0.9 * middle),
                    min(_WIDTHS * width, 0.9 * middle)),
            Setting("points", "frequencies", "1", (2.0, 4096.0), 64.0, step=1.0),
            Setting("duration", "time", "s", (1e-4, 10.0), 10e-3),
        )  # fmt: skip

    def axis(self, world: World, values: Mapping[str, float]) -> Axis:
        """Return frequencies in hertz, evenly spaced."""
        steps = np.linspace(-0.5, 0.5, round(values["points"]))
        return Axis(values["centre"] + values["span"] * steps, "Hz", "frequency")

    def along(self, axis: FloatArray, values: Mapping[str, float]) -> dict[str, Axis]:
        """Return nothing: the frequency says it all."""
        return {}

    def cost(self, axis: FloatArray, values: Mapping[str, float]) -> Cost:
        """Return the time."""
        return Cost(values["duration"])

    def take(self, world: World, asked: Asked, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Return amplitude (m) and phase (rad)."""
        resonance = contact_resonance(world, *asked.xy)
        moved = drive(world, *asked.xy, world.settings.electrics.bias)
        quality = world.settings.lever.contact_quality
        signal = noisy(world, moved * oscillator(asked.axis, resonance, quality), rng)
        return {"pfm_amplitude": np.abs(signal), "pfm_phase": np.angle(signal)}
