"""Draws what virtual detectors see of 4D-STEM data."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from nanopilot.analysis.pattern_masks import standard_masks
from nanopilot.analysis.virtual_detectors import virtual_images
from nanopilot.app.patterns_picture import draw_images
from nanopilot.core.requests import CameraRequest
from nanopilot.instruments import Guard
from nanopilot.workflows.record_patterns import open_patterns, record_patterns
from nanopilot.workflows.twins import stem

_CAMERA = {"pixels": 48, "angle_per_pixel": 4e-3, "physics": "elastic", "exposure": 1e-2}
_SHOWN = ("sum", "bf", "abf", "adf", "com_x", "com_y")


def draw(path: Path) -> None:
    """Write the picture."""
    twin = stem("dichalcogenide", seed=1, settings={"camera": _CAMERA})
    request = CameraRequest(
        channels=("pattern",), position=(0, 0), shape=(24, 24), field_of_view=(1.1e-9, 1.1e-9)
    )
    with TemporaryDirectory() as scratch:
        scan = record_patterns(Guard(twin), request, Path(scratch, "scan.zarr"))
        convergence = twin.truth.lens.convergence_angle
        images = virtual_images(open_patterns(scan), standard_masks(convergence))
    draw_images(images[list(_SHOWN)], path)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    draw(Path(__file__).parent / "pictures" / "virtual-detectors.png")
