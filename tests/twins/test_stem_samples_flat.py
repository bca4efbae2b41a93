"""Layers of the electron twin: graphene and dichalcogenides have the defects asked for."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from nanopilot.twins.stem.samples import family
from nanopilot.twins.stem.samples.columns import columns
from nanopilot.twins.stem.samples.stability import displacement_energy

PURE = {"vacancies": 0, "silicon": 0, "nitrogen": 0}
PERFECT = {
    "vacancies": 0, "double_vacancies": 0, "metal_vacancies": 0, "antisites": 0, "metal_dopants": 0,
}  # fmt: skip


def close(value: Any, rel: float = 1e-6) -> Any:
    """Return what is equal within a relative tolerance; that of `approx` is 1e-12 in metres too."""
    return pytest.approx(value, rel=rel, abs=0.0)


def graphene(seed: int = 0, **told: Any) -> Any:
    return family("graphene")(np.random.default_rng(seed), **({"size_m": "10 nm"} | told))


def layer(seed: int = 0, **told: Any) -> Any:
    told = {"size_m": "10 nm"} | PERFECT | told
    return family("dichalcogenide")(np.random.default_rng(seed), **told)


def bonds(position: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return lengths of all bonds and the number of neighbours of every atom."""
    pairs = cKDTree(position).query_pairs(reach, output_type="ndarray")
    length = np.linalg.norm(position[pairs[:, 0]] - position[pairs[:, 1]], axis=1)
    return length, np.bincount(pairs.ravel(), minlength=len(position))


def inner(position: np.ndarray, half: float) -> np.ndarray:
    return np.abs(position[:, :2]).max(axis=1) < half


# Graphene


@pytest.mark.parametrize("rotation", [0.0, 0.1, 0.4])
def test_graphene_is_a_honeycomb_turned_as_asked(rotation: float) -> None:
    position = graphene(rotation=rotation, **PURE).atoms.position
    length, neighbours = bonds(position, 1.8e-10)
    np.testing.assert_allclose(length, 2.461e-10 / math.sqrt(3), rtol=1e-9)
    assert set(neighbours[inner(position, 4.5e-9)]) == {3}
    # Second neighbours lie along the rotation, and every 60 degrees from it.
    tree = cKDTree(position)
    pairs = tree.query_pairs(2.5e-10, output_type="ndarray")
    apart = position[pairs[:, 1]] - position[pairs[:, 0]]
    second = apart[np.linalg.norm(apart, axis=1) > 2e-10]
    angle = np.arctan2(second[:, 1], second[:, 0]) - rotation
    np.testing.assert_allclose(np.exp(6j * angle), 1, atol=1e-6)


@given(
    vacancies=st.one_of(st.integers(0, 60), st.floats(0, 0.05)),
    silicon=st.one_of(st.integers(0, 60), st.floats(0, 0.05)),
    nitrogen=st.one_of(st.integers(0, 60), st.floats(0, 0.05)),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=15, deadline=None)
def test_defects_count_as_asked_and_are_where_they_are_said(
    vacancies: float, silicon: float, nitrogen: float, seed: int
) -> None:
    scene = graphene(seed, size_m="6 nm", vacancies=vacancies, silicon=silicon, nitrogen=nitrogen)
    sites = scene.facts["sites"]
    expected = [
        round(one * sites) if one < 1 else int(one) for one in (vacancies, silicon, nitrogen)
    ]
    number = scene.atoms.number
    found = [sites - len(number), int(np.sum(number == 14)), int(np.sum(number == 7))]
    assert found == expected
    tree = cKDTree(scene.atoms.position)
    for one in scene.facts["defects"]:
        away, atom = tree.query([one["x"], one["y"], one["z"]])
        if one["element"] is None:
            assert away > 1.3e-10
        else:
            assert away == 0
            assert number[atom] == {"Si": 14, "N": 7}[one["element"]]
            assert scene.atoms.sites[scene.atoms.site[atom]] == "dopant"


