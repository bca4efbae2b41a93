"""A named crystal: what its lattice and its harmonics should be, and how it lies in a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.analysis.column_blur import transfer
from nanopilot.analysis.lattice_waves import LatticeFit
from nanopilot.core.errors import SignalError
from nanopilot.core.limits import Area
from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.contrast import fractions
from nanopilot.twins.stem.render import Renderer
from nanopilot.twins.stem.samples.lattice import Box, fill, motif
from nanopilot.twins.stem.samples.matter import Layered
from nanopilot.twins.stem.scene import Scene, flat
from nanopilot.twins.stem.settings import Annulus
from nanopilot.workflows.fit_stem.frames import FloatArray

#: Points of a cell along each side, and metres round it that scatter into it.
_POINTS, _ROUND = 64, 2.5e-9
#: How far lengths of a lattice may be off, relative, for it to be this crystal's.
_OFF = 0.06
#: Smallest size of a harmonic over the largest that an orientation is looked for with.
_STRONG = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """A crystal as it lies in frames.

    Parameters
    ----------
    name : str
        Of the crystal.
    rotation : float
        Counter-clockwise, in radians.
    shift : numpy.ndarray
        Place of the crystal's origin in metres from the middle of the first frame, (x, y).
    real : numpy.ndarray
        Lattice vectors of the unrotated crystal as rows, in metres: those that the frames' two
        reciprocal vectors belong to.
    scatters : numpy.ndarray
        Size of every harmonic of `LatticeFit` before any lens, as a fraction of the beam.
    mean : float
        Fraction of the beam that the crystal sends into the detector on average.
    agreement : float
        Correlation of sizes seen and expected.
    """

    name: str
    rotation: float
    shift: FloatArray
    real: FloatArray
    scatters: FloatArray
    mean: float
    agreement: float


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Harmonics of a crystal on its right-angled cell: complex, blurred, by (column, row)."""

    size: FloatArray
    harmonic: np.ndarray[Any, np.dtype[np.complex128]]

    def at(self, index: FloatArray) -> np.ndarray[Any, np.dtype[np.complex128]]:
        """Return harmonics by whole numbers along x and y, shape (n, 2); 0 beyond the table."""
        whole = np.rint(index).astype(int)
        inside = (np.abs(whole) < _POINTS // 2).all(axis=1)
        safe = np.where(inside[:, None], whole, 0)
        return np.asarray(np.where(inside, self.harmonic[safe[:, 1], safe[:, 0]], 0.0))


def match(fit: LatticeFit, name: str, lens: Lens, ring: Annulus, layers: int = 1) -> Matched:
    """Find how a named crystal lies in a frame.

    Parameters
    ----------
    fit : LatticeFit
        Of the frame.
    name : str
        Of the crystal, seen along its third axis.
    lens : Lens
        Voltage and convergence angle.
    ring : Annulus
        The detector.
    layers : int
        Cells along the beam.

    Raises
    ------
    UnknownName
        There is no such crystal.
    SignalError
        The lattice is not that of the crystal.
    OutOfRange
        The detector does not go with the lens.
    """
    sharp = Lens(voltage=lens.voltage, convergence_angle=lens.convergence_angle)
    table = _table(name, sharp, ring, layers)
    best: tuple[float, Matched] | None = None
    for index, rotation in _orientations(fit, table):
        every = fit.index @ index
        harmonic = table.at(every)
        score = _alike(np.abs(fit.amplitude), np.abs(harmonic))
        shift, phase = _placed(fit, harmonic, table.size, rotation)
        if best is not None and score + phase <= best[0]:
            continue
        waves = every / table.size
        blur = transfer(sharp, waves)
        sizes = np.where(blur > 0.02, np.abs(harmonic) / np.maximum(blur, 0.02), 0.0)
        real: FloatArray = np.asarray(np.linalg.inv(index / table.size).T, dtype=np.float64)
        mean = float(table.harmonic[0, 0].real)
        best = score + phase, Matched(name, rotation, shift, real, sizes, mean, score)
    if best is None or best[1].agreement < 0.5:
        seen = ", ".join(f"{1e12 * one:.1f} pm" for one in 1 / np.linalg.norm(fit.basis, axis=1))
        raise SignalError(
            f"`crystal` is {name!r}, whose lattice is not that of the frames (distances of planes "
            f"{seen}); name another, or check `pixel_size`."
        )
    return best[1]


def _table(name: str, sharp: Lens, ring: Annulus, layers: int) -> _Table:
    cell = motif(name)
    width, height = float(cell.size[0]), float(cell.size[1])
    box = Box(-_ROUND, width + _ROUND, -_ROUND, height + _ROUND)
    renderer = Renderer(fill(cell, box, layers=layers).atoms(), sharp, {"ring": ring})
    part = np.arange(_POINTS) / _POINTS
    y, x = np.meshgrid(part * height, part * width, indexing="ij")
    caught = fractions(renderer.values(x, y)[0].astype(float), ring, sharp.convergence_angle)
    return _Table(cell.size[:2].astype(float), np.fft.fft2(caught) / caught.size)


def _orientations(fit: LatticeFit, table: _Table) -> list[tuple[FloatArray, float]]:
    """Return whole numbers of the frame's two reciprocal vectors, and the rotation, that fit."""
    span = np.arange(-_POINTS // 4, _POINTS // 4 + 1)
    index = np.stack(np.meshgrid(span, span), axis=-1).reshape(-1, 2).astype(float)
    size = np.abs(table.at(index))
    index = index[(size > _STRONG * np.sort(size)[-2]) & (np.abs(index).sum(axis=1) > 0)]
    waves = index / table.size
    lengths, seen = np.linalg.norm(waves, axis=1), np.linalg.norm(fit.basis, axis=1)
    found = []
    for one in np.flatnonzero(np.abs(lengths / seen[0] - 1) < _OFF):
        angle = _angle(fit.basis[0]) - _angle(waves[one])
        cos, sin = np.cos(angle), np.sin(angle)
        turned = waves @ np.array([[cos, sin], [-sin, cos]])
        away = np.linalg.norm(turned - fit.basis[1], axis=1)
        other = int(np.argmin(away))
        if away[other] < 1.5 * _OFF * seen[1]:
            twist = 0.5 * float(np.angle(complex(*fit.basis[1]) / complex(*turned[other])))
            found.append((index[[one, other]], float(angle + twist)))
    return found


def _angle(vector: FloatArray) -> float:
    return float(np.arctan2(vector[1], vector[0]))


def _alike(one: FloatArray, other: FloatArray) -> float:
    return float(one @ other / np.sqrt(max(float((one @ one) * (other @ other)), 1e-300)))


def _placed(
    fit: LatticeFit, harmonic: np.ndarray[Any, Any], size: FloatArray, rotation: float
) -> tuple[FloatArray, float]:
    """Return where the crystal's origin lies, and how well the phases agree, 0 to 1."""
    part = np.arange(32) / 32
    cells = np.stack(np.meshgrid(part * size[0], part * size[1]), axis=-1).reshape(-1, 2)
    cos, sin = np.cos(rotation), np.sin(rotation)
    places = cells @ np.array([[cos, sin], [-sin, cos]])
    cross = fit.amplitude * harmonic.conj()
    score = np.real(np.exp(2j * np.pi * places @ fit.waves.T) @ cross)
    return places[int(np.argmax(score))], float(score.max() / max(np.abs(cross).sum(), 1e-300))


def sheet(matched: Matched, width: float, layers: int = 1) -> Scene:
    """Return a scene: the crystal as it lies, without a defect, over a square (m)."""
    cell = motif(matched.name)
    half = width / 2
    sites = fill(cell, Box(-half, half, -half, half), rotation=matched.rotation,
                 shift=matched.shift, layers=layers)  # fmt: skip
    return Scene("fitted", Area(x=(-half, half), y=(-half, half)), sites.atoms(), Layered(()), flat,
                 facts={"crystal": matched.name, "rotation": matched.rotation})  # fmt: skip
