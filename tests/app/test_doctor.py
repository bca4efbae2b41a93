"""`nanopilot doctor` says what works here, what does not, and the way out; and never falls over."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nanopilot.app import doctor
from nanopilot.app.cli import main
from nanopilot.core import registry


def checks() -> dict[tuple[str, str], doctor.Check]:
    return {(check.group, check.name): check for check in doctor.examine()}


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register instruments of a package whose modules are broken in various ways."""
    (tmp_path / "stranger_fine.py").write_text("def connect(): ...")
    (tmp_path / "stranger_syntax.py").write_text("def connect(:")
    (tmp_path / "stranger_raises.py").write_text("raise OSError('no card in slot 2')")
    (tmp_path / "stranger_leaves.py").write_text("import sys; sys.exit('licence server is down')")
    (tmp_path / "stranger_needs.py").write_text("import package_of_a_vendor")
    monkeypatch.syspath_prepend(str(tmp_path))
    kinds = ("fine", "syntax", "raises", "leaves", "needs", "absent")
    ours = registry._entries("instruments")
    theirs = {
        kind: EntryPoint(kind, f"stranger_{kind}:connect", "nanopilot.instruments")
        for kind in kinds
    }
    usual = registry._entries
    monkeypatch.setattr(
        registry,
        "_entries",
        lambda kind: {**ours, **theirs} if kind == "instruments" else usual(kind),
    )


@pytest.mark.usefixtures("strangers")
@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("fine", "ok", "stranger_fine.connect"),
        ("syntax", "broken", "SyntaxError"),
        ("raises", "broken", "no card in slot 2"),
        ("leaves", "broken", "licence server is down"),
        ("needs", "missing", "package_of_a_vendor"),
        ("absent", "missing", "stranger_absent"),
        ("plain", "ok", "nanopilot"),
    ],
)
def test_one_broken_driver_is_told_and_hides_no_other(name: str, status: str, said: str) -> None:
    check = checks()["instruments", name]
    assert check.status == status
    assert said in check.found
    assert status == "ok" or check.way_out


@pytest.mark.usefixtures("strangers")
def test_what_is_broken_gives_exit_code_1_and_a_line_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["doctor"])
    said = capsys.readouterr().out
    assert left.value.code == 1
    assert len([line for line in said.splitlines() if "BROKEN" in line]) == 3
    assert "3 broken" in said


def test_everything_that_comes_with_nanopilot_loads_or_says_what_it_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (left.value.code, found["ok"]) == (0, True)
    seen = {(check["group"], check["name"]) for check in found["checks"]}
    for kind in ("instruments", "twins", "readers"):
        assert {(kind, name) for name in registry.names(kind)} <= seen
    assert {("python", "python"), ("packages", "numpy"), ("machine", "clock")} <= seen
    for check in found["checks"]:
        assert check["status"] == "ok" or check["way_out"], check


def test_a_driver_whose_vendor_software_is_not_here_says_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(
        doctor.NEEDS, "plain", ("vendor_of_nothing.client", "comes from the vendor")
    )
    check = checks()["instruments", "plain"]
    assert check.status == "missing"
    assert "vendor_of_nothing.client" in check.found
    assert check.way_out == "comes from the vendor"


def test_a_required_package_that_is_gone_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name == "zarr" else usual(name))
    check = checks()["packages", "zarr"]
    assert (check.status, check.way_out) == ("broken", "pip install zarr")


def test_an_optional_package_that_is_gone_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name == "torch" else usual(name))
    check = checks()["packages", "torch"]
    assert (check.status, check.way_out) == ("missing", "pip install 'nanopilot[ml]'")


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int = 10**12
        used: int = 10**12
        free: int = 10**6

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage())
    check = checks()["machine", "runs folder"]
    assert check.status == "broken"
    assert "NANOPILOT_RUNS" in check.way_out


def test_no_place_for_compiled_kernels_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_writable", lambda place: False)
    check = checks()["machine", "kernel cache"]
    assert (check.status, "NUMBA_CACHE_DIR" in check.way_out) == ("broken", True)


def test_no_socket_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(doctor.socket, "create_server", refused)
    check = checks()["machine", "port"]
    assert check.status == "broken"
    assert "not permitted" in check.found


def test_it_looks_at_vendor_packages_without_importing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vendor_client.py").write_text("raise OSError('opens the hardware')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(doctor.NEEDS, "plain", ("vendor_client", "comes from the vendor"))
    assert checks()["instruments", "plain"].status == "ok"
    assert "vendor_client" not in sys.modules
