"""The report says what the run folder says, needs nothing but itself, and can be looked at."""

from __future__ import annotations

import base64
import html
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from nanopilot.app.report import write_report
from nanopilot.app.report.gather import gather
from nanopilot.app.report.numbers import number
from nanopilot.app.report.page import page as html_of
from nanopilot.app.report.sections import sections
from nanopilot.app.report.words import headline
from nanopilot.core.errors import StoreError, Tampered
from nanopilot.core.events import Audit, Decision, Event, Note, Outcome, Plan
from nanopilot.core.history import Action
from nanopilot.core.limits import Spent
from nanopilot.core.signals import Axis, SignalSet, make_signal
from nanopilot.io.run_folder import RunFolder, RunRecord

ROWS, COLUMNS, STEPS, SURVEY = 8, 10, 30, 6
PITCH = 1e-7
BIAS = 8.0 * np.sin(np.linspace(0, 2 * np.pi, 32, endpoint=False))
INSTRUMENT = {
    "name": "replay", "kind": "replay", "capabilities": ["Scanner", "PointSpectroscopy"],
    "area": {"x": [0.0, 9e-7], "y": [0.0, 7e-7]}, "grid": [ROWS, COLUMNS],
    "scan_channels": ["response"], "spectrum_channels": ["response"],
    "sweep": {"low": -8.0, "high": 8.0, "points": 32},
}  # fmt: skip
INCIDENTS = (
    Note(topic="unknown", text="step 10 was begun and never reported"),
    Note(topic="resumed", text="after 10 steps"),
    Audit(
        verdict="refused", capability="PointSpectroscopy", request={}, time=30.0,
        reasons=("`position` is out of reach.",),
    ),
)  # fmt: skip


def reward_of(step: int) -> float:
    return -2.0 - 0.1 * ((7 * step) % STEPS)


def frame_signal(values: np.ndarray[Any, Any], quantity: str = "response") -> Any:
    rows, columns = values.shape
    axes = {
        "y": Axis(PITCH * np.arange(rows), "m", "position"),
        "x": Axis(PITCH * np.arange(columns), "m", "position"),
    }
    return make_signal(values, axes, quantity=quantity, units="a.u.")


def loop(step: int) -> SignalSet:
    response = 1e-3 * np.tanh(BIAS - 2.0 * np.sign(np.gradient(BIAS))) + 1e-5 * step
    response[5] = 0.1
    axis = {"bias": Axis(BIAS, "V", "bias")}
    return xr.Dataset({"response": make_signal(response, axis, quantity="response", units="a.u.")})


def record(**changes: Any) -> RunRecord:
    settings = {
        "reward": "loop-area", "policy": "ucb", "budget": 0.375, "seed": 3, "survey": SURVEY,
        "reward_settings": {},
    }  # fmt: skip
    return RunRecord(
        id="20260101-000000-discover-abcd",
        workflow="discover",
        settings=settings | changes,
        seed=3,
        created="2026-01-01T00:00:00+00:00",
        versions={"nanopilot": "0.1.0", "numpy": "2.4.6"},
        instrument={"instrument": "replay", "options": {"sample": "beps-pto"}},
    )


