"""Pairs of patterns: right, complete, and of crystals that stay on one side of the split."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nanopilot.core.errors import InvalidRequest
from nanopilot.models.electron_optics import Lens
from nanopilot.models.multislice import patterns
from nanopilot.models.recipes.tds import PLANES, Member, TdsShape, hide, loss, pack, turn, turned
from nanopilot.models.tds.shown import FEATURES, Shown
from nanopilot.workflows import tds_crystals as crystals
from nanopilot.workflows import train_tds
from nanopilot.workflows.tds_crystals import FAMILIES, Crystal, draw_crystal, held_out_thickness
from nanopilot.workflows.tds_pairs import (
    Parameters,
    Plan,
    Vibrating,
    calculation,
    make_pairs,
    read_parameters,
)

TINY = Plan(places=1, phonons=1, variants=1)
IRON = Crystal("bcc", (26,), (9e-12,), 2.87e-10, Lens(voltage=100e3, convergence_angle=20e-3),
               (0.0, 0.0), 2e-9)  # fmt: skip


def high(found: np.ndarray) -> float:
    along = (np.arange(64) - 32) * 6.25e-3
    angle = np.hypot(along[:, None], along)
    return float(found[..., (angle >= 60e-3) & (angle < 0.2)].sum())


def test_nothing_that_judges_is_learned_from() -> None:
    assert not set(crystals.HELD_OUT_NUMBERS) & set(crystals.TRAINING_NUMBERS)
    assert not set(crystals.HELD_OUT_FAMILIES) & set(crystals.TRAINING_FAMILIES)
    rng = np.random.default_rng(0)
    for _ in range(100):
        crystal = draw_crystal(rng)
        assert set(crystal.numbers) <= set(crystals.TRAINING_NUMBERS)
        assert crystal.family in crystals.TRAINING_FAMILIES
        depths = train_tds.draw_depths(rng, crystal, 6)
        assert not any(held_out_thickness(depth) for depth in depths)
        assert max(depths) <= crystal.thickness


@pytest.fixture(scope="module")
def ten() -> train_tds.Drawn:
    """Return pairs of ten crystals."""
    return train_tds.draw_examples(1, 10, TINY)


def test_all_places_of_a_crystal_are_on_one_side(ten: train_tds.Drawn) -> None:
    drawn = ten.examples
    held = train_tds.held_out_groups(drawn.groups)
    assert held == ("9",)
    learned, stopped = drawn.split(held)
    assert not set(learned.groups) & set(stopped.groups)
    assert len(learned.groups) + len(stopped.groups) == len(drawn.groups)
    # The same crystal, whatever the place and thickness, has the same voltage.
    at = FEATURES.index("log_voltage")
    told = {(group, float(one[-1, 0, at]))
            for group, one in zip(drawn.groups, drawn.inputs, strict=True)}  # fmt: skip
    assert len(told) == 10


@pytest.mark.parametrize("field", sorted(Parameters.model_fields))
def test_a_pair_with_a_missing_field_is_rejected(field: str) -> None:
    (pair,) = make_pairs(IRON, [1e-9], TINY, np.random.default_rng(0))
    told = json.loads(pair.parameters.model_dump_json())
    assert read_parameters(json.dumps(told)) == pair.parameters
    del told[field]
    with pytest.raises(InvalidRequest, match=field):
        read_parameters(json.dumps(told))


def test_every_parameter_of_a_pair_is_that_of_its_crystal() -> None:
    (pair,) = make_pairs(IRON, [1.5e-9], TINY, np.random.default_rng(0))
    told = pair.parameters
    assert (told.numbers, told.rms, told.voltage) == ((26,), (9e-12,), 100e3)
    assert told.phonons == 2
    assert told.thickness == pytest.approx(10 * IRON.slice_thickness)
    assert pair.wave.depth == pytest.approx(told.thickness)
    assert pair.wave.areal[0] == pytest.approx(10 / (2.87e-10) ** 2)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_planes_of_every_family_lie_in_the_middle_of_slices(name: str) -> None:
    family = FAMILIES[name]
    crystal = replace(IRON, family=name, numbers=(20,) * family.elements,
                      rms=(5e-12,) * family.elements, lattice=family.lattice[1])  # fmt: skip
    specimen = crystal.specimen()
    inside = specimen.position[:, 2] / crystal.slice_thickness % 1
    np.testing.assert_allclose(inside, 0.5, atol=1e-6)
    nearest = np.sort(np.linalg.norm(specimen.position - specimen.position[0], axis=1))[1]
    assert nearest > 1.5e-10


def test_atoms_at_rest_are_those_of_multislice() -> None:
    run, place = Vibrating(IRON, IRON.specimen()), np.array([[3e-10, 2e-10]])
    rng = np.random.default_rng(0)
    found = run.patterns(place, [14], 0, (rng, 1))[0]
    (true,) = patterns(IRON.specimen(), IRON.lens, place, calculation(IRON))
    np.testing.assert_allclose(found, true, atol=0.01 * true.max())
    assert high(found) == pytest.approx(high(true), rel=0.02)


def test_vibrating_atoms_are_those_of_multislice_shaken_one_by_one() -> None:
    run, place = Vibrating(IRON, IRON.specimen()), np.array([[3e-10, 2e-10]])
    rng = np.random.default_rng(0)
    found = run.patterns(place, [14], 80, (rng, 16))[0]
    how = calculation(IRON).model_copy(update={"phonons": 80})
    (true,) = patterns(IRON.specimen(), IRON.lens, place, how, rng)
    (still,) = patterns(IRON.specimen(), IRON.lens, place, calculation(IRON))
    assert high(found) == pytest.approx(high(true), rel=0.08)
    assert abs(high(still) / high(true) - 1) > 0.2
    assert found.sum() == pytest.approx(true.sum(), rel=0.005)


def test_no_variant_comes_twice_to_a_place_before_all_have_been() -> None:
    run = Vibrating(IRON, IRON.specimen())
    across, down, _ = IRON.cells
    variants = [np.arange(np.prod(run.grid.shape)).reshape(run.grid.shape) + shift
                for shift in (0, 10**7)]  # fmt: skip
    drawn = run._drawn(variants, np.random.default_rng(0), still=False)
    corners = [int(next(drawn)[0, 0]) for _ in range(2 * across * down)]
    assert len(set(corners)) == 2 * across * down
    assert int(next(drawn)[0, 0]) in corners


def test_halves_are_of_phonons_of_their_own() -> None:
    (pair,) = make_pairs(IRON, [2e-9], TINY, np.random.default_rng(0))
    assert not np.allclose(pair.halves[0], pair.halves[1], rtol=0.01)
    np.testing.assert_allclose(pair.thermal, pair.halves.mean(axis=0))


def test_turning_keeps_the_middle_and_four_turns_are_none() -> None:
    image = np.random.default_rng(0).uniform(size=(2, 64, 64))
    assert turned(image, 1, flip=False)[0, 32, 32] == image[0, 32, 32]
    np.testing.assert_array_equal(turned(image, 4, flip=False), image)
    twice = turned(turned(image, 0, flip=True), 0, flip=True)
    np.testing.assert_array_equal(twice, image)
    spot = np.zeros((64, 64))
    spot[32, 40] = 1.0
    assert {tuple(np.argwhere(turned(spot, quarters, flip=False))[0]) for quarters in range(4)} == {
        (32, 40), (24, 32), (32, 24), (40, 32)
    }  # fmt: skip


def shown(rng: np.random.Generator) -> Shown:
    mean, once = rng.uniform(0, 1e-4, (64, 64)), rng.uniform(0, 1e-5, (2, 64, 64))
    return Shown(mean, mean, once, float(once[0].sum()) * 1.1, rng.normal(size=len(FEATURES)))


def test_hidden_parts_of_the_elastic_pattern_are_dark_and_told() -> None:
    planes = pack(shown(np.random.default_rng(0)))
    some = hide(planes, 0.1)
    known = some[PLANES.index("known")]
    assert known[32, 32] == known[32, 48] == 1.0
    assert known[32, 49] == 0.0
    assert (some[PLANES.index("elastic")][known == 0] == 0).all()
    np.testing.assert_array_equal(some[1:4], planes[1:4])


def test_turning_a_batch_turns_inputs_and_targets_alike() -> None:
    rng = np.random.default_rng(3)
    planes = np.stack([pack(shown(rng)) for _ in range(4)])
    targets = planes[:, 1:2].copy()
    for _ in range(6):
        x, y = turn(rng, planes, targets)
        np.testing.assert_array_equal(x[:, 1:2], y)
        np.testing.assert_array_equal(x[:, -1], planes[:, -1])


def test_an_untrained_network_is_the_estimate_and_any_network_keeps_electrons() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    one = shown(rng)
    planes = torch.from_numpy(pack(one)[None])
    member = Member(TdsShape(members=1, width=4, hidden=4))
    with torch.no_grad():
        first = member(planes)[0, 0].numpy()
        np.testing.assert_allclose(first, one.mean + one.once[0], rtol=1e-3)
        member.parts["last"].bias.fill_(1.0)
        member.parts["last"].weight.normal_()
        later = member(planes)[0, 0].numpy()
    assert later.sum() == pytest.approx(first.sum(), rel=1e-3)
    assert not np.allclose(later, first, rtol=0.01)
    assert member.count() < 1_000_000


def test_the_loss_sees_what_a_mean_squared_error_does_not() -> None:
    torch = pytest.importorskip("torch")
    along = (np.arange(64) - 32) * 6.25e-3
    angle = np.hypot(along[:, None], along)
    true = np.where(angle < 25e-3, 1e-2, 1e-6).astype(np.float32)
    dark = np.where(angle < 60e-3, true, 0.0).astype(np.float32)
    found, truth = (torch.from_numpy(one[None, None]) for one in (dark, true))
    assert float(((found - truth) ** 2).mean()) / float((truth**2).mean()) < 1e-6
    assert float(loss(found, truth)) > 0.5
    assert float(loss(truth, truth)) < 1e-6


def test_training_writes_weights_that_check(ten: train_tds.Drawn, tmp_path: Path) -> None:
    pytest.importorskip("torch").set_num_threads(1)
    pytest.importorskip("safetensors")
    card = train_tds.fit(0, ten, 3, tmp_path, lambda line: None)
    assert {"r", "r_elastic", "annular", "annular_estimate"} <= set(card.metrics)
    found = train_tds.check("tds", tmp_path)
    for key, (value, tolerance) in card.checks.items():
        assert found[key] == pytest.approx(value, abs=tolerance)
