"""`SpmTwin`: a scanning-probe microscope whose truth is known."""

from __future__ import annotations

from nanopilot.core.capabilities import CapabilityT, Restorable
from nanopilot.core.clock import Clock, jump
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.memory import Memory
from nanopilot.core.parameters import State
from nanopilot.core.parts import find_part
from nanopilot.core.requests import Position
from nanopilot.twins.spm.channels import TOPOGRAPHIC
from nanopilot.twins.spm.faults import Faults
from nanopilot.twins.spm.function.detectors import FUNCTIONAL
from nanopilot.twins.spm.function.molecules import movement
from nanopilot.twins.spm.knobs import Hands
from nanopilot.twins.spm.motion import RealPath
from nanopilot.twins.spm.remembering import recall, remembered
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.scanner import ORDERS, SpmScanner
from nanopilot.twins.spm.settings import SpmSettings
from nanopilot.twins.spm.spectroscopy import SpmSpectroscopy
from nanopilot.twins.spm.world import World
from nanopilot.twins.spm.writer import SpmWriter


class SpmTwin:
    """A tip, a sample, a loop, and everything that goes wrong between them.

    What is done to the sample stays done. The truth is reachable through `truth` only, which no
    guard and no wire passes on.

    Parameters
    ----------
    sample : Sample
        What is under the tip.
    clock : Clock
        Usually a `VirtualClock`.
    settings : SpmSettings
        The instrument.
    seed : int
        Of noise, wear and everything else that is random.
    name : str
        What it is called.
    """

    def __init__(
        self,
        sample: Sample,
        clock: Clock,
        *,
        settings: SpmSettings | None = None,
        seed: int = 0,
        name: str = "spm",
    ) -> None:
        self.clock = clock
        self._name = name
        self._world = World(sample, settings or SpmSettings(), clock, seed)
        moves = movement(sample)
        if moves is not None:
            self._world.alive.append(moves)
        path = RealPath(self._world.settings.motion)
        self._faults = Faults(self._world, path)
        self._hands = Hands(self._world, path, self._faults, position=sample.area.centre)
        self._scanner = SpmScanner(self._hands, TOPOGRAPHIC | FUNCTIONAL, name, self._faults)
        self._spectroscopy = SpmSpectroscopy(self._hands, self._faults, name)
        writer = SpmWriter(self._hands, self._faults, name)
        self._parts: dict[str, object] = {"Scanner": self._scanner}
        if self._spectroscopy.declared:
            self._parts["PointSpectroscopy"] = self._spectroscopy
        if writer.there:
            self._parts["BiasWriter"] = writer
        self._parts |= self._hands.knobs()

    @property
    def name(self) -> str:
        """What the instrument is called."""
        return self._name

    @property
    def truth(self) -> World:
        """Sample, tip and everything that happened; for scoring, out of band."""
        return self._world

    @property
    def faults(self) -> Faults:
        """What goes wrong, on command; out of band, as the truth is."""
        return self._faults

    def state(self) -> State:
        """Return every parameter's value."""
        return self._hands.state()

    def memory(self) -> Memory:
        """Return what was done to tip, sample and instrument."""
        return remembered(self._hands)

    def restore(self, time: float, position: Position, memory: Memory | None = None) -> None:
        """Become again what a run left when its process died."""
        jump(self.clock, time)
        if memory is None:
            self._hands.arrive(position)
        else:
            recall(self._hands, memory)

    def describe(self) -> InstrumentDescription:
        """Return what can be asked of it; nothing of the sample but where it is."""
        spectra = self._spectroscopy.declared
        return InstrumentDescription(
            name=self._name,
            kind="twin",
            capabilities=tuple(self._parts),
            area=self._world.sample.area,
            scan_channels=self._scanner.channels,
            spectrum_channels=spectra[0].channels if spectra else (),
            directions=("trace", "retrace"),
            grid=(256, 256),
            parameters=self._hands.parameters(),
            orders=ORDERS,
            sweep=self._spectroscopy.sweep,
            spectra=spectra,
            units=self._scanner.units | self._spectroscopy.units,
        )

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the part that has a capability."""
        return find_part(self._name, self._parts, kind, own={Restorable: self})
