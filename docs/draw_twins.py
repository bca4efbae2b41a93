"""Pictures of the twins beside their truth."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from nanopilot.app.show_stem import look_stem
from nanopilot.app.show_twin import look
from nanopilot.workflows.twins import spm, stem

#: Samples that pages show, and the seed of each.
SHOWN = {"ferroelectric": 1, "particles": 1}
SCENES = {"pd-se": 1}


def draw(folder: Path) -> None:
    """Write one picture of each sample, in 256 colours so that it stays small."""
    for name, seed in SHOWN.items():
        path = folder / f"spm-{name}.png"
        look(spm(name, seed=seed)).draw(f"spm, {name}, seed {seed}", path)
        _shrink(path)
    for name, seed in SCENES.items():
        path = folder / f"stem-{name}.png"
        look_stem(stem(name, seed=seed)).draw(f"stem, {name}, seed {seed}", path)
        _shrink(path)


def _shrink(path: Path) -> None:
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    draw(Path(__file__).parent / "pictures")
