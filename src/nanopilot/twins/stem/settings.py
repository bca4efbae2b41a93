"""What an electron twin is like: everything `nanopilot twins fit` may estimate, as JSON."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from nanopilot.core.units import Angle, Duration, Frequency, Length
from nanopilot.core.values import Value
from nanopilot.models.electron_optics import WIDEST, Lens
from nanopilot.twins.stem.schedule import StemFaultSchedule


class Annulus(Value):
    """A detector between two angles, and what becomes of the electrons it catches.

    Parameters
    ----------
    inner, outer : float
        Radians.
    gain : float
        Counts per electron.
    offset : float
        Counts of a pixel without any.
    noise : float
        Standard deviation in counts of every reading, the dark one too.
    afterglow, afterglow_time : float
        Fraction of the light that comes late, and its decay time in seconds.
    bits : int
        The reading saturates at ``2**bits - 1`` counts and is a whole number; 0: neither.
    efficiency : float
        Fraction of the electrons that are counted.
    """

    inner: Angle = Field(ge=0, le=WIDEST)
    outer: Angle = Field(gt=0, le=WIDEST)
    gain: float = Field(default=10.0, gt=0)
    offset: float = Field(default=100.0)
    noise: float = Field(default=5.0, ge=0)
    afterglow: float = Field(default=0.0, ge=0, lt=1)
    afterglow_time: Duration = Field(default=1e-6, gt=0)
    bits: int = Field(default=16, ge=0, le=32)
    efficiency: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _ring(self) -> Self:
        if self.inner >= self.outer:
            raise ValueError(f"`inner` is {self.inner:g}, not below `outer`, {self.outer:g}")
        return self


class Detection(Value):
    """The detectors of frames: angles for a convergence of 20 to 35 mrad."""

    haadf: Annulus = Annulus(inner=60e-3, outer=180e-3)
    maadf: Annulus = Annulus(inner=35e-3, outer=60e-3)
    abf: Annulus = Annulus(inner=12e-3, outer=25e-3, gain=2.0)
    bf: Annulus = Annulus(inner=0.0, outer=8e-3, gain=2.0)

    def named(self) -> dict[str, Annulus]:
        """Return the detectors by name."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class Motion(Value):
    """How the beam's real place on the sample differs from the commanded one; 0: not at all.

    Parameters
    ----------
    drift : (float, float)
        Of the sample under the beam, in metres per second.
    drift_noise : float
        Diffusion of the drift velocity, in metres per second per square root of a second.
    jitter : float
        Standard deviation of each line's shift along x, in metres.
    mains, mains_frequency : float
        Amplitude in metres of the hum along x and its frequency in hertz.
    scale, shear : float
        Relative error of the pixel size along x, and the shear of x with y.
    flyback : float
        Time constant in seconds with which the beam follows after it has flown back.
    flyback_wait : float
        Seconds between lines.
    backlash : float
        How far the stage falls short after a change of direction, in metres.
    stage_drift, stage_time : float
        Fraction of a move by which the stage goes on afterwards, and the time constant in seconds.
    """

    drift: tuple[float, float] = (0.0, 0.0)
    drift_noise: float = Field(default=0.0, ge=0)
    jitter: Length = Field(default=0.0, ge=0)
    mains: Length = Field(default=0.0, ge=0)
    mains_frequency: Frequency = Field(default=50.0, gt=0)
    scale: float = Field(default=0.0, gt=-0.5, lt=0.5)
    shear: float = Field(default=0.0, gt=-0.5, lt=0.5)
    flyback: Duration = Field(default=0.0, ge=0)
    flyback_wait: Duration = Field(default=0.0, ge=0)
    backlash: Length = Field(default=0.0, ge=0)
    stage_drift: float = Field(default=0.0, ge=0, lt=1)
    stage_time: Duration = Field(default=10.0, gt=0)


