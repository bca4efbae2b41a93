"""The parts of the report: each has panels and a caption, or one line that says why not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.app.report import captions
from nanopilot.app.report.captions import Caption
from nanopilot.app.report.curves import explained_panel, recall_panel, reward_panel
from nanopilot.app.report.data import ReportData
from nanopilot.app.report.drawing import Panel
from nanopilot.app.report.explained import learning
from nanopilot.app.report.foresight import foresight, foresight_panel
from nanopilot.app.report.frame import Frame
from nanopilot.app.report.frames import Look, frame_panel
from nanopilot.app.report.loops import loop_panels
from nanopilot.app.report.sites import sites_panel
from nanopilot.app.report.timeline import budget_panel, timeline_panel

#: Fewer predictions than this give no fraction worth quoting.
_ENOUGH = 5


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report.

    Parameters
    ----------
    name : str
        Of its figure file.
    title : str
        As printed.
    panels : tuple of Panel
        Side by side where there is room.
    captions : tuple of Caption
        Paragraphs: what is seen, and what is not known; why, where something is left out.
    columns : int
        Panels in one row of the figure file.
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    captions: tuple[Caption, ...]
    columns: int = 2


def _left_out(name: str, title: str, why: str) -> Section:
    return Section(name, title, (), (Caption("", why),))


def sections(data: ReportData) -> tuple[Section, ...]:
    """Return all parts in reading order."""
    return (
        _where(data), _map(data), _progress(data), _trust(data), _loops(data), _cost(data)
    )  # fmt: skip


def _where(data: ReportData) -> Section:
    title = "The structure, and where was measured"
    if data.structure is None:
        return _left_out("sites", title, "No overview frame has been recorded yet.")
    frame = Frame.of(data.structure)
    quantity = str(data.structure.attrs.get("quantity", "signal")).capitalize()
    panels: tuple[Panel, ...] = (
        frame_panel("structure", frame, Look("The structure", quantity, "gray", robust=True)),
    )
    if data.steps:
        panels = (*panels, sites_panel(data, frame))
    return Section("sites", title, panels, captions.where(data))


def _map(data: ReportData) -> Section:
    title = "The predicted map, and how sure it is"
    if data.maps is None:
        why = "The map is made when the run ends" if not data.finished else "The run holds no map"
        return _left_out("map", title, f"{why}, so there is none here.")
    words, unit = data.goal.words, data.goal.unit
    looks = {
        "expected": Look(f"Predicted {words}", words.capitalize(), "viridis"),
        "uncertainty": Look("Its uncertainty", "One standard deviation", "magma"),
    }
    panels = tuple(
        frame_panel(f"map-{name}", Frame.of(data.maps[name], unit), look, data.steps)
        for name, look in looks.items()
        if name in data.maps
    )
    return Section("map", title, panels, captions.maps(data))


def _progress(data: ReportData) -> Section:
    title = "What was found, step by step"
    if not np.isfinite(data.rewards).any():
        return _left_out("progress", title, "No site has given a usable reward yet.")
    panels: tuple[Panel, ...] = (reward_panel(data),)
    if data.has_recall:
        panels = (*panels, recall_panel(data.score))
    return Section("progress", title, panels, captions.progress(data))


def _trust(data: ReportData) -> Section:
    panels: tuple[Panel, ...] = ()
    learned = any(np.isfinite(one.structure) for one in learning(data))
    if learned:
        panels = (explained_panel(data),)
    told = foresight(data)
    if told.measured.size >= _ENOUGH:
        panels = (*panels, foresight_panel(data, told))
    text = captions.trust(data, told if told.measured.size >= _ENOUGH else None, learned)
    return Section("trust", "Did the structure help, and was the model right?", panels, text)


def _loops(data: ReportData) -> Section:
    panels = loop_panels(data)
    title = f"The {len(panels)} best spectra" if panels else "The best spectra"
    if not panels:
        return _left_out("loops", title, "No spectrum of a usable site is stored yet.")
    return Section("loops", title, panels, captions.loops(data), columns=3)


def _cost(data: ReportData) -> Section:
    title = "What it cost, and what happened when"
    if not data.steps:
        return _left_out("cost", title, "Nothing has been spent on spectra yet.")
    panels = (budget_panel(data), timeline_panel(data))
    return Section("cost", title, panels, captions.cost(data))
