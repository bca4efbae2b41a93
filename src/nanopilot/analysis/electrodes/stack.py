"""From a patch that repeats to a row of plates: which places are plates, where the stack ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nanopilot.analysis.electrodes.ends import Ends, Line, contrast, find_ends, fit_line
from nanopilot.analysis.electrodes.periodicity import Patch
from nanopilot.analysis.electrodes.slots import Slots, core, find_slots
from nanopilot.analysis.electrodes.straighten import Strip, straighten
from nanopilot.analysis.electrodes.unmix import fit_bars, height_error, heights

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Spread of the contrast among plates of one kind, and of what is left where none is, as shares.
_PLATE, _GAP = 0.22, 0.1
#: Rows by which the rough end of a plate may lie beyond its line, and short of it (forked ones do).
_EARLY, _LATE = 6.0, 16.0
#: Contrast with its inner gap that the last plate has at least, as a share of the usual one.
_INNER = 0.3
#: Contrast of weak plates over that of strong ones below which an image is too blurred for that.
_BLURRED = 0.4
#: Share of places inside a stack that hold no plate.
_EMPTY = 0.03
#: How far off its spacing, as a share of it, a place beside the patch may lie.
_OFF = 0.2
#: Chance from which a place beside the stack is looked at again.
_HINT = 0.05
#: How often the patch may be widened.
_AGAIN = 4


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Plates of a strip whose free ends are at its top.

    Parameters
    ----------
    strip : Strip
        Straightened.
    darkness : numpy.ndarray
        Its values, larger where plates are.
    slots : Slots
        Places from the first plate to the last, those of plates left out among them.
    chance : numpy.ndarray
        Of every place, that a plate is there, 0 to 1.
    beyond : tuple of float
        The same for the next place on either side of the stack.
    ends : Ends
        Rough ends.
    tips : Line
        Line of the free ends.
    bottom : float or None
        Row of the strip where plates can no longer be told apart; None at the end of the image.
    """

    strip: Strip
    darkness: FloatArray
    slots: Slots
    chance: FloatArray
    beyond: tuple[float, float]
    ends: Ends
    tips: Line
    bottom: float | None

    @property
    def even(self) -> BoolArray:
        """Whether a place is the first, third, ... of the stack."""
        return np.asarray(np.arange(len(self.slots.place)) % 2 == 0)

    @property
    def present(self) -> BoolArray:
        """Whether a plate is taken to be at a place."""
        found: BoolArray = self.chance > 0.5
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """All that is known of a strip before its plates are told."""

    strip: Strip
    darkness: FloatArray
    slots: Slots
    ends: Ends
    inside: BoolArray
    lines: tuple[Line | None, Line | None]
    at_edge: tuple[bool, bool]


def find_stack(image: FloatArray, patch: Patch) -> tuple[Stack | None, bool]:
    """Return the plates of a patch, and whether the image had to be turned upside down for it.

    Parameters
    ----------
    image : numpy.ndarray
        Darker where plates are, plates along the columns, shape (rows, columns).
    patch : Patch
        As of `find_patches`.
    """
    view = _look(image, patch)
    if view is None:
        return None, False
    side = _free_side(view)
    if side is None:
        return None, False
    if side == 1:
        image, height = image[::-1], image.shape[0]
        upside = slice(height - patch.rows.stop, height - patch.rows.start)
        patch = replace(patch, rows=upside, score=patch.score[::-1])
        view = _look(image, patch)
        if view is None:
            return None, True
    for _ in range(_AGAIN):
        stack = _told(view)
        wider = None if stack is None else _wider(stack, patch, image.shape[1])
        if wider is None:
            return stack, side == 1
        again = _look(image, wider)
        if again is None:
            return stack, side == 1
        patch, view = wider, again
    return stack, side == 1


