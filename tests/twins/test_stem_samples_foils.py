"""Foils of the electron twin: walls, wedges, grains, cross-sections with the truth they state."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Voronoi, cKDTree

from nanopilot.twins.stem.samples import family
from nanopilot.twins.stem.samples.columns import columns
from nanopilot.twins.stem.samples.lattice import Box
from nanopilot.twins.stem.samples.polygons import area, cells


def close(value: Any, rel: float = 1e-6) -> Any:
    """Return what is equal within a relative tolerance; that of `approx` is 1e-12 in metres too."""
    return pytest.approx(value, rel=rel, abs=0.0)


def make(name: str, seed: int = 0, **told: Any) -> Any:
    return family(name)(np.random.default_rng(seed), **told)


def ferrite(seed: int = 0, **told: Any) -> Any:
    return make("bifeo3", seed, **({"size_m": "10 nm", "thickness": "2.4 nm"} | told))


def iron_against_bismuth(scene: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the middle (x, y) of the eight bismuths around every iron, and how far it is from it.

    As it is measured in frames: nothing of the truth enters.
    """
    number, position = scene.atoms.number, scene.atoms.position
    iron, bismuth = position[number == 26], position[number == 83]
    tree = cKDTree(bismuth)
    near, which = tree.query(iron, k=8)
    inside = near.max(axis=1) < 4.2e-10
    middle = bismuth[which[inside]].mean(axis=1)
    return middle[:, 0], middle[:, 1], iron[inside] - middle


# Walls


@pytest.mark.parametrize(
    ("wall", "flipped"), [("180", (1, 1, 1)), ("109", (0, 1, 1)), ("71", (1, 0, 0))]
)
def test_far_from_a_wall_iron_is_displaced_along_the_diagonals(
    wall: str, flipped: tuple[int, int, int]
) -> None:
    scene = ferrite(wall=wall)
    x, y, moved = iron_against_bismuth(scene)
    normal = np.array(scene.facts["walls"]["normal"])
    across = x * normal[0] + y * normal[1]
    first, second = moved[across < -2.5e-9], moved[across > 2.5e-9]
    one = 40e-12 / math.sqrt(3)
    np.testing.assert_allclose(first, np.full_like(first, one), atol=0.02e-12)
    signs = 1 - 2 * np.array(flipped)
    np.testing.assert_allclose(second, signs * np.ones_like(second) * one, atol=0.02e-12)
    angle = math.degrees(math.acos(np.dot(signs, (1, 1, 1)) / 3))
    assert round(angle) == {"180": 180, "109": 109, "71": 71}[wall]


@pytest.mark.parametrize("wall", ["180", "109", "71"])
@pytest.mark.parametrize("rotation", [0.0, 0.3])
def test_across_a_wall_the_displacement_is_a_hyperbolic_tangent(wall: str, rotation: float) -> None:
    scene = ferrite(wall=wall, rotation=rotation, wall_width="0.8 nm")
    x, y, moved = iron_against_bismuth(scene)
    normal = np.array(scene.facts["walls"]["normal"])
    first, second = (np.array(one) for one in scene.facts["walls"]["displacements"])
    across = x * normal[0] + y * normal[1]
    jump = second - first
    part = (moved - (first + second) / 2) @ jump / (jump @ jump) * 2
    np.testing.assert_allclose(part, np.tanh(across / 0.8e-9), atol=1e-6)
    # No charge: the polarisation along the normal does not change.
    assert jump @ normal == pytest.approx(0, abs=1e-18)


@given(st.floats(-4e-9, 4e-9), st.floats(-4e-9, 4e-9), st.sampled_from(["180", "109", "71"]))
@settings(max_examples=30, deadline=None)
def test_fields_say_what_the_atoms_show(x: float, y: float, wall: str) -> None:
    scene = _CACHE.setdefault(wall, ferrite(wall=wall))
    px, py, moved = iron_against_bismuth(scene)
    nearest = np.argmin(np.hypot(px - x, py - y))
    at = np.array(px[nearest]), np.array(py[nearest])
    said = [float(scene.at(f"displacement_{name}", *at)) for name in "xyz"]
    np.testing.assert_allclose(said, moved[nearest], atol=1e-16)


