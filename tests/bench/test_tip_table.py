"""The published table: every figure is met, and the surfaces and tips are those described."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest
from scipy.ndimage import grey_dilation

from nanopilot.bench.tip_table import (
    TABLE,
    Row,
    deviations,
    gaussian_tip,
    measured,
    surface,
    table_deviation,
)
from nanopilot.models.tip_imaging import dilate, erode


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.surface}-{row.tip}")
def test_every_figure_is_met_within_five_percent(row: Row) -> None:
    assert max(deviations(row, np.random.default_rng(1)), default=0.0) < 0.05


def test_twelve_cases_and_twenty_nine_figures_are_there() -> None:
    assert len(TABLE) == 12
    told = [one for row in TABLE for one in (row.scanned, row.eroded, row.noisy) if one is not None]
    assert len(told) == 29
    assert [row for row in TABLE if row.scanned is None] == [Row("real", (2, 2, 0.0, 0))]


def test_the_worst_figure_is_the_largest_deviation() -> None:
    every = [one for row in TABLE for one in deviations(row, np.random.default_rng(0))]
    assert 0.5 * table_deviation() < max(every) < 0.025


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.surface}-{row.tip}")
def test_errors_are_those_of_morphology_from_scipy(row: Row) -> None:
    true, tip = surface(row.surface), gaussian_tip(*row.tip)
    image = grey_dilation(true, structure=-tip[::-1, ::-1], mode="constant", cval=-1e9)
    eroded = -grey_dilation(-image, structure=-tip, mode="constant", cval=-1e9)
    scanned, bound, _ = measured(row, np.random.default_rng(0))
    assert scanned == pytest.approx(np.abs(image - true).mean(), rel=1e-9)
    assert bound == pytest.approx(np.abs(eroded - true).mean(), rel=1e-9)
    assert (erode(dilate(true, tip), tip) >= true).all()


@pytest.mark.parametrize("name", ["atomic", "real", "checker"])
def test_surfaces_are_of_one_scale(name: str) -> None:
    height = surface(name)
    assert height.shape == (128, 128)
    assert height.min() == pytest.approx(0.0, abs=1e-3)
    assert height.max() == pytest.approx(1.0, abs=1e-3)


def test_lattice_has_ten_periods_and_the_checker_squares_of_twelve_pixels() -> None:
    spectrum = np.abs(np.fft.fft2(surface("atomic") - 0.5))
    rows, columns = np.nonzero(spectrum > 0.5 * spectrum.max())
    assert {tuple(pair) for pair in zip(rows, columns, strict=True)} == {
        (10, 10), (10, 118), (118, 10), (118, 118),
    }  # fmt: skip
    checker = surface("checker")
    assert checker[:12, :12].max() == 0.0
    assert checker[:12, 12:24].min() == checker[12:24, :12].min() == 1.0
    assert checker[12:24, 12:24].max() == 0.0


def test_tips_are_of_the_formula_with_the_apex_at_nought() -> None:
    tip = gaussian_tip(6, 4, 0.5, 20)
    assert tip.shape == (61, 61)
    assert tip[30, 30] == 0.0
    apex = 1 + 0.5 * np.exp(-(20**2 + 20**2) / (2 * 4**2))
    u, v = 7, -3
    body = np.exp(-(u**2 + v**2) / 72) + 0.5 * np.exp(-((u - 20) ** 2 + (v - 20) ** 2) / 32)
    assert tip[30 + v, 30 + u] == pytest.approx(apex - body)
    assert tip[50, 50] == pytest.approx(apex - 0.5 - np.exp(-800 / 72))


def test_real_topography_is_the_one_its_source_names_and_brings_its_licence() -> None:
    folder = files("nanopilot.twins") / "recordings" / "spmsimu"
    source = (folder / "SOURCE.md").read_text(encoding="utf-8")
    assert hashlib.sha256((folder / "topography.npy").read_bytes()).hexdigest() in source
    licence = (folder / "LICENSE").read_text(encoding="utf-8")
    assert "MIT License" in licence
    assert "RichardLiuCoding" in licence
