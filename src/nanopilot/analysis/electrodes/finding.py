"""Electrode stacks in X-ray images of cells: found, counted, told apart and measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nanopilot.analysis.electrodes.comb import comb_chance, count_interval
from nanopilot.analysis.electrodes.edits import Edit, apply_edits
from nanopilot.analysis.electrodes.flags import Flags, find_flags
from nanopilot.analysis.electrodes.kinds import tell_kinds
from nanopilot.analysis.electrodes.masks import plate_labels
from nanopilot.analysis.electrodes.periodicity import find_patches
from nanopilot.analysis.electrodes.reading import Reading, read_frame
from nanopilot.analysis.electrodes.slots import core
from nanopilot.analysis.electrodes.stack import Stack, find_stack
from nanopilot.analysis.electrodes.tables import overhang_table, plate_table
from nanopilot.analysis.electrodes.tips import Tips, find_tips
from nanopilot.analysis.electrodes.turned import Side, Turned
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Signal, SignalSet

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Chance that nothing repeats from which an image is refused.
LEAST_SURE = 1e-4
#: Plates that a stack has at least, and share of its places that hold one.
_PLATES, _FULL = 6, 0.6
#: Scatter of the spacing, as a share of it, that a stack has at most.
_JITTER = 0.25
#: Share of free ends that must be found.
_ENDS = 0.6
#: Contrast of plates to gaps varies less than so many times its mean along a stack.
_UNEVEN = 2.5
#: Patches of an image that are looked at, heaviest first.
_TRIES = 3


class NoStack(SignalError):
    """The image shows no stack of plates that can be counted; a person should look at it."""


@dataclass(frozen=True, slots=True, eq=False)
class ElectrodesFound:
    """The stack of one image. Rows and columns are pixels of the image, from 0.

    Parameters
    ----------
    box : tuple of float
        First row, first column, last row and last column of the region (edges of plates).
    labels : Signal
        Mask of every plate, whole numbers from 1, 0 where none is, dims (y, x).
    table : SignalSet
        Dim ``point``, one row a plate: ``label, x, y`` of the free end and their errors, ``row,
        column``, ``anode`` (chance), ``kind`` (1 anode, -1 cathode, 0 not told), ``slot``,
        ``level``, ``forked``, ``chance``.
    overhangs : SignalSet
        Dim ``point``, one row a pair of neighbours of different kind; see `overhang_table`.
    count : int
        Plates.
    interval : (int, int)
        95 % interval of the count.
    spacing : float
        Distance of neighbouring places in pixels.
    jitter : float
        Standard deviation of that distance.
    side : {"top", "left", "bottom", "right"}
        Where free ends point.
    flags : Flags
        What may spoil the answer.
    doubt : float
        Chance that nothing repeats here.
    calibrated : bool
        Whether lengths are in metres (otherwise in pixels).
    """

    box: tuple[float, float, float, float]
    labels: Signal
    table: SignalSet
    overhangs: SignalSet
    count: int
    interval: tuple[int, int]
    spacing: float
    jitter: float
    side: Side
    flags: Flags
    doubt: float
    calibrated: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Upright:
    """A stack in its upright image."""

    stack: Stack
    tips: Tips
    turned: Turned
    shape: tuple[int, int]
    doubt: float


@dataclass(frozen=True, slots=True)
class FindElectrodes:
    """Find the electrode stack of an X-ray image; nobody has to draw a box.

    Where the image repeats is found first, by local autocorrelation along both axes. The stripes
    there are straightened, a chain of evenly spaced places is laid over their ridges, every place
    is tested for a plate, and every plate is followed to its free end. Same image, same answer.

    Parameters
    ----------
    plates : {"dark", "bright"}
        How plates look: dark where transmitted light is shown, bright in inverted images.
    edits : tuple of Edit
        What a person changed in the masks, done again in this order.
    """

    plates: Literal["dark", "bright"] = "dark"
    edits: tuple[Edit, ...] = ()

    def __post_init__(self) -> None:
        """Take edits as they come out of JSON, too."""
        if self.plates not in {"dark", "bright"}:
            raise OutOfRange(f"`plates` is {self.plates!r}; it is 'dark' or 'bright'.")
        made = tuple(Edit.model_validate(one) for one in self.edits)
        object.__setattr__(self, "edits", made)

    def __call__(self, frame: Signal) -> SignalSet:
        """Return the table of plates; see `found`."""
        return self.found(frame).table

    def found(self, frame: Signal) -> ElectrodesFound:
        """Return box, masks, table and overhangs.

        Parameters
        ----------
        frame : Signal
            Dims (y, x), at least 96 pixels either way, square pixels, in metres; a frame whose
            coordinates are in ``"1"`` is taken as not calibrated, and lengths are in pixels.

        Raises
        ------
        SignalError
            It is no such frame, or has values that are not finite.
        NoStack
            Nothing repeats beyond doubt, or what does has no free ends.
        OutOfRange
            An edit does not fit the image.
        """
        reading = read_frame(frame, self.plates)
        best, why = None, "nothing in it repeats as plates do"
        for image, swapped, patch in _candidates(reading.values):
            stack, flipped = find_stack(image, patch)
            if stack is None:
                why = "what repeats in it has no free ends, or keeps no spacing"
                continue
            turned = Turned(swapped, flipped, image.shape[0])
            found = _sure(stack, turned, image.shape)
            if isinstance(found, str):
                why = found
                continue
            best = found
            break
        if best is None:
            raise NoStack(
                f"`frame` shows no electrode stack: {why}. A person should look at it; plates that "
                "are brighter than their gaps need `plates='bright'`."
            )
        return _answer(best, reading, self.edits)


def _candidates(values: FloatArray) -> list[tuple[FloatArray, bool, Any]]:
    """Return turned images with the patches that repeat, heaviest first."""
    found = []
    for swapped in (False, True):
        image = np.ascontiguousarray(values.T) if swapped else values
        found += [(image, swapped, patch) for patch in find_patches(image)[:_TRIES]]
    return sorted(found, key=lambda one: -one[2].weight)[:_TRIES]


def _sure(stack: Stack, turned: Turned, shape: tuple[int, ...]) -> _Upright | str:
    """Return the stack with its tips, or why it is none."""
    plates = int(stack.present.sum())
    if plates < _PLATES or plates < _FULL * len(stack.slots.place):
        return f"only {plates} of {len(stack.slots.place)} places hold a plate"
    place, spacing = stack.slots.place, stack.slots.spacing
    columns = np.arange(max(int(place[0] - spacing / 2), 0), int(place[-1] + spacing / 2) + 1)
    columns = columns[columns < stack.darkness.shape[1]]
    profile = stack.darkness[core(stack.strip.body)].mean(axis=0)[columns]
    nearest = np.argmin(np.abs(columns[:, None] - place), axis=1)
    doubt = comb_chance(profile, spacing, stack.present[nearest])
    if stack.slots.jitter > _JITTER * spacing:
        return "what repeats in it keeps no spacing"
    if doubt > LEAST_SURE:
        return f"its repetition is no more than chance (p = {doubt:.2g})"
    if _comes_and_goes(stack) > _UNEVEN:
        return "its stripes come and go along their length, as in a lattice"
    tips = find_tips(stack)
    if tips is None or np.isfinite(tips.row_error).mean() < _ENDS:
        return "free ends were not found"
    return _Upright(stack, tips, turned, (shape[0], shape[1]), doubt)


def _comes_and_goes(stack: Stack) -> float:
    """Return how much the contrast of plates to gaps varies along them, over its mean."""
    seen = stack.darkness[core(stack.strip.body)]
    place, half = stack.slots.place[stack.present], stack.slots.spacing / 2

    def at(columns: FloatArray) -> FloatArray:
        nearest = np.clip(np.rint(columns).astype(np.int64), 0, seen.shape[1] - 1)
        return np.asarray(seen[:, nearest].mean(axis=1))

    contrast = at(place) - at(np.concatenate([place - half, place + half]))
    return float(contrast.std() / max(abs(float(contrast.mean())), 1e-300))


def _answer(seen: _Upright, reading: Reading, edits: tuple[Edit, ...]) -> ElectrodesFound:
    stack, tips, strip = seen.stack, seen.tips, seen.tips.strip
    slot = np.flatnonzero(stack.present)
    kinds = tell_kinds(tips.row, tips.level, tips.bars.place, slot, tips.line)
    bottom = stack.bottom if stack.bottom is not None else float(len(strip.values) - 1)
    labels = seen.turned.image(plate_labels(tips, stack.slots.spacing, bottom, seen.shape))
    upright = np.stack([tips.row + strip.first, strip.column(tips.row, tips.column)], axis=1)
    errors = np.stack([tips.row_error, tips.column_error], axis=1)
    columns = {
        "point": seen.turned.points(upright),
        "error": errors[:, ::-1] if seen.turned.swapped else errors,
        "anode": kinds.anode, "slot": slot, "level": tips.level,
        "forked": tips.forked, "chance": stack.chance[stack.present],
    }  # fmt: skip
    edited = apply_edits(labels, edits)
    table = plate_table(columns, edited, reading, seen.turned.side)
    every = np.concatenate([stack.chance, stack.beyond])
    low, high = count_interval(every)
    count = int(table.sizes["point"])
    shift = count - len(slot)
    return ElectrodesFound(
        box=_box(seen, bottom), labels=reading.labels(edited), table=table,
        overhangs=overhang_table(table, reading, seen.turned.side), count=count,
        interval=(low + shift, high + shift), spacing=stack.slots.spacing,
        jitter=stack.slots.jitter, side=seen.turned.side, flags=find_flags(stack, tips),
        doubt=seen.doubt, calibrated=reading.calibrated,
    )  # fmt: skip


def _box(seen: _Upright, bottom: float) -> tuple[float, float, float, float]:
    """Return the box around all plates, in the image as it came."""
    tips, strip = seen.tips, seen.tips.strip
    rows = np.arange(tips.row.min(), bottom)
    edges = []
    for k, way in ((0, -1), (len(tips.row) - 1, 1)):
        place = np.full(len(rows), tips.bars.place[k] + way * tips.bars.width[k] / 2)
        edges.append(strip.column(rows, place))
    upright = (
        float(tips.row.min()) + strip.first, max(float(edges[0].min()), -0.5),
        bottom + strip.first, min(float(edges[1].max()), seen.shape[1] - 0.5),
    )  # fmt: skip
    return seen.turned.box(upright)