@pytest.mark.parametrize("angle", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(2))
def test_across_a_boundary_every_atom_has_three_bonds_of_plausible_length(
    seed: int, angle: float
) -> None:
    scene = graphene(seed, boundary=angle, **PURE)
    position = scene.atoms.position
    length, neighbours = bonds(position, 1.75e-10)
    assert length.min() > 1.30e-10
    assert length.max() < 1.60e-10
    assert np.mean(neighbours[inner(position, 4.5e-9)] == 3) > 0.995
    rings = Counter(one["size"] for one in scene.facts["rings"])
    assert rings
    assert set(rings) <= {4, 5, 7, 8}
    # Without a net charge of disclinations the boundary would not stay straight.
    assert abs(sum((6 - size) * count for size, count in rings.items())) <= 2
    assert max(abs(one["x"]) for one in scene.facts["rings"]) < 1.5e-9


def test_rings_at_a_boundary_have_the_atoms_that_are_counted() -> None:
    scene = graphene(1, boundary=0.4, **PURE)
    tree = cKDTree(scene.atoms.position[:, :2])
    for ring in scene.facts["rings"]:
        if max(abs(ring["x"]), abs(ring["y"])) < 4.3e-9:
            # Atoms of a ring of n lie at 1.42 / (2 sin(pi / n)); the next ones are beyond 2.2.
            around = tree.query_ball_point((ring["x"], ring["y"]), 2.1e-10)
            assert len(around) == ring["size"]


@pytest.mark.parametrize("angle", [0.2, 0.5])
def test_grains_are_turned_against_each_other_by_the_boundary(angle: float) -> None:
    scene = graphene(2, boundary=angle, rotation=0.05, **PURE)
    position = scene.atoms.position
    for side, expected in ((-1, 0.05 - angle / 2), (1, 0.05 + angle / 2)):
        grain = position[side * position[:, 0] > 2e-9]
        pairs = cKDTree(grain).query_pairs(2.5e-10, output_type="ndarray")
        apart = grain[pairs[:, 1]] - grain[pairs[:, 0]]
        apart = apart[np.linalg.norm(apart, axis=1) > 2e-10]
        order = np.mean(np.exp(6j * np.arctan2(apart[:, 1], apart[:, 0])))
        assert abs(order) > 0.999
        turn = (np.angle(order) / 6 - expected + math.pi / 6) % (math.pi / 3) - math.pi / 6
        assert turn == pytest.approx(0, abs=1e-3)
        x, y = np.array(side * 3e-9), np.array(0.0)
        assert float(scene.at("orientation", x, y)) == close(expected)
        assert float(scene.at("grain", x, y)) == (1 if side < 0 else 2)


def test_a_twisted_second_layer_beats_with_the_period_that_is_said() -> None:
    scene = graphene(0, size_m="20 nm", twist="4 deg", rotation=0.0, **PURE)
    period = scene.facts["moire_period"]
    assert period == close(0.2461e-9 / (2 * math.sin(math.radians(2))))
    z = scene.atoms.position[:, 2]
    lower, upper = scene.atoms.position[z < 1e-10], scene.atoms.position[z > 3e-10]
    assert len(lower) + len(upper) == len(z)
    # How far an atom is from the nearest one of the other layer repeats with the moiré.
    away, _ = cKDTree(upper[:, :2]).query(lower[:, :2])
    mesh, step = np.zeros((240, 240)), 16e-9 / 239
    column, row = (np.rint((lower[:, axis] + 8e-9) / step).astype(int) for axis in (0, 1))
    inside = (column >= 0) & (column < 240) & (row >= 0) & (row < 240)
    np.add.at(mesh, (row[inside], column[inside]), away[inside] - away[inside].mean())
    power = np.abs(np.fft.fft2(mesh)) ** 2
    frequency = np.fft.fftfreq(240, step)
    size = np.hypot(*np.meshgrid(frequency, frequency))
    power[(size > 1.0e9) | (size == 0)] = 0
    strongest = size.flat[power.argmax()]
    # Reciprocal of the triangular lattice: 2 / (sqrt(3) period).
    assert strongest == close(2 / (math.sqrt(3) * period), rel=0.12)


def test_an_untwisted_second_layer_is_stacked_as_in_graphite() -> None:
    scene = graphene(0, twist=0.0, **PURE)
    z = scene.atoms.position[:, 2]
    lower, upper = scene.atoms.position[z < 1e-10], scene.atoms.position[z > 3e-10]
    away, _ = cKDTree(lower[:, :2]).query(upper[inner(upper, 4e-9)][:, :2])
    # Half of the atoms lie over one, half over the middle of a ring.
    assert np.mean(away < 1e-13) == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(away[away > 1e-13], 2.461e-10 / math.sqrt(3), rtol=1e-6)


