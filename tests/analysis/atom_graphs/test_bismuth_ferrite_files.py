"""Columns of published frames against the centres of unit cells published with them.

The frames are not part of this repository: Zenodo record 4555979, files ``Sm_*_HAADF.h5`` and
``Sm_*_UCParameterization.h5``. Name their folder in NANOPILOT_BISMUTH_FERRITE to run the test.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.spatial import cKDTree

from nanopilot.analysis.atom_graphs import rank_sites
from nanopilot.analysis.atoms import find_columns
from nanopilot.core.signals import Axis, make_signal

Array = np.ndarray[Any, np.dtype[Any]]
FOLDER = os.environ.get("NANOPILOT_BISMUTH_FERRITE", "")
#: Pixels along a side that are looked at: the middle is enough. Size of a pixel is nominal.
SIDE, PIXEL = 700, 2e-11


def deviation(image: Array, centres: Array) -> float:
    """Return the median distance in pixels of published centres, (n, 2), from those of ours.

    A centre is that of four columns of the brighter sublattice, or of these and the column
    between them; which, and whether rows or columns come first, is not said in the files.
    """
    axes = {
        dim: Axis(np.arange(n) * PIXEL, "m", "position")
        for dim, n in zip("yx", image.shape, strict=True)
    }
    frame = make_signal(image.astype(float), axes, quantity="counts", units="1")
    ranked = rank_sites(find_columns(frame), frame)
    place = ranked.crystal.place[ranked.crystal.column] / PIXEL
    bright = ranked.sublattice[ranked.crystal.column] == ranked.sublattice.max()
    far, corners = cKDTree(place[bright]).query(place[~bright], k=4)
    whole = far[:, 3] < 1.4 * far[:, 0]
    four = place[bright][corners[whole]].mean(axis=1)
    found = {"four": four, "five": (4 * four + place[~bright][whole]) / 5}
    return min(
        float(np.median(cKDTree(one).query(turned[inside(turned, image.shape)])[0]))
        for one in found.values()
        for turned in (centres, centres[:, ::-1])
    )


def inside(centres: Array, shape: tuple[int, ...]) -> Array:
    margin = 0.1 * min(shape)
    last = np.array(shape)[::-1] - margin
    return np.asarray(((centres > margin) & (centres < last)).all(axis=1))


def test_centres_of_a_drawn_frame_agree(lattice: Any, picture: Any) -> None:
    place, atom = lattice("perovskite")
    image = picture(place, np.where(atom == 1, 110.0, 300.0)).to_numpy()
    far, corners = cKDTree(place[atom == 0]).query(place[atom == 1], k=4)
    whole = far[:, 3] < 1.2 * far[:, 0]
    centres = place[atom == 0][corners[whole]].mean(axis=1)
    assert deviation(image, centres) < 0.1
    assert deviation(image, centres + np.array([3.0, 0.0])) > 2.0


@pytest.mark.skipif(not FOLDER, reason="NANOPILOT_BISMUTH_FERRITE names no folder")
@pytest.mark.parametrize("composition", ["Sm_0_1", "Sm_7_2", "Sm_10_1", "Sm_13_0", "Sm_20_0"])
def test_columns_agree_with_published_centres(composition: str) -> None:
    image_path = Path(FOLDER) / f"{composition}_HAADF.h5"
    cells_path = Path(FOLDER) / f"{composition}_UCParameterization.h5"
    if not image_path.exists() or not cells_path.exists():
        pytest.skip(f"{composition} is not in the folder")
    with h5py.File(image_path) as file:
        image = np.asarray(file["MainImage"], dtype=float)
    with h5py.File(cells_path) as file:
        centres = np.asarray(file["xy_COM"], dtype=float)
    centres = centres.T if centres.shape[0] == 2 else centres
    first = [(size - SIDE) // 2 for size in image.shape]
    cut = image[first[0] : first[0] + SIDE, first[1] : first[1] + SIDE]
    ways = (np.array(first)[::-1], np.array(first))
    assert min(deviation(cut, centres - way) for way in ways) <= 0.5
