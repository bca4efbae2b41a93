"""Particles of any size and contrast in a frame: found, centred, outlined, and how sure each is."""

from nanopilot.analysis.particles.finding import FindParticles, ParticlesFound, find_particles
from nanopilot.analysis.particles.tiles import Found, Limits, search

__all__ = ["FindParticles", "Found", "Limits", "ParticlesFound", "find_particles", "search"]
