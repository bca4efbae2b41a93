"""Commands about signals, and about the controller itself."""

from __future__ import annotations

from typing import Any

from nanopilot import __version__
from nanopilot.app.facades.nanonis.session import Handlers, Session
from nanopilot.core.adjustables import ADJUSTABLE, Positioner, Readable
from nanopilot.core.capabilities import Scanner
from nanopilot.core.errors import Unsupported
from nanopilot.core.requests import ScanRequest

#: Signals Manager slots of a controller.
_SLOTS = 24
#: Clients choose between two shapes of replies by this number; nanopilot speaks the newer one.
_RELEASE = 14001


def names(session: Session) -> list[Any]:
    """Name all signals."""
    return [[signal.label for signal in session.panel.signals]]


def slots(session: Session) -> list[Any]:
    """Name the first signals, and say which they are: slot 0 holds signal 0, and so on."""
    first = session.panel.signals[:_SLOTS]
    return [[signal.label for signal in first], list(range(len(first)))]


def signal_range(session: Session, index: int) -> list[Any]:
    """Tell where a signal's values lie, upper end first."""
    signal = session.panel.signal(index)
    if signal.limits is None:
        raise Unsupported(f"`{signal.label}` has no known range.")
    return [signal.limits.high, signal.limits.low]


def value(session: Session, index: int, newest: int) -> list[Any]:
    """Read a signal."""
    del newest
    return [value_of(session, index)]


def values(session: Session, indices: list[int], newest: int) -> list[Any]:
    """Read several signals."""
    del newest
    return [[value_of(session, index) for index in indices]]


def value_of(session: Session, index: int) -> float:
    """Return a parameter, or measure a channel with one pixel where the tip rests.

    The guard counts that pixel as the measurement it is.
    """
    signal = session.panel.signal(index)
    if signal.key:
        capability, name = signal.key.split(".")
        kind: type[Readable] = ADJUSTABLE[capability]
        return session.reads(kind).get(name)
    if session.panel.job is not None and session.panel.job.running:
        raise Unsupported(f"`{signal.label}` cannot be read during a scan; grab the frame.")
    panel = session.panel
    channels = panel.channels((index,), panel.described.scan_channels)
    where = session.reads(Positioner)
    pixel = ScanRequest(
        centre=(where.get("x"), where.get("y")),
        field_of_view=(0.0, 0.0),
        shape=(1, 1),
        channels=channels,
    )
    return float(session.measure(Scanner, pixel)[signal.channel].item())


def version(session: Session) -> list[Any]:
    """Say who answers."""
    described = session.panel.described
    return [f"nanopilot {__version__}", f"{described.kind} {described.name}", _RELEASE, _RELEASE]


def session_path(session: Session) -> list[Any]:
    """Tell that nothing is saved."""
    del session
    return [""]


HANDLERS: Handlers = {
    "Signals.NamesGet": names, "Signals.MeasNamesGet": names, "Signals.InSlotsGet": slots,
    "Signals.RangeGet": signal_range, "Signals.ValGet": value, "Signals.ValsGet": values,
    "Util.VersionGet": version, "Util.SessionPathGet": session_path,
}  # fmt: skip
