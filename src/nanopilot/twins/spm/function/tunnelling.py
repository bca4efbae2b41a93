"""Current through a gap, and how it depends on the bias."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nanopilot.twins.spm.function_settings import Tunnelling

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Boltzmann constant over the elementary charge, in volts per kelvin.
BOLTZMANN = 8.617333262e-5
#: The bias never counts as less than this, in volts; as in the loop.
LEAST = 1e-3


def density(settings: Tunnelling, volts: FloatArray) -> FloatArray:
    """Return the density of states at energies e V, 1 far from the gap."""
    if not settings.gap:
        return np.ones_like(volts)
    width = BOLTZMANN * settings.temperature
    beyond = np.clip((np.abs(volts) - settings.gap) / width, -500, 500)
    states: FloatArray = 1 / (1 + np.exp(-beyond))
    return states


def states_within(settings: Tunnelling, volts: FloatArray) -> FloatArray:
    """Return the integral of `density` from 0 to each bias, in volts; odd in the bias.

    The current at low bias is the density of states summed over the window that the bias opens
    (Tersoff and Hamann, Phys. Rev. B 31, 805 (1985)).
    """
    if not settings.gap:
        return volts
    width = BOLTZMANN * settings.temperature
    edge = _softplus((np.abs(volts) - settings.gap) / width)
    inside: FloatArray = width * (edge - _softplus(np.array(-settings.gap / width)))
    return np.sign(volts) * inside


def relative_conductance(settings: Tunnelling, bias: float) -> float:
    """Return dI/dV over I at a bias, in 1/V; of a metal 1 / V."""
    volts = np.array(math.copysign(max(abs(bias), LEAST), bias))
    # Deep in a gap next to nothing flows, and the ratio would be of two noughts.
    inside = max(abs(float(states_within(settings, volts))), 1e-12)
    return float(density(settings, volts)) / inside


def _softplus(x: FloatArray) -> FloatArray:
    positive: FloatArray = np.logaddexp(0.0, x)
    return positive
