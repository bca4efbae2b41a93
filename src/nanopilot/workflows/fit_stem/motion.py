"""Drift, jitter, hum, distortion and flyback of the scan."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.lattice_drift import Walk, displacements, distortion, walk
from nanopilot.analysis.line_jitter import LEAST, Lines, line_motion
from nanopilot.analysis.registration import register
from nanopilot.core.errors import SignalError
from nanopilot.workflows.estimates import Estimate, Estimates, lost, seen_or_bound
from nanopilot.workflows.fit_stem.crystal import Matched
from nanopilot.workflows.fit_stem.frames import FloatArray
from nanopilot.workflows.fit_stem.seen import Seen

#: Relative misfit of a lattice that is not the one that was named.
_STRANGE = 0.02
#: Pixels of an error from which on a registered shift is none; metres that defects pull a lattice.
_LOOSE, _UNSEEN = 3.0, 1e-12
#: Relative error of a time constant by what is not known of the flight back.
_WIDTH = 0.01


def motion_of(seen: Seen, matched: Matched | None) -> Estimates:
    """Return what frames say of the scan and the stage, by the name of the setting."""
    lines = _lines(seen)
    found = lines | _drift(seen, lines["motion.jitter"])
    found |= _distortion(seen, matched, found)
    return found | _undistorted(found) | {"motion.flyback": _flyback(seen)}


def _undistorted(found: Estimates) -> Estimates:
    """Return drift on the sample, where it is known how far the beam really goes along x."""
    x, y = (found[f"motion.drift.{axis}"] for axis in "xy")
    scale, shear = found["motion.scale"].known, found["motion.shear"].known
    if x.known is None or y.known is None or scale is None or shear is None:
        return {}
    return {
        "motion.drift.x": x.model_copy(update={"value": x.known * (1 + scale) + y.known * shear})
    }


def _lines(seen: Seen) -> Estimates:
    names = {"motion.jitter": "m", "motion.mains": "m", "motion.mains_frequency": "Hz"}
    if not seen.lattice:
        why = "without a lattice the shift of one line cannot be told from what it shows"
        return {name: lost(unit, why) for name, unit in names.items()}
    frames = seen.frames
    active = frames.counts.shape[2] * frames.dwell
    lines = [
        Lines(one.shifts, one.shift_std, frames.lines_of(number), active)
        for number, one in enumerate(seen.lattice)
    ]
    found = line_motion(lines)
    how = "shifts of the lines against the lattice, hum and their own error taken off"
    jitter = seen_or_bound(found.jitter, found.jitter_std, "m", how, 2.0)
    if abs(found.passed) < LEAST:
        why = f"a line takes {active:.3g} s: the hum is over before it ends"
        return {"motion.jitter": jitter, "motion.mains": lost("m", why),
                "motion.mains_frequency": lost("Hz", why)}  # fmt: skip
    if not found.seen:
        bound = Estimate(value=found.bound, unit="m", status="bound",
                         how="no line near 50 or 60 Hz stands out of the shifts")  # fmt: skip
        return {"motion.jitter": jitter, "motion.mains": bound,
                "motion.mains_frequency": lost("Hz", "there is no hum to be timed")}  # fmt: skip
    how = "a sine in the shifts of the lines, in step from frame to frame"
    return {
        "motion.jitter": jitter,
        "motion.mains": Estimate(value=found.hum, std=found.hum_std, unit="m",
                                 status="estimated", how=how),
        "motion.mains_frequency": Estimate(value=found.frequency, std=found.frequency_std,
                                           unit="Hz", status="estimated", how=how),
    }  # fmt: skip


def _drift(seen: Seen, jitter: Estimate) -> Estimates:
    names = ("motion.drift.x", "motion.drift.y")
    frames = seen.frames
    if len(frames.counts) < 2 or not frames.one_place:
        why = "one frame of a place cannot tell a drifting sample from a distorted one"
        return dict.fromkeys(names, lost("m/s", why)) | {"motion.drift_noise": lost("m/s^1.5", why)}
    places = _places(seen, jitter.known or 0.0)
    if places is None:
        why = "the frames have nothing in common"
        return dict.fromkeys(names, lost("m/s", why)) | {"motion.drift_noise": lost("m/s^1.5", why)}
    # A place that goes up is passed later: as many lines later as it has gone.
    pace = np.array([frames.dwell, frames.line_seconds]) / frames.pixel
    found = walk(places[0], places[1], frames.begins + places[0] @ pace)
    how = "where the lattice has gone from frame to frame" if seen.lattice else "registered frames"
    if seen.lattice and _ambiguous(seen, places[0]):
        how += "; it may be a lattice vector more per frame, which looks the same"
    drift = {
        name: Estimate(value=float(v), std=float(e), unit="m/s", status="estimated", how=how)
        for name, v, e in zip(names, found.velocity, found.velocity_std, strict=True)
    }
    return drift | {"motion.drift_noise": _diffusion(found, len(frames.counts))}


def _diffusion(found: Walk, count: int) -> Estimate:
    unit = "m/s^1.5"
    if count < 4:
        return lost(unit, f"{count} frames: how a velocity changes takes four")
    how = "how much more frames leave a straight way than their errors explain"
    return seen_or_bound(found.diffusion, found.diffusion_std, unit, how, 1.5)


def _places(seen: Seen, jitter: float) -> tuple[FloatArray, FloatArray] | None:
    """Return where the sample has gone in every frame, in metres, and the errors."""
    frames = seen.frames
    guess, errors = [np.zeros(2)], [np.zeros(2)]
    for before, after in pairwise(_shown(seen)):
        try:
            shift = register(before, after)
        except SignalError:
            return None
        sure = shift.matched and float(shift.std.max()) < _LOOSE
        if not sure and not seen.lattice:
            return None
        # A lattice whose defects do not say otherwise is taken to have gone the shortest way.
        gone = shift.pixels[::-1] if sure else np.zeros(2)
        guess.append(guess[-1] + gone * frames.pixel)
        errors.append(shift.std[::-1] * frames.pixel / np.sqrt(2))
    if not seen.lattice:
        errors[0] = errors[1]
        return np.array(guess), np.array(errors)
    places, std = _smoothest(seen, np.array(guess))
    rows = frames.counts.shape[1]
    own = np.array([jitter / np.sqrt(rows), 0.0])
    return places, np.sqrt(std**2 + own**2 + _UNSEEN**2)


def _smoothest(seen: Seen, guess: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return places by what was registered or by the shortest way, whichever is the smoother."""
    registered = displacements(seen.lattice, guess, seen.variance)
    shortest = displacements(seen.lattice, None, seen.variance)
    bends = [float(np.sum(np.diff(one[0], 2, axis=0) ** 2)) for one in (registered, shortest)]
    return shortest if bends[1] < 0.5 * bends[0] else registered


