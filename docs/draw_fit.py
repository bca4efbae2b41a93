"""Picture of a twin fitted to real scans; left as it is where the scans are not at hand."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from nanopilot.app.twin_gap_picture import draw_gap
from nanopilot.workflows.fit_twin import fit_twin, read_scan

#: Piezoresponse scans of a PbTiO3 film (MIT licence, DTMicroscope 2024), beside the repository.
SCANS = Path(__file__).parents[2] / "shared" / "data" / "pfm"


def draw(folder: Path) -> None:
    """Write what is left between the fitted twin and four scans, in few colours."""
    files = [SCANS / f"PTO_Funakubo000{number}.h5" for number in (1, 2, 3, 4)]
    if not all(file.exists() for file in files):
        return
    path = folder / "fitted-twin.png"
    draw_gap(fit_twin([read_scan(file) for file in files]), path)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    draw(Path(__file__).parent / "pictures")
