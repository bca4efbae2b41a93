"""The scanning-probe twin keeps the contract of every instrument, and refuses what cannot be."""

import math
from typing import Any

import numpy as np
import pytest

from nanopilot.core.adjustables import Approach, Positioner
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import Interlocked, NanopilotError, OutOfRange, Unsupported
from nanopilot.core.frames import channel_name
from nanopilot.core.geometry import places
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments import Guard
from nanopilot.testing import (
    ApproachTests,
    BiasSourceTests,
    FeedbackTests,
    InstrumentTests,
    PositionerTests,
    ScannerTests,
)
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin


def rough(seed: int = 0) -> Sample:
    y, x = np.indices((128, 160)) * 2e-9
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 4)
    height = sum(
        2e-9 * np.sin(2 * np.pi * (x * (k + 1) + y * (3 - k)) / 200e-9 + phase)
        for k, phase in enumerate(phases)
    )
    return Sample("waves", np.asarray(height), 2e-9)


def made(**settings: Any) -> SpmTwin:
    return SpmTwin(rough(), VirtualClock(), settings=SpmSettings.model_validate(settings))


def frame(**changes: Any) -> ScanRequest:
    usual: dict[str, Any] = {
        "centre": (0.0, 0.0), "field_of_view": (200e-9, 150e-9), "shape": (12, 16)
    }  # fmt: skip
    return ScanRequest(**(usual | changes))


class Engaged:
    @pytest.fixture
    def scope(self) -> Guard:
        return Guard(made(motion={"sensors": True, "creep": 0.0}))


class TestInstrument(Engaged, InstrumentTests):
    pass


class TestScanner(Engaged, ScannerTests):
    pass


class TestPositioner(Engaged, PositionerTests):
    pass


class TestFeedback(Engaged, FeedbackTests):
    pass


class TestApproach(Engaged, ApproachTests):
    pass


class TestBiasSource(Engaged, BiasSourceTests):
    pass


