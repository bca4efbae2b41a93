"""Spectra and writing of the scanning-probe twin keep the contract of every instrument."""

import numpy as np
import pytest

from nanopilot.core.clock import VirtualClock
from nanopilot.instruments import Guard
from nanopilot.testing import (
    BiasWriterTests,
    InstrumentTests,
    PointSpectroscopyTests,
    ScannerTests,
)
from nanopilot.twins.spm import SpmTwin
from nanopilot.twins.spm.samples import family
from tests.twins.polar import on, plain


@pytest.fixture(scope="module")
def film() -> SpmTwin:
    sample = family("ferroelectric")(np.random.default_rng(0), pixels=128, size_m=400e-9)
    return SpmTwin(sample, VirtualClock())


class OnAFilm:
    @pytest.fixture
    def scope(self, film: SpmTwin) -> Guard:
        return Guard(film)


class TestInstrument(OnAFilm, InstrumentTests):
    pass


class TestScanner(OnAFilm, ScannerTests):
    pass


class TestPointSpectroscopy(OnAFilm, PointSpectroscopyTests):
    pass


class TestBiasWriter(OnAFilm, BiasWriterTests):
    pass


class TestForceAndStrain(PointSpectroscopyTests):
    @pytest.fixture
    def scope(self) -> Guard:
        layers = {"stiffness": 500.0, "adhesion": 2e-8, "swelling": 1e-11}
        return Guard(on(plain(**layers)))


class TestTunnelling(PointSpectroscopyTests):
    @pytest.fixture
    def scope(self) -> Guard:
        loop = {"mode": "stm", "setpoint": 1e-10}
        return Guard(on(plain(ldos=1.0), loop=loop, electrics={"bias": 0.5}))
