"""The mean wave through vibrating atoms, and what it loses to diffuse scattering on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nanopilot.core.errors import SignalError
from nanopilot.models.electron_optics import Lens
from nanopilot.models.multislice.engines import NumpyEngine
from nanopilot.models.multislice.grid import Calculation, Grid, choose
from nanopilot.models.multislice.patterns import beam, overlaps
from nanopilot.models.multislice.potential import fresnel, slices
from nanopilot.models.multislice.specimen import Specimen
from nanopilot.models.tds.atoms import VibratingAtom, vibrating_atom

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
#: Number and displacement (m): a kind of atom.
Kind = tuple[int, float]

#: Metres: displacements are told apart no finer.
_SAME = 1e-13
#: Radians: what the mean wave is followed to; the first Laue zone lies within, nearly always.
_MEAN_REACH = 0.2
#: Slices between two looks at where the mean wave goes.
_EVERY = 3
#: Distinct slices that are kept.
_KEPT = 24


@dataclass(frozen=True, slots=True)
class Detector:
    """Square pixels; the middle of pixel ``pixels // 2`` is at angle 0.

    Parameters
    ----------
    pixels : int
        Rows and columns.
    per_pixel : float
        Radians.
    """

    pixels: int = 64
    per_pixel: float = 6.25e-3

    @property
    def reach(self) -> float:
        """Radians from the middle to the nearer edge."""
        return (self.pixels / 2 - 0.5) * self.per_pixel

    def calculation(self) -> Calculation:
        """Return a calculation for this detector."""
        return Calculation(pixels=self.pixels, angle_per_pixel=self.per_pixel)


#: What everything diffuse is learned on.
COARSE = Detector()


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The mean wave on a detector.

    Parameters
    ----------
    detector : Detector
        Which.
    patterns : numpy.ndarray
        Fractions of the incident electrons, shape (places, pixels, pixels).
    angles : numpy.ndarray
        Where the wave went at the time it lost, weighted with what it lost; sums to 1, same shape.
    """

    detector: Detector
    patterns: FloatArray
    angles: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class MeanWave:
    """What became of the mean wave at places, down to a depth.

    Parameters
    ----------
    depth : float
        Metres from the top of the box.
    view, coarse : View
        On the detector that was asked for, and on `COARSE`.
    kinds : tuple of (int, float)
        Atomic number and displacement (m) of each kind of atom.
    areal : numpy.ndarray
        Atoms per m² down to the depth, by kind, shape (kinds,).
    lost : numpy.ndarray
        Fraction scattered diffusely, shape (places, kinds, slices).
    struck : numpy.ndarray
        The same if all of it came from where the nuclei are, as what goes to high angles does: the
        wave's intensity there times the cross section, shape (places, kinds, slices).
    depths : numpy.ndarray
        Of the slices, in metres, shape (slices,).
    """

    depth: float
    view: View
    coarse: View
    kinds: tuple[Kind, ...]
    areal: FloatArray
    lost: FloatArray
    struck: FloatArray
    depths: FloatArray

    def __len__(self) -> int:
        return len(self.lost)

    def place(self, number: int) -> MeanWave:
        """Return what became of the wave at one of the places alone."""
        one = slice(number, number + 1)
        view, coarse = (
            View(seen.detector, seen.patterns[one], seen.angles[one])
            for seen in (self.view, self.coarse)
        )
        lost, struck = self.lost[one], self.struck[one]
        return replace(self, view=view, coarse=coarse, lost=lost, struck=struck)


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    """Mean transmission, and by kind which part of what is lost is its own."""

    transmission: Any
    shares: Any
    nuclei: Any
    counts: FloatArray


