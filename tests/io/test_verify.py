"""Whatever was changed in a run, `verify` names the first thing that was."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import StoreError
from nanopilot.core.events import Note
from nanopilot.io import RunFolder, RunRecord, verify
from nanopilot.io.chunks import encode
from tests.io.conftest import spectrum, step

STEPS = 4


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify") / "run"
    record = RunRecord(
        id="one", workflow="discover", settings={}, seed=0, created="2025-01-01T00:00:00+00:00",
        versions={}, instrument={},
    )  # fmt: skip
    with RunFolder.create(folder, record, "process") as run:
        refs = run.signals.put("structure", spectrum(99))
        kept = [ref.model_dump() for ref in refs]
        run.journal.append(Note(topic="structure", text="", data={"signals": kept}))
        run.signals.create("spectra", spectrum(0), STEPS)
        for number in range(STEPS):
            decision, intent, _ = step(number)
            run.journal.append(decision, intent)
            refs = run.signals.append("spectra", number, spectrum(number))
            run.journal.append(step(number, refs)[2])
    return folder


@pytest.fixture
def run(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "run"))


def sql(run: Path, statement: str) -> None:
    with closing(sqlite3.connect(run / "run.sqlite")) as connection, connection:
        connection.execute(statement)


def replace(run: Path, file: str, old: str, new: str) -> None:
    text = (run / file).read_text()
    assert old in text
    (run / file).write_text(text.replace(old, new, 1))


def test_untouched_run_is_good(good: Path) -> None:
    verdict = verify(good)
    assert verdict.ok
    assert (verdict.rows, verdict.chunks) == (2 + 3 * STEPS, 1 + STEPS)
    assert (verdict.first, verdict.why) == ("", "")
    with RunFolder.open(good) as run:
        assert verdict.head == run.journal.head[1]


CHUNK = "signals.zarr/spectra/piezoresponse/c.2.0"
CHANGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda run: sql(run, "UPDATE rows SET body = replace(body, '2', '3') WHERE seq = 9"), "row 9"),
    (lambda run: sql(run, "DELETE FROM rows WHERE seq = 9"), "row 9"),
    (lambda run: sql(run, "DELETE FROM rows WHERE seq > 9"), "row 10"),
    (lambda run: sql(run, "DELETE FROM head"), "run.sqlite"),
    (lambda run: sql(run, "DROP TABLE rows"), "row 1"),
    (lambda run: (run / "run.sqlite").unlink(), "run.sqlite"),
    (lambda run: (run / "run.sqlite").write_bytes(b"x" * 5000), "run.sqlite"),
    (lambda run: replace(run, "run.json", '"seed": 0', '"seed": 7'), "run.json"),
    (lambda run: (run / "run.json").unlink(), "run.json"),
    (lambda run: (run / "run.json").write_bytes(b"\xff\x00"), "run.json"),
    (lambda run: (run / CHUNK).unlink(), "spectra/piezoresponse item 2"),
    (lambda run: (run / CHUNK).write_bytes(b"junk"), "spectra/piezoresponse item 2"),
    (lambda run: (run / CHUNK).write_bytes(encode(np.zeros(16))), "spectra/piezoresponse item 2"),
    (lambda run: (run / CHUNK).write_bytes(encode(np.zeros(3))), "spectra/piezoresponse item 2"),
    (
        lambda run: shutil.copy(run / CHUNK.replace("c.2", "c.1"), run / CHUNK),
        "spectra/piezoresponse item 2",
    ),
    (
        lambda run: (run / "signals.zarr/spectra/_own/c.1").unlink(),
        "spectra/piezoresponse item 1",
    ),
    (
        lambda run: replace(run, "signals.zarr/spectra/bias/zarr.json", '"V"', '"A"'),
        "signals.zarr/spectra/bias/zarr.json",
    ),
    (
        lambda run: (run / "signals.zarr/spectra/bias/c.0").write_bytes(encode(np.arange(16.0))),
        "signals.zarr/spectra/bias/c.0",
    ),
    (
        lambda run: replace(run, "signals.zarr/spectra/zarr.json", "position", "place"),
        "signals.zarr/spectra/zarr.json",
    ),
    (
        lambda run: (run / "signals.zarr/structure/piezoresponse/zarr.json").write_text(""),
        "signals.zarr/structure/piezoresponse/zarr.json",
    ),
    (
        lambda run: shutil.rmtree(run / "signals.zarr/structure"),
        "signals.zarr/structure/zarr.json",
    ),
    (lambda run: shutil.rmtree(run / "signals.zarr"), "signals.zarr/zarr.json"),
    (lambda run: (run / "signals.zarr/zarr.json").write_text("[1]"), "signals.zarr/zarr.json"),
]


@pytest.mark.parametrize(
    ("change", "first"), CHANGES, ids=[f"{n} {first}" for n, (_, first) in enumerate(CHANGES)]
)
def test_first_altered_thing_is_named(
    run: Path, change: Callable[[Path], object], first: str
) -> None:
    change(run)
    verdict = verify(run)
    assert not verdict.ok
    assert verdict.first == first, verdict
    assert verdict.why
    assert "\n" not in verdict.why


PAGES = ["run.sqlite", "signals.zarr/zarr.json", "signals.zarr/spectra/piezoresponse/zarr.json"]
NAMED = {
    "run.json": "run.json",
    CHUNK: "spectra/piezoresponse item 2",
    "signals.zarr/spectra/_own/c.2": "spectra/piezoresponse item 2",
    "signals.zarr/spectra/bias/c.0": "signals.zarr/spectra/bias/c.0",
}


@given(
    file=st.sampled_from([*PAGES, *NAMED]),
    place=st.floats(0, 1, exclude_max=True),
    change=st.integers(1, 255),
)
@settings(max_examples=60, deadline=None)
def test_verify_survives_any_damage(good: Path, file: str, place: float, change: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(shutil.copytree(good, Path(folder, "run")))
        data = bytearray((run / file).read_bytes())
        data[int(place * len(data))] ^= change
        (run / file).write_bytes(data)
        verdict = verify(run)
    # A database has room that nothing uses, JSON has spaces; every other byte means something.
    assert verdict.ok == (not verdict.first)
    if file in NAMED:
        assert verdict.first == NAMED[file]


def test_signals_of_the_step_under_way_are_no_fault(run: Path) -> None:
    with RunFolder.open(run, write=True, durability="process") as writer:
        writer.journal.append(*step(STEPS)[:2])
        writer.signals.append("spectra", STEPS, spectrum(STEPS))
    assert verify(run).ok


def test_rows_lost_together_with_their_head_leave_signals_nobody_speaks_of(run: Path) -> None:
    """As when the write-ahead log is deleted: the chain ends early, but holds."""
    sql(run, "DELETE FROM rows WHERE seq > 8")
    sql(run, "UPDATE head SET seq = 8, hash = (SELECT hash FROM rows WHERE seq = 8)")
    verdict = verify(run)
    assert not verdict.ok
    assert verdict.first == "row 9"


def test_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run folder"):
        verify(tmp_path)