def measured(step: int, refs: Any) -> list[Event]:
    index = (11 * step) % (ROWS * COLUMNS)
    position = (PITCH * (index % COLUMNS), PITCH * (index // COLUMNS))
    told = {} if step < SURVEY else {"expected": reward_of(step) + 0.1, "uncertainty": 0.2}
    why = "survey" if step < SURVEY else "UpperConfidenceBound"
    action = Action(index=index, position=position, why=why, **told)
    now = 10.0 + 2.0 * step
    outcome = Outcome(
        step=step,
        signals=refs,
        features={"coercive_bias": 2.0, "imprint": 0.1, "loop_area": 10 ** reward_of(step)},
        reward=reward_of(step),
        time=now + 2.0,
        spent=Spent(spectra=step + 1, frames=1, seconds=now + 2.0),
    )
    return [
        Decision(step=step, action=action, why=why),
        Audit(verdict="allowed", capability="PointSpectroscopy", request={}, time=now),
        outcome,
    ]


def summary(**changes: Any) -> Note:
    explained = {"structure": 0.5, "control": 0.1, "control_spread": 0.05, "shuffles": 5, "why": ""}
    learning = [{**explained, "steps": steps} for steps in (10, 20, 30)]
    data = {
        "reward": "loop-area", "unit": "log10(a.u. V)", "direction": "maximise",
        "candidates": ROWS * COLUMNS, "measured": STEPS, "fraction": STEPS / (ROWS * COLUMNS),
        "explained": explained, "learning": learning, "model": {"noise": 0.1}, "noise": 0.1,
    }  # fmt: skip
    return Note(topic="summary", text="what the run found", data=data | changes)


def score() -> Note:
    steps = list(range(1, STEPS + 1))
    curve = [step / STEPS for step in steps]
    data = {
        "best_sites": 8, "recall": 0.75, "random": 0.375, "steps": steps, "recall_curve": curve,
        "random_curve": curve, "random_low": curve, "random_high": curve, "control_curve": curve,
        "r2": 0.4, "r2_control": 0.1,
    }  # fmt: skip
    return Note(topic="score", text="held against the truth", data=data)


def make_run(
    folder: Path,
    *,
    steps: int = STEPS,
    notes: tuple[Note, ...] = (),
    asked: RunRecord | None = None,
) -> Path:
    """Write a run folder; finished when `notes` are given."""
    asked = asked or record()
    image = np.random.default_rng(0).normal(size=(ROWS, COLUMNS))
    image.flat[7] = 1000.0
    with RunFolder.create(folder, asked, "process") as run:
        put = run.journal.append
        put(Plan(workflow="discover", settings=asked.settings, instrument=INSTRUMENT))
        refs = run.signals.put("structure", xr.Dataset({"response": frame_signal(image)}))
        put(Outcome(step=-1, signals=refs, time=10.0, spent=Spent(frames=1, seconds=10.0)))
        put(Note(topic="planned", text="", data={"sites": STEPS, "candidates": ROWS * COLUMNS}))
        if steps:
            run.signals.create("spectra", loop(0), STEPS)
        for step in range(steps):
            put(*INCIDENTS * (step == 10))
            put(*measured(step, run.signals.append("spectra", step, loop(step))))
        if notes:
            slope = np.linspace(1, 2, image.size).reshape(image.shape)
            maps = {name: frame_signal(slope, name) for name in ("expected", "uncertainty")}
            run.signals.put("map", xr.Dataset(maps))
            put(Decision(step=steps, action=None, why="measured 30 of 30 sites asked for"))
            put(*notes, Note(topic="finished", text="the run is complete"))
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "done", notes=(summary(), score()))


@pytest.fixture(scope="module")
def page(finished: Path) -> str:
    return write_report(finished).read_text(encoding="utf-8")


def page_of(run: Path) -> str:
    """Return the page of a run without writing anything."""
    data = gather(run)
    return html_of(data, sections(data))


def words(page: str) -> str:
    """Return the text of a page without tags, with plain spaces."""
    body = re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


class Links(HTMLParser):
    """Collects what a page would load, run or refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.found.append(value or "")
            if name == "id":
                self.ids.append(value or "")


def test_page_needs_nothing_but_itself(page: str) -> None:
    links = Links()
    links.feed(page)
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links.found)
    assert not re.search(r"https?://|@import|url\((?!#)", page)
    assert not links.tags & {"script", "link", "iframe", "object", "embed"}


def test_every_reference_inside_the_page_meets_exactly_one_element(page: str) -> None:
    links = Links()
    links.feed(page)
    assert len(links.ids) == len(set(links.ids))
    used = {link[1:] for link in links.found if link.startswith("#")}
    used |= set(re.findall(r"url\(#([^)]+)\)", page))
    assert used <= set(links.ids)


def test_every_embedded_image_decodes(page: str) -> None:
    images = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", page)
    assert len(images) >= 4
    for image in images:
        Image.open(io.BytesIO(base64.b64decode(image))).load()


def test_figures_are_written_for_slides(finished: Path, page: str) -> None:
    names = {path.stem for path in (finished / "figures").iterdir()}
    assert names == {"sites", "map", "progress", "trust", "loops", "cost"}
    for path in (finished / "figures").iterdir():
        with Image.open(path) as image:
            assert image.size[0] > 2000
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_headline_has_the_numbers_of_the_run(finished: Path, page: str) -> None:
    data, text = gather(finished), words(page)
    best = max(reward_of(step) for step in range(STEPS))
    assert number(best, 4) in headline(data)[1]
    for sentence in headline(data):
        assert sentence in text
    assert "30 of 80 sites (37.5 %)" in text
    assert "75 % of the 8 best sites" in text
    assert "R² is 0.50 with the structure and 0.10 (0.00 to 0.20 in 5 shuffles)" in text


def test_report_names_everything_needed_to_do_it_again(finished: Path, page: str) -> None:
    text, data = words(page), gather(finished)
    assert data.head is not None
    for needed in (
        "nanopilot run discover --instrument replay --sample beps-pto --reward loop-area "
        "--policy ucb --budget 0.375 --seed 3 --set survey=6",
        f"nanopilot verify {data.record.id}",
        data.head[1],
        "numpy 2.4.6",
        "−8.00 V to 8.00 V, 32 points",
    ):
        assert needed in text


def test_everything_out_of_the_ordinary_is_told(page: str) -> None:
    text = words(page)
    assert "The guard let 30 requests through and refused 1." in text
    for told in ("step 10 was begun and never reported", "after 10 steps", "out of reach"):
        assert told in text
    for mark in ("unknown, repeated (1)", "resumed (1)", "refused by the guard (1)"):
        assert mark in page


def test_same_run_gives_the_same_page(finished: Path, page: str, tmp_path: Path) -> None:
    assert write_report(finished, tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_unfinished_run_says_so_and_says_what_is_left_out(tmp_path: Path) -> None:
    text = words(page_of(make_run(tmp_path / "run", steps=12)))
    assert "This run is unfinished" in text
    assert "12 of 80 sites (15.0 %)" in text
    assert "The map is made when the run ends" in text
    assert "nanopilot resume" in text


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_run_that_has_hardly_begun_has_a_report(steps: int, tmp_path: Path) -> None:
    text = words(page_of(make_run(tmp_path / "run", steps=steps)))
    assert "This run is unfinished" in text


@pytest.mark.parametrize(
    "missing",
    [
        {"explained": {}, "learning": []},
        {"explained": {"structure": None, "control": None, "why": "all rewards are alike"}},
        {"learning": [{"steps": 30, "structure": None, "control": None}], "noise": None},
        {"explained": {"structure": 0.4, "control": None}, "model": {"noise": "NaN"}},
    ],
)
def test_what_a_run_does_not_know_is_left_out(missing: dict[str, Any], tmp_path: Path) -> None:
    text = words(page_of(make_run(tmp_path / "run", notes=(summary(**missing),))))
    assert "Recall of the best sites is left out" in text
    assert "nan" not in re.findall(r"[a-z]+", text.lower())


def test_altered_signal_gives_no_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", steps=3)
    for chunk in (run / "signals.zarr" / "structure" / "response").glob("c.*"):
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 1
        chunk.write_bytes(bytes(data))
    with pytest.raises(Tampered):
        write_report(run)
    assert not (run / "report.html").exists()


def test_exchanged_signal_gives_no_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", steps=3)
    with RunFolder.open(run, write=True) as stored:
        stored.signals.put("structure", xr.Dataset({"response": frame_signal(np.eye(8))}))
    with pytest.raises(Tampered):
        write_report(run)
    assert not (run / "report.html").exists()


def test_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        write_report(tmp_path)


def test_texts_of_strangers_do_not_become_markup(tmp_path: Path) -> None:
    evil = "<script>alert('$title & \"more\"')</script>"
    asked = record(reward=evil, policy=evil)
    asked = asked.model_copy(
        update={"instrument": {"instrument": evil, "options": {"sample": f"/home/me/{evil}"}}}
    )
    page = page_of(make_run(tmp_path / "run", steps=8, asked=asked))
    links = Links()
    links.feed(page)
    assert "script" not in links.tags
    assert html.escape(evil) in page


def test_small_is_best_where_small_is_looked_for(tmp_path: Path) -> None:
    notes = (summary(direction="minimise"),)
    data = gather(make_run(tmp_path / "run", notes=notes))
    assert data.best[0].reward == min(reward_of(step) for step in range(STEPS))
    assert "the smallest loop area" in headline(data)[0]


def test_direction_of_an_unfinished_run_comes_from_its_reward(tmp_path: Path) -> None:
    asked = record(reward="coercive-bias", reward_settings={"direction": "minimise"})
    goal = gather(make_run(tmp_path / "run", steps=4, asked=asked)).goal
    assert (goal.unit, goal.direction) == ("V", "minimise")
