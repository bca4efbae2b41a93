"""What stands in the way of a good answer: blur, forked tips, shadows, tips that were not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.analysis.electrodes.stack import Stack
from nanopilot.analysis.electrodes.tips import Tips

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Blur at the tips over the spacing from which an image counts as blurred.
_BLUR = 0.21
#: Step of the ground near the tips over the strength of plates from which it counts as a shadow.
_SHADOW = 0.14
#: Error in pixels from which a tip counts as not seen.
_TIP = 1.0


@dataclass(frozen=True, slots=True)
class Flags:
    """Reasons to look at the image; each is a fact found in it.

    Parameters
    ----------
    blur : bool
        Edges are wide against the spacing of the plates.
    fork : bool
        A tip is split in two.
    shadow : bool
        The ground has a step near the tips, as the edge of a separator makes.
    tip : bool
        A free end was not found to better than a pixel.
    missing : bool
        A place between plates is empty.
    """

    blur: bool = False
    fork: bool = False
    shadow: bool = False
    tip: bool = False
    missing: bool = False

    @property
    def raised(self) -> tuple[str, ...]:
        """Names of those that are up."""
        return tuple(name for name in self.__slots__ if getattr(self, name))


def find_flags(stack: Stack, tips: Tips) -> Flags:
    """Look for what may spoil an answer."""
    errors = tips.row_error
    return Flags(
        blur=bool(tips.blur > _BLUR * stack.slots.spacing),
        fork=bool(tips.forked.any()),
        shadow=_shadow(stack, tips) > _SHADOW * float(np.median(tips.level)),
        tip=bool((~np.isfinite(errors) | (errors > _TIP)).any()),
        missing=bool((~stack.present).any()),
    )


def _shadow(stack: Stack, tips: Tips) -> float:
    """Return the largest step of the ground beyond the tips and between the longer plates."""
    even = stack.even[stack.present]
    longer = even if tips.line.step < 0 else ~even
    # Where the shorter plates would be there is only ground above them.
    places = tips.bars.place[~longer]
    if not len(places):
        return 0.0
    last = int(np.min(tips.row[~longer])) - 3
    first = max(int(np.min(tips.row)) - 38, 0)
    if last - first < 20:
        return 0.0
    columns = np.clip(np.round(places).astype(int), 0, stack.darkness.shape[1] - 1)
    ground = stack.darkness[first:last][:, columns].mean(axis=1)
    wide = 6
    sums = np.convolve(ground, np.ones(wide) / wide, mode="valid")
    steps = np.abs(sums[wide:] - sums[:-wide])
    # Light that leaks from a bright side to a dark one makes a slope, no step.
    return float(steps.max() - np.median(steps))
