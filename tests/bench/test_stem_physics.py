"""The track on the electron twin's physics: truth reaches its bars, what knows nothing does not."""

import math
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

from nanopilot.bench.stem_peers import aberrations, dark_field, elastic, mirrored
from nanopilot.bench.tracks.stem_physics import (
    FLAT,
    STACKS,
    Answer,
    Case,
    Job,
    Stack,
    StemPhysics,
    correlation,
    disc,
    draw,
    points,
)
from nanopilot.core.errors import MissingExtra, Unsupported
from nanopilot.models.electron_optics import Aberrations
from nanopilot.models.multislice import patterns
from nanopilot.models.scattering import cross_section

SMALL = StemPhysics((Stack("mos2", (1, 1), 80e3, (1, 1), "turn"),), points=4)


@pytest.fixture(scope="module")
def case() -> Case:
    pytest.importorskip("abtem")
    return SMALL.case(1000)


def test_truth_reaches_every_bar_and_a_constant_none(case: Case) -> None:
    truth = SMALL.score(case, case.truth)
    flat = [replace(one, image=np.ones_like(one.image), pattern=one.pattern * 0)
            for one in case.truth]  # fmt: skip
    constant = SMALL.score(case, tuple(flat))
    for bar in SMALL.bars:
        sign = 1 if bar.better == "higher" else -1
        assert sign * truth[bar.metric] > sign * bar.bar
        assert sign * constant[bar.metric] < sign * bar.bar
    assert truth["worst"] == pytest.approx(1.0)
    assert constant["worst"] == 0
    assert constant["pattern"] == 1
    assert truth["ratio_mos2_thin"] == pytest.approx(1.0)


def test_twin_is_nearer_than_points_and_its_patterns_are_equal(case: Case) -> None:
    found = {name: SMALL.score(case, SMALL.methods[name](case.visible)) for name in SMALL.methods}
    others = [name for name in found if name != SMALL.default]
    assert len(others) == 3
    # One configuration of phonons is no calm truth: the track has more.
    assert found["twin"]["mos2_thin"] > max(0.9, found["blobs"]["mos2_thin"])
    assert found["twin"]["pattern"] < 0.01
    assert min(found[name]["pattern"] for name in others) > 0.05
    assert found["twin"]["ratio_mos2_thin"] == pytest.approx(1.0, abs=0.25)


def test_methods_see_no_truth(case: Case) -> None:
    assert {field.name for field in fields(case.visible[0])} == {
        "name", "specimen", "atoms", "lens", "ring", "places", "spot", "how",
    }  # fmt: skip


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.name)
def test_jobs_are_drawn_from_the_seed_and_their_atoms_go_on_around_the_box(stack: Stack) -> None:
    for cells in stack.thick:
        job, same, other = (draw(np.random.default_rng(n), stack, cells, "x") for n in (0, 0, 1))
        np.testing.assert_array_equal(job.places, same.places)
        assert not np.array_equal(job.places, other.places)
        inside = (job.atoms.position[:, :2] > -1e-15).all(axis=1)
        inside &= (job.atoms.position[:, :2] < np.array(job.specimen.box[:2]) - 1e-15).all(axis=1)
        order = [np.lexsort(np.round(one, 13).T)
                 for one in (job.atoms.position[inside], job.specimen.position)]  # fmt: skip
        np.testing.assert_allclose(
            job.atoms.position[inside][order[0]], job.specimen.position[order[1]], atol=1e-16
        )
        far = np.linalg.norm(job.places[:, None] - job.atoms.position[None, :, :2], axis=-1)
        assert far.min(axis=1).max() < 4e-10
        reach = np.abs(job.atoms.position[:, :2] - job.places.mean(axis=0)).max(axis=0)
        assert (reach > 1.2e-9).all()


@pytest.mark.parametrize(("name", "apart"), [("graphene", 1.42e-10), ("mos2", 1.82e-10)])
def test_layers_are_stacked_as_they_are_in_nature(name: str, apart: float) -> None:
    """AB: half of the carbon has none below; 2H: every metal has chalcogens below."""
    (stack,) = (one for one in STACKS if one.name == name)
    atoms = draw(np.random.default_rng(0), stack, 2, "x").specimen
    half = atoms.box[2] / 2
    upper, lower = atoms.position[:, 2] < half, atoms.position[:, 2] >= half
    assert upper.sum() == lower.sum()
    away = atoms.position[upper, None, :2] - atoms.position[None, lower, :2]
    away -= np.round(away / np.array(atoms.box[:2])) * np.array(atoms.box[:2])
    distance = np.linalg.norm(away, axis=-1)
    above = distance.min(axis=1)
    if name == "graphene":
        assert (above < 1e-13).mean() == 0.5
        assert above.max() == pytest.approx(apart, rel=0.01)
    else:
        metal = atoms.number[upper] == 42
        below = atoms.number[lower][distance.argmin(axis=1)]
        assert above.max() < 1e-13
        assert (below[metal] == 16).all()
        assert (below[~metal] == 42).all()


