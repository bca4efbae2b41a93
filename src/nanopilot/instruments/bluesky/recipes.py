"""What of a measurement goes into the documents of bluesky, and where the rest goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nanopilot.core.errors import InvalidRequest
from nanopilot.core.limits import Estimate
from nanopilot.core.signals import SignalSet
from nanopilot.instruments.bluesky.readings import Features, Field, array_key, arrays, scalars

Document = dict[str, Any]

#: Values of one measurement that are written into its event: a frame of 256 x 256.
INLINE = 65536
_BYTES = 8


class Keeper(Protocol):
    """Keeps arrays outside of the documents: ``nanopilot.io.exports.SignalFolder``."""

    @property
    def resource(self) -> Document:
        """Resource document of where the arrays are."""

    def keep(self, series: str, signals: SignalSet) -> Mapping[str, Document]:
        """Keep one measurement and return a datum document per channel."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What of a measurement goes into the documents.

    Parameters
    ----------
    features : callable, optional
        Turns a measurement into numbers by name; the mean of each channel when not given.
    inline : int
        Values of one measurement (all channels) that are written into the event as they are.
    keep : Keeper, optional
        Where larger ones go; the event then points there. Without it, a request for more is
        refused before anything is measured, so that nothing is lost on the way.
    """

    features: Features | None = None
    inline: int = INLINE
    keep: Keeper | None = None

    def check(self, name: str, estimate: Estimate) -> None:
        """Refuse a measurement there is no room for.

        Raises
        ------
        InvalidRequest
            It has more than `inline` values, and `keep` is not given.
        """
        size = estimate.bytes // _BYTES
        if self.keep is None and size > self.inline:
            raise InvalidRequest(
                f"`inline` is {self.inline} values; `{name}` would record {size} at a time. Give "
                "a place outside of the documents as `keep`, such as "
                "`SignalFolder('signals.zarr')`, or a larger `inline`."
            )

    def record(
        self, name: str, signals: SignalSet, source: str
    ) -> tuple[dict[str, Field], list[Document]]:
        """Return the fields of an event, and the datum documents they need."""
        fields, datums = scalars(signals, self.features, source), []
        size = sum(channel.size for channel in signals.data_vars.values())
        if self.keep is None or size <= self.inline:
            fields |= arrays(signals, source)
        else:
            kept = self.keep.keep(name, signals)
            for channel in map(str, signals.data_vars):
                datum = dict(kept[channel])
                key = array_key(signals[channel], source) | {"external": "FILESTORE:"}
                fields[f"{channel}_values"] = Field(datum["datum_id"], key)
                datums.append(datum)
        return {f"{name}_{_plain(key)}": field for key, field in fields.items()}, datums


def _plain(name: str) -> str:
    return name.replace(".", "_").replace("/", "_")
