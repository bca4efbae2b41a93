"""X-ray images of battery cells drawn with known plates: counts, endpoints, boxes and masks.

Every image is drawn with the free ends of the plates at the top and then turned, so that all four
ways a cell may lie occur. Transmission follows Lambert and Beer; the focal spot blurs it, scattered
radiation veils it, and photons are counted (Poisson). What is drawn is simple and known, and no
image of a real cell has been looked at to make it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter

from nanopilot.bench.xray_scenery import add_scenery
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Axis, Signal, make_signal

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

Interference = Literal["clean", "blur", "fork", "shadow", "missing", "tray"]
#: Classes of interference: nothing; a large focal spot; forked tips; a veil of separator around the
#: tips; plates left out; a tray close to the outermost plates.
CLASSES: tuple[Interference, ...] = ("clean", "blur", "fork", "shadow", "missing", "tray")
#: Rows and columns of images.
SHAPES = ((1000, 1000), (1600, 1600), (1536, 864), (864, 1536), (900, 1200), (768, 1024))
#: Side of a pixel in metres, where it is known.
PIXEL = 2.0e-5


@dataclass(frozen=True, slots=True, eq=False)
class Plates:
    """Plates of one cell, free ends at the top; lengths in pixels.

    Parameters
    ----------
    anode : numpy.ndarray of bool
        Shape (n,), plates from left to right; those left out are not in it.
    slot : numpy.ndarray
        Places in the stack, shape (n,): 0, 1, ... with gaps where plates were left out.
    place, width, depth : numpy.ndarray
        Column of the middle at the tip, width, and attenuation (thickness times coefficient).
    tip : numpy.ndarray
        Row where each plate ends.
    forked : numpy.ndarray
        Length over which the end is split in two; 0 where it is not.
    bottom : float
        Row from which plates can no longer be told apart.
    spacing : float
        Mean distance of neighbouring places.
    bend : tuple of float
        Shift across the plates at the depth ``s = (row - tip) / length`` below the tips:
        ``bend[0] s + bend[1] s^2 + bend[2] sin(3 s)``, and relative widening ``bend[3] s``.
    """

    anode: BoolArray
    slot: IntArray
    place: FloatArray
    width: FloatArray
    depth: FloatArray
    tip: FloatArray
    forked: FloatArray
    bottom: float
    spacing: float
    bend: tuple[float, float, float, float]

    def middle(self, rows: FloatArray) -> FloatArray:
        """Return the column of every plate's middle at some rows, shape (n, rows)."""
        top = float(self.tip.min())
        s = (rows - top) / 200.0
        shift = self.bend[0] * s + self.bend[1] * s**2 + self.bend[2] * np.sin(3 * s)
        centre = float(self.place.mean())
        fan = 1 + self.bend[3] * s
        return centre + (self.place - centre)[:, None] * fan + shift


@dataclass(frozen=True, slots=True, eq=False)
class XrayImage:
    """One image and what is in it; rows and columns in pixels of the image.

    Parameters
    ----------
    frame : Signal
        Counts or grey values, dims (y, x).
    interference : str
        One of `CLASSES`.
    anode : numpy.ndarray of bool
        Shape (n,), plates in the order along the stack.
    slot : numpy.ndarray
        Places in the stack, shape (n,).
    tips : numpy.ndarray
        Row and column of every free end, shape (n, 2).
    box : tuple of float
        First row, first column, last row, last column (edges, not middles of pixels).
    labels : numpy.ndarray
        1 to n, shape of the frame.
    spacing : float
        Distance of neighbouring places.
    side : {"top", "left", "bottom", "right"}
        Where the free ends point.
    """

    frame: Signal
    interference: Interference
    anode: BoolArray
    slot: IntArray
    tips: FloatArray
    box: tuple[float, float, float, float]
    labels: IntArray
    spacing: float
    side: str


SIDES = ("top", "left", "bottom", "right")


