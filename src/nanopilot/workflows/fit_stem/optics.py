"""Source size, defocus and astigmatism of the probe."""

from __future__ import annotations

import numpy as np

from nanopilot.analysis.column_blur import Harmonics, Probe, blur_bound, fit_probe
from nanopilot.core.errors import SignalError
from nanopilot.workflows.estimates import Estimate, Estimates, lost, seen_or_bound
from nanopilot.workflows.fit_stem.crystal import Matched
from nanopilot.workflows.fit_stem.frames import FloatArray
from nanopilot.workflows.fit_stem.seen import Seen

_NAMES = ("lens.source_size", "lens.C1", "lens.A1_x", "lens.A1_y")

#: Relative error of a source size by what defects and late light do to harmonics.
_SOURCE = 0.02


def optics_of(seen: Seen, matched: Matched | None) -> Estimates:
    """Return what the harmonics of a lattice say of the probe, by the name of the setting."""
    told = seen.frames.told
    if told.voltage is None or told.convergence_angle is None:
        why = "`voltage` and `convergence_angle` were not told, so no lens is known to compare with"
        return dict.fromkeys(_NAMES, lost("m", why))
    if not seen.lattice:
        why = "without a lattice nobody knows how sharp the sample is, and a dark-field picture "
        return dict.fromkeys(_NAMES, lost("m", why + "of amorphous matter has no zeros to tell"))
    series = _series(seen)
    if matched is None:
        return _bounded(seen, series)
    try:
        found = fit_probe(seen.lens, matched.scatters, series)
    except SignalError as cause:
        return dict.fromkeys(_NAMES, lost("m", str(cause)))
    return _told(found)


def _series(seen: Seen) -> tuple[Harmonics, ...]:
    """Return sizes of the harmonics by focus; frames of one focus are averaged."""
    step = seen.frames.told.focus_step
    groups: dict[float, list[int]] = {}
    for number in range(len(seen.lattice)):
        groups.setdefault(number * step, []).append(number)
    return tuple(_harmonics(seen, members, focus) for focus, members in groups.items())


def _harmonics(seen: Seen, members: list[int], focus: float) -> Harmonics:
    fits = [seen.lattice[number] for number in members]
    count = fits[0].residual.size * float(np.mean([one.used.mean() for one in fits]))
    noise = seen.variance / count
    each: FloatArray = np.array([np.abs(one.amplitude) ** 2 - noise for one in fits])
    size = np.sqrt(np.maximum(each.mean(axis=0), 0.0))
    std = np.full(size.shape, np.sqrt(noise / 2 / len(fits)))
    waves = np.mean([one.waves for one in fits], axis=0)
    return Harmonics(waves, size, std, focus)


def _bounded(seen: Seen, series: tuple[Harmonics, ...]) -> Estimates:
    level = float(np.mean([one.mean for one in seen.lattice]))
    if seen.transfer is not None and np.isfinite(seen.transfer.values["offset"]):
        # Two standard errors lower, so that it stays a bound.
        least = seen.transfer.values["offset"] - 2 * seen.transfer.std["offset"]
        level -= max(min(least, level * 0.99), 0.0)
    try:
        most = blur_bound(seen.lens, series[0], level)
    except SignalError as cause:
        return dict.fromkeys(_NAMES, lost("m", str(cause)))
    how = "no harmonic can have been larger than the mean; without `crystal` no more is known"
    bound = Estimate(value=most, unit="m", status="bound", how=how)
    why = "without `crystal` a blurred lattice and a lattice of broad columns look the same"
    return dict.fromkeys(_NAMES, lost("m", why)) | {"lens.source_size": bound}


def _told(found: Probe) -> Estimates:
    how = "harmonics of the crystal against those of a sharp lens; a small defocus looks alike, "
    how += "which is in the error"
    std = float(np.hypot(found.std["source"], _SOURCE * found.values["source"]))
    source = seen_or_bound(found.values["source"], std, "m", how, 2.0)
    estimates = {"lens.source_size": source}
    blurred = "which foci differ by is told from a series" if found.signed else (
        "one focus: a defocus and its opposite look the same, the sign is a guess"
    )  # fmt: skip
    for name in ("C1", "A1_x", "A1_y"):
        value, std = found.values[name], found.std[name]
        if found.signed or abs(value) > 3 * std:
            estimates[f"lens.{name}"] = Estimate(
                value=value, std=std, unit="m", status="estimated", how=blurred
            )
        else:
            why = f"not above its error; in size; {blurred}"
            most = abs(value) + 2 * std
            estimates[f"lens.{name}"] = Estimate(value=most, unit="m", status="bound", how=why)
    return estimates
