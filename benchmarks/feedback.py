"""A frame of 256², trace and retrace, with the loop at 20 kHz; one channel.

The peer does what published simulators do: a PI controller in Python, sample by sample, that
keeps its last errors in an array which it rolls. Ours is the whole way from request to frame.
"""

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.timing import alternate
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin
from nanopilot.twins.spm.motion import FloatArray
from nanopilot.twins.spm.sample import bilinear

SIZE, RATE, GOAL = 256, 20e3, 50.0
#: Lines per second: at 1 the loop runs 39 times per pixel; at the other once, as published.
LINE_RATES = {"39_samples_per_pixel": 1.0, "1_sample_per_pixel": RATE / (2 * SIZE)}
#: A measurement shorter than a slice of the scheduler says little: so many frames are one.
REPEATS = {"39_samples_per_pixel": 1, "1_sample_per_pixel": 20}
#: Of the frame the peer scans this many lines; its time is scaled up.
PEER_LINES = {"39_samples_per_pixel": 2, "1_sample_per_pixel": 64}
HISTORY = 64
#: The peer's piezo is a low pass of one sample and ours an oscillator this far above the loop.
SETTINGS = SpmSettings.model_validate(
    {"loop": {"integral": 800.0, "resonance": 9.9e3, "quality": 0.5, "setpoint": 50e-9}}
)


def row() -> dict[str, Any]:
    """Measure at both line rates."""
    parts = {name: _measure(name) for name in LINE_RATES}
    worst = min(parts.values(), key=lambda part: part["ratio"])
    return {
        "kernel": f"scan with feedback, {SIZE}² trace and retrace at {RATE / 1e3:g} kHz",
        "ours_s": worst["ours_s"],
        "peer": "PI in Python, sample by sample, np.roll of the error history, scaled up from "
        "some of the lines",
        "peer_s": worst["peer_s"],
        "ratio": worst["ratio"],
        "threads": 1,
        **parts,
        "goal": f"ratio >= {GOAL:g}, heights equal to 1 % of the relief",
        "ok": all(part["ok"] for part in parts.values()),
    }


def _measure(name: str) -> dict[str, Any]:
    sample = _sample()
    twin = SpmTwin(sample, VirtualClock(), settings=SETTINGS)
    request = ScanRequest(
        centre=(0.0, 0.0),
        field_of_view=(1e-6, 1e-6),
        shape=(SIZE, SIZE),
        channels=("height",),
        directions=("trace", "retrace"),
        line_rate=LINE_RATES[name],
    )
    found: dict[str, Any] = {}

    def ours() -> None:
        for _ in range(REPEATS[name]):
            found["ours"] = twin.capability(Scanner).start(request).result()

    def peer() -> None:
        found["peer"] = _published(twin, request, PEER_LINES[name])

    ours_s, peer_s = alternate(ours, peer, rounds=3)
    ours_s, peer_s = ours_s / REPEATS[name], peer_s * SIZE / PEER_LINES[name]
    difference = _difference(found["ours"], found["peer"])
    relief = float(np.ptp(found["ours"]["height"].to_numpy()))
    return {
        "ours_s": round(ours_s, 4),
        "peer_s": round(peer_s, 2),
        "ratio": round(peer_s / ours_s, 1),
        "rms_difference_of_relief": round(difference / relief, 5),
        "ok": bool(peer_s / ours_s >= GOAL and difference <= 0.01 * relief),
    }


def _sample() -> Sample:
    rng = np.random.default_rng(0)
    return Sample("rough", gaussian_filter(rng.normal(size=(640, 640)), 8) * 200e-9, 2e-9)


def _published(twin: SpmTwin, request: ScanRequest, lines: int) -> FloatArray:
    """Return heights, shape (lines, 2, columns), as the published way finds them."""
    columns, loop = request.shape[1], SETTINGS.loop
    samples = round(loop.rate / (2 * (request.line_rate or 1.0)))
    along = (np.arange(samples) + 0.5) / samples - 0.5
    width = request.field_of_view[0] * columns / (columns - 1)
    images = np.empty((lines, 2, columns))
    apparent, place = twin.truth.apparent, twin.truth.sample.pixels
    piezo: float | None = None
    history = np.zeros(HISTORY)
    for row in range(lines):
        y = np.full(samples, request.field_of_view[1] * (row / (request.shape[0] - 1) - 0.5))
        for way in (0, 1):
            x = (along if way == 0 else along[::-1]) * width
            profile = bilinear(apparent, *place(x, y))
            piezo = profile[0] - loop.setpoint if piezo is None else piezo
            heights = np.empty(samples)
            for i in range(samples):
                heights[i] = piezo
                error = loop.setpoint - (profile[i] - piezo)
                history = np.roll(history, 1)
                history[0] = error
                piezo = piezo - loop.proportional * error - loop.integral / loop.rate * history[0]
            pixels = (
                heights.reshape(columns, -1).mean(axis=1)
                if samples % columns == 0
                else [
                    part.mean()
                    for part in np.split(heights, np.arange(1, columns) * samples // columns)
                ]
            )
            images[row, way] = pixels if way == 0 else pixels[::-1]
    return images


def _difference(ours: SignalSet, peer: FloatArray) -> float:
    mine = np.stack([ours["height"], ours["height_retrace"]], axis=1)[: len(peer)]
    return float(np.sqrt(np.mean((mine - peer) ** 2)))
