"""The journal of a server is told apart from the run of an experiment."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import nanopilot as npl
from nanopilot.app.cli.main import app
from nanopilot.app.server import InstrumentServer, Role
from nanopilot.app.server.record import open_journal
from nanopilot.core.adjustables import Focus
from nanopilot.core.errors import OutOfRange
from nanopilot.core.events import Audit
from nanopilot.core.requests import SetRequest


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    scope = npl.connect("plain", world="beam")
    with (
        open_journal(tmp_path, scope, "plain", "127.0.0.1") as folder,
        InstrumentServer(scope, record=folder.journal.append) as server,
        npl.connect(server.url, token=server.keys.tokens[Role.OPERATOR]) as client,
    ):
        client.capability(Focus).set(defocus=1e-8)
        with pytest.raises(OutOfRange):
            client.capability(Focus).set(defocus=1.0)
        client.close()
        server.service.set(SetRequest(capability="Focus", values={"defocus": 2e-8}), None)
    return folder.path


def test_every_row_says_who_asked(journal: Path) -> None:
    rows = [event for event in npl.open_run(journal).events() if isinstance(event, Audit)]
    assert any(row.verdict == "allowed" for row in rows)
    assert all(row.by for row in rows if row.verdict in ("allowed", "refused", "command"))
    assert rows[-1].verdict == "secured"
    assert any(row.by == "a client without a lease" for row in rows)


def test_it_is_shown_as_what_it_is(journal: Path) -> None:
    shown = CliRunner().invoke(app, ["show", str(journal)])
    assert shown.exit_code == 0
    assert "journal of a server:" in shown.output
    assert "allowed" in shown.output


@pytest.mark.parametrize("command", ["resume", "report", "replay"])
def test_what_needs_an_experiment_says_so(journal: Path, command: str) -> None:
    from nanopilot.core.errors import InvalidRequest

    run = npl.open_run(journal)
    with pytest.raises(InvalidRequest, match="journal of `nanopilot serve`"):
        getattr(run, command)()
