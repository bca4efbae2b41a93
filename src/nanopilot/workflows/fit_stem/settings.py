"""From estimates to an instrument."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.core.requests import from_outside
from nanopilot.twins.stem.settings import StemSettings
from nanopilot.workflows.estimates import Estimate, Estimates
from nanopilot.workflows.fit_stem.frames import StemFrames

#: A number of fewer standard errors than this is left at its default.
_WORTH = 2.0


def told_of(frames: StemFrames) -> Estimates:
    """Return what was told of the instrument, as estimates."""
    told = frames.told
    said = {
        "lens.voltage": (told.voltage, "V"),
        "lens.convergence_angle": (told.convergence_angle, "rad"),
        "current": (told.current, "A"),
        "dwell_time": (frames.dwell, "s"),
        "motion.flyback_wait": (frames.wait, "s"),
    }
    return {
        name: Estimate(value=value, unit=unit, status="told", how="with the frames")
        for name, (value, unit) in said.items()
        if value is not None
    }


def settings_of(found: Estimates, frames: StemFrames) -> StemSettings:
    """Return an instrument with what is known, and defaults for the rest.

    Of the noise of a reading a bound is taken too, if no more is known: a third of it at most.

    Parameters
    ----------
    found : dict of str to Estimate
        By the name of the setting; ``detector`` stands for the one that was read.
    frames : StemFrames
        For the detector, and for the darkest pixel where the offset is not known.
    """
    tree: dict[str, Any] = {"lens": {}, "motion": {}}
    for name in ("voltage", "convergence_angle", "source_size"):
        _put(tree["lens"], name, found.get(f"lens.{name}"))
    aberrations: dict[str, Any] = {}
    for name in ("C1", "A1_x", "A1_y"):
        _put(aberrations, name, found.get(f"lens.{name}"))
    tree["lens"]["aberrations"] = aberrations
    for name in ("current", "dwell_time"):
        _put(tree, name, found.get(name))
    for name in ("drift_noise", "jitter", "mains", "mains_frequency", "scale", "shear",
                 "flyback", "flyback_wait"):  # fmt: skip
        _put(tree["motion"], name, found.get(f"motion.{name}"))
    drift = [found.get(f"motion.drift.{axis}") for axis in "xy"]
    tree["motion"]["drift"] = tuple(_worth(one) or 0.0 for one in drift)
    name = frames.told.detector
    ring = StemSettings().detectors.named()[name].model_dump()
    for key in ("gain", "offset", "afterglow", "afterglow_time", "bits", "noise", "efficiency"):
        _put(ring, key, found.get(f"detector.{key}"))
    _guess(ring, found, frames)
    return from_outside(StemSettings, **tree, detectors={name: ring})


def _guess(ring: dict[str, Any], found: Estimates, frames: StemFrames) -> None:
    """Put in what has to be something: an offset below all light, bits that hold all counts."""
    if found["detector.offset"].known is None:
        ring["offset"] = min(ring["offset"], float(np.quantile(frames.counts, 0.001)))
    noise = found["detector.noise"]
    if noise.status == "bound" and noise.value is not None:
        ring["noise"] = min(ring["noise"], noise.value / 3)
    if found["detector.afterglow"].known and found["detector.afterglow_time"].known is None:
        ring["afterglow_time"] = frames.dwell  # of the order of a pixel: no more is known
    bits = found["detector.bits"]
    if bits.status == "bound" and bits.value is not None:
        ring["bits"] = max(ring["bits"], int(bits.value))
    ring["bits"] = int(ring["bits"])
    ring["afterglow"] = float(np.clip(ring["afterglow"], 0.0, 0.95))


def _put(tree: dict[str, Any], key: str, found: Estimate | None) -> None:
    value = _worth(found)
    if value is not None:
        tree[key] = value


def _worth(found: Estimate | None) -> float | None:
    """Return a value that is known, and is more than its error unless it has none."""
    if found is None or found.known is None:
        return None
    if found.std and abs(found.known) < _WORTH * found.std:
        return None
    return found.known
