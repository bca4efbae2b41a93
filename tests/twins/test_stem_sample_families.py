"""Every family of samples of the electron twin: what is true of all, and of each its own truth."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nanopilot.core.errors import InvalidRequest, OutOfRange, UnknownName, Unsupported
from nanopilot.core.limits import Area
from nanopilot.twins.stem.materials import MATERIALS
from nanopilot.twins.stem.samples import SAMPLES, family
from nanopilot.twins.stem.samples.columns import Crystalline, columns
from nanopilot.twins.stem.scene import Scene

#: Small, so that every test is quick.
SMALL: dict[str, dict[str, Any]] = {
    "bifeo3": {"size_m": "6 nm", "thickness": "3 nm"},
    "carbon": {"size_m": "4 nm", "film": {"thickness": "2 nm"}},
    "dichalcogenide": {"size_m": "9 nm"},
    "graphene": {"size_m": "9 nm"},
    "interface": {"size_m": "8 nm", "thickness": "2 nm", "step": "1 nm"},
    "nothing": {},
    "particles": {"size_m": "2 um", "count": 40},
    "pd-se": {"size_m": "12 nm", "grains": 6, "thickness": "1.5 nm"},
    "plasmonic": {"size_m": "1 um"},
    "snse": {"size_m": "6 nm", "thickness": "3 nm"},
    "srtio3": {"size_m": "6 nm", "thickness": "3 nm"},
}
ATOMIC = ("bifeo3", "dichalcogenide", "graphene", "interface", "pd-se", "snse", "srtio3")
TINY_HOLES = {"holes": 0.5, "hole_size": "1 nm"}
#: 0.6 of the shortest bond of each, in metres.
CLOSEST = {
    "bifeo3": 1.19e-10, "carbon": 0.85e-10, "dichalcogenide": 1.45e-10, "graphene": 0.85e-10,
    "interface": 1.17e-10, "pd-se": 1.43e-10, "snse": 1.65e-10, "srtio3": 1.17e-10,
}  # fmt: skip


def close(value: Any, rel: float = 1e-6) -> Any:
    """Return what is equal within a relative tolerance; that of `approx` is 1e-12 in metres too."""
    return pytest.approx(value, rel=rel, abs=0.0)


def make(name: str, seed: int = 0, **told: Any) -> Any:
    return family(name)(np.random.default_rng(seed), **(SMALL[name] | told))


def places(scene: Scene, rows: int = 48) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(*scene.area.x, rows)
    return np.meshgrid(x, np.linspace(*scene.area.y, rows + 5))


def everything(scene: Scene) -> list[bytes]:
    """Return all that a scene says, as bytes."""
    x, y = places(scene)
    atoms = scene.atoms
    arrays = [atoms.position, atoms.number, atoms.rms, atoms.site, atoms.displacement_energy]
    arrays += [atoms.radiolysis, scene.matter.thickness(x, y), scene.height(x, y)]
    arrays += [scene.at(field, x, y) for field in sorted(scene.fields)]
    if scene.excitations is not None:
        arrays.append(scene.excitations.loss(x[:3, :3], y[:3, :3], np.linspace(1, 4, 5)))
    return [json.dumps(scene.facts).encode(), *(one.tobytes() for one in arrays)]


@pytest.mark.parametrize("name", SAMPLES)
def test_same_seed_same_bytes_and_another_seed_another_sample(name: str) -> None:
    one = everything(make(name, 3))
    assert one == everything(make(name, 3))
    if name != "nothing":
        assert one != everything(make(name, 4))


@pytest.mark.parametrize("name", SAMPLES)
def test_what_a_scene_says_has_shape_meaning_and_a_material(name: str) -> None:
    scene = make(name)
    x, y = places(scene)
    thickness = scene.matter.thickness(x, y)
    assert thickness.shape == (len(scene.matter.materials), *x.shape)
    assert len(scene.matter.by_atoms) == len(scene.matter.materials)
    assert np.isfinite(thickness).all()
    assert (thickness >= 0).all()
    assert set(scene.matter.materials) <= set(MATERIALS)
    for field in scene.fields:
        assert scene.at(field, x, y).shape == x.shape, field
        assert np.isfinite(scene.at(field, x, y)).all()
        at_one = scene.at(field, np.array(x[7, 9]), np.array(y[7, 9]))
        assert at_one.shape == ()
        assert float(at_one) == close(scene.at(field, x, y)[7, 9], rel=1e-12)
    assert set(scene.valence.values()) <= set(scene.fields)
    json.dumps(scene.facts, allow_nan=False)


@pytest.mark.parametrize("name", SAMPLES)
def test_matter_is_the_same_line_by_line(name: str) -> None:
    scene = make(name)
    x, y = places(scene, 20)
    lines = [scene.matter.thickness(x[i], y[i]) for i in range(len(x))]
    np.testing.assert_array_equal(np.stack(lines, axis=1), scene.matter.thickness(x, y))


@pytest.mark.parametrize("name", [*ATOMIC, "carbon"])
def test_atoms_lie_in_the_area_and_not_on_each_other(name: str) -> None:
    for seed in range(3):
        scene = make(name, seed)
        position = scene.atoms.position
        assert isinstance(scene.area, Area)
        assert scene.area.x[0] <= position[:, 0].min()
        assert position[:, 0].max() <= scene.area.x[1] + 1e-10
        away, _ = cKDTree(position).query(position, k=2)
        assert away[:, 1].min() > CLOSEST[name]


@pytest.mark.parametrize("name", [*ATOMIC, "carbon"])
def test_mass_by_atoms_is_mass_by_thickness(name: str) -> None:
    clean = {
        "dichalcogenide": {
            "vacancies": 0, "double_vacancies": 0, "metal_vacancies": 0, "antisites": 0,
            "metal_dopants": 0,
        },
        "graphene": {"vacancies": 0, "silicon": 0, "nitrogen": 0},
        "srtio3": {"oxygen_vacancies": 0},
        "snse": {"tin_vacancies": 0},
        "interface": {"roughness": 0},
    }.get(name, {})  # fmt: skip
    scene = make(name, size_m="12 nm", **clean)
    from ase.data import atomic_masses

    weighed = atomic_masses[scene.atoms.number].sum() * 1.66053906660e-27
    x, y = places(scene, 240)
    area = (scene.area.x[1] - scene.area.x[0]) ** 2
    expected = sum(
        one.mean() * area * MATERIALS[material].density
        for one, material, by_atoms in zip(
            scene.matter.thickness(x, y), scene.matter.materials, scene.matter.by_atoms, strict=True
        )
        if by_atoms
    )
    # Rows of atoms at the rim of the area come whole or not at all; grains are loose at their rims.
    assert weighed == close(expected, rel=0.05)


@pytest.mark.parametrize("name", ATOMIC)
def test_columns_hold_every_atom_once(name: str) -> None:
    scene = make(name)
    found = columns(scene)
    assert isinstance(scene, Crystalline)
    assert (found.of_atom >= 0).all()
    assert found.atoms.sum() == len(scene.atoms)
    assert found.sites.sum() == len(scene.ideal)
    assert found.z_sum.sum() == scene.atoms.number.sum()
    assert (found.occupancy <= 1).all()
    vacant = [one for one in scene.facts.get("defects", []) if one["kind"].endswith("vacancy")]
    lost = sum(2 if one["kind"] == "double vacancy" else 1 for one in vacant)
    assert len(scene.ideal) - len(scene.atoms) == lost
    for number in (0, len(found) // 2):
        atoms = scene.atoms.number[found.of_atom == number]
        assert found.numbers(number) == sorted(atoms.tolist())
        if len(atoms):
            assert found.mean_z[number] == close(atoms.mean())


@pytest.mark.parametrize("name", ATOMIC)
def test_columns_follow_what_is_removed_later(name: str) -> None:
    from dataclasses import replace

    scene = make(name)
    kept = np.random.default_rng(5).random(len(scene.atoms)) > 0.1
    before, after = columns(scene), columns(replace(scene, atoms=scene.atoms.keep(kept)))
    expected = np.bincount(before.of_atom[kept], minlength=len(before))
    np.testing.assert_array_equal(after.atoms, expected)


def test_scenes_without_columns_say_which_have_them() -> None:
    for name in ("nothing", "particles"):
        with pytest.raises(Unsupported, match="graphene"):
            columns(make(name))


@pytest.mark.parametrize("name", ["bifeo3", "carbon", "dichalcogenide", "graphene", "interface",
                                  "pd-se", "snse", "srtio3"])  # fmt: skip
def test_as_made_by_itself_a_family_has_not_too_many_atoms(name: str) -> None:
    scene = family(name)(np.random.default_rng(0))
    assert 5_000 < len(scene.atoms) <= 500_000


@pytest.mark.parametrize("name", SAMPLES)
def test_settings_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="no setting"):
        make(name, colour="red")
    with pytest.raises(InvalidRequest):
        make(name, size_m="10 V")
    for size in ("1 pm", "1 m"):
        with pytest.raises(OutOfRange, match="size_m"):
            make(name, size_m=size)
    assert set(family(name).settings()) == set(family(name).recipe.model_fields)
    json.dumps(family(name).settings(), allow_nan=False)


@pytest.mark.parametrize(
    ("name", "told", "error", "said"),
    [
        ("graphene", {"vacancies": 1.5}, InvalidRequest, "neither a fraction below 1"),
        ("graphene", {"vacancies": -0.1}, InvalidRequest, "vacancies"),
        ("graphene", {"vacancies": 10**7}, OutOfRange, "larger `size_m`"),
        ("graphene", {"vacancies": 0.7, "nitrogen": 0.7}, OutOfRange, "nitrogen"),
        ("graphene", {"boundary": 2.0}, InvalidRequest, "boundary"),
        ("graphene", {"vacuum": 0.95}, InvalidRequest, "vacuum"),
        ("dichalcogenide", {"metal": "Fe"}, InvalidRequest, "metal"),
        ("dichalcogenide", {"metal_dopant": "Qq"}, InvalidRequest, "no element"),
        ("srtio3", {"thickness": "90 nm", "size_m": "90 nm"}, OutOfRange, "thickness"),
        ("srtio3", {"dopant": "Xx"}, InvalidRequest, "no element"),
        ("bifeo3", {"displacement": "1 nm"}, InvalidRequest, "displacement"),
        ("interface", {"vacuum": 0.5, "amorphous": 0.5, "first": 0.5}, OutOfRange, "add up"),
        ("interface", {"step": "-3 nm"}, OutOfRange, "step"),
        ("pd-se", {"weights": (0, 0, 0)}, InvalidRequest, "weights"),
        ("pd-se", {"weights": (1, -1, 0)}, InvalidRequest, "weights"),
        ("pd-se", {"zones": ()}, InvalidRequest, "zones"),
        ("particles", {"count": 2000}, OutOfRange, "count"),
        ("particles", {"substances": ("cheese",)}, InvalidRequest, "no material"),
        ("particles", {"shapes": ("star",)}, InvalidRequest, "shapes"),
        ("plasmonic", {"pitch": "60 nm"}, OutOfRange, "pitch"),
        ("carbon", {"size_m": "1 um"}, OutOfRange, "explicit"),
        ("snse", {"zone": "110"}, InvalidRequest, "zone"),
        ("nothing", {"holey": True, "film": TINY_HOLES}, OutOfRange, "hole_size"),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused_with_the_way_out(
    name: str, told: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        make(name, **told)


def test_unknown_families_are_said_with_their_neighbours() -> None:
    with pytest.raises(UnknownName, match="graphene"):
        family("graphite")


@pytest.mark.parametrize(
    "name", ["graphene", "dichalcogenide", "srtio3", "bifeo3", "snse", "pd-se"]
)
def test_vacuum_contamination_and_bend_are_where_they_are_asked(name: str) -> None:
    told = {"vacuum": 0.3, "contamination": 3, "contamination_size": "1.5 nm", "bend": "2 nm"}
    scene = make(name, **told)
    size = scene.area.x[1] - scene.area.x[0]
    x, y = places(scene, 120)
    crystal = scene.matter.thickness(x, y)[:-1].sum(axis=0) > 0
    assert crystal.mean() == pytest.approx(0.7, abs=0.06)
    # Sites are where the matter is; a displacement may carry an atom of the edge over it.
    at_atoms = scene.matter.thickness(*scene.ideal[:, :2].T)[:-1].sum(axis=0)
    assert (at_atoms > 0).all()
    assert scene.matter.materials[-1] == "contamination"
    dirt = scene.matter.thickness(x, y)[-1]
    assert dirt.max() > 0.5e-9
    near = np.zeros(x.shape, dtype=bool)
    for patch in scene.facts["contamination"]:
        near |= np.hypot(x - patch["x"], y - patch["y"]) <= patch["radius"] * (1 + 1e-9)
    assert len(scene.facts["contamination"]) == 3
    assert not dirt[~near].any()
    assert (dirt[near] > 0).mean() > 0.95
    # Bent: the ends lie downstream by the sag, and atoms follow.
    assert float(scene.height(np.array(size / 2), np.array(0.0))) == close(2e-9)
    middle = scene.atoms.position[:, 2] - scene.height(*scene.atoms.position[:, :2].T)
    flat = make(name, vacuum=0.3, contamination=3, contamination_size="1.5 nm")
    np.testing.assert_allclose(np.ptp(middle), np.ptp(flat.atoms.position[:, 2]), rtol=1e-6)


@pytest.mark.parametrize("name", ["srtio3", "bifeo3", "snse", "pd-se"])
def test_a_wedge_is_as_thick_as_it_says_everywhere(name: str) -> None:
    scene = make(name, wedge=0.3, size_m="10 nm", thickness="4 nm", grains=4) if name == "pd-se" \
        else make(name, wedge=0.3, size_m="10 nm", thickness="4 nm")  # fmt: skip
    position = scene.atoms.position
    for x in (-4e-9, -1e-9, 2e-9, 4.5e-9):
        here = np.abs(position[:, 0] - x) < 0.5e-9
        thickness = 4e-9 + 0.3 * x
        assert np.abs(position[here, 2]).max() <= (thickness + 0.3 * 0.5e-9) / 2 + 1e-12
        assert np.ptp(position[here, 2]) == pytest.approx(thickness, abs=0.9e-9)
        said = float(scene.matter.thickness(np.array(x), np.array(0.0)).sum())
        assert said == close(thickness)


def test_angles_may_be_given_with_their_unit() -> None:
    assert make("graphene", rotation="30 deg").facts["rotation"] == close(math.pi / 6)
