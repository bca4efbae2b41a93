"""The tip held at the surface, sample by sample of the loop.

The controller acts on an error in metres, which is positive where the tip is too far away:
in contact the deflection that is missing, in tapping the amplitude that is too much, in
tunnelling the logarithm of the current over twice the decay constant (a logarithmic amplifier).
The piezo is a damped oscillator, stepped exactly for a command that is constant in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from scipy.linalg import expm

from nanopilot.twins.spm.settings import Loop, SpmSettings

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

_MODES = {"contact": 0, "tapping": 1, "stm": 2}
#: State of the loop: piezo position and velocity, integral, last error, amplitude.
STATE = 5


@dataclass(frozen=True, slots=True)
class Controller:
    """What the kernel needs of the settings, as plain numbers.

    Parameters
    ----------
    numbers : numpy.ndarray
        Mode, setpoint (m, or A), gains, time step (s), lowest and highest piezo position (m),
        share of the way the amplitude goes in one step, free amplitude (m), 2 kappa (1/m), and
        1 if the loop is on, else 0.
    step : numpy.ndarray
        Propagator of the piezo over one time step, shape (2, 2).
    """

    numbers: FloatArray
    step: FloatArray

    @classmethod
    def of(cls, settings: SpmSettings, *, enabled: bool = True) -> Controller:
        """Return the controller of an instrument; one that is off holds its command."""
        loop, lever = settings.loop, settings.lever
        dt = 1 / loop.rate
        follows = 1 - np.exp(-dt / settings.amplitude_lag)
        numbers = [
            _MODES[loop.mode], loop.setpoint, loop.proportional, loop.integral, loop.derivative,
            dt, -loop.z_range, loop.z_range, follows, lever.free_amplitude, 2 * lever.decay,
            float(enabled),
        ]  # fmt: skip
        return cls(np.array(numbers, dtype=float), _propagator(loop, dt))

    def at_rest(self, height: float, current: float) -> FloatArray:
        """Return the state of a loop that has settled at a height of the surface.

        Parameters
        ----------
        height : float
            Metres.
        current : float
            Amperes that would flow at contact (tunnelling only).
        """
        mode, setpoint = int(self.numbers[0]), self.numbers[1]
        gap = -setpoint if mode == 0 else setpoint
        if mode == 2:
            gap = np.log(current / setpoint) / self.numbers[10]
        state = np.zeros(STATE)
        state[0] = state[2] = height + gap
        state[4] = setpoint
        return state


def _propagator(loop: Loop, dt: float) -> FloatArray:
    """Return exp(A dt) of z'' = -w^2 (z - u) - (w / Q) z', for (z - u, z')."""
    w = 2 * np.pi * loop.resonance
    step: FloatArray = expm(np.array([[0.0, 1.0], [-(w**2), -w / loop.quality]]) * dt)
    return step


@numba.njit(cache=True)
def follow(
    surface: FloatArray,
    current: FloatArray,
    controller: tuple[FloatArray, FloatArray],
    state: FloatArray,
    out: tuple[FloatArray, FloatArray, FloatArray],
) -> None:
    """Let the loop follow a profile.

    Parameters
    ----------
    surface : numpy.ndarray
        Height of the apex at contact at every sample, in metres, shape (n,).
    current : numpy.ndarray
        Amperes that would flow at contact at every sample, shape (n,) (tunnelling; else unused).
    controller : (numpy.ndarray, numpy.ndarray)
        `Controller.numbers` and `Controller.step`.
    state : numpy.ndarray
        Of the loop; changed in place.
    out : three numpy.ndarray
        Filled: piezo position (m), error (m), gap (m; negative: pressed in), each shape (n,).
    """
    (mode, setpoint, proportional, integral_gain, derivative, dt) = controller[0][:6]
    (low, high, share, free, decay, enabled) = controller[0][6:]
    # Plain numbers, so that the compiler need not fear that writing `out` changes them.
    a, b, c, d = controller[1].ravel()
    per_sample, per_change = integral_gain * dt * enabled, derivative / dt * enabled
    proportional = proportional * enabled
    heights, errors, gaps = out
    z, velocity, integral, last, amplitude = state
    for i in range(surface.size):
        gap = z - surface[i]
        if mode == 0.0:
            error = setpoint - max(-gap, 0.0)
        elif mode == 1.0:
            amplitude += share * (min(max(gap, 0.0), free) - amplitude)
            error = amplitude - setpoint
        else:
            error = gap - np.log(current[i] / setpoint) / decay
        integral = min(max(integral - per_sample * error, low), high)
        command = integral - proportional * error - per_change * (error - last)
        command = min(max(command, low), high)
        last = error
        heights[i], errors[i], gaps[i] = z, error, gap
        away = z - command
        z = command + a * away + b * velocity
        velocity = c * away + d * velocity
    state[0], state[1], state[2], state[3], state[4] = z, velocity, integral, last, amplitude
