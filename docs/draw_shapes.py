"""Draws particles outlined by class, what they are sorted by, and fractions along a stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from nanopilot.analysis.particle_shapes import ShapeStream, Standing, Update, colour, shape_features
from nanopilot.bench.tem_particles import TemScene, draw_particles
from nanopilot.core.signals import Signal

FRAMES = 10


def draw(path: Path) -> None:
    """Write the picture."""
    rng = np.random.default_rng(4)
    scene = TemScene(pixels=512, count=34, overlap=0.15, pairs=0.3, dose=150.0, uneven=0.4)
    stream = ShapeStream(np.random.default_rng(0))
    told: list[tuple[Signal, Update]] = []
    for number in range(FRAMES):
        frame = draw_particles(scene, rng).frame
        told.append((frame, stream.add(frame, f"frame {number}")))
    figure = Figure(figsize=(12.0, 4.2), layout="constrained", dpi=100)
    left, middle, right = figure.subplots(1, 3)
    _frame(left, *told[-1])
    _features(middle, [one for _, one in told], stream)
    _fractions(right, [one.standing for _, one in told])
    figure.savefig(path)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


def _frame(axes: Axes, frame: Signal, update: Update) -> None:
    x, y = (frame[dim].to_numpy() * 1e9 for dim in ("x", "y"))
    axes.imshow(frame.to_numpy(), cmap="gray", extent=(x[0], x[-1], y[-1], y[0]))
    lines = update.outlined.outlines.values() if update.outlined else ()
    for line, number in zip(lines, update.classes, strict=True):
        closed = np.concatenate([line, line[:1]]) * 1e9
        axes.plot(*closed.T, color=colour(int(number)), linewidth=1.5)
    axes.set(title="one frame, outlined", xlabel="x (nm)", ylabel="y (nm)")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[-1], y[0])


def _features(axes: Axes, updates: list[Update], stream: ShapeStream) -> None:
    for one in updates:
        if one.outlined is None:
            continue
        features = shape_features(one.outlined.table)
        numbers = stream.classes_of(one.outlined.table)
        axes.scatter(*features.T, s=9, c=[colour(int(number)) for number in numbers])
    axes.set(
        title="what they are sorted by",
        xlabel="elongation: root of log of the aspect ratio",
        ylabel="corners: root of 1 - ellipticity",
    )


def _fractions(axes: Axes, standing: list[Standing]) -> None:
    numbers = sorted({number for one in standing for number in one.classes})
    for number in numbers:
        rows = [
            (at, *(getattr(one, name)[one.classes.index(number)] for name in _SHOWN))
            for at, one in enumerate(standing)
            if number in one.classes
        ]
        word = next(
            one.words[one.classes.index(number)] for one in standing[::-1] if number in one.classes
        )
        at, middle, low, high = np.array(rows).T
        axes.fill_between(at, low, high, color=colour(number), alpha=0.2, linewidth=0)
        axes.plot(at, middle, color=colour(number), marker="o", markersize=3, label=word)
    axes.set(title="fractions along the stream", xlabel="frame", ylabel="share", ylim=(0, 0.8))
    axes.legend(fontsize=8)


_SHOWN = ("fractions", "low", "high")
