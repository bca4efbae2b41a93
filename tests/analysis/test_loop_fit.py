"""Hysteresis loops fitted: exact without noise, deaf to spikes, honest about the rest."""

import json
from functools import cache

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from nanopilot.analysis.fit_maps import Reason
from nanopilot.analysis.hysteresis import LoopFeatures
from nanopilot.analysis.loop_fit import LoopFit, scatter2, switching_loop
from nanopilot.analysis.loop_model import Projected, Sweep
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.registry import build
from nanopilot.core.signals import Axis, Signal, SignalSet, make_signal
from nanopilot.io.readers import read
from nanopilot.testing import loop
from nanopilot.testing.films import waveform
from nanopilot.workflows.connect import find_sample

BIAS = waveform(64, 8.0)
NAMES = ("offset", "slope", "height", "bias_up", "bias_down", "width_up", "width_down")


def loops(values: np.ndarray, bias: np.ndarray = BIAS) -> Signal:
    axes = {"bias": Axis(bias, "V", "bias")}
    if values.ndim == 2:
        axes = {"x": Axis(1e-9 * np.arange(len(values)), "m", "position"), **axes}
    return make_signal(values, axes, quantity="displacement", units="m")


def draw(rng: np.random.Generator, count: int, snr: float) -> tuple[np.ndarray, np.ndarray]:
    """Loops of height 1 or -1, and their truth."""
    imprint, coercive = rng.uniform(-1.5, 1.5, count), rng.uniform(1.5, 4, count)
    widths = rng.uniform(0.8, 2.5, (2, count))
    line = rng.normal(size=(2, count)) * [[1.0], [0.05]]
    height = rng.choice([-1.0, 1.0], count)
    truth = np.stack([*line, height, imprint + coercive, imprint - coercive, *widths], axis=1)
    values = np.stack([switching_loop(BIAS, (t[0], t[1]), t[2], t[3:]) for t in truth])
    return values + rng.normal(size=values.shape) / snr, truth


def table(maps: SignalSet, end: str = "") -> np.ndarray:
    return np.stack([maps[name + end].to_numpy().ravel() for name in NAMES], axis=1)


@given(
    st.tuples(st.floats(-2, 2), st.floats(1, 4)),
    st.tuples(st.floats(0.6, 3), st.floats(0.6, 3)),
    st.tuples(st.floats(-5, 5), st.floats(-0.2, 0.2)),
    st.tuples(st.floats(-12, 3), st.sampled_from([-1, 1])),
    st.integers(0, 63),
)
@settings(max_examples=40, deadline=None)
def test_without_noise_what_was_put_in_comes_out_wherever_the_cycle_begins(
    place: tuple[float, float],
    widths: tuple[float, float],
    line: tuple[float, float],
    size: tuple[float, int],
    shift: int,
) -> None:
    scale = 10 ** size[0]
    steps = np.array([place[0] + place[1], place[0] - place[1], *widths])
    bias = np.roll(BIAS, shift)
    values = switching_loop(bias, (scale * line[0], scale * line[1]), scale * size[1], steps)
    fit = LoopFit(median_width=1)(loops(values, bias))
    assert int(fit["reason"]) == Reason.ANSWERED
    expected = [scale * line[0], scale * line[1], scale * size[1], *steps]
    found = table(fit)[0]
    np.testing.assert_allclose(found[3:], expected[3:], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[:3], expected[:3], rtol=1e-4, atol=1e-4 * scale)
    assert float(fit["coercive_bias"]) == pytest.approx(place[1], abs=1e-4)
    assert float(fit["imprint"]) == pytest.approx(place[0], abs=1e-4)
    assert float(fit["loop_area"]) == pytest.approx(4 * place[1] * scale * size[1], rel=1e-3)


def test_answers_and_error_bars_are_those_of_the_slow_reference() -> None:
    values, truth = draw(np.random.default_rng(0), 20, snr=100.0)
    fit = LoopFit()(loops(values))
    ours, std = table(fit), table(fit, "_std")
    assert (fit["spikes"] == 0).all()

    def slow(bias: np.ndarray, *p: float) -> np.ndarray:
        return switching_loop(bias, (p[0], p[1]), p[2], np.array(p[3:]))

    for row, curve in enumerate(values):
        found, covariance = curve_fit(slow, BIAS, curve, p0=truth[row], xtol=1e-12)
        np.testing.assert_allclose(std[row], np.sqrt(np.diag(covariance)), rtol=0.02)
        assert (np.abs(ours[row] - found) < 0.01 * std[row]).all()


