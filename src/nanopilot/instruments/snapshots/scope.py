"""An `Instrument` put together of parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress

from nanopilot.core.capabilities import CapabilityT
from nanopilot.core.clock import Clock
from nanopilot.core.description import InstrumentDescription
from nanopilot.core.errors import DeviceError, Unsupported
from nanopilot.core.knobs import Knobs
from nanopilot.core.limits import Area
from nanopilot.core.parameters import Parameter, State
from nanopilot.core.parts import find_part
from nanopilot.instruments.snapshots.camera import CameraSource, SnapshotCamera
from nanopilot.instruments.snapshots.frames import FrameSource, SnapshotScanner

_NO_AREA = Area(x=(0.0, 0.0), y=(0.0, 0.0))


class AssembledScope:
    """Parameters, and perhaps a scanner and a camera, as one instrument.

    Parameters
    ----------
    name : str
        What it is called.
    clock : Clock
        Real time.
    knobs : mapping of str to Knobs
        What is adjusted, by capability.
    facts : mapping
        Read-only facts for the description.
    notice : str
        What everybody who connects has to know.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        knobs: Mapping[str, Knobs],
        *,
        facts: Mapping[str, str | float | int | bool],
        notice: str,
    ) -> None:
        self.clock, self._name = clock, name
        self._knobs, self._facts, self._notice = dict(knobs), dict(facts), notice
        self._parts: dict[str, object] = dict(knobs)
        self._frames: FrameSource | None = None
        self._cameras: tuple[str, ...] = ()

    def attach(self, frames: FrameSource | None, cameras: CameraSource | None) -> None:
        """Add what it measures with."""
        if frames is not None:
            self._parts["Scanner"] = SnapshotScanner(frames)
            self._frames = frames
        if cameras is not None:
            self._parts["Camera"] = SnapshotCamera(cameras)
            self._cameras = cameras.cameras

    @property
    def name(self) -> str:
        """What the instrument is called."""
        return self._name

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Everything that is read or set."""
        return tuple(one for part in self._knobs.values() for one in part.parameters())

    def state(self) -> State:
        """Read every parameter; what cannot be read is not there."""
        values = {}
        for part in self._knobs.values():
            for parameter in part.parameters():
                with suppress(DeviceError, Unsupported):
                    values[parameter.key] = part.get(parameter.name)
        known = {key: value for key, value in values.items() if not math.isnan(value)}
        return State(time=self.clock.now(), values=known)

    def describe(self) -> InstrumentDescription:
        """Return what it has."""
        frames = self._frames
        return InstrumentDescription(
            name=self._name,
            kind="instrument",
            capabilities=tuple(self._parts),
            area=_NO_AREA if frames is None else frames.area(),
            scan_channels=() if frames is None else frames.channels,
            grid=(256, 256),
            state=self._facts,
            parameters=self.parameters,
            cameras=self._cameras,
            notice=self._notice,
        )

    def capability(self, kind: type[CapabilityT]) -> CapabilityT:
        """Return the part that has a capability.

        Raises
        ------
        Unsupported
            It does not have it.
        """
        return find_part(self._name, self._parts, kind, way_out=self._notice)
