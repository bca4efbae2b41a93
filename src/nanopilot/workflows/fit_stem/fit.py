"""Fit an electron twin to real frames, and say what is left between them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.models.electron_optics import CHARGE
from nanopilot.twins.stem.settings import StemSettings
from nanopilot.workflows.estimates import Estimate, Estimates, lost
from nanopilot.workflows.fit_stem.crystal import Matched, match, sheet
from nanopilot.workflows.fit_stem.detector import detector_of
from nanopilot.workflows.fit_stem.frames import FloatArray, StemFrames
from nanopilot.workflows.fit_stem.gap import stem_gap
from nanopilot.workflows.fit_stem.motion import motion_of
from nanopilot.workflows.fit_stem.optics import optics_of
from nanopilot.workflows.fit_stem.report import FittedStem, StemReport
from nanopilot.workflows.fit_stem.seen import Seen, look
from nanopilot.workflows.fit_stem.settings import settings_of, told_of
from nanopilot.workflows.fit_stem.twin_frames import (
    denoised,
    electrons_of,
    fraction_of,
    scanned,
    still_scene,
)

Progress = Callable[[int, int, str], None]

#: Largest relative error of a crystal's brightness for the share of counted electrons to be one.
_UNSURE = 0.05


def estimate_stem(
    frames: StemFrames, crystal: str | None = None, layers: int = 1
) -> tuple[Estimates, Seen, Matched | None]:
    """Return what frames say of the instrument, by the name of the setting.

    Parameters
    ----------
    frames : StemFrames
        Of one instrument.
    crystal : str, optional
        What they show, seen along its third axis: a name in
        `nanopilot.twins.stem.samples.crystals.STRUCTURES`.
    layers : int
        Cells of it along the beam.

    Returns
    -------
    (dict of str to Estimate, Seen, Matched or None)
        Estimates, and what they were made from.

    Raises
    ------
    UnknownName
        There is no such crystal.
    SignalError
        A crystal is named whose lattice is not that of the frames, or there is none.
    OutOfRange
        The detector does not go with the lens that was told.
    """
    seen = look(frames)
    matched = None
    if crystal is not None:
        if not seen.lattice:
            raise SignalError(
                f"`crystal` is {crystal!r}, but {frames.name} shows no lattice; leave it out."
            )
        ring = StemSettings().detectors.named()[frames.told.detector]
        matched = match(seen.lattice[0], crystal, seen.lens, ring, layers)
    found = told_of(frames) | detector_of(seen) | optics_of(seen, matched)
    found |= motion_of(seen, matched)
    found["detector.efficiency"] = _efficiency(seen, matched, found)
    return found, seen, matched


def _efficiency(seen: Seen, matched: Matched | None, found: Estimates) -> Estimate:
    gain, offset = found["detector.gain"].known, found["detector.offset"].known
    current = seen.frames.told.current
    if matched is None or current is None or gain is None or offset is None or not seen.lattice:
        return lost("1", "takes `current`, `crystal`, gain and offset")
    mean = float(np.mean([one.mean for one in seen.lattice]))
    electrons = current * seen.frames.dwell / CHARGE * matched.mean
    share = (mean - offset) / gain / electrons
    errors = [found[f"detector.{name}"].std or 0.0 for name in ("gain", "offset")]
    std = share * float(np.hypot(errors[0] / gain, errors[1] / max(mean - offset, 1e-9)))
    std = float(np.hypot(std, _UNSURE * share))
    how = "electrons that were counted over those that the crystal should scatter there"
    if share > 1:
        how += "; more than all: taken for all (dirt on the sample, or more current than told)"
        return Estimate(value=1.0, std=std, unit="1", status="estimated", how=how)
    return Estimate(value=share, std=std, unit="1", status="estimated", how=how)


def fit_stem(
    frames: StemFrames,
    *,
    crystal: str | None = None,
    layers: int = 1,
    seed: int = 0,
    progress: Progress = lambda done, total, text: None,
) -> FittedStem:
    """Estimate an electron microscope from its frames, and compare twins with the first of them.

    Parameters
    ----------
    frames : StemFrames
        Of one instrument.
    crystal, layers : str, int
        As of `estimate_stem`. Named: both twins scan that crystal as it lies in the frames. Not
        named: both scan the first frame, denoised, as a picture that stands still.
    seed : int
        Of the twins' noise; the estimates do not depend on it.
    progress : callable
        Told how many steps are done, of how many, and which is next.

    Raises
    ------
    UnknownName, SignalError, OutOfRange
        As of `estimate_stem`.
    """
    progress(0, 2, f"measuring {frames.name}")
    found, seen, matched = estimate_stem(frames, crystal, layers)
    settings = settings_of(found, frames)
    progress(1, 2, "comparing with twins")
    usual = StemSettings()
    fitted, default = _both(seen, matched, (settings, usual), layers, seed)
    real = frames.counts[0]
    report = StemReport(
        settings=settings,
        estimates=found,
        frames=frames.name,
        scene="picture" if matched is None else "crystal",
        fitted=stem_gap(real, fitted, frames.pixel),
        default=stem_gap(real, default, frames.pixel),
        seed=seed,
    )
    progress(2, 2, "done")
    return FittedStem(report, real, fitted, default, frames.pixel)


def _both(
    seen: Seen,
    matched: Matched | None,
    instruments: tuple[StemSettings, StemSettings],
    layers: int,
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    """Return frames of the fitted and of the default twin on one scene."""
    frames = seen.frames
    reach = max(one.scan_range for one in instruments)
    if max(frames.width) / 2 > reach:
        raise OutOfRange(
            f"`pixel_size` makes frames {max(frames.width):g} m wide; twins scan {2 * reach:g} m."
        )
    picture = None
    if matched is None:
        scene, settings = still_scene(frames), instruments[0]
        ring = settings.detectors.named()[frames.told.detector]
        picture = fraction_of(denoised(seen), ring, electrons_of(frames, settings))
    else:
        scene = sheet(matched, 1.5 * max(frames.width) + 4e-9, layers)
    fitted, default = (scanned(frames, scene, one, seed, picture) for one in instruments)
    return fitted, default
