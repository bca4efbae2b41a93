"""A frame that is read piece by piece: each particle once, and memory that does not grow."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from scipy.spatial import cKDTree

from nanopilot.analysis.particles import Limits, find_particles, search, tiles
from nanopilot.analysis.tiling import tiles as cut
from nanopilot.core.errors import SignalError
from nanopilot.core.signals import Axis, make_signal

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "particles_large.py"
LIMITS = Limits(8, 20)
#: So that several pieces fit into a small frame.
PIECE = 224


@pytest.fixture(scope="module")
def benchmark() -> Any:
    """Return the module that writes the frame of the benchmark."""
    spec = importlib.util.spec_from_file_location("particles_large", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def image() -> np.ndarray[Any, np.dtype[np.uint16]]:
    rng = np.random.default_rng(0)
    values = rng.normal(1000, 40, (700, 500))
    y, x = np.indices(values.shape)
    for row in range(45, 690, 62):
        for column in range(40, 480, 60):
            away = np.hypot(y - row - rng.uniform(-5, 5), x - column - rng.uniform(-5, 5))
            values += rng.choice([-1, 1]) * 150 * (away < rng.uniform(10, 18))
    return values.astype(np.uint16)


def test_pieces_tell_the_same_as_the_whole(
    image: np.ndarray[Any, np.dtype[np.uint16]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search(image, LIMITS)
    monkeypatch.setattr(tiles, "_PIECE", PIECE)
    told: list[tuple[int, int]] = []
    parts = search(image, LIMITS, progress=lambda done, of: told.append((done, of)), threads=2)
    assert told[-1][0] == told[-1][1] == len(told) >= 4
    assert len(parts.radius) == len(whole.radius) == 11 * 8
    away, which = cKDTree(whole.place).query(parts.place)
    assert away.max() < 0.7
    assert len(set(which.tolist())) == len(parts.radius)
    np.testing.assert_allclose(parts.radius, whole.radius[which], rtol=0.05)
    centres = np.array([one.mean(axis=0)[::-1] for one in parts.outlines])
    assert np.abs(centres - parts.place).max() < 2


def test_pieces_share_more_than_the_largest_particle(
    image: np.ndarray[Any, np.dtype[np.uint16]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    class Watched:
        shape = image.shape

        def __getitem__(self, key: tuple[slice, slice]) -> Any:
            part = image[key]
            seen.append(part.shape)
            return part

    monkeypatch.setattr(tiles, "_PIECE", PIECE)
    search(Watched(), LIMITS)
    overlap = 2 * int(np.ceil(1.8 * LIMITS.largest)) + 2
    size = max(PIECE, 6 * overlap)
    assert overlap > 2 * LIMITS.largest
    assert len(seen) == sum(len(row) for row in cut(image.shape, size=size, overlap=overlap))
    assert max(max(one) for one in seen) <= size


def test_a_gap_far_into_the_frame_is_named_by_its_place(
    image: np.ndarray[Any, np.dtype[np.uint16]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "_PIECE", PIECE)
    gap = image.astype(np.float32)
    gap[650, 480] = np.inf
    with pytest.raises(SignalError, match="row 650, column 480"):
        search(gap, LIMITS)


def test_zarr_gives_what_memory_gives(
    image: np.ndarray[Any, np.dtype[np.uint16]], tmp_path: Path
) -> None:
    stored = zarr.create_array(
        tmp_path / "frame.zarr", shape=image.shape, chunks=(128, 128), dtype="uint16"
    )
    stored[:] = image
    there, here = (search(one, LIMITS) for one in (stored, image))
    np.testing.assert_array_equal(there.place, here.place)
    axes = {
        dim: Axis(np.arange(size) * 1e-9, "m", "position")
        for dim, size in zip(("y", "x"), image.shape, strict=True)
    }
    frame = make_signal(image, axes, quantity="counts", units="1")
    table = find_particles(frame, smallest=8e-9, largest=20e-9, method="classical").table
    np.testing.assert_allclose(table["x"], here.place[:, 1] * 1e-9)


_WORK = r"""
import json, re, sys
from pathlib import Path
import numpy as np, zarr
from nanopilot.analysis.particles import Limits, search, tiles
tiles._PIECE = 512
frame = zarr.open_array(sys.argv[1], mode="r")
search(np.asarray(frame[:600, :600]), Limits(10, 20))
def peak():
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
before = peak()
found = search(frame, Limits(10, 20))
print(json.dumps([before, peak(), np.column_stack([found.place, found.radius]).tolist()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_frame(tmp_path: Path, benchmark: Any) -> None:
    """A frame of 8 MB in 16 bits costs no more than a piece of it, and finds what is there."""
    truth = benchmark.write(tmp_path / "frame.zarr", 2048)
    done = subprocess.run(
        [sys.executable, "-c", _WORK, str(tmp_path / "frame.zarr")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    before, after, rows = json.loads(done.stdout)
    # The whole frame in single precision is 17 MB, and its working copies several times that.
    assert after - before < 25e6
    inside = truth[(truth[:, 2] > 11) & (truth[:, 2] < 18)]
    recall, _ = benchmark.agreement(np.array(rows), inside)
    assert recall == 1.0