def test_a_lone_atom_scatters_into_a_ring_what_its_cross_section_says() -> None:
    """The image of the other multislice, calibrated: its sum over places is a cross section."""
    pytest.importorskip("abtem")
    job = draw(np.random.default_rng(0), STACKS[0], 1, "x")
    centre = np.array(job.specimen.box[:2]) / 2
    one = replace(
        job.specimen, position=np.array([[*centre, 1e-10]]), number=np.array([14]),
        rms=np.array([1e-12]),
    )  # fmt: skip
    lens = job.lens.model_copy(update={"convergence_angle": 20e-3, "aberrations": Aberrations()})
    step = 2.4e-11
    x = (np.arange(14) - 6.5) * step
    places = np.stack(np.meshgrid(x, x), -1).reshape(-1, 2) + centre
    found = dark_field(one, lens, (60e-3, 110e-3), places, (1, 0)).sum() * step**2
    # The cone of the beam smooths the edges of the ring: by a few percent.
    assert found == pytest.approx(cross_section(14, 80e3, 60e-3, 110e-3), rel=0.1, abs=0)


def test_vibrations_come_in_mirrored_pairs_as_large_as_they_should_be() -> None:
    box = draw(np.random.default_rng(0), STACKS[1], 2, "x").specimen
    found = np.array([one.position for one in mirrored(box, 400, np.random.default_rng(1))])
    away = found - box.position
    np.testing.assert_allclose(away[0::2], -away[1::2], atol=1e-20)
    for number in np.unique(box.number):
        its = box.number == number
        spread = away[:, its].std(axis=(0, 1))
        np.testing.assert_allclose(spread, box.rms[its][0], rtol=0.05)
    assert len(list(mirrored(box, 3, np.random.default_rng(1)))) == 3


def test_images_of_other_vibrations_are_the_same_to_what_is_asked_of_the_twin() -> None:
    pytest.importorskip("abtem")
    job = draw(np.random.default_rng(2), STACKS[0], 2, "x", 5)
    ring = (job.ring.inner, job.ring.outer)
    one, other = (dark_field(job.specimen, job.lens, ring, job.places, (6, n)) for n in (1, 2))
    assert correlation(one, other) > 0.995


def test_metrics_that_bars_speak_of_cover_both_thicknesses() -> None:
    names = {f"{stack.name}_{word}" for stack in STACKS for word in ("thin", "thick")}
    assert set(FLAT) <= names
    assert {"graphene_thick", "mos2_thick"} <= set(FLAT)


def test_correlation_is_pearsons() -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 30))
    assert correlation(one, other) == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert correlation(one, 3 - 2 * one) == pytest.approx(-1.0)


def test_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "abtem", None)
    with pytest.raises(MissingExtra, match=r"nanopilot\[abtem\]"):
        SMALL.case(0)


def test_aberrations_that_would_be_lost_are_refused() -> None:
    job = draw(np.random.default_rng(0), STACKS[0], 1, "x")
    assert aberrations(job.lens)["C12"] == pytest.approx(
        1e10 * math.hypot(job.lens.aberrations.A1_x, job.lens.aberrations.A1_y)
    )
    coma = job.lens.model_copy(update={"aberrations": Aberrations(B2_x=1e-9)})
    with pytest.raises(Unsupported, match="C1 and A1"):
        aberrations(coma)


def test_baselines_are_what_they_say() -> None:
    job: Job = draw(np.random.default_rng(0), STACKS[1], 1, "x")
    assert disc(job).sum() == pytest.approx(1.0, abs=1e-6)
    kinds = [points(replace(job, atoms=job.atoms.keep(job.atoms.number == z)), 0.0)
             for z in (42, 16)]  # fmt: skip
    for power in (1.0, 2.0):
        both = 42.0**power * kinds[0] + 16.0**power * kinds[1]
        np.testing.assert_allclose(points(job, power), both, rtol=1e-12)


def test_elastic_pattern_of_the_other_is_ours(case: Case) -> None:
    job = case.visible[0]
    ours = next(patterns(job.specimen, job.lens, job.spot[None], job.how))[0]
    finer = job.how.model_copy(update={"pixel": 2.3e-12 / 1.5})
    truth = elastic(job.specimen, job.lens, job.spot, finer)
    np.testing.assert_array_equal(truth, case.truth[0].pattern)
    answer = Answer(case.truth[0].image, ours)
    assert SMALL.score(case, (answer, case.truth[1]))["pattern_mos2_thin"] < 0.005