def draw_image(
    interference: Interference, rng: np.random.Generator, *, shape: tuple[int, int] | None = None
) -> XrayImage:
    """Draw one image of a class.

    Parameters
    ----------
    interference : str
        One of `CLASSES`.
    rng : numpy.random.Generator
        Draws everything else: plates, scenery, photons.
    shape : (int, int), optional
        Rows and columns; otherwise one of `SHAPES`.
    """
    rows, columns = shape or SHAPES[int(rng.integers(len(SHAPES)))]
    turn = int(rng.integers(4))
    upright = (rows, columns) if turn % 2 == 0 else (columns, rows)
    plates = draw_plates(interference, upright, rng)
    attenuation, labels = rasterise(plates, upright)
    attenuation += _filling(plates, upright, interference, rng)
    attenuation += add_scenery(plates, upright, interference, rng)
    counts = expose(attenuation, plates.spacing, interference, rng)
    height, width = upright
    at_tip = np.diagonal(plates.middle(plates.tip))
    tips, box = np.stack([plates.tip, at_tip], axis=-1), plates_box(plates)
    for _ in range(turn):
        # `numpy.rot90`: what was column c becomes row width - 1 - c.
        tips = np.stack([width - 1 - tips[:, 1], tips[:, 0]], axis=-1)
        box = (width - 1 - box[3], box[0], width - 1 - box[1], box[2])
        height, width = width, height
    return XrayImage(
        frame=_frame(np.rot90(counts, turn), known=bool(rng.random() < 0.5)),
        interference=interference, anode=plates.anode, slot=plates.slot, tips=tips, box=box,
        labels=np.ascontiguousarray(np.rot90(labels, turn)), spacing=plates.spacing,
        side=SIDES[turn],
    )  # fmt: skip


