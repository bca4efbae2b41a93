"""Pairs of things found and things there, against counting by hand."""

from typing import Any

import numpy as np
import pytest

from nanopilot.analysis.instances import agreement, average_precision


def boxes(*places: Any, size: Any = 40) -> Any:
    mask = np.zeros((size, size), int)
    for number, (row, column, side) in enumerate(places, start=1):
        mask[row : row + side, column : column + side] = number
    return mask


def test_the_same_mask_agrees_whatever_the_numbers() -> None:
    there = boxes((2, 2, 8), (20, 20, 8), (2, 20, 8))
    found = np.where(there > 0, 1000 - there, 0)
    paired = agreement(found, there)
    assert paired.f1 == paired.precision == paired.recall == 1
    assert paired.overlap.tolist() == [1, 1, 1]
    assert {tuple(pair) for pair in paired.pairs} == {(999, 1), (998, 2), (997, 3)}


def test_misses_and_inventions_are_counted() -> None:
    there = boxes((2, 2, 8), (20, 20, 8), (2, 20, 8))
    found = boxes((2, 2, 8), (30, 2, 8))
    paired = agreement(found, there)
    assert paired.precision == 0.5
    assert paired.recall == pytest.approx(1 / 3)
    assert paired.f1 == pytest.approx(0.4)


def test_overlap_is_intersection_over_union() -> None:
    paired = agreement(boxes((0, 0, 10)), boxes((0, 2, 10)), least=0.1)
    assert paired.overlap.tolist() == [80 / 120]
    assert len(agreement(boxes((0, 0, 10)), boxes((0, 5, 10)), least=0.5).pairs) == 0


def test_one_thing_cannot_stand_for_two() -> None:
    there = boxes((0, 0, 10), (0, 10, 10))
    found = np.where(there > 0, 1, 0)
    assert len(agreement(found, there, least=0.4).pairs) == 1


def test_the_pairing_is_the_best_one_and_not_the_first() -> None:
    there, found = np.zeros((1, 10), int), np.zeros((1, 10), int)
    there[0, :6], there[0, 6:] = 1, 2
    found[0, :5], found[0, 5:] = 1, 2
    assert {tuple(pair) for pair in agreement(found, there, 0.3).pairs} == {(1, 1), (2, 2)}


def test_nothing_against_nothing_is_perfect() -> None:
    empty = np.zeros((5, 5), int)
    assert agreement(empty, empty).f1 == 1
    assert average_precision(empty, empty, np.zeros(0)) == 1


def test_average_precision_rewards_good_scores() -> None:
    there = boxes((2, 2, 8), (20, 20, 8))
    found = boxes((2, 2, 8), (20, 20, 8), (30, 2, 8))
    assert average_precision(found, there, np.array([0.9, 0.8, 0.1])) == pytest.approx(1)
    # The invention first: precision is 1/2 at the first hit and 2/3 at the second.
    worst = average_precision(found, there, np.array([0.5, 0.4, 0.9]))
    assert worst == pytest.approx((2 / 3 + 2 / 3) / 2)
