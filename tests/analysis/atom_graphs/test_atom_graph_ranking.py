"""Frames ranked as a user would: what stands out is what was planted, and nonsense is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from nanopilot.analysis.atom_graphs import (
    BASELINES,
    CLASSES,
    AtomGraph,
    rank_sites,
    site_table,
)
from nanopilot.analysis.atom_graphs.anomaly import as_normal, spread
from nanopilot.analysis.atom_graphs.baselines import distance_score, intensity_score
from nanopilot.analysis.atom_graphs.strangeness import strangeness
from nanopilot.analysis.atoms import find_columns
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Signal, check_set

Array = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(scope="module")
def scene(lattice: Any, picture: Any, inner: Any) -> tuple[Signal, Array, dict[str, int]]:
    """Return a frame of two sublattices, its places, and which sites are spoilt and how."""
    place, atom = lattice("perovskite", spacing=12.0, size=240.0)
    height = np.where(atom == 1, 110.0, 200.0)
    middle = list(inner(place, 240.0, 40.0))
    first = [one for one in middle if atom[one] == 0]
    second = [one for one in middle if atom[one] == 1]
    chosen = {
        "vacancy": first[4], "part": first[len(first) // 2], "heavier": first[-4],
        "antisite": second[10], "lighter": second[-12],
    }  # fmt: skip
    for name, factor in (("vacancy", 0.0), ("part", 0.65), ("heavier", 1.4), ("lighter", 0.78)):
        height[chosen[name]] *= factor
    height[chosen["antisite"]] = 200.0
    return picture(place, height, size=240), place, chosen


@pytest.fixture(scope="module")
def ranked(scene: tuple[Signal, Array, dict[str, int]]) -> Any:
    return AtomGraph().rank(scene[0])


def at(ranked: Any, place: Array) -> int:
    away = np.hypot(*(ranked.crystal.place - place * 2e-11).T)
    assert away.min() < 1.5 * 2e-11
    return int(away.argmin())


def test_what_was_planted_comes_first_and_is_called_by_its_name(scene: Any, ranked: Any) -> None:
    _, place, chosen = scene
    wanted = {name: at(ranked, place[site]) for name, site in chosen.items()}
    assert set(ranked.order()[:5].tolist()) == set(wanted.values())
    names = {name: CLASSES[ranked.kind[node]] for name, node in wanted.items()}
    assert names == {
        "vacancy": "vacancy", "part": "vacancy", "heavier": "heavier", "antisite": "antisite",
        "lighter": "lighter",
    }  # fmt: skip
    assert not ranked.crystal.column[wanted["vacancy"]]
    assert abs(ranked.features.height[wanted["part"]] + 0.35) < 0.06
    # Their errors are small against scores, and scores of the others are as of normal numbers.
    assert ranked.spread[wanted["vacancy"]] < 0.5 * ranked.score[wanted["vacancy"]]
    rest = np.setdiff1d(ranked.order(), list(wanted.values()))
    assert np.quantile(ranked.score[rest], 0.98) < 5.0


def test_edges_are_marked_and_not_flagged(ranked: Any) -> None:
    place = ranked.crystal.place
    low, high = place.min(axis=0) + 6e-11, place.max(axis=0) - 6e-11
    outer = ~((place > low) & (place < high)).all(axis=1)
    kinds = {CLASSES[kind] for kind in ranked.kind[outer]}
    assert kinds == {"boundary"}
    assert not set(np.flatnonzero(ranked.crystal.edge)) & set(ranked.order().tolist())
    # Whatever the number of neighbours of a node is.
    nearest = rank_sites(ranked.columns, bonds="nearest")
    assert (nearest.kind[outer[: len(nearest.kind)]] == CLASSES.index("boundary")).all()


def test_a_column_shifted_by_a_fraction_of_a_pixel_is_told_by_that_fraction(
    lattice: Any, picture: Any, inner: Any
) -> None:
    place, _ = lattice("square", spacing=12.0)
    site = inner(place)[5]
    moved = place.copy()
    moved[site] += [0.37, -0.22]
    ranked = AtomGraph().rank(picture(moved, np.full(len(place), 3000.0)))
    node = at(ranked, moved[site])
    pixels = ranked.features.displacement[node] * ranked.crystal.links.near / 2e-11
    np.testing.assert_allclose(pixels, [0.37, -0.22], atol=0.05)
    assert ranked.order()[0] == node


def test_columns_nearer_than_three_pixels_stay_apart(lattice: Any) -> None:
    from nanopilot.core.signals import Axis, make_signal

    line = np.arange(6.0, 58.0, 7.0)
    place = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    place = np.concatenate([place, place + np.array([2.8, 0.0])])
    rows, columns = np.indices((64, 64))
    mean = np.full((64, 64), 20.0)
    for x, y in place:
        mean += 900 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 0.8**2))
    axis = Axis(np.arange(64) * 3e-11, "m", "position")
    counts = np.random.default_rng(0).poisson(mean).astype(float)
    frame = make_signal(counts, {"y": axis, "x": axis}, quantity="counts", units="1")
    ranked = AtomGraph(width=2.4e-11).rank(frame)
    assert ranked.crystal.column.sum() == len(place)
    assert ranked.crystal.links.near == pytest.approx(2.8 * 3e-11, rel=0.02)


def test_sublattices_whose_heights_overlap_are_not_named(
    ranked: Any, lattice: Any, picture: Any, inner: Any
) -> None:
    assert set(np.unique(ranked.sublattice)) == {0, 1}
    inside = ~ranked.crystal.edge
    assert np.median(ranked.probability[inside]) > 0.999
    place, atom = lattice("honeycomb", spacing=13.0, size=240.0)
    rng = np.random.default_rng(1)
    height = np.where(atom == 1, 200.0, 206.0) * rng.normal(1, 0.04, len(atom))
    close = AtomGraph().rank(picture(place, height, size=240))
    assert close.crystal.sublattice.max() == 1
    assert (close.sublattice == -1).all()
    assert (close.probability == 0).all()
    # Heights three spreads apart do not name a column that is between and beyond them.
    height = np.where(atom == 1, 200.0, 220.0) * rng.normal(1, 0.035, len(atom))
    odd = next(one for one in inner(place, 240.0, 60.0) if atom[one] == 1)
    height[odd] = 244.0
    near = AtomGraph().rank(picture(place, height * 5, size=240))
    assert CLASSES[near.kind[at(near, place[odd])]] == "heavier"
    assert CLASSES.index("antisite") not in near.kind


def test_the_table_is_a_signal_set_and_repeats(scene: Any, ranked: Any) -> None:
    table = check_set(AtomGraph()(scene[0]))
    again = site_table(ranked)
    assert table.identical(again)
    assert json.loads(table.attrs["kinds"]) == list(CLASSES)
    assert {"intensity_score", "distance_score", "score", "score_error"} <= set(table)
    count = int(table["column"].sum())
    assert np.isnan(table["x_error"].to_numpy()[count:]).all()


def test_rows_that_run_the_other_way_change_nothing(scene: Any, ranked: Any) -> None:
    frame = scene[0]
    other = AtomGraph().rank(frame.isel(y=slice(None, None, -1)))
    assert len(other.score) == len(ranked.score)
    np.testing.assert_allclose(np.sort(other.score)[-5:], np.sort(ranked.score)[-5:], rtol=0.02)


def test_spread_is_the_jackknife_over_directions(ranked: Any) -> None:
    found = spread(ranked.crystal)
    inside = ~ranked.crystal.edge
    assert np.isfinite(found[inside]).all()
    assert (found[inside] >= 0).all()
    assert found[inside].max() > 0.1


def test_noise_and_blobs_are_refused(picture: Any) -> None:
    rng = np.random.default_rng(0)
    noise = picture(np.zeros((0, 2)), np.zeros(0), size=96)
    blobs = picture(rng.uniform(5, 91, (40, 2)), rng.uniform(60, 200, 40), size=96)
    for frame in (noise, blobs):
        with pytest.raises(SignalError, match=r"columns"):
            AtomGraph()(frame)
    assert strangeness(blobs) == np.inf


def test_a_wrong_pixel_size_is_refused_unless_any_will_do(lattice: Any, picture: Any) -> None:
    place, _ = lattice("square")
    frame = picture(place, np.full(len(place), 200.0), pitch=1e-9)
    with pytest.raises(OutOfRange, match=r"1[12][.\d]* nm apart"):
        AtomGraph()(frame)
    assert AtomGraph(any_scale=True)(frame).sizes["point"] >= len(place)
    with pytest.raises(OutOfRange, match="`flagged` is 0"):
        AtomGraph(flagged=0.0)(frame)


def test_baselines_are_what_they_say(lattice: Any, table: Any) -> None:
    place, atom = lattice("perovskite")
    rng = np.random.default_rng(3)
    height = np.where(atom == 1, 110.0, 200.0) * rng.normal(1, 0.02, len(atom))
    columns = table(place + rng.normal(0, 0.1, place.shape), height)
    x, y = columns["x"].to_numpy(), columns["y"].to_numpy()
    far = np.hypot(x[:, None] - x, y[:, None] - y)
    one = 40
    around = height[np.argsort(far[one])[1:25]]
    mad = 1.4826 * np.median(np.abs(around - np.median(around)))
    want = abs(height[one] - np.median(around)) / mad
    assert intensity_score(columns).score[one] == pytest.approx(want)
    nearest = np.sort(far, axis=1)[:, 1]
    mad = 1.4826 * np.median(np.abs(nearest - np.median(nearest)))
    want = abs(nearest[one] - np.median(nearest)) / mad
    assert distance_score(columns).score[one] == pytest.approx(want)


def test_a_global_lattice_names_the_empty_site_and_every_baseline_answers(scene: Any) -> None:
    frame, place, chosen = scene
    columns = find_columns(frame)
    for name, score in BASELINES.items():
        found = score(columns, frame)
        assert found.place.shape == (len(found.score), 2), name
        assert np.isfinite(found.score).all(), name
    found = BASELINES["residual from a global lattice"](columns, frame)
    away = np.hypot(*(found.place - place[chosen["vacancy"]] * 2e-11).T)
    assert away.min() < 1e-11
    assert found.score[away.argmin()] == found.score.max()


def test_normal_scores_do_not_depend_on_how_many_numbers_they_are_made_of() -> None:
    rng = np.random.default_rng(0)
    for free in (2, 4):
        scores = as_normal(rng.chisquare(free, 20_000), free)
        assert abs(scores.mean()) < 0.03
        assert abs(scores.std() - 1) < 0.04
