"""A frame of particles in, every particle outlined and measured out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nanopilot.analysis.particle_shapes.descriptors import describe
from nanopilot.analysis.particle_shapes.edges import diameter_error, edge_move
from nanopilot.analysis.particle_shapes.ground import Ground, Image, Shade, find_ground
from nanopilot.analysis.particle_shapes.instances import Instance, instance, label_map
from nanopilot.analysis.particle_shapes.outlining import Patch, patches
from nanopilot.analysis.particle_shapes.overlaps import completed, split
from nanopilot.analysis.particle_shapes.polygons import inside, moved
from nanopilot.analysis.tiling import Tile, gather
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, SignalSet, make_signal

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Rows and columns of a frame that is taken in one piece, and what pieces of larger ones share.
_PIECE, _SHARED = 4096, 512
#: Smallest rows and columns of a frame, and smallest area of a particle in pixels.
_LEAST, _AREA = 32, 40
#: Pixels around a particle whose edge is looked at.
_ROOM = 6
#: Blur of an edge is that of the sharpest ones: this quantile of all.
_SHARPEST = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Outlined:
    """The particles of one frame.

    Parameters
    ----------
    frame_id : str
        Which frame; every outline and every row carries it.
    instances : tuple of Instance
        Row by row of the frame. Where two overlap, the shared pixels belong to both.
    table : SignalSet
        As of `describe_instances`, dim ``point`` in the same order, ``label`` from 1, with
        ``overlapped`` (cut from a neighbour), ``diameter_error`` (m), and ``border``.
    ground : Ground
        Background, noise and smoothing, as estimated.
    """

    frame_id: str
    instances: tuple[Instance, ...]
    table: SignalSet
    ground: Ground
    _axes: tuple[FloatArray, FloatArray]

    @property
    def labels(self) -> Signal:
        """One picture of all particles, dims (y, x), int32: a view, not the truth.

        A pixel of a picture has one number; shared ones show the first of their particles.
        """
        y, x = self._axes
        axes = {"y": Axis(y, "m", "position"), "x": Axis(x, "m", "position")}
        shown = label_map(self.instances, (len(y), len(x)))
        named = {"frame_id": self.frame_id}
        return make_signal(shown, axes, quantity="label", units="1", metadata=named)

    @property
    def outlines(self) -> dict[tuple[str, int], FloatArray]:
        """Outline of every particle in metres, shape (n, 2), columns (x, y), by frame and label."""
        start = np.array([axis[0] for axis in self._axes])
        step = np.array([(axis[-1] - axis[0]) / (len(axis) - 1) for axis in self._axes])
        return {
            (self.frame_id, number): (one.points * step + start)[:, ::-1]
            for number, one in enumerate(self.instances, start=1)
        }


@dataclass(frozen=True, slots=True)
class OutlineParticles:
    """Outline every particle of a transmission frame, those that overlap too.

    Background, noise, smoothing and which way particles differ are taken from the frame. Each
    particle is outlined at the level where its own edge is steepest, dents are cut, what two
    particles share goes to both, and each outline is moved to where the edge of a blurred solid
    would lie.

    Parameters
    ----------
    shade : {"auto", "dark", "bright"}
        Which way particles differ from the background.
    least_diameter : float
        Smaller particles are none, in metres of the disc of the same area; 0: 40 pixels of area.

    Examples
    --------
    >>> axis = Axis(np.arange(128) * 0.5e-9, "m", "position")
    >>> y, x = np.indices((128, 128))
    >>> disc = np.hypot(x - 60.2, y - 55.1) < 20
    >>> counts = np.random.default_rng(0).poisson(np.where(disc, 120, 200)).astype(float)
    >>> frame = make_signal(counts, {"y": axis, "x": axis}, quantity="counts", units="1")
    >>> table = OutlineParticles()(frame).table
    >>> [round(float(d) * 1e9) for d in table["equivalent_diameter"]]
    [20]
    """

    shade: Shade = "auto"
    least_diameter: float = 0.0

    def __call__(self, frame: Signal, frame_id: str = "") -> Outlined:
        """Return the particles of a frame.

        Parameters
        ----------
        frame : Signal
            Dims (y, x) in metres. One of more than 4096 rows or columns is taken piece by piece;
            particles must then be smaller than 512 pixels.
        frame_id : str
            Carried by every outline; the ``frame_id`` of its metadata where this is empty.

        Raises
        ------
        SignalError
            No frame, NaN in it, no even calibration in metres, or less than 32 pixels a side.
        OutOfRange
            A diameter that is negative or not finite, or an unknown shade.
        """
        if not 0 <= self.least_diameter < math.inf:
            raise OutOfRange(f"`least_diameter` is {self.least_diameter} m; it is 0 or more.")
        if self.shade not in {"auto", "dark", "bright"}:
            raise OutOfRange(f"`shade` is {self.shade!r}; it is 'auto', 'dark' or 'bright'.")
        values, axes = _checked(frame)
        steps = tuple(float((axis[-1] - axis[0]) / (len(axis) - 1)) for axis in axes)
        ground = find_ground(values, self.shade)
        least = max(_AREA, math.pi / 4 * self.least_diameter**2 / (steps[0] * steps[1]))

        def find(piece: Any, tile: Tile) -> list[tuple[float, float, Instance]]:
            corner = (tile.rows.start, tile.columns.start)
            found = outlined(ground.contrast(piece, corner), ground, least, corner)
            return [(*one.points.mean(axis=0), _shifted(one, corner)) for one in found]

        # Sorted by place: pieces change neither the particles nor their order.
        told = list(gather(values, find, size=_PIECE, overlap=_SHARED))
        told.sort(key=lambda one: (one[0], one[1]))
        instances = tuple(one for _, _, one in told)
        named = frame_id or str(json.loads(frame.attrs.get("frame_id", '""')))
        table = describe(
            instances, (steps[0], steps[1]), (float(axes[0][0]), float(axes[1][0])), values.shape
        )
        return Outlined(named, instances, table, ground, axes)


def _checked(frame: Signal) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    if set(frame.dims) != {"y", "x"}:
        raise SignalError(f"`frame` has dims {frame.dims}; it must have (y, x). Take one frame.")
    axes = []
    for dim in ("y", "x"):
        axis = np.asarray(frame[dim].to_numpy(), dtype=np.float64)
        if frame[dim].attrs.get("units") != "m":
            raise SignalError(f"`{dim}` is not in metres; calibrate the frame by its pixel size.")
        if axis.size < _LEAST:
            raise SignalError(f"`{dim}` has {axis.size} pixels; particles need at least {_LEAST}.")
        steps = np.diff(axis)
        if not steps.mean() > 0 or np.abs(steps - steps.mean()).max() > 1e-3 * steps.mean():
            raise SignalError(f"`{dim}` does not ascend evenly; resample or turn the frame.")
        axes.append(axis)
    values = frame.transpose("y", "x").to_numpy().astype(np.float64)
    if not np.isfinite(values).all():
        at = np.argwhere(~np.isfinite(values))[0]
        raise SignalError(
            f"`frame` is not finite at row {at[0]}, column {at[1]}; fill gaps before particles "
            f"are outlined."
        )
    return values, (axes[0], axes[1])


def _shifted(one: Instance, corner: tuple[int, int]) -> Instance:
    if corner == (0, 0):
        return one
    moved_points = one.points + np.array(corner)
    return replace(one, points=moved_points, row=one.row + corner[0], column=one.column + corner[1])


def outlined(
    contrast: Image, ground: Ground, least: float, corner: tuple[int, int] = (0, 0)
) -> list[Instance]:
    """Return the particles of a contrast map; the work on each stays within its own surroundings.

    Parameters
    ----------
    contrast : numpy.ndarray
        As of `Ground.contrast`.
    ground : Ground
        Noise, smoothing and shade.
    least : float
        Smallest area in pixels.
    corner : (int, int)
        Row and column of the frame where the map begins.
    """
    unrest = ground.unrest_of(contrast.shape, corner)
    seen = list(patches(contrast, unrest, ground.noise, ground.width, least))
    blur = _blur(seen, ground.width)
    found: list[Instance] = []
    for patch in seen:
        found.extend(_told_apart(patch, contrast, (blur, least), ground))
    return found


def _blur(seen: list[Patch], width: float) -> float:
    """Return the blur of an edge: a step of height h is h / (sqrt(2 pi) blur) steep at most."""
    told = []
    for patch in seen:
        mask = inside(patch.points - np.array([patch.row, patch.column]), patch.contrast.shape)
        if mask.any() and patch.slope > 0:
            told.append(
                float(np.median(patch.contrast[mask])) / (math.sqrt(2 * math.pi) * patch.slope)
            )
    # A pixel alone blurs by the root of a twelfth.
    least = math.hypot(width, math.sqrt(1 / 12))
    return max(float(np.quantile(told, _SHARPEST)), least) if told else least


def _told_apart(
    patch: Patch, contrast: Image, scales: tuple[float, float], ground: Ground
) -> Iterator[Instance]:
    blur, least = scales
    shape = (contrast.shape[0], contrast.shape[1])
    pieces = split(patch.points, least)
    lines = [patch.points]
    if len(pieces) > 1:
        lost = np.asarray(patch.contrast, dtype=np.float64)
        thick = -np.log(np.maximum(1 - lost, 1e-3)) if ground.dark else lost
        lines = completed(pieces, thick, (patch.row, patch.column))
    row, column = max(0, patch.row - _ROOM), max(0, patch.column - _ROOM)
    size = patch.contrast.shape
    near = contrast[row : patch.row + size[0] + _ROOM, column : patch.column + size[1] + _ROOM]
    part = np.asarray(near, dtype=np.float64)
    room = (part.shape[0], part.shape[1])
    masks = [inside(line - np.array([row, column]), room) for line in lines]
    for number, (line, mask) in enumerate(zip(lines, masks, strict=True)):
        others = [one for other, one in enumerate(masks) if other != number]
        beside = np.logical_or.reduce(others) if others else None
        away = edge_move(mask, part, blur, beside, absorbed=ground.dark)
        better = moved(line, away, shape)
        error = diameter_error(better, ground.noise, patch.slope, ground.width)
        one = instance(better, shape, overlapped=len(lines) > 1, error=error)
        if one is not None:
            yield one
