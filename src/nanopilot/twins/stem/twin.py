"""`StemTwin`: a scanning transmission electron microscope whose truth is known."""

from __future__ import annotations

from nanopilot.core.capabilities import CapabilityT, Restorable
from nanopilot.core.clock import Clock, jump
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.limits import Area
from nanopilot.core.memory import Memory
from nanopilot.core.parameters import State
from nanopilot.core.parts import find_part
from nanopilot.core.requests import Position
from nanopilot.twins.mishaps import Luck
from nanopilot.twins.stem.camera import CAMERAS, StemCamera
from nanopilot.twins.stem.scanner import StemScanner
from nanopilot.twins.stem.scene import Scene
from nanopilot.twins.stem.settings import StemSettings
from nanopilot.twins.stem.spectroscopy import StemSpectroscopy
from nanopilot.twins.stem.ways import ORDERS
from nanopilot.twins.stem.world import World


class StemTwin:
    """A beam, a lens, a sample that is damaged, and detectors that count.

    What is done to the sample stays done. The truth is reachable through `truth` only, which no
    guard and no wire passes on.

    Parameters
    ----------
    scene : Scene
        What is on the stage.
    clock : Clock
        Usually a `VirtualClock`.
    settings : StemSettings
        The instrument.
    seed : int
        Of noise, damage and everything else that is random.
    name : str
        What it is called.
    """

    def __init__(
        self,
        scene: Scene,
        clock: Clock,
        *,
        settings: StemSettings | None = None,
        seed: int = 0,
        name: str = "stem",
    ) -> None:
        self.clock = clock
        self._name = name
        self._world = World(scene, settings or StemSettings(), clock, seed)
        self._scanner = StemScanner(self._world, name)
        self._spectroscopy = StemSpectroscopy(self._world, name)
        self._parts: dict[str, object] = {
            "Scanner": self._scanner,
            "PointSpectroscopy": self._spectroscopy,
            "Camera": StemCamera(self._world, name),
        }
        self._parts |= self._world.panel.knobs()

    @property
    def name(self) -> str:
        """What the instrument is called."""
        return self._name

    @property
    def truth(self) -> World:
        """Sample, lens and everything that happened; for scoring, out of band."""
        return self._world

    @property
    def faults(self) -> Luck:
        """What goes wrong, on command; out of band, as the truth is."""
        return self._world.luck

    def state(self) -> State:
        """Return every parameter's value."""
        return self._world.panel.state()

    def memory(self) -> Memory:
        """Return what was done to sample and instrument."""
        return self._world.memory()

    def restore(self, time: float, position: Position, memory: Memory | None = None) -> None:
        """Become again what a run left when its process died."""
        jump(self.clock, time)
        if memory is not None:
            self._world.recall(memory)
        else:
            x, y = position
            self._world.panel.values |= {"Positioner.x": x, "Positioner.y": y}

    def describe(self) -> InstrumentDescription:
        """Return what can be asked of it; of the sample, nothing."""
        spectra, reach = self._spectroscopy.modes, self._world.settings.scan_range
        channels = self._scanner.channels
        told = tuple(name for mode in spectra for name in mode.channels)
        return InstrumentDescription(
            name=self._name,
            kind="twin",
            capabilities=tuple(self._parts),
            area=Area(x=(-reach, reach), y=(-reach, reach)),
            scan_channels=channels,
            spectrum_channels=told,
            grid=(512, 512),
            parameters=self._world.panel.parameters(),
            orders=ORDERS,
            spectra=spectra,
            cameras=CAMERAS,
            camera_grids=True,
            units=dict.fromkeys((*channels, *told, *CAMERAS), "counts"),
        )

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the part that has a capability."""
        return find_part(self._name, self._parts, kind, own={Restorable: self})
