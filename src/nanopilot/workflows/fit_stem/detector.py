"""Gain, offset, noise, converter and afterglow of a detector."""

from __future__ import annotations

import numpy as np

from nanopilot.analysis.stem_noise import Transfer
from nanopilot.workflows.estimates import Estimate, Estimates, lost
from nanopilot.workflows.fit_stem.frames import FloatArray
from nanopilot.workflows.fit_stem.seen import Seen

#: Largest relative error of a gain, and of the light without which an offset says nothing.
_VAGUE, _BLURRED = 0.3, 0.3
#: Pixels at the top that are a converter's end.
_FULL = 3


def detector_of(seen: Seen) -> Estimates:
    """Return what noise says of the detector, by the name of the setting below ``detector``."""
    found = _by_noise(seen)
    if seen.frames.dark is not None:
        found |= _by_dark(seen, seen.frames.dark)
    return found | {"detector.bits": _bits(seen)}


def _by_noise(seen: Seen) -> Estimates:
    transfer = seen.transfer
    if transfer is None:
        names = {"gain": "counts", "offset": "counts", "noise": "counts",
                 "afterglow": "1", "afterglow_time": "s"}  # fmt: skip
        return {f"detector.{name}": lost(unit, seen.reason) for name, unit in names.items()}
    gain, std = transfer.values["gain"], transfer.std["gain"]
    if not gain > 0 or std > _VAGUE * gain:
        why = "the variance does not grow with the mean: frames too even, too few or saturated"
        return {
            "detector.gain": lost("counts", why),
            "detector.offset": lost("counts", why),
            "detector.noise": _most_noise(transfer),
            **_afterglow(seen, transfer, lit=False),
        }
    how = "slope of the variance over the mean, late light taken into account"
    if not seen.lattice:
        how = "slope of the variance over the mean, beyond the lens' cutoff; no afterglow assumed"
    estimates = {
        "detector.gain": Estimate(
            value=gain,
            std=std + _dark_error(seen) * gain,
            unit="counts",
            status="estimated",
            how=how,
        )
    }
    return estimates | _zero(seen, transfer)


def _zero(seen: Seen, transfer: Transfer) -> Estimates:
    """Return offset and noise of a reading, and the afterglow, which takes the offset."""
    estimates: Estimates = {}
    offset, error = transfer.values["offset"], transfer.std["offset"]
    light = transfer.values["mean"] - offset
    if not light > 0 or error > _BLURRED * light:
        why = "no dark frame, and too few electrons-worth of skewness to tell where there are none"
        estimates["detector.offset"] = lost("counts", why)
        estimates["detector.noise"] = _most_noise(transfer)
        return estimates | _afterglow(seen, transfer, lit=False)
    estimates["detector.offset"] = Estimate(
        value=offset, std=error, unit="counts", status="estimated",
        how="where the third cumulant of the noise, which only electrons have, would be zero",
    )  # fmt: skip
    estimates["detector.noise"] = _reading(
        transfer.values["variance"], transfer.std["variance"],
        "variance of the straight line at the offset, rounding taken off",
    )  # fmt: skip
    return estimates | _afterglow(seen, transfer, lit=True)


def _dark_error(seen: Seen) -> float:
    """Return the relative error of a gain by that of the dark frame the line goes through."""
    if seen.frames.dark is None or seen.transfer is None:
        return 0.0
    light = max(seen.transfer.values["mean"] - float(seen.frames.dark.mean()), 1e-9)
    return float(seen.frames.dark.std() / np.sqrt(seen.frames.dark.size) / light)


def _reading(variance: float, std: float, how: str) -> Estimate:
    """Return the noise of a reading from its variance in counts²."""
    if variance >= 2 * std:
        noise = float(np.sqrt(variance))
        error = std / (2 * noise)
        return Estimate(value=noise, std=error, unit="counts", status="estimated", how=how)
    most = float(np.sqrt(max(variance, 0.0) + 2 * std))
    return Estimate(value=most, unit="counts", status="bound", how=f"not above its error; {how}")


def _most_noise(transfer: Transfer) -> Estimate:
    values = transfer.values
    total = max(values["variance"] + values["gain"] * (values["mean"] - values["offset"]), 0.0)
    how = "all of the noise there is: without an offset it cannot be told from the electrons'"
    return Estimate(value=float(np.sqrt(total)), unit="counts", status="bound", how=how)


def _afterglow(seen: Seen, transfer: Transfer, *, lit: bool) -> Estimates:
    if not seen.lattice or not lit:
        why = (
            "without the offset it is not known how much of the noise is electrons'"
            if seen.lattice
            else "without a lattice slow noise along a line cannot be told from the picture"
        )
        return {"detector.afterglow": lost("1", why), "detector.afterglow_time": lost("s", why)}
    next_ones, error = transfer.values["glow"], transfer.std["glow"]
    time, spread = transfer.values["glow_time"], transfer.std["glow_time"]
    dwell = seen.frames.dwell
    if transfer.values["next"] < 3 * transfer.std["next"]:
        most = max(next_ones, 0.0) + 2 * error
        how = "neighbours along a line have nothing in common that those across do not have"
        bound = Estimate(value=most, unit="1", status="bound", how=how)
        why = "there is no afterglow to be timed"
        return {"detector.afterglow": bound, "detector.afterglow_time": lost("s", why)}
    part = transfer.values["glow_fraction"]
    how = "covariance of the noise of neighbours along a line, that across lines taken off"
    fraction = Estimate(
        value=part, std=transfer.std["glow_fraction"], unit="1", status="estimated", how=how
    )
    if spread > time or time < 0.2:
        late = Estimate(value=(time + 2 * spread) * dwell, unit="s", status="bound",
                        how="about a pixel or less: only one neighbour shows it")  # fmt: skip
    else:
        late = Estimate(value=time * dwell, std=spread * dwell, unit="s", status="estimated",
                        how="how the covariance falls from neighbour to neighbour")  # fmt: skip
    return {"detector.afterglow": fraction, "detector.afterglow_time": late}


def _by_dark(seen: Seen, dark: FloatArray) -> Estimates:
    """Return offset and noise from frames with the beam blanked."""
    spread, count = float(dark.std()), dark.size
    how = "a frame with the beam blanked"
    offset = Estimate(value=float(dark.mean()), std=max(spread / np.sqrt(count), 1e-9),
                      unit="counts", status="estimated", how=how)  # fmt: skip
    rounding = 1 / 12 if seen.whole else 0.0
    variance = spread**2 - rounding
    found = {"detector.offset": offset}
    found["detector.noise"] = _reading(variance, spread**2 * float(np.sqrt(2 / count)), how)
    return found


def _bits(seen: Seen) -> Estimate:
    counts = seen.frames.counts
    if not seen.whole:
        how = "counts are no whole numbers: no converter, or averaged after it"
        return Estimate(value=0.0, unit="1", status="estimated", std=0.0, how=how)
    top = float(counts.max())
    full = int(np.count_nonzero(counts == top))
    bits = int(np.ceil(np.log2(max(top, 1.0) + 1)))
    if top == 2.0**bits - 1 and full >= _FULL:
        how = f"{full} pixels read {top:g}, which is a converter's end"
        return Estimate(value=float(bits), std=0.0, unit="1", status="estimated", how=how)
    how = "a lower bound: no pixel is saturated, the largest reading takes so many"
    return Estimate(value=float(bits), unit="1", status="bound", how=how)