@pytest.mark.parametrize(("edge", "dangling"), [("zigzag", 1.0), ("armchair", 1.0)])
def test_straight_edges_are_the_rows_that_they_are_called(edge: str, dangling: float) -> None:
    scene = graphene(0, size_m="14 nm", vacuum=0.3, edge=edge, rotation=0.0, **PURE)
    atoms = scene.atoms
    position = atoms.position
    named = atoms.site == atoms.sites.index("edge")
    _, neighbours = bonds(position, 1.8e-10)
    at_edge = named & inner(position, 6.5e-9)
    assert set(neighbours[at_edge]) == {2}
    along = position[at_edge, 1] if edge == "armchair" else position[at_edge, 0]
    gaps = np.diff(np.sort(along))
    if edge == "zigzag":
        # Every second atom of a zigzag edge has two neighbours: one per lattice constant.
        np.testing.assert_allclose(gaps, 2.461e-10, rtol=1e-6)
    else:
        # Along an armchair edge they come in pairs that are bonded, one pair per sqrt(3) a.
        assert np.sum(gaps < 1.43e-10) >= np.sum(gaps > 1.43e-10) - 1
        assert gaps[::2].mean() + gaps[1::2].mean() == close(math.sqrt(3) * 2.461e-10, rel=0.02)
    soft = displacement_energy("graphene", "C", edge=True)
    np.testing.assert_allclose(atoms.displacement_energy[named], soft)
    np.testing.assert_allclose(
        atoms.displacement_energy[~named], displacement_energy("graphene", "C")
    )


def test_a_ragged_edge_deviates_as_asked_and_no_atom_hangs_on_one_bond() -> None:
    scene = graphene(3, size_m="40 nm", vacuum=0.3, ragged="0.5 nm", **PURE)
    position = scene.atoms.position
    rows = np.floor(position[:, 1] / 0.3e-9).astype(int)
    last = np.array([position[rows == row, 0].max() for row in np.unique(rows)])
    assert last.mean() == pytest.approx(8e-9, abs=0.5e-9)
    assert last.std() == close(0.5e-9, rel=0.4)
    _, neighbours = bonds(position, 1.8e-10)
    assert neighbours[inner(position, 19e-9)].min() >= 2


def test_atoms_beside_a_vacancy_are_easier_to_remove() -> None:
    scene = graphene(0, vacancies=5, silicon=0, nitrogen=0)
    hole = scene.facts["defects"][0]
    away = np.linalg.norm(scene.atoms.position - [hole["x"], hole["y"], hole["z"]], axis=1)
    bulk = displacement_energy("graphene", "C")
    assert (scene.atoms.displacement_energy[away < 1.6e-10] < bulk).all()
    assert np.median(scene.atoms.displacement_energy) == bulk


def test_where_the_layer_has_ended_there_are_no_rings() -> None:
    scene = graphene(0, boundary=0.4, vacuum=0.7, **PURE)
    assert scene.facts["rings"] == []


# Dichalcogenides


@pytest.mark.parametrize("metal", ["Mo", "W"])
@pytest.mark.parametrize("chalcogen", ["S", "Se", "Te"])
def test_a_layer_has_two_chalcogens_to_a_metal_in_prisms(metal: str, chalcogen: str) -> None:
    scene = layer(metal=metal, chalcogen=chalcogen)
    number, position = scene.atoms.number, scene.atoms.position
    heavy = {"Mo": 42, "W": 74}[metal]
    metals = number == heavy
    assert np.sum(~metals) / np.sum(metals) == pytest.approx(2, abs=0.05)
    reach = {"S": 2.6e-10, "Se": 2.7e-10, "Te": 2.9e-10}[chalcogen]
    _, neighbours = bonds(position, reach)
    inside = inner(position, 4e-9)
    assert set(neighbours[metals & inside]) == {6}
    assert set(neighbours[~metals & inside]) == {3}
    # Prism, not octahedron: chalcogens lie above each other.
    found = columns(scene)
    assert Counter(found.sites.tolist()).keys() == {1, 2}
    names = [found.sublattices[one] for one in found.sublattice]
    assert {(name, sites) for name, sites in zip(names, found.sites, strict=True)} == {
        (metal, 1), (chalcogen, 2),
    }  # fmt: skip