_CACHE: dict[str, Any] = {}


def test_an_inclined_wall_is_averaged_along_the_beam() -> None:
    scene = ferrite(wall="71", inclination="45 deg", thickness="4.8 nm", wall_width="0.4 nm")
    assert np.array(scene.facts["walls"]["normal"])[2] == close(math.sqrt(0.5))
    _, y, moved = iron_against_bismuth(scene)
    for place in (-2e-9, -0.9e-9, 0.0, 1.1e-9):
        here = np.abs(y - place) < 0.25e-9
        said = float(scene.at("displacement_x", np.array(0.0), np.array(place)))
        assert moved[here, 0].mean() == pytest.approx(said, abs=2.5e-12)


def test_several_walls_alternate_and_none_is_one_domain() -> None:
    scene = ferrite(wall="109", walls=3)
    places = scene.facts["walls"]["places"]
    np.testing.assert_allclose(np.diff(places), 10e-9 / 3)
    edges = [-5e-9, *places, 5e-9]
    signs = [
        float(scene.at("domain", np.array((a + b) / 2), np.array(0.0))) for a, b in pairwise(edges)
    ]
    np.testing.assert_allclose(signs, [-1, 1, -1, 1], atol=0.08)
    x, y = np.meshgrid(np.linspace(-5e-9, 5e-9, 9), np.linspace(-5e-9, 5e-9, 9))
    assert (ferrite(walls=0).at("domain", x, y) == -1).all()


def test_columns_know_their_displacement_with_and_without_weights() -> None:
    scene = ferrite(walls=0)
    one, oxygen = 40e-12 / math.sqrt(3), 1.58
    plain, seen = columns(scene), columns(scene, power=1.6)
    kind = [plain.sublattices[number] for number in plain.sublattice]
    expected = {"Bi": 0.0, "Fe+O": one * (1 + oxygen) / 2, "O": one * oxygen}
    weights = np.array([26.0, 8.0]) ** 1.6
    heavy = one * (weights[0] + oxygen * weights[1]) / weights.sum()
    for number, name in enumerate(kind):
        np.testing.assert_allclose(plain.displacement[number], expected[name], atol=1e-16)
        if name == "Fe+O":
            np.testing.assert_allclose(seen.displacement[number], heavy, atol=1e-16)
    np.testing.assert_allclose(plain.x - plain.ideal[:, 0], plain.displacement[:, 0], atol=1e-16)


# Crystals


def test_strontium_titanate_is_cubic_and_stoichiometric() -> None:
    scene = make("srtio3", oxygen_vacancies=0)
    counts = {number: int(np.sum(scene.atoms.number == number)) for number in (38, 22, 8)}
    # The rim may end on either plane: one row of cells.
    rim = 4 * 14e-9 / 3.901e-10 * (scene.facts["thickness"] / 3.901e-10)
    assert abs(counts[38] - counts[22]) <= rim
    assert abs(counts[8] - 3 * counts[22]) <= 3 * rim
    position, number = scene.atoms.position, scene.atoms.number
    inside = np.abs(position).max(axis=1) < 3e-9
    titanium = position[(number == 22) & inside]
    away, _ = cKDTree(position[number == 8]).query(titanium, k=7)
    np.testing.assert_allclose(away[:, :6], 1.9505e-10, rtol=1e-9)
    assert away[:, 6].min() > 3e-10
    # Turned by a quarter the crystal is itself.
    middle = titanium[np.argmin(np.hypot(*titanium[:, :2].T))]
    near = position[np.linalg.norm(position - middle, axis=1) < 1.5e-9] - middle
    turned = near[:, [1, 0, 2]] * [-1, 1, 1]
    assert cKDTree(near).query(turned)[0].max() < 1e-13


