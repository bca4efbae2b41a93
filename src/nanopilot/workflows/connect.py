"""Where an instrument, its recording and the guard meet."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import resources
from math import inf
from pathlib import Path
from typing import Any, Literal

from nanopilot.core import registry
from nanopilot.core.capabilities import Instrument
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import InvalidRequest, UnknownName
from nanopilot.core.house import HouseRules
from nanopilot.core.interlocks import STANDARD_INTERLOCKS
from nanopilot.core.limits import Limits
from nanopilot.core.requests import from_outside
from nanopilot.instruments import Guard
from nanopilot.io.readers import read
from nanopilot.twins.plain import PlainTwin
from nanopilot.twins.replay import ReplayTwin


def connect(
    instrument: str,
    *,
    limits: Limits | None = None,
    house: HouseRules | None = None,
    **options: Any,
) -> Guard:
    """Return an instrument by name, with the guard in front of it.

    Parameters
    ----------
    instrument : str
        A name registered under ``nanopilot.instruments``, such as ``"replay"``, or the address
        of an instrument that is served, such as ``"http://127.0.0.1:8500"``.
    limits : Limits, optional
        Absolute limits; those of the house, or none beyond the instrument's own, when not given.
    house : HouseRules, optional
        Limits, budgets and interlocks of the facility.
    **options
        What the instrument needs, for instance ``sample="beps-pto"``; of one that is served,
        see `nanopilot.instruments.remote.connect_remote`.

    Raises
    ------
    UnknownName
        Nothing is registered under that name.
    InvalidRequest
        An option is unknown or missing.

    Examples
    --------
    >>> connect("replay", sample="beps-pto").describe().grid
    (50, 50)
    """
    if instrument.startswith(("http://", "https://")):
        from nanopilot.instruments.remote import connect_remote

        if house is not None:
            raise InvalidRequest(
                "`house` rules are given to `nanopilot serve`, not to its clients."
            )
        return connect_remote(instrument, limits=limits, **options)
    factory = registry.load("instruments", instrument)
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as cause:
        takes = ", ".join(inspect.signature(factory).parameters)
        raise InvalidRequest(f"`{instrument}`: {cause}; it takes {takes}.") from cause
    source = {
        "instrument": instrument,
        "options": {name: _findable(value) for name, value in options.items()},
        "limits": None if limits is None else limits.model_dump(mode="json"),
        "house": None if house is None else house.model_dump(mode="json"),
    }
    rules = house or HouseRules()
    return Guard(
        factory(**options),
        limits=limits or rules.limits,
        budget=rules.budget,
        interlocks=(*STANDARD_INTERLOCKS, *rules.interlocks),
        source=source,
    )


def reconnect(source: Mapping[str, Any]) -> Guard:
    """Return the instrument of a dead run, connected as it was, with the same limits.

    Raises
    ------
    InvalidRequest
        It was not connected by name, so that only who made it can connect it again.
    """
    if "instrument" not in source:
        raise InvalidRequest(
            "`instrument` of this run was not connected by name; pass it to `resume` as `scope`."
        )
    limits = None if source.get("limits") is None else from_outside(Limits, **source["limits"])
    house = None if source.get("house") is None else from_outside(HouseRules, **source["house"])
    options = dict(source["options"])
    if house is not None:
        options["house"] = house
    return connect(source["instrument"], limits=limits, **options)


def replay(
    sample: str | Path,
    *,
    missing: Literal["refuse", "keep"] = "refuse",
    units: Mapping[str, str] | None = None,
) -> Instrument:
    """Return a recording as an instrument.

    Parameters
    ----------
    sample : str or Path
        A file, or the name of a recording that comes with nanopilot (``"beps-pto"``).
    missing : {"refuse", "keep"}
        What to do with NaN in the file: refuse it, or keep it as not recorded.
    units : mapping, optional
        Units of data sets or axes that the file does not tell.
    """
    if missing not in ("refuse", "keep"):
        raise InvalidRequest(f"`missing` is {missing!r}; it may be 'refuse' or 'keep'.")
    path = find_sample(sample)
    return ReplayTwin(read(path, units=units or {}, missing=missing), VirtualClock())


def plain(
    world: Literal["tip", "beam", "both"] = "both",
    *,
    name: str = "plain",
    real_time: bool = False,
) -> Instrument:
    """Return an instrument with every capability and the plainest physics, to try things on.

    Parameters
    ----------
    world : {"tip", "beam", "both"}
        What it is.
    name : str
        What it is called.
    real_time : bool
        Take the time a real one would take, instead of none.
    """
    if world not in ("tip", "beam", "both"):
        raise InvalidRequest(f"`world` is {world!r}; it may be 'tip', 'beam' or 'both'.")
    return PlainTwin(VirtualClock(speed=1.0 if real_time else inf), world=world, name=name)


def find_sample(sample: str | Path) -> Path:
    """Return the file of a named recording, or the path itself.

    Raises
    ------
    UnknownName
        It is neither a file nor the name of a recording.
    """
    path = Path(sample)
    if path.exists() or path.suffix:
        return path
    shipped = samples()
    if str(sample) not in shipped:
        raise UnknownName("sample", str(sample), shipped)
    return shipped[str(sample)]


def _findable(option: Any) -> Any:
    """Return an option as JSON that still means the same in another working folder."""
    if isinstance(option, str | Path) and Path(option).exists():
        return str(Path(option).resolve())
    return option


def samples() -> dict[str, Path]:
    """Return the recordings that come with nanopilot, by name."""
    folder = Path(str(resources.files("nanopilot.twins"))) / "recordings"
    return {path.stem: path for path in sorted(folder.glob("*.h5"))}
