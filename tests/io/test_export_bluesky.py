"""Runs as bluesky documents: valid, the same every time, and readable by bluesky itself."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import event_model
import numpy as np
import pytest
from bluesky.callbacks import LiveTable
from hypothesis import given, settings
from hypothesis import strategies as st

import nanopilot as npl
from nanopilot.app.cli.main import main
from nanopilot.core.errors import MissingExtra, StoreError, Tampered
from nanopilot.core.events import Audit, Decision, Event, Note, Outcome
from nanopilot.core.history import Action
from nanopilot.io import RunFolder, RunRecord, load_history
from nanopilot.io.exports import (
    SPEC,
    DocumentMirror,
    SignalFolder,
    ZarrHandler,
    checked,
    documents,
    write_documents,
)
from tests.io.conftest import Start, events, kill, step
from tests.io.kept import image

Document = tuple[str, dict[str, Any]]
STEPS = 10

KILLED = """
import sys
import nanopilot as npl
from nanopilot.core.events import Outcome

def tell(event):
    if isinstance(event, Outcome):
        print(event.step, flush=True)
        if event.step == 5:
            sys.stdin.read()  # until it is killed

scope = npl.connect("replay", sample="beps-pto")
npl.run("discover", scope, folder=sys.argv[1], budget=0.004, progress=False, listener=tell)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[npl.Run, list[Document]]:
    """Return a finished run, and what its mirror told of it."""
    folder = tmp_path_factory.mktemp("export") / "run"
    heard: list[Document] = []
    scope = npl.connect("replay", sample="beps-pto")
    with DocumentMirror(lambda *document: heard.append(document), folder) as mirror:
        run = npl.run("discover", scope, folder=folder, budget=0.004, seed=0, listener=mirror)
    assert mirror.error is None
    return run, heard


@pytest.fixture
def write(tmp_path: Path, record: RunRecord) -> Callable[..., Path]:
    """Return a function that writes a run of these events."""
    numbers = iter(range(1000))

    def made(*found: Event) -> Path:
        folder = tmp_path / f"run{next(numbers)}"
        with RunFolder.create(folder, record, "process") as run:
            if found:
                run.journal.append(*found)
        return folder

    return made


def named(told: Iterator[Document], name: str) -> list[dict[str, Any]]:
    return [document for kind, document in told if kind == name]


def events_of(told: list[Document], stream: str) -> list[dict[str, Any]]:
    uids = [one["uid"] for one in named(iter(told), "descriptor") if one["name"] == stream]
    return [one for one in named(iter(told), "event") if one["descriptor"] in uids]


def test_documents_of_a_run_are_valid_and_hang_together(told: tuple[npl.Run, Any]) -> None:
    found = list(checked(documents(told[0].path)))
    assert (found[0][0], found[-1][0]) == ("start", "stop")
    start, stop = found[0][1], found[-1][1]
    assert stop["exit_status"] == "success"
    assert stop["run_start"] == start["uid"]
    assert start["plan_name"] == "discover"
    descriptors = {one["uid"]: one for one in named(iter(found), "descriptor")}
    counted: Counter[str] = Counter()
    for event in named(iter(found), "event"):
        descriptor = descriptors[event["descriptor"]]
        counted[descriptor["name"]] += 1
        assert event["seq_num"] == counted[descriptor["name"]]
        assert set(event["data"]) == set(event["timestamps"]) == set(descriptor["data_keys"])
    assert stop["num_events"] == counted
    uids = [one["uid"] for _, one in found if "uid" in one]
    assert len(set(uids)) == len(uids)


def test_every_step_is_an_event_with_its_place_reward_and_features(
    told: tuple[npl.Run, Any],
) -> None:
    run = told[0]
    found = events_of(list(documents(run.path)), "primary")
    assert len(found) == len(run.history) == STEPS
    for event, taken in zip(found, run.history, strict=True):
        data = event["data"]
        assert (data["x"], data["y"]) == taken.action.position
        assert data["site"] == taken.action.index
        assert data["reward"] == taken.reward
        features = {name: data[f"feature_{name}"] for name in taken.features}
        assert features == pytest.approx(dict(taken.features), nan_ok=True)


def test_arrays_are_found_where_the_documents_point(told: tuple[npl.Run, Any]) -> None:
    run = told[0]
    filler = event_model.Filler({SPEC: ZarrHandler}, inplace=False)
    filled = [filler(*document) for document in documents(run.path)]
    found = events_of(filled, "primary")
    for number, event in enumerate(found):
        kept = run.signals("spectra", number)["piezoresponse"].to_numpy()
        np.testing.assert_array_equal(event["data"]["spectra_piezoresponse"], kept)
    assert len(found) == STEPS


