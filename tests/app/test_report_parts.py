"""Numbers, scales, limits and verdicts of the report."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.app.report.curves import best_so_far
from nanopilot.app.report.explained import Explained, Verdict
from nanopilot.app.report.frame import Frame, robust_limits, smooth_limits
from nanopilot.app.report.loops import crossings
from nanopilot.app.report.numbers import duration, number
from nanopilot.app.report.scales import bar_label, round_length, scale_for, with_unit
from nanopilot.app.report.sites import label_places
from nanopilot.core.signals import Axis, make_signal

widths = st.floats(1e-10, 1e-2)
values = st.floats(-1e12, 1e12).filter(lambda value: value == 0 or abs(value) > 1e-12)


def plain(text: str) -> float:
    """Read a number as it was printed."""
    text = text.replace("−", "-").replace(",", "")
    digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    amount, _, power = text.partition(" × 10")
    return float(amount) * 10.0 ** int(power.translate(digits) or 0)


@given(values)
def test_printed_number_is_the_number_to_three_digits(value: float) -> None:
    assert plain(number(value)) == pytest.approx(value, rel=5.1e-3)


@given(widths)
def test_scale_bar_is_round_and_at_most_a_third_of_the_width(width: float) -> None:
    length = round_length(width)
    assert 0.12 * width < length <= width / 3 * 1.00001
    first = length / 10.0 ** np.floor(np.log10(length * 1.000001))
    assert first == pytest.approx(1) or first == pytest.approx(2) or first == pytest.approx(5)


@given(widths)
def test_label_of_the_scale_bar_says_its_length(width: float) -> None:
    length = round_length(width)
    amount, unit = bar_label(length).split()
    assert float(amount) * {"nm": 1e-9, "µm": 1e-6, "mm": 1e-3}[unit] == pytest.approx(length)


@given(st.floats(1e-11, 1e11), st.sampled_from(["m", "V", "a.u.", "1"]))
def test_axis_shows_numbers_of_few_digits(largest: float, unit: str) -> None:
    assert 0.09 < largest / scale_for([largest, 0.0], unit).factor < 10_000


@given(st.floats(0, 1e7))
def test_durations_are_never_off_by_more_than_a_minute(seconds: float) -> None:
    factors = {"s": 1.0, "min": 60.0, "h": 3600.0}
    parts = duration(seconds).split()
    told = sum(float(n) * factors[u] for n, u in zip(parts[::2], parts[1::2], strict=True))
    assert abs(told - seconds) <= (60 if "h" in parts else 0.51)


def test_positions_on_an_atomic_scale_keep_their_digits() -> None:
    assert with_unit(1.24e-10, "m") == "124 pm"
    assert scale_for([2e-8], "m").unit == "nm"


def test_a_spike_does_not_stretch_the_colours() -> None:
    image = np.random.default_rng(0).normal(size=(50, 50))
    clean = robust_limits(image)
    image[::5, ::5] *= 1000.0  # 4 % of the pixels
    low, high = robust_limits(image)
    assert 0.9 * clean[0] > low > 3 * clean[0]
    assert 0.9 * clean[1] < high < 3 * clean[1]


@pytest.mark.parametrize("limits", [robust_limits, smooth_limits])
@pytest.mark.parametrize("fill", [np.nan, 0.0, -3.0, 1e-9])
def test_flat_and_empty_images_have_limits(limits: object, fill: float) -> None:
    assert callable(limits)
    low, high = limits(np.full((4, 4), fill))
    assert low < high


def test_frame_puts_pixels_where_they_lie_on_the_sample() -> None:
    axes = {
        "y": Axis(np.array([2e-7, 1e-7]), "m", "position"),
        "x": Axis(np.array([0.0, 1e-7, 2e-7]), "m", "position"),
    }
    values = np.arange(6.0).reshape(2, 3)
    frame = Frame.of(make_signal(values, axes, quantity="height", units="m"))
    np.testing.assert_array_equal(frame.values, values[::-1])
    np.testing.assert_allclose(frame.extent, (-0.5e-7, 2.5e-7, 0.5e-7, 2.5e-7))


@given(
    st.lists(st.tuples(st.floats(0, 2e-6), st.floats(0, 1e-6)), min_size=1, max_size=6),
)
def test_numbers_of_the_best_sites_stay_inside_the_image(sites: list[tuple[float, float]]) -> None:
    frame = Frame(np.zeros((2, 2)), (0.0, 2e-6, 0.0, 1e-6), "1", (2, 2))
    places = label_places(np.array(sites), frame)
    assert ((places > 0) & (places < (2e-6, 1e-6))).all()


@pytest.mark.parametrize(
    ("structure", "control", "spread", "verdict"),
    [
        (0.60, 0.10, 0.05, "helped"),
        (0.10, 0.02, 0.01, "a little"),
        (0.30, 0.28, 0.01, "no better"),
        (0.30, 0.10, 0.15, "no better"),
        (0.20, 0.40, 0.05, "no better"),
        (-0.10, -0.90, 0.05, "useless"),
        (None, 0.10, 0.05, "not known"),
        (0.50, None, None, "not known"),
        (0.50, "NaN", None, "not known"),
    ],
)
def test_structure_helps_only_where_shuffling_hardly_ever_does(
    structure: float | None, control: float | str | None, spread: float | None, verdict: Verdict
) -> None:
    row = {"structure": structure, "control": control, "control_spread": spread}
    assert Explained.of(row).verdict == verdict


def test_best_so_far_ignores_steps_without_reward() -> None:
    rewards = np.array([np.nan, 1.0, 3.0, np.nan, 2.0])
    np.testing.assert_array_equal(best_so_far(rewards, 1.0), [np.nan, 1, 3, 3, 3])
    np.testing.assert_array_equal(best_so_far(rewards, -1.0), [np.nan, 1, 1, 1, 1])


def test_crossings_need_both_features() -> None:
    assert crossings({"coercive_bias": float("nan"), "imprint": 0.0}) == ()
    assert crossings({}) == ()
