"""Numbers read off loops whose answers are known, with and without spikes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.analysis.despike import count_spikes, cyclic_median
from nanopilot.analysis.hysteresis import LoopFeatures
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.testing import film, loop


def shoelace(x: np.ndarray, y: np.ndarray) -> float:
    """Slow reference: the polygon, one triangle after the other."""
    total = 0.0
    for i in range(len(x)):
        j = (i + 1) % len(x)
        total += x[i] * y[j] - x[j] * y[i]
    return abs(total) / 2


def median_by_hand(values: np.ndarray, width: int) -> np.ndarray:
    """Slow reference: every window gathered and sorted by itself."""
    half, n = width // 2, len(values)
    return np.array(
        [sorted(values[(i + k) % n] for k in range(-half, half + 1))[half] for i in range(n)]
    )


@given(st.lists(st.floats(-1e6, 1e6), min_size=7, max_size=40), st.sampled_from([1, 3, 5, 7]))
def test_cyclic_median_is_that_of_every_window(values: list[float], width: int) -> None:
    array = np.array(values)
    np.testing.assert_array_equal(cyclic_median(array, width), median_by_hand(array, width))


@pytest.mark.parametrize("width", [0, 2, -1, 99])
def test_even_or_wide_median_is_refused(width: int) -> None:
    with pytest.raises(OutOfRange, match="`width`"):
        cyclic_median(np.zeros(9), width)


@given(
    st.floats(2.5, 6.0), st.floats(-1.0, 1.0), st.floats(1e-5, 1e3), st.sampled_from([32, 64, 128])
)
def test_square_loop_gives_back_what_was_put_in(
    coercive: float, imprint: float, response: float, points: int
) -> None:
    found = LoopFeatures()(loop(coercive, imprint, response, points))
    step = 4 * 8.0 / points
    assert found["coercive_bias"] == pytest.approx(coercive, abs=step)
    assert found["imprint"] == pytest.approx(imprint, abs=step)
    assert found["remanent_response"] == pytest.approx(response)
    assert found["saturation"] == pytest.approx(response)
    assert found["loop_area"] == pytest.approx(4 * coercive * response, abs=4 * response * step)


@given(st.floats(0.01, 10.0), st.integers(0, 2**32 - 1))
def test_area_is_that_of_the_polygon(scale: float, seed: int) -> None:
    signal = loop() * scale + np.random.default_rng(seed).normal(size=64)
    signal.attrs = loop().attrs
    expected = shoelace(signal["bias"].to_numpy(), median_by_hand(signal.to_numpy(), 5))
    assert LoopFeatures()(signal)["loop_area"] == pytest.approx(expected, rel=1e-9)


def smooth_loop(rng: np.random.Generator) -> Signal:
    """A soft loop with a little noise, so that a median has something to do."""
    signal = loop()
    bias = signal["bias"].to_numpy()
    rising = np.where(np.roll(bias, -1) > bias, 1.0, -1.0)
    return signal.copy(data=np.tanh((bias - 3.0 * rising) / 1.5) + 0.01 * rng.normal(size=64))


@given(st.integers(0, 63), st.integers(1, 2), st.sampled_from([-100.0, 100.0]), st.integers(0, 99))
def test_spike_changes_nothing_that_matters(
    where: int, width: int, height: float, seed: int
) -> None:
    clean = smooth_loop(np.random.default_rng(seed))
    values = clean.to_numpy().copy()
    values[(where + np.arange(width)) % 64] += height
    features = LoopFeatures()
    before, after = features(clean), features(clean.copy(data=values))
    assert after["loop_area"] == pytest.approx(before["loop_area"], rel=0.1)
    assert after["coercive_bias"] == pytest.approx(before["coercive_bias"], abs=1.0)
    assert after["imprint"] == pytest.approx(before["imprint"], abs=1.0)
    assert after["remanent_response"] == pytest.approx(before["remanent_response"], abs=0.4)
    assert after["saturation"] == pytest.approx(before["saturation"], abs=0.4)
    assert after["spikes"] >= before["spikes"] + width


def test_one_spike_is_counted_and_a_steep_flank_is_none() -> None:
    values = loop().to_numpy().copy()
    assert LoopFeatures()(loop())["spikes"] == 0
    values[10] = 50.0
    assert LoopFeatures()(loop().copy(data=values))["spikes"] == 1
    flat = np.zeros(9)
    assert count_spikes(flat, flat).item() == 0


def test_grid_of_loops_gives_grids_of_features() -> None:
    grid = film(rows=3, columns=4)
    found = LoopFeatures()(grid)
    assert found["loop_area"].shape == (3, 4)
    one = LoopFeatures()(grid.isel(y=2, x=1, drop=True))
    assert {name: value[2, 1] for name, value in found.items()} == pytest.approx(one)


def test_it_does_not_matter_where_the_cycle_begins() -> None:
    whole = LoopFeatures()(loop())
    for shift in (5, 16, 40):
        bias, values = (np.roll(part, shift) for part in (loop()["bias"], loop().to_numpy()))
        turned = make_signal(
            values, {"bias": Axis(bias, "V", "bias")}, quantity="piezoresponse", units="a.u."
        )
        assert LoopFeatures()(turned) == pytest.approx(whole)


def test_of_several_cycles_the_last_one_counts() -> None:
    bias = np.tile(loop()["bias"].to_numpy(), 3)
    values = np.concatenate([np.zeros(128), loop().to_numpy()])
    axis = {"bias": Axis(bias, "V", "bias")}
    found = LoopFeatures()(make_signal(values, axis, quantity="piezoresponse", units="a.u."))
    assert found == LoopFeatures()(loop())


def test_loop_that_never_switches_has_no_coercive_bias() -> None:
    found = LoopFeatures()(loop().copy(data=np.full(64, 2.0)))
    assert np.isnan(found["coercive_bias"])
    assert np.isnan(found["imprint"])
    assert found["loop_area"] == pytest.approx(0.0, abs=1e-12)


def test_loop_with_a_gap_has_no_features() -> None:
    values = loop().to_numpy().copy()
    values[3] = np.nan
    assert all(np.isnan(value) for value in LoopFeatures()(loop().copy(data=values)).values())


@pytest.mark.parametrize(
    "bias",
    [np.linspace(1, 2, 16), np.array([0, 1, 0, -1, 0, 2, 0, -2.0]), np.array([0.0, 1.0, -1.0])],
)
def test_bias_that_is_no_cycle_is_refused(bias: np.ndarray) -> None:
    axis = {"bias": Axis(bias, "V", "bias")}
    with pytest.raises(SignalError, match="`bias`"):
        LoopFeatures()(make_signal(np.zeros(len(bias)), axis, quantity="r", units="a.u."))


def test_signal_without_bias_is_refused() -> None:
    with pytest.raises(SignalError, match="bias"):
        LoopFeatures()(film().isel(bias=0, drop=True))
