"""Spectra of energy losses: what share of the beam has lost how much energy.

Losses of one electron are independent, so the spectrum is the zero-loss peak convolved with the
exponential, in the sense of convolution, of the single losses: in Fourier space
``Z exp(S - mu)`` with ``mu`` the mean number of losses. That is what Fourier-log deconvolution
undoes (D. W. Johnson and J. C. H. Spence, J. Phys. D 7 (1974) 771; Egerton 2011, section 4.1.1).
Single losses are valence losses of the materials, surface plasmons, core losses of the atoms, and
what the scene adds. Electrons that a loss or a nucleus throws past the aperture are missing. The
smooth background under an edge is what plasmons and lower edges leave there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.models.electron_optics import Lens, check_voltage
from nanopilot.twins.stem.spectra import core_losses, valence_losses
from nanopilot.twins.stem.spectra.columns import FloatArray, Places
from nanopilot.twins.stem.spectra.fine_structure import USUAL, mixture
from nanopilot.twins.stem.spectra.inelastic import (
    beam_share,
    check_angle,
    elastic_outside,
    mean_free_path,
    surface_loss,
)
from nanopilot.twins.stem.spectra.inelastic import (
    valence_losses as collected_valence_losses,
)
from nanopilot.twins.stem.spectra.optical_data import optics
from nanopilot.twins.stem.spectra.tables import symbol
from nanopilot.twins.stem.spectra.zero_loss import REACH, ZeroLoss, check_asymmetry

#: Energies in eV for which there are tables.
ENERGIES = (-1000.0, 3000.0)
_COARSEST = 0.5  # eV: coarser channels are made of finer ones
_FADE = 12.0  # what would come round the end of the transform is damped by exp(-this)
_LEAST_VALENCE = 0.3  # of the losses that the mean free path counts
_BLOCK = 256  # places at once


@dataclass(frozen=True, slots=True)
class _Grid:
    """Channels of losses, the first centred at no loss, and how they lie below the asked ones."""

    width: float  # eV
    count: int
    first: float  # eV: energy of the first channel asked for
    parts: int  # of an asked channel
    asked: int

    @property
    def key(self) -> tuple[float, int]:
        return self.width, self.count


@dataclass(frozen=True, slots=True, eq=False)
class Singles:
    """Single losses of a batch of places: spectra of their kinds, and how often each happens.

    Parameters
    ----------
    kinds : numpy.ndarray
        Shape (kinds, channels): probability in each channel per unit of weight.
    whole : numpy.ndarray
        Shape (kinds,): the same for all energies together.
    weights : numpy.ndarray
        Shape (kinds, n).
    """

    kinds: FloatArray
    whole: FloatArray
    weights: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Losses per electron, shape (n,)."""
        found: FloatArray = self.whole @ self.weights
        return found


def loss_probability(
    places: Places,
    energies: FloatArray,
    lens: Lens,
    collection_angle: float,
    asymmetry: float = 0.0,
) -> FloatArray:
    """Return the probability per eV that an electron is collected after a loss.

    Parameters
    ----------
    places : Places
        What it goes through.
    energies : numpy.ndarray
        Middles of the channels in eV, equally spaced and rising, shape (energies,).
    lens : Lens
        Voltage, convergence and energy spread.
    collection_angle : float
        Radians.
    asymmetry : float
        From 0, a Gaussian zero-loss peak, to below 1, one with a tail towards losses as that of a
        cold field emitter; the standard deviation is that of the lens.

    Returns
    -------
    numpy.ndarray
        Shape (n, energies), averaged over each channel. Over all energies it integrates to
        `collected_fraction`.

    Raises
    ------
    OutOfRange
        Voltage, angle, thickness, valence, energies or asymmetry lie outside what the model and
        its tables hold for.
    SignalError
        Energies are not equally spaced and rising, or are not those of `places.extra`.

    Examples
    --------
    >>> sample = Places(("silicon",), np.array([[50e-9]]))
    >>> energies = np.arange(-20.0, 1000.0, 0.5)
    >>> spectrum = loss_probability(sample, energies, Lens(energy_spread=0.4), 40e-3)[0]
    >>> float(energies[40 + 16:][spectrum[40 + 16:].argmax()])
    16.5
    """
    check_voltage(lens.voltage)
    check_angle(collection_angle)
    check_asymmetry(asymmetry)
    grid = _grid(np.asarray(energies, float), lens)
    if places.extra is not None and places.extra.shape[1] != grid.asked:
        raise SignalError(
            f"`extra` has {places.extra.shape[1]} energies; the spectrum has {grid.asked}."
        )
    out = np.empty((len(places), grid.asked))
    for start in range(0, len(places), _BLOCK):
        block = slice(start, start + _BLOCK)
        out[block] = _spectra(places.keep(block), grid, lens, collection_angle, asymmetry)
    return out


