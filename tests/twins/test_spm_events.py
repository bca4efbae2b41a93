"""What happens to tip and sample stays, is noted, and is what the formulas say."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.adjustables import Feedback
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import OutOfRange
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.spm import Apex, Sample, SpmSettings, SpmTwin, Tip
from nanopilot.twins.spm.events import change, condition, crash, dent, double
from nanopilot.twins.spm.wear import missing_volume, worn
from nanopilot.twins.spm.world import World


def ridge(height: float = 0.0) -> Sample:
    """Return a plain with a ridge on its right half."""
    profile = np.where(np.arange(128) < 90, 0.0, height)
    return Sample("ridge", np.tile(profile, (96, 1)), 2e-9)


def made(sample: Sample, seed: int = 0, **settings: Any) -> SpmTwin:
    return SpmTwin(sample, VirtualClock(), settings=SpmSettings.model_validate(settings), seed=seed)


def world(seed: int = 0, **settings: Any) -> World:
    return made(ridge(), seed, **settings).truth


def scan(twin: SpmTwin, **changes: Any) -> SignalSet:
    usual: dict[str, Any] = {
        "centre": (0.0, 0.0), "field_of_view": (200e-9, 120e-9), "shape": (24, 64)
    }  # fmt: skip
    return twin.capability(Scanner).start(ScanRequest(**(usual | changes))).result()


@settings(max_examples=30, deadline=None)
@given(radius=st.floats(1e-9, 1e-7), half_angle=st.floats(0.1, 1.0), aspect=st.floats(0.2, 5.0))
def test_missing_volume_is_the_integral_between_cone_and_parabola(
    radius: float, half_angle: float, aspect: float
) -> None:
    apex = Apex(radius=radius, half_angle=half_angle, aspect=aspect)
    slope = 1 / math.tan(half_angle)
    reach = radius * slope * max(1.0, math.sqrt(aspect))
    steps = (np.arange(800) + 0.5) / 800 * 2 * reach - reach
    x, y = np.meshgrid(steps, steps)
    cone = slope * np.hypot(x, y / math.sqrt(aspect))
    missing = apex.flank(x, y) + radius * slope**2 / 2 - cone
    volume = missing.sum() * (2 * reach / 800) ** 2
    assert missing_volume(apex) / volume == pytest.approx(1.0, rel=0.01)


@settings(max_examples=30, deadline=None)
@given(first=st.floats(0, 1e-23), second=st.floats(0, 1e-23))
def test_wear_in_two_parts_is_wear_in_one(first: float, second: float) -> None:
    tip = Tip()
    at_once = worn(tip, first + second).radius
    assert worn(worn(tip, first), second).radius / at_once == pytest.approx(1.0)
    assert at_once >= tip.radius


def test_a_tip_wears_as_archard_says_with_load_and_way() -> None:
    archard = 5e-12
    twin = made(ridge(), wear={"archard": archard})
    before = missing_volume(twin.truth.tip.apexes[0])
    scan(twin, directions=("trace", "retrace"))
    after = missing_volume(twin.truth.tip.apexes[0]) + twin.truth.worn
    loop, lever = twin.truth.settings.loop, twin.truth.settings.lever
    way = 2 * 24 * 200e-9 * 64 / 63
    expected = archard * lever.stiffness * loop.setpoint * way
    assert (after - before) / expected == pytest.approx(1.0, rel=0.02)
    assert twin.truth.tip.radius > 1.01 * twin.truth.settings.tip.radius
    assert {event["what"] for event in twin.truth.events} == {"wear"}


def test_no_wear_without_contact() -> None:
    loop = {"mode": "tapping", "setpoint": 20e-9}
    twin = made(ridge(), wear={"archard": 1e-12}, loop=loop)
    scan(twin)
    assert twin.truth.tip == twin.truth.settings.tip


@pytest.mark.parametrize("seed", range(5))
def test_a_crash_leaves_a_blunter_tip_and_a_dent_that_stays(seed: int) -> None:
    twin = made(ridge(), seed)
    before = scan(twin)["height"].to_numpy()
    assert twin.truth.events == []
    crash(twin.truth, (10e-9, -20e-9), 400e-9)
    assert twin.truth.tip.radius > 1.15 * twin.truth.settings.tip.radius
    assert [event["what"] for event in twin.truth.events] == ["crash", "dent"]
    depth = twin.truth.events[1]["depth"]
    lowered = twin.truth.sample.height - twin.truth.height
    assert lowered.min() == 0.0
    assert lowered.max() == pytest.approx(depth, abs=1e-15)
    row, column = np.unravel_index(lowered.argmax(), lowered.shape)
    assert abs(row - (-20e-9 / 2e-9 + 47.5)) <= 0.5
    assert abs(column - (10e-9 / 2e-9 + 63.5)) <= 0.5
    after = [scan(twin)["height"].to_numpy() for _ in range(2)]
    assert (before - after[0]).max() > 0.2 * depth
    np.testing.assert_allclose(after[0], after[1], atol=1e-15)


def test_a_dent_has_the_shape_of_the_tip() -> None:
    one = world(tip={"apexes": [{"radius": 20e-9}]})
    dent(one, (1e-9, 1e-9), 5e-9)
    lowered = one.sample.height - one.height
    y, x = np.indices(lowered.shape) * 2e-9
    away = np.hypot(x - 64 * 2e-9, y - 48 * 2e-9)
    np.testing.assert_allclose(lowered, np.maximum(5e-9 - away**2 / 40e-9, 0), atol=1e-20)


def test_with_the_loop_off_a_ridge_crashes_the_tip_and_with_the_loop_on_it_does_not() -> None:
    for enabled in (1, 0):
        twin = made(ridge(90e-9), wear={"crash_depth": 100e-9})
        twin.capability(Feedback).set(enabled=enabled)
        scan(twin)
        crashes = [event for event in twin.truth.events if event["what"] == "crash"]
        assert bool(crashes) != bool(enabled)
    assert crashes[0]["push"] == pytest.approx(110e-9, rel=0.01)
    assert crashes[0]["x"] > 50e-9
    assert (twin.truth.height < twin.truth.sample.height).any()


def test_the_tip_of_an_stm_crashes_within_nanometres() -> None:
    loop = {"mode": "stm", "setpoint": 1e-10}
    twin = made(ridge(5e-9), loop=loop)
    twin.capability(Feedback).set(enabled=0)
    scan(twin)
    assert "crash" in {event["what"] for event in twin.truth.events}


@pytest.mark.parametrize("act", [change, double, lambda one: crash(one, (0.0, 0.0), 1e-7)])
def test_events_are_the_same_for_the_same_seed(act: Any) -> None:
    outcomes = []
    for seed in (3, 3, 4):
        one = world(seed)
        act(one)
        outcomes.append((one.tip, one.height.tobytes(), one.events))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] != outcomes[2][0]


def test_a_double_tip_shows_everything_twice() -> None:
    sample = Sample("post", np.pad([[20e-9]], ((47, 48), (63, 64))), 2e-9)
    one = made(sample).truth
    single = one.apparent
    double(one, offset=60e-9, height=0.0)
    event = one.events[-1]
    assert event["what"] == "double tip"
    twice = one.apparent
    ghost = np.rint(np.array([math.sin(event["angle"]), math.cos(event["angle"])]) * 30).astype(int)
    peak = np.unravel_index(single.argmax(), single.shape)
    assert twice[peak] == pytest.approx(20e-9, abs=1e-15)
    # The second end touches the post when the first is on the other side of it.
    assert twice[peak[0] - ghost[0], peak[1] - ghost[1]] > 18e-9
    assert (twice >= single).all()


def test_conditioning_is_uncertain_and_stronger_pulses_change_more() -> None:
    counts = {
        volts: Counter(condition(world(seed), "pulse", volts) for seed in range(400))
        for volts in (1.0, 4.0, 10.0)
    }
    changed = {volts: 1 - one["unchanged"] / 400 for volts, one in counts.items()}
    for volts, share in changed.items():
        assert share == pytest.approx(1 - 2 ** -((volts / 4.0) ** 2), abs=0.08)
    strong = counts[10.0]
    assert strong["sharper"] / 400 == pytest.approx(0.5 * changed[10.0], abs=0.08)
    assert set(strong) >= {"sharper", "blunter", "double", "changed"}


@pytest.mark.parametrize("seed", range(20))
def test_what_conditioning_reports_is_what_happened_to_the_tip(seed: int) -> None:
    one = world(seed)
    before = one.tip
    outcome = condition(one, "indentation", 4e-9)
    after = one.tip
    assert {
        "unchanged": after == before,
        "sharper": after.radius < before.radius,
        "blunter": after.radius > before.radius,
        "double": len(after.apexes) == 2,
        "changed": after != before and len(after.apexes) == 1,
    }[outcome]
    assert one.events[-1]["what"] == f"indentation: {outcome}"
    assert (one.height < one.sample.height).any()


@pytest.mark.parametrize(("how", "strength"), [("prayer", 1.0), ("pulse", 0.0), ("pulse", np.inf)])
def test_impossible_conditioning_is_refused(how: Any, strength: float) -> None:
    with pytest.raises(OutOfRange, match="`how`"):
        condition(world(), how, strength)
