"""What a person changed is kept as a list and done again the same way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis.electrodes import Edit, apply_edits, edits_from_json, edits_to_json
from nanopilot.core.errors import InvalidRequest, OutOfRange


def two() -> np.ndarray:
    labels = np.zeros((40, 40), dtype=np.int64)
    labels[5:35, 10:14] = 1
    labels[5:35, 20:24] = 2
    return labels


def test_cut_makes_two_plates_of_one_and_the_larger_keeps_its_number() -> None:
    now = apply_edits(two(), [Edit(kind="cut", points=((15, 5), (15, 17)))])
    assert np.unique(now).tolist() == [0, 1, 2, 3]
    assert (now == 1).sum() == 18 * 4
    assert (now == 3).sum() == 9 * 4
    assert not now[14:17, 10:14].any()
    assert (now == 2).sum() == 120


def test_a_cut_across_both_makes_four() -> None:
    now = apply_edits(two(), [Edit(kind="cut", points=((20, 0), (20, 39)), width=1)])
    assert len(np.unique(now)) == 5


def test_add_remove_and_merge() -> None:
    add = Edit(kind="add", points=((5, 30), (34, 30)))
    now = apply_edits(two(), [add])
    assert (now == 3).sum() == pytest.approx(90, abs=6)
    now = apply_edits(two(), [add, Edit(kind="remove", points=((10, 11),))])
    assert np.unique(now).tolist() == [0, 2, 3]
    now = apply_edits(two(), [Edit(kind="merge", points=((10, 11), (10, 21)))])
    assert np.unique(now).tolist() == [0, 1]
    assert (now == 1).sum() == 240


def test_a_plate_that_is_added_does_not_cover_others() -> None:
    now = apply_edits(two(), [Edit(kind="add", points=((10, 2), (10, 38)))])
    assert (now == 1).sum() == (now == 2).sum() == 120


def test_numbers_that_fall_away_are_not_given_again() -> None:
    add = Edit(kind="add", points=((5, 30), (34, 30)))
    gone = Edit(kind="remove", points=((20, 30),))
    now = apply_edits(two(), [add, gone, add])
    assert np.unique(now).tolist() == [0, 1, 2, 4]


def test_labels_given_are_left_alone_and_may_be_wide() -> None:
    labels = two() * 70_000
    before = labels.copy()
    now = apply_edits(labels, [Edit(kind="add", points=((5, 30), (34, 30)))])
    np.testing.assert_array_equal(labels, before)
    assert now.max() == 140_001


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (Edit(kind="cut", points=((1, 1),)), "has 1 points; it takes 2"),
        (Edit(kind="remove", points=((1, 1),)), "no plate is at"),
        (Edit(kind="merge", points=((10, 11), (1, 1))), "no plate is at"),
        (Edit(kind="add", points=((1, 1), (99, 1))), "outside an image of 40 x 40"),
    ],
)
def test_edits_that_do_not_fit_are_refused(edit: Edit, why: str) -> None:
    with pytest.raises(OutOfRange, match=why):
        apply_edits(two(), [edit])


points = st.tuples(st.floats(0, 39), st.floats(0, 39))
lists = st.lists(
    st.builds(Edit, kind=st.sampled_from(["cut", "add"]), points=st.tuples(points, points),
              width=st.floats(1, 5)), max_size=5,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(edits=lists)
def test_json_brings_back_the_same_edits_and_the_same_labels(edits: list[Edit]) -> None:
    again = edits_from_json(edits_to_json(edits))
    assert again == tuple(edits)
    np.testing.assert_array_equal(apply_edits(two(), again), apply_edits(two(), edits))


def test_broken_json_is_refused() -> None:
    for text in ("nothing", '[{"kind": "paint", "points": []}]', '{"kind": "cut"}'):
        with pytest.raises(InvalidRequest, match="no list of edits"):
            edits_from_json(text)
