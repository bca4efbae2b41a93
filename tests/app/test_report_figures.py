"""Every figure of the report can be read, whatever the run looks like."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from nanopilot.app.report.again import run_again
from nanopilot.app.report.data import Goal, Incident, Measured, ReportData
from nanopilot.app.report.drawing import Panel, drawing_style, to_svg
from nanopilot.app.report.foresight import foresight
from nanopilot.app.report.sections import sections
from nanopilot.core.history import Action
from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.io.run_folder import RunRecord

STEPS, SURVEY = 30, 6
PITCH = 1e-7


def record(**source: Any) -> RunRecord:
    return RunRecord(
        id="run", workflow="discover", settings={"reward": "loop-area", "seed": 3}, seed=3,
        created="2026-01-01T00:00:00+00:00", versions={}, instrument=source,
    )  # fmt: skip


def frame(shape: tuple[int, int], pitch: float) -> Signal:
    axes = {
        dim: Axis(pitch * np.arange(size), "m", "position")
        for dim, size in zip("yx", shape, strict=True)
    }
    values = np.random.default_rng(1).normal(size=shape)
    return make_signal(values, axes, quantity="response", units="a.u.")


def step(number: int, shape: tuple[int, int], pitch: float) -> Measured:
    index = (11 * number) % (shape[0] * shape[1])
    reward = -2.0 - 0.1 * ((7 * number) % STEPS)
    told = {} if number < SURVEY else {"expected": reward + 0.1, "uncertainty": 0.2}
    why = "survey" if number < SURVEY else "model"
    position = (pitch * (index % shape[1]), pitch * (index // shape[1]))
    action = Action(index=index, position=position, why=why, **told)
    features = {"coercive_bias": 3.0, "imprint": 0.5}
    return Measured(number, action, reward, features, 12.0 + 2.0 * number)


def loop(scale: float) -> Signal:
    bias = 8.0 * np.sin(np.linspace(0, 2 * np.pi, 32, endpoint=False))
    response = scale * np.tanh(bias - 2.0 * np.sign(np.gradient(bias)))
    response[5] = 100 * scale
    return make_signal(
        response, {"bias": Axis(bias, "V", "bias")}, quantity="response", units="a.u."
    )


def run(shape: tuple[int, int] = (8, 10), *, pitch: float = PITCH) -> ReportData:
    """Return a finished run in which everything happened that a figure can show."""
    explained = {"structure": 0.5, "control": 0.1, "control_spread": 0.05, "baseline": 0.3}
    curve = [n / STEPS for n in range(1, STEPS + 1)]
    names = ("recall_curve", "random_curve", "random_low", "random_high", "control_curve")
    maps = {name: frame(shape, pitch) for name in ("expected", "uncertainty")}
    kinds = ("resumed", "unknown", "refused", "failed")
    found = ReportData(
        record(),
        Goal("loop-area", "log10(a.u. V)"),
        steps=tuple(step(number, shape, pitch) for number in range(STEPS)),
        structure=frame(shape, pitch),
        overview_seconds=10.0,
        maps=xr.Dataset(maps),
        summary={"noise": 0.1, "learning": [explained | {"steps": n} for n in (10, 20, 30)]},
        score={"best_sites": 8, "steps": [*range(STEPS)]} | dict.fromkeys(names, curve),
        planned=STEPS,
        candidates=shape[0] * shape[1],
        incidents=tuple(Incident(kind, "", 30.0) for kind in kinds),  # type: ignore[arg-type]
        allowed=31,
        refused=1,
        seconds=72.0,
        finished=True,
    )
    return replace(found, loops={one.step: loop(1e-3) for one in found.best})


def shown_texts(figure: Figure) -> list[Text]:
    """Return every text of a figure that can be seen."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    hidden: set[Text] = set()
    for axes in figure.findobj(Axes):
        assert isinstance(axes, Axes)
        if not axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                hidden.update(text for text in axis.findobj(Text) if isinstance(text, Text))
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            for tick in axis.get_major_ticks():
                if not low - slack <= tick.get_loc() <= high + slack:
                    hidden.update((tick.label1, tick.label2))
    return [text for text in texts if text.get_text() and text.get_visible() and text not in hidden]


