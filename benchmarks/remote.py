"""Frames from a served instrument: raw binary against JSON lists, and frames per second.

The servers run in a process of their own, as they do in a laboratory.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import urllib3
import uvicorn
import xarray as xr
from fastapi import FastAPI

import nanopilot as npl
from benchmarks.timing import alternate
from nanopilot.app.server import InstrumentServer, Role
from nanopilot.core.requests import CameraRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments.remote.acquisition import RemoteAcquisition
from nanopilot.instruments.remote.link import Link
from nanopilot.instruments.remote.messages import Progress

#: Seconds for the frame, ratio to JSON, and frames per second of a stream.
GOAL_S, GOAL_RATIO, GOAL_RATE = 5e-3, 100.0, 60.0
_SIDE = 512
_STREAMED = 240
_ROUNDS = 21


class Film:
    """An acquisition of frames that are there already: nothing but the way is measured."""

    progress = 1.0

    def __init__(self, frames: SignalSet) -> None:
        self._frames = frames

    def __iter__(self) -> Iterator[SignalSet]:
        for number in range(self._frames.sizes["frame"]):
            yield self._frames.isel(frame=slice(number, number + 1))

    def abort(self) -> None:
        """Nothing goes on."""

    def result(self) -> SignalSet:
        """Return the last frame."""
        return self._frames.isel(frame=slice(-1, None))


def row() -> dict[str, Any]:
    """Return the row of the remote frame.

    `ours_s` and `peer_s` are medians of fetching one frame of 2.1 MB, as `result` of our client
    and as JSON lists from the same server program; `rate` is frames of 512 x 512 in 16 bits per
    second that arrive in our client over a WebSocket.
    """
    with (
        _served("ours") as said,
        _served("peer") as peer_said,
        closing(Link(said["url"], said["token"])) as link,
    ):
        frame, pool = _frames(1, np.float64), urllib3.connection_from_url(peer_said["peer"])
        still = _acquisition(link, said["still"])

        def peer() -> np.ndarray[Any, Any]:
            return np.array(json.loads(pool.request("GET", "/frame").data)["haadf"])

        xr.testing.assert_identical(still.result(), frame)
        np.testing.assert_array_equal(peer(), frame["haadf"].to_numpy())
        ours_s, peer_s = alternate(still.result, peer, _ROUNDS)
        rate = max(_rate(link, said["film"]) for _ in range(3))
        pool.close()
    return {
        "kernel": "remote frame: 2.1 MB over loopback",
        "ours_s": ours_s,
        "peer": "the same as JSON lists",
        "peer_s": peer_s,
        "ratio": peer_s / ours_s,
        "ours_accuracy": 0.0,
        "peer_accuracy": 0.0,
        "goal": f"{GOAL_S * 1e3:.0f} ms, {GOAL_RATIO:.0f}x, {GOAL_RATE:.0f} frames/s of 512 x 512",
        "rate": rate,
        "ok": ours_s < GOAL_S and peer_s >= GOAL_RATIO * ours_s and rate >= GOAL_RATE,
    }


def _frames(count: int, dtype: Any) -> SignalSet:
    rng = np.random.default_rng(0)
    axis = np.linspace(0, 10e-9, _SIDE)
    place = {"units": "m", "quantity": "position"}
    shape = (count, _SIDE, _SIDE)
    # Heights in metres have all their digits; counts have few.
    heights = dtype is np.float64
    values = rng.normal(0, 1e-9, shape) if heights else rng.poisson(500, shape).astype(dtype)
    labels = {"units": "m", "quantity": "height"} if heights else {"units": "counts"}
    return xr.Dataset(
        {"haadf": (("frame", "y", "x"), values, labels)},
        coords={
            "frame": ("frame", np.arange(count, dtype=float), {"units": "1", "quantity": "frame"}),
            "y": ("y", axis, place),
            "x": ("x", axis, place),
        },
    )


def _acquisition(link: Link, name: str) -> RemoteAcquisition:
    started = Progress(id=name, capability="Camera", progress=0.0, finished=False, blocks=0)
    return RemoteAcquisition(link, started, CameraRequest(frames=1))


def _rate(link: Link, name: str) -> float:
    """Return frames per second of a stream that the server has ready."""
    begin = time.perf_counter()
    acquisition = _acquisition(link, name)
    count = sum(block.sizes["frame"] for block in acquisition)
    seconds = time.perf_counter() - begin
    assert (count, acquisition.dropped) == (_STREAMED, 0)
    return count / seconds


@contextmanager
def _served(which: str) -> Iterator[dict[str, Any]]:
    """Run this module as a server, and give what it says of itself.

    Each has a process of its own: what one does after its answer must not hold up the other.
    """
    command = [sys.executable, "-m", "benchmarks.remote", which]
    with subprocess.Popen(  # noqa: S603 - this very file
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())


def _serve_peer() -> None:
    """Serve the frame as JSON, until standard input ends."""
    values = _frames(1, np.float64)["haadf"].to_numpy()
    app = FastAPI()

    @app.get("/frame")
    def frame_as_json() -> dict[str, Any]:
        return {"haadf": values.tolist()}

    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", http="httptools")
    peer = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(peer.serve()))
    thread.start()
    while not peer.started:
        time.sleep(0.01)
    port = peer.servers[0].sockets[0].getsockname()[1]
    print(json.dumps({"peer": f"http://127.0.0.1:{port}"}), flush=True)
    sys.stdin.read()
    peer.should_exit = True
    thread.join()


def _serve() -> None:
    """Serve a frame and a film, until standard input ends."""
    with InstrumentServer(npl.connect("plain", world="beam")) as server:
        add = server.service.measurements.add
        still = add("Camera", Film(_frames(1, np.float64)))
        film = add("Camera", Film(_frames(_STREAMED, np.uint16)))
        said = {
            "url": server.url,
            "token": server.keys.tokens[Role.VIEWER],
            "still": still.id,
            "film": film.id,
        }
        print(json.dumps(said), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve_peer() if sys.argv[1:] == ["peer"] else _serve()
