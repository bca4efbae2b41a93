"""Experiments on an electron twin: beams and detectors that lag, and converters that are full."""

from __future__ import annotations

import math

import numpy as np

from nanopilot.bench.stem_checks import UNHURT, FloatArray, Physics, scan, scene_of
from nanopilot.core.adjustables import Detectors

#: Of a detector that adds nothing of its own.
_HAADF = {
    "inner": 60e-3, "outer": 180e-3, "offset": 0.0, "noise": 0.0, "bits": 0, "gain": 1.0
}  # fmt: skip
#: Metres that a frame is wide; its pixels are so far apart that the grain of a film averages out.
_WIDE = 200e-9
#: So wide a source that there is little grain, electrons enough that their noise does not matter.
_SMOOTH = {"lens": {"source_size": 0.4e-9}, "current": 1e-8, "damage": UNHURT}


def _wedge(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the thickness (m) of a film that grows from 1 to 4 nm over a frame."""
    del y
    return 2.5e-9 + 3e-9 * x / _WIDE


def flyback(physics: Physics, rng: np.random.Generator) -> float:
    """Return the larger relative error of the time constant of a flyback and of the way it lags.

    On a wedge the signal tells where the beam is: the end of a line, which it has reached, gives
    the scale, its start by how much the beam is behind. A line through the logarithm gives the
    time constant and, at the start of the line, what a wait before it has left of the way back.
    """
    dwell, columns = float(rng.uniform(0.5e-4, 2e-4)), 256
    time = dwell * float(rng.uniform(8.0, 20.0))
    wait = time * float(rng.uniform(0.2, 1.0))
    twin = physics.twin(
        scene_of(films={"carbon": _wedge}), int(rng.integers(1000)),
        motion={"flyback": time, "flyback_wait": wait}, detectors={"haadf": _HAADF}, **_SMOOTH,
    )  # fmt: skip
    frame = scan(
        twin, field_of_view=(_WIDE, _WIDE), shape=(256, columns), dwell_time=dwell
    )  # fmt: skip
    x, line = frame["x"].to_numpy(), frame["haadf"].to_numpy().mean(axis=0)
    slope, level = np.polyfit(x[columns * 5 // 8 :], line[columns * 5 // 8 :], 1)
    ahead = (line - level) / slope - x
    seen = slice(0, int(np.argmax(ahead < 0.1 * _WIDE)))
    if seen.stop < 4:
        return math.nan
    since = dwell * np.arange(columns)[seen]
    fall, start = map(float, np.polyfit(since, np.log(ahead[seen]), 1, w=ahead[seen]))
    left = _WIDE * math.exp(-wait / time)
    return max(abs(-1 / fall / time - 1), abs(math.exp(start) / left - 1))


def afterglow(physics: Physics, rng: np.random.Generator) -> float:
    """Return the larger relative error of how much light of a detector comes late, and how late.

    Lines go from a film into vacuum. After the edge there is nothing but what glows on: it falls by
    the same factor from pixel to pixel, and its sum is what was waiting when the film ended.
    """
    late, dwell = float(rng.uniform(0.05, 0.3)), float(rng.uniform(1e-6, 1e-5))
    time, columns = dwell * float(rng.uniform(1.5, 4.0)), 64
    glowing = _HAADF | {"afterglow": late, "afterglow_time": time}
    twin = physics.twin(
        scene_of(films={"carbon": lambda x, y: np.where(x < 0, 30e-9, 0.0)}),
        int(rng.integers(1000)), detectors={"haadf": glowing}, **_SMOOTH,
    )  # fmt: skip
    frame = scan(twin, field_of_view=(_WIDE, _WIDE), shape=(1024, columns), dwell_time=dwell)
    line = frame["haadf"].to_numpy().sum(axis=0)
    bright, dark = float(line[columns // 2 - 8 : columns // 2].mean()), line[columns // 2 :]
    seen = slice(0, int(np.argmax(dark < 0.02 * dark[0])))
    if not dark[0] > 0 or seen.stop < 3:
        return math.nan
    pixel = np.arange(len(dark))[seen]
    fall, start = map(float, np.polyfit(pixel, np.log(dark[seen]), 1, w=np.sqrt(dark[seen])))
    # What waits when the light has been even for long: late light times its time over the dwell.
    waiting = math.exp(start) / -math.expm1(fall)
    return max(abs(-dwell / fall / time - 1), abs(waiting * dwell / (time * bright) / late - 1))


def saturation(physics: Physics, rng: np.random.Generator) -> float:
    """Return the largest error of readings near the end of a converter, over its highest reading.

    The gain is set so that a wedge fills the converter in the middle of the frame. From there on
    every reading is the highest one; below, readings grow with the thickness.
    """
    bits, offset = int(rng.integers(8, 13)), float(rng.uniform(5, 20))
    full = 2**bits - 1
    twin = physics.twin(
        scene_of(films={"carbon": _wedge}), int(rng.integers(1000)),
        detectors={"haadf": _HAADF | {"bits": bits, "offset": offset, "gain": 1e-3}}, **_SMOOTH,
    )  # fmt: skip
    told = {"field_of_view": (_WIDE, _WIDE), "shape": (128, 128), "dwell_time": 1e-3}
    dim = scan(twin, **told)["haadf"].to_numpy().mean() - offset
    gain = (full - offset) / dim * 1e-3
    twin.capability(Detectors).set(haadf_gain=gain)
    frame = scan(twin, **told)
    x, seen = frame["x"].to_numpy(), frame["haadf"].to_numpy()
    line = seen.mean(axis=0)
    below = x < -0.1 * _WIDE
    expected = np.minimum(np.polyval(np.polyfit(x[below], line[below], 2), x), full)
    whole = bool((seen == np.rint(seen)).all())
    worst = max(float(np.abs(line - expected).max()), abs(float(seen.max()) - full))
    return worst / full if whole else math.nan
