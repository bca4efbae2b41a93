"""Requests are checked anew, one measurement runs at a time, and everything is paid for."""

import gc
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.adjustables import (
    Approach,
    Beam,
    BiasSource,
    Feedback,
    Focus,
    Positioner,
    Stage,
    Vacuum,
)
from nanopilot.core.capabilities import MEASURING, BiasWriter, Camera, PointSpectroscopy, Scanner
from nanopilot.core.errors import (
    BudgetExceeded,
    DeviceError,
    Interlocked,
    InvalidRequest,
    NanopilotError,
    OutOfRange,
    StoreError,
)
from nanopilot.core.events import Audit
from nanopilot.core.limits import Area, Budget, Estimate, Limits, Range
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest, WriteRequest
from nanopilot.instruments import Guard
from tests.instruments.watched import Twin, guarded

FRAME = ScanRequest(centre=(0, 0), field_of_view=(1e-7, 1e-7), shape=(4, 4))
SPECTRUM = SpectrumRequest(position=(0, 0), kind="bias")
PATTERN = CameraRequest(exposure=0.1)
PULSE = WriteRequest(points=((0, 0),), bias=(1.0,), duration=0.1)
GOOD: tuple[tuple[Any, Any], ...] = (
    (Scanner, FRAME), (PointSpectroscopy, SPECTRUM), (Camera, PATTERN), (BiasWriter, PULSE),
)  # fmt: skip


def started(twin: Twin) -> list[str]:
    """Return which parts of a twin have begun to measure."""
    return [name for name in MEASURING if getattr(twin._parts.get(name), "_running", None)]


@pytest.mark.parametrize(("kind", "good"), GOOD)
def test_a_request_that_was_never_checked_is_refused(kind: Any, good: Any) -> None:
    twin = Twin()
    part = guarded(twin)[0].capability(kind)
    other = PATTERN if good is not PATTERN else FRAME

    class Sub(type(good)):  # type: ignore[misc]
        pass

    whole = type(good)
    bad = (
        None, 5, {}, "scan", object(), other, Sub(**dict(good)), whole, object.__new__(whole),
        whole.model_construct(channels=5), good.model_copy(update={"frames": "many"}),
        good.model_copy(update={"frames": "many", "mode": 3, "kind": 1}),
    )  # fmt: skip
    for request in bad:
        for call in (part.start, part.validate, part.estimate):
            with pytest.raises(InvalidRequest):
                call(request)
    assert started(twin) == []


@pytest.mark.parametrize(("kind", "good"), GOOD)
def test_no_nan_and_no_infinity_passes_in_any_setting(kind: Any, good: Any) -> None:
    twin = Twin()
    part = guarded(twin)[0].capability(kind)
    for odd in (math.nan, math.inf, -math.inf):
        for name, value in good:
            if isinstance(value, float):
                wrong: Any = odd
            elif isinstance(value, tuple) and value and isinstance(value[0], float):
                wrong = (odd, *value[1:])
            else:
                continue
            with pytest.raises(NanopilotError, match=name):
                part.start(good.model_copy(update={name: wrong}))
    assert started(twin) == []


@settings(deadline=None)
@given(st.integers(2**20 + 1, 2**70), st.integers(1, 2**70))
def test_absurd_sizes_are_refused_without_being_made_room_for(many: int, any_: int) -> None:
    scope, _ = guarded(Twin(), limits=Limits(max_pixels=2**20))
    for kind, request in (
        (Scanner, FRAME.model_copy(update={"shape": (many, any_)})),
        (Scanner, FRAME.model_copy(update={"shape": (any_, many)})),
        (Scanner, FRAME.model_copy(update={"shape": (2, 2), "frames": 2**8 * many})),
        (PointSpectroscopy, SPECTRUM.model_copy(update={"shape": (any_, many)})),
        (Camera, PATTERN.model_copy(update={"frames": many})),
    ):
        with pytest.raises(OutOfRange):
            scope.capability(kind).start(request)  # type: ignore[attr-defined]


