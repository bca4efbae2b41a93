"""Stacks are found whole, whichever way they lie, and nothing is found where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.electrodes import FindElectrodes, NoStack
from nanopilot.analysis.electrodes.comb import comb_chance, count_interval
from nanopilot.analysis.electrodes.ends import Line, fit_line
from nanopilot.analysis.electrodes.kinds import tell_kinds
from nanopilot.analysis.electrodes.periodicity import find_patches
from nanopilot.analysis.electrodes.tips import fit_edge
from nanopilot.analysis.electrodes.unmix import bar, slope
from nanopilot.bench.xray_scenery import STRANGERS, draw_stranger
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.registry import build
from nanopilot.core.signals import Axis, Signal, make_signal

SIDES = ("top", "left", "bottom", "right")


def signal(values: np.ndarray, step: float = 1.0, units: str = "1") -> Signal:
    y, x = (Axis(np.arange(n) * step, units, "position") for n in values.shape)
    return make_signal(values, {"y": y, "x": x}, quantity="counts", units="1")


def stack(
    n: int = 14, spacing: float = 8.0, *, missing: tuple[int, ...] = (), overhang: float = 12.0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Draw straight plates by hand, ends up; return the image and the ends."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 260 * 4, 0 : 300 * 4] / 4.0 - 0.375
    total = np.zeros(y.shape)
    ends = []
    for k in range(n):
        if k in missing:
            continue
        middle, tip = 80.3 + spacing * k, 90.4 + (overhang if k % 2 else 0.0) + rng.normal(0, 0.7)
        depth = 0.45 if k % 2 else 0.3
        total += depth * ((np.abs(x - middle) < 0.22 * spacing) & (y > tip) & (y < 205.0))
        ends.append((tip, middle))
    total += 0.8 * ((y >= 205.0) & (x > 70) & (x < 80 + spacing * n))
    fine = gaussian_filter(np.exp(-0.3 - total), 4.0)
    mean = fine.reshape(260, 4, 300, 4).mean(axis=(1, 3))
    return rng.poisson(4000 * mean).astype(float), np.array(ends)


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    return stack()


@pytest.mark.parametrize("turn", range(4))
def test_free_ends_are_found_whichever_way_the_cell_lies(
    drawn: tuple[np.ndarray, np.ndarray], turn: int
) -> None:
    image, ends = drawn
    found = FindElectrodes().found(signal(np.rot90(image, turn).copy()))
    assert (found.count, found.interval, found.side) == (14, (14, 14), SIDES[turn])
    height, width = image.shape
    for _ in range(turn):
        ends = np.stack([width - 1 - ends[:, 1], ends[:, 0]], axis=1)
        height, width = width, height
    place = np.stack([found.table["row"], found.table["column"]], axis=1)
    away = np.hypot(*(place[:, None] - ends[None]).transpose(2, 0, 1))
    assert away.min(axis=1).max() < 0.5
    assert sorted(away.argmin(axis=1)) == list(range(14))
    anodes = away.argmin(axis=1) % 2 == 0
    assert ((found.table["kind"].to_numpy() > 0) == anodes).all()


def test_overhang_is_the_difference_of_the_ends(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    image, ends = drawn
    found = FindElectrodes().found(signal(image, 2e-5, "m"))
    table = found.overhangs
    assert found.calibrated
    assert table.sizes["point"] == 13
    want = [ends[int(max(a, c)) - 1, 0] - ends[int(min(a, c)) - 1, 0]
            for a, c in zip(table["anode"], table["cathode"], strict=True)]  # fmt: skip
    want = np.abs(want)
    got = table["overhang"].to_numpy()
    assert table["overhang"].attrs["units"] == "m"
    np.testing.assert_allclose(got, want * 2e-5, atol=0.6 * 2e-5)
    np.testing.assert_allclose(table["overhang_pixels"] * 2e-5, got, rtol=1e-9)
    pulls = (got - want * 2e-5) / table["overhang_error"].to_numpy()
    assert np.sqrt(np.mean(pulls**2)) < 2.0


def test_without_calibration_lengths_are_in_pixels(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    found = FindElectrodes().found(signal(drawn[0]))
    assert not found.calibrated
    assert found.overhangs["overhang"].attrs["units"] == "1"
    np.testing.assert_array_equal(found.table["x"], found.table["column"])


def test_every_label_is_counted_and_the_largest_is_not_dropped(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    found = FindElectrodes().found(signal(drawn[0]))
    names = np.unique(found.labels.to_numpy())
    assert names.tolist() == list(range(15))
    assert found.labels.dtype == np.int64
    assert found.count == found.table.sizes["point"] == 14


def test_masks_have_the_width_and_length_of_the_plates(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    image, ends = drawn
    found = FindElectrodes().found(signal(image))
    sizes = np.bincount(found.labels.to_numpy().ravel())[1:]
    want = 0.44 * 8.0 * (205.0 - ends[:, 0])
    np.testing.assert_allclose(sizes, want, rtol=0.35)
    rows = np.nonzero(found.labels.to_numpy())[0]
    assert rows.min() == pytest.approx(ends[:, 0].min(), abs=1.5)


def test_box_is_that_of_the_plates(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    image, ends = drawn
    box = FindElectrodes().found(signal(image)).box
    want = (ends[:, 0].min(), 80.3 - 1.76, 205.0, 80.3 + 13 * 8 + 1.76)
    np.testing.assert_allclose(box, want, atol=1.5)


@pytest.mark.parametrize("missing", [(5,), (5, 6), (12,), (4, 9)])
def test_a_missing_plate_is_not_counted_and_its_place_stays_empty(missing: tuple[int, ...]) -> None:
    image, _ = stack(missing=missing)
    found = FindElectrodes().found(signal(image))
    assert found.count == 14 - len(missing)
    assert found.flags.missing
    slots = found.table["slot"].to_numpy()
    assert set(range(14)) - set(slots.astype(int)) == set(missing)
    parity = slots % 2 == 0
    assert ((found.table["kind"].to_numpy() > 0) == parity).all()


def test_kinds_of_equal_length_are_not_told() -> None:
    image, _ = stack(overhang=0.0)
    found = FindElectrodes().found(signal(image))
    assert found.count == 14
    assert not found.table["kind"].to_numpy().any()
    assert found.overhangs.sizes["point"] == 0


def test_same_image_gives_the_same_answer(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = (FindElectrodes().found(signal(drawn[0])) for _ in range(2))
    xr.testing.assert_identical(one.table, other.table)
    np.testing.assert_array_equal(one.labels, other.labels)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: np.round(v / v.max() * 255).astype(np.uint8),
        lambda v: np.round(v / v.max() * 65535).astype(np.uint16),
        lambda v: (v * 1e-9).astype(np.float32),
    ],
    ids=["8 bits", "16 bits", "float"],
)
def test_bit_depth_does_not_matter(drawn: tuple[np.ndarray, np.ndarray], change: Any) -> None:
    plain = FindElectrodes().found(signal(drawn[0])).table
    found = FindElectrodes().found(signal(change(drawn[0]))).table
    assert found.sizes["point"] == 14
    np.testing.assert_allclose(found["row"], plain["row"], atol=0.3)


def test_inverted_images_need_to_be_said(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    inverted = signal(drawn[0].max() - drawn[0])
    found = FindElectrodes(plates="bright").found(inverted)
    plain = FindElectrodes().found(signal(drawn[0]))
    np.testing.assert_allclose(found.table["row"], plain.table["row"], atol=0.05)
    with pytest.raises(OutOfRange, match="`plates` is 'grey'"):
        FindElectrodes(plates="grey")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", STRANGERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_images_without_a_stack_are_refused(kind: str, seed: int) -> None:
    frame = draw_stranger(kind, np.random.default_rng([77, seed]), pixels=384)
    with pytest.raises(NoStack, match="A person should look at it"):
        FindElectrodes().found(frame)


def test_a_lattice_whose_rows_line_up_is_no_stack() -> None:
    # Of two dozen drawn lattices the one whose stripes repeat as evenly as plates do.
    frame = draw_stranger("lattice", np.random.default_rng(3010))
    with pytest.raises(NoStack, match="come and go"):
        FindElectrodes()(frame)


def test_frames_that_are_none_are_refused(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    image = drawn[0]
    hole = image.copy()
    hole[3, 4] = np.nan
    for bad, why in (
        (signal(image[:90]), "at least 96"),
        (signal(hole), "not finite"),
        (signal(np.ones((128, 128))), "same value everywhere"),
        (signal(image).expand_dims("frame"), "must have"),
        (signal(image).assign_coords(y=("y", np.arange(260) * 2.0, {"units": "1"})), "square"),
    ):
        with pytest.raises(SignalError, match=why):
            FindElectrodes().found(bad)


def test_operator_is_built_from_its_name_and_json() -> None:
    made = build("operators", "find-electrodes", edits=[{"kind": "remove", "points": [[1, 2]]}])
    assert isinstance(made, FindElectrodes)
    assert made.edits[0].points == ((1.0, 2.0),)


# Parts of it, against what theory says of them.


@settings(max_examples=25, deadline=None)
@given(lag=st.integers(10, 24), seed=st.integers(0, 2**31))
def test_repetition_of_stripes_is_found_and_noise_has_none(lag: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(160, 220))
    assert find_patches(noise) == []
    stripes = noise + 3 * np.sin(2 * np.pi * np.arange(220) / lag + rng.uniform(0, 6))
    patch = find_patches(stripes)[0]
    assert abs(patch.lag - lag) <= 1
    assert find_patches(stripes.T) == [] or find_patches(stripes.T)[0].weight < 0.2 * patch.weight


def test_error_of_an_edge_is_what_it_scatters_by() -> None:
    rng = np.random.default_rng(3)
    rows = np.arange(21.0)
    from scipy.special import ndtr

    found = [fit_edge(ndtr((rows - 10.3) / 1.2) + rng.normal(0, 0.08, 21), 0.0, 1.2)
             for _ in range(400)]  # fmt: skip
    places = np.array([one.at for one in found if one is not None])
    errors = np.array([one.error for one in found if one is not None])
    assert len(places) == 400
    assert places.mean() == pytest.approx(10.3, abs=0.03)
    assert errors.mean() == pytest.approx(places.std(), rel=0.15)


def test_a_step_down_and_too_few_rows_are_no_edge() -> None:
    assert fit_edge(np.linspace(1, 0, 21), 0.0, 1.0) is None
    assert fit_edge(np.ones(4), 0.0, 1.0) is None


def test_bars_sum_up_to_their_width_and_their_slope_is_their_derivative() -> None:
    columns = np.arange(80.0)
    place, width = np.array([30.2, 50.7]), np.array([3.1, 4.4])
    np.testing.assert_allclose(bar(columns, place, width, 1.3).sum(axis=0), width, rtol=1e-6)
    step = 1e-5
    want = (bar(columns, place + step, width, 1.3) - bar(columns, place - step, width, 1.3)) / (
        2 * step
    )
    np.testing.assert_allclose(slope(columns, place, width, 1.3), want, atol=1e-8)


def test_interval_of_a_count_holds_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    chance = rng.uniform(0, 1, 30)
    low, high = count_interval(chance)
    drawn = (rng.random((4000, 30)) < chance).sum(axis=1)
    assert 0.945 < np.mean((drawn >= low) & (drawn <= high)) < 0.99
    assert count_interval(np.array([1.0] * 9 + [0.0])) == (9, 9)


def test_chance_of_a_comb_is_small_for_a_comb_and_not_for_noise() -> None:
    rng = np.random.default_rng(1)
    x = np.arange(200)
    noise = rng.normal(size=(60, 200))
    chances = [comb_chance(one, 8.0) for one in noise]
    assert np.mean(np.array(chances) < 1.0) < 0.1
    assert comb_chance(3 * np.sin(np.pi * x / 8.0) + noise[0], 8.0) < 1e-12
    assert comb_chance(np.zeros(200), 8.0) == 1.0


@settings(max_examples=30, deadline=None)
@given(step=st.floats(4, 20), n=st.integers(8, 40), first=st.booleans(),
       seed=st.integers(0, 2**31))  # fmt: skip
def test_longer_plates_are_the_anodes(step: float, n: int, first: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    slot = np.arange(n)
    anode = (slot % 2 == 0) == first
    rows = 50 - step * anode + rng.normal(0, 0.5, n)
    line = Line(np.array([50.0]), -step if first else step, 0.1, 0.5)
    told = tell_kinds(rows, np.where(anode, 1.0, 1.5), slot * 8.0, slot, line)
    assert told.told
    np.testing.assert_array_equal(told.anode > 0.5, anode)
    same = tell_kinds(50 + rng.normal(0, 0.5, n), np.ones(n), slot * 8.0, slot, line)
    assert not same.told


def test_line_of_ends_finds_the_step_among_outliers() -> None:
    rng = np.random.default_rng(2)
    place = np.arange(30) * 7.0
    even = np.arange(30) % 2 == 0
    rows = 40 + 0.05 * place + 1e-4 * place**2 + 9.0 * np.where(even, 0.5, -0.5)
    seen = rows + rng.normal(0, 0.4, 30)
    seen[[3, 11, 20]] += 30
    line = fit_line(place, even, seen, np.ones(30, dtype=bool))
    assert line is not None
    assert line.step == pytest.approx(9.0, abs=0.6)
    assert line.staggered
    np.testing.assert_allclose(line.rows(place, even), rows, atol=1.0)
    assert not replace(line, step=0.5).staggered
    assert fit_line(place[:5], even[:5], seen[:5], np.ones(5, dtype=bool)) is None
