"""Particles, films and plasmonic arrays of the electron twin: thickness against brute force."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from nanopilot.core.errors import OutOfRange, UnknownName
from nanopilot.twins.stem.materials import MATERIALS
from nanopilot.twins.stem.samples import family
from nanopilot.twins.stem.samples.amorphous import packed
from nanopilot.twins.stem.samples.noise import meander, smooth
from nanopilot.twins.stem.samples.particles import Shape, matrix
from nanopilot.twins.stem.samples.solids import SHAPES, solid

FACES = {"cube": 6, "octahedron": 8, "truncated": 14, "decahedron": 10, "icosahedron": 20}


def close(value: Any, rel: float = 1e-6) -> Any:
    """Return what is equal within a relative tolerance; that of `approx` is 1e-12 in metres too."""
    return pytest.approx(value, rel=rel, abs=0.0)


def make(name: str, seed: int = 0, **told: Any) -> Any:
    return family(name)(np.random.default_rng(seed), **told)


def turned(seed: int) -> np.ndarray:
    turn = np.random.default_rng(seed).standard_normal(4)
    return matrix(turn / np.linalg.norm(turn))


# Solids


@pytest.mark.parametrize("shape", SHAPES)
def test_a_solid_holds_the_volume_of_the_ball_of_its_size(shape: str) -> None:
    body = solid(shape, 20e-9, turned(1))
    assert body.volume == close(math.pi / 6 * 20e-9**3)
    rows = 401
    axis = np.linspace(-1, 1, rows) * body.reach
    x, y = (one.ravel() for one in np.meshgrid(axis, axis))
    summed = body.chord(x, y).sum() * (axis[1] - axis[0]) ** 2
    assert summed == close(body.volume, rel=4e-3)
    beyond = np.hypot(x, y) > body.reach * (1 + 1e-9)
    assert not body.chord(x[beyond], y[beyond]).any()
    half = body.scaled(0.5)
    np.testing.assert_allclose(half.chord(x / 2, y / 2), body.chord(x, y) / 2, atol=1e-16)
    assert half.volume == close(body.volume / 8)


@pytest.mark.parametrize("shape", FACES)
@pytest.mark.parametrize("seed", range(2))
def test_chords_of_polyhedra_are_those_of_points_inside(shape: str, seed: int) -> None:
    body = solid(shape, 1.0, turned(seed))
    assert len(body.distances) == FACES[shape]
    z = np.linspace(-1, 1, 4001) * body.reach
    rng = np.random.default_rng(seed)
    for x, y in rng.uniform(-0.6, 0.6, (25, 2)):
        points = np.stack([np.full_like(z, x), np.full_like(z, y), z], axis=1)
        inside = (points @ body.normals.T <= body.distances).all(axis=1)
        expected = inside.sum() * (z[1] - z[0])
        assert body.chord(np.array([x]), np.array([y]))[0] == pytest.approx(expected, abs=2e-3)


def test_a_cube_seen_along_its_edge_diagonal_and_face() -> None:
    edge = (math.pi / 6) ** (1 / 3)
    flat = solid("cube", 1.0, np.eye(3))
    x, y = np.array([0.0, 0.49 * edge, 0.51 * edge]), np.zeros(3)
    np.testing.assert_allclose(flat.chord(x, y), [edge, edge, 0.0])
    angle = math.pi / 4
    turn = np.array(
        [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]]
    )
    tipped = solid("cube", 1.0, turn)
    assert tipped.chord(np.zeros(1), np.zeros(1))[0] == close(math.sqrt(2) * edge)


def test_all_edges_of_the_twinned_shapes_are_equal() -> None:
    from scipy.spatial import HalfspaceIntersection

    for shape, corners in (("decahedron", 7), ("icosahedron", 12), ("octahedron", 6)):
        body = solid(shape, 1.0, np.eye(3))
        faces = np.column_stack([body.normals, -body.distances])
        found = np.unique(
            np.round(HalfspaceIntersection(faces, np.zeros(3)).intersections, 9), axis=0
        )
        assert len(found) == corners
        nearest = cKDTree(found).query(found, k=2)[0][:, 1]
        np.testing.assert_allclose(nearest, nearest[0], rtol=1e-6)


def test_rods_and_dumbbells_lie_along_their_angle() -> None:
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1.0]])
    for shape in ("rod", "dumbbell"):
        body = solid(shape, 1.0, turn)
        way = np.linspace(0, body.reach * 0.99, 50)
        along = body.chord(0.6 * way, 0.8 * way)
        across = body.chord(-0.8 * way, 0.6 * way)
        assert (along > 0).all()
        assert (across > 0).mean() < 0.75
    # Between its balls a dumbbell is thinner.
    body = solid("dumbbell", 1.0, np.eye(3))
    thick = body.chord(np.array([0.0, body.half]), np.zeros(2))
    assert thick[0] < 0.65 * thick[1]


def test_shapes_are_the_same_in_settings_and_solids() -> None:
    assert set(get_args(Shape)) == set(SHAPES)
    with pytest.raises(UnknownName, match="sphere"):
        solid("spere", 1.0, np.eye(3))


@given(st.integers(0, 2**20))
@settings(max_examples=20, deadline=None)
def test_rotation_matrices_are_those_of_scipy(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    turn = np.random.default_rng(seed).standard_normal(4)
    turn /= np.linalg.norm(turn)
    expected = Rotation.from_quat(turn[[1, 2, 3, 0]]).as_matrix()
    np.testing.assert_allclose(matrix(turn), expected, atol=1e-12)


# The zoo


def brute(scene: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the thicknesses from the facts alone, particle by particle."""
    materials = scene.matter.materials
    total = np.zeros((len(materials), *x.shape))
    total[0] = scene.at("support", x, y)
    for one in scene.facts["particles"]:
        turn = matrix(np.array(one["orientation"]))
        body = solid(one["shape"], one["size"], turn)
        chord = body.chord((x - one["x"]).ravel(), (y - one["y"]).ravel()).reshape(x.shape)
        inner = np.zeros(x.shape)
        if one["core_material"]:
            core = solid(one["shape"], one["core_size"], turn)
            inner = core.chord((x - one["x"]).ravel(), (y - one["y"]).ravel()).reshape(x.shape)
            total[materials.index(one["core_material"])] += inner
        total[materials.index(one["material"])] += chord - inner
    return total


