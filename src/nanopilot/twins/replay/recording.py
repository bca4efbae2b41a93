"""The recorded signals of one area, sorted into frames and spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.limits import Area, Sweep
from nanopilot.core.signals import Signal, check, metadata

SPECTRAL_DIMS = ("bias", "energy", "time", "frequency")


@dataclass(frozen=True, eq=False)  # no slots: what is asked at every request is kept
class Recording:
    """Frames (dims y, x) and spectra (dims y, x and one spectral dim) of one area.

    Where only spectra were recorded, their first point is offered as a frame: it is
    what an image taken before the sweep would have shown.
    """

    frames: Mapping[str, Signal]
    spectra: Mapping[str, Signal]

    @classmethod
    def of(cls, signals: Sequence[Signal]) -> Recording:
        """Sort checked signals by their dims.

        Raises
        ------
        SignalError
            Nothing among them is a frame or a grid of spectra, a name stands twice, or
            they do not overlap.
        """
        frames: dict[str, Signal] = {}
        spectra: dict[str, Signal] = {}
        for signal in signals:
            check(signal)
            shelf = _shelf(signal, frames, spectra)
            if shelf is None:
                continue
            name = str(signal.attrs["quantity"] if signal.name is None else signal.name)
            if name in shelf:
                raise SignalError(f"`{name}` stands twice in the recording; rename one signal.")
            shelf[name] = _ascending(signal)
        if not frames and not spectra:
            dims = sorted({str(signal.dims) for signal in signals})
            raise SignalError(
                f"`signals` hold no frame (y, x) and no grid of spectra; found {', '.join(dims)}."
            )
        if not frames:
            frames = {name: _first_point(signal) for name, signal in spectra.items()}
        recording = cls(frames, spectra)
        if not all(low <= high for low, high in (recording.area.x, recording.area.y)):
            raise SignalError("`signals` were recorded at places that do not overlap.")
        return recording

    @cached_property
    def area(self) -> Area:
        """Where every signal was recorded, outermost pixel centres included."""
        every = [*self.frames.values(), *self.spectra.values()]
        x, y = (
            (
                max(float(signal[dim][0]) for signal in every),
                min(float(signal[dim][-1]) for signal in every),
            )
            for dim in ("x", "y")
        )
        return Area(x=x, y=y)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the spectra, or of the first frame where there are none."""
        first = next(iter((self.spectra or self.frames).values()))
        return first.sizes["y"], first.sizes["x"]

    @cached_property
    def sweep(self) -> Sweep | None:
        """Bias range of the recorded spectra."""
        for signal in self.spectra.values():
            if "bias" in signal.dims:
                bias = signal["bias"].to_numpy()
                return Sweep(low=float(bias.min()), high=float(bias.max()), points=len(bias))
        return None

    def direction(self, name: str) -> str | None:
        """Return the scan direction of a frame, if the file told."""
        return metadata(self.frames[name]).get("direction")


def pixel_coordinates(signal: Signal, places: FloatArray) -> FloatArray:
    """Return where places (x, y) in metres, shape (n, 2), fall on the pixel grid.

    Returns
    -------
    numpy.ndarray
        Fractional (row, column), shape (2, n); the axes may be spaced unevenly.
    """
    x, y = (signal[dim].to_numpy() for dim in ("x", "y"))
    return np.stack(
        [
            np.interp(places[:, 1], y, np.arange(len(y))),
            np.interp(places[:, 0], x, np.arange(len(x))),
        ]
    )


def _shelf(
    signal: Signal, frames: dict[str, Signal], spectra: dict[str, Signal]
) -> dict[str, Signal] | None:
    if set(signal.dims) == {"y", "x"}:
        return frames
    rest = [dim for dim in signal.dims if dim not in ("y", "x")]
    if len(rest) == 1 and rest[0] in SPECTRAL_DIMS and signal.ndim == 3:
        return spectra
    return None


def _ascending(signal: Signal) -> Signal:
    rest = [dim for dim in signal.dims if dim not in ("y", "x")]
    return signal.transpose("y", "x", *rest).sortby(["y", "x"])


def _first_point(signal: Signal) -> Signal:
    return signal.isel({signal.dims[-1]: 0}, drop=True)
