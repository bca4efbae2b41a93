"""Targets are what was asked for: the largest is the largest, and places belong to their grains."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from nanopilot.analysis.grains import (
    BoundaryDensity,
    Cluster,
    Grains,
    HeightOutlier,
    Largest,
    Quantile,
    Smallest,
    from_mask,
)
from nanopilot.analysis.grains.choosers import densest_windows, length_map
from nanopilot.bench.grain_frames import draw_scene
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, make_signal

NM = 1e-9
GRAINS_OF = (Largest, Smallest, Quantile, HeightOutlier)


def signal(values: Any, quantity: str, units: str, step: float = NM, **facts: Any) -> Signal:
    y, x = (
        Axis(step * np.arange(float(size)) + 3 * NM, "m", "position") for size in np.shape(values)
    )
    return make_signal(
        np.asarray(values), {"y": y, "x": x}, quantity=quantity, units=units, metadata=facts
    )


@pytest.fixture(scope="module")
def mosaic() -> Grains:
    scene = draw_scene("caps", np.random.default_rng(3))
    return from_mask(signal(scene.labels, "label", "1"), signal(scene.frame, "height", "m"))


def relabelled(grains: Grains, seed: int = 0) -> tuple[Grains, Any]:
    old = grains.labels.to_numpy()
    new = np.append(0, 1 + np.random.default_rng(seed).permutation(int(old.max()) * 3))
    heights = signal(np.zeros(old.shape), "height", "m")
    heights = heights.copy(data=grains.table["mean"].to_numpy()[dense(grains)[old]])
    return from_mask(grains.labels.copy(data=new[old]), heights), new


def dense(grains: Grains) -> Any:
    names = grains.table["label"].to_numpy()
    rows = np.zeros(int(names.max()) + 1, dtype=int)
    rows[names] = np.arange(len(names))
    return rows


def cut(labels: Any) -> set[int]:
    return set(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]).tolist())


def test_largest_and_smallest_are_those_of_counting_pixels(mosaic: Grains) -> None:
    labels = mosaic.labels.to_numpy()
    counts = {
        int(name): int((labels == name).sum())
        for name in np.unique(labels)
        if name > 0 and name not in cut(labels)
    }
    largest, smallest = Largest(3)(mosaic), Smallest(3)(mosaic)
    assert counts[int(largest.ids[0])] == max(counts.values())
    assert counts[int(smallest.ids[0])] == min(counts.values())
    assert [counts[int(one)] for one in largest.ids] == sorted(counts.values())[::-1][:3]
    assert [counts[int(one)] for one in smallest.ids] == sorted(counts.values())[:3]
    assert largest.scores[0] == pytest.approx(max(counts.values()) * NM**2)


def test_a_grain_cut_by_the_edge_is_never_the_largest() -> None:
    labels = np.ones((30, 30), dtype=int)
    labels[10:16, 10:16] = 2
    labels[20:22, 20:22] = 3
    grains = from_mask(signal(labels, "label", "1"), signal(labels * NM, "height", "m"))
    assert Largest()(grains).ids.tolist() == [2]
    assert Largest(9)(grains).ids.tolist() == [2, 3]
    assert grains.diameters.size == 2


@pytest.mark.parametrize("rule", GRAINS_OF)
@pytest.mark.parametrize("count", [1, 4, 10])
def test_n_targets_are_n_grains_and_each_place_lies_in_its_grain(
    mosaic: Grains, rule: Any, count: int
) -> None:
    found = rule(count=count)(mosaic)
    assert found.ids.shape == (count,)
    assert len(set(found.ids.tolist())) == count
    assert found.places.shape == (count, 2)
    assert found.places.dtype == np.float64
    for label, (x, y) in zip(found.ids, found.places, strict=True):
        assert int(mosaic.labels.sel(x=x, y=y, method="nearest")) == label


def test_a_ring_is_gone_to_where_it_is_and_not_in_its_hole() -> None:
    y, x = np.indices((60, 60))
    away = np.hypot(y - 30, x - 30)
    labels = np.where(away < 24, np.where(away > 12, 1, 2), 3)
    grains = from_mask(signal(labels, "label", "1"), signal(away * NM, "height", "m"))
    found = Largest()(grains)
    assert found.ids.tolist() == [1]
    assert int(grains.labels.sel(x=found.places[0, 0], y=found.places[0, 1], method="nearest")) == 1


def test_a_quantile_lies_between_the_ends(mosaic: Grains) -> None:
    area = mosaic.table["area"].to_numpy()[mosaic.whole]
    ends = [Quantile(share)(mosaic).scores[0] for share in (0.0, 0.5, 1.0)]
    assert ends[0] == area.min()
    assert ends[2] == area.max()
    assert abs(ends[1] - np.median(area)) <= np.abs(area - np.median(area)).min() * (1 + 1e-9)


def test_the_height_outlier_may_lie_low() -> None:
    labels = np.zeros((40, 40), dtype=int)
    heights = np.zeros((40, 40))
    for number in range(9):
        rows, columns = divmod(number, 3)
        part = (slice(4 + 12 * rows, 12 + 12 * rows), slice(4 + 12 * columns, 12 + 12 * columns))
        labels[part] = number + 1
        heights[part] = number * 1e-10
    heights[labels == 5] = -7e-9
    grains = from_mask(signal(labels, "label", "1"), signal(heights, "height", "m"))
    found = HeightOutlier(2)(grains)
    assert found.ids[0] == 5
    assert found.scores[0] < 0


def test_windows_are_those_that_trying_all_finds() -> None:
    lengths = np.random.default_rng(1).random((23, 31)) ** 3
    found = densest_windows(lengths, (5, 4), 6)
    left = lengths.copy()
    sums = {(r, c): left[r : r + 5, c : c + 4].sum() for r in range(19) for c in range(28)}
    for top, edge, total in found:
        best = max(sums, key=lambda at: sums[at])
        assert (top, edge) == best
        assert total == pytest.approx(sums[best])
        sums = {at: one for at, one in sums.items()
                if abs(at[0] - top) >= 5 or abs(at[1] - edge) >= 4}  # fmt: skip


def test_dense_boundaries_are_found_where_grains_are_small() -> None:
    labels = np.add.outer(40 * (np.arange(120) // 40), np.arange(120) // 40) + 1
    rows, columns = np.indices((24, 24)) // 6
    labels[60:84, 60:84] = 1000 + 4 * rows + columns
    grains = from_mask(signal(labels, "label", "1"), signal(labels * 0.0, "height", "m"))
    found = BoundaryDensity(1, reach=24 * NM)(grains)
    middle = (71.5 + 3) * NM
    np.testing.assert_allclose(found.places[0], [middle, middle], atol=4 * NM)


def test_windows_hold_what_another_way_of_summing_holds(mosaic: Grains) -> None:
    found = BoundaryDensity(10, reach=21 * NM)(mosaic)
    lengths = length_map(mosaic.labels)
    sums = uniform_filter(lengths, 21, mode="constant")[10:-10, 10:-10] * 21**2
    assert found.scores[0] == pytest.approx(sums.max(), rel=1e-9)
    assert (np.diff(found.scores) <= 1e-18).all()
    apart = np.abs(found.places[:, None] - found.places[None]).max(axis=-1) + np.eye(10)
    assert apart.min() >= 20.5 * NM


@pytest.mark.parametrize(
    "rule", [Largest(5), Smallest(5), Quantile(0.3, 5), HeightOutlier(5), BoundaryDensity(5)]
)
def test_other_labels_give_the_same_places(mosaic: Grains, rule: Any) -> None:
    # No two areas or heights are alike here, so that no tie is broken by a name.
    unique = len(np.unique(mosaic.table["area"].to_numpy()))
    other, new = relabelled(mosaic)
    first, second = rule(mosaic), rule(other)
    if isinstance(rule, BoundaryDensity | HeightOutlier) or unique == mosaic.count:
        np.testing.assert_allclose(first.places, second.places, atol=1e-15)
        np.testing.assert_array_equal(new[first.ids], second.ids)
    np.testing.assert_allclose(first.scores, second.scores, rtol=1e-6)


def crowd(step: float) -> Grains:
    labels = np.zeros((200, 200), dtype=int)
    rng, number = np.random.default_rng(2), 0
    middles = [(40, 60, 4), (150, 140, 6)]
    for row, column, spread in middles:
        for down, across in np.ndindex(4, 4):
            at = (row + spread * (down - 1), column + spread * (across - 1))
            number += 1
            labels[at[0] : at[0] + 3, at[1] : at[1] + 3] = number
    for row, column in rng.integers(5, 190, (60, 2)):
        near = min(max(abs(row - r), abs(column - c)) for r, c, _ in middles)
        if near > 30 and not labels[row - 3 : row + 6, column - 3 : column + 6].any():
            number += 1
            labels[row : row + 3, column : column + 3] = number
    return from_mask(signal(labels, "label", "1", step), signal(labels * 0.0, "height", "m", step))


def test_clusters_are_told_in_metres_the_tightest_first_in_any_unit() -> None:
    found = Cluster(2)(crowd(NM))
    np.testing.assert_allclose(found.places[0], [66 * NM, 46 * NM], atol=6 * NM)
    np.testing.assert_allclose(found.places[1], [153 * NM, 163 * NM], atol=6 * NM)
    large = Cluster(2)(crowd(1000 * NM))
    np.testing.assert_array_equal(found.ids, large.ids)
    np.testing.assert_allclose(
        (large.places - 3 * NM) / (1000 * NM), (found.places - 3 * NM) / NM, rtol=1e-6
    )
    assert len(set(found.ids.tolist())) == 2


@pytest.mark.parametrize("rule", [*(one() for one in GRAINS_OF), BoundaryDensity(3), Cluster()])
def test_no_coordinate_is_cut_off_in_a_frame_of_700_pixels(rule: Any) -> None:
    labels = np.add.outer(70 * (np.arange(700) // 35), np.arange(700) // 35) + 1
    heights = np.random.default_rng(0).random(labels.max() + 1)[labels] * NM
    grains = from_mask(signal(labels, "label", "1"), signal(heights, "height", "m"))
    found = rule(grains)
    assert found.places.shape == (len(found.ids), 2)
    assert found.places.dtype == np.float64
    assert (found.places >= 3 * NM).all()
    assert (found.places <= 703 * NM).all()
    if isinstance(rule, BoundaryDensity):
        assert len(found.ids) == 3


def test_a_turned_frame_is_gone_to_where_it_lies_on_the_stage(mosaic: Grains) -> None:
    facts = {"origin": [40 * NM, 50 * NM], "rotation": np.pi / 2}
    turned = mosaic.labels.copy()
    turned.attrs = turned.attrs | {key: json.dumps(one) for key, one in facts.items()}
    heights = mosaic.labels.copy(data=np.zeros(turned.shape))
    heights.attrs = {"quantity": "height", "units": "m"}
    found = Largest()(from_mask(turned, heights)).places[0]
    x, y = Largest()(mosaic).places[0]
    # A quarter turn, counter-clockwise, about the middle of the scan.
    np.testing.assert_allclose(
        found, [40 * NM - (y - 50 * NM), 50 * NM + (x - 40 * NM)], atol=1e-15
    )


@pytest.mark.parametrize(
    ("rule", "setting"),
    [(one, {"count": 0}) for one in (*GRAINS_OF, Cluster, BoundaryDensity)]
    + [(Quantile, {"share": 1.2}), (BoundaryDensity, {"reach": -1e-9}), (Cluster, {"members": 1})],
)
def test_bad_settings_are_refused(rule: Any, setting: dict[str, float]) -> None:
    with pytest.raises(OutOfRange, match=f"`{next(iter(setting))}`"):
        rule(**setting)


def test_a_mask_of_nothing_is_refused() -> None:
    empty = signal(np.zeros((5, 5), dtype=int), "label", "1")
    with pytest.raises(SignalError, match="no grain"):
        from_mask(empty, empty)