def test_bias_is_limited_wherever_it_comes_from() -> None:
    limits = Limits(bias=Range(low=-1.5, high=1.5, unit="V"))
    twin = Twin("tip")
    scope, _ = guarded(twin, limits=limits)
    with pytest.raises(OutOfRange, match=r"`bias` is -2 V"):
        scope.capability(PointSpectroscopy).start(SPECTRUM)  # the instrument's own sweep
    for bias in ((1.6,), (0.0, -1.6), (0.0, 1e300)):
        with pytest.raises(OutOfRange, match="`bias`"):
            scope.capability(PointSpectroscopy).start(SPECTRUM.model_copy(update={"bias": bias}))
        points = ((0.0, 0.0),) * len(bias)
        request = PULSE.model_copy(update={"bias": bias, "points": points})
        with pytest.raises(OutOfRange, match="`bias`"):
            scope.capability(BiasWriter).start(request)
    assert started(twin) == []
    scope.capability(PointSpectroscopy).start(SPECTRUM.model_copy(update={"bias": (1.5,)}))


def test_every_place_of_grids_points_and_pulses_is_inside_the_area() -> None:
    limits = Limits(area=Area(x=(-1e-6, 1e-6), y=(-1e-6, 1e-6)))
    twin = Twin("tip")
    scope, _ = guarded(twin, limits=limits)
    outside = (1.1e-6, 0.0)
    grid = {"shape": (2, 2), "field_of_view": (2.2e-6, 1e-7)}
    for kind, request in (
        (PointSpectroscopy, SPECTRUM.model_copy(update={"position": outside})),
        (PointSpectroscopy, SPECTRUM.model_copy(update=grid)),
        (BiasWriter, PULSE.model_copy(update={"points": ((0.0, 0.0), outside)})),
        (Scanner, FRAME.model_copy(update={"order": "points", "points": ((0.0, 0.0), outside)})),
        (Scanner, FRAME.model_copy(update={"field_of_view": (1.9e-6, 1.9e-6), "rotation": 0.5})),
    ):
        with pytest.raises(OutOfRange, match="`position` reaches"):
            scope.capability(kind).start(request)  # type: ignore[attr-defined]
    assert started(twin) == []


def test_line_rate_is_held_to_the_limits_of_dwell_time() -> None:
    limits = Limits(dwell_time=Range(low=1e-3, high=1.0, unit="s"))
    scanner = guarded(Twin(), limits=limits)[0].capability(Scanner)
    assert scanner.validate(FRAME.model_copy(update={"line_rate": 1.0})) == []
    assert scanner.validate(FRAME.model_copy(update={"line_rate": 1000.0}))


def test_while_something_is_measured_only_what_cannot_harm_it_is_done() -> None:
    twin = Twin()
    scope, _ = guarded(twin)
    scope.capability(Approach).set(engaged=0)
    scan = scope.capability(Scanner).start(FRAME)
    next(iter(scan))
    for kind, values in (
        (Stage, {"x": 0.0}), (Positioner, {"x": 0.0}), (Approach, {"engaged": 1}),
        (Vacuum, {"column_valve": 1}),
    ):  # fmt: skip
        with pytest.raises(Interlocked, match="`Scanner` is measuring"):
            scope.capability(kind).set(**values)  # type: ignore[attr-defined]
    for kind, request in GOOD[:3]:
        with pytest.raises(Interlocked, match="`Scanner` is measuring"):
            scope.capability(kind).start(request)
    scope.capability(Focus).set(defocus=1e-9)
    scope.capability(BiasSource).set(bias=0.1)
    scope.capability(Feedback).set(setpoint=2e-10)
    scope.capability(Beam).set(blanked=1)
    scope.capability(Approach).set(engaged=0)
    scan.result()
    scope.capability(Stage).set(x=0.0)


@pytest.mark.parametrize("end", ["result", "iterate", "abort", "stop", "part stop", "drop", "fail"])
def test_a_measurement_is_over_however_it_ends(end: str) -> None:
    twin = Twin()
    scope, _ = guarded(twin)
    scan = scope.capability(Scanner).start(FRAME)
    inner = twin._scanner._running
    assert inner is not None
    blocks = iter(scan)
    next(blocks)
    if end == "result":
        scan.result()
    elif end == "iterate":
        list(scan)
    elif end == "abort":
        scan.abort()
    elif end == "stop":
        scope.stop()
    elif end == "part stop":
        scope.capability(Scanner).stop()
    elif end == "fail":
        inner._filling.close()
        inner._filling = (1 / 0 for _ in range(1))  # type: ignore[assignment]
        with pytest.raises(ZeroDivisionError):
            next(blocks)
    else:
        del scan, blocks
        gc.collect()
    scope.capability(Positioner).set(x=0.0)
    scope.capability(Camera).start(PATTERN)
    if end == "drop":
        assert inner._aborted  # nobody could have its result