def _look(image: FloatArray, patch: Patch) -> _View | None:
    strip = straighten(image, patch)
    darkness = -strip.values
    beside = patch.columns.start - round(strip.path[(strip.body.start + strip.body.stop) // 2, 0])
    columns = slice(beside, beside + patch.columns.stop - patch.columns.start)
    slots = find_slots(strip, darkness, columns)
    if slots is None:
        return None
    ends = find_ends(contrast(darkness, slots), strip.body)
    inside = (slots.place >= columns.start) & (slots.place < columns.stop)
    even = np.arange(len(slots.place)) % 2 == 0
    strong = inside & (ends.level > 0.3 * np.median(ends.level[inside]))
    lines = tuple(fit_line(slots.place, even, rows, strong) for rows in (ends.top, ends.bottom))
    at_edge = (
        strip.first == 0 and float(np.median(ends.top[strong])) < 2,
        strip.first + len(darkness) == image.shape[0]
        and float(np.median(ends.bottom[strong])) > len(darkness) - 3,
    )
    return _View(strip, darkness, slots, ends, inside, (lines[0], lines[1]), at_edge)


def _free_side(view: _View) -> int | None:
    """Return 0 where the free ends are at the top, 1 at the bottom, None where there are none."""
    open_ = [line is not None and not edge
             for line, edge in zip(view.lines, view.at_edge, strict=True)]  # fmt: skip
    if not any(open_):
        return None
    steps = [abs(line.step) / max(line.error, 0.1) if ok and line is not None and line.staggered
             else 0.0 for line, ok in zip(view.lines, open_, strict=True)]  # fmt: skip
    if max(steps) > 0:
        return int(np.argmax(steps))
    if all(open_):
        # The pressed bulk is dark and what lies beyond free ends is not.
        return int(_beyond(view, 0) > _beyond(view, 1))
    return open_.index(True)


def _beyond(view: _View, side: int) -> float:
    rows = float(np.median((view.ends.top, view.ends.bottom)[side][view.inside]))
    first = int(rows - 25 if side == 0 else rows + 8)
    part = view.darkness[max(first, 0) : max(first + 17, 0)][:, _columns(view)]
    return float(part.mean()) if part.size else np.inf


def _columns(view: _View) -> slice:
    place = view.slots.place[view.inside]
    return slice(int(place.min()), int(place.max()) + 1)


def _told(view: _View) -> Stack | None:
    """Tell which places are plates."""
    line = view.lines[0]
    if line is None:
        return None
    place, n = view.slots.place, len(view.slots.place)
    even = np.arange(n) % 2 == 0
    contrasts = contrast(view.darkness, view.slots)
    bottom = float(np.median(view.ends.bottom[view.inside]))
    excess, error = _excess(contrasts, line.rows(place, even), bottom)
    chance = _chances(excess, error, even, view.inside)
    # A wall has contrast too, but does not end where plates end.
    late = view.ends.top - line.rows(place, even)
    wide = 4 * line.scatter
    chance[(late < -_EARLY - wide) | (late > _LATE + wide) | _astray(view)] = 0.0
    sure = np.flatnonzero(view.inside & (chance > 0.5))
    if len(sure) < 4:
        return None
    # The last plate may be a weak one of a blurred image.
    first, final = sure[0] - 1, sure[-1] + 1
    first += int(first < 0 or chance[first] < _HINT)
    final -= int(final >= n or chance[final] < _HINT)
    within = (np.arange(n) >= first) & (np.arange(n) <= final)
    chance[within] = np.maximum(chance[within], _apart(view, even, within))
    usual = float(np.median(excess[sure]))
    run = _run(chance, view.inside, _free(view, line, even, usual))
    if run is not None:
        run = _trimmed(view, run, (line.rows(place, even), bottom), even)
    if run is None:
        return None
    kept = slice(run[0], run[1] + 1)
    beyond = (chance[run[0] - 1] if run[0] else 0.0, chance[run[1] + 1] if run[1] + 1 < n else 0.0)
    # Even and odd are counted from the first plate from now on.
    if run[0] % 2:
        line = replace(line, step=-line.step)
    ends = Ends(*(getattr(view.ends, name)[kept] for name in ("level", "noise", "top", "bottom")))
    slots = replace(view.slots, place=place[kept])
    return Stack(
        view.strip, view.darkness, slots, chance[kept], beyond, ends, line,
        None if view.at_edge[1] else bottom,
    )  # fmt: skip


def _excess(
    contrasts: FloatArray, tips: FloatArray, bottom: float
) -> tuple[FloatArray, FloatArray]:
    """Return contrast below the tips less contrast beyond them, and its standard error."""
    n = contrasts.shape[1]
    excess, error = np.zeros(n), np.full(n, np.inf)
    for k in range(n):
        tip = round(float(tips[k]))
        inner = contrasts[max(tip + 5, 0) : max(int(bottom) - 4, tip + 15), k]
        outer = contrasts[max(tip - 34, 0) : max(tip - 10, 0), k]
        if len(inner) < 10:
            continue
        # A wall that leans comes by in one block of rows and leaves in another.
        weak = float(np.sort([part.mean() for part in np.array_split(inner, 5)])[1])
        outside = max(float(outer.mean()), 0.0) if len(outer) >= 4 else 0.0
        noise = np.std(np.diff(contrasts[:, k])) / np.sqrt(2)
        excess[k] = weak - outside
        error[k] = noise * np.sqrt(5 / len(inner) + 1 / max(len(outer), 4))
    return excess, error


def _trimmed(
    view: _View, run: tuple[int, int], span: tuple[FloatArray, float], even: BoolArray
) -> tuple[int, int] | None:
    """Take off outermost places that are no darker than the gap on their inner side.

    Where a film of separator ends, the place beside the stack is darker than what is outside.
    Every place is compared with those of its kind.
    """
    first, last = run
    at = np.arange(len(even))
    among = (at >= first) & (at <= last)
    for way in (1, -1):
        inner, _ = _excess(contrast(view.darkness, view.slots, (way,)), *span)
        usual = np.where(even, *(float(np.median(inner[among & kind])) for kind in (even, ~even)))
        kept = inner > _INNER * usual
        # Blur takes contrast from weak plates first, and most from the last of them.
        kept |= float(usual.min()) < _BLURRED * float(usual.max())
        if way == 1:
            while first < last and not kept[first]:
                first += 1
        else:
            while last > first and not kept[last]:
                last -= 1
    return (first, last) if last - first >= 4 else None


def _apart(view: _View, even: BoolArray, within: BoolArray) -> FloatArray:
    """Return the chance of a plate at some places, neighbours taken off.

    Where the image is blurred a weak plate between strong ones is no ridge of its own.
    """
    kinds, start = even[within], view.slots.place[within]
    block = view.darkness[core(view.strip.body)]
    noise = np.std(np.diff(block, axis=0), axis=0) / np.sqrt(2 * len(block))
    bars = fit_bars(block.mean(axis=0), noise, start, kinds, view.slots.spacing)
    high = heights(block, bars, view.slots.spacing)
    error = height_error(block.mean(axis=0), bars, view.slots.spacing)
    every = np.ones(len(start), dtype=bool)
    chance = np.clip(_chances(high.mean(axis=0), error, kinds, every), 1e-12, 1 - 1e-12)
    # Few places inside a stack are empty.
    odds = chance / (1 - chance) * (1 - _EMPTY) / _EMPTY
    return np.asarray(odds / (1 + odds))


def _chances(
    excess: FloatArray, error: FloatArray, even: BoolArray, inside: BoolArray
) -> FloatArray:
    """Return the chance of a plate at every place, each kind compared with its own median."""
    chance = np.zeros(len(excess))
    for kind in (even, ~even):
        those = excess[kind & inside]
        if not len(those):
            continue
        middling = float(np.median(those))
        if not middling > 0:
            continue
        usual = float(np.median(those[those > 0.3 * middling]))
        wide = np.hypot(_PLATE * usual, error[kind])
        narrow = np.hypot(_GAP * usual, error[kind])
        # A plate stronger than usual is a plate.
        plate = np.log(wide) + 0.5 * (np.minimum(excess[kind] - usual, 0) / wide) ** 2
        gap = np.log(narrow) + 0.5 * (np.maximum(excess[kind], 0) / narrow) ** 2
        chance[kind] = 1 / (1 + np.exp(np.clip(plate - gap, -30, 30)))
    return chance


def _astray(view: _View) -> BoolArray:
    """Return places beside the patch that do not go on with the spacing of those in it."""
    place, n = view.slots.place, len(view.slots.place)
    known = np.flatnonzero(view.inside)
    far = np.zeros(n, dtype=bool)
    for near, beside in ((known[:10], np.arange(known[0])),
                         (known[-10:], np.arange(known[-1] + 1, n))):  # fmt: skip
        if len(near) >= 4 and len(beside):
            away = place[beside] - np.polyval(np.polyfit(near, place[near], 1), beside)
            # Slopes of few places are not exact, so far from them more is allowed.
            steps = np.abs(beside - near[0 if beside[0] < near[0] else -1])
            far[beside] = np.abs(away) > (_OFF + 0.03 * steps) * view.slots.spacing
    return far


def _free(view: _View, line: Line, even: BoolArray, usual: float) -> BoolArray:
    """Return places that have nothing near them beyond the free ends, as walls have."""
    place, spacing = view.slots.place, view.slots.spacing
    tips = line.rows(place, even)
    free = np.ones(len(place), dtype=bool)
    for k, tip in enumerate(tips):
        last = int(tip) - 10
        block = view.darkness[max(last - 24, 0) : max(last, 0)]
        first = max(int(place[k] - spacing), 0)
        if len(block) >= 4:
            near = block[:, first : int(place[k] + spacing) + 1].mean(axis=0)
            free[k] = float(np.ptp(near)) < 0.6 * usual
    return free


def _run(chance: FloatArray, inside: BoolArray, free: BoolArray) -> tuple[int, int] | None:
    """Return first and last place of the stack, going outwards from the middle of the patch.

    The stack goes on where the next place is a plate, or one after it that has no wall near and,
    if it is further than one, two more plates.
    """
    plates = chance > 0.5
    good = np.flatnonzero(plates & inside)
    if len(good) < 4:
        return None
    middle = int(good[len(good) // 2])
    left = _reach(plates[:middle][::-1], free[:middle][::-1])
    return middle - left, middle + _reach(plates[middle + 1 :], free[middle + 1 :])


def _reach(plates: BoolArray, free: BoolArray) -> int:
    """Return how many places the stack goes on, the last of them a plate."""
    done = 0
    while True:
        ahead = np.flatnonzero(plates[done : done + 6])
        if not len(ahead) or (ahead[0] > 1 and len(ahead) < 3):
            return done
        if ahead[0] and len(ahead) < 3 and not free[done + ahead[0]]:
            return done
        done += int(ahead[0]) + 1


def _wider(stack: Stack, patch: Patch, columns: int) -> Patch | None:
    """Return a wider patch where the stack reaches the end of its strip, None where it does not."""
    room = 2.2 * stack.slots.spacing
    wide = stack.darkness.shape[1]
    left = stack.slots.place[0] < room and patch.columns.start > 0
    right = stack.slots.place[-1] > wide - 1 - room and patch.columns.stop < columns
    if not (left or right):
        return None
    more = round(5 * patch.lag)
    start = max(patch.columns.start - more * left, 0)
    stop = min(patch.columns.stop + more * right, columns)
    sides = (patch.columns.start - start, stop - patch.columns.stop)
    score = np.pad(patch.score, ((0, 0), sides), mode="edge")
    return replace(patch, columns=slice(start, stop), score=score)
