"""Several scans of one instrument, and the settings that follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nanopilot.core.requests import from_outside
from nanopilot.twins.spm import SpmSettings
from nanopilot.workflows.estimates import Estimate, Estimates
from nanopilot.workflows.fit_twin.scans import Scan

#: A number of fewer standard errors than this is left at its default.
_WORTH = 2.0


def pooled(each: Sequence[Estimates]) -> Estimates:
    """Return one set of estimates for the instrument.

    What was measured in several scans is averaged by its errors, which grow if the scans
    disagree; a bound counts only where nothing was measured, and then the lowest one.
    """
    agreed = _agreed(each)
    names = dict.fromkeys(name for one in agreed for name in one)
    return {name: _joined([one[name] for one in agreed if name in one]) for name in names}


def _agreed(each: Sequence[Estimates]) -> list[Estimates]:
    """Leave out the noise of scans that put it elsewhere than most, measured ones first."""
    votes = [(one["noise.in_loop"], one) for one in each if "noise.in_loop" in one]
    if not votes:
        return list(each)
    known = [one for one in votes if one[1]["noise.pink"].status == "estimated"] or votes
    inside = float(np.mean([vote.value or 0.0 for vote, _ in known]) >= 0.5)
    noise = ("noise.white", "noise.pink", "noise.in_loop")
    return [
        one
        if "noise.in_loop" not in one or one["noise.in_loop"].value == inside
        else {name: value for name, value in one.items() if name not in noise}
        for one in each
    ]


def _joined(found: Sequence[Estimate]) -> Estimate:
    if len(found) == 1:
        return found[0]
    if all(one.status == "told" for one in found):
        return found[0]
    measured = [one for one in found if one.status == "estimated" and one.value is not None]
    if not measured:
        bounds = [one for one in found if one.value is not None]
        return min(bounds, key=lambda one: one.value or 0.0) if bounds else found[0]
    values = np.array([one.value for one in measured], dtype=float)
    errors = np.array([np.nan if one.std is None else one.std for one in measured])
    how = measured[0].how if len(measured) == 1 else f"{len(measured)} scans: {measured[0].how}"
    if not (errors > 0).all():
        return measured[0].model_copy(update={"how": how})
    weights = errors**-2 / np.sum(errors**-2)
    mean = float(weights @ values)
    std = float(np.sum(errors**-2) ** -0.5)
    if len(measured) > 1:
        std *= max(1.0, float(np.sqrt(np.mean(((values - mean) / errors) ** 2))))
    return measured[0].model_copy(update={"value": mean, "std": std, "how": how})


def settings_of(found: Estimates, scans: Sequence[Scan]) -> SpmSettings:
    """Return an instrument with what is known, and defaults for the rest.

    Of white and 1/f noise a bound is taken too: the twin is rather a little too noisy.

    Parameters
    ----------
    found : dict of str to Estimate
        Pooled.
    scans : sequence of Scan
        For line rate, mode and setpoint.
    """
    first = scans[0]
    tree: dict[str, Any] = {"line_rate": first.line_rate, "loop": {"mode": first.mode}}
    if first.setpoint:
        tree["loop"]["setpoint"] = first.setpoint
    tree |= {"lever": {}, "electrics": {}, "noise": {}, "motion": {}}
    for name, one in found.items():
        if one.status == "told":
            room, key = name.split(".")
            tree[room][key] = one.value
    if first.mode == "tapping":
        # It has to swing further than it is held.
        tree["lever"]["free_amplitude"] = max(2 * first.setpoint, 40e-9)
    inside = bool(found["noise.in_loop"].value) if "noise.in_loop" in found else False
    for name in ("loop.integral", "noise.white", "noise.pink", "noise.mains",
                 "noise.mains_frequency", "motion.hysteresis"):  # fmt: skip
        room, key = name.split(".")
        taken = _taken(found.get(name), bounds=key in ("white", "pink"))
        if taken is not None:
            tree[room][key] = taken if room == "loop" else max(taken, 0.0)
    tree["noise"]["in_loop"] = inside
    if inside and (detector := _taken(found.get("noise.detector"), bounds=True)) is not None:
        tree["noise"]["detector"] = detector
    drift = [_taken(found.get(f"motion.drift.{axis}"), bounds=False) or 0.0 for axis in "xyz"]
    tree["motion"]["drift"] = tuple(drift)
    if (radius := found.get("tip.radius")) is not None and radius.value is not None:
        default = SpmSettings().tip.radius
        tree["tip"] = {"apexes": [{"radius": min(radius.value, default)}]}
    return from_outside(SpmSettings, **tree)


def _taken(found: Estimate | None, *, bounds: bool) -> float | None:
    if found is None or found.value is None:
        return None
    if found.status == "estimated":
        certain = found.std is None or abs(found.value) >= _WORTH * found.std
        return found.value if certain else None
    return found.value if bounds and found.status == "bound" else None