@pytest.mark.parametrize("snr", [5.0, 10.0, 50.0])
def test_nine_of_ten_intervals_hold_the_truth(snr: float) -> None:
    values, truth = draw(np.random.default_rng(1), 1000, snr)
    fit = LoopFit()(loops(values))
    answered = fit["reason"].to_numpy() == 0
    assert answered.mean() > 0.97
    found, std, truth = table(fit)[answered], table(fit, "_std")[answered], truth[answered]
    error = found - truth
    error[:, 5:] = found[:, 5:] * np.log(found[:, 5:] / truth[:, 5:])
    share = (np.abs(error) < 1.645 * std).mean(axis=0)
    assert ((share > 0.85) & (share < 0.95)).all(), share
    for name, expected in (
        ("coercive_bias", 0.5 * (truth[:, 3] - truth[:, 4])),
        ("imprint", 0.5 * (truth[:, 3] + truth[:, 4])),
        ("loop_area", 2.0 * truth[:, 2] * (truth[:, 3] - truth[:, 4])),
    ):
        away = np.abs(fit[name].to_numpy()[answered] - expected)
        held = (away < 1.645 * fit[f"{name}_std"].to_numpy()[answered]).mean()
        assert 0.85 < held < 0.95, name


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(1, 9))
@settings(max_examples=25, deadline=None)
def test_spikes_are_counted_and_change_nothing(seed: int, count: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    _, values = _noisy_loop()
    where = rng.choice(64, count, replace=False)
    spiked = values.copy()
    spiked[where] += rng.choice([-1.0, 1.0], count) * 10**power
    before, after = _noisy_fit(), LoopFit()(loops(spiked))
    assert int(after["reason"]) == Reason.ANSWERED
    assert int(after["spikes"]) >= count
    change = np.abs(table(after) - table(before))[0]
    # What is left out takes its share of knowledge along, and no more.
    assert (change < 4.0 * np.maximum(table(before, "_std"), table(after, "_std"))[0]).all()


@cache
def _noisy_loop() -> tuple[float, np.ndarray]:
    values = switching_loop(BIAS, (0.3, 0.02), 1.0, np.array([3.0, -2.0, 2.0, 2.0]))
    return 0.02, values + 0.02 * np.random.default_rng(2).normal(size=64)


@cache
def _noisy_fit() -> SignalSet:
    return LoopFit()(loops(_noisy_loop()[1]))


def test_pure_noise_a_line_and_a_constant_are_no_loops() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(2000, 64)) + 3.0 * BIAS
    fit = LoopFit()(loops(values))
    assert (fit["reason"] == Reason.ANSWERED).mean() < 0.01
    assert (fit["reason"] == Reason.NOT_SIGNIFICANT).mean() > 0.97
    assert np.isnan(fit["coercive_bias"].where(fit["reason"] > 0)).all()
    assert int(LoopFit()(loops(np.full(64, 7.0)))["reason"]) == Reason.NOT_SIGNIFICANT


def test_jump_between_two_points_is_known_to_within_them() -> None:
    step = float(np.abs(np.diff(BIAS)).max())
    rng = np.random.default_rng(4)
    values = loop(3.0, 0.4, 1.0).to_numpy() + 0.01 * rng.normal(size=64)
    fit = LoopFit()(loops(values))
    assert int(fit["reason"]) == Reason.ANSWERED
    for name, expected in (("bias_up", 3.4), ("bias_down", -2.6)):
        assert float(fit[name]) == pytest.approx(expected, abs=step)
        assert step / 4 < float(fit[f"{name}_std"]) < step


def test_loop_that_switches_outside_the_sweep_is_not_answered() -> None:
    steps = np.array([9.0, -3.0, 1.5, 1.0])
    values = switching_loop(BIAS, (0.0, 0.0), 1.0, steps)
    values += 1e-3 * np.random.default_rng(5).normal(size=64)
    assert int(LoopFit()(loops(values))["reason"]) == Reason.AT_EDGE


def test_broken_loop_is_flagged_and_leaves_its_neighbours_alone() -> None:
    values, _ = draw(np.random.default_rng(6), 3, snr=20.0)
    clean = table(LoopFit()(loops(values)))
    values[1, 5] = np.nan
    fit = LoopFit()(loops(values))
    assert fit["reason"].to_numpy().tolist() == [0, Reason.NOT_FINITE, 0]
    np.testing.assert_allclose(table(fit)[[0, 2]], clean[[0, 2]], rtol=1e-6)


def test_points_that_are_mostly_spikes_are_no_loop() -> None:
    rng = np.random.default_rng(7)
    values = switching_loop(BIAS, (0.0, 0.0), 1.0, np.array([3.0, -3.0, 1.0, 1.0]))
    values += 0.001 * rng.normal(size=64)
    values[rng.choice(64, 20, replace=False)] += rng.normal(size=20) * 100
    assert int(LoopFit()(loops(values))["reason"]) != Reason.ANSWERED


def test_of_several_cycles_the_last_one_counts() -> None:
    values, _ = draw(np.random.default_rng(8), 1, snr=20.0)
    twice = loops(np.concatenate([np.zeros(64), values[0]]), np.tile(BIAS, 2))
    xr.testing.assert_allclose(LoopFit()(twice), LoopFit()(loops(values[0])))


