"""Classes are those that there are, keep their names, and are not reported where unsure."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score

from nanopilot.analysis.instances import describe_instances
from nanopilot.analysis.particle_shapes import (
    Mixture,
    ShapeStream,
    SortShapes,
    StreamState,
    align_labels,
    assigned,
    class_words,
    colour,
    fit_mixture,
    shape_features,
    whole,
)
from nanopilot.analysis.particle_shapes.descriptors import ellipticity
from nanopilot.analysis.particle_shapes.mixture import Scaling, merged
from nanopilot.bench.tem_particles import Kind, TemScene, draw_particles
from nanopilot.core.errors import InvalidRequest, OutOfRange, UnknownName
from nanopilot.core.signals import Axis, make_signal
from nanopilot.workflows.analyse.shapes import classify_shapes, classify_tables

THREE = ((0.0, 0.0), (4.0, 0.0), (0.0, 4.0))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def clouds(count: int, each: int = 70, spread: float = 0.3, seed: int = 0) -> tuple[Any, Any]:
    places = (*THREE, (4.0, 4.0), (8.0, 2.0))[:count]
    drawn = rng(seed)
    values = [np.array(place) + drawn.normal(0, spread, (each, 2)) for place in places]
    return np.concatenate(values), np.repeat(np.arange(count), each)


def stream_frame(seed: int, kinds: tuple[Kind, ...] = ("disc", "triangle", "rod")) -> Any:
    scene = TemScene(pixels=320, count=24, kinds=kinds, spheres=False, pixel_size=0.6e-9)
    return draw_particles(scene, rng(seed)).frame


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_density_is_that_of_an_independent_implementation(covariance: Any) -> None:
    values, _ = clouds(3, spread=0.7)
    mixture = fit_mixture(values, 3, rng(), covariance=covariance)
    scaled = (values - mixture.scaling.centre) / mixture.scaling.spread
    parts = zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    want = [w * multivariate_normal(mean, cov).pdf(scaled) for w, mean, cov in parts]
    np.testing.assert_allclose(np.exp(mixture.log_density(values)), np.transpose(want), rtol=1e-9)
    together = np.log(np.sum(want, axis=0)).sum()
    assert mixture.log_likelihood(values) == pytest.approx(together, rel=1e-12)
    free = 2 + 3 * 2 + 3 * (2 if covariance == "diag" else 3)
    assert mixture.bic(values) == pytest.approx(free * math.log(len(values)) - 2 * together)
    most = np.max(want, axis=0) / np.sum(want, axis=0)
    assert mixture.icl(values) == pytest.approx(mixture.bic(values) - 2 * np.log(most).sum())


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_variances_are_variances(covariance: Any) -> None:
    # Two classes far apart, so that the spread of each is not that of all.
    drawn, spreads = rng(), {0: [3.0, 0.5], 1: [1.0, 2.0]}
    values = np.concatenate([drawn.normal(40.0 * k, spreads[k], (2000, 2)) for k in spreads])
    mixture = fit_mixture(values, 2, rng(), covariance=covariance)
    for mean, one in zip(mixture.means, mixture.covariances, strict=True):
        spread = np.sqrt(np.diag(one)) * mixture.scaling.spread
        # The floor adds to each.
        want = np.hypot(spreads[int(mean[0] > 0)], 0.03 * np.array(mixture.scaling.spread))
        np.testing.assert_allclose(spread, want, rtol=0.05)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_as_many_classes_as_there_are(count: int) -> None:
    for seed in range(2):
        values, true = clouds(count, seed=seed)
        found = SortShapes()(values, rng(seed))
        assert found.count == count
        assert list(found.scores) == list(range(1, len(found.scores) + 1))
        assert len(found.scores) >= min(count + 2, 6)
        assert adjusted_rand_score(true, found.labels) > 0.98
        assert sorted(set(found.labels.tolist())) == list(range(count))
        assert found.fractions.sum() == pytest.approx(1)


def test_a_long_class_that_is_not_normal_is_one_class() -> None:
    drawn = rng(1)
    rods = np.stack([drawn.uniform(3, 9, 150), drawn.normal(0, 0.1, 150)], axis=-1)
    discs = drawn.normal(0, 0.2, (100, 2))
    found = SortShapes()(np.concatenate([rods, discs]), rng())
    assert found.count == 2


def test_the_first_class_may_be_split_as_any_other() -> None:
    values, true = clouds(2, each=100)
    for shift in ([0, 0], [50, 50]):
        found = SortShapes()(np.concatenate([values, values[true == 0] + shift]), rng())
        assert found.count == (2 if shift == [0, 0] else 3)


def test_one_outlier_changes_neither_classes_nor_scaling() -> None:
    values, true = clouds(3)
    plain = SortShapes()(values, rng())
    outlier = np.concatenate([values, [[1e6, -1e6]]])
    found = SortShapes()(outlier, rng())
    assert found.count == plain.count == 3
    assert found.labels[-1] == -1
    assert found.probability[-1] == 0
    assert adjusted_rand_score(true, found.labels[:-1]) > 0.98
    np.testing.assert_allclose(Scaling.of(outlier).spread, Scaling.of(values).spread, rtol=0.05)


def test_few_particles_and_unstable_classes_are_refused() -> None:
    values, _ = clouds(3, each=9)
    few = SortShapes()(values, rng())
    assert (few.mixture, few.count) == (None, 0)
    assert "27 whole particles; classes need 30" in few.refused
    assert (few.labels == -1).all()
    spread = rng(3).normal(0, 1, (60, 2))
    unsure = SortShapes(confused=1.0, criterion="bic", stable=1.0)(
        np.concatenate([spread, spread + np.array([2.2, 0.0])]), rng()
    )
    assert unsure.mixture is None or unsure.count == 1
    if unsure.mixture is None:
        assert "refits agree" in unsure.refused


def test_particles_without_a_feature_are_of_no_class() -> None:
    values, _ = clouds(2)
    values[5, 0] = np.nan
    found = SortShapes()(values, rng())
    assert found.labels[5] == -1
    assert found.count == 2


def test_interval_of_fractions_covers_the_truth() -> None:
    inside = []
    for seed in range(12):
        drawn = rng(100 + seed)
        kinds = drawn.random(120) < 0.3
        values = np.where(kinds[:, None], [5.0, 0.0], [0.0, 0.0]) + drawn.normal(0, 0.3, (120, 2))
        found = SortShapes(refits=8)(values, drawn)
        inside.append(found.low[1] <= 0.3 <= found.high[1])
        assert (found.low <= found.fractions).all()
        assert (found.fractions <= found.high).all()
    assert sum(inside) >= 9


def test_probability_is_one_far_from_borders_and_a_half_on_them() -> None:
    values, _ = clouds(2, each=400)
    found = SortShapes()(values, rng())
    assert found.mixture is not None
    assert found.probability.mean() > 0.999
    a, b = found.mixture.mean(0), found.mixture.mean(1)
    # Along the line between, the probability falls from 1 to 0.
    line = found.mixture.probability(a + np.linspace(0, 1, 101)[:, None] * (b - a))[:, 0]
    assert (np.diff(line) <= 1e-9).all()
    assert line[0] > 0.999
    assert line[-1] < 0.001


def test_joining_ends_with_the_classes_that_are_apart() -> None:
    values, true = clouds(2, each=200)
    five = fit_mixture(values, 5, rng())
    joined = merged(five, values, 0.01, 6)
    assert five.count == 5
    assert joined.count == 2
    assert adjusted_rand_score(true, joined.labels(values)) == 1
    assert merged(five, values, 1.0, 3).count == 3


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), min_size=8, max_size=40))
def test_alignment_recovers_any_permutation(order: Any, labels: Any) -> None:
    old = np.array(labels)
    new = np.array(order)[old]
    assert align_labels(new, old) == {order[one]: one for one in set(labels)}


def test_alignment_knows_new_and_lost_classes() -> None:
    old = np.array([0, 0, 0, 1, 1, -1])
    assert align_labels(np.array([2, 2, 5, 3, 3, 3]), old) == {2: 0, 3: 1}
    assert align_labels(np.array([2, 2, 2, 2, 2, 2]), old) == {2: 0}
    assert align_labels(np.full(6, -1), old) == {}


@settings(max_examples=6, deadline=None)
@given(st.floats(1.0, 3.5), st.floats(0, math.pi))
def test_ellipticity_does_not_know_how_long_a_shape_is(stretch: float, turn: float) -> None:
    y, x = (np.indices((260, 260)) - 130.2).astype(float)
    u, v = x * math.cos(turn) + y * math.sin(turn), -x * math.sin(turn) + y * math.cos(turn)
    shapes = {
        1.0: (u / stretch) ** 2 + v**2 < 34**2,
        3 / math.pi: (np.abs(u / stretch) < 30) & (np.abs(v) < 30),
        math.sqrt(27) / (2 * math.pi): (v > -20) & (v + np.sqrt(3) * np.abs(u / stretch) < 40),
    }
    axis = Axis(np.arange(260) * 1e-9, "m", "position")
    for want, mask in shapes.items():
        labels = make_signal(mask.astype(int), {"y": axis, "x": axis}, quantity="l", units="1")
        table = describe_instances(labels)
        assert ellipticity(table)[0] == pytest.approx(want, rel=0.01)


def test_stream_counts_a_frame_once_and_fractions_stay_exactly() -> None:
    stream = ShapeStream(rng())
    for seed in range(4):
        stream.add(stream_frame(seed), f"frame {seed}")
    before, state = stream.settle(), stream.state()
    assert len(before.classes) == 3
    again = stream.add(stream_frame(0), "frame 0")
    other = stream.add(stream_frame(1), "a new name")
    renamed = stream.add(stream_frame(77), "frame 2")
    assert [one.repeated for one in (again, other, renamed)] == ["id", "content", "id"]
    assert all(one.outlined is None for one in (again, other, renamed))
    assert stream.standing == before
    assert stream.state() == state
    with pytest.raises(InvalidRequest, match="`frame_id` is empty"):
        stream.add(stream_frame(5), "")


def test_stream_goes_on_from_json_as_if_it_had_not_stopped() -> None:
    stream = ShapeStream(rng(), capacity=40)
    for seed in range(3):
        stream.add(stream_frame(seed), f"{seed}")
    text = stream.state().model_dump_json()
    json.loads(text)
    second = ShapeStream.from_state(StreamState.model_validate_json(text))
    for one in (stream, second):
        one.add(stream_frame(3), "3")
        one.settle()
    assert second.state() == stream.state()
    state = stream.state()
    other = state.model_copy(update={"generator": json.dumps({"bit_generator": "MT19937"})})
    with pytest.raises(InvalidRequest, match="PCG64"):
        ShapeStream.from_state(other)


def test_numbers_of_classes_stay_along_the_stream() -> None:
    stream = ShapeStream(rng(), sort=SortShapes(refits=4))
    for seed in range(3):
        stream.add(stream_frame(seed, ("disc",)), f"disc {seed}")
    first = stream.settle()
    assert first.words == ("round",)
    for seed in range(10, 16):
        stream.add(stream_frame(seed, ("triangle",)), f"triangle {seed}")
    second = stream.settle()
    # Triangles are the commonest by now, and discs keep their number.
    assert dict(zip(second.words, second.classes, strict=True)) == {
        "triangular": 1,
        "round": first.classes[0],
    }
    assert second.fractions[0] > 0.5


def test_what_is_kept_of_a_stream_is_bounded_and_fair() -> None:
    stream = ShapeStream(rng(), capacity=50, sort=SortShapes(refits=2))
    for number in range(2000):
        stream._keep((float(number), 0.0))
    kept = np.array(stream._kept)[:, 0]
    assert len(kept) == 50
    # Of a fair sample the mean lies near the middle: five standard errors.
    assert abs(kept.mean() - 1000) < 5 * 2000 / math.sqrt(12 * 50)
    with pytest.raises(OutOfRange, match="`capacity`"):
        ShapeStream(rng(), capacity=5)


def test_tables_get_a_class_column_and_frames_get_findings() -> None:
    frames = {f"{seed}": stream_frame(seed) for seed in range(4)}
    told = classify_shapes(frames, rng())
    assert set(told.words) == {"round", "triangular", "elongated"}
    for name, table in told.tables.items():
        labels = table["shape_class"].to_numpy()
        assert labels.min() >= -1
        assert ((table["class_probability"] > 0) == (labels >= 0)).all()
        findings = told.findings(name)
        assert len(findings.marks) == table.sizes["point"]
        assert {mark.kind for mark in findings.marks} <= {*told.words, "unsorted"}
    plain = {name: one.table for name, one in told.outlined.items()}
    same = classify_tables(plain, rng())
    np.testing.assert_array_equal(same.tables["0"]["shape_class"], told.tables["0"]["shape_class"])
    with pytest.raises(InvalidRequest, match="sort frames instead"):
        same.findings("0")
    few = classify_tables({"0": plain["0"].isel(point=slice(5))}, rng())
    assert few.words == ()
    assert (few.tables["0"]["shape_class"] == -1).all()
    assert few.classes.refused


def test_classes_are_learned_from_whole_particles_only() -> None:
    found = classify_shapes({"0": stream_frame(0)}, rng()).tables["0"]
    kept = whole(found)
    assert not (kept & (found["border"].to_numpy() > 0)).any()
    assert not whole(found.assign(overlapped=found["overlapped"] + 1)).any()
    with pytest.raises(UnknownName, match="did you mean size"):
        shape_features(found, ("siez",))
    assert shape_features(found, ("size", "roundness", "solidity")).shape == (len(kept), 3)


def test_words_and_colours_of_classes_are_distinct() -> None:
    values = np.concatenate([clouds(3)[0] * 0.1, clouds(3)[0] * 0.1 + 5])
    mixture = fit_mixture(values, 4, rng())
    words = class_words(mixture)
    assert len(set(words)) == 4
    assert class_words(mixture, ("size",)) == ("class 1", "class 2", "class 3", "class 4")
    assert len({colour(number) for number in range(-1, 8)}) == 9
    assert Mixture.model_validate_json(mixture.model_dump_json()) == mixture
    assert (assigned(mixture, np.array([[1e9, 1e9]])) == -1).all()


def test_settings_outside_their_range_are_refused() -> None:
    for wrong in ({"most": 0}, {"least": 1}, {"stable": 2.0}, {"confused": -0.1}, {"refits": 1}):
        with pytest.raises(OutOfRange):
            SortShapes(**wrong)  # type: ignore[arg-type]