def test_oxygen_vacancies_lower_the_valence_of_titanium() -> None:
    scene = make("srtio3", size_m="6 nm", oxygen_vacancies=0.02)
    oxygen = np.sum(scene.atoms.number == 8)
    vacant = len(scene.facts["defects"]) / (oxygen + len(scene.facts["defects"]))
    assert vacant == pytest.approx(0.02, abs=1e-4)
    assert scene.valence == {"Ti": "valence_Ti"}
    at_middle = float(scene.at("valence_Ti", np.array(0.0), np.array(0.0)))
    assert at_middle == close(4 - 6 * vacant)
    assert float(make("srtio3", size_m="6 nm", oxygen_vacancies=0).facts["valence_Ti"]) == 4


@pytest.mark.parametrize(("zone", "period"), [("100", 4.153), ("010", 11.501), ("001", 11.501 / 2)])
def test_tin_selenide_stands_along_its_zone(zone: str, period: float) -> None:
    scene = make("snse", zone=zone, size_m="9 nm", tin_vacancies=0, rotation=0.0)
    found = columns(scene)
    place = np.stack([found.x, found.y], axis=1)
    tree = cKDTree(place)
    axis = {"100": 0, "010": 1, "001": 0}[zone]
    step = np.zeros(2)
    step[axis] = period * 1e-10
    inside = np.abs(place + step / 2).max(axis=1) < 3.5e-9 - period * 0.5e-10
    away, partner = tree.query(place[inside] + step)
    np.testing.assert_allclose(away, 0, atol=1e-14)
    np.testing.assert_array_equal(found.sublattice[inside], found.sublattice[partner])
    half, _ = tree.query(place[inside] + step / 2)
    assert half.max() > 1e-11


# Grains


@given(st.integers(1, 40), st.integers(0, 2**20))
@settings(max_examples=25, deadline=None)
def test_cells_share_the_area_and_each_holds_its_seed(count: int, seed: int) -> None:
    box = Box(-1.0, 1.0, -1.0, 1.0)
    seeds = np.random.default_rng(seed).uniform(-1, 1, (count, 2))
    found = cells(seeds, box)
    assert sum(area(one) for one in found) == close(4.0)
    for polygon, own in zip(found, seeds, strict=True):
        # Every corner is at least as near to its own seed as to any other.
        away = np.linalg.norm(polygon[:, None] - seeds[None], axis=-1)
        assert (np.linalg.norm(polygon - own, axis=1) <= away.min(axis=1) + 1e-9).all()


def test_inner_cells_are_those_of_qhull() -> None:
    seeds = np.random.default_rng(3).uniform(-1, 1, (30, 2))
    diagram = Voronoi(seeds)
    found = cells(seeds, Box(-9.0, 9.0, -9.0, 9.0))
    compared = 0
    for number, region in enumerate(diagram.point_region):
        corners = diagram.regions[region]
        if -1 in corners or np.abs(diagram.vertices[corners]).max() > 8:
            continue
        compared += 1
        mine = found[number]
        assert cKDTree(mine).query(diagram.vertices[corners])[0].max() < 1e-9
    assert compared > 5


@pytest.mark.parametrize("seed", range(3))
def test_maps_of_grain_and_phase_are_the_grains_of_the_truth(seed: int) -> None:
    scene = make("pd-se", seed, size_m="20 nm", grains=9, thickness="1.5 nm", zones=("001", "100"))
    grains = scene.facts["grains"]
    assert sum(one["area"] for one in grains) == close(400e-18)
    assert {one["phase"] for one in grains} == {"pdse2", "pd2se3", "pdse"}
    edge = np.linspace(-10e-9, 10e-9, 201)
    x, y = np.meshgrid((edge[1:] + edge[:-1]) / 2, (edge[1:] + edge[:-1]) / 2)
    number, phase = scene.at("grain", x, y), scene.at("phase", x, y)
    for index, one in enumerate(grains, start=1):
        mine = number == index
        assert mine.sum() * 1e-20 == close(one["area"], rel=0.06)
        assert set(phase[mine]) == {float(scene.facts["phases"].index(one["phase"]))}
        assert set(scene.at("orientation", x, y)[mine]) == {one["rotation"]}
        row = scene.matter.materials.index(one["phase"])
        np.testing.assert_allclose(scene.matter.thickness(x, y)[row][mine], one["thickness"])


