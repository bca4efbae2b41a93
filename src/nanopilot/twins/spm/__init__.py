"""A scanning-probe microscope whose truth is known: sample, tip, loop, noise and drift."""

from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.schedule import Fault, FaultSchedule
from nanopilot.twins.spm.settings import SpmSettings
from nanopilot.twins.spm.tip import Apex, Tip
from nanopilot.twins.spm.twin import SpmTwin

__all__ = ["Apex", "Fault", "FaultSchedule", "Sample", "SpmSettings", "SpmTwin", "Tip"]
