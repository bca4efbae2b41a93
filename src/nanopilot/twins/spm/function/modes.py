"""The kinds of spectra of the scanning-probe twin."""

from __future__ import annotations

from nanopilot.twins.spm.function.band import Band
from nanopilot.twins.spm.function.bias_sweep import BiasSweep
from nanopilot.twins.spm.function.force import ForceCurve
from nanopilot.twins.spm.function.mode import Mode
from nanopilot.twins.spm.function.swelling import Relaxation

#: Each kind once; those for which instrument or sample lack something say so themselves.
MODES: tuple[Mode, ...] = (BiasSweep(), Band(), ForceCurve(), Relaxation())
