"""What a scan says of its instrument, and what it cannot say."""

from __future__ import annotations

import numpy as np

from nanopilot.analysis.scan_lag import (
    Measured,
    PairDifference,
    integral_gain,
    pair_difference,
    unlagged,
)
from nanopilot.workflows.estimates import SEEN, Estimate, Estimates, lost
from nanopilot.workflows.fit_twin.noise_estimates import noise_of
from nanopilot.workflows.fit_twin.scans import Scan

#: What an ideal integrator with a stiff piezo is wrong by: share of the gain from error and height,
#: and from the shift of trace and retrace.
_IDEAL, _SHIFTED = 0.015, 0.06


def estimate(scan: Scan) -> Estimates:
    """Return what one scan says, by the name of the setting.

    Parameters
    ----------
    scan : Scan
        With one direction it says much less than with two.
    """
    gain = loop_gain(scan)
    pair = _pair(scan, gain)
    found = {
        "loop.integral": gain,
        **noise_of(scan, gain, pair),
        **_detector(scan, gain),
        **_motion(scan, pair),
        **_told(scan),
    }
    return found if scan.mode == "contact" else {n: _late(n, one) for n, one in found.items()}


def _late(name: str, found: Estimate) -> Estimate:
    """Return what is left of an estimate where an amplitude follows late, which is not undone.

    What trace and retrace then still differ by adds to the noise and looks like a drift.
    """
    why = "the amplitude itself follows late, and by how much is not known"
    if name.startswith("motion.drift"):
        return lost(found.unit, why)
    if name == "noise.in_loop":
        return found.model_copy(update={"status": "not identifiable", "how": f"a guess: {why}"})
    if name in ("noise.white", "noise.pink") and found.status == "estimated":
        above = (found.value or 0.0) + 2 * (found.std or 0.0)
        how = f"{found.how}; {why}"
        return Estimate(value=above, unit=found.unit, status="bound", how=how)
    return found


def _told(scan: Scan) -> Estimates:
    """Return what the file says itself."""
    lever = "lever.contact_resonance" if scan.mode == "contact" else "lever.resonance"
    names = {
        "lever.stiffness": ("SpringConstant", "N/m"),
        lever: ("DriveFrequency", "Hz"),
        "electrics.drive": ("DriveAmplitude", "V"),
    }
    said = {name: (scan.told.get(key), unit, key) for name, (key, unit) in names.items()}
    return {
        name: Estimate(value=float(value), unit=unit, status="told", how=f"`{key}`")
        for name, (value, unit, key) in said.items()
        if isinstance(value, int | float) and value > 0
    }


def loop_gain(scan: Scan) -> Estimate:
    """Return the integral gain, from error and height or else from the shift of the pair."""
    found = [
        integral_gain(scan.in_time(way), scan.in_time(way, "error"), 1 / scan.rate)
        for way in scan.directions
        if way in scan.error
    ]
    found = [one for one in found if one.value > 0 and one.significance > SEEN]
    if found:
        best = min(found, key=lambda one: one.std)
        std = float(np.hypot(best.std, _IDEAL * best.value))
        how = "slope of height over time against the error of the loop"
        return Estimate(value=best.value, std=std, unit="1/s", status="estimated", how=how)
    if len(scan.directions) == 2:
        lag = pair_difference(scan.height["trace"], scan.height["retrace"]).lag
        if lag.value > 0 and lag.significance > SEEN:
            gain = scan.rate / lag.value
            std = gain * float(np.hypot(1 / lag.significance, _SHIFTED))
            how = "shift between trace and retrace"
            return Estimate(value=gain, std=std, unit="1/s", status="estimated", how=how)
    why = "one direction without the held signal, or too flat a surface, says nothing of the lag"
    return Estimate(value=None, unit="1/s", status="not identifiable", how=why)


def _pair(scan: Scan, gain: Estimate) -> PairDifference | None:
    if len(scan.directions) < 2:
        return None
    speed = gain.value or np.inf
    there, back = (unlagged(scan.in_time(way), speed, scan.rate) for way in scan.directions)
    return pair_difference(there, back[:, ::-1])


def _detector(scan: Scan, gain: Estimate) -> Estimates:
    """Return the noise of the held signal beyond what height and gain explain."""
    ways = [way for way in scan.directions if way in scan.error]
    if not ways or gain.value is None or scan.setpoint <= 0:
        why = "no held signal in metres, or no gain to compare it with"
        return {"noise.detector": lost("1", why)}
    error, height = scan.in_time(ways[0], "error"), scan.in_time(ways[0])
    rest = error + (unlagged(height, gain.value, scan.rate) - height)
    rest = rest - rest.mean(axis=1, keepdims=True)
    share = float(rest.std() / scan.setpoint)
    how = "held signal beyond what the slope of height explains; noise of height is a part of it"
    return {"noise.detector": Estimate(value=share, unit="1", status="bound", how=how)}


def _motion(scan: Scan, pair: PairDifference | None) -> Estimates:
    """Return drift and hysteresis."""
    names = ("motion.drift.x", "motion.drift.y", "motion.drift.z")
    if pair is None:
        why = "one frame in one direction cannot tell a drifting surface from a distorted one"
        drift = lost("m/s", why)
        hysteresis = lost("1", "only trace and retrace together show it")
        return dict.fromkeys(names, drift) | {"motion.hysteresis": hysteresis}
    lines, lateral = scan.line_rate, scan.pitch * scan.line_rate
    found = (pair.drift_x.times(lateral), pair.drift_y.times(lateral), pair.drift_z.times(lines))
    how = "how trace and retrace part towards the side where retrace is latest"
    drifts = {name: _seen(one, "m/s", how) for name, one in zip(names, found, strict=True)}
    bend = pair.bend.times(1 / (scan.shape[1] - 1))
    bent = "how trace and retrace part in the middle of the line"
    return drifts | {"motion.hysteresis": _seen(bend, "1", bent)}


def _seen(found: Measured, unit: str, how: str) -> Estimate:
    if not np.isfinite(found.std) or found.std == 0:
        return lost(unit, "the surface is too flat")
    return Estimate(value=found.value, std=found.std, unit=unit, status="estimated", how=how)
