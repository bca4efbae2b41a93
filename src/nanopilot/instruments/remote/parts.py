"""The capabilities of a remote instrument: every call is a question to the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from nanopilot.core.errors import Unsupported
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.parameters import Parameter, Setting
from nanopilot.core.requests import Request, SetRequest, from_outside
from nanopilot.core.values import Value
from nanopilot.instruments.remote.acquisition import RemoteAcquisition
from nanopilot.instruments.remote.link import Link
from nanopilot.instruments.remote.messages import (
    Cost,
    Made,
    Measure,
    MeasureByName,
    Progress,
    Reading,
    Reason,
    Settings,
    Verdict,
)

RequestT = TypeVar("RequestT", bound=Request)
ValueT = TypeVar("ValueT", bound=Value)
_MEASURE: TypeAdapter[Measure] = TypeAdapter(MeasureByName)


class Desk(Protocol):
    """What the parts need of the instrument they belong to."""

    @property
    def link(self) -> Link:
        """The line to the server."""

    def command(self, kind: type[ValueT], path: str, body: Value) -> ValueT:
        """Send what moves something, under the lease."""

    def under_lease(self) -> dict[str, str]:
        """Return the header of the lease if there is one; takes none."""


class RemoteMeasuring(Generic[RequestT]):
    """A capability that measures.

    Parameters
    ----------
    desk : Desk
        The instrument.
    name : str
        Of the capability.
    """

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk = desk
        self._name = name

    def _asked(self, request: RequestT) -> Measure:
        # Made of Python values, not of JSON: a NaN has to get through, to be refused there.
        return _MEASURE.validate_python({"capability": self._name, "request": request})

    def validate(self, request: RequestT) -> list[Violation]:
        """List what speaks against the request at the server: its limits, locks and budgets."""
        desk = self._desk
        verdict = desk.link.post(
            Verdict, "/v1/validate", self._asked(request), headers=desk.under_lease()
        )
        return list(verdict.violations)

    def estimate(self, request: RequestT) -> Estimate:
        """Return what it will cost."""
        return self._desk.link.post(Cost, "/v1/estimate", self._asked(request)).estimate

    def start(self, request: RequestT) -> RemoteAcquisition:
        """Begin to measure."""
        started = self._desk.command(Progress, "/v1/start", self._asked(request))
        return RemoteAcquisition(self._desk.link, started, request)

    def stop(self) -> None:
        """Drop every measurement in progress; needs no lease."""
        self._desk.link.post(Made, "/v1/stop", Reason(why="stopped by the client"))


class RemoteKnobs:
    """A capability that is adjusted.

    Parameters
    ----------
    desk : Desk
        The instrument.
    name : str
        Of the capability.
    declared : callable
        Returns its parameters as the server declares them.
    """

    def __init__(
        self, desk: Desk, name: str, declared: Callable[[], tuple[Parameter, ...]]
    ) -> None:
        self._desk = desk
        self._name = name
        self._declared = declared

    def parameters(self) -> tuple[Parameter, ...]:
        """Return every parameter."""
        return self._declared()

    def get(self, name: str) -> float:
        """Read one parameter from the instrument."""
        if name not in {parameter.name for parameter in self._declared()}:
            known = ", ".join(parameter.name for parameter in self._declared())
            raise Unsupported(f"`{self._name}` has no {name!r}; it has {known}.")
        return self._desk.link.get(Reading, f"/v1/parameters/{self._name}/{name}").value

    def set(self, **values: Any) -> tuple[Setting, ...]:
        """Set parameters together; returns when the server has read them back."""
        request = from_outside(SetRequest, capability=self._name, values=values)
        return self._desk.command(Settings, "/v1/set", request).settings
