"""Where diffusely scattered electrons go: scattered once by an atom, then on through the rest."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from nanopilot.models.electron_optics import wavelength
from nanopilot.models.tds.atoms import vibrating_atom
from nanopilot.models.tds.coherent import Detector, Kind, MeanWave, View

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Calculated this many times wider, so that nothing comes round.
_WIDER = 2
#: Points of a pixel along a side that an atom's scattering is averaged over.
_FINER = 4


def diffuse(wave: MeanWave, view: View, voltage: float) -> FloatArray:
    """Return what is scattered diffusely, on the detector of a view, per place.

    Each kind of atom scatters what the mean wave lost to it into its own angles, ``|f|² (1 -
    exp(-4 pi² k² u²))``, about the directions the wave then had. What is below scatters it on as
    if atoms lay at random: convolutions of single scattering in any number, S. Goudsmit and J. L.
    Saunderson, Phys. Rev. 57 (1940) 24, in the limit of small angles G. Molière, Z. Naturforsch.
    3a (1948) 78. Crystals channel, so that this is an estimate.

    Parameters
    ----------
    wave : MeanWave
        Of `nanopilot.models.tds.coherent.mean_wave`.
    view : View
        One of its two.
    voltage : float
        Volts.

    Returns
    -------
    numpy.ndarray
        Fractions of the incident electrons, shape (2, places, pixels, pixels): of what the mean
        wave lost, and as if all of it came from the nuclei, which is nearer at high angles.
    """
    both = np.stack([wave.lost, wave.struck])
    found: FloatArray = _spread(wave, view, both.reshape(-1, *both.shape[2:]), voltage)
    return found.reshape(both.shape[:2] + view.patterns.shape[1:])


def _spread(wave: MeanWave, view: View, lost: FloatArray, voltage: float) -> FloatArray:
    tables = [_transforms(kind, voltage, view.detector) for kind in wave.kinds]
    count = view.detector.pixels
    removed = sum(
        areal * (full - full[0, 0]) for areal, (_, full) in zip(wave.areal, tables, strict=True)
    )
    if not wave.kinds or not len(wave.depths):
        return np.zeros((len(lost), count, count))
    rest = 1 - wave.depths / wave.depth
    total = np.zeros((len(lost), *tables[0][0].shape), dtype=np.complex128)
    edges = np.linspace(0, 1, 7)
    which = np.clip(np.digitize(rest, edges) - 1, 0, 5)
    for part in range(6):
        mine = which == part
        if not mine.any():
            continue
        gone = lost[:, :, mine].sum(axis=-1)
        mean_rest = float(np.average(rest[mine], weights=lost[:, :, mine].sum((0, 1)) + 1e-30))
        onward = np.exp(mean_rest * removed)
        emitted = sum(gone[:, one, None, None] * single for one, (single, _) in enumerate(tables))
        total += emitted * onward
    pad = (_WIDER - 1) * count // 2
    directions = np.pad(np.tile(view.angles, (2, 1, 1)), ((0, 0), (pad, pad), (pad, pad)))
    total *= np.fft.rfft2(np.fft.ifftshift(directions, axes=(1, 2)))
    spread = np.fft.fftshift(np.fft.irfft2(total), axes=(1, 2))
    return np.clip(spread[:, pad : pad + count, pad : pad + count], 0.0, None)


@lru_cache(maxsize=256)
def _transforms(kind: Kind, voltage: float, detector: Detector) -> tuple[FloatArray, FloatArray]:
    """Return transforms of an atom's diffuse scattering, sum 1, and of all it scatters, in m²."""
    atom = vibrating_atom(*kind, voltage)
    count = _WIDER * detector.pixels
    step = detector.per_pixel / wavelength(voltage)
    middle = np.arange(count) - count // 2
    fine = (middle[:, None] + (np.arange(_FINER) + 0.5) / _FINER - 0.5).ravel() * step
    k = np.hypot(fine[:, None], fine)
    found = []
    for table in (atom.diffuse(k) / max(atom.total(), 1e-60), atom.cross_section(k)):
        pixels = table.reshape(count, _FINER, count, _FINER).mean(axis=(1, 3)) * step**2
        found.append(np.fft.rfft2(np.fft.ifftshift(pixels)).real)
    return found[0], found[1]
