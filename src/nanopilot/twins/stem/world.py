"""What there is: a sample that the beam changes, a lens, and the time that passes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from nanopilot.core.clock import Clock
from nanopilot.core.memory import Memory
from nanopilot.models.electron_optics import CHARGE, Lens
from nanopilot.twins.mishaps import Luck, Mishap
from nanopilot.twins.stem.damage import Contamination, cross_sections
from nanopilot.twins.stem.detectors import Detector
from nanopilot.twins.stem.dose import DoseMap
from nanopilot.twins.stem.knobs import Panel
from nanopilot.twins.stem.motion import BeamPath
from nanopilot.twins.stem.scene import Atoms, Both, FloatArray, Matter, Scene
from nanopilot.twins.stem.settings import StemSettings

#: Numbers of the random streams; a purpose keeps its number for ever.
STREAMS = {"noise": 1, "damage": 2, "phonons": 3, "spectra": 4, "camera": 5, "fault": 6}
#: Edge of the cells of the dose map, in metres, for samples whose atoms are known and others.
_FINE, _COARSE = 0.1e-9, 5e-9


class Picture(Protocol):
    """What a renderer keeps of the sample and has to be told of."""

    def remove(self, index: Any) -> None:
        """Take atoms away, by index."""

    def forget(self) -> None:
        """Drop what was made ready: the thickness has changed."""


@dataclass
class World:
    """The truth of an electron twin; changed by what is done to it.

    Parameters
    ----------
    scene : Scene
        As it was made; `there` says which of its atoms still are.
    settings : StemSettings
        The instrument as it was made.
    clock : Clock
        Passes the time.
    seed : int
        Of everything random.
    """

    scene: Scene
    settings: StemSettings
    clock: Clock
    seed: int = 0
    path: BeamPath = field(init=False)
    luck: Luck = field(init=False)
    panel: Panel = field(init=False)
    #: Which atoms of the scene are still there, shape (atoms,).
    there: np.ndarray[Any, np.dtype[np.bool_]] = field(init=False)
    dose: DoseMap = field(init=False)
    grown: Contamination = field(init=False)
    #: Electrons that have reached the sample.
    delivered: float = 0.0
    detectors: dict[str, Detector] = field(default_factory=dict)
    #: Pictures of the sample by the detectors they are of; a pure gain of time.
    pictures: dict[tuple[str, ...], Picture] = field(default_factory=dict)
    #: What has happened, in order: time, what, and numbers.
    events: list[dict[str, Any]] = field(default_factory=list)
    _sections: tuple[float, FloatArray] | None = None
    _dark: list[tuple[float, float]] = field(default_factory=list)
    _drawn: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path = BeamPath(self.settings.motion, self.seed)
        self.luck = Luck(self.settings.faults, self.clock, self._befalls, self.note)
        self.panel = Panel(self.settings, self.scene.area, self.clock, self.path, self.luck)
        self.there = np.ones(len(self.scene.atoms), dtype=bool)
        self.dose = DoseMap(_FINE if len(self.scene.atoms) else _COARSE)
        self.grown = Contamination(self.settings.damage)

    @property
    def atoms(self) -> Atoms:
        """Those that are still there."""
        return self.scene.atoms.keep(self.there)

    @property
    def matter(self) -> Matter:
        """The sample's and what has grown on it."""
        return Both(self.scene.matter, self.grown)

    def sections(self) -> FloatArray:
        """Return every atom's cross section in m² for leaving at the voltage that is set."""
        voltage = self.panel.values["Beam.voltage"]
        if self._sections is None or self._sections[0] != voltage:
            found = cross_sections(self.scene.atoms, voltage, self.settings.damage)
            self._sections = voltage, found
        return self._sections[1]

    def lose(self, index: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Let atoms leave, by index into those of the scene."""
        self.there[index] = False
        for picture in self.pictures.values():
            picture.remove(index)
        self.note("atoms left", atoms=float(len(index)))

    @property
    def lens(self) -> Lens:
        """The lens as it is set, with all its true aberrations."""
        values, own = self.panel.values, self.settings.lens
        added = self.panel.correction().model_dump()
        return own.model_copy(
            update={
                "voltage": values["Beam.voltage"],
                "convergence_angle": values["Beam.convergence_angle"],
                "aberrations": own.aberrations.plus(**added),
            }
        )

    @property
    def lit(self) -> bool:
        """Whether the beam reaches the sample: not blanked, valve open."""
        values = self.panel.values
        return not values["Beam.blanked"] and bool(values["Vacuum.column_valve"])

    @property
    def rate(self) -> float:
        """Electrons per second on the sample; 0 if it is not lit."""
        return self.panel.values["Beam.current"] / CHARGE if self.lit else 0.0

    def electrons(self, times: FloatArray, seconds: float) -> FloatArray:
        """Return the mean number of electrons in exposures of `seconds` that begin at times (s)."""
        found = np.full(np.shape(times), self.rate * seconds)
        for began, until in self._dark:
            found = np.where((times >= began) & (times < until), 0.0, found)
        return found

    def height(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the height of the sample under places x, y (m), stage and tilt included, in m.

        Downstream is positive: a sample that is lower down needs more underfocus. `alpha` tilts
        about the x axis and `beta` about the y axis.
        """
        alpha, beta = self.panel.tilt
        bent = self.scene.height(x, y) + y * np.tan(alpha) - x * np.tan(beta)
        found: FloatArray = bent + self.panel.values["Stage.z"]
        return found

    def rng(self, stream: str, of: str = "") -> np.random.Generator:
        """Return fresh random numbers of a stream, or of one thing within it.

        They hang on the seed, on the time, and on how many were asked for at that very time.
        """
        now = round(abs(self.clock.now()) * 1e9)
        before, count = self._drawn.get(stream + of, (-1, 0))
        count = count + 1 if before == now else 0
        self._drawn[stream + of] = (now, count)
        key = [self.seed, STREAMS[stream], now, count, zlib.crc32(of.encode())]
        return np.random.default_rng(key)

    def memory(self) -> Memory:
        """Return what was done to sample and instrument: all that a new twin does not know."""
        facts: dict[str, Any] = {
            "values": dict(self.panel.values),
            "jumped": self.panel.jumped,
            "delivered": self.delivered,
            "events": self.events,
            "dark": [list(one) for one in self._dark],
            "drawn": {name: list(one) for name, one in self._drawn.items()},
            "path": self.path.facts(),
            "luck": self.luck.facts(),
            "glow": {name: [one.waiting, one.since] for name, one in self.detectors.items()},
        }
        layers: dict[str, Any] = {"there": self.there}
        layers |= self.dose.cells.layers("dose") | self.grown.cells.layers("grown")
        return Memory(facts, layers, {"there": np.ones(len(self.there), dtype=bool)})

    def recall(self, memory: Memory) -> None:
        """Become what a twin was when it gave a memory."""
        facts = memory.facts
        self.panel.values.update(facts["values"])
        self.panel.jumped, self.delivered = facts["jumped"], facts["delivered"]
        self.events = list(facts["events"])
        self._dark = [(began, until) for began, until in facts["dark"]]
        self._drawn = {name: (when, count) for name, (when, count) in facts["drawn"].items()}
        self.path.recall(facts["path"])
        self.luck.recall(facts["luck"])
        self.detectors = {
            name: Detector(self.settings.detectors.named()[name], waiting, since)
            for name, (waiting, since) in facts["glow"].items()
        }
        self.there = memory.layers["there"]
        self.dose.cells.recall("dose", memory.layers)
        self.grown.cells.recall("grown", memory.layers)
        self.pictures.clear()

    def note(self, what: str, **numbers: float) -> None:
        """Remember an event."""
        self.events.append({"time": self.clock.now(), "what": what} | numbers)

    def _befalls(self, fault: Mishap, now: float) -> None:
        numbers = fault.numbers
        if fault.name == "drift-jump":
            x, y = self.rng("fault").normal(0.0, 2e-9, 2)
            self.path.slip((numbers.get("x", float(x)), numbers.get("y", float(y))), now)
        elif fault.name == "focus-jump":
            self.panel.jumped += numbers.get("defocus", float(self.rng("fault").normal(0, 1e-8)))
        elif fault.name == "beam-trip":
            self._dark.append((now, now + numbers.get("seconds", np.inf)))
        else:
            told = np.array([self.panel.rest]) + np.array(self.panel.shift)
            spot = self.path.on_sample(told, np.array([now]))
            self.grown.add(spot, numbers.get("thickness", 5e-9))
            for picture in self.pictures.values():
                picture.forget()