def draw_plates(
    interference: Interference, shape: tuple[int, int], rng: np.random.Generator
) -> Plates:
    """Draw the plates of a cell that fit into rows and columns of an upright image."""
    rows, columns = shape
    n = int(rng.integers(10, 46))
    spacing = float(rng.uniform(5.0, 12.0))
    slot = np.arange(n)
    anode = (slot % 2 == 0) ^ bool(rng.random() < 0.15)
    away = (slot - (n - 1) / 2) * spacing + rng.normal(0, 0.035 * spacing, n)
    extent = n * spacing
    room = columns - extent - 80
    place = away + columns / 2 + float(rng.uniform(-0.5, 0.5)) * max(room, 0.0)
    long = float(rng.uniform(60, min(220, 0.4 * rows)))
    top = float(rng.uniform(0.12, 0.85 - long / rows)) * rows
    cut = bool(rng.random() < 0.15)  # the image ends before the bulk begins
    top = rows - long if cut else top
    along = away / extent
    line = rng.uniform(-0.06, 0.06) * extent * along + rng.uniform(-12, 12) * along**2
    overhang = float(rng.uniform(8, 26))
    tip = top + line + np.where(anode, 0.0, overhang) + rng.normal(0, 1.0, n)
    strong = float(rng.uniform(0.25, 0.6))
    depth = np.where(anode, strong * rng.uniform(0.45, 1.0), strong) * rng.normal(1, 0.05, n)
    width = spacing * np.where(anode, rng.uniform(0.34, 0.5), rng.uniform(0.38, 0.55))
    bend = (rng.uniform(-12, 12), rng.uniform(-8, 8), rng.uniform(-2, 2), rng.uniform(-0.04, 0.04))
    forked = np.zeros(n)
    if interference == "fork":
        chosen = rng.choice(n, size=int(rng.integers(1, min(5, n // 5) + 1)), replace=False)
        forked[chosen] = rng.uniform(0.5, 0.9) * min(overhang, 20.0)
    keep = np.ones(n, dtype=bool)
    if interference == "missing":
        most = min(3, n // 6)
        keep[
            rng.choice(np.arange(1, n - 1), size=int(rng.integers(1, most + 1)), replace=False)
        ] = False
    bottom = float(rows) if cut else float(tip.max() + long)
    return Plates(
        anode[keep], slot[keep], place[keep], width[keep], depth[keep], tip[keep],
        forked[keep], min(bottom, rows - 0.5), spacing, bend,
    )  # fmt: skip


def rasterise(plates: Plates, shape: tuple[int, int]) -> tuple[FloatArray, IntArray]:
    """Return attenuation and labels of the plates; pixels on an edge are covered in part."""
    rows = np.arange(shape[0], dtype=float)
    attenuation = np.zeros(shape)
    labels = np.zeros(shape, dtype=np.int64)
    middles = plates.middle(rows)
    for number, middle in enumerate(middles):
        tip, width, fork = (a[number] for a in (plates.tip, plates.width, plates.forked))
        open_ = np.clip(rows + 0.5 - tip, 0, 1) * np.clip(plates.bottom - rows + 0.5, 0, 1)
        used = np.flatnonzero(open_ > 0)
        first = max(int(middle[used].min() - width) - 2, 0)
        columns = np.arange(first, min(int(middle[used].max() + width) + 3, shape[1]), dtype=float)
        apart = np.zeros(len(used))
        if fork:
            apart = 0.42 * plates.spacing * np.clip(1 - (rows[used] - tip) / fork, 0, 1)
        part = width * np.where(apart > 0, 0.6, 1.0)
        cover = np.zeros((len(used), len(columns)))
        for way in (-1, 1):
            centre = middle[used] + way * apart
            cover = np.maximum(cover, _cover(columns, centre, part))
        cover *= open_[used][:, None]
        window = np.s_[used[0] : used[-1] + 1, first : first + len(columns)]
        attenuation[window] += plates.depth[number] * cover
        labels[window][cover > 0.5] = number + 1
    return attenuation, labels


def _cover(columns: FloatArray, centre: FloatArray, width: FloatArray) -> FloatArray:
    """Return the share of every pixel that a bar covers, shape (rows, columns)."""
    left, right = (centre - width / 2)[:, None], (centre + width / 2)[:, None]
    shared = np.minimum(columns + 0.5, right) - np.maximum(columns - 0.5, left)
    return np.asarray(np.clip(shared, 0, 1))


def plates_box(plates: Plates) -> tuple[float, float, float, float]:
    """Return first row, first column, last row and last column of all plates, upright."""
    rows = np.arange(plates.tip.min(), plates.bottom)
    middles = plates.middle(rows)
    seen = rows >= plates.tip[:, None]
    # Prongs of a forked end reach further than the plate.
    fork = plates.forked[:, None]
    near = np.clip(1 - (rows - plates.tip[:, None]) / np.maximum(fork, 1e-9), 0, 1) * (fork > 0)
    prong = 0.42 * plates.spacing * near + 0.3 * plates.width[:, None]
    half = np.maximum(plates.width[:, None] / 2, np.where(near > 0, prong, 0.0))
    left = np.where(seen, middles - half, np.inf).min()
    right = np.where(seen, middles + half, -np.inf).max()
    return float(plates.tip.min()), float(left), plates.bottom, float(right)


def _filling(
    plates: Plates, shape: tuple[int, int], interference: Interference, rng: np.random.Generator
) -> FloatArray:
    """Return what else absorbs inside the cell: pressed bulk below the plates, separator."""
    rows, columns = np.arange(shape[0], dtype=float), np.arange(shape[1], dtype=float)
    left, right = plates.middle(rows)[[0, -1]]
    margin = plates.spacing * rng.uniform(0.6, 1.2)
    inside = np.clip(columns - (left - margin)[:, None], 0, 1)
    inside *= np.clip((right + margin)[:, None] - columns, 0, 1)
    bulk = np.clip(rows - plates.bottom + 0.5, 0, 1)[:, None] * inside
    total = bulk * rng.uniform(0.6, 1.3) * plates.depth.mean() / 0.5
    veil = rng.uniform(0.0, 0.03)
    edge = plates.tip.min() - rng.uniform(10, 40) + np.zeros(shape[1])
    if interference == "shadow":
        veil = rng.uniform(0.08, 0.3)
        phase, waves = rng.uniform(0, 2 * np.pi, 2), rng.uniform(30, 160, 2)
        edge = plates.tip.min() + rng.uniform(-35, 12) + sum(
            rng.uniform(2, 6) * np.sin(2 * np.pi * columns / wave + p)
            for wave, p in zip(waves, phase, strict=True)
        )  # fmt: skip
    covered = np.clip((rows[:, None] - edge) / 1.5, 0, 1) * (rows < plates.bottom)[:, None]
    return np.asarray(total + veil * covered * inside)


def expose(
    attenuation: FloatArray, spacing: float, interference: Interference, rng: np.random.Generator
) -> FloatArray:
    """Blur, veil and count: photons per pixel, or grey values of 8 or 16 bits made of them."""
    blur = spacing * rng.uniform(0.08, 0.18)
    if interference == "blur":
        blur = spacing * rng.uniform(0.24, 0.32)
    seen = gaussian_filter(np.exp(-attenuation), max(blur, 0.5))
    scatter = rng.uniform(0.05, 0.25)
    small = gaussian_filter(seen[::8, ::8], 6.0)
    wide = np.kron(small, np.ones((8, 8)))[: seen.shape[0], : seen.shape[1]]
    seen = (1 - scatter) * seen + scatter * gaussian_filter(wide, 8.0)
    photons = 10 ** rng.uniform(3.0, 4.2)
    counts = rng.poisson(photons * seen) + rng.normal(0, 5, seen.shape)
    depth = int(rng.integers(3))
    if depth == 2:
        return np.asarray(np.round(counts, 3))
    top = (255, 65535)[depth]
    grey = np.round(counts / (1.15 * photons * seen.max()) * top)
    return np.asarray(np.clip(grey, 0, top))


def _frame(values: FloatArray, *, known: bool) -> Signal:
    step, units = (PIXEL, "m") if known else (1.0, "1")
    y, x = (Axis(np.arange(n) * step, units, "position" if known else "pixel")
            for n in values.shape)  # fmt: skip
    return make_signal(values.copy(), {"y": y, "x": x}, quantity="counts", units="1")
