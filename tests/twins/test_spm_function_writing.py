"""Writing persists: what bias did to the sample is in the next frame and the next loop."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from nanopilot.core.adjustables import Approach
from nanopilot.core.capabilities import BiasWriter, PointSpectroscopy
from nanopilot.core.errors import Interlocked, OutOfRange
from nanopilot.core.requests import Position, SpectrumRequest, WriteRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.spm import SpmTwin
from nanopilot.twins.spm.function.switching import domain_radius
from nanopilot.twins.spm.function_settings import Switching
from tests.twins.polar import PITCH, Array, on, places, polar, scanned


def write(
    twin: SpmTwin, *points: Position, bias: float | tuple[float, ...] = -5.0, **changes: Any
) -> SignalSet:
    """Write at points, in the middle unless told otherwise."""
    biases = bias if isinstance(bias, tuple) else (bias,)
    usual: dict[str, Any] = {"duration": 0.01, "bias": biases, "points": points or ((0.0, 0.0),)}
    request = WriteRequest(**(usual | changes))
    return twin.capability(BiasWriter).start(request).result()


def truth(twin: SpmTwin) -> Array:
    return twin.truth.layers["polarisation"]


def radius_of(down: Any, pitch: float = PITCH) -> float:
    """Return the radius of a disc of that area in metres."""
    return math.sqrt(np.count_nonzero(down) / math.pi) * pitch


# What a pulse does


@settings(max_examples=25, deadline=None)
@given(st.floats(3.5, 9.0), st.floats(2e-3, 1.0))
def test_a_domain_is_as_large_as_the_formula_says_and_the_next_frame_shows_it(
    volts: float, seconds: float
) -> None:
    twin = on(polar())
    expected = 20e-9 * (volts - 0.6 * 3.0) * math.log10(1 + seconds / 1e-3)
    if expected > 150e-9:
        return
    write(twin, bias=-volts, duration=seconds)
    down = truth(twin) < 0
    assert radius_of(down) == pytest.approx(expected, abs=0.6 * PITCH)
    x, y = places()
    inside = np.hypot(x, y) <= expected
    # The tip rests between pixels, half a pitch off at most.
    assert not (down & (np.hypot(x, y) > expected + PITCH)).any()
    assert down[np.hypot(x, y) <= expected - PITCH].all()
    frame = scanned(twin, "pfm_phase", shape=(96, 112), line_rate=5.0,
                    field_of_view=(111 * PITCH, 95 * PITCH))  # fmt: skip
    seen = frame["pfm_phase"].to_numpy() < 0
    assert radius_of(seen) == pytest.approx(expected, abs=1.5 * PITCH)
    assert np.count_nonzero(seen != inside) < 8 * expected / PITCH + 8


@given(st.floats(0.5, 10.0), st.floats(0.1, 10.0), st.floats(1e-6, 100.0))
def test_a_domain_grows_with_bias_and_with_the_logarithm_of_time(
    volts: float, needed: float, seconds: float
) -> None:
    one = float(domain_radius(Switching(), volts, needed, seconds))
    more = float(domain_radius(Switching(), volts + 1, needed, seconds))
    assert one == float(domain_radius(Switching(), -volts, needed, seconds))
    assert more > one or more == one == 0.0
    if volts > 0.6 * needed:
        decades = [float(domain_radius(Switching(), volts, needed, t)) for t in (1.0, 10.0, 100.0)]
        steps = np.diff(decades) / (volts - 0.6 * needed)
        np.testing.assert_allclose(steps, 20e-9, rtol=1e-3)


def test_below_the_switching_bias_nothing_changes_and_at_it_a_domain_begins() -> None:
    twin = on(polar())
    before = truth(twin).tobytes()
    write(twin, bias=-2.999)
    write(twin, bias=2.5)
    write(twin, bias=0.0)
    assert truth(twin).tobytes() == before
    write(twin, bias=-3.0)
    assert np.count_nonzero(truth(twin) < 0) > 4


def test_what_is_written_stays_and_the_sample_as_made_is_not_touched() -> None:
    sample = polar()
    twin = on(sample)
    write(twin, bias=-6.0)
    written = truth(twin).copy()
    for _ in range(2):
        frame = scanned(twin, "pfm_phase", line_rate=10.0)
        assert (frame["pfm_phase"].to_numpy() < 0).any()
    twin.clock.sleep(1e5)
    np.testing.assert_array_equal(truth(twin), written)
    assert (sample.layers["polarisation"] == 1).all()
    assert (on(sample).truth.layers["polarisation"] == 1).all()


def test_an_opposite_pulse_erases() -> None:
    twin = on(polar())
    write(twin, bias=-5.0)
    assert (truth(twin) < 0).any()
    write(twin, bias=6.0, duration=0.1)
    assert (truth(twin) == 1).all()


def test_the_same_pulse_again_changes_nothing() -> None:
    twin = on(polar())
    write(twin, bias=-5.0)
    once = truth(twin).copy()
    write(twin, bias=-5.0)
    np.testing.assert_array_equal(truth(twin), once)


def test_a_wall_nearby_comes_over_at_less_than_a_new_domain_needs() -> None:
    x, _ = places()
    twin = on(polar(polarisation=np.where(x > 8e-9, -1.0, 1.0)))
    before = np.count_nonzero(truth(twin) < 0)
    write(twin, bias=-2.9, duration=0.1)
    assert np.count_nonzero(truth(twin) < 0) > before
    lone = on(polar())
    write(lone, bias=-2.9, duration=0.1)
    assert (truth(lone) == 1).all()


def test_a_domain_goes_round_what_is_hard_to_switch_and_stays_in_one_piece() -> None:
    rng = np.random.default_rng(3)
    hard = np.where(rng.uniform(size=(96, 112)) < 0.2, -20.0, -3.0)
    hard[46:50, 54:58] = -3.0
    twin = on(polar(switching_negative=hard))
    write(twin, bias=-6.0)
    down = truth(twin) < 0
    assert not down[hard < -10].any()
    assert down.any()
    assert label(down)[1] == 1


def test_what_lies_in_the_plane_is_not_turned_out_of_it() -> None:
    twin = on(polar(in_plane=0.4, polarisation=0.6))
    write(twin, bias=-5.0)
    np.testing.assert_allclose(truth(twin)[48, 56], -0.6)


def test_what_is_written_is_where_the_tip_really_was() -> None:
    twin = on(polar(), motion={"drift": (1e-9, -0.5e-9, 0.0)})
    twin.clock.sleep(60.0)
    write(twin, (0.0, 0.0), bias=-4.0)
    x, y = places()
    down = truth(twin) < 0
    assert x[down].mean() == pytest.approx(60e-9, abs=PITCH)
    assert y[down].mean() == pytest.approx(-30e-9, abs=PITCH)


def test_near_the_edge_of_the_sample_only_what_is_there_is_written() -> None:
    twin = on(polar())
    corner = (-111 / 2 * PITCH, -95 / 2 * PITCH)
    write(twin, corner, bias=-5.0)
    down = truth(twin) < 0
    full = on(polar())
    write(full, bias=-5.0)
    assert down[0, 0]
    assert np.count_nonzero(down) == pytest.approx(np.count_nonzero(truth(full) < 0) / 4, rel=0.25)


# Paths and patterns


def test_a_path_draws_a_line_with_the_width_of_its_pulses() -> None:
    twin = on(polar())
    ends = ((-120e-9, 20e-9), (120e-9, 20e-9))
    written = write(twin, *ends, bias=-5.0, duration=1.0, mode="path")
    down = truth(twin) < 0
    assert label(down)[1] == 1
    columns = down[:, 26:86]
    # 24 places of 10 nm, each for a 24th of a second.
    expected = 20e-9 * (5 - 1.8) * math.log10(1 + 1 / 24 / 1e-3)
    width = columns.sum(axis=0) * PITCH
    np.testing.assert_allclose(width, 2 * expected, atol=2 * PITCH)
    assert written["bias"].dims == ("point",)
    np.testing.assert_allclose(np.diff(written["time"]), 1.0)


def test_the_bias_of_a_path_goes_evenly_from_point_to_point() -> None:
    twin = on(polar())
    ends = ((-150e-9, 0.0), (150e-9, 0.0))
    write(twin, *ends, bias=(0.0, -8.0), duration=1.0, mode="path")
    x, _ = places()
    down = truth(twin) < 0
    # The switching bias of 3 V is reached three eighths along; 30 places share the second.
    reach = float(domain_radius(Switching(), 3.0, 3.0, 1 / 30))
    assert x[down].min() == pytest.approx(-150e-9 + 300e-9 * 3 / 8 - reach, abs=10e-9)
    heights = down.sum(axis=0)
    assert heights[90] > heights[70] > heights[55]


def test_a_pattern_of_pulses_is_seen_point_by_point() -> None:
    twin = on(polar())
    points = tuple((x * 60e-9, y * 60e-9) for y in (-1, 0, 1) for x in (-2, -1, 0, 1, 2))
    bias = tuple(-4.0 if n % 2 else 4.0 for n in range(15))
    write(twin, *points, bias=bias, duration=2e-3)
    frame = scanned(twin, "pfm_phase", line_rate=5.0)
    for (x, y), volts in zip(points, bias, strict=True):
        phase = float(frame["pfm_phase"].sel(x=x, y=y, method="nearest"))
        assert math.copysign(1, phase) == math.copysign(1, volts), (x, y)
    assert label(truth(twin) < 0)[1] == 7


# Cost, limits, randomness


@pytest.mark.parametrize("mode", ["pulses", "path"])
def test_writing_takes_what_the_estimate_says(mode: str) -> None:
    twin = on(polar())
    points = ((10e-9, 0.0), (50e-9, 30e-9), (-80e-9, 0.0))
    request = WriteRequest(points=points, bias=(1.0,), duration=0.3, mode=mode)
    part = twin.capability(BiasWriter)
    expected = part.estimate(request)
    part.start(request).result()
    assert twin.clock.now() == pytest.approx(expected.seconds)
    assert expected.bias_seconds == pytest.approx(0.3 * (3 if mode == "pulses" else 2))
    ways = (0.0, 0.0), *points
    assert expected.wear == pytest.approx(sum(map(math.dist, ways[:-1], ways[1:])))


def test_what_cannot_be_written_is_refused() -> None:
    twin = on(polar())
    for name, changes in (("position", {"points": ((1e-6, 0.0),)}), ("bias", {"bias": (11.0,)})):
        with pytest.raises(OutOfRange, match=f"`{name}`"):
            write(twin, **changes)
    twin.capability(Approach).set(engaged=0)
    with pytest.raises(Interlocked, match="withdrawn"):
        write(twin)
    assert (truth(twin) == 1).all()


def test_stopped_writing_keeps_what_was_written() -> None:
    twin = on(polar())
    request = WriteRequest(
        points=((-60e-9, 0.0), (60e-9, 0.0), (0.0, 80e-9)), bias=(-4.0,), duration=0.01
    )
    acquisition = twin.capability(BiasWriter).start(request)
    next(iter(acquisition))
    twin.capability(BiasWriter).stop()
    assert np.isfinite(acquisition.result()["bias"]).sum() == 1
    assert label(truth(twin) < 0)[1] == 1


def test_scatter_is_seeded_and_zero_scatter_is_none() -> None:
    near = {"bias": -3.1, "duration": 0.01}
    outcomes = []
    for seed in (0, 0, *range(1, 9)):
        twin = on(polar(), seed, function={"switching": {"scatter": 0.2}})
        write(twin, **near)
        outcomes.append(np.count_nonzero(truth(twin) < 0))
    assert outcomes[0] == outcomes[1]
    assert 0 in outcomes[1:]
    assert len(set(outcomes)) > 3
    plain, other = on(polar(), 1), on(polar(), 2)
    write(plain, **near)
    write(other, **near)
    assert truth(plain).tobytes() == truth(other).tobytes()


def test_a_loop_after_a_pulse_begins_where_the_pulse_ended() -> None:
    twin = on(polar())
    write(twin, bias=-6.0)
    request = SpectrumRequest(position=(0.0, 0.0), bias=(0.0, 0.0))
    loop = twin.capability(PointSpectroscopy).start(request).result()
    assert (loop["piezoresponse"] < 0).all()


def test_every_pulse_is_noted_with_what_it_did() -> None:
    twin = on(polar())
    write(twin, bias=-5.0)
    (event,) = twin.truth.events
    assert event["what"] == "pulse"
    assert event["bias"] == -5.0
    assert event["switched"] == np.count_nonzero(truth(twin) < 0)
