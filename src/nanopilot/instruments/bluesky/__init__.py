"""Guarded instruments as bluesky devices.

bluesky itself is not imported: its device protocols ask for methods, not for base classes.
"""

from nanopilot.instruments.bluesky.detectors import Detector
from nanopilot.instruments.bluesky.devices import Devices
from nanopilot.instruments.bluesky.movables import Movable, Readback
from nanopilot.instruments.bluesky.recipes import Keeper, Recipe
from nanopilot.instruments.bluesky.safety import secured
from nanopilot.instruments.bluesky.tasks import Task, Turn

__all__ = [
    "Detector",
    "Devices",
    "Keeper",
    "Movable",
    "Readback",
    "Recipe",
    "Task",
    "Turn",
    "secured",
]
