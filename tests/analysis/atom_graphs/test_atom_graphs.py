"""Bonds, periods, empty sites, features and strain against what is known of drawn lattices."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.stats import chi2, norm

from nanopilot.analysis.atom_graphs.crystal import read_crystal
from nanopilot.analysis.atom_graphs.features import (
    EDGE_FEATURES,
    NODE_FEATURES,
    bond_order,
    edge_table,
    measure_features,
    node_table,
    polarity,
)
from nanopilot.analysis.atom_graphs.graph import boundary, build_graph, largest_gap
from nanopilot.analysis.atom_graphs.links import link
from nanopilot.analysis.atom_graphs.periods import find_periods, next_distance
from nanopilot.analysis.atom_graphs.sites import Shape, measure, vacant_sites
from nanopilot.analysis.atom_graphs.strain import as_normal, unusual
from nanopilot.core.errors import OutOfRange, SignalError

Array = np.ndarray[Any, np.dtype[Any]]
KINDS = ("square", "hexagonal", "honeycomb", "perovskite", "oblique")
#: Area of the cell over the squared distance of next neighbours.
AREAS = {
    "square": 1.0, "hexagonal": 0.75**0.5, "honeycomb": 1.5 * 3**0.5, "perovskite": 2.0,
    "oblique": 1.15,
}  # fmt: skip


def test_nearest_bonds_are_those_of_brute_force() -> None:
    place = np.random.default_rng(0).uniform(0, 1e-9, (60, 2))
    graph = build_graph(place, bonds="nearest", nearest=3, longest=100.0)
    far = np.hypot(*(place[:, None] - place).transpose(2, 0, 1))
    want = {(min(i, int(j)), max(i, int(j))) for i in range(60) for j in np.argsort(far[i])[1:4]}
    assert {tuple(pair) for pair in graph.edges.tolist()} == want
    np.testing.assert_array_equal(graph.bonds, place[graph.edges[:, 1]] - place[graph.edges[:, 0]])
    np.testing.assert_allclose(graph.lengths, far[tuple(graph.edges.T)])


def test_triangles_join_all_next_neighbours_and_cross_no_vacuum(lattice: Any) -> None:
    place, _ = lattice("hexagonal")
    near = {tuple(sorted(pair)) for pair in cKDTree(place).query_pairs(12.5)}
    edges = {tuple(pair) for pair in build_graph(place).edges.tolist()}
    assert near <= edges
    apart = np.concatenate([place, place + np.array([400.0, 0.0])])
    across = build_graph(apart).edges
    assert not ((across[:, 0] < len(place)) & (across[:, 1] >= len(place))).any()


def test_edges_are_marked_and_neighbours_of_a_vacancy_are_not(lattice: Any, inner: Any) -> None:
    for kind in KINDS:
        place, _ = lattice(kind)
        gone = inner(place)[3]
        marked = boundary(np.delete(place, gone, axis=0))
        rest = np.delete(place, gone, axis=0)
        assert not marked[inner(rest, margin=30)].any(), kind
        outermost = np.unique(np.concatenate([rest.argmin(axis=0), rest.argmax(axis=0)]))
        assert marked[outermost].all(), kind


def test_largest_gap_is_that_of_all_pairs() -> None:
    angles = np.array([0.1, 1.0, 2.9, 4.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert largest_gap(vectors) == pytest.approx(2 * np.pi - 3.9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turn", [0.0, 0.3, 1.1])
def test_periods_span_the_cell(kind: str, turn: float, lattice: Any) -> None:
    place, atom = lattice(kind, turn=turn)
    rng = np.random.default_rng(1)
    height = np.where(atom == 1, 55.0, 100.0) * rng.normal(1, 0.03, len(atom))
    periods = find_periods(place + rng.normal(0, 0.08, place.shape), height)
    assert abs(np.linalg.det(periods)) == pytest.approx(AREAS[kind] * 144, rel=0.01)


def test_two_levels_make_the_cell_twice_as_large(lattice: Any) -> None:
    place, atom = lattice("perovskite")
    same = find_periods(place, np.full(len(place), 100.0))
    other = find_periods(place, np.where(atom == 1, 70.0, 100.0))
    assert abs(np.linalg.det(other) / np.linalg.det(same)) == pytest.approx(2.0, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_column_taken_away_is_an_empty_site(data: Any, lattice: Any, inner: Any) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    place, _ = lattice(kind)
    some = data.draw(st.lists(st.sampled_from(inner(place).tolist()), min_size=1, max_size=4))
    apart: list[int] = []
    for one in some:
        if all(np.hypot(*(place[one] - place[two])) > 40 for two in apart):
            apart.append(one)
    rest = np.delete(place, apart, axis=0)
    rest = rest + np.random.default_rng(0).normal(0, 0.1, rest.shape)
    periods = find_periods(rest, np.where(np.arange(len(rest)) >= 0, 1.0, 1.0))
    links = link(rest, periods, next_distance(rest))
    box = np.array([rest.min(axis=0), rest.max(axis=0)])
    found = vacant_sites(rest, links, box)
    assert len(found) == len(apart)
    far, _ = cKDTree(found).query(place[apart])
    assert np.max(far) < 0.4


def test_no_site_is_empty_beyond_a_surface(lattice: Any) -> None:
    place, _ = lattice("perovskite")
    crystal = place[place @ [0.8, 0.6] < 150]
    periods = find_periods(crystal, np.ones(len(crystal)))
    links = link(crystal, periods, next_distance(crystal))
    assert len(vacant_sites(crystal, links, np.array([[0.0, 0.0], [192.0, 192.0]]))) == 0


def test_height_at_a_site_is_that_of_a_fit_of_everything(lattice: Any) -> None:
    place, _ = lattice("square", size=96.0)
    rows, columns = np.indices((96, 96))
    heights = np.random.default_rng(2).uniform(60, 140, len(place))
    image = np.full((96, 96), 25.0)
    for (x, y), tall in zip(place, heights, strict=True):
        image += tall * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 8)
    noisy = image + np.random.default_rng(3).normal(0, 3.0, image.shape)
    at = int(np.argmin(np.hypot(*(place - 48).T)))
    others = np.delete(np.arange(len(place)), at)
    shape = Shape(np.eye(2) / 4, 2.0)
    found, error = measure(noisy, place[at][None], (place[others], heights[others]), shape)
    assert abs(found[0] - heights[at]) < 4 * error[0]
    assert 0.2 < error[0] < 3.0
    empty = image - heights[at] * np.exp(
        -((rows - place[at, 1]) ** 2 + (columns - place[at, 0]) ** 2) / 8
    )
    none, _ = measure(empty, place[at][None], (place[others], heights[others]), shape)
    assert abs(none[0]) < 0.02 * heights[at]


def _turned(place: Array, angle: float) -> Array:
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned: Array = place @ rotation.T
    return turned


@pytest.mark.parametrize("kind", ["square", "honeycomb", "perovskite"])
def test_features_do_not_know_place_direction_or_scale(kind: str, lattice: Any, table: Any) -> None:
    place, atom = lattice(kind)
    rng = np.random.default_rng(4)
    place = place + rng.normal(0, 0.15, place.shape)
    height = np.where(atom == 1, 55.0, 100.0) * rng.normal(1, 0.03, len(atom))
    height[inner_one(place)] = 20.0
    tables = []
    for angle, scale, shift in ((0.0, 2e-11, 0.0), (0.83, 3.1e-11, 900.0)):
        crystal = read_crystal(table(_turned(place, angle) + shift, height, scale))
        features = measure_features(crystal)
        tables.append((node_table(crystal, features), edge_table(crystal), crystal))
    inside = ~tables[0][2].edge & ~tables[1][2].edge
    first, second = (one[0][inside] for one in tables)
    assert first.shape[1] == len(NODE_FEATURES)
    assert tables[0][1].shape[1] == len(EDGE_FEATURES)
    # The lattice's own steps may be others of the same kind: the median over pairs then differs.
    close = np.isclose(first, second, atol=0.35, rtol=0.1).mean()
    assert close > 0.97
    np.testing.assert_allclose(
        tables[0][2].graph.lengths.sum() / 2e-11, tables[1][2].graph.lengths.sum() / 3.1e-11,
        rtol=0.02,
    )  # fmt: skip


def inner_one(place: Array) -> int:
    return int(np.argmin(np.hypot(*(place - place.mean(axis=0)).T)))


def test_order_is_one_for_its_own_lattice(lattice: Any, inner: Any) -> None:
    for kind, own, other in (("square", 0, 1), ("hexagonal", 1, 0)):
        place, _ = lattice(kind)
        order = bond_order(build_graph(place))[inner(place)]
        np.testing.assert_allclose(order[:, own], 1.0, atol=1e-6)
        assert order[:, other].max() < 0.01


def test_strain_of_a_region_is_the_affine_map_it_was_given(
    lattice: Any, table: Any, inner: Any
) -> None:
    place, _ = lattice("perovskite", size=300.0)
    stretched = (np.abs(place - 150) < 60).all(axis=1)
    middle = np.array([150.0, 150.0])
    bend = np.array([[0.03, 0.01], [-0.005, -0.02]])
    moved = np.where(stretched[:, None], place + (place - middle) @ bend.T, place)
    crystal = read_crystal(table(moved, 100.0))
    features = measure_features(crystal)
    well = (np.abs(place - 150) < 25).all(axis=1)
    outside = inner(place, 300.0, 25.0)
    outside = outside[(np.abs(place[outside] - 150) > 90).any(axis=1)]
    away = np.median(features.pooled[well], axis=0) - np.median(features.pooled[outside], axis=0)
    np.testing.assert_allclose(away, [0.03, -0.02, 0.0025, -0.0075], atol=1.5e-3)
    # Even strain is no displacement, and the borders of the region are.
    assert np.abs(features.displacement[well]).max() < 1e-3


def test_polarity_is_the_shift_of_one_sublattice(lattice: Any, table: Any, inner: Any) -> None:
    place, atom = lattice("perovskite")
    right = place[:, 0] > 96
    shift = np.where(right, 0.4, -0.4)[:, None] * np.array([0.6, 0.8])
    height = np.where(atom == 1, 55.0, 100.0)
    crystal = read_crystal(table(place + (atom == 1)[:, None] * shift, height))
    found = polarity(crystal) * 12.0
    deep = inner(place, margin=25)
    deep = deep[np.abs(place[deep, 0] - 96) > 25]
    step = found[deep][right[deep]].mean(axis=0) - found[deep][~right[deep]].mean(axis=0)
    np.testing.assert_allclose(np.abs(step), [0.48, 0.64], atol=0.03)


def test_unusual_of_normal_numbers_is_chi_square_and_outliers_do_not_hide() -> None:
    rng = np.random.default_rng(5)
    place = rng.uniform(0, 1, (3000, 2))
    values = rng.normal(size=(3000, 3)) @ np.array([[1, 0, 0], [0.5, 2, 0], [0, 0.3, 0.1]])
    values += place @ rng.normal(size=(2, 3)) * 5
    clean = unusual(values, place)
    for share in (0.5, 0.9, 0.99):
        assert np.quantile(clean, share) == pytest.approx(chi2.ppf(share, 3), rel=0.1)
    spoilt = values.copy()
    spoilt[:400] += np.array([0, 0, 3.0])
    # What is off raises what is usual somewhat, but is far out all the same.
    assert np.median(unusual(spoilt, place)[:400]) > 100
    assert np.median(unusual(spoilt, place)[400:]) == pytest.approx(chi2.ppf(0.5, 3), rel=0.25)
    spoilt[0] = np.nan
    assert np.isnan(unusual(spoilt, place)[0])


def test_a_floor_keeps_small_differences_small() -> None:
    rng = np.random.default_rng(6)
    values = 1e-4 * rng.normal(size=(500, 2))
    values[0] = [3e-3, 0]
    place = rng.uniform(size=(500, 2))
    assert unusual(values, place)[0] > 300
    assert unusual(values, place, floor=2e-3)[0] < 3


def test_chi_square_becomes_normal() -> None:
    for free in (2, 4):
        for share in (0.3, 0.9, 0.999):
            found = float(as_normal(np.array(chi2.ppf(share, free)), free))
            assert found == pytest.approx(norm.ppf(share), abs=0.12)


def test_memory_grows_with_the_number_of_columns_and_not_with_its_square(lattice: Any) -> None:
    peaks, bonds = [], []
    for size in (300.0, 600.0):
        place, _ = lattice("square", spacing=8.0, size=size)
        tracemalloc.start()
        graph = build_graph(place)
        peaks.append(tracemalloc.get_traced_memory()[1] / len(place))
        tracemalloc.stop()
        bonds.append(len(graph.edges) / len(place))
    assert peaks[1] < 1.3 * peaks[0]
    assert max(bonds) < 3.1


def test_what_cannot_be_a_graph_is_refused() -> None:
    line = np.stack([np.arange(10.0), np.zeros(10)], axis=1)
    with pytest.raises(SignalError, match="one line"):
        build_graph(line)
    with pytest.raises(SignalError, match="4 columns"):
        build_graph(line[:3])
    with pytest.raises(OutOfRange, match="`nearest` is 0"):
        build_graph(line, nearest=0)
    with pytest.raises(SignalError, match="20 columns"):
        find_periods(line, np.ones(10))
    noise = np.random.default_rng(0).uniform(0, 100, (200, 2))
    with pytest.raises(SignalError, match="no two independent periods"):
        find_periods(noise, np.ones(200))
