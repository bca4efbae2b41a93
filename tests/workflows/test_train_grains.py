"""The recipe for grains runs from the beginning, and its scenes hold what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nanopilot.workflows.grain_scenes import FAMILIES, MARGIN, PIXELS, cells, scan_grains

pytest.importorskip("torch")
pytest.importorskip("safetensors")


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_scenes_are_scans_with_labels_around_them(name: str) -> None:
    first, second = (scan_grains(np.random.default_rng(5), name) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    assert first.image.shape == (PIXELS, PIXELS)
    assert first.labels.shape == (PIXELS + 2 * MARGIN,) * 2
    assert np.isfinite(first.image).all()
    assert first.labels.min() >= 0
    assert len(np.unique(first.labels)) > 5


def test_cells_are_nearest_seeds_where_weights_are_alike() -> None:
    labels = cells(np.random.default_rng(2), 96, 20.0)
    counts = np.bincount(labels.ravel())[1:]
    assert counts.min() > 0
    assert 10 < np.sqrt(4 / np.pi * counts.mean()) < 30


def test_a_step_of_training_leaves_weights_that_load_and_repeat(tmp_path: Path) -> None:
    from nanopilot.analysis.grains.learned import load_grain_net
    from nanopilot.workflows.train_grains import HELD_OUT, check, train

    said: list[str] = []
    card = train(seed=3, steps=1, out=tmp_path, report=said.append)
    assert card.name == "grains"
    assert any("held out" in one for one in said)
    assert all(name in card.data for name in HELD_OUT)
    network = load_grain_net("grains", tmp_path)
    level = np.random.default_rng(0).standard_normal((64, 64))
    assert np.isfinite(network(level).boundary).all()
    assert network.strangeness(level) > 0
    promised, allowed = card.checks["loss_of_16_scans"]
    assert check("grains", tmp_path)["loss_of_16_scans"] == pytest.approx(promised, abs=allowed)
