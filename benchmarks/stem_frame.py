"""A STEM frame of 512² from 10,000 atoms, against the direct sum over them."""

import math
import os
import time
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from benchmarks.timing import alternate
from nanopilot.models.electron_optics import Aberrations, Lens
from nanopilot.twins.stem.render import Renderer
from nanopilot.twins.stem.render_lattice import good_size
from nanopilot.twins.stem.render_lens import reach_of
from nanopilot.twins.stem.render_patch import Patch, lattice_of
from nanopilot.twins.stem.scene import Atoms

SIZE, ATOMS, FIELD = 512, 10_000, 16e-9
GOAL = 0.05
#: Points of the table of one atom's image per pixel of the frame, as scripts that add it up have.
FINER = 8
LENS = Lens(
    voltage=80e3,
    convergence_angle=30e-3,
    aberrations=Aberrations(C1=-3e-9, A1_x=1e-9, B2_x=30e-9, C3=1e-6),
)


@dataclass(frozen=True)
class Ring:
    """Two angles in radians."""

    inner: float
    outer: float


RINGS = {
    "haadf": Ring(60e-3, 180e-3),
    "maadf": Ring(35e-3, 60e-3),
    "abf": Ring(12e-3, 25e-3),
    "bf": Ring(0.0, 8e-3),
}


def atoms() -> Atoms:
    """Return 10,000 atoms of molybdenum at random."""
    rng = np.random.default_rng(0)
    place = np.column_stack([rng.uniform(0, FIELD, (ATOMS, 2)), np.zeros(ATOMS)])
    whole = np.zeros(ATOMS, dtype=np.int64)
    stay, none = np.full(ATOMS, np.inf), np.zeros(ATOMS)
    return Atoms(place, whole + 42, none + 6e-12, whole, ("Mo",), stay, none)


@numba.njit(cache=True)
def direct(table: Any, rows: Any, columns: Any, out: Any) -> None:
    """Add the table of one atom's image to the pixels near each atom, bilinearly."""
    reach = (table.shape[0] - 2) // (2 * FINER)
    for n in range(len(rows)):
        top, left = int(rows[n]) - reach + 1, int(columns[n]) - reach + 1
        for row in range(max(top, 0), min(top + 2 * reach - 1, out.shape[0])):
            y = (row - rows[n] + reach) * FINER
            i, a = int(y), y - int(y)
            for column in range(max(left, 0), min(left + 2 * reach - 1, out.shape[1])):
                x = (column - columns[n] + reach) * FINER
                j, b = int(x), x - int(x)
                above = (1 - b) * table[i, j] + b * table[i, j + 1]
                below = (1 - b) * table[i + 1, j] + b * table[i + 1, j + 1]
                out[row, column] += (1 - a) * above + a * below


def exact(sample: Atoms, pixel: float) -> Any:
    """Return the frame as a sum over all atoms of every wave that the lens lets through.

    The beam repeats with the same period as in `Renderer.frame`.
    """
    beyond = math.ceil(reach_of(LENS) / pixel)
    low, period = -beyond * pixel, good_size(SIZE + 2 * beyond) * pixel
    lattice = lattice_of(LENS, (low, low), (period, period))
    patch = Patch(lattice, {"haadf": RINGS["haadf"]})
    ky, kx = lattice.frequencies()
    x, y = sample.position[:, 0] - lattice.corner[0], sample.position[:, 1] - lattice.corner[1]
    down = np.exp(-2j * np.pi * np.multiply.outer(ky[:, 0], y))
    total = down @ np.exp(-2j * np.pi * np.multiply.outer(x, kx[0]))
    total *= patch.transfers((42, 6e-12), LENS, 0.0)[0] * np.where(kx == 0, 1.0, 2.0)
    steps = np.arange(SIZE) * pixel
    rows, columns = (
        np.exp(2j * np.pi * np.multiply.outer(steps - low, k))
        for low, k in ((lattice.corner[1], ky[:, 0]), (lattice.corner[0], kx[0]))
    )
    return (rows @ total @ columns.T).real / period**2


def row() -> dict[str, Any]:
    """Measure one HAADF frame with everything made anew, and all four detectors, warm."""
    sample, pixel = atoms(), FIELD / SIZE
    renderer = Renderer(sample, LENS, {"haadf": RINGS["haadf"]})
    four = Renderer(sample, LENS, RINGS)
    reach = int(reach_of(LENS) / pixel) + 1
    middle = sample.keep(np.array([0]))
    side = 2 * reach * FINER + 2
    corner = (middle.position[0, :2] - reach * pixel).tolist()
    table = Renderer(middle, LENS, {"haadf": RINGS["haadf"]}).frame(
        (corner[0], corner[1]), pixel / FINER, (side, side)
    )[0]
    found: dict[str, Any] = {}

    def ours() -> None:
        renderer.forget()
        found["ours"] = renderer.frame((0.0, 0.0), pixel, (SIZE, SIZE))[0]

    def peer() -> None:
        out = np.zeros((SIZE, SIZE))
        direct(table, sample.position[:, 1] / pixel, sample.position[:, 0] / pixel, out)
        found["peer"] = out

    ours_s, peer_s = alternate(ours, peer, rounds=7)
    four_s, again_s = alternate(
        lambda: (four.forget(), four.frame((0.0, 0.0), pixel, (SIZE, SIZE))),
        lambda: four.frame((0.0, 0.0), pixel, (SIZE, SIZE)),
        rounds=5,
    )
    began = time.process_time()
    ours()
    cpu_s = time.process_time() - began
    whole = exact(sample, pixel)
    peak = float(whole.max())
    difference = float(np.abs(found["ours"] - whole).max()) / peak
    return {
        "kernel": f"STEM frame, {SIZE}² from {ATOMS} atoms, HAADF, nothing kept from before",
        "ours_s": round(ours_s, 4),
        "ours_cpu_s": round(cpu_s, 4),
        "four_detectors_s": round(four_s, 4),
        "four_detectors_atoms_and_lens_kept_s": round(again_s, 4),
        "peer": "direct sum in numba, bilinear in a table of the beam",
        "peer_s": round(peer_s, 4),
        "ratio": round(peer_s / ours_s, 1),
        "threads": 1,
        "cores": os.cpu_count(),
        "ours_accuracy": difference,
        "peer_accuracy": float(np.abs(found["peer"] - whole).max()) / peak,
        "goal": f"{GOAL:g} s, equal to the exact direct sum to 1e-5 of the peak",
        "ok": bool(ours_s <= GOAL and difference <= 1e-5),
    }
