"""Draws the pictures of the documentation: `make pictures`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from draw_analyse import draw as draw_analyse
from draw_defects import draw as draw_defects
from draw_electrodes import draw as draw_electrodes
from draw_fit import draw as draw_fit
from draw_frames import draw as draw_frames
from draw_grains import draw as draw_grains
from draw_instruments import draw as draw_instruments
from draw_particles import draw as draw_particles
from draw_patterns import draw as draw_patterns
from draw_shapes import draw as draw_shapes
from draw_strangers import draw as draw_strangers
from draw_tip import draw as draw_tip
from draw_twins import draw as draw_twins
from PIL import Image

from nanopilot.app.demo import run_demo

#: Of the demonstration's report; wide enough for a page.
CHOSEN, WIDTH = ("sites", "progress", "map"), 1200


def main() -> None:
    """Draw instruments, twins, and the demonstration, of which some figures are kept, small."""
    target = Path(__file__).parent / "pictures"
    target.mkdir(exist_ok=True)
    draw_instruments(target / "instruments.png")
    draw_twins(target)
    draw_fit(target)
    draw_analyse(target / "analyse.png")
    draw_defects(target / "rank-defects.png")
    draw_electrodes(target / "electrode-overhang.png")
    draw_frames(target / "frames.png")
    draw_grains(target / "segment-grains.png")
    draw_particles(target / "find-particles.png")
    draw_shapes(target / "particle-shapes.png")
    draw_tip(target / "see-through-the-tip.png")
    draw_strangers(target / "strangers.png")
    draw_patterns(target / "virtual-detectors.png")
    with TemporaryDirectory() as scratch:
        run = Path(scratch) / "demo"
        for _ in run_demo(seed=0, budget=0.1, folder=run):
            pass
        for name in CHOSEN:
            picture = Image.open(run / "figures" / f"{name}.png").convert("RGB")
            picture.thumbnail((WIDTH, WIDTH))
            picture.save(target / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
