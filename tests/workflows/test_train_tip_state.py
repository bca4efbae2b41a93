"""Tips are drawn as they are said to be, and the recipe gives weights that load."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.bench import tip_surfaces as judged
from nanopilot.core.errors import OutOfRange
from nanopilot.models.recipes import tip_state
from nanopilot.workflows import tip_state_surfaces, tip_surfaces, train_tip_state
from nanopilot.workflows.tip_scans import MOST, EndRange


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    radius=st.floats(5e-9, 30e-9),
    relief=st.floats(15e-9, 60e-9),
)
def test_second_ends_are_two_widths_away_low_enough_and_on_the_tip(
    seed: int, radius: float, relief: float
) -> None:
    ends = EndRange()
    tip, pitch = ends.draw(np.random.default_rng(seed), radius, relief, double=True)
    first, second = tip.apexes
    wide = [math.sqrt(one.radius * one.aspect * relief) for one in tip.apexes]
    far = math.hypot(*second.offset)
    assert 2 * max(wide) <= far * (1 + 1e-9)
    assert far <= 4 * max(wide) * (1 + 1e-9)
    assert far <= ends.reach * pitch * (1 + 1e-9) < MOST // 2 * pitch
    assert second.height <= 0.7 * relief
    assert 1.4 < wide[0] / pitch <= 11 * (1 + 1e-9)
    assert first.radius == radius
    # One end is drawn alike: nothing but the second end tells.
    alone, same = ends.draw(np.random.default_rng(seed), radius, relief, double=False)
    assert alone.apexes == (first,)
    assert same == pitch


def test_second_ends_are_drawn_in_all_directions_and_tips_over_the_whole_range() -> None:
    rng = np.random.default_rng(0)
    drawn = [EndRange().draw(rng, 10e-9, 30e-9, double=True) for _ in range(400)]
    ways = [math.atan2(*tip.apexes[1].offset[::-1]) for tip, _ in drawn]
    counts, _ = np.histogram(ways, 8, (-math.pi, math.pi))
    assert counts.min() > 25
    shares = [1 - tip.apexes[1].height / 30e-9 for tip, _ in drawn]
    assert min(shares) < 0.35
    assert max(shares) > 0.95
    assert max(tip.apexes[0].aspect for tip, _ in drawn) > 2.2


def test_no_family_that_judges_is_learned_from_and_those_held_out_are_families() -> None:
    learned = tip_state_surfaces.FAMILIES
    assert not set(learned) & set(judged.FAMILIES)
    assert not set(learned.values()) & set(judged.FAMILIES.values())
    assert set(tip_surfaces.FAMILIES) < set(learned)
    assert set(train_tip_state.HELD_OUT) < set(learned)


@pytest.mark.parametrize("name", sorted(tip_state_surfaces.FAMILIES))
def test_every_family_gives_other_surfaces_for_other_seeds_and_the_same_for_one(name: str) -> None:
    family = tip_state_surfaces.FAMILIES[name]
    one, same, other = (family(np.random.default_rng(seed), 96) for seed in (0, 0, 1))
    assert one.shape == (96, 96)
    assert np.isfinite(one).all()
    assert np.ptp(one) > 0
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_held_out_families_are_drawn_pure_and_never_mixed_into_others() -> None:
    drawn: list[str] = []

    def named(name: str) -> tip_surfaces.Family:
        def draw(rng: np.random.Generator, pixels: int) -> np.ndarray:
            drawn.append(name)
            return rng.normal(size=(pixels, pixels))

        return draw

    families = {name: named(name) for name in tip_state_surfaces.FAMILIES}
    rng = np.random.default_rng(0)
    for _ in range(60):
        train_tip_state.draw_family(rng, families, "dunes")(rng, 16)
    assert set(drawn) > {"dunes"}
    assert not set(drawn) & set(train_tip_state.HELD_OUT)
    drawn.clear()
    train_tip_state.draw_family(rng, families, "caps")(rng, 16)
    assert drawn == ["caps"]


def test_targets_say_what_was_drawn() -> None:
    rng = np.random.default_rng(1)
    family = tip_surfaces.FAMILIES["fractal"]
    single, double = train_tip_state.draw_pair(rng, family)
    np.testing.assert_array_equal(single.surface.shape, double.surface.shape)
    said = train_tip_state._target(double)
    assert said[-2] == 0
    x, y = double.tip.apexes[1].offset
    place = tip_state.place(np.log(said + 1e-9))
    assert math.hypot(place[0] - y / double.pitch, place[1] - x / double.pitch) < 0.8
    said = train_tip_state._target(single)
    assert said[:-2].sum() == 0
    assert said[-2] == 1
    assert said[-1] == (train_tip_state.certain_share(single) < 0.5)


def test_calibration_finds_the_temperature_and_the_probability_that_is_right() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, 20000)
    truth = rng.uniform(size=true.size) < 1 / (1 + np.exp(-true))
    assert train_tip_state._temperature(2.0 * true, truth) == pytest.approx(2.0, rel=0.1)
    best = rng.uniform(0.5, 1.0, 20000)
    right = rng.uniform(size=best.size) < best
    # The mean of probabilities between p and 1 is 0.9 for p of 0.8.
    assert train_tip_state._decisive(best, right) == pytest.approx(0.8, abs=0.03)
    assert train_tip_state.ranked(np.array([1.0, 2.0]), np.array([0.0, 1.0])) == 0.875


def test_recipe_writes_weights_that_load_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from nanopilot.analysis.tip import load_tip_state

    said: list[str] = []
    found = train_tip_state.train(seed=3, steps=2, out=tmp_path / "one", report=said.append)
    again = train_tip_state.train(seed=3, steps=2, out=tmp_path / "two", report=said.append)
    assert found == again
    assert any("epoch" in line for line in said)
    model = load_tip_state(folder=tmp_path / "one")
    assert model.card.seed == 3
    assert model.card == found
    verdict = model(np.random.default_rng(0).normal(size=(64, 64)))
    assert verdict.sharp + verdict.blunt + verdict.double == pytest.approx(1.0)
    with pytest.raises(OutOfRange, match="`steps`"):
        train_tip_state.train(steps=0, out=tmp_path, report=said.append)