@pytest.mark.parametrize(("count", "field"), [(12, 1e-6), (80, 2e-6)])
def test_thickness_anywhere_is_the_sum_over_the_particles_of_the_truth(
    count: int, field: float
) -> None:
    scene = make("particles", 2, size_m="2 um", count=count, size="50 nm")
    axis = np.linspace(-field / 2, field / 2, 150)
    x, y = np.meshgrid(axis, axis)
    np.testing.assert_allclose(scene.matter.thickness(x, y), brute(scene, x, y), atol=1e-20)


def test_the_particle_of_a_place_is_the_thickest_there() -> None:
    scene = make(
        "particles", 3, size_m="1 um", count=40, aggregated=0.8, size="60 nm", core_shell=0
    )
    x, y = np.meshgrid(np.linspace(-4.5e-7, 4.5e-7, 150), np.linspace(-4.5e-7, 4.5e-7, 150))
    chords = [np.full(x.shape, 1e-15)]
    for one in scene.facts["particles"]:
        body = solid(one["shape"], one["size"], matrix(np.array(one["orientation"])))
        chord = body.chord((x - one["x"]).ravel(), (y - one["y"]).ravel())
        chords.append(chord.reshape(x.shape))
    assert (np.sum(np.array(chords[1:]) > 0, axis=0) > 1).sum() > 50
    np.testing.assert_array_equal(scene.at("particle", x, y), np.argmax(chords, axis=0))


def test_particles_are_as_many_and_as_large_as_asked_and_lie_apart() -> None:
    scene = make("particles", 5, count=600, size_m="10 um", aggregated=0.2, core_shell=0.25)
    facts = scene.facts["particles"]
    assert len(facts) == 600
    sizes = np.array([one["size"] for one in facts])
    assert np.median(sizes) == close(45e-9, rel=0.05)
    assert np.log(sizes).std() == close(0.3, rel=0.1)
    assert sum(one["core_material"] is not None for one in facts) == 150
    place = np.array([[one["x"], one["y"]] for one in facts])
    reach = np.array([one["reach"] for one in facts])
    group = np.array([one["aggregate"] for one in facts])
    i, j = np.triu_indices(600, k=1)
    apart = np.linalg.norm(place[i] - place[j], axis=1)
    strangers = group[i] != group[j]
    assert (apart[strangers] >= (reach[i] + reach[j])[strangers]).all()
    joined = np.mean(np.bincount(group, minlength=600)[group] > 1)
    assert 0.2 < joined < 0.55
    for number in np.flatnonzero(group != np.arange(600))[:20]:
        partners = np.flatnonzero((group == group[number]) & (np.arange(600) != number))
        touching = 0.95 * (sizes[number] + sizes[partners]) / 2
        away = np.linalg.norm(place[partners] - place[number], axis=1)
        assert (away <= touching * (1 + 1e-9)).any()
    # None hangs over a hole.
    assert (scene.at("support", *place.T) > 0).all()


