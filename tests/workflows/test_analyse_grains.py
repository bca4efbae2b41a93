"""`AnalyseGrains` tells sizes, draws outlines and targets, and doubts where it should."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from nanopilot.bench.grain_frames import draw_scene
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Signal, check_set
from nanopilot.workflows.analyse.grains import AnalyseGrains


@pytest.fixture(scope="module")
def scene() -> Any:
    return draw_scene("caps", np.random.default_rng(1031), snr=25.0)


def test_a_frame_gives_a_table_outlines_and_numbers(scene: Any) -> None:
    said = AnalyseGrains("classical", repeats=2)(scene.frame)
    check_set(said.table)
    count = said.table.sizes["point"]
    assert said.summary["grains"] == count == len(said.marks)
    assert {mark.kind for mark in said.marks} == {"grain", "grain cut by the edge"}
    whole = sum(mark.kind == "grain" for mark in said.marks)
    assert said.summary["whole grains"] == whole
    assert said.summary["method"] == "classical"
    pitch = float(scene.frame["x"][1])
    counts = np.bincount(scene.labels.ravel())
    edge = np.concatenate(
        [scene.labels[0], scene.labels[-1], scene.labels[:, 0], scene.labels[:, -1]]
    )
    counts[np.append(edge, 0)] = 0
    mean = np.sqrt(4 / np.pi * counts[counts > 0]).mean() * pitch * 1e9
    assert said.summary["mean diameter (nm)"] == pytest.approx(mean, rel=0.06)
    assert said.doubts == ()


@pytest.mark.parametrize("choose", ["largest", "smallest", "boundaries", "height", "clusters"])
def test_targets_are_dots_inside_the_frame(scene: Any, choose: Any) -> None:
    said = AnalyseGrains("classical", choose=choose, count=3, repeats=0)(scene.frame)
    dots = [mark for mark in said.marks if mark.shape == "dot"]
    assert {mark.kind for mark in dots} == {f"target: {choose}"}
    assert 1 <= len(dots) <= 3
    for mark in dots:
        assert mark.points.shape == (1, 2)
        assert (mark.points >= 0).all()
        assert mark.points[0, 0] <= float(scene.frame["x"][-1])
        assert mark.points[0, 1] <= float(scene.frame["y"][-1])


def test_targets_are_drawn_in_the_coordinates_of_the_frame(scene: Any) -> None:
    turned = scene.frame.copy()
    facts = {"origin": [0.0, 0.0], "rotation": 1.0}
    turned.attrs = turned.attrs | {key: json.dumps(one) for key, one in facts.items()}
    ask = AnalyseGrains("classical", choose="largest", count=1, repeats=0)
    first, second = (ask(one).marks[-1].points for one in (scene.frame, turned))
    np.testing.assert_array_equal(first, second)


def test_a_count_that_noise_makes_is_doubted() -> None:
    scene = draw_scene("elongated", np.random.default_rng(1002), snr=2.0)
    said = AnalyseGrains("classical", repeats=6)(scene.frame)
    assert any("not stable" in one or "above the noise" in one for one in said.doubts)


def test_parameters_are_json_and_bad_ones_are_refused() -> None:
    ask = AnalyseGrains()
    assert AnalyseGrains(**json.loads(json.dumps(asdict(ask)))) == ask
    for setting in ({"method": "best"}, {"choose": "nicest"}, {"repeats": 1}, {"count": 0}):
        with pytest.raises(OutOfRange, match=f"`{next(iter(setting))}`"):
            AnalyseGrains(**setting)  # type: ignore[arg-type]


def test_a_flat_frame_is_refused(scene: Any) -> None:
    flat: Signal = scene.frame.copy(data=np.zeros(scene.frame.shape))
    with pytest.raises(SignalError, match="flat"):
        AnalyseGrains("classical")(flat)
