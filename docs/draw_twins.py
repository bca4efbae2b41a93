"""Pictures of the scanning-probe twin beside its truth."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from nanopilot.app.show_twin import look
from nanopilot.workflows.twins import spm

#: Samples that pages show, and the seed of each.
SHOWN = {"ferroelectric": 1, "particles": 1}


def draw(folder: Path) -> None:
    """Write one picture of each sample, in 256 colours so that it stays small."""
    for name, seed in SHOWN.items():
        path = folder / f"spm-{name}.png"
        look(spm(name, seed=seed)).draw(f"spm, {name}, seed {seed}", path)
        Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    draw(Path(__file__).parent / "pictures")
