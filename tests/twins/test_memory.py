"""Every twin that lives here remembers all that was done to it: another one goes on as it would."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nanopilot.core.adjustables import Approach, BiasSource, Feedback, Positioner
from nanopilot.core.capabilities import (
    BiasWriter,
    Instrument,
    PointSpectroscopy,
    Restorable,
    Scanner,
)
from nanopilot.core.clock import VirtualClock
from nanopilot.core.diary import Diary
from nanopilot.core.requests import ScanRequest, SpectrumRequest, WriteRequest
from nanopilot.instruments import Guard
from nanopilot.testing import film
from nanopilot.twins.plain import PlainTwin
from nanopilot.twins.replay import ReplayTwin
from nanopilot.twins.spm import SpmTwin
from nanopilot.twins.spm.samples import SAMPLES
from nanopilot.workflows.twins import spm

QUICK: dict[str, Any] = {
    "line_rate": 20.0,
    "noise": {"white": 1e-12, "pink": 1e-12, "detector": 0.01},
    "motion": {"creep": 0.1, "drift": (1e-11, 0.0, 0.0)},
    "wear": {"archard": 1e-11},
}


def passed_on(twin: Instrument, to: Instrument) -> None:
    """Give one twin the memory of another, by the bytes that a run would keep."""
    old, new = (one.capability(Restorable) for one in (twin, to))
    entry = Diary(old.memory, old.restore, twin.clock).entry()
    entries = [entry.data] if entry.data else []
    Diary(new.memory, new.restore, to.clock).recall(entry.time, (0.0, 0.0), entries)


#: Where a sample of 300 nm on 96 pixels would show nothing, another size and as many pixels.
SIZES = {"droplets": "4 um", "lattice": "5 nm", "nanolitho": "3 um", "particles": "900 nm"}


def frame(scope: Guard) -> bytes:
    size = 0.3 * scope.describe().area.x[1]
    request = ScanRequest(centre=(0.0, 0.0), field_of_view=(size, size), shape=(6, 12))
    found = scope.capability(Scanner).start(request).result()
    return b"".join(one.to_numpy().tobytes() for one in found.data_vars.values())


def use(twin: SpmTwin) -> None:
    """Do everything that leaves something behind."""
    scope = Guard(twin)
    unit = 0.05 * scope.describe().area.x[1]
    kinds = [mode.kind for mode in scope.describe().spectra]
    has = scope.describe().capabilities
    scope.capability(Positioner).set(x=3 * unit, y=-unit)
    frame(scope)
    for kind in kinds:
        place = SpectrumRequest(position=(2 * unit, unit), kind=kind)
        scope.capability(PointSpectroscopy).start(place).result()
    if "BiasWriter" in has:
        points = ((0.0, 0.0), (3 * unit, 2 * unit))
        for mode in ("pulses", "path"):
            asked = WriteRequest(points=points, bias=(-9.0,), duration=0.05, mode=mode)
            scope.capability(BiasWriter).start(asked).result()
    scope.capability(BiasSource).set(bias=0.3)
    scope.capability(Feedback).set(integral=1500.0)
    twin.faults.inject("drift-jump", x=0.5 * unit)
    twin.faults.inject("tip-crash", push=2e-9)
    twin.faults.inject("detector-dropout", of="height", seconds=0.3)
    twin.faults.inject("stuck-sensor", of="Feedback.z")


@pytest.mark.parametrize("sample", sorted(set(SAMPLES) - {"measured"}))
def test_a_scanning_probe_twin_goes_on_as_the_one_that_was_used(sample: str) -> None:
    small = {"size": SIZES.get(sample, "300 nm"), "pixels": 96, "seed": 2, "settings": QUICK}
    twin, other = spm(sample, **small), spm(sample, **small)
    use(twin)
    passed_on(twin, other)
    assert other.state() == twin.state()
    assert other.truth.events == twin.truth.events
    assert other.truth.tip == twin.truth.tip
    for name, layer in twin.truth.layers.items():
        assert layer.tobytes() == other.truth.layers[name].tobytes(), name
    for _ in range(2):
        assert frame(Guard(twin)) == frame(Guard(other))
    for one in (twin, other):
        use(one)
    assert other.truth.events == twin.truth.events
    assert frame(Guard(twin)) == frame(Guard(other))


@pytest.mark.parametrize("part", ["withdrawn", "held", "down", "random numbers"])
def test_what_the_instrument_is_in_the_middle_of_is_remembered(part: str) -> None:
    twin, other = (spm("grains", size="300 nm", pixels=64, settings=QUICK) for _ in range(2))
    scope = Guard(twin)
    if part == "withdrawn":
        scope.capability(Approach).set(engaged=0)
    elif part == "held":
        scope.capability(Positioner).set(x=50e-9)
        scope.capability(Feedback).set(enabled=0)
        scope.capability(Positioner).set(x=-50e-9)
    elif part == "down":
        twin.faults.inject("lost-link", seconds=5.0)
    else:
        twin.truth.rng("noise")
    passed_on(twin, other)
    if part == "down":
        assert twin.faults.facts() == other.faults.facts() != {"down": None}
        return
    assert other.state() == twin.state()
    if part == "random numbers":
        assert twin.truth.rng("noise").integers(1 << 60) == other.truth.rng("noise").integers(
            1 << 60
        )
    elif part == "held":
        assert frame(scope) == frame(Guard(other))


def test_an_infinite_setting_survives() -> None:
    told = QUICK | {"wear": {"crash_depth": float("inf")}}
    twin, other = (spm("grains", size="300 nm", pixels=64, settings=told) for _ in range(2))
    passed_on(twin, other)
    assert other.truth.settings == twin.truth.settings
    assert np.isinf(other.truth.settings.wear.depth("contact"))


MEMORYLESS: dict[str, Callable[[], Instrument]] = {
    "replay": lambda: ReplayTwin((film(),), VirtualClock()),
    "plain": lambda: PlainTwin(VirtualClock(), world="tip"),
}


@pytest.mark.parametrize("name", MEMORYLESS)
def test_twins_whose_sample_forgets_remember_their_settings(name: str) -> None:
    twin, other = MEMORYLESS[name](), MEMORYLESS[name]()
    area = twin.describe().area
    Guard(twin).capability(Positioner).set(x=area.x[0], y=area.y[1])
    Guard(twin).capability(BiasSource).set(bias=1.5)
    twin.clock.sleep(7.0)
    passed_on(twin, other)
    assert other.state() == twin.state()
    assert other.state().get("BiasSource.bias") == 1.5


def test_a_twin_in_real_time_does_not_wait_for_the_time_that_it_goes_back_to() -> None:
    twin = spm("grains", size="300 nm", pixels=64, real_time=True)
    twin.restore(3600.0, (0.0, 0.0))
    assert twin.clock.now() == 3600.0