class Damage(Value):
    """What the beam does to the sample.

    Parameters
    ----------
    knock_on, radiolysis : float
        Factors of the cross sections; 0: none, 1: as calculated.
    temperature : float
        Kelvin: vibrating nuclei are knocked out below the threshold of resting ones.
    contamination : float
        Metres of carbon that grow per electron per square metre, m³ per electron; 0: none.
    reach : float
        How far from the beam it grows, in metres (standard deviation).
    """

    knock_on: float = Field(default=1.0, ge=0)
    radiolysis: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=300.0, ge=0, le=2000)
    contamination: float = Field(default=0.0, ge=0)
    reach: Length = Field(default=5e-9, gt=0)


class Spectrometer(Value):
    """The spectrometers for energy losses and for X-rays.

    Parameters
    ----------
    offset, dispersion, channels : float, float, int
        Energy of the first channel and its width in eV; how many there are.
    collection_angle : float
        Radians.
    gain, noise : float
        Counts per electron, and the standard deviation of a channel's reading in counts.
    spread : float
        Standard deviation of the point spread function in channels.
    exposure : float
        Seconds of a spectrum unless told otherwise.
    xray_solid_angle : float
        Steradians.
    xray_resolution : float
        Full width at half maximum at 5.9 keV, in eV.
    xray_channels, xray_dispersion : int, float
        Channels from 0, and their width in eV.
    """

    offset: float = -20.0
    dispersion: float = Field(default=0.5, gt=0, le=10)
    channels: int = Field(default=2048, ge=16, le=16384)
    collection_angle: Angle = Field(default=40e-3, gt=0, le=WIDEST)
    gain: float = Field(default=1.0, gt=0)
    noise: float = Field(default=1.0, ge=0)
    spread: float = Field(default=1.0, ge=0)
    exposure: Duration = Field(default=0.1, gt=0)
    xray_solid_angle: float = Field(default=0.7, gt=0, le=4 * math.pi)
    xray_resolution: float = Field(default=130.0, gt=0)
    xray_channels: int = Field(default=2048, ge=16, le=8192)
    xray_dispersion: float = Field(default=10.0, gt=0)


class PatternCamera(Value):
    """The camera for diffraction patterns.

    Parameters
    ----------
    pixels : int
        Rows and columns.
    angle_per_pixel : float
        Radians.
    exposure : float
        Seconds of a pattern unless told otherwise.
    gain, noise : float
        Counts per electron, and the standard deviation of a reading in counts.
    physics : {"multislice", "network", "elastic"}
        Frozen phonons; the network that adds thermal diffuse scattering to one elastic pattern;
        or that pattern alone.
    phonons : int
        Configurations that are averaged by "multislice".
    """

    pixels: int = Field(default=128, ge=16, le=1024)
    angle_per_pixel: Angle = Field(default=1.5e-3, gt=0)
    exposure: Duration = Field(default=1e-3, gt=0)
    gain: float = Field(default=1.0, gt=0)
    noise: float = Field(default=0.0, ge=0)
    physics: Literal["multislice", "network", "elastic"] = "multislice"
    phonons: int = Field(default=8, ge=1, le=1000)

    @model_validator(mode="after")
    def _narrow(self) -> Self:
        if self.pixels * self.angle_per_pixel / 2 > WIDEST:
            raise ValueError(f"`angle_per_pixel` makes the camera wider than {WIDEST} rad")
        return self


class StemSettings(Value):
    """Everything about the instrument, nothing about the sample.

    Parameters
    ----------
    lens : Lens
        What forms the beam; its aberrations are those there are before anything is corrected.
    current : float
        Of the beam, in amperes.
    dwell_time : float
        Seconds per pixel unless told otherwise.
    scan_range : float
        How far the beam is deflected either way, in metres.
    """

    lens: Lens = Lens()
    current: float = Field(default=50e-12, gt=0, le=1e-7)
    dwell_time: Duration = Field(default=2e-6, gt=0)
    scan_range: Length = Field(default=1e-6, gt=0, le=1e-4)
    detectors: Detection = Detection()
    motion: Motion = Motion()
    damage: Damage = Damage()
    spectrometer: Spectrometer = Spectrometer()
    camera: PatternCamera = PatternCamera()
    faults: StemFaultSchedule = StemFaultSchedule()
