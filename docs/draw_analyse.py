"""Draws what `nanopilot analyse` leaves: one frame of each kind, and what was found in it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageDraw

from nanopilot.app.batch.overlay import draw_overlay
from nanopilot.bench import grain_frames, lattice_defects, particle_scenes, xray_stacks
from nanopilot.core import registry
from nanopilot.core.signals import Signal

#: Pixels of a panel, of the line above it, and around it.
_SIDE, _ABOVE, _GAP = 400, 22, 10


def draw(path: Path) -> None:
    """Write the picture of the page on analysing folders."""
    panels = [(kind, _overlay(kind, frame)) for kind, frame in _frames().items()]
    across = 3
    down = -(-len(panels) // across)
    size = (across * (_SIDE + _GAP) + _GAP, down * (_SIDE + _ABOVE + _GAP) + _GAP)
    page = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(page)
    for number, (kind, image) in enumerate(panels):
        row, column = divmod(number, across)
        at = (_GAP + column * (_SIDE + _GAP), _GAP + row * (_SIDE + _ABOVE + _GAP))
        pen.text(at, f"nanopilot analyse {kind}", fill="#333333")
        page.paste(image, (at[0], at[1] + _ABOVE))
    page.save(path, optimize=True)


def _frames() -> dict[str, Signal]:
    perovskite = lattice_defects.Plan("perovskite")
    return {
        "atoms": lattice_defects.draw_scene(perovskite, np.random.default_rng(4), 192).frame,
        "defects": lattice_defects.draw_scene(perovskite, np.random.default_rng(5), 256).frame,
        "grains": grain_frames.draw_scene("terraced", np.random.default_rng(2), snr=20.0).frame,
        "particles": particle_scenes.draw_pair(np.random.default_rng(3), 0.003)[0].frame,
        "electrodes": xray_stacks.draw_image(
            "clean", np.random.default_rng(5), shape=(1000, 1000)
        ).frame,
    }


def _overlay(kind: str, frame: Signal) -> Image.Image:
    found = registry.build("analysers", kind)(frame)
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "overlay.png"
        draw_overlay(frame, found.marks, path, in_pixels=False)
        image = Image.open(path).convert("RGB")
    image.thumbnail((_SIDE, _SIDE))
    return image