def test_maps_lie_where_the_loops_were_and_say_what_they_are() -> None:
    values, _ = draw(np.random.default_rng(9), 5, snr=20.0)
    fit = LoopFit()(loops(values).transpose("bias", "x"))
    assert fit["imprint"].dims == ("x",)
    units = {name: fit[name].attrs["units"] for name in ("slope", "height", "loop_area_std")}
    assert units == {"slope": "m/V", "height": "m", "loop_area_std": "m*V"}
    assert "5" in json.loads(fit["reason"].attrs["reasons"])


def test_on_recorded_loops_it_agrees_with_what_is_read_off_them() -> None:
    film = read(find_sample("beps-pto"))[0].isel(y=slice(0, 50, 5), x=slice(0, 50, 5))
    fit, features = LoopFit()(film), LoopFeatures()(film)
    sure = (fit["reason"] == 0) & (fit["coercive_bias_std"] < 0.2)
    assert (fit["reason"] == 0).mean() > 0.75
    assert sure.mean() > 0.5
    assert (fit["spikes"] > 0).any()
    # Zero crossings move with the offset, the steps do not, so the two are not quite the same.
    read_off, fitted = (
        values[sure.to_numpy()]
        for values in (features["coercive_bias"], fit["coercive_bias"].to_numpy())
    )
    assert np.nanmedian(np.abs(read_off - fitted)) < 0.3


def test_bias_that_will_not_do_and_settings_out_of_range_are_refused() -> None:
    with pytest.raises(SignalError, match="need `bias`"):
        LoopFit()(loops(np.zeros((3, 64))).isel(bias=0, drop=True))
    with pytest.raises(SignalError, match="has 8 points"):
        LoopFit()(loops(np.zeros(8), waveform(8)))
    with pytest.raises(SignalError, match="cycle"):
        LoopFit()(loops(np.zeros(64), np.random.default_rng(0).normal(size=64)))
    with pytest.raises(OutOfRange, match="`false_alarm` is 2"):
        LoopFit(false_alarm=2.0)
    assert build("operators", "loop-fit", median_width=3) == LoopFit(median_width=3)


def test_noise_is_told_from_second_differences() -> None:
    rng = np.random.default_rng(4)
    bias = 8.0 * np.sin(np.linspace(0, 2 * np.pi, 96, endpoint=False))
    loops = np.tanh(0.3 * bias) + 0.4 * bias + 0.3 * rng.normal(size=(400, 96))
    loops[:, 7] += 40.0
    assert np.sqrt(scatter2(loops).mean()) == pytest.approx(0.3, rel=0.1)


def test_pure_noise_passes_for_a_loop_as_often_as_was_asked() -> None:
    bias = 8.0 * np.sin(np.linspace(0, 2 * np.pi, 48, endpoint=False))
    noise = np.random.default_rng(5).normal(size=(1500, 48))
    axes = {"point": Axis(np.arange(1500.0), "1", "number"), "bias": Axis(bias, "V", "bias")}
    film = make_signal(noise, axes, quantity="response", units="a.u.")
    passed = float((LoopFit(false_alarm=0.05)(film)["reason"] != Reason.NOT_SIGNIFICANT).mean())
    assert 0.02 < passed < 0.09


def test_usual_widths_pull_by_the_gradient_of_their_penalty() -> None:
    rng = np.random.default_rng(6)
    bias = 8.0 * np.cos(np.linspace(0, 2 * np.pi, 64, endpoint=False))
    sweep = Sweep(bias, np.arange(64) > 32)
    loops, weights, noise2 = rng.normal(size=(1, 64)), np.ones((1, 64)), np.array([0.7])
    theta = np.array([[3.0, -2.0, 0.1, 0.9]])

    def held(at: np.ndarray, much: np.ndarray) -> Projected:
        return sweep.project(loops, weights, at).held(sweep, at, much)

    middle, spread = sweep.usual
    penalty = noise2 * (((theta[:, 2:] - middle) / spread) ** 2).sum(axis=1)
    more = held(theta, noise2).energy - held(theta, np.zeros(1)).energy
    np.testing.assert_allclose(more, penalty)
    for k in (2, 3):
        step = np.zeros((1, 4))
        step[0, k] = 1e-5
        slope = [
            (held(theta + s * step, much).energy) for much in (noise2, np.zeros(1)) for s in (1, -1)
        ]
        found = held(theta, noise2), held(theta, np.zeros(1))
        own = [-2.0 * (one.jacobian[0].T @ one.rest[0])[k] for one in found]
        numbers = (slope[0] - slope[1] - slope[2] + slope[3]) / 2e-5
        assert own[0] - own[1] == pytest.approx(float(numbers[0]), rel=1e-4)


def test_without_noise_no_width_is_too_unusual() -> None:
    bias = 8.0 * np.sin(np.linspace(0, 2 * np.pi, 64, endpoint=False))
    values = switching_loop(bias, (0.1, 0.0), 2.0, np.array([3.0, -2.0, 5.0, 0.7]))
    film = make_signal(values, {"bias": Axis(bias, "V", "bias")}, quantity="response", units="a.u.")
    found = LoopFit()(film)
    assert float(found["width_up"]) == pytest.approx(5.0, rel=1e-2)
    assert float(found["width_down"]) == pytest.approx(0.7, rel=1e-2)
