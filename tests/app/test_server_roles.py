"""Who may do what: roles, leases, and proposals that somebody else approves."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3

import nanopilot as npl
from nanopilot.app.server import InstrumentServer, Keys, Role
from nanopilot.app.server.answers import STATUS, status_of
from nanopilot.app.server.approvals import Approvals
from nanopilot.core import errors
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import (
    BudgetExceeded,
    DeviceError,
    InvalidRequest,
    NanopilotError,
    Stopped,
)
from nanopilot.core.requests import SetRequest
from nanopilot.instruments import Guard
from nanopilot.instruments.remote.messages import Ask, Settings
from nanopilot.twins.plain import PlainTwin

FOCUS = {"capability": "Focus", "values": {"defocus": 1e-7}}
FRAME = {
    "capability": "Scanner",
    "request": {"centre": [0, 0], "field_of_view": ["1 um", 1e-6], "shape": [4, 4]},
}

Call = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[InstrumentServer]:
    with InstrumentServer(npl.connect("plain")) as running:
        yield running


@pytest.fixture
def call(server: InstrumentServer) -> Iterator[Call]:
    """Give what calls the server as a role, and returns status and JSON."""
    with closing(urllib3.connection_from_url(server.url, retries=False)) as pool:

        def ask(role: Role, method: str, path: str, body: Any = None, **more: str) -> Any:
            headers = {"Authorization": f"Bearer {server.keys.tokens[role]}"}
            headers |= {name.replace("_", "-"): value for name, value in more.items()}
            answer = pool.request(method, path, json=body, headers=headers)
            return answer.status, json.loads(answer.data) if answer.data else None

        yield ask


#: The least role for each call.
LEAST: tuple[tuple[Role, str, str, Any], ...] = (
    (Role.VIEWER, "GET", "/v1/description", None),
    (Role.VIEWER, "GET", "/v1/state", None),
    (Role.VIEWER, "GET", "/v1/parameters/Focus/defocus", None),
    (Role.VIEWER, "GET", "/v1/lease", None),
    (Role.VIEWER, "GET", "/v1/acquisitions", None),
    (Role.VIEWER, "GET", "/v1/proposals", None),
    (Role.VIEWER, "POST", "/v1/validate", FRAME),
    (Role.VIEWER, "POST", "/v1/validate", FOCUS),
    (Role.VIEWER, "POST", "/v1/estimate", FRAME),
    (Role.VIEWER, "POST", "/v1/stop", {}),
    (Role.VIEWER, "POST", "/v1/make-safe", {}),
    (Role.PROPOSER, "POST", "/v1/proposals", {"command": FOCUS}),
    (Role.OPERATOR, "POST", "/v1/set", FOCUS),
    (Role.OPERATOR, "POST", "/v1/start", FRAME),
    (Role.OPERATOR, "DELETE", "/v1/acquisitions/none", None),
    (Role.OPERATOR, "POST", "/v1/lease/alive", None),
    (Role.OPERATOR, "POST", "/v1/lease/renew", {}),
    (Role.OPERATOR, "DELETE", "/v1/lease", None),
    (Role.APPROVER, "POST", "/v1/release-stop", {}),
    (Role.APPROVER, "POST", "/v1/proposals/none/approve", {"digest": ""}),
    (Role.APPROVER, "POST", "/v1/proposals/none/deny", {}),
)


@pytest.mark.parametrize(("least", "method", "path", "body"), LEAST)
def test_a_role_may_do_what_it_may_and_nothing_above(
    call: Call, least: Role, method: str, path: str, body: Any
) -> None:
    for role in Role:
        status, said = call(role, method, path, body)
        too_low = status == 403 and "this takes" in said["message"]
        assert too_low == (role < least), (role, status, said)


def test_every_route_is_in_the_table_of_roles(server: InstrumentServer, call: Call) -> None:
    _, document = call(Role.VIEWER, "GET", "/openapi.json")
    tested = {(method, path.replace("none", "{name}")) for _, method, path, _ in LEAST}
    tested |= {
        ("POST", "/v1/lease"), ("POST", "/v1/emergency-stop"), ("POST", "/v1/session"),
        ("DELETE", "/v1/session"), ("GET", "/v1/acquisitions/{name}"),
        ("GET", "/v1/acquisitions/{name}/result"), ("GET", "/v1/parameters/{capability}/{name}"),
    }  # fmt: skip
    there = {(method.upper(), path) for path, ways in document["paths"].items() for method in ways}
    assert there <= tested


def test_every_error_of_nanopilot_has_a_status_that_is_no_fault_of_the_server() -> None:
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    for kind in kinds:
        if issubclass(kind, NanopilotError) and kind is not errors.UnknownName:
            assert status_of(kind("said")) in {403, 404, 409, 422, 423, 502, 504, 507}
    assert status_of(errors.DiskFull("full")) == STATUS[errors.StoreError]


def test_what_is_refused_says_what_and_why(call: Call) -> None:
    far = {"capability": "Focus", "values": {"defocus": 1.0}}
    status, said = call(Role.OPERATOR, "POST", "/v1/set", far)
    assert (status, said["error"]) == (422, "OutOfRange")
    assert "`Focus.defocus`" in said["message"]
    moving = {"capability": "Stage", "values": {"x": 1e-6}}
    assert call(Role.OPERATOR, "POST", "/v1/set", moving)[0] == 409
    call(Role.VIEWER, "POST", "/v1/emergency-stop", {"why": "smoke"})
    status, said = call(Role.OPERATOR, "POST", "/v1/set", FOCUS)
    assert (status, said["error"]) == (423, "Stopped")
    assert call(Role.APPROVER, "POST", "/v1/release-stop", {})[0] == 200
    assert call(Role.OPERATOR, "POST", "/v1/set", FOCUS)[0] == 200


def test_a_lease_is_taken_proved_and_given_back(call: Call) -> None:
    status, given = call(Role.OPERATOR, "POST", "/v1/lease", {"holder": "night run"})
    assert status == 200
    secret = {"Nanopilot_Lease": given["lease"]}
    assert call(Role.VIEWER, "GET", "/v1/lease")[1] == {"why": "night run"}
    assert call(Role.OPERATOR, "POST", "/v1/lease", {"holder": "other"})[0] == 403
    assert call(Role.APPROVER, "POST", "/v1/set", FOCUS)[0] == 403
    assert call(Role.OPERATOR, "POST", "/v1/set", FOCUS, Nanopilot_Lease="guessed")[0] == 403
    assert call(Role.OPERATOR, "POST", "/v1/set", FOCUS, **secret)[0] == 200
    assert call(Role.OPERATOR, "POST", "/v1/lease/renew", {"seconds": 5}, **secret)[0] == 200
    assert call(Role.OPERATOR, "POST", "/v1/lease/alive", None, **secret)[0] == 200
    assert call(Role.OPERATOR, "DELETE", "/v1/lease", None, **secret)[0] == 204
    assert call(Role.OPERATOR, "POST", "/v1/set", FOCUS, **secret)[0] == 403
    assert call(Role.VIEWER, "GET", "/v1/lease")[1] == {"why": ""}


def propose(call: Call, command: Any = FOCUS) -> Any:
    status, filed = call(Role.PROPOSER, "POST", "/v1/proposals", {"command": command, "why": "x"})
    assert status == 201
    return filed


def test_a_proposal_moves_nothing_until_it_is_approved(
    server: InstrumentServer, call: Call
) -> None:
    filed = propose(call)
    assert server.service.scope.state().values["Focus.defocus"] == 0.0
    path = f"/v1/proposals/{filed['id']}/approve"
    status, done = call(Role.APPROVER, "POST", path, {"digest": filed["digest"]})
    assert (status, done["status"]) == (200, "done")
    assert server.service.scope.state().values["Focus.defocus"] == pytest.approx(1e-7)
    again, _ = call(Role.APPROVER, "POST", path, {"digest": filed["digest"]})
    assert again == 422


def test_a_measurement_can_be_proposed_too(call: Call) -> None:
    filed = propose(call, FRAME)
    path = f"/v1/proposals/{filed['id']}/approve"
    _, done = call(Role.APPROVER, "POST", path, {"digest": filed["digest"]})
    status, progress = call(Role.VIEWER, "GET", f"/v1/acquisitions/{done['acquisition']}?wait=20")
    assert (status, progress["finished"]) == (200, True)


def test_an_approval_is_of_one_command_only(server: InstrumentServer, call: Call) -> None:
    mild, strong = propose(call), propose(call, FOCUS | {"values": {"defocus": 9e-6}})
    path = f"/v1/proposals/{strong['id']}/approve"
    for digest in (mild["digest"], "", "é"):
        status, said = call(Role.APPROVER, "POST", path, {"digest": digest})
        assert (status, said["error"]) == (422, "InvalidRequest")
    assert server.service.scope.state().values["Focus.defocus"] == 0.0


def test_what_the_guard_refuses_stays_refused_when_it_is_approved(call: Call) -> None:
    filed = propose(call, {"capability": "Stage", "values": {"x": 1e-6}})
    assert [one["kind"] for one in filed["violations"]] == ["interlock"]
    path = f"/v1/proposals/{filed['id']}/approve"
    assert call(Role.APPROVER, "POST", path, {"digest": filed["digest"]})[0] == 409
    (after,) = call(Role.VIEWER, "GET", "/v1/proposals")[1]["proposals"]
    assert (after["status"], after["error"]["error"]) == ("waiting", "Interlocked")


def test_what_was_denied_cannot_be_approved(call: Call) -> None:
    filed = propose(call)
    path = f"/v1/proposals/{filed['id']}"
    assert call(Role.APPROVER, "POST", f"{path}/deny", {"why": "no"})[1]["status"] == "denied"
    assert call(Role.APPROVER, "POST", f"{path}/approve", {"digest": filed["digest"]})[0] == 422


class Hand:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


ASK = Ask(command=SetRequest(capability="Focus", values={"defocus": 1e-7}))


def test_a_proposal_expires() -> None:
    hand = Hand()
    approvals = Approvals(300.0, hand.now)
    filed = approvals.file(ASK, ())
    hand.time = 300.0
    with pytest.raises(InvalidRequest, match="expired"):
        approvals.approve(filed.id, filed.digest, lambda command: Settings(settings=()))
    assert [one.status for one in approvals.all()] == ["expired"]


def test_a_proposal_that_failed_half_way_is_not_tried_again() -> None:
    approvals = Approvals(300.0, Hand().now)
    filed = approvals.file(ASK, ())

    def fail(command: Any) -> Any:
        raise DeviceError("stuck")

    for expected in (DeviceError, InvalidRequest):
        with pytest.raises(expected):
            approvals.approve(filed.id, filed.digest, fail)
    assert approvals.all()[0].status == "failed"


def test_proposals_cannot_fill_the_memory() -> None:
    hand = Hand()
    approvals = Approvals(1.0, hand.now)
    for _ in range(100):
        approvals.file(ASK, ())
    with pytest.raises(BudgetExceeded):
        approvals.file(ASK, ())
    for _ in range(15):
        hand.time += 2.0
        for _ in range(90):
            approvals.file(ASK, ())
    assert len(approvals.all()) <= 1000


def test_tokens_in_a_file_stay_the_same_and_nobody_else_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "tokens.json"
    first = Keys.of_file(path, lambda: 0.0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Keys.of_file(path, lambda: 0.0).tokens == first.tokens
    path.chmod(0o644)
    with pytest.raises(InvalidRequest, match="chmod 600"):
        Keys.of_file(path, lambda: 0.0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"viewer": 1}', "\x00"])
def test_a_file_without_tokens_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InvalidRequest, match="no tokens"):
        Keys.of_file(path, lambda: 0.0)


def test_weak_tokens_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    for token in ("short", "a" * 40):
        path.write_text(json.dumps({role.name.lower(): token for role in Role}))
        path.chmod(0o600)
        with pytest.raises(InvalidRequest, match="short or not unique"):
            Keys.of_file(path, lambda: 0.0)


def test_a_session_ends() -> None:
    hand = Hand()
    keys = Keys.fresh(hand.now)
    secret = keys.open_session(Role.VIEWER)
    assert keys.role_in_session(secret) is Role.VIEWER
    hand.time = 12 * 3600.0
    assert keys.role_in_session(secret) is None


class SlowGuard(Guard):
    """A guard whose commands take as long as the test says."""

    begun = threading.Event()
    over = threading.Event()

    def capability(self, kind: Any) -> Any:
        if threading.current_thread().name == "slow":
            self.begun.set()
            self.over.wait()
        return super().capability(kind)

    def make_safe(self, why: str) -> tuple[str, ...]:
        done = super().make_safe(why)
        self.over.set()
        return done


def test_a_command_that_is_under_way_at_the_end_is_undone_and_none_comes_after() -> None:
    service = InstrumentServer(SlowGuard(PlainTwin(VirtualClock()))).service
    unblank = SetRequest(capability="Beam", values={"blanked": 0})
    slow = threading.Thread(target=lambda: service.set(unblank, None), name="slow")
    slow.start()
    SlowGuard.begun.wait()
    service.secure("the end")
    slow.join()
    assert service.scope.state().values["Beam.blanked"] == 1.0
    with pytest.raises(Stopped):
        service.set(unblank, None)
