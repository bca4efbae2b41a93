"""Units of NSID channels and axes: converted to SI, given by the user, or taken from a sibling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from nanopilot.core.errors import ReadError, UnitError
from nanopilot.core.units import to_si
from nanopilot.io.readers.nsid_axes import RawAxis
from nanopilot.io.readers.nsid_file import RawChannel
from nanopilot.io.readers.nsid_labels import PLACEHOLDERS, quantity_and_direction

Conversion = tuple[float, str]

#: No factor turns these into SI: a pixel has no size of its own, the others have an offset
#: or a logarithm.
_WITHOUT_FACTOR = frozenset("px pixel pixels degc °c celsius degf °f fahrenheit db dbm dbv".split())


class UnitTable:
    """Finds the unit of every channel and axis of one file.

    Parameters
    ----------
    file : pathlib.Path
        For the messages.
    given : mapping of str to str
        Units the user states, by name of a channel, a data set or an axis; they win.
    channels : sequence of RawChannel
        All of the file, among which siblings are looked for.

    Raises
    ------
    ReadError
        `given` names nothing of the file.
    """

    def __init__(
        self, file: Path, given: Mapping[str, str], channels: Sequence[RawChannel]
    ) -> None:
        self._file = file
        self._given = {name.casefold(): unit for name, unit in given.items()}
        self._channels = channels
        known = {name for channel in channels for name in _names_of(channel)}
        known |= {axis.label.casefold() for channel in channels for axis in channel.axes}
        for name in given:
            if name.casefold() not in known:
                listing = ", ".join(sorted({c.label for c in channels} | _labels(channels)))
                raise ReadError(
                    f"`units` names {name!r}, which `{file}` does not have; it has: {listing}."
                )

    def of_channel(self, channel: RawChannel) -> Conversion:
        """Return factor and SI unit of a channel's values."""
        given = self._first(_names_of(channel))
        return self._converted(given or channel.units, f"data set `{channel.path}`", channel.label)

    def of_axis(self, channel: RawChannel, axis: RawAxis, repairs: list[str]) -> Conversion:
        """Return factor and SI unit of an axis; a unit that cannot be is replaced and noted."""
        given = self._first([axis.label.casefold()])
        where = f"axis `{axis.label}` of `{channel.path}`"
        text = given or axis.units
        if axis.kind == "POINT_CLOUD" and text.lower() in PLACEHOLDERS:
            text = "1"
        conversion = self._converted(text, where, axis.label, "m" if axis.is_spatial else "V")
        if not axis.is_spatial or conversion[1] == "m":
            return conversion
        for sibling in () if given else self._channels:
            for other in sibling.axes:
                if (
                    _same_place(axis, other)
                    and (found := _lenient(other.units))
                    and found[1] == "m"
                ):
                    repairs.append(
                        f"axis {axis.label!r} carried {axis.units!r}; "
                        f"took {other.units!r} from {sibling.label!r}"
                    )
                    return found
        raise ReadError(
            f"`{self._file}`: {where} is in {text!r}, which is no length; "
            + self._way_out(axis.label, "m")
        )

    def _converted(self, text: str, where: str, name: str, likely: str = "V") -> Conversion:
        if text.lower() in PLACEHOLDERS:
            raise ReadError(f"`{self._file}`: {where} has no units; " + self._way_out(name, likely))
        if found := _lenient(text):
            return found
        raise ReadError(
            f"`{self._file}`: {where} is in {text!r}, which cannot be turned into SI; "
            + self._way_out(name, likely)
        )

    def _first(self, names: Iterable[str]) -> str:
        return next((self._given[name] for name in names if name in self._given), "")

    @staticmethod
    def _way_out(name: str, unit: str) -> str:
        spoken = f"`units={{{name!r}: {unit!r}}}`"
        return f"say it with {spoken} (on the command line `--units {name}={unit}`)."


def _names_of(channel: RawChannel) -> list[str]:
    quantity, _ = quantity_and_direction(channel.label)
    names = [channel.label, quantity, channel.path, channel.path.strip("/")]
    return [name.casefold() for name in names]


def _labels(channels: Sequence[RawChannel]) -> set[str]:
    return {axis.label for channel in channels for axis in channel.axes}


def _same_place(axis: RawAxis, other: RawAxis) -> bool:
    return (
        other.is_spatial
        and axis.label.casefold() == other.label.casefold()
        and np.array_equal(axis.values, other.values)
    )


def _lenient(text: str) -> Conversion | None:
    if text.lower() in PLACEHOLDERS | _WITHOUT_FACTOR:
        return None
    try:
        return to_si(text)
    except UnitError:
        return None