@dataclass
class _Slices:
    """Makes slices; those of a perfect crystal repeat and are made once."""

    specimen: Specimen
    voltage: float
    grid: Grid
    engine: NumpyEngine
    kinds: tuple[Kind, ...] = ()
    _kind: Any = None
    _factors: list[tuple[Any, Any]] = field(default_factory=list)
    _known: dict[bytes, _Slice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rounded = np.round(self.specimen.rms / _SAME).astype(int)
        both = np.stack([self.specimen.number, rounded], axis=-1)
        rows, index = np.unique(both.reshape(-1, 2), axis=0, return_inverse=True)
        self.kinds = tuple((int(number), float(rms * _SAME)) for number, rms in rows)
        self._kind = index.reshape(-1)
        k = np.sqrt(self.grid.square)
        for number, rms in self.kinds:
            atom: VibratingAtom = vibrating_atom(number, rms, self.voltage)
            blur = np.exp(-2 * (np.pi * rms) ** 2 * self.grid.square) * atom.total()
            self._factors.append((atom.mean_factor(k), blur))

    def __call__(self, which: Any) -> _Slice:
        """Return the slice of these atoms."""
        across = np.round(self.specimen.position[which, :2] / 1e-15).astype(np.int64)
        key = across.tobytes() + self._kind[which].tobytes()
        if key not in self._known:
            made = self._made(which)
            if len(self._known) >= _KEPT:
                return made
            self._known[key] = made
        return self._known[key]

    def _made(self, which: Any) -> _Slice:
        grid, kind = self.grid, self._kind[which]
        total = np.zeros(grid.shape, dtype=np.complex128)
        parts, nuclei = np.zeros((2, len(self.kinds), *grid.shape))
        counts = np.bincount(kind, minlength=len(self.kinds)).astype(float)
        scale = grid.shape[0] * grid.shape[1] / (grid.box[0] * grid.box[1])
        for one, (factor, blur) in enumerate(self._factors):
            x, y = self.specimen.position[which[kind == one], :2].T
            phases = np.exp(-2j * np.pi * grid.ky[:, None] * y)
            phases = phases @ np.exp(-2j * np.pi * x[:, None] * grid.kx)
            own = np.fft.ifft2(factor * phases) * scale
            total += own
            parts[one] = np.clip(2 * own.imag, 0.0, None)
            nuclei[one] = np.fft.ifft2(blur * phases).real * scale
        # What passes is limited in band after the product, as in any multislice.
        lost = -np.expm1(-parts.sum(axis=0))
        shares = lost * parts / np.maximum(parts.sum(axis=0), 1e-12)
        passed = self.engine.forward(self.engine.put(np.exp(1j * total)))
        passed *= self.engine.put(grid.inside.astype(float))
        put = self.engine.put
        return _Slice(self.engine.back(passed), put(shares), put(nuclei), counts)


def mean_wave(
    specimen: Specimen,
    lens: Lens,
    places: FloatArray,
    how: Calculation,
    depths: Sequence[float] = (),
) -> list[MeanWave]:
    """Run the mean wave through a specimen of vibrating atoms, once, no phonons drawn.

    Multislice with each atom's transmission averaged over its displacements. In the Einstein model
    the mean over phonons of the wave is exactly this; the intensity that it loses, ``|psi|² (1 -
    |<T>|²)`` at every slice, is what becomes diffuse: H. Yoshioka, J. Phys. Soc. Jpn. 12 (1957)
    618; absorptive potentials, Hall and Hirsch (1965).

    Parameters
    ----------
    specimen, lens, places, how
        As of `nanopilot.models.multislice.patterns`; `how.phonons` does not enter, nor focal
        spread and source size.
    depths : sequence of float
        Metres, ascending: where to tell what became of it. Empty: at the bottom.

    Returns
    -------
    list of MeanWave
        One per depth.

    Raises
    ------
    OutOfRange
        The box, the aperture, the sampling or the tilt is outside of what holds.
    SignalError
        `places` is no finite array of shape (n, 2).
    """
    if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
        raise SignalError(f"`places` has shape {places.shape}; it is finite, (n, 2).")
    return _Run(specimen, lens, how).down(places, tuple(depths) or (specimen.box[2],))


@dataclass
class _Sums:
    """What has been lost so far, slice by slice, and where the wave went then, by detector."""

    lost: list[FloatArray] = field(default_factory=list)
    struck: list[FloatArray] = field(default_factory=list)
    depths: list[float] = field(default_factory=list)
    angles: list[Any] = field(default_factory=lambda: [0.0, 0.0])


class _Run:
    """One specimen and one lens."""

    def __init__(self, specimen: Specimen, lens: Lens, how: Calculation) -> None:
        self._specimen, self._lens, self._how = specimen, lens, how
        narrow = max(1, min(how.pixels, 2 * int(_MEAN_REACH / how.angle_per_pixel)))
        self._grid = grid = choose(specimen, lens, how.model_copy(update={"pixels": narrow}))
        self._engine = engine = NumpyEngine(how.precision, how.workers)
        self._slices = _Slices(specimen, lens.voltage, grid, engine)
        self._inside = engine.put(grid.inside.astype(float))
        self._detectors = (Detector(how.pixels, how.angle_per_pixel), COARSE)
        self._onto = [
            [
                engine.put(overlaps(lens.wavelength * k, lens.wavelength / side, one.calculation()))
                for k, side in zip((grid.ky, grid.kx), grid.box, strict=True)
            ]
            for one in self._detectors
        ]

    def down(self, places: FloatArray, depths: tuple[float, ...]) -> list[MeanWave]:
        """Follow the wave down to each of the depths (m)."""
        waves = self._entrance(places - np.asarray(self._specimen.corner))
        areal, sums, seen = np.zeros(len(self._slices.kinds)), _Sums(), self._seen(waves)
        last = 0.0
        found: list[MeanWave] = []
        for number, (depth, which) in enumerate(slices(self._specimen, self._how.slice_thickness)):
            while len(found) < len(depths) and depth >= depths[len(found)] - 1e-13:
                found.append(self._told(depths[len(found)], waves, areal, sums))
            if len(found) == len(depths):
                return found
            one = self._slices(which)
            waves *= self._propagator(depth - last)
            waves = self._through(waves, one, sums)
            if number % _EVERY == 0:
                seen = self._seen(waves)
            gone = sums.lost[-1].sum(axis=1)[:, None, None]
            for view, now in enumerate(seen):
                sums.angles[view] += now * gone / np.maximum(now.sum((1, 2), keepdims=True), 1e-12)
            sums.depths.append(depth)
            areal += one.counts / (self._grid.box[0] * self._grid.box[1])
            last = depth
        return found + [self._told(depth, waves, areal, sums) for depth in depths[len(found) :]]

    def _through(self, waves: Any, one: _Slice, sums: _Sums) -> Any:
        """Return the waves behind a slice, in reciprocal space; note what they lose."""
        waves = self._engine.back(waves)
        # Squares of the wave sum to 1 in reciprocal space; the transform divides by the points.
        points = float(self._grid.inside.size)
        density = self._engine.intensity(waves).reshape(len(waves), -1) * points
        kinds = len(self._slices.kinds)
        sums.lost.append(density @ one.shares.reshape(kinds, -1).T)
        sums.struck.append(density @ one.nuclei.reshape(kinds, -1).T)
        waves *= one.transmission
        return self._engine.forward(waves)

    def _entrance(self, places: FloatArray) -> Any:
        put, grid = self._engine.put, self._grid
        along_y = put(np.exp(-2j * np.pi * grid.ky * places[:, 1:]))
        along_x = put(np.exp(-2j * np.pi * grid.kx * places[:, :1]))
        waves = put(beam(self._lens, grid)) * along_y[:, :, None]
        waves *= along_x[:, None, :]
        return waves

    def _seen(self, waves: Any) -> list[FloatArray]:
        inside = self._engine.intensity(waves * self._inside)
        return [np.asarray((rows @ inside) @ columns.T, float) for rows, columns in self._onto]

    def _propagator(self, distance: float) -> Any:
        return self._engine.put(
            fresnel(self._grid, self._lens.wavelength, distance, self._how.tilt)
        )

    def _told(self, depth: float, waves: Any, areal: FloatArray, sums: _Sums) -> MeanWave:
        count = (len(waves), len(self._slices.kinds), 0)
        views = []
        for detector, seen, angles in zip(
            self._detectors, self._seen(waves), sums.angles, strict=True
        ):
            whole = np.zeros_like(seen) + angles
            whole /= np.maximum(whole.sum((1, 2), keepdims=True), 1e-12)
            views.append(View(detector, seen, whole))
        lost, struck = (
            np.stack(one, axis=-1).astype(float) if one else np.zeros(count)
            for one in (sums.lost, sums.struck)
        )
        depths = np.asarray(sums.depths)
        return MeanWave(float(depth), views[0], views[1], self._slices.kinds, areal.copy(), lost,
                        struck, depths)  # fmt: skip
