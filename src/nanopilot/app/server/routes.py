"""HTTP routes to look, to be in command, and to set. What blocks runs in threads."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from nanopilot.app.server.answers import Answer
from nanopilot.app.server.asking import Asker, Lease, Served, needs
from nanopilot.app.server.roles import Role
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import NotInCommand
from nanopilot.core.parameters import State
from nanopilot.core.requests import SetRequest
from nanopilot.instruments.remote.messages import (
    AskLease,
    LeaseGiven,
    Made,
    Reading,
    Reason,
    Renewal,
    Settings,
)

router = APIRouter(prefix="/v1")
_OPERATOR = [needs(Role.OPERATOR)]


@router.get("/description", response_model=InstrumentDescription)
def description(service: Served) -> Response:
    """Tell what the instrument is, has and can do."""
    return Answer(service.scope.describe())


@router.get("/state", response_model=State)
def state(service: Served) -> Response:
    """Read every parameter from the instrument."""
    return Answer(service.scope.state())


@router.get("/parameters/{capability}/{name}", response_model=Reading)
def reading(capability: str, name: str, service: Served) -> Response:
    """Read one parameter from the instrument."""
    value = service.get(capability, name)
    return Answer(Reading(parameter=f"{capability}.{name}", value=value))


@router.post("/set", response_model=Settings, dependencies=_OPERATOR)
def set_parameters(request: SetRequest, service: Served, lease: Lease = None) -> Response:
    """Set parameters of one capability together; answers when they have been read back."""
    return Answer(service.set(request, lease))


@router.get("/lease", response_model=Reason)
async def who(service: Served) -> Response:
    """Tell who is in command, as far as is known; nobody: an empty text."""
    return Answer(Reason(why=service.leases.holder()))


@router.post("/lease", response_model=LeaseGiven, dependencies=_OPERATOR)
def take(ask: AskLease, service: Served) -> Response:
    """Take command; refused while somebody else has it."""
    return Answer(service.take(ask))


@router.post("/lease/renew", response_model=LeaseGiven, dependencies=_OPERATOR)
def renew(renewal: Renewal, service: Served, lease: Lease = None) -> Response:
    """Prolong a lease."""
    return Answer(service.leases.renew(_needed(lease), renewal.seconds))


@router.post("/lease/alive", response_model=LeaseGiven, dependencies=_OPERATOR)
def alive(service: Served, lease: Lease = None) -> Response:
    """Give a sign of life, so that the watchdog does not act."""
    return Answer(service.leases.alive(_needed(lease)))


@router.delete("/lease", status_code=204, dependencies=_OPERATOR)
def release(service: Served, lease: Lease = None) -> None:
    """Let others command."""
    service.leases.release(_needed(lease))


@router.post("/stop", response_model=Made)
async def stop(reason: Reason, service: Served, role: Asker) -> Response:
    """Drop every measurement. Everybody may, without a lease."""
    # Not in the threads of the other routes, which hanging commands could have used up.
    why = reason.why or f"asked for by a {role.name.lower()}"
    return Answer(Made(done=await asyncio.to_thread(service.stop, why)))


@router.post("/make-safe", response_model=Made)
async def make_safe(reason: Reason, service: Served, role: Asker) -> Response:
    """Stop, blank the beam, retract the tip. Everybody may, without a lease."""
    why = reason.why or f"asked for by a {role.name.lower()}"
    return Answer(Made(done=await asyncio.to_thread(service.make_safe, why)))


@router.post("/emergency-stop", response_model=Made)
async def emergency_stop(reason: Reason, service: Served, role: Asker) -> Response:
    """Stop, and refuse every command until an approver releases it. Everybody may."""
    why = reason.why or "no reason given"
    return Answer(
        Made(done=await asyncio.to_thread(service.emergency_stop, role.name.lower(), why))
    )


@router.post("/release-stop", response_model=Made, dependencies=[needs(Role.APPROVER)])
async def release_stop(reason: Reason, service: Served, role: Asker) -> Response:
    """Allow commands again after an emergency stop."""
    by = f"{role.name.lower()} {reason.why}".strip()
    return Answer(Made(done=await asyncio.to_thread(service.release_stop, by)))


def _needed(lease: str | None) -> str:
    if lease is None:
        raise NotInCommand("`lease` is missing: its secret goes into the header Nanopilot-Lease.")
    return lease