def test_leaving_off_in_the_middle_ends_nothing() -> None:
    scope, _ = guarded(Twin())
    scan = scope.capability(Scanner).start(FRAME)
    for _ in scan:
        break
    with pytest.raises(Interlocked):
        scope.capability(Positioner).set(x=0.0)
    assert scan.progress == 0.25
    assert sum(block.sizes["y"] for block in scan) == 3


BUDGETS: tuple[tuple[Budget, Any, Any], ...] = (
    (Budget(frames=2), Scanner, FRAME),
    (Budget(spectra=2), PointSpectroscopy, SPECTRUM),
    (Budget(seconds=0.25), Camera, PATTERN),
    (Budget(bias_seconds=0.25), BiasWriter, PULSE),
    (Budget(electrons=7e7), Camera, PATTERN),
    (Budget(wear=1.7e-6), Scanner, FRAME),
)


@pytest.mark.parametrize(("budget", "kind", "request_"), BUDGETS)
def test_every_budget_ends_where_it_was_set(budget: Budget, kind: Any, request_: Any) -> None:
    twin = Twin()
    twin.put("Beam.blanked", 0.0)
    scope, _ = guarded(twin, budget=budget)
    (name,) = (name for name, value in budget if value is not None)
    for _ in range(2):
        scope.capability(kind).start(request_).result()
    spent = getattr(scope.spent, name)
    with pytest.raises(BudgetExceeded, match=f"`{name}` would be"):
        scope.capability(kind).start(request_)
    assert getattr(scope.spent, name) == spent > 0


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_an_estimate_that_is_no_amount_is_not_booked(seconds: float) -> None:
    twin = Twin()
    twin._scanner.estimate = lambda request: Estimate(seconds=seconds)  # type: ignore[method-assign]
    scope, _ = guarded(twin)
    with pytest.raises(OutOfRange, match="`seconds` of this request would be"):
        scope.capability(Scanner).start(FRAME)
    assert scope.spent.seconds == 0
    assert started(twin) == []


def test_an_instrument_that_cannot_judge_a_request_does_not_get_it() -> None:
    twin = Twin()
    twin._scanner.validate = lambda request: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    scope, rows = guarded(twin)
    with pytest.raises(DeviceError, match="cannot validate"):
        scope.capability(Scanner).start(FRAME)
    assert started(twin) == []
    assert [row.verdict for row in rows] == ["refused"]


def test_nothing_is_measured_or_booked_that_cannot_be_written_down() -> None:
    twin = Twin()

    def full(row: Audit) -> None:
        raise OSError("disk full")

    scope = Guard(twin, audit=full)
    with pytest.raises(StoreError):
        scope.capability(Scanner).start(FRAME)
    assert started(twin) == []
    assert scope.spent.frames == 0


def test_what_is_measured_is_not_changed_by_changing_the_request_afterwards() -> None:
    twin = Twin()
    seen: list[SpectrumRequest] = []
    inner = twin._spectroscopy.start
    twin._spectroscopy.start = lambda asked: (seen.append(asked), inner(asked))[1]  # type: ignore[method-assign]
    asked = SPECTRUM.model_copy(update={"parameters": {}})
    scope, _ = guarded(twin)
    scope.capability(PointSpectroscopy).start(asked)
    asked.parameters["bias"] = 1e6
    assert seen[0].parameters == {}


def test_writing_needs_the_tip_at_the_surface() -> None:
    twin = Twin("tip")
    scope, _ = guarded(twin)
    twin.put("Approach.engaged", 0.0)
    with pytest.raises(Interlocked, match="no-writing-while-retracted"):
        scope.capability(BiasWriter).start(PULSE)
    twin.put("Approach.engaged", 1.0)
    scope.capability(BiasWriter).start(PULSE)
