"""Boundaries have the lengths of the curves they stand for, whatever labels are called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import perimeter_crofton

from nanopilot.analysis.grains import boundary_graph, boundary_pieces
from nanopilot.analysis.grains.choosers import length_map
from nanopilot.core.errors import SignalError, UnknownName
from nanopilot.core.signals import Axis, Signal, make_signal

NM = 1e-9
Ints = np.ndarray[Any, np.dtype[np.int64]]


def mask(values: Any, dy: float = NM, dx: float = NM) -> Signal:
    values = np.asarray(values, dtype=np.int64)
    y, x = (
        Axis(step * np.arange(float(size)), "m", "position")
        for step, size in zip((dy, dx), values.shape, strict=True)
    )
    return make_signal(values, {"y": y, "x": x}, quantity="label", units="1")


def halves(angle: float, pixel: tuple[float, float]) -> Ints:
    y, x = np.indices((81, 81), dtype=float)
    y, x = (y - 40.2) * pixel[0], (x - 40.3) * pixel[1]
    return np.where(np.cos(angle) * x + np.sin(angle) * y > 0, 2, 1)


@pytest.mark.parametrize("degrees", range(0, 180, 15))
@pytest.mark.parametrize("pixel", [(1.0, 1.0), (1.0, 1.6)])
def test_a_straight_boundary_has_its_length_at_every_angle(
    degrees: float, pixel: tuple[float, float]
) -> None:
    angle = np.deg2rad(degrees)
    graph = boundary_graph(mask(halves(angle, pixel), NM * pixel[0], NM * pixel[1]))
    # Of the line inside the frame; its direction is at right angles to the normal.
    sides = (81 * pixel[0], 81 * pixel[1])
    length = min(sides[0] / max(abs(np.cos(angle)), 1e-9), sides[1] / max(abs(np.sin(angle)), 1e-9))
    assert graph.pairs.tolist() == [[1, 2]]
    assert graph.lengths[0] == pytest.approx(length * NM, rel=0.07 if pixel[1] == 1 else 0.09)


def test_a_circle_has_its_length_and_equals_another_programs() -> None:
    y, x = np.indices((101, 101))
    inside = np.hypot(y - 50.2, x - 49.7) < 30
    graph = boundary_graph(mask(np.where(inside, 7, 3)))
    assert graph.lengths[0] == pytest.approx(2 * np.pi * 30 * NM, rel=0.01)
    assert graph.lengths[0] == pytest.approx(perimeter_crofton(inside, directions=4) * NM, rel=1e-3)
    assert graph.length(7, 3) == graph.length(3, 7) == graph.lengths[0]


def test_what_touches_at_a_corner_or_round_the_edge_does_not_touch() -> None:
    board = np.zeros((8, 8), dtype=int)
    board[:4, :4], board[4:, 4:] = 1, 2
    board[:4, 4:], board[4:, :4] = 3, 4
    graph = boundary_graph(mask(board))
    # 1 and 2 meet at a corner; 1 and 3 would meet again behind the edge.
    assert graph.pairs.tolist() == [[1, 3], [1, 4], [2, 3], [2, 4]]
    assert graph.neighbours(1) == (3, 4)
    stripes = mask(np.repeat([[1, 1, 1, 2, 2, 2, 3, 3, 3]], 9, axis=0))
    assert boundary_graph(stripes).pairs.tolist() == [[1, 2], [2, 3]]


def test_substrate_is_no_neighbour() -> None:
    board = np.zeros((9, 12), dtype=int)
    board[:, :3], board[:, 6:9], board[:, 9:] = 1, 2, 5
    graph = boundary_graph(mask(board))
    assert graph.pairs.tolist() == [[2, 5]]
    assert graph.neighbours(1) == ()
    with pytest.raises(UnknownName, match="`label` is '0'"):
        graph.neighbours(0)


boards = st.tuples(st.integers(2, 9), st.integers(2, 9)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(0, 5))
)


@settings(max_examples=80, deadline=None)
@given(board=boards, seed=st.integers(0, 2**20))
def test_other_names_change_names_only(board: Ints, seed: int) -> None:
    new = np.append(0, np.random.default_rng(seed).permutation(1000)[:5] + 1)
    first, second = boundary_graph(mask(board)), boundary_graph(mask(new[board]))
    renamed = {
        tuple(sorted(int(new[one]) for one in pair)): length
        for pair, length in zip(first.pairs, first.lengths, strict=True)
    }
    assert {tuple(map(int, pair)) for pair in second.pairs} == set(renamed)
    for pair, length in zip(second.pairs, second.lengths, strict=True):
        assert length == pytest.approx(renamed[tuple(map(int, pair))], rel=1e-12)
    np.testing.assert_allclose(length_map(mask(board)), length_map(mask(new[board])), atol=1e-24)


@settings(max_examples=60, deadline=None)
@given(board=boards, turns=st.integers(0, 3), mirrored=st.booleans())
def test_lengths_turn_with_the_frame(board: Ints, turns: int, mirrored: bool) -> None:
    laid = np.rot90(board[:, ::-1] if mirrored else board, turns)
    first, second = boundary_graph(mask(board)), boundary_graph(mask(laid))
    np.testing.assert_array_equal(first.pairs, second.pairs)
    np.testing.assert_allclose(first.lengths, second.lengths, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(board=boards)
def test_edges_are_those_that_looking_at_every_pixel_finds(board: Ints) -> None:
    found = set()
    for row, column in np.ndindex(board.shape):
        for down, across in ((0, 1), (1, 0)):
            if row + down < board.shape[0] and column + across < board.shape[1]:
                one, two = int(board[row, column]), int(board[row + down, column + across])
                if one != two and one and two:
                    found.add((min(one, two), max(one, two)))
    assert {tuple(map(int, pair)) for pair in boundary_graph(mask(board)).pairs} == found


def test_the_map_holds_all_of_the_length_and_the_unit_is_metres() -> None:
    board = np.random.default_rng(0).integers(0, 4, (20, 30))
    fine, coarse = (mask(board, step, step) for step in (NM, 7 * NM))
    assert length_map(fine).sum() == pytest.approx(boundary_pieces(fine).lengths.sum())
    np.testing.assert_allclose(boundary_graph(coarse).lengths, 7 * boundary_graph(fine).lengths)


def test_the_graph_is_one_of_networkx() -> None:
    board = np.repeat([[1, 1, 1, 2, 2, 2, 9, 9, 9]], 9, axis=0)
    graph = boundary_graph(mask(board)).to_networkx()
    assert sorted(graph.nodes) == [1, 2, 9]
    assert graph.edges[1, 2]["length"] == pytest.approx(9 * NM, rel=0.06)
    assert not graph.has_edge(1, 9)


def test_heights_are_no_labels() -> None:
    heights = mask(np.ones((4, 4))).astype(float)
    with pytest.raises(SignalError, match="whole numbers"):
        boundary_graph(heights)
