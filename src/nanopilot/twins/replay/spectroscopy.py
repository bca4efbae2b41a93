"""Spectra out of recorded spectra: the nearest recorded one, never a mixture.

Averaging two hysteresis loops that switch at different voltages gives a loop that no
place of the sample has, so spectra are not interpolated. What is returned says where it
was really recorded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from nanopilot.core.clock import Clock
from nanopilot.core.geometry import FloatArray, IntArray, own_axes, places
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.parameters import State
from nanopilot.core.requests import Position, SpectrumRequest
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.twins.replay.acquisition import ReplayAcquisition
from nanopilot.twins.replay.recording import Recording, pixel_coordinates

_POSITION = {"units": "m", "quantity": "position"}
_TIME = {"units": "s", "quantity": "time"}


class ReplaySpectroscopy:
    """The `PointSpectroscopy` of a recording.

    Parameters
    ----------
    recording : Recording
        Holds the spectra.
    clock : Clock
        Passes the time.
    seconds : callable
        Time for spectra at places one after the other, travel and settling included; takes
        (x, y) in metres, shape (n, 2).
    arrived : callable
        Told where the tip or beam ended up.
    state : callable
        Tells how the instrument stands.
    """

    def __init__(
        self,
        recording: Recording,
        clock: Clock,
        *,
        seconds: Callable[[FloatArray], float],
        arrived: Callable[[Position], None],
        state: Callable[[], State],
    ) -> None:
        self._recording = recording
        self._clock = clock
        self._seconds = seconds
        self._arrived = arrived
        self._state = state
        self._running: ReplayAcquisition | None = None

    def validate(self, request: SpectrumRequest) -> list[Violation]:
        """List what the recording cannot answer."""
        found = self._unsupported(request)
        area = self._recording.area
        visited = places(request.grid)
        outside = [(x, y) for x, y in visited if not area.holds((x, y))]
        if outside:
            x, y = outside[0]
            found.append(
                Violation(
                    parameter="position",
                    message=f"`position` reaches ({x:.4g} m, {y:.4g} m); recorded was x "
                    f"{area.x[0]:.4g} m to {area.x[1]:.4g} m, y {area.y[0]:.4g} m to "
                    f"{area.y[1]:.4g} m.",
                )
            )
        elif not found and self._missing(request, visited):
            found.append(
                Violation(
                    parameter="position",
                    message=f"`position` is ({request.position[0]:.4g} m, "
                    f"{request.position[1]:.4g} m), where the recording has a gap.",
                )
            )
        return found

    def estimate(self, request: SpectrumRequest) -> Estimate:
        """Return time and size of the spectrum."""
        visited = places(request.grid)
        seconds = self._seconds(visited)
        sweep = self._recording.sweep
        points = sweep.points if sweep else 0
        return Estimate(
            seconds=seconds,
            spectra=len(visited),
            bytes=8 * points * len(visited),
            bias_seconds=seconds,
        )

    def start(self, request: SpectrumRequest) -> ReplayAcquisition:
        """Begin to replay; the blocks of a grid are its rows."""
        visited = places(request.grid)
        seconds, began = self._seconds(visited), self._state()
        single = request.shape == (1, 1)
        measure = self._one if single else self._grid
        self._running = ReplayAcquisition(
            lambda: measure(request, began, seconds),
            dim=None if single else "y",
            blocks=request.shape[0],
            seconds=seconds,
            clock=self._clock,
        )
        self._arrived((float(visited[-1, 0]), float(visited[-1, 1])))
        return self._running

    def stop(self) -> None:
        """Abort the spectrum in progress."""
        if self._running is not None:
            self._running.abort()

    def _unsupported(self, request: SpectrumRequest) -> list[Violation]:
        known = self._recording.spectra
        found = []
        kind = {"bias": "bias", "energy": "energy"}.get(request.kind)
        recorded = {str(signal.dims[-1]) for signal in known.values()}
        if kind not in recorded:
            found.append(("kind", f"`{request.kind}`; recorded was {', '.join(recorded)}"))
        for channel in request.channels:
            if channel not in known:
                found.append(("channels", f"`{channel}`; recorded were {', '.join(known)}"))
        for name in request.parameters:
            found.append(("parameters", f"`{name}`; a recording has none"))
        for signal in known.values() if request.bias else ():
            bias = signal[signal.dims[-1]].to_numpy()
            if len(bias) != len(request.bias) or not np.allclose(bias, request.bias):
                found.append(("bias", "a sweep that was not recorded; leave it empty"))
        return [Violation.unsupported(parameter, asked) for parameter, asked in found]

    def _pixels(self, name: str, visited: FloatArray) -> IntArray:
        """Return row and column of the nearest recorded spectra, shape (2, n)."""
        found = pixel_coordinates(self._recording.spectra[name], visited)
        return np.round(found).astype(np.int64)

    def _missing(self, request: SpectrumRequest, visited: FloatArray) -> bool:
        known = self._recording.spectra
        return any(
            bool(np.isnan(known[name].to_numpy()[tuple(self._pixels(name, visited))]).any())
            for name in request.channels or known
        )

    def _one(self, request: SpectrumRequest, began: State, seconds: float) -> SignalSet:
        known = self._recording.spectra
        place = np.array([request.position], dtype=float)
        spectra = {}
        for name in request.channels or known:
            row, column = self._pixels(name, place)[:, 0]
            spectra[name] = known[name].isel(y=row, x=column)
        time = xr.DataArray(began.time + seconds, attrs=_TIME)
        attrs = _asked(request, began)
        return xr.Dataset(spectra, attrs=attrs).assign_coords(time=time)

    def _grid(self, request: SpectrumRequest, began: State, seconds: float) -> SignalSet:
        known, visited = self._recording.spectra, places(request.grid)
        x, y = own_axes(request.grid)
        spectra: dict[str, Signal] = {}
        for name in request.channels or known:
            recorded, pixels = known[name], self._pixels(name, visited)
            values = recorded.to_numpy()[tuple(pixels)].reshape(*request.shape, -1)
            dim = str(recorded.dims[-1])
            spectra[name] = xr.DataArray(
                values, dims=("y", "x", dim), coords={dim: recorded[dim]}, attrs=recorded.attrs
            )
        first = known[next(iter(spectra))]
        rows, columns = self._pixels(next(iter(spectra)), visited)
        steps = np.arange(1, len(visited) + 1) / len(visited)
        return xr.Dataset(
            spectra,
            coords={
                "x": ("x", x, _POSITION),
                "y": ("y", y, _POSITION),
                "measured_x": _on_grid(first["x"].to_numpy()[columns], request, _POSITION),
                "measured_y": _on_grid(first["y"].to_numpy()[rows], request, _POSITION),
                "time": _on_grid(began.time + seconds * steps, request, _TIME),
            },
            attrs=_asked(request, began),
        )


def _asked(request: SpectrumRequest, began: State) -> dict[str, str]:
    return {"request": request.model_dump_json(), "state": began.model_dump_json()}


def _on_grid(
    values: FloatArray, request: SpectrumRequest, labels: dict[str, str]
) -> tuple[tuple[str, str], FloatArray, dict[str, str]]:
    return ("y", "x"), values.reshape(request.shape), labels
