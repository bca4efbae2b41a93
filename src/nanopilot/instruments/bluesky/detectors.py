"""Whatever measures as a bluesky detector: trigger, then read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from nanopilot.core.adjustables import Positioner
from nanopilot.core.capabilities import MEASURING, Acquisition
from nanopilot.core.errors import DeviceError
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest
from nanopilot.instruments.bluesky.readings import Field
from nanopilot.instruments.bluesky.recipes import Recipe
from nanopilot.instruments.bluesky.sharing import Shared
from nanopilot.instruments.bluesky.tasks import Dropped, Task
from nanopilot.instruments.guard import refusal

Document = dict[str, Any]
Template = ScanRequest | SpectrumRequest | CameraRequest


class Detector:
    """A measuring capability as a ``Triggerable``, ``Readable`` and ``Configurable`` device.

    A spectrum is taken where the tip or beam rests; frames and patterns as the request says.
    Pausing or aborting the plan drops the measurement in progress; a plan that is resumed
    measures it again, and pays its dose again.

    Parameters
    ----------
    shared : Shared
        The instrument.
    capability : str
        ``"Scanner"``, ``"PointSpectroscopy"`` or ``"Camera"``.
    request : ScanRequest, SpectrumRequest or CameraRequest
        What every trigger asks for.
    recipe : Recipe
        What goes into the documents.
    name : str
        Of the device.

    Raises
    ------
    InvalidRequest
        There would be more values than `recipe` has room for.
    """

    parent = None

    def __init__(
        self, shared: Shared, capability: str, request: Template, *, recipe: Recipe, name: str
    ) -> None:
        self._shared = shared
        self._capability = capability
        self._request = request
        self._recipe = recipe
        self.name = name
        self._running: Acquisition | None = None
        self._halt = threading.Event()
        self._task: Task | None = None
        self._fresh = False
        self._fields: dict[str, Field] = {}
        self._measured = 0.0
        self._assets: list[tuple[str, Document]] = []
        self._told = False
        recipe.check(name, self._part().estimate(request))

    def __repr__(self) -> str:
        return f"Detector({self.name!r}, {self._capability})"

    @property
    def hints(self) -> Document:
        """Tables and plots show the numbers; what they are is known after the first trigger."""
        return {"fields": [name for name, field in self._fields.items() if field.shown]}

    def stage(self) -> list[Any]:
        """Refuse a request that can never be carried out before anything moves.

        Raises
        ------
        OutOfRange, Unsupported
            With every reason in the message.
        """
        self._told = False
        found = self._part().validate(self._request)
        if isinstance(self._request, SpectrumRequest):  # the place is not known yet
            found = [violation for violation in found if violation.parameter != "position"]
        if found:
            raise refusal(found)
        return [self]

    def unstage(self) -> list[Any]:
        """Drop what is still being measured."""
        self.stop()
        return [self]

    def trigger(self) -> Task:
        """Measure."""
        self._fresh = False  # what was measured before is not the answer to this
        halt = self._halt = threading.Event()
        self._task = self._shared.turn.carry_out(lambda: self._measure(halt), self.name)
        return self._task

    def stop(self, success: bool = True) -> None:
        """Drop the measurement in progress; its status fails."""
        running = self._running
        self._halt.set()
        if running is not None:
            running.abort()
            self._part().stop()

    def pause(self) -> None:
        """Drop the measurement in progress; the plan measures it again when it is resumed."""
        self.stop()
        if self._task is not None:
            self._task.excuse()

    def resume(self) -> None:
        """Nothing: the plan goes back to its last checkpoint."""

    def read(self) -> dict[str, Document]:
        """Return the last measurement.

        Raises
        ------
        DeviceError
            There is none.
        """
        self._check_measured(self._fresh)
        return {
            name: {"value": field.value, "timestamp": self._measured}
            for name, field in self._fields.items()
        }

    def describe(self) -> dict[str, Document]:
        """Return types, shapes and units of the last measurement.

        Raises
        ------
        DeviceError
            There is none: what an instrument records it shows by recording it.
        """
        self._check_measured(self._fresh or bool(self._fields))
        return {name: field.key for name, field in self._fields.items()}

    def collect_asset_docs(self) -> Iterator[tuple[str, Document]]:
        """Yield the documents that say where the arrays of the last measurement are."""
        waiting, self._assets = self._assets, []
        yield from waiting

    def read_configuration(self) -> dict[str, Document]:
        """Return the request and the state of the instrument."""
        now, state = self._shared.wall(), self._shared.scope.state()
        values = {"request": self._request.model_dump_json(), "state": state.model_dump_json()}
        return {f"{self.name}_{k}": {"value": v, "timestamp": now} for k, v in values.items()}

    def describe_configuration(self) -> dict[str, Document]:
        """Return types and sources of the configuration: JSON as text."""
        source = self._shared.source(self._capability)
        return {
            f"{self.name}_{name}": {"source": f"{source}/{name}", "dtype": "string", "shape": []}
            for name in ("request", "state")
        }

    def _part(self) -> Any:
        return self._shared.scope.capability(MEASURING[self._capability][0])

    def _aimed(self) -> Template:
        described = self._shared.scope.describe()
        if not isinstance(self._request, SpectrumRequest) or (
            "Positioner" not in described.capabilities
        ):
            return self._request
        tip = self._shared.scope.capability(Positioner)
        return self._request.model_copy(update={"position": (tip.get("x"), tip.get("y"))})

    def _measure(self, halt: threading.Event) -> None:
        if halt.is_set():
            raise Dropped(f"`{self.name}` was stopped before it began; nothing was measured.")
        self._running = acquisition = self._part().start(self._aimed())
        try:
            if halt.is_set():  # between the two lines above
                acquisition.abort()
            signals = acquisition.result()
        finally:
            self._running = None
        if halt.is_set() or acquisition.progress < 1:
            raise Dropped(
                f"`{self.name}` was stopped at {acquisition.progress:.0%}; trigger it again."
            )
        source = self._shared.source(self._capability)
        self._fields, datums = self._recipe.record(self.name, signals, source)
        self._point(datums)
        self._measured, self._fresh = self._shared.wall(), True

    def _point(self, datums: list[Document]) -> None:
        keep = self._recipe.keep
        if datums and keep is not None and not self._told:
            self._assets.append(("resource", dict(keep.resource)))
            self._told = True
        self._assets += [("datum", datum) for datum in datums]

    def _check_measured(self, measured: bool) -> None:
        if not measured:
            raise DeviceError(
                f"`{self.name}` has measured nothing yet; trigger it first, as `count` and "
                "`grid_scan` do."
            )