def _shown(seen: Seen) -> list[FloatArray]:
    """Return pictures to be registered: of a lattice its defects, for it looks alike everywhere."""
    if not seen.lattice:
        return list(seen.frames.counts)
    return [gaussian_filter(one.residual, 3.0) for one in seen.lattice]


def _ambiguous(seen: Seen, places: FloatArray) -> bool:
    shortest = float(np.linalg.norm(np.linalg.inv(seen.lattice[0].basis), axis=0).min())
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    return bool((steps > 0.4 * shortest).any())


def _distortion(seen: Seen, matched: Matched | None, found: Estimates) -> Estimates:
    names = ("motion.scale", "motion.shear")
    if matched is None:
        why = "no crystal was named, so nobody knows how the lattice should be"
        return dict.fromkeys(names, lost("1", why))
    drift = [found[f"motion.drift.{axis}"] for axis in "xy"]
    if any(one.value is None for one in drift):
        why = "one frame: a drift distorts a lattice as scale and shear do"
        return dict.fromkeys(names, lost("1", why))
    frames = seen.frames
    bases = np.array([np.linalg.inv(one.basis).T for one in seen.lattice])
    spread = bases.std(axis=0).mean() / np.sqrt(max(len(bases) - 1, 1))
    error = float(spread / np.linalg.norm(bases.mean(axis=0), axis=1).mean())
    pace = np.array([frames.dwell, frames.line_seconds]) / frames.pixel
    velocity = np.array([one.value for one in drift], dtype=float)
    told = distortion(bases.mean(axis=0), matched.real, velocity, pace, max(error, 1e-5))
    if told.misfit > _STRANGE:
        why = f"the lattice is {100 * told.misfit:.1f} % off that of {matched.name} however it lies"
        return dict.fromkeys(names, lost("1", why))
    # How badly the drift is known shears as well.
    unsure = float(np.sqrt(sum((one.std or 0.0) ** 2 for one in drift))) * pace
    how = f"the lattice against that of {matched.name}, drift taken off"
    return {
        name: Estimate(value=value, std=float(np.hypot(std, more)), unit="1",
                       status="estimated", how=how)
        for name, value, std, more in zip(
            names, (told.scale, told.shear), told.std, unsure, strict=True)
    }  # fmt: skip


def _flyback(seen: Seen) -> Estimate:
    found = seen.flyback
    if found is None:
        return lost("s", "without a lattice nothing shows where the beginning of a line belongs")
    if not found.seen:
        how = "the lattice is as good at the beginning of lines as later"
        return Estimate(value=found.bound, unit="s", status="bound", how=how)
    how = "how the lattice is drawn out at the beginning of lines"
    # The width that the beam flies back over may itself be off by a percent.
    std = float(np.hypot(found.std, _WIDTH * found.time))
    return Estimate(value=found.time, std=std, unit="s", status="estimated", how=how)
