"""HTTP routes to measure, and to propose what somebody else approves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query
from starlette.responses import Response

from nanopilot.app.server.answers import Answer, Binary, problem_answer
from nanopilot.app.server.asking import Lease, Served, needs
from nanopilot.app.server.bell import heard
from nanopilot.app.server.roles import Role
from nanopilot.core.errors import DeviceError
from nanopilot.core.requests import SetRequest
from nanopilot.core.wire import MEDIA_TYPE
from nanopilot.instruments.remote.messages import (
    FAILED_HEADER,
    Acquisitions,
    Approval,
    Ask,
    Cost,
    MeasureByName,
    Progress,
    Proposal,
    Proposals,
    Reason,
    Verdict,
)
from nanopilot.instruments.remote.problems import problem_of

router = APIRouter(prefix="/v1")
_OPERATOR, _APPROVER = [needs(Role.OPERATOR)], [needs(Role.APPROVER)]
Wait = Annotated[float, Query(ge=0, le=30, description="Seconds to wait for the end.")]


@router.post("/validate", response_model=Verdict)
def validate(
    command: Annotated[MeasureByName | SetRequest, Body()], service: Served, lease: Lease = None
) -> Response:
    """List everything that speaks against a command; moves nothing."""
    return Answer(Verdict(violations=service.violations(command, lease)))


@router.post("/estimate", response_model=Cost)
def estimate(command: Annotated[MeasureByName, Body()], service: Served) -> Response:
    """Tell what a measurement will cost; moves nothing."""
    return Answer(Cost(estimate=service.estimate(command)))


@router.post("/start", response_model=Progress, status_code=201, dependencies=_OPERATOR)
def start(
    command: Annotated[MeasureByName, Body()], service: Served, lease: Lease = None
) -> Response:
    """Begin to measure. It goes on by itself; ask for it by the id that is answered."""
    return Answer(service.start(command, lease).progress(), 201)


@router.get("/acquisitions", response_model=Acquisitions)
def acquisitions(service: Served) -> Response:
    """List the measurements in progress, and the last that were."""
    found = service.measurements.all()
    return Answer(Acquisitions(acquisitions=tuple(one.progress() for one in found)))


@router.get("/acquisitions/{name}", response_model=Progress)
async def progress(name: str, service: Served, wait: Wait = 0.0) -> Response:
    """Tell how a measurement stands, at its end or after `wait` seconds."""
    return Answer(await _ended(service, name, wait))


@router.get(
    "/acquisitions/{name}/result",
    responses={
        200: {"description": "Everything measured, as nanopilot.core.wire packs it.",
              "content": {MEDIA_TYPE: {}}},
        202: {"description": "It is not finished yet.", "model": Progress},
    },
    response_class=Response,
)  # fmt: skip
async def result(name: str, service: Served, wait: Wait = 0.0) -> Response:
    """Send everything measured, NaN where it was not, as soon as it is finished."""
    found = await _ended(service, name, wait)
    measurement = service.measurements.find(name)
    if not found.finished:
        return Answer(found, 202)
    if measurement.result is None:
        problem = measurement.error or problem_of(DeviceError("there is no result"))
        return problem_answer(problem, 502)
    failed = {} if measurement.error is None else {FAILED_HEADER: measurement.error.error}
    return Binary(measurement.result, media_type=MEDIA_TYPE, headers=failed)


@router.delete("/acquisitions/{name}", response_model=Progress, dependencies=_OPERATOR)
def abort(name: str, service: Served) -> Response:
    """Stop one measurement; what it has measured stays, as its result."""
    measurement = service.measurements.find(name)
    measurement.abort()
    return Answer(measurement.progress())


@router.get("/proposals", response_model=Proposals)
async def proposals(service: Served) -> Response:
    """List what waits for approval, and what became of the rest."""
    return Answer(Proposals(proposals=service.approvals.all()))


@router.post(
    "/proposals", response_model=Proposal, status_code=201, dependencies=[needs(Role.PROPOSER)]
)
def propose(ask: Ask, service: Served) -> Response:
    """File a command for approval; moves nothing."""
    return Answer(service.approvals.file(ask, service.violations(ask.command, None)), 201)


@router.post("/proposals/{name}/approve", response_model=Proposal, dependencies=_APPROVER)
def approve(name: str, approval: Approval, service: Served, lease: Lease = None) -> Response:
    """Carry out what was proposed: exactly what has this digest, once, while its time lasts."""
    return Answer(
        service.approvals.approve(
            name, approval.digest, lambda command: service.carry_out(command, lease)
        )
    )


@router.post("/proposals/{name}/deny", response_model=Proposal, dependencies=_APPROVER)
def deny(name: str, reason: Reason, service: Served) -> Response:
    """Decide against a proposal."""
    denied = service.approvals.deny(name)
    service.note("denied", f"proposal {name}: {reason.why or 'no reason given'}")
    return Answer(denied)


async def _ended(service: Served, name: str, wait: float) -> Progress:
    """Return how a measurement stands once it has ended, or time is up."""
    measurement = service.measurements.find(name)
    until = service.wall.now() + wait
    while True:
        ticket = measurement.bell.ticket()
        left = until - service.wall.now()
        if measurement.finished or left <= 0 or service.closing.is_set():
            ticket.cancel()
            return measurement.progress()
        await heard(ticket, left)
