"""Draws what one script gets from five instruments."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from scripts.scan_anywhere import scan
from temscript.null_microscope import NullMicroscope
from temscript.server import MicroscopeServer

import nanopilot as npl
from nanopilot.app.facades.nanonis import NanonisFacade
from nanopilot.core.signals import SignalSet

_REPLAY = {"sample": "beps-pto"}


@contextmanager
def _served() -> Iterator[tuple[str, str]]:
    command = ("serve", "replay", "--sample", "beps-pto", "--port", "0", "--json", "--runs")
    with (
        TemporaryDirectory() as runs,
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "nanopilot", *command, runs], stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        assert server.stdout is not None  # noqa: S101 - it was asked for
        told = json.loads(server.stdout.readline())
        yield told["url"], told["token"]
        server.terminate()


@contextmanager
def _temscript() -> Iterator[int]:
    server = MicroscopeServer(("127.0.0.1", 0), NullMicroscope)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def frames() -> Iterator[tuple[str, SignalSet]]:
    """Yield the frame of every back end, with what it is."""
    shape = (128, 128)
    with npl.connect("replay", **_REPLAY) as scope:
        yield "recording", scan(scope, shape)
    with _served() as (url, token), npl.connect(url, token=token) as scope:
        yield "served over HTTP", scan(scope, shape)
    with (
        NanonisFacade(npl.connect("replay", **_REPLAY), port=0) as facade,
        npl.connect("nanonis", port=facade.port) as scope,
    ):
        yield "Nanonis protocol", scan(scope, shape)
    with npl.connect("nion") as scope:
        yield "Nion's simulator", scan(scope, shape)
    with _temscript() as port, npl.connect("temscript", port=port) as scope:
        yield "temscript server", scan(scope, shape)


def draw(path: Path) -> None:
    """Draw the five frames side by side."""
    figure, panels = plt.subplots(1, 5, figsize=(15, 3.9), layout="constrained")
    for axes, (what, frame) in zip(panels, frames(), strict=True):
        ((name, channel),) = frame.data_vars.items()
        x, y = (1e6 * frame[axis].to_numpy() for axis in ("x", "y"))
        low, high = np.nanpercentile(channel, (1, 99))
        edges = (x[0], x[-1], y[0], y[-1])
        image = axes.imshow(channel, extent=edges, origin="lower", vmin=low, vmax=high)
        label = f"{name} ({channel.attrs['units']})"
        figure.colorbar(image, label=label, orientation="horizontal", location="bottom")
        axes.set(title=what, xlabel="x (µm)", ylabel="y (µm)")
    figure.savefig(path, dpi=80)
    plt.close(figure)
