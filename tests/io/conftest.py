from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nanopilot.core.events import Decision, Event, Intent, Outcome, SignalRef
from nanopilot.core.history import Action
from nanopilot.core.limits import Spent
from nanopilot.core.signals import Axis, SignalSet, make_signal
from nanopilot.io import RunRecord, SignalStore


@dataclass(frozen=True)
class Scale:
    """A dimension scale of an NSID file."""

    name: str
    values: np.ndarray
    units: str | None = "m"
    quantity: str = "Position"
    kind: str = "SPATIAL"


@dataclass(frozen=True)
class Channel:
    """A main data set of an NSID file, axes in the order of the file."""

    quantity: str
    values: np.ndarray
    scales: Sequence[Scale]
    units: str | None = "m"
    data_type: str = "IMAGE"
    settings: dict[str, Any] = field(default_factory=dict)


def write_nsid(path: Path, channels: Sequence[Channel]) -> Path:
    """Write a file as pyNSID does: one group per channel, scales beside the data set."""
    with h5py.File(path, "w") as content:
        for number, channel in enumerate(channels):
            name = f"Channel_{number}"
            group = content.create_group(f"Measurement_000/{name}/{name}")
            data = group.create_dataset(name, data=channel.values)
            labels = [scale.name for scale in channel.scales]
            data.attrs["DIMENSION_LABELS"] = np.array(labels, dtype=h5py.string_dtype())
            told = {
                "quantity": channel.quantity, "units": channel.units,
                "data_type": channel.data_type, "modality": "generic", "source": "generic",
                "main_data_name": "generic", "pyNSID_version": "0.0.7.2",
            }  # fmt: skip
            data.attrs.update({key: value for key, value in told.items() if value is not None})
            for place, scale in enumerate(channel.scales):
                dimension = group.create_dataset(scale.name, data=scale.values)
                dimension.make_scale(scale.name)
                about = {"name": scale.name, "quantity": scale.quantity, "units": scale.units}
                about["dimension_type"] = scale.kind
                dimension.attrs.update({k: v for k, v in about.items() if v is not None})
                data.dims[place].attach_scale(dimension)
            group.create_group("original_metadata").attrs.update(channel.settings)
            group.create_group("provenance/sidpy").attrs["version"] = "0.12.3"
    return path


def grid(columns: int, rows: int, units: str = "m") -> list[Scale]:
    """Return the spatial axes of an image, x first."""
    return [
        Scale("x", np.linspace(0.0, 1e-6, columns), units, "x"),
        Scale("y", np.linspace(0.0, 2e-6, rows), units, "y"),
    ]


def spectrum(index: int, points: int = 16) -> SignalSet:
    """Return a spectrum of one channel, measured at a place and a time of its own."""
    bias = Axis(np.linspace(-8.0, 8.0, points), "V", "bias")
    loop = make_signal(
        np.random.default_rng(index).normal(size=points),
        {"bias": bias},
        quantity="piezoresponse",
        units="a.u.",
        metadata={"request": {"position": [index * 1e-9, 0.0]}},
    )
    numbers = {
        "x": ((), index * 1e-9, {"units": "m", "quantity": "position"}),
        "time": ((), 0.5 * index, {"units": "s", "quantity": "time"}),
    }
    return loop.assign_coords(numbers).to_dataset(name="piezoresponse")


def step(number: int, signals: tuple[SignalRef, ...] = ()) -> tuple[Decision, Intent, Outcome]:
    """Return what the engine writes for one measurement."""
    position = (number * 1e-9, 0.0)
    return (
        Decision(step=number, action=Action(index=number, position=position)),
        Intent(step=number, capability="PointSpectroscopy", request={"position": list(position)}),
        Outcome(
            step=number, signals=signals, reward=float(number), time=0.5 * number,
            spent=Spent(spectra=number + 1), features={"area": 1.0, "imprint": None},
        ),
    )  # fmt: skip


def events(steps: int) -> list[Event]:
    """Return the events of a run that has gone that far."""
    return [event for number in range(steps) for event in step(number)]


@pytest.fixture
def record() -> RunRecord:
    return RunRecord(
        id="20250101-discover-0", workflow="discover", settings={"beta": 2.0}, seed=0,
        created="2025-01-01T12:00:00+00:00", versions={"nanopilot": "0.1.0"}, instrument={},
    )  # fmt: skip


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python program in a process of its own; what still runs at the end is killed."""
    begun: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Mount a file system of 2 MiB, where that is allowed."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small file system needs Linux and the rights of root")
    folder = Path(tempfile.mkdtemp(prefix="nanopilot-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "nanopilot-test", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


def kill(process: subprocess.Popen[str]) -> str:
    """Kill a process as a power cut would, and return what it had said."""
    process.send_signal(signal.SIGKILL)
    return process.communicate()[0]


@pytest.fixture
def store(tmp_path: Path) -> SignalStore:
    return SignalStore.make(tmp_path / "signals.zarr", "process")
