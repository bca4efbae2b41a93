"""The operator: particles of a frame as a table of signals, with their outlines."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr

from nanopilot.analysis.particles.tiles import LARGEST, SHARE, SMALLEST, Found, Limits, Look, search
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.models.weights import FOLDER

Array = np.ndarray[Any, np.dtype[Any]]
Method = Literal["classical", "learned", "auto"]

#: Columns of the table: name, quantity, unit; the last is that of the frame.
_NAMES = {
    "x": ("position", "m"),
    "y": ("position", "m"),
    "radius": ("radius of the disc of the same area", "m"),
    "probability": ("probability to be a particle", "1"),
    "contrast": ("level less that of the surroundings", ""),
}
#: Whether the network does better than the rest on the track `particles`.
BETTER = False
#: Sides of a pixel may differ by this part.
_SQUARE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class ParticlesFound:
    """Particles of one frame.

    Parameters
    ----------
    table : SignalSet
        Dim ``point``, row by row of the frame: ``x, y, radius`` in metres, ``probability``,
        ``contrast`` in the unit of the frame.
    outlines : tuple of numpy.ndarray
        Corners (x, y) in metres of each, in the same order; closed polygons, shape (48, 2).
    """

    table: SignalSet
    outlines: tuple[Array, ...]


def find_particles(
    frame: Signal,
    *,
    smallest: float | None = None,
    largest: float | None = None,
    least_probability: float = 0.5,
    method: Method = "auto",
) -> ParticlesFound:
    """Return the particles of a frame: bright or dark, discs, rings, facets, of any size.

    Matched filters for discs and rims of every radius, whitened by the spectrum of the frame
    itself, give candidates; round each of them runs the closed path along which the frame gets
    brighter (or darker) outwards most; and what is measured along it gives a probability that was
    fitted on drawn frames. Mean and standard deviation of the frame play no part.

    Parameters
    ----------
    frame : Signal
        Dims (y, x) in metres, pixels square. Its values may be read piece by piece.
    smallest, largest : float, optional
        Radii looked for, in metres; from 6 pixels to a quarter of the shorter side, at most 128
        pixels, if nothing is said.
    least_probability : float
        Less probable candidates are left out, 0 to 1.
    method : {"auto", "classical", "learned"}
        With the network or without; "auto" takes what does better on the track `particles`.

    Raises
    ------
    SignalError
        No frame, fewer than 32 rows or columns, oblong or uneven pixels, or values that are not
        finite.
    OutOfRange
        Radii that do not fit into the frame, a probability outside 0 to 1, an unknown method.
    MissingExtra
        The network is asked for, and PyTorch is not installed.

    Examples
    --------
    >>> from nanopilot.core.signals import Axis, make_signal
    >>> axis = Axis(np.arange(96) * 1e-9, "m", "position")
    >>> y, x = np.indices((96, 96))
    >>> disc = 1.0 * (np.hypot(y - 40, x - 55) < 15)
    >>> noisy = disc + np.random.default_rng(0).normal(0, 0.3, disc.shape)
    >>> frame = make_signal(noisy, {"y": axis, "x": axis}, quantity="counts", units="1")
    >>> found = find_particles(frame).table
    >>> [round(1e9 * float(found[name][0])) for name in ("x", "y", "radius")]
    [55, 40, 15]
    """
    if method not in get_args(Method):
        raise OutOfRange(f"`method` is {method!r}; it is one of {', '.join(get_args(Method))}.")
    y, x = (_axis(frame, dim) for dim in ("y", "x"))
    pitch = _pitch(y, x)
    image = frame.transpose("y", "x").data
    most = min(LARGEST, SHARE * min(image.shape))
    limits = Limits(
        min(SMALLEST, most) if smallest is None else smallest / pitch,
        most if largest is None else largest / pitch,
        least_probability,
    )
    found = search(image, limits, _look(method, limits, image))
    return _told(frame, found, (y, x), pitch)


def _look(method: Method, limits: Limits, image: Any) -> Look | None:
    """Return what looks at a piece; None: without the network."""
    if method == "classical" or (method == "auto" and not _net_is_there()):
        return None
    from nanopilot.analysis.particles.learned import load_learned

    learned = load_learned()
    if method == "auto" and learned.strangeness(image) > 1:
        return None
    look: Look = learned.look(limits.smallest, limits.largest)
    return look


def _net_is_there() -> bool:
    """Tell whether the network is worth asking and can be."""
    needed = all(importlib.util.find_spec(name) for name in ("torch", "safetensors"))
    return BETTER and needed and (FOLDER / "particles.safetensors").exists()


def _axis(frame: Signal, dim: str) -> tuple[float, float]:
    """Return where an even axis of a frame begins and its step, in metres."""
    if set(frame.dims) != {"y", "x"}:
        raise SignalError(f"`frame` has dims {frame.dims}; a frame has ('y', 'x').")
    values = frame[dim].to_numpy()
    if len(values) < 2:
        raise SignalError(f"`{dim}` has {len(values)} pixels; a frame has 32 or more.")
    steps = np.diff(values)
    pitch = float(steps.mean())
    if pitch == 0 or np.abs(steps - pitch).max() > 1e-3 * abs(pitch):
        raise SignalError(f"`{dim}` is not even; resample the frame before particles are found.")
    return float(values[0]), pitch


def _pitch(y: tuple[float, float], x: tuple[float, float]) -> float:
    ratio = abs(y[1] / x[1])
    if not 1 / (1 + _SQUARE) <= ratio <= 1 + _SQUARE:
        raise SignalError(
            f"`frame` has pixels of {abs(x[1]):.4g} m by {abs(y[1]):.4g} m; resample it to square "
            "ones, so that round things are round."
        )
    return 0.5 * (abs(y[1]) + abs(x[1]))


def _told(
    frame: Signal, found: Found, axes: tuple[tuple[float, float], ...], pitch: float
) -> ParticlesFound:
    (y0, dy), (x0, dx) = axes
    numbers = {
        "x": x0 + dx * found.place[:, 1],
        "y": y0 + dy * found.place[:, 0],
        "radius": pitch * found.radius,
        "probability": found.probability,
        "contrast": found.contrast,
    }
    table = {
        name: xr.DataArray(
            numbers[name],
            dims="point",
            attrs={"quantity": quantity, "units": units or frame.attrs["units"]},
        )
        for name, (quantity, units) in _NAMES.items()
    }
    origin, step = np.array([x0, y0]), np.array([dx, dy])
    return ParticlesFound(xr.Dataset(table), tuple(origin + step * one for one in found.outlines))


@dataclass(frozen=True, slots=True)
class FindParticles:
    """Find the particles of a frame: `find_particles` with its settings kept.

    Parameters
    ----------
    smallest, largest : float, optional
        Radii looked for, in metres; as of `find_particles`.
    least_probability : float
        Less probable candidates are left out.
    method : {"auto", "classical", "learned"}
        With the network or without.
    """

    smallest: float | None = None
    largest: float | None = None
    least_probability: float = 0.5
    method: Method = "auto"

    def __call__(self, frame: Signal) -> SignalSet:
        """Return the table of particles, dim ``point``."""
        return self.outlined(frame).table

    def outlined(self, frame: Signal) -> ParticlesFound:
        """Return the table and the outlines."""
        return find_particles(
            frame,
            smallest=self.smallest,
            largest=self.largest,
            least_probability=self.least_probability,
            method=self.method,
        )
