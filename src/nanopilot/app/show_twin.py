"""A twin beside its truth: one frame of every channel, and the layers of its sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.app.twin_picture import FloatArray, Picture, draw_twin
from nanopilot.core.capabilities import Scanner
from nanopilot.core.errors import Unsupported
from nanopilot.core.requests import ScanRequest, from_outside
from nanopilot.twins.spm import Sample, SpmTwin

#: Layers that number things.
_LABELS = frozenset(("adatom", "filament", "grain", "particle", "terrace"))


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What was looked at.

    Parameters
    ----------
    seen, true : tuple of Picture
        Channels, and layers with the height.
    width : float
        Of the field in metres.
    facts : mapping
        What is true of the sample as a whole.
    """

    seen: tuple[Picture, ...]
    true: tuple[Picture, ...]
    width: float
    facts: Mapping[str, Any]

    def draw(self, title: str, path: Path) -> None:
        """Write the picture.

        Raises
        ------
        Unsupported
            The file would be no PNG.
        """
        if path.suffix.lower() != ".png":
            raise Unsupported(f"`out` is {path}; the picture is a PNG, so let it end in .png.")
        draw_twin(self.seen, self.true, self.width, title, path)

    def to_dict(self) -> dict[str, Any]:
        """Return ranges of channels and layers, and the facts, as JSON."""
        return {
            "width": self.width,
            "channels": [one.to_dict() for one in self.seen],
            "truth": [one.to_dict() for one in self.true],
            "facts": dict(self.facts),
        }


def look(twin: SpmTwin, *, lines: int = 256) -> Shown:
    """Scan the whole sample once, and put the truth of the same places beside it.

    Parameters
    ----------
    twin : SpmTwin
        What is scanned; the scan wears its tip as any other does.
    lines : int
        Rows and columns of the frame.
    """
    sample = twin.truth.sample
    area = sample.area
    request = from_outside(
        ScanRequest,
        centre=area.centre,
        field_of_view=(area.x[1] - area.x[0], area.y[1] - area.y[0]),
        shape=(lines, lines),
        directions=("trace",),
    )
    frame = twin.capability(Scanner).start(request).result()
    seen = [
        Picture(str(name), one.attrs["quantity"], one.attrs["units"], one.to_numpy())
        for name, one in frame.items()
    ]
    x, y = np.meshgrid(np.linspace(*area.x, lines), np.linspace(*area.y, lines))
    true = [Picture("height", "height", "m", _at(sample, "height", x, y))]
    for name in sample.layers:
        quantity, unit = sample.meaning[name]
        values = _at(sample, name, x, y)
        true.append(Picture(name, quantity, unit, values, labels=name in _LABELS))
    return Shown(tuple(seen), tuple(true), area.x[1] - area.x[0], sample.facts)


def _at(sample: Sample, name: str, x: FloatArray, y: FloatArray) -> FloatArray:
    if name not in _LABELS:
        return sample.at(name, x, y)
    row, column = (np.rint(one).astype(int) for one in sample.pixels(x, y))
    nearest: FloatArray = sample.layers[name][row, column]
    return nearest
