"""Spectra of the electron twin: energy losses, X-rays, and plasmons of particles.

Pure functions and values; nothing here knows the instrument.
"""

from __future__ import annotations

from nanopilot.twins.stem.spectra.columns import Places, places
from nanopilot.twins.stem.spectra.counting import energy_axis, record
from nanopilot.twins.stem.spectra.losses import (
    collected_fraction,
    loss_probability,
    mean_losses,
)
from nanopilot.twins.stem.spectra.plasmonic_particle import PlasmonicParticle
from nanopilot.twins.stem.spectra.plasmons import ParticleModes
from nanopilot.twins.stem.spectra.xrays import count_xrays, xray_axis, xray_probability

__all__ = [
    "ParticleModes",
    "Places",
    "PlasmonicParticle",
    "collected_fraction",
    "count_xrays",
    "energy_axis",
    "loss_probability",
    "mean_losses",
    "places",
    "record",
    "xray_axis",
    "xray_probability",
]
