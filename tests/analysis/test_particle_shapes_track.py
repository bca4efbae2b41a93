"""Frames show what the truth says; on `particle-shapes` the truth scores 1 and nothing scores 0."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nanopilot.bench.tracks.particle_shapes as track_module
from nanopilot.analysis.particle_shapes import Instance
from nanopilot.analysis.particle_shapes.descriptors import describe
from nanopilot.bench.shape_answers import Answer, Sorted
from nanopilot.bench.shape_peers import Measured, k_means, otsu_watershed, separability
from nanopilot.bench.tem_particles import KINDS, TemScene, Truth, draw_particles
from nanopilot.bench.tem_solids import draw_solid, sphere
from nanopilot.bench.tracks.particle_shapes import ParticleShapes


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def perfect(truth: Truth) -> Measured:
    kept = [one for one in truth.particles if one.mask.any()]
    found = tuple(Instance(np.zeros((0, 2)), one.mask, one.row, one.column) for one in kept)
    size = truth.scene.pixel_size
    return Measured(found, describe(found, (size, size), (0.0, 0.0), 2 * (truth.scene.pixels,)))


def sorted_by_truth(truths: tuple[Truth, ...]) -> Sorted:
    kinds = truths[0].scene.kinds
    labels = [np.array([kinds.index(one.kind) for one in truth.particles]) for truth in truths]
    return Sorted(tuple(perfect(one) for one in truths), tuple(labels), len(kinds))


@pytest.mark.parametrize("kind", KINDS)
def test_area_and_reach_of_a_solid_are_those_of_its_outline(kind: str) -> None:
    for seed in range(4):
        solid = draw_solid(kind, rng(seed), flat=seed % 2 == 0)
        line = np.linspace(-1.1, 1.1, 1500) * solid.reach
        x, y = np.meshgrid(line, line)
        inside = solid.distance(x, y) < 0
        assert inside.sum() * (line[1] - line[0]) ** 2 == pytest.approx(solid.area, rel=0.002)
        assert np.hypot(x[inside], y[inside]).max() <= solid.reach * 1.002
        assert (solid.thickness(x[inside], y[inside]) >= 0).all()


def test_a_sphere_and_a_cube_have_their_volumes() -> None:
    line = np.linspace(-1, 1, 800)
    x, y = np.meshgrid(line, line)
    ball = sphere(0.8)
    volume = ball.thickness(x, y)[ball.distance(x, y) < 0].sum() * (line[1] - line[0]) ** 2
    assert volume == pytest.approx(4 / 3 * math.pi * 0.8**3, rel=0.002)
    solid = draw_solid("cube", rng(2))
    x, y = (1.1 * solid.reach * part for part in (x, y))
    # Rounded corners hide a little of it.
    volume = solid.thickness(x, y)[solid.distance(x, y) < 0].sum() * (x[0, 1] - x[0, 0]) ** 2
    side = draw_solid("cube", rng(2)).area ** 0.5
    assert 0.8 < volume / side**3 < 1.1


def test_thickness_adds_where_particles_overlap() -> None:
    scene = TemScene(
        pixels=256, count=16, kinds=("hexagon",), overlap=0.2, dose=1e7, grain=0.0, uneven=0.0,
        blur=0.3, mean_free_path=10e-9,
    )  # fmt: skip
    truth = draw_particles(scene, rng(3))
    lost = -np.log(truth.frame.to_numpy() / scene.dose)
    cover = np.zeros(lost.shape, dtype=int)
    total = np.zeros(lost.shape)
    for one in truth.particles:
        part = (
            slice(one.row, one.row + one.mask.shape[0]),
            slice(one.column, one.column + one.mask.shape[1]),
        )
        cover[part] += one.mask
    for one in truth.particles:
        part = (
            slice(one.row, one.row + one.mask.shape[0]),
            slice(one.column, one.column + one.mask.shape[1]),
        )
        alone = one.mask & (cover[part] == 1)
        total[part] += one.mask * np.median(lost[part][alone])
    both = cover == 2
    assert both.sum() > 50
    assert np.median(np.abs(lost[both] - total[both])) < 0.02
    assert np.median(np.abs(lost[cover == 0])) < 0.01


def test_isolated_particles_are_clear_of_each_other_and_hidden_ones_as_asked() -> None:
    truth = draw_particles(TemScene(pixels=384, count=30), rng(1))
    assert all(one.hidden == 0 for one in truth.particles)
    truth = draw_particles(TemScene(pixels=384, count=40, overlap=0.2), rng(1))
    assert 0.05 < max(one.hidden for one in truth.particles) <= 0.2
    areas = [one.mask.sum() / one.area for one in truth.particles if not one.cut]
    np.testing.assert_allclose(areas, 1, atol=0.06)


@pytest.fixture(scope="module")
def case() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(track_module, "_WHOLE", 20)
        patch.setattr(track_module, "_FEWER", 20)
        patch.setattr(track_module, "_PIXELS", 400)
        return ParticleShapes().case(3)


def test_truth_scores_one_and_nothing_scores_zero(case: Any) -> None:
    three, other = sorted_by_truth(case.three), sorted_by_truth(case.other)
    ideal = case.ideals
    said = {
        "area": [one.area for one in ideal],
        "aspect_ratio": [one.aspect for one in ideal],
        "inverse_hu": [2 * math.pi for _ in ideal],
    }
    import xarray as xr

    described = xr.Dataset({name: ("point", np.array(values)) for name, values in said.items()})
    best = Answer(described, perfect(case.isolated), perfect(case.overlapped), three, other, 0.0)
    score = ParticleShapes().score(case, best)
    count = len(case.other[0].scene.kinds)
    for name in ("f1_isolated", "f1_overlapped", "ari_3", "k_right_3", f"k_right_{count}"):
        assert score[name] == 1
    assert score[f"ari_{count}"] == pytest.approx(1)
    assert score["size_error"] < 0.02
    for name in ("area_error", "aspect_error", "disc_hu_error", "repeat_change"):
        assert score[name] == 0
    single = (case.isolated.scene.pixel_size,) * 2
    none = Measured((), describe((), single, (0.0, 0.0), (512, 512)))
    one_class = replace(
        three, labels=tuple(np.zeros(len(x), dtype=int) for x in three.labels), count=1
    )
    worst = ParticleShapes().score(case, Answer(described * 2, none, none, one_class, other, 0.5))
    assert worst["f1_isolated"] == worst["f1_overlapped"] == worst["ari_3"] == 0
    assert worst["k_right_3"] == 0
    assert worst["size_error"] == worst["area_error"] == 1


def test_shipped_method_answers_and_repeating_changes_nothing(case: Any) -> None:
    track = ParticleShapes()
    answer = track.methods[track.default](case.visible)
    score = track.score(case, answer)
    assert score["repeat_change"] == 0
    assert score["f1_isolated"] >= 0.95
    assert score["area_error"] <= 0.01
    assert score["aspect_error"] <= 0.02
    assert score["disc_hu_error"] <= 0.01


def test_baselines_answer(case: Any) -> None:
    found = otsu_watershed(case.isolated.frame)
    assert len(found.instances) > 5
    tables = [found.table]
    assert set(k_means(tables, rng())) == {0, 1, 2}
    assert len(separability(tables, rng())) == len(found.instances)
