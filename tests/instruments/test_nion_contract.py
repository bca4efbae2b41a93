"""What every instrument must do, Nion's simulator does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nanopilot.core.requests import Request
from nanopilot.instruments import Guard
from nanopilot.instruments.nion import nion
from nanopilot.testing.contracts import CONTRACTS

pytest.importorskip("nion.usim_device", reason="Nion's packages are not installed")


@pytest.fixture(scope="module")
def scope() -> Iterator[Guard]:
    instrument = nion()
    yield Guard(instrument)
    instrument.close()  # type: ignore[attr-defined]


class TestInstrument(CONTRACTS["Instrument"]):  # type: ignore[misc]
    """Every instrument."""


class TestScanner(CONTRACTS["Scanner"]):  # type: ignore[misc]
    """Frames; long ones slow enough to come in blocks."""

    def long(self, scope: Guard) -> Request:
        """Return a frame of many lines."""
        return self.frame(scope, shape=(64, 64), dwell_time=1e-4)


class TestPointSpectroscopy(CONTRACTS["PointSpectroscopy"]):  # type: ignore[misc]
    """Energy-loss spectra."""


class TestCamera(CONTRACTS["Camera"]):  # type: ignore[misc]
    """Ronchigrams."""


class TestStage(CONTRACTS["Stage"]):  # type: ignore[misc]
    """The stage."""


class TestPositioner(CONTRACTS["Positioner"]):  # type: ignore[misc]
    """Where the beam rests."""


class TestBeam(CONTRACTS["Beam"]):  # type: ignore[misc]
    """The beam."""


class TestFocus(CONTRACTS["Focus"]):  # type: ignore[misc]
    """The focus."""


class TestCorrector(CONTRACTS["Corrector"]):  # type: ignore[misc]
    """The corrector."""
