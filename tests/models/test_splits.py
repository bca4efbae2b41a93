"""Splits by group: no group on two sides, near the shares, and the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import OutOfRange
from nanopilot.models.splits import group_split, three_way_split


@st.composite
def grouped(draw: st.DrawFn) -> list[str]:
    sizes = draw(st.lists(st.integers(1, 30), min_size=3, max_size=15))
    names = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    return draw(st.permutations(names))


@settings(max_examples=40, deadline=None)
@given(grouped(), st.integers(0, 100))
def test_every_group_is_on_one_side_and_every_side_has_one(groups: list[str], seed: int) -> None:
    split = three_way_split(groups, np.random.default_rng(seed))
    sides = (split.train, split.validation, split.test)
    assert all(sides)
    assert sorted(name for side in sides for name in side) == sorted(set(groups))
    rows = split.rows(groups)
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(groups)))
    for side, part in zip(sides, rows, strict=True):
        assert {groups[row] for row in part} == set(side)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 0.9))
def test_shares_are_met_to_less_than_the_smallest_groups_allow(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 8, 40)
    groups = [f"g{n}" for n, size in enumerate(sizes) for _ in range(size)]
    held = group_split(groups, rng, share)
    found = np.isin(groups, held).mean()
    assert abs(found - share) <= 1.5 / len(groups)


def test_three_shares_are_met_as_nearly_as_brute_force_can() -> None:
    sizes = [7, 1, 3, 9, 2, 5]
    groups = [f"g{n}" for n, size in enumerate(sizes) for _ in range(size)]
    shares = (0.5, 0.3, 0.2)

    def off(parts: tuple[float, ...]) -> float:
        return sum(abs(a - b * len(groups)) for a, b in zip(parts, shares, strict=True))

    best = min(
        off(tuple(float(sum(s for s, w in zip(sizes, where, strict=True) if w == side))
                  for side in range(3)))
        for where in np.ndindex(*(3,) * len(sizes)) if set(where) == {0, 1, 2}
    )  # fmt: skip
    split = three_way_split(groups, np.random.default_rng(0), shares)
    assert off(tuple(float(len(rows)) for rows in split.rows(groups))) <= best + 1e-9


def test_same_seed_same_split_and_other_seeds_others() -> None:
    groups = [f"g{n % 20}" for n in range(100)]
    splits = [three_way_split(groups, np.random.default_rng(seed)) for seed in (0, 0, 1, 2)]
    assert splits[0] == splits[1]
    assert len(set(splits)) == 3
    # Nor does the order of examples matter.
    assert three_way_split(groups[::-1], np.random.default_rng(0)) == splits[0]


def test_every_group_is_held_out_some_time() -> None:
    groups = [f"g{n % 8}" for n in range(64)]
    held = [group_split(groups, np.random.default_rng(seed), 0.25) for seed in range(60)]
    assert {name for one in held for name in one} == set(groups)


def test_too_few_groups_and_impossible_shares_are_refused_with_the_way_out() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(OutOfRange, match=r"2 groups \(a, b\).*3 at least.*more finely"):
        three_way_split(["a", "b", "b"], rng)
    with pytest.raises(OutOfRange, match=r"1 groups \(a\)"):
        group_split(["a", "a"], rng, 0.5)
    with pytest.raises(OutOfRange, match=r"0 groups \(none\)"):
        group_split([], rng, 0.5)
    with pytest.raises(OutOfRange, match="their sum 1"):
        three_way_split(list("abcd"), rng, (0.5, 0.5, 0.5))
    with pytest.raises(OutOfRange, match="more than 0"):
        group_split(list("abcd"), rng, 1.0)