def test_every_defect_of_a_layer_counts_as_asked() -> None:
    asked = {
        "vacancies": 0.02, "double_vacancies": 5, "metal_vacancies": 4, "antisites": 3,
        "metal_antisites": 2, "metal_dopant": "V", "metal_dopants": 0.01,
        "chalcogen_dopant": "Se", "chalcogen_dopants": 0.03,
    }  # fmt: skip
    scene = layer(4, **asked)
    perfect = layer(4)
    metals = int(np.sum(perfect.atoms.number == 42))
    sulphur = int(np.sum(perfect.atoms.number == 16))
    dopants, foreign, single = round(0.01 * metals), round(0.03 * sulphur), round(0.02 * sulphur)
    found = Counter(scene.atoms.number.tolist())
    assert found[23] == dopants
    assert found[34] == foreign
    assert found[42] == metals - 4 - 2 - dopants + 3
    assert found[16] == sulphur - single - 10 - 3 - foreign + 2
    assert scene.facts["counts"] == {
        "vacancy": single, "double vacancy": 5, "metal vacancy": 4, "antisite": 5,
        "dopant": dopants + foreign,
    }  # fmt: skip
    occupancy = columns(scene)
    of_sulphur = occupancy.sites == 2
    assert np.sum(of_sulphur & (occupancy.atoms == 1)) == single
    assert np.sum(of_sulphur & (occupancy.atoms == 0)) == 5
    assert np.sum(~of_sulphur & (occupancy.atoms == 0)) == 4


def test_no_site_is_hit_twice_even_where_there_is_hardly_one_left() -> None:
    scene = layer(2, vacancies=0.25, chalcogen_dopants=0.4, antisites=0.05, size_m="8 nm")
    sulphur = scene.facts["sites"] - int(np.sum(layer(2, size_m="8 nm").atoms.number == 42))
    found = Counter(scene.atoms.number.tolist())
    assert found[8] == round(0.4 * sulphur)
    assert scene.facts["counts"]["vacancy"] == round(0.25 * sulphur)
    assert len(scene.atoms) == scene.facts["sites"] - round(0.25 * sulphur)
    places = {(one["x"], one["y"], one["z"]) for one in scene.facts["defects"]}
    assert len(places) == len(scene.facts["defects"])


def test_single_vacancies_are_on_both_sides_and_a_column_has_one() -> None:
    scene = layer(1, vacancies=200, size_m="15 nm")
    assert scene.facts["counts"] == {"vacancy": 200}
    top = sum(one["site"] == "S top" for one in scene.facts["defects"])
    assert 60 < top < 140
    assert np.sum(columns(scene).atoms == 1) == 200 + np.sum(columns(scene).sites == 1)


def test_sulphur_below_leaves_first_and_top_lies_towards_the_gun() -> None:
    atoms = layer().atoms
    name = np.array(atoms.sites)[atoms.site]
    assert atoms.position[name == "S top", 2].max() < atoms.position[name == "Mo", 2].min()
    assert atoms.position[name == "S bottom", 2].min() > atoms.position[name == "Mo", 2].max()
    low = atoms.displacement_energy[name == "S bottom"]
    np.testing.assert_allclose(low, 6.9)
    assert atoms.displacement_energy[name == "S top"].min() > low.max()
    assert atoms.radiolysis[name == "Mo"].max() == 0 < atoms.radiolysis[name == "S top"].min()


def test_a_zigzag_edge_of_a_layer_is_a_row_of_one_element() -> None:
    scene = layer(vacuum=0.3, edge="zigzag", rotation=0.0, size_m="14 nm")
    position, number = scene.atoms.position, scene.atoms.number
    rim = position[:, 1].max()
    outermost = np.abs(position[:, 1] - rim) < 0.1e-10
    assert len(set(number[outermost])) == 1
    gaps = np.diff(np.unique(np.rint(position[outermost, 0] * 1e14)))
    np.testing.assert_allclose(gaps * 1e-14, 3.16e-10, rtol=1e-3)
