"""How finely a calculation is done, and the bounds within which it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.units import Angle, Length
from nanopilot.core.values import Value
from nanopilot.models.electron_optics import ComplexArray, Lens
from nanopilot.models.multislice.specimen import Specimen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Radians: more is no small tilt, and the slices would have to be cut along it.
STEEPEST = 0.1
#: Of the highest frequency of the grid: what a product of two waves does not fold back into.
BAND = 2 / 3
#: Metres: coarser pixels do not resolve the potential of an atom.
COARSEST = 2e-11
#: What is taken unless the camera or the aperture needs finer ones.
_USUAL = 7.5e-12
#: Pixels along one side.
_MOST = 4096


class Calculation(Value):
    """What is calculated, how finely, and with what.

    Parameters
    ----------
    pixels : int
        Rows and columns of the detector; the middle of pixel ``pixels // 2`` is at angle 0.
    angle_per_pixel : float
        Radians.
    phonons : int
        Configurations of vibrating atoms that are averaged; each has a defocus and a place of
        the source of its own, drawn from what the lens says. 0: atoms at rest, a coherent beam.
    tilt : (float, float)
        Direction of the beam against z, along x and y, in radians; the detector follows.
    pixel : float, optional
        Of the grid, in metres, at most; None: 7.5e-12, or less where the detector or the aperture
        needs it. 4 nm of gold at 300 kV are then right to 3.5 % of the brightest pixel, those of
        SrTiO3 to 0.2 %; with 5e-12, to 0.7 and 0.1 %.
    slice_thickness : float
        Metres.
    precision : {"single", "double"}
        Of the wave.
    backend : {"numpy", "torch"}
        What computes.
    device : str
        Of torch, such as ``"cuda"``.
    workers : int
        Threads of the transforms of numpy; -1: as many as there are cores.
    block : int
        Places that are calculated together.
    """

    pixels: int = Field(default=128, ge=1, le=4096)
    angle_per_pixel: Angle = Field(default=1.5e-3, gt=0)
    phonons: int = Field(default=0, ge=0, le=1000)
    tilt: tuple[Angle, Angle] = (0.0, 0.0)
    pixel: Length | None = Field(default=None, gt=0)
    slice_thickness: Length = Field(default=2e-10, gt=0, le=1e-9)
    precision: Literal["single", "double"] = "single"
    backend: Literal["numpy", "torch"] = "numpy"
    device: str = "cpu"
    workers: int = Field(default=-1, ge=-1)
    block: int = Field(default=16, ge=1)

    @property
    def reach(self) -> float:
        """Radians from the middle of the detector to the farther edge."""
        return (self.pixels // 2 + 0.5) * self.angle_per_pixel

    def angles(self) -> FloatArray:
        """Return the angles of rows, or of columns, in radians, shape (pixels,)."""
        return np.asarray((np.arange(self.pixels) - self.pixels // 2) * self.angle_per_pixel)


@dataclass(frozen=True)
class Grid:
    """Points of a box, rows along y.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    box : (float, float)
        Along y and along x, in metres.
    """

    shape: tuple[int, int]
    box: tuple[float, float]

    @property
    def pixel(self) -> float:
        """Metres, of the longer side."""
        return max(side / count for side, count in zip(self.box, self.shape, strict=True))

    @property
    def band(self) -> float:
        """Highest spatial frequency of a wave in 1/m."""
        return BAND / (2 * self.pixel)

    @cached_property
    def ky(self) -> FloatArray:
        """Spatial frequencies of rows in 1/m, order of the discrete transform."""
        return np.asarray(np.fft.fftfreq(self.shape[0], self.box[0] / self.shape[0]))

    @cached_property
    def kx(self) -> FloatArray:
        """Spatial frequencies of columns in 1/m, order of the discrete transform."""
        return np.asarray(np.fft.fftfreq(self.shape[1], self.box[1] / self.shape[1]))

    @cached_property
    def square(self) -> FloatArray:
        """Square of the spatial frequency in 1/m², shape `shape`."""
        return np.asarray(self.ky[:, None] ** 2 + self.kx**2)

    @cached_property
    def inside(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """What is within the band, shape `shape`."""
        return np.asarray(self.square < self.band**2)


def choose(specimen: Specimen, lens: Lens, how: Calculation) -> Grid:
    """Return the grid for a box, fine enough for the aperture and the detector.

    Raises
    ------
    OutOfRange
        The tilt is too large, a pixel is too coarse, the box is too small for the beam or for the
        angles between pixels of the detector, or the grid would be too large.
    """
    from scipy.fft import next_fast_len

    if max(np.abs(how.tilt)) > STEEPEST:
        raise OutOfRange(
            f"`tilt` is {how.tilt} rad; each is at most {STEEPEST:g} rad: turn the atoms instead."
        )
    wavelength, box = lens.wavelength, (specimen.box[1], specimen.box[0])
    widest = max(how.reach, lens.convergence_angle)
    needed = BAND * wavelength / (2 * widest)
    pixel = min(_USUAL, 0.999 * needed) if how.pixel is None else how.pixel
    if pixel > min(needed, COARSEST):
        raise OutOfRange(
            f"`pixel` is {pixel:g} m; angles up to {widest:g} rad (aperture or edge of the "
            f"detector) at {lens.voltage:g} V need at most {min(needed, COARSEST):g} m."
        )
    shape = tuple(int(next_fast_len(math.ceil(side / pixel))) for side in box)
    if max(shape) > _MOST:
        raise OutOfRange(
            f"`box` is {max(box):g} m; at {pixel:g} m per pixel it is at most {_MOST * pixel:g} m."
        )
    step = wavelength / min(box)
    if step > how.angle_per_pixel * 1.001:
        raise OutOfRange(
            f"`box` is {min(box):g} m; pixels of {how.angle_per_pixel:g} rad need "
            f"{wavelength / how.angle_per_pixel:g} m: repeat the cell, cut out more, or take "
            f"larger pixels on the detector."
        )
    width = beam_width(lens, specimen.box[2])
    if width > min(box):
        raise OutOfRange(
            f"`box` is {min(box):g} m; this beam is up to {width:g} m wide in it: repeat the cell, "
            "or cut out more."
        )
    return Grid((shape[0], shape[1]), box)


def beam_width(lens: Lens, thickness: float) -> float:
    """Return the largest diameter in metres of the beam on its way through a thickness (m).

    Where rays from all over the aperture meet a plane: the gradient of the aberrations' path over
    angle, and the plane's depth times the angle; and the diffraction limit, 0.61 lambda / alpha,
    to either side. Geometric optics: M. Born and E. Wolf, Principles of Optics, section 5.1.
    """
    turns = np.exp(2j * np.pi * np.arange(48) / 48)
    angle: ComplexArray = lens.convergence_angle * np.linspace(0.1, 1, 10)[:, None] * turns
    small = 1e-4 * lens.convergence_angle
    path = lens.aberrations.path
    meet: ComplexArray = np.zeros(angle.shape, dtype=np.complex128)
    for way in (1.0, 1j):
        meet += way * (path(angle + way * small) - path(angle - way * small)) / (2 * small)
    depths = (0.0, thickness)
    farthest = max(float(np.abs(meet + depth * angle).max()) for depth in depths)
    return 2 * (farthest + 0.61 * lens.wavelength / lens.convergence_angle)


def needed_width(lens: Lens, thickness: float, widest: float) -> float:
    """Return metres to `cut` so that nothing scattered up to `widest` (rad) reaches the edge.

    The beam's own width, and twice the way that an electron goes sideways which is scattered to
    that angle at the top of the `thickness` (m); a beam that is tilted reaches that much further.
    """
    return beam_width(lens, thickness) + 2 * thickness * math.tan(widest)
