"""The guard lets through what is allowed, writes down everything, and cannot be passed by."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.core.capabilities import InstrumentDescription, PointSpectroscopy, Scanner
from nanopilot.core.clock import Clock, VirtualClock
from nanopilot.core.errors import BudgetExceeded, OutOfRange, Unsupported
from nanopilot.core.events import Audit
from nanopilot.core.limits import Area, Budget, Estimate, Limits, Range, Sweep, Violation
from nanopilot.core.requests import ScanRequest, SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard

AREA = Area(x=(0.0, 1e-6), y=(0.0, 1e-6))


class Wire:
    """Counts what reaches it; a stand-in for the line to a controller."""

    def __init__(self) -> None:
        self.lines: list[object] = []


class Idle:
    """A measurement of nothing."""

    progress = 1.0

    def __iter__(self) -> Iterator[SignalSet]:
        return iter(())

    def abort(self) -> None: ...

    def result(self) -> SignalSet:
        return SignalSet()


class Part:
    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def validate(self, request: object) -> list[Violation]:
        return []

    def estimate(self, request: object) -> Estimate:
        return Estimate(seconds=1.0, spectra=1)

    def start(self, request: object) -> Idle:
        self.wire.lines.append(request)
        return Idle()

    def stop(self) -> None:
        self.wire.lines.append("stop")


class Unguardable:
    """A capability the guard knows nothing of."""


class Bench:
    name = "bench"

    def __init__(self, wire: Wire) -> None:
        self.clock: Clock = VirtualClock()
        part = Part(wire)
        self.parts = {Scanner: part, PointSpectroscopy: part, Unguardable: Unguardable()}

    def describe(self) -> InstrumentDescription:
        sweep = Sweep(low=-8.5, high=8.5, points=64)
        return InstrumentDescription(name="b", kind="t", capabilities=(), area=AREA, sweep=sweep)

    def capability(self, kind: type) -> object:
        if kind not in self.parts:
            raise Unsupported("no")
        return self.parts[kind]


def guarded(
    wire: Wire, limits: Limits | None = None, budget: Budget | None = None
) -> tuple[Guard, list[Audit]]:
    rows: list[Audit] = []
    return Guard(Bench(wire), limits=limits, budget=budget, audit=rows.append), rows


def frame(**changes: object) -> ScanRequest:
    request = ScanRequest(centre=(5e-7, 5e-7), field_of_view=(1e-7, 1e-7), shape=(4, 4))
    return request.model_copy(update=changes)


def test_refused_request_never_reaches_the_wire() -> None:
    wire = Wire()
    scope, rows = guarded(wire, Limits(dwell_time=Range(low=1e-7, high=1, unit="s")))
    with pytest.raises(OutOfRange, match=r"`dwell_time` is 2 s; the limits allow 1e-07 s to 1 s"):
        scope.capability(Scanner).start(frame(dwell_time=2.0))
    assert wire.lines == []
    assert [row.verdict for row in rows] == ["refused"]
    assert "dwell_time" in rows[0].reasons[0]


@given(
    st.tuples(st.floats(-2e-6, 2e-6), st.floats(-2e-6, 2e-6)), st.floats(0, 7), st.floats(0, 2e-6)
)
def test_no_scan_that_leaves_the_area_reaches_the_wire(
    centre: tuple[float, float], rotation: float, size: float
) -> None:
    wire = Wire()
    scope, _ = guarded(wire, Limits(area=AREA))
    request = frame(centre=centre, rotation=rotation, field_of_view=(size, size))
    reach = size / 2**0.5
    rounding = 1e-11  # edges of an area are forgiven a picometre
    surely_outside = any(c + size / 2 < -rounding or c - size / 2 > 1e-6 + rounding for c in centre)
    surely_inside = all(reach <= c <= 1e-6 - reach for c in centre)
    try:
        scope.capability(Scanner).start(request)
    except OutOfRange:
        assert not surely_inside
    assert len(wire.lines) <= (not surely_outside)


def test_sparse_points_outside_are_refused() -> None:
    wire = Wire()
    scope, _ = guarded(wire, Limits(area=AREA))
    request = frame(order="points", points=((5e-7, 5e-7), (5e-7, 2e-6)))
    with pytest.raises(OutOfRange, match="position"):
        scope.capability(Scanner).start(request)


def test_bias_is_checked_even_when_the_instrument_chooses_it() -> None:
    wire = Wire()
    scope, _ = guarded(wire, Limits(bias=Range(low=-5, high=5, unit="V")))
    spectroscopy = scope.capability(PointSpectroscopy)
    for request in (
        SpectrumRequest(position=(0, 0)),
        SpectrumRequest(position=(0, 0), bias=(0, 6, 0)),
        SpectrumRequest(position=(0, 0), bias=(0, float("nan"))),
    ):
        with pytest.raises(OutOfRange, match="`bias`"):
            spectroscopy.start(request)
    spectroscopy.start(SpectrumRequest(position=(0, 0), bias=(0, 4.9, -5)))
    assert len(wire.lines) == 1


def test_all_violations_are_told_at_once() -> None:
    limits = Limits(area=AREA, max_pixels=9, dwell_time=Range(low=0, high=1, unit="s"))
    scope, _ = guarded(Wire(), limits)
    found = scope.capability(Scanner).validate(frame(centre=(1, 1), dwell_time=2.0))
    assert {violation.parameter for violation in found} == {"position", "shape", "dwell_time"}


def test_budget_ends_exactly_where_it_was_set() -> None:
    wire = Wire()
    scope, rows = guarded(wire, budget=Budget(spectra=3))
    spectroscopy = scope.capability(PointSpectroscopy)
    for _ in range(3):
        spectroscopy.start(SpectrumRequest(position=(0, 0)))
    with pytest.raises(BudgetExceeded, match="`spectra` would be 4; the budget of this run is 3"):
        spectroscopy.start(SpectrumRequest(position=(0, 0)))
    assert len(wire.lines) == 3
    assert [row.verdict for row in rows] == ["allowed"] * 3 + ["refused"]


def test_time_budget_is_kept() -> None:
    scope, _ = guarded(Wire(), budget=Budget(seconds=1.5))
    scope.capability(Scanner).start(frame())
    with pytest.raises(BudgetExceeded, match="seconds"):
        scope.capability(Scanner).start(frame())


def test_run_resumes_with_what_it_had_spent() -> None:
    scope, _ = guarded(Wire(), budget=Budget(spectra=1))
    spectroscopy = scope.capability(PointSpectroscopy)
    spectroscopy.start(SpectrumRequest(position=(0, 0)))
    rows: list[Audit] = []
    scope.begin_run(Budget(spectra=5), rows.append, scope.spent)
    assert scope.spent.spectra == 1
    scope.begin_run(Budget(spectra=5), rows.append)
    assert scope.spent.spectra == 0


def test_stop_needs_no_permission() -> None:
    wire = Wire()
    scope, _ = guarded(wire, budget=Budget(spectra=0, seconds=0))
    scope.stop()
    assert wire.lines.count("stop") == 2


def test_capability_the_guard_cannot_check_is_refused() -> None:
    scope, _ = guarded(Wire())
    with pytest.raises(Unsupported, match="cannot be guarded"):
        scope.capability(Unguardable)


def test_instrument_is_not_an_attribute_of_the_guard() -> None:
    scope, _ = guarded(Wire())
    spectroscopy = scope.capability(PointSpectroscopy)
    public = [name for owner in (scope, spectroscopy) for name in dir(owner) if name[0] != "_"]
    assert not {"instrument", "inner", "truth", "wire"} & set(public)
