"""4D-STEM data recorded part by part: never all in memory, and nothing kept is lost by a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nanopilot.core.capabilities import Camera
from nanopilot.core.errors import InvalidRequest, SignalError, Stopped, StoreError, Unsupported
from nanopilot.core.geometry import own_axes, places
from nanopilot.core.requests import CameraRequest, ScanRequest
from nanopilot.core.signals import Axis, SignalSet
from nanopilot.instruments import Guard
from nanopilot.io.durable import Durability
from nanopilot.io.pattern_store import PatternStore

if TYPE_CHECKING:
    from nanopilot.analysis.pattern_blocks import Patterns

Array = np.ndarray[Any, np.dtype[Any]]
#: Called with patterns done, patterns in all, and what is being done.
Progress = Callable[[int, int, str], None]

#: Bytes of the patterns that are asked for, and kept, at once.
PART_BYTES = 4 << 20


def record_patterns(
    scope: Guard,
    request: CameraRequest,
    out: Path,
    *,
    progress: Progress | None = None,
    durability: Durability = "power",
) -> Path:
    """Record a pattern at every place of a grid into a Zarr folder.

    The grid is asked for in parts of rows of a few megabytes. A part is written, and with it
    acknowledged, before the next one is measured. If `out` holds a part of the same request of
    the same instrument already, as after a kill, the recording goes on where it stopped; the part
    that was in progress then is measured again, so its places are given their dose twice.

    Parameters
    ----------
    scope : Guard
        An instrument that has `camera_grids`.
    request : CameraRequest
        With a `position` and a `shape`.
    out : pathlib.Path
        The Zarr folder, such as ``scan.zarr``: arrays (y, x, ky, kx), one per channel, of whole
        numbers in 16 bits, else of float32; coordinates, units and quantities; request, state of
        the instrument and its name as attributes; ``time`` (y, x).
    progress : callable, optional
        Called as ``progress(done, total, text)``, in patterns.
    durability : {"power", "process"}
        What a part survives once it is acknowledged.

    Returns
    -------
    pathlib.Path
        `out`.

    Raises
    ------
    Unsupported
        The instrument takes no grids of patterns.
    InvalidRequest
        There is no grid in the request.
    OutOfRange, BudgetExceeded, Interlocked
        Limits or budgets forbid some part of what is left: then nothing is measured at all.
    Stopped
        The recording was stopped; what was kept is good.
    StoreError, DiskFull
        `out` holds something else, is being written, or cannot be written.
    """
    grid = _checked(scope, request)
    camera = scope.capability(Camera)
    store = _existing(scope, request, out, durability)
    columns = _columns(scope, request) if store is None else store.columns
    try:
        left = list(_parts(request, grid, columns))
        if store is not None:
            kept = store.kept()
            left = [(place, part) for place, part in left if not kept[place]]
        _rehearse(scope, left)
        total = request.shape[0] * request.shape[1]
        done = total - sum(part.shape[1] for _, part in left)
        for place, part in left:
            taken = _take(camera, part)
            values = _patterns(taken, part.shape[1])
            if store is None:
                told = _told(scope, request, taken, columns)
                store = PatternStore.make(out, values, _axes(grid, taken), told, durability)
            store.put(place, values, _times(taken, part.shape[1], scope.clock.now()))
            done += part.shape[1]
            if progress is not None:
                progress(done, total, "patterns")
    finally:
        if store is not None:
            store.close()
    return out


def open_patterns(path: Path | str, channel: str | None = None) -> Patterns:
    """Return recorded patterns, finished or not, for `nanopilot.analysis.virtual_detectors`.

    Parameters
    ----------
    path : Path or str
        What `record_patterns` wrote.
    channel : str, optional
        Which camera; the first one if not given.

    Raises
    ------
    StoreError
        There are no recorded patterns, or not of this channel.
    Tampered
        The description was altered; a damaged chunk is found when it is read.
    """
    from nanopilot.analysis.pattern_blocks import Patterns

    store = PatternStore.open(Path(path))
    name = channel or store.channels[0]
    values, label = store.values(name), store.labels(name)
    return Patterns(
        values, store.axes(), label["quantity"], label["units"], store.attrs(), store.there()
    )


def _checked(scope: Guard, request: CameraRequest) -> ScanRequest:
    if not scope.describe().camera_grids:
        raise Unsupported(
            f"`camera_grids` is no part of {scope.name!r}: it takes patterns only where the beam "
            "rests. Use an instrument that has it."
        )
    if request.grid is None:
        raise InvalidRequest("`position` is not given; a grid of patterns has one as its centre.")
    return request.grid


def _existing(
    scope: Guard, request: CameraRequest, out: Path, durability: Durability
) -> PatternStore | None:
    """Return the recording that is there to go on with; None: there is none."""
    if not out.exists():
        return None
    store = PatternStore.open(out, write=True, durability=durability)
    if (store.request, store.instrument) == (request, scope.name):
        return store
    store.close()
    raise StoreError(
        f"`{out}` holds another recording, of {store.instrument!r}; give the same request to go on "
        "with it, or choose another name."
    )


def _columns(scope: Guard, request: CameraRequest) -> int:
    """Return how many patterns are asked for at once."""
    update = {"shape": (1, 1), "field_of_view": (0.0, 0.0)}
    estimate = scope.capability(Camera).estimate(request.model_copy(update=update))
    cameras = len(request.channels or scope.describe().cameras)
    each = max(1, estimate.bytes // max(1, cameras))
    parts = -(-request.shape[1] // max(1, PART_BYTES // each))
    return -(-request.shape[1] // parts)


def _parts(
    request: CameraRequest, grid: ScanRequest, columns: int
) -> Iterator[tuple[tuple[int, int], CameraRequest]]:
    """Yield row and part, and what is asked of the instrument: the same places, some at a time."""
    spots = places(grid).reshape(*request.shape, 2)
    pitch = request.field_of_view[0] / max(1, request.shape[1] - 1)
    for row in range(request.shape[0]):
        for number, first in enumerate(range(0, request.shape[1], columns)):
            chosen = spots[row, first : first + columns]
            x, y = (chosen[0] + chosen[-1]) / 2
            update = {
                "position": (float(x), float(y)),
                "shape": (1, len(chosen)),
                "field_of_view": (pitch * (len(chosen) - 1), 0.0),
            }
            yield (row, number), request.model_copy(update=update)


def _rehearse(scope: Guard, left: list[tuple[tuple[int, int], CameraRequest]]) -> None:
    """Let all parts be judged together, so that nothing begins that may not come to its end."""
    camera = scope.rehearsal().capability(Camera)
    for _, part in left:
        camera.start(part)


def _take(camera: Camera, part: CameraRequest) -> SignalSet:
    acquisition = camera.start(part)
    taken = acquisition.result()
    if acquisition.progress < 1:
        raise Stopped(
            "the recording was stopped; what was kept is good. The same command goes on with it."
        )
    return taken


def _patterns(taken: SignalSet, count: int) -> dict[str, Array]:
    """Return the patterns of every channel, shape (n, ky, kx)."""
    found = {}
    for name, channel in taken.data_vars.items():
        if not {"ky", "kx"} <= set(channel.dims):
            raise SignalError(f"`{name}` has dims {channel.dims}; a pattern has ky and kx.")
        values = channel.transpose(..., "ky", "kx").to_numpy()
        found[str(name)] = values.reshape(count, *values.shape[-2:])
    return found


def _times(taken: SignalSet, count: int, now: float) -> Array:
    """Return when each pattern was taken; where the instrument does not say: now."""
    times = taken["time"].to_numpy() if "time" in taken.coords else np.full(count, now)
    return np.broadcast_to(times.reshape(-1), (count,))


def _axes(grid: ScanRequest, taken: SignalSet) -> dict[str, Axis]:
    x, y = own_axes(grid)
    axes = {"y": Axis(y, "m", "position"), "x": Axis(x, "m", "position")}
    for dim in ("ky", "kx"):
        told = taken[dim].attrs
        axes[dim] = Axis(taken[dim].to_numpy(), told["units"], told["quantity"])
    return axes


def _told(scope: Guard, request: CameraRequest, taken: SignalSet, columns: int) -> dict[str, Any]:
    """Return what a store keeps beside the numbers."""
    return {
        "format": 1,
        "request": request.model_dump_json(),
        "instrument": scope.name,
        "columns": columns,
        "labels": {
            str(name): {key: one.attrs[key] for key in ("quantity", "units")}
            for name, one in taken.data_vars.items()
        },
        "attrs": {str(key): text for key, text in taken.attrs.items() if key != "request"},
    }
