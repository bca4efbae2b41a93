"""What every route needs to know of who asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Header
from starlette.requests import HTTPConnection

from nanopilot.app.server.door import ROLE
from nanopilot.app.server.roles import Role
from nanopilot.app.server.service import Service
from nanopilot.core.errors import NotInCommand
from nanopilot.instruments.remote.messages import LEASE_HEADER


async def service_of(connection: HTTPConnection) -> Service:
    """Return the service behind the routes."""
    service: Service = connection.app.state.service
    return service


async def role_of(connection: HTTPConnection) -> Role:
    """Return the role of who asks; the door has let nobody in without one."""
    role: Role | None = connection.scope.get(ROLE)
    if role is None:
        raise NotInCommand("`token` is missing.")
    return role


def needs(least: Role) -> Any:
    """Return what refuses everybody below a role."""

    async def check(role: Annotated[Role, Depends(role_of)]) -> None:
        if role < least:
            raise NotInCommand(
                f"`role` is {role.name.lower()}; this takes {least.name.lower()} or higher. "
                "Use the token of that role."
            )

    checked: Callable[..., Awaitable[None]] = check
    return Depends(checked)


Served = Annotated[Service, Depends(service_of)]
Asker = Annotated[Role, Depends(role_of)]
Lease = Annotated[
    str | None,
    Header(alias=LEASE_HEADER, description="The secret of the lease; needed while there is one."),
]
