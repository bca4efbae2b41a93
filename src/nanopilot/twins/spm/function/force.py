"""Force-distance curves: jump-in, contact, adhesion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nanopilot.core.requests import SpectrumKind
from nanopilot.core.signals import Axis
from nanopilot.twins.spm.function.kernels import under
from nanopilot.twins.spm.function.mode import Asked, Cost, FloatArray, Setting
from nanopilot.twins.spm.function_settings import Contact
from nanopilot.twins.spm.world import World

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Metres of deflection that its noise is relative to.
DEFLECTION_SCALE = 20e-9
#: Separations at which the balance of lever and contact is looked at, either side of contact.
_SEPARATIONS = 4000


@dataclass(frozen=True, slots=True)
class ForceCurve:
    """The lever comes down from `start`, is pressed to `depth` below contact, and goes back.

    ``z`` is the height of the undeflected tip over the place where tip and surface would just
    touch. The tip does not travel sideways, and the sample springs back.
    """

    kind: ClassVar[SpectrumKind] = "force"
    dim: ClassVar[str] = "time"

    def channels(self, world: World) -> dict[str, tuple[str, str]]:
        """Return force and deflection, if there is a lever and the sample has both layers."""
        if world.settings.loop.mode == "stm" or not {"adhesion", "stiffness"} <= set(world.layers):
            return {}
        return {"force": ("force", "N"), "deflection": ("deflection", "m")}

    def settings(self, world: World) -> tuple[Setting, ...]:
        """Return what can be chosen."""
        return (
            Setting("start", "height", "m", (1e-9, 5e-6), 100e-9),
            Setting("depth", "height", "m", (0.0, 1e-6), 40e-9),
            Setting("duration", "time", "s", (1e-3, 100.0), 1.0),
            Setting("points", "samples", "1", (16.0, 65536.0), 512.0, step=1.0),
        )

    def axis(self, world: World, values: Mapping[str, float]) -> Axis:
        """Return times in seconds."""
        count = round(values["points"])
        return Axis(values["duration"] * np.arange(count) / (count - 1), "s", "time")

    def along(self, axis: FloatArray, values: Mapping[str, float]) -> dict[str, Axis]:
        """Return the height of the undeflected tip at every time: down and up again."""
        turn = 1 - np.abs(2 * axis / axis[-1] - 1)
        z = values["start"] - (values["start"] + values["depth"]) * turn
        return {"z": Axis(z, "m", "height")}

    def cost(self, axis: FloatArray, values: Mapping[str, float]) -> Cost:
        """Return the time."""
        return Cost(values["duration"])

    def take(self, world: World, asked: Asked, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Return force (N) and deflection (m), upwards positive."""
        point = np.zeros((1, 2))
        layers = (world.layers["stiffness"], world.layers["adhesion"])
        stiffness, adhesion = (float(under(world, one, *asked.xy, point)[0]) for one in layers)
        law = ContactForce.of(world.settings.function.contact, stiffness, adhesion)
        z = self.along(asked.axis, asked.values)["z"].values
        lever = world.settings.lever.stiffness
        down = np.arange(z.size) <= int(np.argmin(z))
        deflection = law.followed(z, lever, down=down) - z
        scale = world.settings.noise.detector * DEFLECTION_SCALE
        deflection = deflection + scale * rng.normal(size=z.size)
        return {"force": lever * deflection, "deflection": deflection}


@dataclass(frozen=True, slots=True)
class ContactForce:
    """Derjaguin, Muller and Toporov, J. Colloid Interface Sci. 53, 314 (1975).

    In contact c delta^(3/2) - F_ad (Hertz's force and a constant adhesion), apart the van der
    Waals force of a sphere, -F_ad / (1 + d / range)².

    Parameters
    ----------
    hertz : float
        c in N/m^(3/2).
    adhesion : float
        F_ad in newtons.
    range : float
        Metres.
    """

    hertz: float
    adhesion: float
    range: float

    @classmethod
    def of(cls, contact: Contact, stiffness: float, adhesion: float) -> ContactForce:
        """Return the force whose slope is `stiffness` (N/m) at the load of the settings.

        With F + F_ad = c delta^(3/2) the slope is (3/2) c^(2/3) (F + F_ad)^(1/3).
        """
        held = max(adhesion, 0.0)
        slope = max(stiffness, 1e-9) / (1.5 * np.cbrt(contact.load + held))
        return cls(float(slope**1.5), held, contact.range)

    def __call__(self, separation: FloatArray) -> FloatArray:
        """Return the force in newtons at separations in metres, negative where pressed in."""
        pressed = self.hertz * np.maximum(-separation, 0.0) ** 1.5 - self.adhesion
        apart = -self.adhesion / (1 + np.maximum(separation, 0.0) / self.range) ** 2
        force: FloatArray = np.where(separation < 0, pressed, apart)
        return force

    def followed(self, z: FloatArray, lever: float, *, down: BoolArray) -> FloatArray:
        """Return the separation in metres that the tip settles at, shape as `z`.

        The lever balances the force where z = d - F(d) / k. Where that has several answers the
        tip stays on the branch it is on until the branch ends: the outermost on the way down,
        the innermost on the way up.

        Parameters
        ----------
        z : numpy.ndarray
            Height of the undeflected tip in metres.
        lever : float
            Newtons per metre.
        down : numpy.ndarray of bool
            Which of them belong to the way down.
        """
        reach, deep = max(float(z.max()), 0.0), max(-float(z.min()), 0.0)
        # Adhesion bends the lever by F_ad / k, and the curve must not end before that.
        beyond = reach + self.adhesion / lever + self.range
        steps = np.linspace(0, 1, _SEPARATIONS)
        inside = -(deep + self.range) * steps[::-1] ** 3
        outside = self.range * np.expm1(steps[1:] * np.log1p(beyond / self.range))
        d = np.concatenate([inside, outside])
        balance = d - self(d) / lever
        outer = np.minimum.accumulate(balance[::-1])[::-1]
        inner = np.maximum.accumulate(balance)
        last = np.clip(np.searchsorted(outer, z, side="right") - 1, 0, d.size - 2)
        first = np.clip(np.searchsorted(inner, z, side="left") - 1, 0, d.size - 2)
        at = np.where(down, last, first)
        rise = balance[at + 1] - balance[at]
        share = np.clip((z - balance[at]) / np.where(rise > 0, rise, 1.0), 0.0, 1.0)
        settled: FloatArray = d[at] + share * (d[at + 1] - d[at])
        return settled