def assert_legible(panel: Panel) -> None:
    """Check that no text of a panel leaves it or lies on another."""
    figure = Figure(figsize=(panel.width, panel.height), dpi=100)
    canvas = FigureCanvasAgg(figure)
    with drawing_style():
        panel.draw(figure, panel)
        canvas.draw()
        boxes = [(text.get_text(), text.get_window_extent()) for text in shown_texts(figure)]
    for words, box in boxes:
        inside = figure.bbox.padded(0.5)
        assert inside.contains(box.x0, box.y0), f"{panel.name}: {words!r} leaves the panel"
        assert inside.contains(box.x1, box.y1), f"{panel.name}: {words!r} leaves the panel"
    for (first, one), (second, other) in combinations(boxes, 2):
        # The numbers of two best sites side by side may touch.
        if not first.isdigit() or not second.isdigit():
            assert not one.padded(-1).overlaps(other.padded(-1)), f"{panel.name}: {first}, {second}"


def panels_of(data: ReportData) -> list[Panel]:
    return [panel for part in sections(data) for panel in part.panels]


def test_no_text_is_cut_off_or_hidden() -> None:
    panels = panels_of(run())
    assert len(panels) == 16
    for panel in panels:
        assert_legible(panel)


@pytest.mark.parametrize("shape", [(40, 4), (3, 60), (1, 20), (2, 2)])
def test_odd_shapes_of_frames_are_legible_too(shape: tuple[int, int]) -> None:
    for panel in panels_of(run(shape))[:4]:
        assert_legible(panel)


@pytest.mark.parametrize("pitch", [2e-11, 1e-9, 1e-4])
def test_any_magnification_is_legible(pitch: float) -> None:
    for panel in panels_of(run(pitch=pitch)):
        assert_legible(panel)


def test_large_numbers_are_legible() -> None:
    data = run()
    steps = tuple(replace(one, reward=1e7 * one.reward) for one in data.steps)
    loops = {one.step: loop(10.0 ** (3 * n)) for n, one in enumerate(data.best)}
    far = replace(data, steps=steps, loops=loops, seconds=3e5, goal=Goal("height", "m"))
    for panel in panels_of(far):
        assert_legible(panel)


def test_svg_follows_the_theme_of_the_page() -> None:
    for panel in panels_of(run()):
        svg = to_svg(panel)
        assert "#1c2128" not in svg
        assert "DejaVu" not in svg
        assert f'aria-label="{panel.alt}"' in svg


def test_best_spectra_are_drawn_best_first() -> None:
    data = run()
    rewards = [one.reward for one in data.best]
    assert rewards == sorted((one.reward for one in data.steps), reverse=True)[:6]
    turned = replace(data, goal=Goal("loop-area", "log10(a.u. V)", "minimise"))
    assert turned.best[0].reward == min(one.reward for one in data.steps)


def test_predictions_are_judged_with_the_noise_of_a_measurement() -> None:
    told = foresight(run())
    assert len(told.measured) == STEPS - SURVEY
    np.testing.assert_allclose(told.spread, np.hypot(0.2, 0.1))
    assert told.coverage == 1.0


def test_a_sample_cannot_smuggle_a_command() -> None:
    asked = record(instrument="replay", options={"sample": "a; rm -rf ~"})
    assert "--sample 'a; rm -rf ~'" in run_again(replace(run(), record=asked))


@pytest.mark.parametrize("options", [{}, {"address": "10.0.0.1"}])
def test_no_command_is_promised_that_would_measure_something_else(options: dict[str, str]) -> None:
    again = run_again(replace(run(), record=record(instrument="x", options=options)))
    assert "nanopilot run" not in again
    assert not again or "npl.connect('x', address='10.0.0.1')" in again
