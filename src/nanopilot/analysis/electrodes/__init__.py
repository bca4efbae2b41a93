"""Electrode stacks in X-ray images of battery cells."""

from nanopilot.analysis.electrodes.edits import Edit, apply_edits, edits_from_json, edits_to_json
from nanopilot.analysis.electrodes.finding import ElectrodesFound, FindElectrodes, NoStack
from nanopilot.analysis.electrodes.flags import Flags

__all__ = [
    "Edit",
    "ElectrodesFound",
    "FindElectrodes",
    "Flags",
    "NoStack",
    "apply_edits",
    "edits_from_json",
    "edits_to_json",
]