def test_each_grain_has_the_composition_and_density_of_its_phase() -> None:
    scene = make("pd-se", 1, size_m="30 nm", grains=5, selenium_vacancies=0)
    grain = scene.at("grain", *scene.atoms.position[:, :2].T)
    wanted = {"pdse2": (2.0, 46.2e27), "pd2se3": (1.5, 44.1e27), "pdse": (1.0, 51.1e27)}
    for index, one in enumerate(scene.facts["grains"], start=1):
        number = scene.atoms.number[grain == index]
        ratio, dense = wanted[one["phase"]]
        assert np.sum(number == 34) / np.sum(number == 46) == close(ratio, rel=0.03)
        volume = one["area"] * one["thickness"]
        assert len(number) / volume == close(dense, rel=0.06)


def test_phases_without_weight_are_not_there() -> None:
    scene = make("pd-se", size_m="15 nm", weights=(0, 0, 1), grains=4, turned=False, rotation=0.2)
    assert {one["phase"] for one in scene.facts["grains"]} == {"pdse"}
    assert {one["rotation"] for one in scene.facts["grains"]} == {0.2}


# Cross-section


def test_regions_follow_each_other_and_atoms_are_those_of_their_crystal() -> None:
    scene = make("interface", size_m="16 nm", thickness="2 nm", step="2 nm", roughness="0.4 nm")
    x = np.linspace(-8e-9, 8e-9, 400)
    for y in (-5e-9, 0.0, 4e-9):
        region = scene.at("region", x, np.full_like(x, y))
        assert set(region) == {0.0, 1.0, 2.0, 3.0}
        assert (np.diff(region) >= 0).all()
    at = scene.at("region", *scene.atoms.position[:, :2].T)
    assert set(at) == {2.0, 3.0}
    assert set(scene.atoms.number[at == 2]) == {38, 22, 8}
    assert set(scene.atoms.number[at == 3]) == {14}
    # Borders are where they are said, as rough as asked.
    y = np.linspace(-8e-9, 8e-9, 300)
    grid_x, grid_y = np.meshgrid(x, y)
    region = scene.at("region", grid_x, grid_y)
    for number, border in enumerate(scene.facts["borders"], start=1):
        place = x[np.argmax(region >= number, axis=1)]
        assert place.mean() == pytest.approx(border, abs=0.4e-9)
        assert place.std() == close(0.4e-9, rel=0.5)


def test_the_foil_has_a_step_at_the_interface_of_the_crystals() -> None:
    scene = make("interface", size_m="12 nm", thickness="2 nm", step="3 nm")
    left, right = scene.facts["borders"][1] + 1e-9, scene.facts["borders"][2] + 1e-9
    total = scene.matter.thickness(np.array([left, right]), np.zeros(2)).sum(axis=0)
    assert total[1] - total[0] == close(scene.facts["step"])
    assert scene.facts["step"] == pytest.approx(3e-9, abs=0.8e-9)
    position = scene.atoms.position
    first, second = (
        np.ptp(position[np.abs(position[:, 0] - x) < 0.8e-9, 2]) for x in (left, right)
    )
    assert second - first == pytest.approx(scene.facts["step"], abs=0.4e-9)
    assert (scene.matter.thickness(np.array(-5.9e-9), np.array(0.0)) == 0).all()


def test_valence_is_lower_at_the_interface_and_recovers() -> None:
    scene = make("interface", roughness=0.0, reduction=0.5, reduction_depth="1 nm")
    border = scene.facts["borders"][2]
    x = border - np.array([0.0, 1e-9, 2e-9])
    valence = scene.at("valence_Ti", x, np.zeros(3))
    np.testing.assert_allclose(valence, 4 - 0.5 * np.exp([0.0, -1.0, -2.0]), atol=1e-12)
