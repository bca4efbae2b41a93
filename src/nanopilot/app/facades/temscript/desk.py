"""Every endpoint of temscript, answered by a guarded instrument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from nanopilot.app.facades.temscript.leases import Leases
from nanopilot.app.facades.temscript.readings import Readings
from nanopilot.app.facades.temscript.settings import Exposing, Scanning, positive
from nanopilot.app.facades.temscript.words import (
    AXES,
    NUMBERS,
    PAIRS,
    SWITCHES,
    choice,
    number,
    pair,
    table,
)
from nanopilot.core.adjustables import ADJUSTABLE, Adjustable
from nanopilot.core.capabilities import Camera, Scanner
from nanopilot.core.errors import InvalidRequest, UnknownName, Unsupported
from nanopilot.instruments import Guard
from nanopilot.instruments.temscript.arrays import pack_image

Query = dict[str, list[str]]


class Desk:
    """What a temscript client finds behind the endpoints.

    Reading needs no permission. The first command of a client takes the instrument's lease for
    60 seconds, and each further request of the same client renews it.

    Parameters
    ----------
    scope : Guard
        The instrument.
    """

    def __init__(self, scope: Guard) -> None:
        self._described = scope.describe()
        self._scan = Scanning.of(self._described)
        self._cameras = {name: Exposing() for name in self._described.cameras}
        self._readings = Readings(scope, self._scan)
        self._leases = Leases(scope)

    def get(self, endpoint: str, query: Query, client: str) -> Any:
        """Answer a question; ``acquire`` is a command.

        Raises
        ------
        UnknownName
            There is no such endpoint, detector or camera.
        Unsupported
            This instrument has no such thing.
        """
        self._leases.heard(client)
        if endpoint == "acquire":
            return self._acquire(tuple(dict.fromkeys(query.get("detectors", ()))), client)
        kind, _, name = endpoint.partition("/")
        if kind in ("camera_param", "detector_param") and name in self._cameras:
            return self._cameras[name].tell()
        self._check(kind, name)
        return self._readings.value(endpoint)

    def put(self, endpoint: str, value: Any, query: Query, client: str) -> None:
        """Carry out a command.

        Raises
        ------
        UnknownName, Unsupported
            As `get`.
        InvalidRequest
            The value is not what this endpoint takes.
        """
        kind, _, name = endpoint.partition("/")
        if kind in ("camera_param", "detector_param") and name in self._cameras:
            self._cameras[name].change(value, ignore=_ignores(query))
        elif endpoint == "stem_acquisition_param":
            self._scan.change(value, ignore=_ignores(query))
        elif endpoint == "stem_magnification":
            self._scan.magnification = positive(endpoint, value)
        elif endpoint == "stem_rotation":
            self._scan.rotation = number(endpoint, value)
        elif endpoint == "instrument_mode":
            choice(endpoint, value, ("STEM",))
        else:
            self._check(kind, name)
            self._set(self._wanted(endpoint, value, query), client)

    def close(self) -> None:
        """Give back every lease."""
        self._leases.release()

    def _wanted(self, endpoint: str, value: Any, query: Query) -> dict[str, float]:
        """Return what a command sets, by our keys."""
        if endpoint == "stage_position":
            return _position(value, query)
        if endpoint in NUMBERS:
            one = NUMBERS[endpoint]
            return {one.key: number(endpoint, value) / one.scale}
        if endpoint in PAIRS:
            return dict(zip(PAIRS[endpoint], pair(endpoint, value), strict=True))
        if endpoint in SWITCHES:
            key, words = SWITCHES[endpoint]
            return {key: float(choice(endpoint, value, words))}
        raise self._readings.lacks(endpoint)

    def _set(self, wanted: dict[str, float], client: str) -> None:
        for key in wanted:
            self._readings.need(key)
        if wanted:
            capability = next(iter(wanted)).split(".")[0]
            part = self._leases.command(client).capability(ADJUSTABLE[capability])
            values = {key.split(".")[1]: value for key, value in wanted.items()}
            cast("Adjustable", part).set(**values)

    def _acquire(self, names: Sequence[str], client: str) -> dict[str, Any]:
        detectors = tuple(name for name in names if name not in self._cameras)
        for name in detectors:
            self._check("stem_detector_param", name)
        if not names:
            return {}
        command, images = self._leases.command(client), {}
        if detectors:
            frame = command.capability(Scanner).start(self._scan.request(detectors)).result()
            images = {name: pack_image(frame[name].to_numpy()) for name in detectors}
        for name in names:
            if name in self._cameras:
                request = self._cameras[name].request(name)
                shot = command.capability(Camera).start(request).result()
                images[name] = pack_image(shot[name].isel(frame=0).to_numpy())
        return images

    def _check(self, kind: str, name: str) -> None:
        """Raise `UnknownName` where an endpoint speaks of a detector that is not there."""
        known = {
            "camera_param": self._described.cameras,
            "stem_detector_param": self._described.scan_channels,
            "detector_param": (*self._described.cameras, *self._described.scan_channels),
        }
        if kind in known and name not in known[kind]:
            raise UnknownName("detector", name[:80], known[kind])


def _ignores(query: Query) -> bool:
    return query.get("ignore_errors", ["0"])[0] not in ("0", "False", "")


def _position(value: Any, query: Query) -> dict[str, float]:
    """Return where the stage is sent, by our keys."""
    target = table("stage_position", value)
    if query.get("method", ["GO"])[0] not in ("GO", "MOVE"):
        raise InvalidRequest("`method` may be GO or MOVE.")
    if query.get("speed", ["1.0"])[0] not in ("1", "1.0"):
        raise Unsupported("`speed` cannot be chosen; leave it out.")
    for axis in target:
        if axis not in AXES:
            raise InvalidRequest(f"`{axis:.80}` is no axis; there are {', '.join(AXES)}.")
    return {f"Stage.{AXES[axis]}": number(axis, to) for axis, to in target.items()}
