"""Contracts as inheritable test classes, and signals with known answers; for tests only."""

from nanopilot.testing.adjusting import AdjustableTests
from nanopilot.testing.cameras import CameraTests
from nanopilot.testing.contracts import CONTRACTS
from nanopilot.testing.films import film, loop
from nanopilot.testing.instrument import InstrumentTests
from nanopilot.testing.knobs import (
    ApproachTests,
    BeamTests,
    BiasSourceTests,
    CorrectorTests,
    DetectorsTests,
    FeedbackTests,
    FocusTests,
    PositionerTests,
    StageTests,
    VacuumTests,
)
from nanopilot.testing.rules import Rule, rule, rules_of
from nanopilot.testing.scanning import ScannerTests
from nanopilot.testing.spectra import PointSpectroscopyTests
from nanopilot.testing.writing import BiasWriterTests

__all__ = [
    "CONTRACTS",
    "AdjustableTests",
    "ApproachTests",
    "BeamTests",
    "BiasSourceTests",
    "BiasWriterTests",
    "CameraTests",
    "CorrectorTests",
    "DetectorsTests",
    "FeedbackTests",
    "FocusTests",
    "InstrumentTests",
    "PointSpectroscopyTests",
    "PositionerTests",
    "Rule",
    "ScannerTests",
    "StageTests",
    "VacuumTests",
    "film",
    "loop",
    "rule",
    "rules_of",
]
