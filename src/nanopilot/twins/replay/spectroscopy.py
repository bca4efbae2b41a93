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
from nanopilot.core.limits import Estimate, Violation
from nanopilot.core.requests import Position, SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.replay.acquisition import ReplayAcquisition
from nanopilot.twins.replay.recording import Recording, pixel_coordinates


class ReplaySpectroscopy:
    """The `PointSpectroscopy` of a recording.

    Parameters
    ----------
    recording : Recording
        Holds the spectra.
    clock : Clock
        Passes the time.
    seconds : callable
        Time for one spectrum at a position, travel and settling included.
    arrived : callable
        Told where the tip or beam ended up.
    """

    def __init__(
        self,
        recording: Recording,
        clock: Clock,
        *,
        seconds: Callable[[Position], float],
        arrived: Callable[[Position], None],
    ) -> None:
        self._recording = recording
        self._clock = clock
        self._seconds = seconds
        self._arrived = arrived
        self._running: ReplayAcquisition | None = None

    def validate(self, request: SpectrumRequest) -> list[Violation]:
        """List what the recording cannot answer."""
        found = self._unsupported(request)
        area = self._recording.area
        if not area.holds(request.position):
            found.append(
                Violation(
                    parameter="position",
                    message=f"`position` is ({request.position[0]:.4g} m, "
                    f"{request.position[1]:.4g} m); recorded was x {area.x[0]:.4g} m to "
                    f"{area.x[1]:.4g} m, y {area.y[0]:.4g} m to {area.y[1]:.4g} m.",
                )
            )
        elif not found and self._missing(request):
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
        seconds = self._seconds(request.position)
        sweep = self._recording.sweep
        points = sweep.points if sweep else 0
        return Estimate(seconds=seconds, spectra=1, bytes=8 * points, bias_seconds=seconds)

    def start(self, request: SpectrumRequest) -> ReplayAcquisition:
        """Begin to replay one spectrum."""
        seconds = self._seconds(request.position)
        self._running = ReplayAcquisition(
            lambda: self._measure(request), dim=None, blocks=1, seconds=seconds, clock=self._clock
        )
        self._arrived(request.position)
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
        for signal in known.values() if request.bias else ():
            bias = signal[signal.dims[-1]].to_numpy()
            if len(bias) != len(request.bias) or not np.allclose(bias, request.bias):
                found.append(("bias", "a sweep that was not recorded; leave it empty"))
        return [Violation.unsupported(parameter, asked) for parameter, asked in found]

    def _chosen(self, request: SpectrumRequest) -> SignalSet:
        known = self._recording.spectra
        names = request.channels or tuple(known)
        place = np.array([request.position], dtype=float)
        spectra = {}
        for name in names:
            row, column = np.round(pixel_coordinates(known[name], place)).astype(int)[:, 0]
            spectra[name] = known[name].isel(y=row, x=column)
        return xr.Dataset(spectra)

    def _missing(self, request: SpectrumRequest) -> bool:
        return any(bool(channel.isnull().any()) for channel in self._chosen(request).values())

    def _measure(self, request: SpectrumRequest) -> SignalSet:
        spectra = self._chosen(request)
        time = xr.DataArray(self._clock.now(), attrs={"units": "s", "quantity": "time"})
        spectra.attrs = {"request": request.model_dump_json()}
        return spectra.assign_coords(time=time)
