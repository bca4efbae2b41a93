"""Frames per second that the signal store takes: 512 x 512 in 16 bits, hashed, one per chunk."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.signals import Axis, SignalSet, make_signal
from nanopilot.io import Durability, SignalStore

GOAL = 500.0
_SIZE = 512
_FRAMES = 300
_ROUNDS = 5


def row() -> dict[str, Any]:
    """Return the row of the signal store; `rate_power` has every frame flushed to the disk."""
    frames = _frames()
    # Removed at the end only: ext4 is slow to give out inodes that were freed a moment ago.
    with tempfile.TemporaryDirectory(prefix="nanopilot-") as folder:
        stores = (Path(folder, f"{number}.zarr") for number in range(2 * _ROUNDS))
        seconds = min(_seconds(frames, next(stores), "process") for _ in range(_ROUNDS))
        flushed = min(_seconds(frames, next(stores), "power") for _ in range(_ROUNDS))
    return {
        "kernel": f"zarr frames: {_SIZE} x {_SIZE} uint16",
        "ours_s": seconds,
        "peer": None,
        "peer_s": None,
        "ratio": None,
        "ours_accuracy": None,
        "peer_accuracy": None,
        "goal": f"{GOAL:.0f} frames/s",
        "rate": 1 / seconds,
        "rate_power": 1 / flushed,
        "ok": 1 / seconds >= GOAL,
    }


def _seconds(frames: list[SignalSet], path: Path, durability: Durability) -> float:
    """Return seconds per frame; what was written is read back and compared."""
    store = SignalStore.make(path, durability)
    store.create("frames", frames[0], capacity=_FRAMES)
    store.append("frames", 0, frames[0])
    begin = time.perf_counter()
    for number in range(_FRAMES):
        refs = store.append("frames", number, frames[number % len(frames)])
    seconds = (time.perf_counter() - begin) / _FRAMES
    kept = store.get("frames", _FRAMES - 1, refs)
    assert kept.identical(frames[(_FRAMES - 1) % len(frames)])
    return seconds


def _frames(count: int = 8) -> list[SignalSet]:
    """Return images of a lattice with counting noise: as hard to compress as a camera's."""
    rng = np.random.default_rng(0)
    axis = Axis(np.linspace(0, 10e-9, _SIZE), "m", "position")
    y, x = np.indices((_SIZE, _SIZE))
    frames = []
    for number in range(count):
        mean = 500 + 400 * np.cos(x / 5 + number) * np.cos(y / 7)
        signal = make_signal(
            rng.poisson(mean).astype(np.uint16),
            {"y": axis, "x": axis},
            quantity="counts",
            units="counts",
        )
        frames.append(signal.to_dataset(name="haadf"))
    return frames


if __name__ == "__main__":
    print(row())