def collected_fraction(places: Places, lens: Lens, collection_angle: float) -> FloatArray:
    """Return the share of the beam that is collected after any loss or none, shape (n,).

    Raises
    ------
    OutOfRange
        As `loss_probability`.
    """
    check_voltage(lens.voltage)
    check_angle(collection_angle)
    names, atoms = places.atoms()
    elastic = np.array([elastic_outside(name, lens, collection_angle) for name in names])
    _, lost = collected_valence_losses(places, lens, collection_angle)
    lost_to_angle = lost.sum(axis=0) + elastic @ atoms if len(names) else lost.sum(axis=0)
    found: FloatArray = beam_share(lens, collection_angle) * np.exp(-lost_to_angle)
    return found


def mean_losses(places: Places, lens: Lens, collection_angle: float) -> FloatArray:
    """Return losses per collected electron, shape (n,): the truth of every log-ratio, t/lambda.

    `Places.extra` is left out.

    Raises
    ------
    OutOfRange
        As `loss_probability`.
    """
    check_voltage(lens.voltage)
    check_angle(collection_angle)
    return singles(places, (1.0, 64), lens, collection_angle).mean


def singles(
    places: Places, grid: tuple[float, int], lens: Lens, collection_angle: float
) -> Singles:
    """Return the single losses at places on a grid.

    Parameters
    ----------
    places : Places
        What the beam goes through.
    grid : (float, int)
        Width of a channel in eV and how many there are; the first is centred at 0.
    lens : Lens
        Voltage and convergence.
    collection_angle : float
        Radians.

    Raises
    ------
    OutOfRange
        As `loss_probability`.
    """
    found = [
        *_valence_kinds(places, grid, lens, collection_angle),
        *_core_kinds(places, grid, lens, collection_angle),
    ]
    return Singles(
        np.array([kind for kind, _, _ in found]).reshape(-1, grid[1]),
        np.array([whole for _, whole, _ in found]),
        np.array([weight for _, _, weight in found]).reshape(-1, len(places)),
    )


_Kind = tuple[FloatArray, float, FloatArray]


def _valence_kinds(
    places: Places, grid: tuple[float, int], lens: Lens, collection_angle: float
) -> Iterator[_Kind]:
    """Yield bulk and surface plasmons of each material."""
    often, _ = collected_valence_losses(places, lens, collection_angle)
    total = places.thickness.sum(axis=0)
    surfaces = 2 * surface_loss(lens.voltage) / (total + valence_losses.SURFACE_DEPTH)
    for one, bulk, thick in zip(places.made_of, often, places.thickness, strict=True):
        core = 0.0
        for number, density in one.concentration().items():
            name = symbol(number)
            key = (name, USUAL.get(name, 0))
            core += density * core_losses.per_channel(key, grid, lens, collection_angle)[1]
        # The mean free path was measured with every loss in it, core losses too.
        left = max(1 - core * mean_free_path(one, lens, collection_angle), _LEAST_VALENCE)
        for weight, surface in ((bulk * left, False), (surfaces * thick, True)):
            key_of_shape = (optics(one), surface)
            shape = valence_losses.per_channel(key_of_shape, grid, lens, collection_angle)
            yield shape, 1.0, weight


