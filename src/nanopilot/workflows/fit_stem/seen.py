"""What is seen in frames before anything is concluded: lattice, noise, and when lines began."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.analysis.flyback import PART, Flyback, find_flyback, lag
from nanopilot.analysis.lattice_peaks import find_lattice
from nanopilot.analysis.lattice_waves import LatticeFit, fit_lattice
from nanopilot.analysis.stem_noise import Noisy, Transfer, beyond_lens, photon_transfer
from nanopilot.core.errors import SignalError
from nanopilot.models.electron_optics import Lens
from nanopilot.workflows.fit_stem.frames import FloatArray, StemFrames

#: Share of the variance that a lattice must explain beyond noise to be one.
_CONTRAST = 1.02
#: Frames that the beginning of lines is looked at in.
_ENOUGH = 4


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Frames, taken apart.

    Parameters
    ----------
    frames : StemFrames
        As they were recorded.
    lens : Lens
        As far as it was told.
    lattice : tuple of LatticeFit
        Of every frame; empty if there is none.
    flyback : Flyback or None
        Found with the lattice.
    transfer : Transfer or None
        Of the detector.
    reason : str
        Why there is no `transfer`.
    """

    frames: StemFrames
    lens: Lens
    lattice: tuple[LatticeFit, ...]
    flyback: Flyback | None
    transfer: Transfer | None
    reason: str = ""

    @property
    def variance(self) -> float:
        """Mean variance of a pixel in counts²."""
        found = [float(np.mean(one.noise[one.used] ** 2)) for one in self.lattice]
        return float(np.mean(found)) if found else float("nan")

    @property
    def whole(self) -> bool:
        """Whether all counts are whole numbers."""
        return bool((self.frames.counts == np.rint(self.frames.counts)).all())


def lens_of(frames: StemFrames) -> Lens:
    """Return the lens that was told of, without aberrations."""
    told = frames.told
    lens = Lens() if told.voltage is None else Lens(voltage=told.voltage)
    if told.convergence_angle is None:
        return lens
    return lens.model_copy(update={"convergence_angle": told.convergence_angle})


def look(frames: StemFrames) -> Seen:
    """Take frames apart: find their lattice, fit it to each of them, and collect the noise."""
    lens = lens_of(frames)
    known = frames.told.voltage is not None and frames.told.convergence_angle is not None
    cutoff = lens.cutoff if known else 0.45 / frames.pixel
    basis = next(
        (b for b in (find_lattice(one, frames.pixel) for one in frames.counts) if b is not None),
        None,
    )
    fits: tuple[LatticeFit, ...] = ()
    flyback = None
    if basis is not None:
        fits, flyback = _fitted(frames, basis, cutoff)
    whole = bool((frames.counts == np.rint(frames.counts)).all())
    try:
        blank = frames.dark
        dark = None if blank is None else (float(blank.mean()), float(blank.var()))
        transfer = photon_transfer(
            _noise(frames, fits, cutoff, known=known), whole=whole, dark=dark
        )
    except SignalError as cause:
        return Seen(frames, lens, fits, flyback, None, str(cause))
    return Seen(frames, lens, fits, flyback, transfer)


def _fitted(
    frames: StemFrames, basis: FloatArray, cutoff: float
) -> tuple[tuple[LatticeFit, ...], Flyback | None]:
    """Fit the lattice without the beginning of lines, then with the lag that is found there."""
    columns = frames.counts.shape[2]
    hidden = np.zeros(columns)
    hidden[: int(PART * columns)] = 2e-11
    first = _each(frames, basis, cutoff, hidden)
    if not first:
        return (), None
    variance = float(np.mean([np.mean(one.noise[one.used] ** 2) for one in first]))
    pairs = list(zip(frames.counts, first, strict=True))[:_ENOUGH]
    found = find_flyback(pairs, frames.dwell, frames.wait, variance)
    late = lag(columns, frames.pixel, frames.dwell, frames.wait, found.time)
    return _each(frames, first[0].basis, cutoff, late), found


def _each(
    frames: StemFrames, basis: FloatArray, cutoff: float, late: FloatArray
) -> tuple[LatticeFit, ...]:
    fits: list[LatticeFit] = []
    try:
        for one in frames.counts:
            start = fits[-1].basis if fits else basis
            fits.append(fit_lattice(one, frames.pixel, start, cutoff, late))
    except (SignalError, np.linalg.LinAlgError):
        return ()
    explains = [float(np.var(one.model[one.used])) for one in fits]
    noise = [float(np.mean(one.residual[one.used] ** 2)) for one in fits]
    worth = 1 + np.mean(explains) / np.mean(noise) * min(fits[0].used.mean() * 5, 1.0)
    return tuple(fits) if worth > _CONTRAST else ()


def _noise(
    frames: StemFrames, fits: tuple[LatticeFit, ...], cutoff: float, *, known: bool
) -> list[Noisy]:
    if fits:
        return [Noisy(one.noise, one.model, one.used, one.model) for one in fits]
    if not known:
        raise SignalError(
            "`voltage` and `convergence_angle` are not known and there is no lattice: nothing "
            "tells noise from a picture; give both."
        )
    return [beyond_lens(one, frames.pixel, cutoff) for one in frames.counts]