IMPOSSIBLE: dict[str, tuple[ScanRequest, type[NanopilotError], str]] = {
    "off the sample": (frame(centre=(1e-6, 0.0)), OutOfRange, "`field_of_view` leaves"),
    "wider than the sample": (frame(field_of_view=(1e-6, 0.0)), OutOfRange, "`field_of_view`"),
    "rotated off the sample": (
        frame(field_of_view=(310e-9, 10e-9), rotation=math.pi / 2), OutOfRange, "`field_of_view`"
    ),
    "no line ever": (frame().model_copy(update={"line_rate": 0.0}), OutOfRange, "`line_rate` is 0"),
    "lines backwards": (frame().model_copy(update={"line_rate": -1.0}), OutOfRange, "`line_rate`"),
    "NaN lines": (frame().model_copy(update={"line_rate": math.nan}), OutOfRange, "`line_rate`"),
    "quicker than the loop": (frame(line_rate=1e5), OutOfRange, "`line_rate` is 100000 Hz"),
    "for ever": (frame(dwell_time=1e9), OutOfRange, "`dwell_time` is 1e\\+09 s"),
    "a spiral for ever": (
        frame(order="spiral").model_copy(update={"line_rate": 0.0}), OutOfRange, "`line_rate`"
    ),
    "a spiral of NaN": (
        frame(order="spiral").model_copy(update={"dwell_time": math.nan}), OutOfRange, "`dwell_t"
    ),
    "a channel it has not": (frame(channels=("colour",)), Unsupported, "`colour`"),
    "another mode's channel": (frame(channels=("current",)), Unsupported, "`current`"),
    "retrace of a serpentine": (
        frame(order="serpentine", directions=("retrace",)), Unsupported, "`directions`"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_cannot_be_scanned_is_refused_with_a_typed_error(what: str) -> None:
    request, kind, says = IMPOSSIBLE[what]
    scanner = made().capability(Scanner)
    assert scanner.validate(request), what
    with pytest.raises(kind, match=says):
        scanner.start(request)


def test_a_retracted_tip_does_not_scan() -> None:
    twin = made()
    twin.capability(Approach).set(engaged=0)
    (violation,) = twin.capability(Scanner).validate(frame())
    assert violation.parameter == "Approach.engaged"
    assert violation.kind == "interlock"
    for scope in (twin, Guard(twin)):
        with pytest.raises(Interlocked, match="retracted"):
            scope.capability(Scanner).start(frame())
    twin.capability(Approach).set(engaged=1)
    assert not twin.capability(Scanner).validate(frame())


@pytest.mark.parametrize("order", ["raster", "serpentine", "spiral", "lines", "points"])
@pytest.mark.parametrize("frames", [1, 2])
def test_every_order_sees_the_same_surface_where_it_says_it_was(order: str, frames: int) -> None:
    changes: dict[str, Any] = {
        "order": order,
        "frames": frames,
        "line_rate": 0.5,
        "shape": (6, 100),
    }
    if order == "spiral":
        changes |= {"shape": (16, 20)}
    if order == "points":
        rng = np.random.default_rng(4)
        changes |= {"points": tuple(map(tuple, rng.uniform(-90e-9, 90e-9, (200, 2)).tolist()))}
    if order == "lines":
        changes |= {"lines": (0, 3, 4, 5)}
    twin = made()
    request = frame(**changes)
    found = twin.capability(Scanner).start(request).result()
    surface = Sample("apparent", twin.truth.apparent, twin.truth.sample.pitch)
    expected = surface.at("height", found["measured_x"].to_numpy(), found["measured_y"].to_numpy())
    error = found["height"].to_numpy() - expected + twin.truth.settings.loop.setpoint
    assert np.isfinite(error).any()
    # The first pixel of a row holds the way from the row before.
    assert np.nanquantile(np.abs(error), 0.98) < 0.06e-9
    assert twin.clock.now() == pytest.approx(twin.capability(Scanner).estimate(request).seconds)
    times = found["time"].to_numpy()
    assert np.nanmax(times) <= twin.clock.now()
    assert np.nanmin(times) >= 0.0


def test_a_serpentine_goes_back_on_every_second_line_in_half_the_time() -> None:
    twin = made()
    found = twin.capability(Scanner).start(frame(order="serpentine", line_rate=2.0)).result()
    steps = np.diff(found["time"].to_numpy(), axis=1)
    assert (steps[::2] > 0).all()
    assert (steps[1::2] < 0).all()
    assert twin.clock.now() == pytest.approx(12 * 0.25)


def test_trace_and_retrace_differ_by_the_lag_of_the_loop() -> None:
    twin = made()
    both = frame(directions=("trace", "retrace"), line_rate=1.0, shape=(4, 128))
    found = twin.capability(Scanner).start(both).result()
    lag = 1 / twin.truth.settings.loop.integral
    speed = 2 * 1.0 * 200e-9
    # What the loop shows is where it was a lag ago: trace too far right, retrace too far left.
    slope = np.gradient(found["height"].to_numpy(), found["x"].to_numpy(), axis=1)
    difference = (found["height"] - found[channel_name("height", "retrace")]).to_numpy()
    inner = np.s_[:, 8:-8]
    expected = -2 * speed * lag * slope
    scale = np.abs(expected[inner]).max()
    # Where the tip jumps from one flank to the next, the slope is not what it was a lag ago.
    assert np.quantile(np.abs(difference - expected)[inner], 0.95) < 0.1 * scale
    assert scale > 1e-11


@pytest.mark.parametrize("line_rate", [1.0, 30.0, 400.0])
def test_blocks_are_the_result_piece_by_piece(line_rate: float) -> None:
    request = frame(line_rate=line_rate, shape=(30, 16))
    whole = made().capability(Scanner).start(request).result()["height"].to_numpy()
    blocks = [
        block["height"].to_numpy().copy() for block in made().capability(Scanner).start(request)
    ]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert len(blocks) == {1.0: 30, 30.0: 5, 400.0: 1}[line_rate]


def test_an_aborted_scan_keeps_the_lines_before() -> None:
    twin = made()
    acquisition = twin.capability(Scanner).start(frame())
    blocks = iter(acquisition)
    next(blocks)
    next(blocks)
    twin.capability(Scanner).stop()
    heights = acquisition.result()["height"].to_numpy()
    assert np.isfinite(heights[:2]).all()
    assert np.isnan(heights[2:]).all()
    assert twin.clock.now() == pytest.approx(2.0)


def test_pixels_quicker_than_the_loop_repeat_its_samples() -> None:
    twin = made()
    found = twin.capability(Scanner).start(frame(line_rate=200.0, shape=(1, 100))).result()
    assert 45 <= len(np.unique(found["height"].to_numpy())) <= 50


@pytest.mark.parametrize("rotation", [0.0, 0.4, math.pi / 2])
def test_places_are_where_the_request_says(rotation: float) -> None:
    twin = made(motion={"sensors": True})
    request = frame(field_of_view=(120e-9, 90e-9), rotation=rotation)
    found = twin.capability(Scanner).start(request).result()
    sensed = np.stack([found["measured_x"], found["measured_y"]], axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(sensed, places(request), atol=1e-15)


def test_the_tip_rests_where_the_scan_was() -> None:
    twin = made()
    twin.capability(Scanner).start(frame(centre=(20e-9, -10e-9))).result()
    assert twin.capability(Positioner).get("x") == 20e-9
    assert twin.capability(Positioner).get("y") == -10e-9


@pytest.mark.parametrize("order", ["raster", "serpentine", "spiral"])
def test_every_frame_of_a_surface_that_stays_is_the_same(order: str) -> None:
    request = frame(order=order, frames=3, line_rate=20.0)
    heights = made().capability(Scanner).start(request).result()["height"].to_numpy()
    np.testing.assert_allclose(heights[1:], heights[[0, 0]], rtol=0, atol=1e-16)


def test_the_way_of_a_spiral_is_from_pixel_to_pixel() -> None:
    scanner = made().capability(Scanner)
    spiral = scanner.estimate(frame(order="spiral", shape=(16, 16), field_of_view=(150e-9, 150e-9)))
    # 255 steps of at least 10 nm, and a longer one where a ring begins.
    assert 255 * 10e-9 <= spiral.wear <= 255 * 12e-9
    back = scanner.estimate(frame(order="serpentine"))
    assert back.wear == pytest.approx(scanner.estimate(frame()).wear / 2, abs=1e-15)
