"""The devices of one instrument."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from nanopilot.core.errors import UnknownName, Unsupported
from nanopilot.core.parameters import by_key
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest, from_outside
from nanopilot.instruments.bluesky.detectors import Detector, Template
from nanopilot.instruments.bluesky.movables import Movable, Readback
from nanopilot.instruments.bluesky.recipes import Recipe
from nanopilot.instruments.bluesky.sharing import Shared, legal
from nanopilot.instruments.bluesky.tasks import Turn
from nanopilot.instruments.guard import Guard

_ONE = Recipe()


class Devices:
    """Makes the bluesky devices of a guarded instrument; usable as a context manager.

    Parameters
    ----------
    scope : Guard
        From `connect`, or a lease of it.
    prefix : str, optional
        Of all names; the instrument's name when not given.
    wall : callable
        Seconds since 1970, for time stamps.

    Examples
    --------
    ``RE(grid_scan([devices.spectrum()], devices.movable("Positioner.x"), 0, 1e-6, 5, ...))``
    """

    def __init__(
        self,
        scope: Guard,
        *,
        prefix: str | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        name = legal(scope.name) if prefix is None else prefix
        self._shared = Shared(scope, Turn(), name, wall)

    def parameters(self) -> tuple[str, ...]:
        """Return the keys of all parameters, such as ``"Positioner.x"``."""
        return tuple(by_key(self._shared.scope.describe().parameters))

    def readback(self, key: str) -> Readback:
        """Return a parameter as a device that is only read.

        Raises
        ------
        UnknownName
            There is no such parameter.
        """
        return Readback(self._shared, self._found(key))

    def movable(self, key: str) -> Movable:
        """Return a parameter as a device that plans can move.

        Raises
        ------
        UnknownName
            There is no such parameter.
        Unsupported
            It can be read and not set.
        """
        parameter = self._found(key)
        if parameter.read_only:
            raise Unsupported(f"`{key}` can be read and not set; take `readback({key!r})`.")
        return Movable(self._shared, parameter)

    def scanner(
        self, request: ScanRequest, *, recipe: Recipe = _ONE, name: str = "frame"
    ) -> Detector:
        """Return a detector that scans a frame at every trigger."""
        return self._detector("Scanner", request, recipe, name)

    def spectrum(
        self, *, recipe: Recipe = _ONE, name: str = "spectrum", **settings: Any
    ) -> Detector:
        """Return a detector that takes a spectrum where the tip or beam rests.

        Parameters
        ----------
        recipe : Recipe
            What goes into the documents.
        name : str
            Of the device, behind the prefix.
        **settings
            Of `SpectrumRequest`, such as ``channels=("current",)``; `position` only counts on
            an instrument without a `Positioner`.
        """
        here = self._shared.scope.describe().area.centre
        request = from_outside(SpectrumRequest, **{"position": here} | settings)
        return self._detector("PointSpectroscopy", request, recipe, name)

    def camera(self, *, recipe: Recipe = _ONE, name: str = "camera", **settings: Any) -> Detector:
        """Return a detector that records patterns; settings are those of `CameraRequest`."""
        return self._detector("Camera", from_outside(CameraRequest, **settings), recipe, name)

    def close(self) -> None:
        """Forget what has not begun, wait for what has, and end the thread."""
        self._shared.turn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _found(self, key: str) -> Any:
        known = by_key(self._shared.scope.describe().parameters)
        if key not in known:
            raise UnknownName("parameter", key, known)
        return known[key]

    def _detector(self, kind: str, request: Template, recipe: Recipe, name: str) -> Detector:
        called = self._shared.named(name)
        return Detector(self._shared, kind, request, recipe=recipe, name=called)
