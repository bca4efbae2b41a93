"""Particles of a frame of 32,768 x 32,768 pixels that is read from Zarr piece by piece.

What counts is memory: that of a process of its own, whatever it maps included. There is no peer
that outlines particles of all sizes; speed is told, and how many of the particles were found.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

SIZE, BLOCK = 32_768, 2048
MOST_MEMORY = 2e9
#: Radii in pixels, and particles in a block.
RADII, _IN_BLOCK = (10.0, 60.0), 12
_LIMITS = (8.0, 80.0)


def row(size: int = SIZE) -> dict[str, Any]:
    """Return the row of the largest frame."""
    with tempfile.TemporaryDirectory(prefix="nanopilot-") as folder:
        path = Path(folder, "frame.zarr")
        truth = write(path, size)
        said = analyse(path)
    found = np.array(said["found"]).reshape(-1, 3)
    recall, precision = agreement(found, truth)
    return {
        "kernel": f"particles_large: {size} x {size} uint16 from Zarr",
        "ours_s": round(said["seconds"], 1),
        "peer": None,
        "peer_s": None,
        "ratio": None,
        "ours_accuracy": {"recall": round(recall, 4), "precision": round(precision, 4)},
        "peer_accuracy": None,
        "goal": f"memory < {MOST_MEMORY / 1e9:g} GB",
        "memory_bytes": int(said["memory"]),
        "mpx_per_s": round(size**2 / said["seconds"] / 1e6, 2),
        "particles": len(truth),
        "ok": bool(said["memory"] < MOST_MEMORY),
    }


def write(path: Path, size: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Write a frame block by block; return row, column and radius of its particles, (n, 3)."""
    import zarr

    frame = zarr.create_array(path, shape=(size, size), chunks=(1024, 1024), dtype="uint16")
    truth = []
    for number in range((size // BLOCK) ** 2):
        rng = np.random.default_rng(number)
        row, column = (BLOCK * at for at in divmod(number, size // BLOCK))
        block, discs = _block(rng)
        frame[row : row + BLOCK, column : column + BLOCK] = block
        truth.append(discs + np.array([row, column, 0]))
    return np.concatenate(truth)


def _block(rng: np.random.Generator) -> tuple[Any, Any]:
    """Return counts with discs and rings on a cloud, and row, column and radius of each."""
    coarse = gaussian_filter(rng.normal(size=(BLOCK // 16, BLOCK // 16)), 2.0, mode="wrap")
    ground = np.kron(coarse / coarse.std(), np.ones((16, 16)))
    image = 1000 + 60 * gaussian_filter(ground.astype(np.float32), 10.0)
    discs: list[tuple[float, float, float]] = []
    while len(discs) < _IN_BLOCK:
        radius = float(np.exp(rng.uniform(*np.log(RADII))))
        y, x = rng.uniform(1.5 * radius, BLOCK - 1.5 * radius, 2)
        if any(np.hypot(y - a, x - b) < 1.5 * (radius + c) + 5 for a, b, c in discs):
            continue
        discs.append((y, x, radius))
        low, left = int(y - radius - 5), int(x - radius - 5)
        side = int(2 * radius + 12)
        rows, columns = np.mgrid[max(low, 0) : low + side, max(left, 0) : left + side]
        away = np.hypot(rows - y, columns - x)
        step = 1 / (1 + np.exp(np.clip((away - radius) / 0.7, -40, 40)))
        if rng.random() < 0.4:
            step -= 1 / (1 + np.exp(np.clip((away - 0.75 * radius) / 0.7, -40, 40)))
        part = image[max(low, 0) : low + side, max(left, 0) : left + side]
        part += rng.choice([-1, 1]) * 300 * step[: part.shape[0], : part.shape[1]]
    image += rng.normal(0, 100, image.shape).astype(np.float32)
    return np.clip(image, 0, 65_535).astype(np.uint16), np.array(discs)


def analyse(path: Path) -> dict[str, Any]:
    """Find the particles of a Zarr array in a new process: seconds, its memory, and what it found.

    Its progress goes to the standard error of this one.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _WORK, str(path), *map(str, _LIMITS)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def agreement(found: Any, truth: Any) -> tuple[float, float]:
    """Return recall and precision; found is what lies within a third of a radius of one."""
    if not len(found):
        return 0.0, 1.0
    away, near = cKDTree(truth[:, :2]).query(found[:, :2])
    good = (away < truth[near, 2] / 3) & (np.abs(np.log(found[:, 2] / truth[near, 2])) < 0.3)
    return len(set(near[good].tolist())) / len(truth), float(good.mean())


_WORK = """
import json, os, re, sys, time
from pathlib import Path
import numpy as np, zarr
from nanopilot.analysis.particles import Limits, search
frame = zarr.open_array(sys.argv[1], mode="r")
limits = Limits(float(sys.argv[2]), float(sys.argv[3]))
begun, last = time.perf_counter(), 0.0
def told(done, of):
    global last
    now = time.perf_counter() - begun
    if now - last > 10 or done == of:
        last = now
        sys.stderr.write(f"{done} of {of} pieces, {now:.0f} s\\n")
found = search(frame, limits, progress=told, threads=os.cpu_count() or 1)
taken = time.perf_counter() - begun
# Of this program alone: what `getrusage` says begins with what the parent took.
peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
rows = np.column_stack([found.place, found.radius]).tolist()
print(json.dumps({"seconds": taken, "memory": peak, "found": rows}))
"""


if __name__ == "__main__":
    print(row(int(sys.argv[1]) if len(sys.argv) > 1 else SIZE))
