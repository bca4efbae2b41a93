"""Transmission frames of nanoparticles of which every mask, size and class is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

from nanopilot.bench.tem_solids import Solid, draw_solid
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Axis, Signal, make_signal

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
Kind = Literal["disc", "rod", "triangle", "cube", "hexagon"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Samples along a side of a pixel: absorption is averaged over the pixel.
_FINE = 2
#: Places tried for a particle before it is left out.
_TRIES = 25
#: Clear pixels around an isolated particle.
_CLEAR = 5


@dataclass(frozen=True, slots=True)
class TemScene:
    """What a frame of particles shows, and how it is recorded.

    Parameters
    ----------
    pixels : int
        Along a side.
    pixel_size : float
        Metres.
    kinds : tuple of str
        Classes that there are, drawn evenly.
    count : int
        Particles that are tried for.
    overlap : float
        Largest share of a particle that another may hide, 0 to 1; 0: all are isolated.
    pairs : float
        Share of particles that are put beside another where overlaps are allowed.
    dose : float
        Electrons per pixel where nothing is.
    mean_free_path : float
        Thickness in metres that lets 1/e of the electrons through.
    blur : float
        Standard deviation in pixels of the point spread.
    camera : {"counting", "scintillator"}
        Whether noise passes the point spread too.
    grain : float
        Standard deviation of the support's thickness over its mean free path.
    uneven : float
        Share by which illumination falls towards an edge.
    spheres : bool
        Discs are spheres, and otherwise plates.
    bright : bool
        Particles scatter into the detector (dark field) instead of out of it.
    """

    pixels: int = 512
    pixel_size: float = 0.5e-9
    kinds: tuple[Kind, ...] = ("disc", "rod", "triangle")
    count: int = 40
    overlap: float = 0.0
    pairs: float = 0.6
    dose: float = 200.0
    mean_free_path: float = 20e-9
    blur: float = 0.8
    camera: Literal["counting", "scintillator"] = "counting"
    grain: float = 0.02
    uneven: float = 0.2
    spheres: bool = True
    bright: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A particle as it is; pixels of the frame.

    Parameters
    ----------
    kind : str
        Its class.
    mask : numpy.ndarray
        Shape (rows, columns), what of it lies in the frame.
    row, column : int
        Where the mask begins in the frame.
    area : float
        Of its projection in pixels, what lies outside the frame included; exact.
    cut : bool
        The edge of the frame cuts it.
    hidden : float
        Largest share of it that lies over or under one other particle.
    """

    kind: str
    mask: BoolArray
    row: int
    column: int
    area: float
    cut: bool
    hidden: float


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A frame, dims (y, x) in metres, and the particles in it."""

    frame: Signal
    particles: tuple[Drawn, ...]
    scene: TemScene


def any_scene(
    rng: np.random.Generator, kinds: tuple[Kind, ...], *, overlap: float = 0.0, pixels: int = 640
) -> TemScene:
    """Draw how a frame is recorded: calibration, dose, blur, support, illumination, camera.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    kinds : tuple of str
        Classes that there are.
    overlap : float
        As of `TemScene`.
    pixels : int
        Along a side.
    """
    size = rng.uniform(0.3, 0.65) * 1e-9
    side = pixels * size
    return TemScene(
        pixels=pixels,
        pixel_size=size,
        kinds=kinds,
        count=max(8, round(side**2 / (40e-9) ** 2)),
        overlap=overlap,
        dose=float(np.exp(rng.uniform(np.log(60), np.log(1000)))),
        mean_free_path=rng.uniform(12e-9, 40e-9),
        blur=rng.uniform(0.4, 1.3),
        camera="counting" if rng.random() < 0.5 else "scintillator",
        grain=rng.uniform(0.005, 0.03),
        uneven=rng.uniform(0.0, 0.5),
        spheres=bool(rng.random() < 0.5),
        bright=bool(rng.random() < 0.2),
    )


def draw_particles(scene: TemScene, rng: np.random.Generator) -> Truth:
    """Draw particles on a support, let electrons through, and count them.

    Transmission follows Beer and Lambert: thicknesses add where particles overlap, and
    ``exp(-thickness / mean free path)`` of the electrons arrive.

    Parameters
    ----------
    scene : TemScene
        What to show.
    rng : numpy.random.Generator
        Draws everything.
    """
    fine = scene.pixels * _FINE
    thick = np.zeros((fine, fine), dtype=np.float32)
    taken = np.zeros((scene.pixels, scene.pixels), dtype=bool)
    drawn: list[Drawn] = []
    for _ in range(scene.count):
        kind = scene.kinds[int(rng.integers(len(scene.kinds)))]
        solid = draw_solid(kind, rng, flat=not scene.spheres)
        placed = _placed(solid, scene, (taken, drawn), rng)
        if placed is None:
            continue
        particle, centre = placed
        _add(thick, solid, centre, scene)
        _take(taken, particle)
        drawn.append(particle)
    counts = _recorded(thick, scene, rng)
    axis = Axis(np.arange(float(scene.pixels)) * scene.pixel_size, "m", "position")
    frame = make_signal(counts, {"y": axis, "x": axis}, quantity="counts", units="1")
    return Truth(frame, tuple(_with_hidden(drawn)), scene)


def _take(taken: BoolArray, particle: Drawn) -> None:
    """Mark the pixels of a particle and those too near to it."""
    wide = binary_dilation(np.pad(particle.mask, _CLEAR), iterations=_CLEAR)
    rows, columns = np.nonzero(wide)
    rows, columns = rows + particle.row - _CLEAR, columns + particle.column - _CLEAR
    inside = (rows >= 0) & (columns >= 0) & (rows < taken.shape[0]) & (columns < taken.shape[1])
    taken[rows[inside], columns[inside]] = True


def _placed(
    solid: Solid,
    scene: TemScene,
    there: tuple[BoolArray, list[Drawn]],
    rng: np.random.Generator,
) -> tuple[Drawn, FloatArray] | None:
    """Find a place that the scene allows; None where the frame is full."""
    taken, drawn = there
    for _ in range(_TRIES):
        centre = rng.uniform(0, scene.pixels, 2)
        if scene.overlap and drawn and rng.random() < scene.pairs:
            # Beside a particle that is there, so that overlaps are common.
            near = drawn[int(rng.integers(len(drawn)))]
            middle = np.array([near.row, near.column]) + np.array(near.mask.shape) / 2
            turn = rng.uniform(0, 2 * np.pi)
            far = 0.5 * (solid.reach / scene.pixel_size + max(near.mask.shape) / 2)
            far *= rng.uniform(0.7, 2.0)
            centre = middle + far * np.array([math.sin(turn), math.cos(turn)])
        at = tuple(np.clip(centre, 0, scene.pixels - 1).astype(int))
        if not scene.overlap and taken[at]:
            continue
        particle = _masked(solid, scene, centre)
        if particle is None or particle.mask.sum() < 0.3 * particle.area:
            continue
        if _allowed(particle, scene, taken, drawn):
            return particle, centre
    return None


def _allowed(particle: Drawn, scene: TemScene, taken: BoolArray, drawn: list[Drawn]) -> bool:
    rows, columns = particle.mask.shape
    window = (
        slice(particle.row, particle.row + rows), slice(particle.column, particle.column + columns)
    )  # fmt: skip
    beside = bool((taken[window] & particle.mask).any())
    if not scene.overlap or not beside:
        return not beside
    shares = [_shared(particle, one) for one in drawn]
    least = [s / min(particle.mask.sum(), o.mask.sum()) for s, o in zip(shares, drawn, strict=True)]
    hit = [one for one in least if one > 0]
    return len(hit) <= 2 and all(0.03 <= one <= scene.overlap for one in hit)


def _shared(a: Drawn, b: Drawn) -> int:
    """Count the pixels that two particles share."""
    top, left = max(a.row, b.row), max(a.column, b.column)
    low = min(a.row + a.mask.shape[0], b.row + b.mask.shape[0])
    right = min(a.column + a.mask.shape[1], b.column + b.mask.shape[1])
    if low <= top or right <= left:
        return 0
    part = [
        one.mask[top - one.row : low - one.row, left - one.column : right - one.column]
        for one in (a, b)
    ]
    return int(np.count_nonzero(part[0] & part[1]))


def _with_hidden(drawn: list[Drawn]) -> list[Drawn]:
    found = []
    for number, one in enumerate(drawn):
        others = drawn[:number] + drawn[number + 1 :]
        most = max((_shared(one, other) for other in others), default=0)
        share = most / max(int(one.mask.sum()), 1)
        found.append(Drawn(one.kind, one.mask, one.row, one.column, one.area, one.cut, share))
    return found


def _masked(solid: Solid, scene: TemScene, centre: FloatArray) -> Drawn | None:
    """Return which pixel centres of the frame a solid covers."""
    reach = math.ceil(solid.reach / scene.pixel_size) + 1
    low = np.floor(centre).astype(int) - reach
    high = low + 2 * reach + 2
    start, stop = np.maximum(low, 0), np.minimum(high, scene.pixels)
    if (stop <= start).any():
        return None
    rows, columns = np.arange(start[0], stop[0]), np.arange(start[1], stop[1])
    y = (rows[:, None] - centre[0]) * scene.pixel_size + 0 * columns[None, :]
    x = (columns[None, :] - centre[1]) * scene.pixel_size + 0 * rows[:, None]
    inside = np.asarray(solid.distance(x, y) < 0)
    if not inside.any():
        return None
    edge = scene.pixels - 1
    cut = bool(
        (inside[0].any() and start[0] == 0) or (inside[:, 0].any() and start[1] == 0)
        or (inside[-1].any() and stop[0] == edge + 1)
        or (inside[:, -1].any() and stop[1] == edge + 1)
    )  # fmt: skip
    kept_r, kept_c = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    mask = inside[kept_r[0] : kept_r[-1] + 1, kept_c[0] : kept_c[-1] + 1]
    area = solid.area / scene.pixel_size**2
    row, column = int(rows[kept_r[0]]), int(columns[kept_c[0]])
    return Drawn(solid.kind, mask, row, column, area, cut, 0.0)


def _add(
    thick: np.ndarray[Any, np.dtype[np.float32]],
    solid: Solid,
    centre: FloatArray,
    scene: TemScene,
) -> None:
    """Add the thickness of a solid to the fine map, in mean free paths."""
    step = scene.pixel_size / _FINE
    # Fine samples lie evenly within the pixel, whose centre is a whole number.
    at = (centre + 0.5) * _FINE - 0.5
    reach = math.ceil(solid.reach / step) + 2
    low = np.maximum(np.floor(at).astype(int) - reach, 0)
    high = np.minimum(np.floor(at).astype(int) + reach + 2, thick.shape)
    if (high <= low).any():
        return
    rows, columns = np.arange(low[0], high[0]), np.arange(low[1], high[1])
    y = (rows[:, None] - at[0]) * step + 0 * columns[None, :]
    x = (columns[None, :] - at[1]) * step + 0 * rows[:, None]
    depth = np.where(solid.distance(x, y) < 0, solid.thickness(x, y), 0.0)
    thick[low[0] : high[0], low[1] : high[1]] += depth / scene.mean_free_path


def _recorded(
    thick: np.ndarray[Any, np.dtype[np.float32]], scene: TemScene, rng: np.random.Generator
) -> FloatArray:
    """Return the counts of a camera behind a thickness in mean free paths."""
    n = scene.pixels
    sent = scene.dose * (0.15 + 0.4 * thick if scene.bright else np.exp(-thick))
    sent = gaussian_filter(sent, scene.blur * _FINE) if scene.camera == "counting" else sent
    mean = sent.reshape(n, _FINE, n, _FINE).mean(axis=(1, 3)).astype(np.float64)
    support = gaussian_filter(rng.normal(size=(n, n)), 1.0)
    mean *= np.exp(-scene.grain * support / support.std())
    turn, bow = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1)
    y, x = (np.mgrid[:n, :n] / (n - 1) - 0.5) * 2
    slope = 0.5 * (1 + (math.cos(turn) * x + math.sin(turn) * y) / math.sqrt(2))
    middle = rng.uniform(-0.5, 0.5, 2)
    round_ = np.minimum(((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / 2, 1)
    mean *= 1 - scene.uneven * ((1 - bow) * slope + bow * round_)
    counts = rng.poisson(mean).astype(np.float64)
    return counts if scene.camera == "counting" else gaussian_filter(counts, scene.blur)