def test_array_that_was_altered_is_not_handed_out(told: tuple[npl.Run, Any]) -> None:
    found = list(documents(told[0].path))
    resource = named(iter(found), "resource")[0]
    handler = ZarrHandler(Path(resource["root"]) / resource["resource_path"])
    right = named(iter(found), "datum")[-1]["datum_kwargs"]
    assert handler(**right).shape == (64,)
    with pytest.raises(Tampered, match="is not what the journal says"):
        handler(**right | {"index": right["index"] - 1})


def test_exporting_twice_gives_the_same_bytes(told: tuple[npl.Run, Any], tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    count = write_documents(told[0].path, first)
    assert write_documents(told[0].path, second) == count
    assert first.read_bytes() == second.read_bytes()
    lines = first.read_text().splitlines()
    assert len(lines) == count

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    for line in lines:
        assert set(json.loads(line, parse_constant=refuse)) == {"name", "doc"}


def test_mirror_tells_what_the_export_tells_afterwards(
    told: tuple[npl.Run, list[Document]],
) -> None:
    run, heard = told
    assert repr(heard) == repr(list(documents(run.path)))  # NaN is not equal to itself


def test_live_table_shows_the_run(told: tuple[npl.Run, list[Document]]) -> None:
    run, heard = told
    said = io.StringIO()
    table = LiveTable(["x", "y", "reward"], out=lambda line: said.write(f"{line}\n"))
    for document in heard:
        table(*document)
    rows = [line for line in said.getvalue().splitlines() if line.startswith("|  ")][1:]
    assert len(rows) == STEPS
    for row, taken in zip(rows, run.history, strict=True):
        x, y, reward = (float(cell) for cell in row.split("|")[3:6])
        assert (x, y) == pytest.approx(taken.action.position, abs=1e-10)
        assert reward == pytest.approx(taken.reward, abs=1e-3)


def test_run_that_was_killed_ends_with_abort_and_is_told_to_where_it_was(
    tmp_path: Path, start: Start
) -> None:
    process = start(KILLED, tmp_path / "run")
    assert process.stdout is not None
    list(islice(process.stdout, 7))  # the frame and steps 0 to 5
    kill(process)
    found = list(checked(documents(tmp_path / "run")))
    stop = found[-1][1]
    assert stop["exit_status"] == "abort"
    assert "after 6 steps; the run can be resumed" in stop["reason"]
    assert len(events_of(found, "primary")) == 6
    npl.open_run(tmp_path / "run").resume(progress=False)
    resumed = list(checked(documents(tmp_path / "run")))
    assert resumed[-1][1]["exit_status"] == "success"
    assert repr(resumed[: len(found) - 1]) == repr(found[:-1])


def test_mirror_of_a_run_that_fails_says_why(tmp_path: Path) -> None:
    heard: list[Document] = []
    scope = npl.connect("replay", sample="beps-pto")

    def break_down(event: Event) -> None:
        mirror(event)
        if isinstance(event, Outcome) and event.step == 2:
            raise RuntimeError("the cable came off")

    mirror = DocumentMirror(lambda *document: heard.append(document), tmp_path / "run")
    with pytest.raises(RuntimeError), mirror:
        npl.run("discover", scope, folder=tmp_path / "run", budget=0.004, listener=break_down)
    list(checked(heard))
    assert heard[-1][1]["exit_status"] == "fail"
    assert heard[-1][1]["reason"] == "the cable came off"
    assert named(documents(tmp_path / "run"), "stop")[0]["exit_status"] == "abort"


def test_receiver_that_fails_ends_the_mirror_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def break_down(name: str, document: dict[str, Any]) -> None:
        heard.append(name)
        if len(heard) == 5:
            raise OSError("the database is away")

    scope = npl.connect("replay", sample="beps-pto")
    with DocumentMirror(break_down, tmp_path / "run") as mirror:
        npl.run("discover", scope, folder=tmp_path / "run", budget=0.004, listener=mirror)
    assert len(heard) == 5
    assert str(mirror.error) == "the database is away"
    assert "the database is away" in caplog.text
    assert named(documents(tmp_path / "run"), "stop")[0]["exit_status"] == "success"


def test_emergency_stop_is_a_failure(write: Callable[..., Path]) -> None:
    stopped = Audit(verdict="stopped", capability="", request={}, reasons=("smoke",))
    (stop,) = named(documents(write(*events(2), stopped)), "stop")
    assert (stop["exit_status"], stop["reason"]) == ("fail", "stopped: smoke")


def test_step_without_measurement_has_a_stream_of_its_own(write: Callable[..., Path]) -> None:
    decision, intent, _ = step(1)
    failed = Outcome(step=1, error="`position` lies outside.")
    found = list(checked(documents(write(*events(1), decision, intent, failed))))
    assert len(events_of(found, "primary")) == 1
    (event,) = events_of(found, "failed")
    assert event["data"]["error"] == "`position` lies outside."
    assert event["data"]["x"] == 1e-9
    assert found[-1][1]["exit_status"] == "fail"


def test_features_whose_names_become_the_same_are_both_there(write: Callable[..., Path]) -> None:
    decision, intent, _ = step(0)
    outcome = Outcome(step=0, features={"a.b": 1.0, "a/b": 2.0, "a_b": 3.0})
    (event,) = events_of(list(checked(documents(write(decision, intent, outcome)))), "primary")
    found = {name: one for name, one in event["data"].items() if name.startswith("feature_")}
    assert sorted(found.values()) == [1.0, 2.0, 3.0]


def test_what_is_not_known_is_nan_in_documents_and_null_in_files(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write(*events(1))
    (event,) = events_of(list(documents(folder)), "primary")
    assert math.isnan(event["data"]["feature_imprint"])
    write_documents(folder, tmp_path / "out.jsonl")
    assert '"feature_imprint": null' in (tmp_path / "out.jsonl").read_text()


names = st.text(st.sampled_from("ab./_é "), min_size=1, max_size=6)
numbers = st.none() | st.floats(width=32)
found_events = st.lists(
    st.one_of(
        st.builds(Note, topic=names, text=st.text(max_size=5)),
        st.builds(Audit, verdict=st.sampled_from(["allowed", "refused", "secured"]),
                  capability=st.just("Stage"), request=st.dictionaries(names, numbers, max_size=2)),
        st.builds(Outcome, step=st.integers(0, 3), reward=numbers, error=st.sampled_from(["", "x"]),
                  features=st.dictionaries(names, numbers, max_size=3)),
        st.builds(Decision, step=st.integers(0, 3),
                  action=st.none() | st.just(Action(index=1, position=(0.0, math.inf)))),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(found=found_events)
def test_whatever_a_journal_holds_its_documents_are_valid(
    found: list[Event], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any") / "run"
    asked = {"Stage.x": {"a/b": [1.0]}}
    record = RunRecord(
        id="any", workflow="discover", settings=asked, seed=0, instrument=asked, versions={},
        created="2025-01-01T12:00:00+00:00",
    )  # fmt: skip
    with RunFolder.create(folder, record, "process") as run:
        run.journal.append(*found)
    told = list(checked(documents(folder)))
    assert len(events_of(told, "primary")) + len(events_of(told, "failed")) >= len(
        load_history(found).history
    )
    write_documents(folder, folder.parent / "out.jsonl")


def test_journal_that_was_altered_is_not_exported(write: Callable[..., Path]) -> None:
    folder = write(*events(2))
    journal = folder / "run.sqlite"
    content = journal.read_bytes()
    assert b"imprint" in content
    journal.write_bytes(content.replace(b'"imprint"', b'"impronk"'))
    with pytest.raises(Tampered, match="is not exported"):
        list(documents(folder))


def test_measurements_of_devices_are_kept_and_found_again(tmp_path: Path) -> None:
    folder = SignalFolder(tmp_path / "signals.zarr")
    kept = [folder.keep("frames", image(seed)) for seed in (1, 2)]
    again = SignalFolder(tmp_path / "signals.zarr")
    kept.append(again.keep("frames", image(3)))
    assert again.resource == folder.resource
    list(checked([("resource", again.resource), *(("datum", one["height"]) for one in kept)]))
    handler = ZarrHandler(tmp_path / "signals.zarr")
    for seed, one in zip((1, 2, 3), kept, strict=True):
        values = handler(**one["height"]["datum_kwargs"])
        np.testing.assert_array_equal(values, image(seed)["height"].to_numpy())


def test_command_line_writes_the_documents(
    told: tuple[npl.Run, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run.jsonl"
    with pytest.raises(SystemExit) as left:
        main(["export", str(told[0].path), "--to", "bluesky", "--out", str(out)])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"{out}: {len(out.read_text().splitlines())} documents\n"
    with pytest.raises(SystemExit) as left:
        main(["export", str(told[0].path), "--to", "blusky", "--out", str(out)])
    assert left.value.code == 2
    assert "did you mean bluesky?" in capsys.readouterr().err


def test_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a run folder"):
        list(documents(tmp_path))


def test_checking_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "event_model", None)
    with pytest.raises(MissingExtra, match=r"pip install 'nanopilot\[bluesky\]'"):
        list(checked([]))
