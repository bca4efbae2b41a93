"""What every instrument must do, as test classes a driver's tests inherit from.

A driver author writes a class with one fixture, ``scope``, that gives the guarded
instrument, and inherits the tests of every capability it has.
"""

from __future__ import annotations

from nanopilot.testing.cameras import CameraTests
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
from nanopilot.testing.readiness import Contract
from nanopilot.testing.scanning import ScannerTests
from nanopilot.testing.spectra import PointSpectroscopyTests
from nanopilot.testing.writing import BiasWriterTests

__all__ = ["CONTRACTS", "PointSpectroscopyTests", "ScannerTests"]

#: The contract of each capability by its name; ``Instrument`` is that of every instrument.
CONTRACTS: dict[str, type[Contract]] = {
    contract.capability: contract
    for contract in (
        InstrumentTests, ScannerTests, PointSpectroscopyTests, CameraTests, BiasWriterTests,
        StageTests, PositionerTests, FeedbackTests, ApproachTests, BiasSourceTests,
        BeamTests, FocusTests, CorrectorTests, DetectorsTests, VacuumTests,
    )
}  # fmt: skip
