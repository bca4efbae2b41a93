"""Frames that are learned from are what they say, and the recipe gives weights that load."""

from __future__ import annotations

import importlib.util
import inspect
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import label

from nanopilot.bench import particle_backgrounds, particle_scenes
from nanopilot.core.errors import OutOfRange
from nanopilot.workflows import particle_frames
from nanopilot.workflows.particle_frames import GROUNDS, RADII, draw_frame
from nanopilot.workflows.particle_judge import Judged, draw_judged, fit_judge, truth

HAS_TORCH = importlib.util.find_spec("torch") is not None


def test_truth_of_drawn_frames_is_that_of_their_labels() -> None:
    kinds = set()
    for seed in range(14):
        frame = draw_frame(np.random.default_rng(seed), 128)
        kinds.add(frame.group.split(", ")[1])
        assert np.isfinite(frame.image).all()
        assert len(frame.radius) == len(frame.place) == int(frame.labels.max())
        for number, (place, radius) in enumerate(
            zip(frame.place, frame.radius, strict=True), start=1
        ):
            mask = frame.labels == number
            assert label(mask)[1] == 1
            np.testing.assert_allclose(np.argwhere(mask).mean(axis=0), place)
            assert np.sqrt(mask.sum() / np.pi) == pytest.approx(radius)
            assert radius < 1.4 * RADII[1]
    assert kinds == {"solids", "outlines", "none"}


def test_same_seed_same_frame_and_every_background_is_a_fluctuation() -> None:
    first, again = (draw_frame(np.random.default_rng(3), 96) for _ in range(2))
    np.testing.assert_array_equal(first.image, again.image)
    for name, draw in GROUNDS.items():
        field = draw(np.random.default_rng(0), 96)
        assert field.shape == (96, 96), name
        assert (field.mean(), field.std()) == pytest.approx((0, 1), abs=1e-6)


def test_nothing_that_judges_is_learned_from() -> None:
    """The track and what is taught share no code: neither shapes nor backgrounds."""
    for module in (particle_frames,):
        assert "bench" not in inspect.getsource(module)
    assert not set(GROUNDS) & set(particle_backgrounds.BACKGROUNDS)
    source = inspect.getsource(particle_scenes) + inspect.getsource(particle_backgrounds)
    assert "particle_frames" not in source
    assert "twins" not in source


def test_candidates_near_a_particle_are_true_and_others_are_not() -> None:
    drawn = (draw_frame(np.random.default_rng(seed), 128) for seed in range(20))
    frame = next(one for one in drawn if len(one.radius))
    place, radius = frame.place[:1], frame.radius[:1]
    assert truth(frame, place, radius).tolist() == [True]
    assert truth(frame, place, 1.4 * radius).tolist() == [False]
    assert truth(frame, place + 0.4 * radius + 1, radius).tolist() == [False]


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    return [draw_judged(number)[1] for number in range(10)]


def test_fitted_probabilities_separate_what_they_were_fitted_on(judged: list[Judged]) -> None:
    said: list[str] = []
    judge = fit_judge(judged, report=said.append)
    true = np.concatenate([one.true for one in judged])
    sure = np.concatenate([judge(one.found.features) for one in judged])
    assert sure[~true].mean() < 0.1
    assert sure[true].mean() > 4 * sure[~true].mean()
    assert len(said) == 1
    with pytest.raises(OutOfRange, match="5 or more"):
        fit_judge(judged[:4])


@pytest.mark.skipif(not HAS_TORCH, reason="needs the extra ml")
def test_recipe_gives_weights_that_load_and_pass_their_own_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nanopilot.analysis.particles.learned import SEEN, load_learned, seen
    from nanopilot.workflows import train_particles

    for name, value in (("COUNT", 16), ("JUDGED", 5), ("KNOWN", 60)):
        monkeypatch.setattr(train_particles, name, value)
    monkeypatch.setattr(train_particles, "draw_frame", partial(draw_frame, size=128))
    card = train_particles.train(seed=1, steps=2, out=tmp_path)
    assert card.recipe == card.name == "particles"
    repeated = train_particles.check("particles", tmp_path)
    for key, (value, tolerance) in card.checks.items():
        assert repeated[key] == pytest.approx(value, abs=tolerance)
    learned = load_learned("particles", tmp_path)
    frame, one = draw_judged(3)
    features = seen(learned.network, frame.image, one.found)
    assert features.shape == (len(one.true), one.found.features.shape[1] + len(SEEN))
    assert np.isfinite(features).all()
    probability = learned.judge(features)
    assert ((probability >= 0) & (probability <= 1)).all()
    assert learned.strangeness(frame.image) >= 0
