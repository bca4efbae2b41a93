"""`nanopilot serve` as a process: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nanopilot as npl
from nanopilot.app.cli import main
from nanopilot.app.server import Role
from nanopilot.core.adjustables import Approach, Beam
from nanopilot.core.capabilities import Scanner
from nanopilot.core.errors import NanopilotError
from nanopilot.core.events import Audit, Note, Plan
from nanopilot.core.requests import ScanRequest
from nanopilot.instruments import Guard
from nanopilot.instruments.remote import RemoteScope
from nanopilot.io import RunFolder, verify

SCAN = ScanRequest(centre=(0, 0), field_of_view=(1e-6, 1e-6), shape=(400, 8), line_rate=20)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Run the program, give it and what it printed, and end it if it still runs."""
    command = [sys.executable, "-m", "nanopilot", "serve", "plain", "--json", "--runs", str(folder)]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield process, json.loads(line) if line else None
        finally:
            if process.poll() is None:
                process.kill()


def open_scope(said: Any) -> RemoteScope:
    scope = npl.connect(said["url"], token=said["token"], holder="me")
    assert isinstance(scope, RemoteScope)
    return scope


def ask_on(scope: Guard) -> None:
    """Ask for the state until there is no answer."""
    while scope.state():
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_end_makes_the_instrument_safe_and_says_so(
    tmp_path: Path, number: signal.Signals
) -> None:
    options = ("--option", "real_time=true", "--option", "world=beam")
    with serving(tmp_path, *options) as (process, said), open_scope(said) as scope:
        assert stat.S_IMODE(Path(said["tokens"]).stat().st_mode) == 0o600
        scope.capability(Beam).set(blanked=0)
        blocks = iter(scope.capability(Scanner).start(SCAN))
        assert np.isfinite(next(blocks)["haadf"]).all()
        process.send_signal(number)
        with pytest.raises(NanopilotError):
            ask_on(scope)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert not Path(said["tokens"]).exists()
    journal = Path(said["journal"])
    assert verify(journal).ok
    with RunFolder.open(journal) as run:
        events = list(run.journal.events())
    assert any(isinstance(event, Plan) and event.workflow == "serve" for event in events)
    secured = [one for one in events if isinstance(one, Audit) and one.verdict == "secured"]
    assert any("set Beam.blanked to 1" in one.reasons for one in secured)
    closed = [one for one in events if isinstance(one, Note) and one.topic == "finished"]
    assert [number.name in one.text for one in closed] == [True]


def test_limits_and_tokens_come_from_files(tmp_path: Path) -> None:
    limits, tokens = tmp_path / "limits.json", tmp_path / "tokens.json"
    limits.write_text('{"parameters": {"BiasSource.bias": {"low": 0, "high": 1, "unit": "V"}}}')
    options = ("--limits", str(limits), "--token-file", str(tokens))
    with serving(tmp_path / "runs", *options) as (process, said):
        kept = json.loads(tokens.read_text())
        assert said["token"] == kept["operator"]
        assert set(kept) == {role.name.lower() for role in Role}
        with open_scope(said) as scope:
            assert scope.violations(request(bias=0.5)) == []
            assert [one.parameter for one in scope.violations(request(bias=2.0))]
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert json.loads(tokens.read_text()) == kept


def request(bias: float) -> Any:
    from nanopilot.core.requests import SetRequest

    return SetRequest(capability="BiasSource", values={"bias": bias})


def test_a_killed_server_leaves_a_journal_that_can_be_read(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, said), open_scope(said) as scope:
        scope.capability(Approach).set(engaged=0)
        process.kill()
        process.wait()
    journal = Path(said["journal"])
    assert verify(journal).ok
    with RunFolder.open(journal) as run:
        rows = [event for event in run.journal.events() if isinstance(event, Audit)]
    assert any(row.verdict == "allowed" and row.capability == "Approach" for row in rows)
    Path(said["tokens"]).unlink()
    Path(said["tokens"]).parent.rmdir()


def test_addresses_are_printed_for_people_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nanopilot", "serve", "plain", "--runs", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert line.startswith("plain at http://127.0.0.1:")
    assert "token" in line
    assert str(tmp_path) in line
    assert rest == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "others can reach"),
        (["--host", "192.0.2.1", "--tls-cert", "cert.pem"], "go together"),
        (["--tls-cert", "absent.pem", "--tls-key", "absent.pem"], "cannot be served"),
        (["--option", "world=moon"], "world"),
        (["--option", "colour=red"], "colour"),
        (["--limits", "absent.json"], "limits"),
    ],
)
def test_bad_settings_get_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["serve", "plain", "--runs", str(tmp_path), *options])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


class Facade:
    """A vendor's protocol that notes when it is started and stopped."""

    log: list[str] = []

    def __init__(self, scope: Guard, host: str, port: int) -> None:
        self.log.append(f"{scope.name} {host} {port}")

    def start(self) -> int:
        self.log.append("start")
        signal.raise_signal(signal.SIGTERM)
        return 4711

    def stop(self) -> None:
        self.log.append("stop")


def test_facades_are_served_beside_and_end_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanopilot.app.serve._facade_class", lambda name: Facade)
    with pytest.raises(SystemExit) as left:
        main(["serve", "plain", "--runs", str(tmp_path), "--json", "--nanonis", "0"])
    assert not left.value.code
    assert json.loads(capsys.readouterr().out)["facades"] == {"nanonis": 4711}
    assert Facade.log == ["plain 127.0.0.1 0", "start", "stop"]
