"""What server and client say to one another: one definition for both ends of the line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.parameters import Setting
from nanopilot.core.requests import (
    CameraRequest,
    ScanRequest,
    SetRequest,
    SpectrumRequest,
    WriteRequest,
)
from nanopilot.core.values import Value

#: Carries the secret of the lease a command is given under.
LEASE_HEADER = "Nanopilot-Lease"
#: Carries the instrument's time in every answer, so that a client knows it without asking.
TIME_HEADER = "Nanopilot-Time"
#: Set where a result is of a measurement that ended with an error.
FAILED_HEADER = "Nanopilot-Failed"


class Problem(Value):
    """The one shape in which every refusal and every error crosses the wire.

    Parameters
    ----------
    error : str
        Class of `nanopilot.core.errors`, such as ``"OutOfRange"``.
    message : str
        What is wrong, and the way out.
    violations : tuple of Violation
        Every single reason, where they are known.
    """

    error: str
    message: str
    violations: tuple[Violation, ...] = ()


class ScanCommand(Value):
    """A scan to be started."""

    capability: Literal["Scanner"]
    request: ScanRequest


class SpectrumCommand(Value):
    """Spectra to be started."""

    capability: Literal["PointSpectroscopy"]
    request: SpectrumRequest


class CameraCommand(Value):
    """Patterns or images to be started."""

    capability: Literal["Camera"]
    request: CameraRequest


class WriteCommand(Value):
    """Writing to be started."""

    capability: Literal["BiasWriter"]
    request: WriteRequest


Measure = ScanCommand | SpectrumCommand | CameraCommand | WriteCommand
MeasureByName = Annotated[Measure, Field(discriminator="capability")]


class Verdict(Value):
    """Every reason against a command; none: it may be given now."""

    violations: tuple[Violation, ...] = ()


class Cost(Value):
    """What a measurement will cost."""

    estimate: Estimate


class Settings(Value):
    """What came of setting parameters together."""

    settings: tuple[Setting, ...]


class Reading(Value):
    """One parameter as the instrument reads it, in its SI unit."""

    parameter: str
    value: float


class Progress(Value):
    """How a measurement stands.

    Parameters
    ----------
    id : str
        To ask for it by.
    capability : str
        What measures.
    progress : float
        Fraction done, 0 to 1.
    finished : bool
        Nothing more will come; the result is there.
    blocks : int
        How many blocks there have been.
    error : Problem, optional
        What ended it early.
    """

    id: str
    capability: str
    progress: float
    finished: bool
    blocks: int
    error: Problem | None = None


class Acquisitions(Value):
    """All measurements the server remembers, oldest first."""

    acquisitions: tuple[Progress, ...] = ()


class AskLease(Value):
    """Asks for command of the instrument.

    Parameters
    ----------
    holder : str
        Who, for the journal and for others who are refused meanwhile.
    seconds : float
        How long it lasts unless renewed.
    silence : float, optional
        Seconds without any sign of life after which the instrument is made safe; None: never.
    """

    holder: str = Field(min_length=1, max_length=100)
    seconds: float = Field(default=60.0, gt=0, le=86_400)
    silence: float | None = Field(default=None, ge=0.1, le=3_600)


class Renewal(Value):
    """For how many seconds more, from now; None: as long as at first."""

    seconds: float | None = Field(default=None, gt=0, le=86_400)


class LeaseGiven(Value):
    """Command of the instrument; `lease` is the secret that goes into every command's header."""

    lease: str
    holder: str
    seconds: float
    silence: float | None = None


class Reason(Value):
    """Why the instrument is stopped, released or a proposal denied."""

    why: str = Field(default="", max_length=1000)


class Made(Value):
    """What was done to make the instrument safe, in words."""

    done: tuple[str, ...] = ()


class Ask(Value):
    """A command that somebody else has to approve."""

    command: MeasureByName | SetRequest
    why: str = Field(default="", max_length=1000)


class Approval(Value):
    """Approves exactly what has this digest, and nothing that was put in its place."""

    digest: str


class Proposal(Value):
    """A command on file, and what became of it.

    Parameters
    ----------
    id, digest : str
        Name, and SHA-256 of the command as JSON; an approval names both.
    command : command
        What would be done.
    why : str
        What the proposer says for it.
    violations : tuple of Violation
        What spoke against it when it was filed.
    expires_in : float
        Seconds left to approve it.
    status : str
        ``waiting``, ``done`` (approved and carried out), ``denied``, ``expired``, ``failed``.
    acquisition : str
        Id of the measurement that it started.
    settings : tuple of Setting
        What came of setting parameters.
    error : Problem, optional
        Why it was refused or failed when it was approved last.
    """

    id: str
    digest: str
    command: MeasureByName | SetRequest
    why: str = ""
    violations: tuple[Violation, ...] = ()
    expires_in: float = 0.0
    status: Literal["waiting", "done", "denied", "expired", "failed"] = "waiting"
    acquisition: str = ""
    settings: tuple[Setting, ...] = ()
    error: Problem | None = None


class Proposals(Value):
    """All proposals the server remembers, oldest first."""

    proposals: tuple[Proposal, ...] = ()


class Dropped(Value):
    """Told in a stream of blocks: some were passed over, because the reader was too slow.

    They are in the result of the measurement.
    """

    kind: Literal["dropped"] = "dropped"
    first: int
    count: int


class Ended(Value):
    """Told at the end of a stream of blocks."""

    kind: Literal["end"] = "end"
    progress: Progress
