"""Channels of function: piezoresponse, potential, current of the contact, dI/dV.

All are read where the tip really was. None looks at the height, error or gap of a loop in
contact, so that no gain of the loop changes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nanopilot.twins.spm.channels import Detector, FloatArray, Pass, signal_of
from nanopilot.twins.spm.function.kernels import gaussian, lorentzian, under
from nanopilot.twins.spm.function.oscillator import (
    ComplexArray,
    contact_resonance,
    noisy,
    response,
)
from nanopilot.twins.spm.function.tunnelling import relative_conductance
from nanopilot.twins.spm.world import World

#: Volts that noise of a potential is relative to.
POTENTIAL_SCALE = 1.0


@dataclass(frozen=True, slots=True)
class Piezo:
    """One part of the lever's complex amplitude; noise is drawn for each channel on its own.

    Parameters
    ----------
    quantity, unit : str
        What it is.
    part : callable
        Takes complex amplitudes in metres.
    """

    quantity: str
    unit: str
    part: Callable[[ComplexArray], FloatArray]

    def there(self, world: World) -> bool:
        """Tell whether the tip is in contact with something polar."""
        return in_contact(world) and "polarisation" in world.layers

    def record(self, world: World, line: Pass, rng: np.random.Generator) -> FloatArray:
        """Return it along a line."""
        return self.part(noisy(world, response(world, line.x, line.y), rng))


@dataclass(frozen=True, slots=True)
class Resonance:
    """How far the contact resonance is from that of the lever's settings, tracked.

    Its noise is that of the phase over the phase's slope, which is 2 Q / f0 at the resonance.
    """

    quantity: str = "frequency shift"
    unit: str = "Hz"

    def there(self, world: World) -> bool:
        """Tell whether the tip is in contact with something polar."""
        return in_contact(world) and "polarisation" in world.layers

    def record(self, world: World, line: Pass, rng: np.random.Generator) -> FloatArray:
        """Return it along a line."""
        lever = world.settings.lever
        shift = contact_resonance(world, line.x, line.y) - lever.contact_resonance
        width = lever.contact_resonance / (2 * lever.contact_quality)
        return shift + world.settings.noise.detector * width * rng.normal(size=shift.size)


@dataclass(frozen=True, slots=True)
class Lateral:
    """Amplitude of the torsion: polarisation in the plane; its sign is not known to the sample."""

    quantity: str = "lateral piezoresponse amplitude"
    unit: str = "m"

    def there(self, world: World) -> bool:
        """Tell whether the tip is in contact with something polarised in the plane."""
        return in_contact(world) and "in_plane" in world.layers

    def record(self, world: World, line: Pass, rng: np.random.Generator) -> FloatArray:
        """Return it along a line; the torsion is not driven in resonance."""
        piezo = world.settings.function.piezoresponse
        scale = piezo.lateral * world.settings.electrics.drive
        kernel = gaussian(piezo.spot * world.tip.radius)
        in_plane = under(world, world.layers["in_plane"], line.x, line.y, kernel)
        noise = world.settings.noise.detector * rng.normal(size=in_plane.size)
        return scale * np.abs(in_plane + noise)


@dataclass(frozen=True, slots=True)
class SurfacePotential:
    """The bias that nulls the electrostatic force: a mean over all that pulls.

    The mean of surface potentials weighted with the gradient of the capacitance to each of
    them (Jacobs, Leuchtmann, Homan and Stemmer, J. Appl. Phys. 84, 1168 (1998), eq. 2). The
    weight of the apex is s² / pi / (s² + r²)² with s the tip's radius plus the lift, that of
    the cone the same and wider, and the lever sees the mean of the sample.
    """

    quantity: str = "surface potential"
    unit: str = "V"

    def there(self, world: World) -> bool:
        """Tell whether the sample has one that a force can show."""
        return "potential" in world.layers and world.settings.loop.mode != "stm"

    def record(self, world: World, line: Pass, rng: np.random.Generator) -> FloatArray:
        """Return it along a line."""
        kelvin, layer = world.settings.function.kelvin, world.layers["potential"]
        width = world.tip.radius + kelvin.lift
        apex = under(world, layer, line.x, line.y, lorentzian(width))
        cone = under(world, layer, line.x, line.y, lorentzian(kelvin.cone_width * width))
        # Parts that add up to one, whatever the shares, leave a uniform potential as it is.
        seen = apex + kelvin.cone * (cone - apex) + kelvin.lever * (np.mean(layer) - apex)
        noise = rng.normal(size=seen.size)
        return seen + world.settings.noise.detector * POTENTIAL_SCALE * noise


@dataclass(frozen=True, slots=True)
class ContactCurrent:
    """Through a conducting tip in contact, under the bias at rest: Ohm's law."""

    quantity: str = "current"
    unit: str = "A"

    def there(self, world: World) -> bool:
        """Tell whether the tip touches something that conducts."""
        return in_contact(world) and "conductivity" in world.layers

    def record(self, world: World, line: Pass, rng: np.random.Generator) -> FloatArray:
        """Return it along a line; its noise is relative to the mean of the sample."""
        layer, bias = world.layers["conductivity"], world.settings.electrics.bias
        kernel = gaussian(world.settings.function.piezoresponse.spot * world.tip.radius)
        current = bias * under(world, layer, line.x, line.y, kernel)
        scale = abs(bias) * float(np.mean(layer))
        return current + world.settings.noise.detector * scale * rng.normal(size=current.size)


@dataclass(frozen=True, slots=True)
class Conductance:
    """dI/dV by lock-in at the bias at rest.

    While the loop holds the current it shows what the loop leaves; with the loop off, the
    density of states.
    """

    quantity: str = "differential conductance"
    unit: str = "A/V"

    def there(self, world: World) -> bool:
        """Tell whether the instrument tunnels."""
        return world.settings.loop.mode == "stm"

    def record(self, world: World, line: Pass, rng: np.random.Generator) -> FloatArray:
        """Return it along a line."""
        settings = world.settings
        ratio = relative_conductance(settings.function.tunnelling, settings.electrics.bias)
        scale = settings.noise.detector * settings.loop.setpoint
        current = signal_of(settings, line.error)
        return ratio * (current + scale * rng.normal(size=current.size))


def in_contact(world: World) -> bool:
    """Tell whether the instrument holds the tip in contact."""
    return world.settings.loop.mode == "contact"


#: Channels of function by name.
FUNCTIONAL: dict[str, Detector] = {
    "pfm_amplitude": Piezo("piezoresponse amplitude", "m", np.abs),
    "pfm_phase": Piezo("piezoresponse phase", "rad", np.angle),
    "pfm_frequency": Resonance(),
    "pfm_lateral": Lateral(),
    "surface_potential": SurfacePotential(),
    "contact_current": ContactCurrent(),
    "didv": Conductance(),
}
