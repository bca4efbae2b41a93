"""What there is: a sample that remembers, a tip that wears, and the time that passes."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanopilot.core.clock import Clock
from nanopilot.core.memory import Memory
from nanopilot.models.tip_imaging import dilate
from nanopilot.twins.spm.sample import FloatArray, Sample
from nanopilot.twins.spm.settings import SpmSettings
from nanopilot.twins.spm.tip import Tip

#: Numbers of the random streams; a purpose keeps its number for ever.
STREAMS = {
    "noise": 1, "wear": 2, "tip": 3, "writing": 4, "drift": 5, "fault": 6, "spectra": 7, "movie": 8,
}  # fmt: skip


#: Layers that are changed in place by what is done to the sample.
CHANGING = ("polarisation",)


@dataclass
class World:
    """The truth of a scanning-probe twin; changed by what is done to it.

    Parameters
    ----------
    sample : Sample
        As it was made; `layers` holds how it is now.
    settings : SpmSettings
        The instrument as it was made; `tip` is how its tip is now.
    clock : Clock
        Passes the time.
    seed : int
        Of everything random.
    """

    sample: Sample
    settings: SpmSettings
    clock: Clock
    seed: int = 0
    tip: Tip = field(init=False)
    height: FloatArray = field(init=False)
    layers: dict[str, FloatArray] = field(init=False)
    #: What has happened to tip and sample, in order: time, what, and numbers.
    events: list[dict[str, Any]] = field(default_factory=list)
    #: Called whenever tip or surface have changed.
    changed: list[Callable[[], None]] = field(default_factory=list)
    #: Called when a frame or a spectrum begins: what moves by itself.
    alive: list[Callable[[World], None]] = field(default_factory=list)
    #: Height of the piezo in metres while the loop is off; None: the loop is on.
    held: float | None = None
    #: Volume worn off the tip that its radius does not show yet, in cubic metres.
    worn: float = 0.0
    #: Where on the sample the tip was last, in metres.
    place: tuple[float, float] = (0.0, 0.0)
    _apparent: FloatArray | None = None
    _drawn: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tip = self.settings.tip
        self.height = self.sample.height.copy()
        self.layers = {name: layer.copy() for name, layer in self.sample.layers.items()}
        self._fix()

    @property
    def apparent(self) -> FloatArray:
        """Height of the apex at contact, every place of the sample, in metres."""
        if self._apparent is None:
            shape = self.tip.raster(self.sample.pitch, float(np.ptp(self.height)))
            self._apparent = np.asarray(dilate(self.height, shape), dtype=np.float64)
        return self._apparent

    def facts(self) -> dict[str, Any]:
        """Return what has become of tip and settings, and what has happened, as JSON."""
        return {
            "tip": self.tip.model_dump(),
            "settings": self.settings.model_dump(),
            "events": self.events,
            "held": self.held,
            "worn": self.worn,
            "place": list(self.place),
            "drawn": {name: list(one) for name, one in self._drawn.items()},
        }

    def recall(self, memory: Memory) -> None:
        """Take over what `facts` returned, and the surface and the layers as they had become."""
        facts = memory.facts
        self.tip = Tip.model_validate(facts["tip"])
        self.settings = SpmSettings.model_validate(facts["settings"])
        self.events = list(facts["events"])
        self.held, self.worn = facts["held"], facts["worn"]
        self.place = (facts["place"][0], facts["place"][1])
        self._drawn = {name: (when, count) for name, (when, count) in facts["drawn"].items()}
        self.height = memory.layers["height"]
        self.layers = {name: memory.layers[name] for name in self.layers}
        self._fix()
        self._apparent = None

    def _fix(self) -> None:
        """Make read-only what nothing changes, so that nobody needs to look whether it has."""
        for name, layer in self.layers.items():
            layer.setflags(write=name in CHANGING)

    def live(self) -> None:
        """Let everything that moves by itself go to where it is by now."""
        for move in self.alive:
            move(self)

    def rng(self, stream: str, of: str = "") -> np.random.Generator:
        """Return fresh random numbers of a stream, or of one thing within it.

        They hang on the seed, on the time, and on how many were asked for at that very time. So
        a run that is taken up again in another process draws what it would have drawn.
        """
        now = round(abs(self.clock.now()) * 1e9)
        before, count = self._drawn.get(stream + of, (-1, 0))
        count = count + 1 if before == now else 0
        self._drawn[stream + of] = (now, count)
        key = [self.seed, STREAMS[stream], now, count, zlib.crc32(of.encode())]
        return np.random.default_rng(key)

    def change_tip(self, tip: Tip, why: str, **numbers: float) -> None:
        """Put another tip in its place, and remember when and why."""
        self.tip, self._apparent = tip, None
        self.note(why, **numbers)

    def change_surface(self, why: str, **numbers: float) -> None:
        """Say that `height` was changed."""
        self._apparent = None
        self.note(why, **numbers)

    def note(self, what: str, **numbers: float) -> None:
        """Remember an event."""
        self.events.append({"time": self.clock.now(), "what": what} | numbers)
        for tell in self.changed:
            tell()
