"""`analyse electrodes` draws what was found and says what is doubtful."""

from __future__ import annotations

import numpy as np
import pytest

from nanopilot.analysis.electrodes import NoStack
from nanopilot.bench.xray_stacks import draw_image
from nanopilot.core.errors import SignalError
from nanopilot.core.registry import build
from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.workflows.analyse.electrodes import AnalyseElectrodes

PIXEL = 2e-5


def in_metres(values: np.ndarray) -> Signal:
    y, x = (Axis(np.arange(n) * PIXEL, "m", "position") for n in values.shape)
    return make_signal(values, {"y": y, "x": x}, quantity="counts", units="1")


def test_marks_and_table_lie_where_plates_are() -> None:
    drawn = draw_image("missing", np.random.default_rng(21), shape=(700, 640))
    found = AnalyseElectrodes()(in_metres(drawn.frame.to_numpy()))
    assert found.table.sizes["point"] == found.summary["plates"] == len(drawn.anode)
    place = np.stack([found.table["y"], found.table["x"]], axis=1) / PIXEL
    away = np.hypot(*(place[:, None] - drawn.tips).transpose(2, 0, 1)).min(axis=1)
    assert away.mean() < 1.0
    kinds = {mark.kind for mark in found.marks}
    assert {"region", "anode", "cathode", "overhang", "end of anode"} <= kinds
    region = next(mark for mark in found.marks if mark.kind == "region").points / PIXEL
    want = (drawn.box[1], drawn.box[0], drawn.box[3], drawn.box[2])
    np.testing.assert_allclose([*region.min(axis=0), *region.max(axis=0)], want, atol=3)
    assert any("empty" in doubt for doubt in found.doubts)
    overhangs = [mark.points for mark in found.marks if mark.kind == "overhang"]
    lengths = np.array([np.hypot(*(b - a)) for a, b in overhangs]) * 1e6
    assert np.median(lengths) == pytest.approx(found.summary["median overhang (um)"], rel=1e-6)


def test_images_without_a_stack_or_without_metres_are_refused() -> None:
    noise = np.random.default_rng(0).poisson(100.0, (128, 160)).astype(float)
    with pytest.raises(NoStack):
        AnalyseElectrodes()(in_metres(noise))
    axis = Axis(np.arange(128) * 1.0, "1", "pixel")
    plain = make_signal(noise[:, :128], {"y": axis, "x": axis}, quantity="counts", units="1")
    with pytest.raises(SignalError, match="not in metres"):
        AnalyseElectrodes()(plain)


def test_built_by_name_with_edits_as_json() -> None:
    made = build("analysers", "electrodes", edits=[{"kind": "remove", "points": [[0, 0]]}])
    assert isinstance(made, AnalyseElectrodes)
