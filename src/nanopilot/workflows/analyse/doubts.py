"""Why a person should look at what was found."""

from __future__ import annotations

import numpy as np

from nanopilot.core.signals import Signal, SignalSet

#: Columns that stand out by fewer standard deviations are hardly seen; fewer columns are few.
_SEEN, _FEW = 12.0, 30
#: Share of pixels at the very top or bottom value from which a detector was out of range.
_CLIPPED, _LEAST = 0.002, 16


def common_doubts(frame: Signal, columns: SignalSet) -> list[str]:
    """Return doubts about the columns of a frame, one plain sentence each.

    Parameters
    ----------
    frame : Signal
        Dims (y, x).
    columns : SignalSet
        As of `find_columns`.
    """
    doubts = []
    count = columns.sizes["point"]
    if count < _FEW:
        doubts.append(f"Only {count} columns were found; scan a larger field.")
    if count:
        seen = float(columns["significance"].median())
        if seen < _SEEN:
            doubts.append(
                f"The middling column stands out of the noise by only {seen:.1f} standard "
                "deviations; use a higher dose or average frames."
            )
    return doubts + out_of_range(frame)


def out_of_range(frame: Signal) -> list[str]:
    """Return doubts about the detector of a frame: clipped at an end, or nothing measured.

    Parameters
    ----------
    frame : Signal
        Dims (y, x).
    """
    values = frame.to_numpy()
    if np.ptp(values) == 0:
        return ["All pixels have one value: nothing was measured."]
    doubts = []
    for side, limit in (("brightest", values.max()), ("darkest", values.min())):
        share = float((values == limit).mean())
        # Counts are whole numbers: many zeros are no fault where few electrons came.
        counted = side == "darkest" and limit == 0
        if share > _CLIPPED and share * values.size > _LEAST and not counted:
            doubts.append(
                f"{share:.1%} of the pixels have the {side} value, {limit:g}: the detector was "
                "out of range there, and what it shows is wrong. Change gain or offset."
            )
    return doubts
