"""The network for grains: the same from every side, silent on strangers, and never needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nanopilot.analysis.grains import SegmentGrains, operator, strangeness
from nanopilot.analysis.grains.learned import GrainMaps, load_grain_net
from nanopilot.analysis.grains.poses import POSES, posed
from nanopilot.analysis.grains.segmenters import from_maps
from nanopilot.bench.grain_frames import draw_scene
from nanopilot.bench.grain_scores import compare
from nanopilot.core.errors import MissingExtra, SignalError
from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.models.recipes import grains as recipe

pytest.importorskip("torch")
pytest.importorskip("safetensors")


def frame(values: Any) -> Signal:
    y, x = (Axis(1e-8 * np.arange(float(size)), "m", "position") for size in np.shape(values))
    return make_signal(
        np.asarray(values, dtype=float), {"y": y, "x": x}, quantity="height", units="m"
    )


@pytest.fixture(scope="module")
def caps() -> Any:
    return draw_scene("caps", np.random.default_rng(1040), snr=18.0)


def stripes() -> Signal:
    y, x = np.indices((160, 160))
    rng = np.random.default_rng(0)
    return frame(np.sign(np.sin(2 * np.pi * (x + 0.3 * y) / 17)) + 0.02 * rng.normal(size=x.shape))


@pytest.mark.parametrize("pose", POSES[1:])
def test_maps_turn_with_the_frame(pose: Any) -> None:
    level = np.random.default_rng(0).standard_normal((45, 52))
    network = load_grain_net()
    first, second = network(level), network(posed(level, pose))
    for name in ("depth", "boundary", "grain"):
        np.testing.assert_allclose(
            posed(getattr(first, name), pose), getattr(second, name), atol=1e-5
        )


def test_it_tells_grains_apart_of_a_family_it_did_not_learn_from(caps: Any) -> None:
    found = SegmentGrains("learned")(caps.frame)
    assert found.method == "learned"
    assert found.strangeness <= 1
    said = compare(found.labels.to_numpy(), caps.labels)
    assert said["ap50"] > 0.85
    assert said["count_error"] < 0.06
    assert SegmentGrains("auto")(caps.frame).method == "learned"


def test_a_turned_frame_has_the_same_grains(caps: Any) -> None:
    values = caps.frame.to_numpy()
    first, second = (SegmentGrains("learned")(frame(one)) for one in (values, np.rot90(values)))
    back = np.rot90(second.labels.to_numpy(), -1)
    pairs = np.unique(np.stack([first.labels.to_numpy().ravel(), back.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(back))


def test_strangers_are_refused_and_left_to_the_curvature_with_a_doubt() -> None:
    strange = stripes()
    assert strangeness(strange) > 1
    with pytest.raises(SignalError, match=r"does not know this kind of picture.*classical"):
        SegmentGrains("learned")(strange)
    found = SegmentGrains("auto")(strange)
    assert found.method == "classical"
    assert found.strangeness > 1
    assert any("does not know" in one for one in found.doubts)


def test_noise_is_as_strange_as_can_be() -> None:
    assert strangeness(frame(np.random.default_rng(0).standard_normal((64, 64)))) == np.inf


def test_without_the_package_the_curvature_does_it(
    caps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Any:
        raise MissingExtra("learned operators need the packages 'torch' and 'safetensors'")

    monkeypatch.setattr(operator, "load_grain_net", missing)
    assert SegmentGrains("auto")(caps.frame).method == "classical"
    with pytest.raises(MissingExtra, match="torch"):
        SegmentGrains("learned")(caps.frame)


def test_what_it_is_shown_has_no_offset_and_no_unit() -> None:
    level = np.random.default_rng(0).standard_normal((40, 30))
    shown = recipe.show(level)
    assert shown.shape == (2, 40, 30)
    np.testing.assert_allclose(recipe.show(3e-9 * level + 5e-9), shown, atol=1e-5)
    assert np.isfinite(recipe.show(np.zeros((40, 30)))).all()


def test_it_should_answer_depth_boundary_and_grain() -> None:
    labels = np.ones((30, 40), dtype=np.int64)
    labels[:, 20:], labels[:, 30:] = 2, 0
    depth, boundary, grain = recipe.target(labels, (slice(5, -5), slice(5, -5)))
    assert boundary.shape == (20, 30)
    assert np.flatnonzero(boundary[0]).tolist() == [14, 15, 24, 25]
    assert (grain[:, :25] == 1).all()
    assert (grain[:, 25:] == 0).all()
    assert (depth[:, 25:] == 0).all()
    # The left grain goes on beyond what is shown; the right one is deepest in its middle.
    assert depth[3].argmax() == 0
    assert depth[3, 15:25].max() == pytest.approx(1.0)
    assert depth[3, 15:25].argmax() in (4, 5)


def test_regions_of_maps_are_joined_where_no_boundary_is() -> None:
    labels = np.repeat(np.repeat([[1, 2], [3, 4]], 16, axis=0), 16, axis=1)
    depth, boundary, grain = recipe.target(labels, (slice(None), slice(None))).astype(float)
    maps = GrainMaps(depth, boundary, grain)
    flat = np.zeros(labels.shape)
    found = from_maps(maps, flat)
    assert compare(found.labels, labels.astype(np.int64))["ap50"] == 1.0
    assert (found.certainty > 1).all()
    # Two seeds in one grain, and no boundary between them.
    y, x = np.indices((16, 40))
    two = np.maximum(np.exp(-((x - 10) ** 2) / 40), np.exp(-((x - 30) ** 2) / 40)) + 0 * y
    high = np.maximum(two, 0.8)
    one = from_maps(GrainMaps(high, np.full(two.shape, 0.05), np.ones(two.shape)), 0 * two)
    assert one.labels.max() == 1
    none = from_maps(GrainMaps(two, two, np.zeros(two.shape)), 0 * two)
    assert not none.labels.any()


def test_batches_are_turned_as_a_whole() -> None:
    inputs = np.random.default_rng(0).random((2, 2, 8, 8)).astype(np.float32)
    first, second = recipe.turn(np.random.default_rng(3), inputs, inputs)
    np.testing.assert_array_equal(first, second)
    assert sorted(first.ravel()) == sorted(inputs.ravel())