def test_particles_fill_hundreds_of_fields_of_view() -> None:
    scene = make("particles")
    x = np.array([one["x"] for one in scene.facts["particles"]])
    y = np.array([one["y"] for one in scene.facts["particles"]])
    fields = {(int(a // 0.5e-6), int(b // 0.5e-6)) for a, b in zip(x, y, strict=True)}
    assert len(fields) > 500


def test_ceria_is_reduced_at_its_surface() -> None:
    scene = make(
        "particles", 1, size_m="1 um", count=10, substances=("ceria",), core_shell=0.0,
        shapes=("sphere",), aggregated=0.0,
    )  # fmt: skip
    assert scene.valence == {"Ce": "valence_Ce"}
    one = scene.facts["particles"][0]
    radius = one["size"] / 2
    x = one["x"] + np.array([0.0, 0.5 * radius, radius - 0.3e-9])
    valence = scene.at("valence_Ce", x, np.full(3, one["y"]))
    away = x - one["x"]
    inner = np.sqrt(np.maximum((radius - 0.7e-9) ** 2 - away**2, 0))
    np.testing.assert_allclose(valence, 3 + inner / np.sqrt(radius**2 - away**2), rtol=1e-9)
    assert float(scene.at("valence_Ce", np.array(0.49e-6), np.array(0.49e-6))) in (3.0, 4.0)


# Films


def test_noise_has_the_variance_and_length_that_it_says() -> None:
    noise = smooth(np.random.default_rng(0), 10e-9)
    x, y = np.meshgrid(np.linspace(0, 2e-6, 500), np.linspace(0, 2e-6, 500))
    values = noise(x, y)
    assert values.mean() == pytest.approx(0, abs=0.03)
    assert values.std() == pytest.approx(1, abs=0.03)
    assert np.mean(values * noise(x + 4e-9, y)) > 0.7
    assert abs(np.mean(values * noise(x + 45e-9, y))) < 0.05
    line = meander(np.random.default_rng(0), 2e-9, 10e-9)(np.linspace(0, 2e-5, 5000))
    assert line.std() == close(2e-9, rel=0.08)


def test_a_film_is_as_thick_and_as_uneven_as_asked_and_empty_in_its_holes() -> None:
    film = {"thickness": "20 nm", "fluctuation": 0.15, "length": "20 nm", "holes": 0.07,
            "hole_size": "60 nm"}  # fmt: skip
    scene = make("nothing", 1, holey=True, film=film)
    x, y = np.meshgrid(np.linspace(-5e-7, 5e-7, 400), np.linspace(-5e-7, 5e-7, 400))
    thickness = scene.matter.thickness(x, y)[0]
    there = thickness[thickness > 0]
    assert there.mean() == close(20e-9, rel=0.02)
    assert there.std() / there.mean() == close(0.15, rel=0.1)
    assert there.min() >= 0.2 * 20e-9
    assert len(scene.facts["holes"]) == round(0.07 / (math.pi * 0.06**2))
    inside, outside = np.zeros(x.shape, dtype=bool), np.ones(x.shape, dtype=bool)
    for hole in scene.facts["holes"]:
        away = np.hypot(x - hole["x"], y - hole["y"])
        inside |= away < 0.85 * hole["radius"]
        outside &= away > 1.15 * hole["radius"]
    assert not thickness[inside].any()
    assert (thickness[outside] > 0).all()


def test_nothing_is_nothing() -> None:
    scene = make("nothing")
    assert scene.matter.materials == ()
    assert len(scene.atoms) == 0
    assert scene.matter.thickness(np.zeros((2, 3)), np.zeros((2, 3))).shape == (0, 2, 3)


def test_carbon_by_atoms_is_dense_and_without_order() -> None:
    scene = make("carbon", size_m="6 nm", film={"thickness": "3 nm", "fluctuation": 0.0})
    position = scene.atoms.position
    expected = MATERIALS["carbon"].concentration()[6] * 6e-9**2 * 3e-9
    assert len(position) == close(expected, rel=0.01)
    # The pair correlation is that of a gas of balls: flat beyond twice the shortest distance.
    inside = np.abs(position) < np.array([2.2e-9, 2.2e-9, 0.7e-9])
    middle = position[inside.all(axis=1)]
    tree = cKDTree(position)
    counts = [
        np.mean([len(found) for found in tree.query_ball_point(middle, radius)])
        for radius in (3e-10, 4.5e-10, 6e-10)
    ]
    shell = 4 / 3 * math.pi * (np.array([4.5e-10, 6e-10]) ** 3 - np.array([3e-10, 4.5e-10]) ** 3)
    dense = MATERIALS["carbon"].concentration()[6]
    np.testing.assert_allclose(np.diff(counts) / shell, dense, rtol=0.05)
    assert not make("carbon", explicit=False).matter.by_atoms[0]


def test_matter_that_cannot_be_packed_is_refused() -> None:
    with pytest.raises(OutOfRange, match="closest"):
        packed(np.random.default_rng(0), (1e-9, 1e-9, 1e-9), 1e29, 3e-10)


# Plasmonic arrays


def test_metal_lies_where_the_particles_are_and_pairs_have_their_gap() -> None:
    scene = make("plasmonic", 1, size_m="2 um", gap="12 nm", spread=0.1)
    facts = scene.facts["particles"]
    assert len(facts) == 16
    for number, one in enumerate(facts, start=1):
        row = scene.matter.materials.index(one["material"])
        middles = [(one["x"], one["y"])] + ([one["partner"]] if one["partner"] else [])
        for x, y in middles:
            at = np.array(x), np.array(y)
            assert scene.matter.thickness(*at)[row] == close(30e-9)
            assert scene.at("particle", *at) == number
        if one["partner"]:
            middle = np.mean(middles, axis=0)
            assert one["gap"] == close(12e-9)
            way = np.linspace(-0.5, 0.5, 4001) * 40e-9
            line = [middle[i] + way * f(one["orientation"]) for i, f in ((0, np.cos), (1, np.sin))]
            empty = scene.at("particle", *line) == 0
            assert empty.sum() * (way[1] - way[0]) == close(12e-9, rel=0.01)


@pytest.mark.parametrize("kind", ["disc", "rod", "triangle", "dimer"])
def test_footprints_have_the_area_of_their_shape(kind: str) -> None:
    scene = make("plasmonic", 2, size_m="0.5 um", kinds=(kind,), metals=("gold",))
    one = scene.facts["particles"][0]
    length, width = one["size"]
    wanted = {
        "disc": math.pi / 4 * length**2,
        "dimer": math.pi / 2 * length**2,
        "rod": (length - width) * width + math.pi / 4 * width**2,
        "triangle": math.sqrt(3) / 4 * length**2,
    }[kind]
    axis = np.linspace(-2.5e-7, 2.5e-7, 601)
    x, y = np.meshgrid(axis, axis)
    covered = (scene.at("particle", x, y) > 0).sum() * (axis[1] - axis[0]) ** 2
    assert covered == close(wanted, rel=0.01)
    there = scene.at("particle", x, y) > 0
    place = [one["x"], one["y"]] if kind != "dimer" else [0.0, 0.0]
    np.testing.assert_allclose([x[there].mean(), y[there].mean()], place, atol=0.5e-9)
    if kind == "triangle":
        # A corner points along.
        along = x * math.cos(one["orientation"]) + y * math.sin(one["orientation"])
        assert along[there].max() == close(2 / 3 * width, rel=0.04)


def test_losses_are_those_of_the_particles_there_are() -> None:
    scene = make("plasmonic", 0, size_m="0.5 um", kinds=("rod",), metals=("silver",), spread=0.0)
    one = scene.facts["particles"][0]
    tip = np.array([math.cos(one["orientation"]), math.sin(one["orientation"])]) * 0.5 * 110e-9
    energy = np.linspace(0.3, 5, 60)
    x, y = np.array([one["x"] + tip[0], 2.4e-7]), np.array([one["y"] + tip[1], -2.4e-7])
    loss = scene.excitations.loss(x, y, energy)
    assert loss.shape == (2, 60)
    assert (loss >= 0).all()
    assert loss[0].max() > 5 * loss[1].max()
