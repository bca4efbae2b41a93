"""What a scanning-probe twin is like: everything `nanopilot twins fit` may estimate, as JSON."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from nanopilot.core.units import Bias, Duration, Frequency, Length
from nanopilot.core.values import Value
from nanopilot.twins.spm.function_settings import Function
from nanopilot.twins.spm.schedule import FaultSchedule
from nanopilot.twins.spm.tip import Tip

Mode = Literal["contact", "tapping", "stm"]


class Loop(Value):
    """The feedback loop and what it moves.

    Parameters
    ----------
    mode : {"contact", "tapping", "stm"}
        What is held: the deflection, the amplitude, or the tunnelling current.
    rate : float
        Samples of the loop per second.
    setpoint : float
        Deflection or amplitude in metres, current in amperes.
    proportional : float
        Metres of piezo per metre of error.
    integral : float
        Metres of piezo per metre of error and second.
    derivative : float
        Metres of piezo per metre per second of error.
    resonance, quality : float
        Of the z piezo, in hertz, and its quality factor.
    z_range : float
        Metres the piezo can move either way.
    """

    mode: Mode = "contact"
    rate: Frequency = Field(default=20e3, gt=0, le=1e7)
    setpoint: float = Field(default=20e-9, gt=0)
    proportional: float = Field(default=0.0, ge=0)
    integral: float = Field(default=2000.0, ge=0)
    derivative: float = Field(default=0.0, ge=0)
    resonance: Frequency = Field(default=5e3, gt=0)
    quality: float = Field(default=3.0, gt=0.1)
    z_range: Length = Field(default=3e-6, gt=0)


class Lever(Value):
    """The cantilever; of an STM only the last two matter.

    Parameters
    ----------
    stiffness : float
        Newtons per metre.
    resonance, quality : float
        Free, in hertz.
    contact_resonance, contact_quality : float
        In contact with a surface of ordinary stiffness.
    free_amplitude : float
        Tapping, in metres.
    decay : float
        Inverse decay length kappa of the tunnelling current in 1/m: I ~ exp(-2 kappa gap).
    conductance : float
        Siemens at contact.
    """

    stiffness: float = Field(default=2.8, gt=0)
    resonance: Frequency = Field(default=75e3, gt=0)
    quality: float = Field(default=150.0, gt=0)
    contact_resonance: Frequency = Field(default=350e3, gt=0)
    contact_quality: float = Field(default=80.0, gt=0)
    free_amplitude: Length = Field(default=40e-9, gt=0)
    decay: float = Field(default=1.1e10, gt=0)
    conductance: float = Field(default=7.748e-5, gt=0)


class Noise(Value):
    """What is added to the height signal and read out of every detector; 0: none.

    Noise of the detector that the loop listens to (`in_loop`) moves the piezo: the height follows
    it up to the bandwidth of the loop, and the held signal shows the rest.

    Parameters
    ----------
    white : float
        One-sided amplitude spectral density in m per sqrt(Hz).
    pink : float
        The same at 1 Hz, of noise whose power falls as 1/f.
    mains, mains_frequency : float
        Amplitude in metres of the hum, and its frequency in hertz.
    detector : float
        Standard deviation of every other channel's pixel, relative to its scale.
    bits : int
        Of the converter over the whole z range; 0: continuous.
    in_loop : bool
        White noise, 1/f noise and hum enter the error of the loop, instead of the height read.
    """

    white: float = Field(default=0.0, ge=0)
    pink: float = Field(default=0.0, ge=0)
    mains: Length = Field(default=0.0, ge=0)
    mains_frequency: Frequency = Field(default=50.0, gt=0)
    detector: float = Field(default=0.0, ge=0)
    bits: int = Field(default=0, ge=0, le=32)
    in_loop: bool = False


class Motion(Value):
    """How the tip's real place differs from the commanded one; 0: not at all.

    Parameters
    ----------
    drift : (float, float, float)
        Of the sample under the tip, in metres per second.
    creep, creep_time : float
        How much further the tip goes after a move, as a fraction of it per decade of time, and the
        time in seconds from which the logarithm counts.
    hysteresis : float
        Largest difference of trace and retrace over the width of a line.
    sensors : bool
        There are position sensors: frames say where the piezos went, creep and hysteresis
        included. Drift moves the sample, which no sensor sees.
    """

    drift: tuple[Length, Length, Length] = (0.0, 0.0, 0.0)
    creep: float = Field(default=0.0, ge=0, lt=1)
    creep_time: Duration = Field(default=0.1, gt=0)
    hysteresis: float = Field(default=0.0, ge=0, lt=1)
    sensors: bool = False


class Wear(Value):
    """What contact does to the tip.

    Parameters
    ----------
    archard : float
        Cubic metres worn off per newton of load and metre of way in contact, in 1/Pa; 0: none.
        J. F. Archard, J. Appl. Phys. 24 (1953) 981, equation 9, with K over hardness as one.
    crash_depth : float, optional
        Metres beyond contact from which tip and sample are damaged; None: 300 nm for a lever,
        which bends, and 0.5 nm for the tip of an STM, which does not; infinite: never.
    """

    archard: float = Field(default=0.0, ge=0, le=1e-6)
    crash_depth: Length | None = Field(default=None, gt=0)

    def depth(self, mode: Mode) -> float:
        """Return how far beyond contact damage begins, in metres."""
        if self.crash_depth is not None:
            return self.crash_depth
        return 0.5e-9 if mode == "stm" else 300e-9


class Electrics(Value):
    """Drive and bias.

    Parameters
    ----------
    bias : float
        At rest, in volts.
    drive : float
        Amplitude of the alternating voltage of piezoresponse, in volts.
    drive_frequency : float
        Hertz; 0: at the contact resonance.
    """

    bias: Bias = 0.0
    drive: Bias = Field(default=1.0, ge=0)
    drive_frequency: Frequency = Field(default=0.0, ge=0)


class SpmSettings(Value):
    """Everything about the instrument, nothing about the sample."""

    tip: Tip = Tip()
    loop: Loop = Loop()
    lever: Lever = Lever()
    noise: Noise = Noise()
    motion: Motion = Motion()
    wear: Wear = Wear()
    faults: FaultSchedule = FaultSchedule()
    electrics: Electrics = Electrics()
    function: Function = Function()
    line_rate: Frequency = Field(default=1.0, gt=0, le=1e4)

    @property
    def amplitude_lag(self) -> float:
        """Seconds by which the amplitude of the free lever follows: Q / (pi f)."""
        return self.lever.quality / (math.pi * self.lever.resonance)
