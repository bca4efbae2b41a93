"""Centres on the published pictures, for who has them: the folder is named by the environment.

`NANOPILOT_PARTICLE_PICTURES` holds ``images/*.png`` and, with the same names, ``labels/*.png``,
whose one brightest pixel is the centre. No licence came with them, so that none are kept here.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanopilot.analysis.particles import Limits, search

FOLDER = Path(os.environ.get("NANOPILOT_PARTICLE_PICTURES", "/nowhere"))
#: Labels were clicked by hand: all are off by about this, in pixels.
OFFSET = np.array([-2.2, -0.8])


def centre_errors(folder: Path, most: int = 40) -> list[float]:
    """Return the distance of the likeliest particle from the label, in pixels, one a picture."""
    errors = []
    pictures = sorted((folder / "images").glob("*.png"))
    for path in pictures[:: max(1, len(pictures) // most)]:
        image = np.asarray(Image.open(path).convert("L"), dtype=np.float32)
        clicked = np.asarray(Image.open(folder / "labels" / path.name).convert("L"))
        there = np.array(np.unravel_index(int(clicked.argmax()), clicked.shape))
        found = search(image, Limits(20, 64, 0.0))
        if len(found.radius):
            best = found.place[int(np.argmax(found.probability))]
            errors.append(float(np.hypot(*(best - there))))
        else:
            errors.append(float("inf"))
    return errors


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no published pictures at hand")
def test_median_error_of_centres_is_the_jitter_of_the_labels() -> None:
    assert np.median(centre_errors(FOLDER)) <= 3


def test_pictures_like_the_published_ones_are_read_and_judged(tmp_path: Path) -> None:
    """A dark rim of 58 pixels, noise of variance 0.03, 8 bits, label off by what hands do."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    y, x = np.indices((256, 256))
    for number in range(3):
        middle = rng.uniform(90, 166, 2)
        away = np.hypot(y - middle[0], x - middle[1])
        image = 0.5 - 0.35 * np.exp(-0.5 * ((away - 57) / 4) ** 2) + 0.08 * (away < 56)
        image = np.clip(image + rng.normal(0, np.sqrt(0.03), image.shape), 0, 1)
        Image.fromarray(np.uint8(255 * image)).save(tmp_path / "images" / f"{number}.png")
        label = np.zeros(image.shape, np.uint8)
        row, column = np.rint(middle + OFFSET).astype(int)
        label[row, column] = 255
        Image.fromarray(label).save(tmp_path / "labels" / f"{number}.png")
    errors = centre_errors(tmp_path)
    assert len(errors) == 3
    assert max(errors) < 3