def _core_kinds(
    places: Places, grid: tuple[float, int], lens: Lens, collection_angle: float
) -> Iterator[_Kind]:
    """Yield the inner shells of each element, for each valence."""
    for name, atoms in zip(*places.atoms(), strict=True):
        shares = mixture(name, places.valence.get(name), len(places))
        for state, share in zip(core_losses.valences(name), shares, strict=True):
            shape, whole = core_losses.per_channel((name, state), grid, lens, collection_angle)
            yield shape, whole, atoms * share


def _grid(energies: FloatArray, lens: Lens) -> _Grid:
    if energies.ndim != 1 or len(energies) < 2 or not np.isfinite(energies).all():
        raise SignalError(f"`energies` has shape {energies.shape}; it is finite, (2 or more,).")
    step = float(energies[-1] - energies[0]) / (len(energies) - 1)
    if step <= 0 or not np.allclose(np.diff(energies), step, rtol=1e-3, atol=1e-9):
        raise SignalError("`energies` are not equally spaced and rising; interpolate afterwards.")
    if energies[0] < ENERGIES[0] or energies[-1] > ENERGIES[1]:
        raise OutOfRange(
            f"`energies` go from {energies[0]:g} eV to {energies[-1]:g} eV; the tables hold from "
            f"{ENERGIES[0]:g} eV to {ENERGIES[1]:g} eV. Lower `offset` or `dispersion`."
        )
    parts = int(np.ceil(step / _COARSEST))
    top = max(float(energies[-1]), 0.0) + REACH * lens.energy_spread + 4 * step
    count = int(np.ceil(top / step)) * parts + 2
    return _Grid(step / parts, count, float(energies[0]), parts, len(energies))


def _spectra(
    places: Places, grid: _Grid, lens: Lens, collection_angle: float, asymmetry: float
) -> FloatArray:
    """Carry out ``Z exp(S - mu)``, damped so that nothing comes round the end."""
    from scipy.fft import irfft, next_fast_len, rfft

    peak_shape = ZeroLoss(lens.energy_spread, asymmetry)
    zero, start = peak_shape.channels(grid.width, grid.width * grid.parts, grid.first)
    size = next_fast_len(grid.count + 2 * len(zero), real=True)
    fade = np.exp(-_FADE / size * np.arange(grid.count))
    found = singles(places, grid.key, lens, collection_angle)
    transform = found.weights.T @ rfft(found.kinds * fade, size, axis=1)
    mean = found.mean
    if places.extra is not None:
        extra = _on_grid(places.extra, grid)
        transform = transform + rfft(extra * fade, size, axis=1)
        mean = mean + extra.sum(axis=1)
    shift = np.arange(len(zero)) + start  # channels from no loss
    peak = np.zeros(size)
    peak[shift % size] = zero * np.exp(-_FADE / size * shift)
    kept = collected_fraction(places, lens, collection_angle) * np.exp(-mean)
    spectra = irfft(np.exp(transform) * rfft(peak), size, axis=1)
    # Position p of the transform is the energy grid.first + (p - origin) * width.
    origin = -round(grid.first / grid.width)
    wanted = np.arange(grid.asked) * grid.parts - origin
    inside = (wanted >= start) & (wanted < grid.count)
    out = np.zeros((len(places), grid.asked))
    back = np.exp(_FADE / size * wanted[inside])
    out[:, inside] = spectra[:, wanted[inside] % size] * back * kept[:, None]
    return np.maximum(out, 0.0, out=out)


def _on_grid(extra: FloatArray, grid: _Grid) -> FloatArray:
    """Return probabilities in channels of losses from densities at the energies asked for."""
    place = (np.arange(grid.count) * grid.width - grid.first) / (grid.width * grid.parts)
    low = np.clip(np.floor(place).astype(int), 0, grid.asked - 2)
    rest = place - low
    inside = (rest >= 0) & (rest <= 1)
    rest = np.where(inside, rest, 0.0)
    found = extra[:, low] * (1 - rest) + extra[:, low + 1] * rest
    found *= inside * grid.width
    found[:, 0] /= 2
    return np.asarray(found)
