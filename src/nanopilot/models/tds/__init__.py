"""Thermal diffuse scattering, added to elastic patterns without running phonons."""

from nanopilot.models.tds.add import AddThermalScattering, Condition, Thermal, condition, load_tds

__all__ = ["AddThermalScattering", "Condition", "Thermal", "condition", "load_tds"]
