"""Electrons to counts, and where they went."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.twins.stem.detectors import Detector, converted
from nanopilot.twins.stem.dose import CellMap, DoseMap
from nanopilot.twins.stem.settings import Annulus

Array = np.ndarray[Any, np.dtype[Any]]
PLAIN = {"inner": 0.06, "outer": 0.18, "gain": 1.0, "offset": 0.0, "noise": 0.0, "bits": 0}


def annulus(**more: float) -> Annulus:
    """Return a detector that counts electrons, but for what is told."""
    return Annulus.model_validate(PLAIN | more)


def read(mean: Array, dwell: float = 1e-6, pause: float = 0.0, **more: float) -> Array:
    """Return one reading of pixels that follow each other."""
    begins = np.arange(len(mean)) * (dwell + pause)
    return Detector(annulus(**more)).read(mean, begins, dwell, np.random.default_rng(0))


@pytest.mark.parametrize("mean", [0.3, 7.0, 300.0])
def test_counts_follow_poissons_law(mean: float) -> None:
    counts = read(np.full(40000, mean))
    assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / 40000))
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.04)


def test_gain_offset_noise_and_efficiency_add_up() -> None:
    counts = read(np.full(60000, 10.0), gain=3.0, offset=50.0, noise=4.0, efficiency=0.5)
    assert counts.mean() == pytest.approx(50 + 3 * 5, abs=0.15)
    assert counts.var() == pytest.approx(9 * 5 + 16, rel=0.03)


def test_a_converter_clips_and_rounds() -> None:
    counts = read(np.array([0.0, 10.0, 1e6]), gain=1.3, bits=8, offset=-5.0)
    assert counts[0] == 0
    assert counts[2] == 255
    assert np.array_equal(counts, np.rint(counts))
    np.testing.assert_array_equal(converted(np.array([-3.2, 1.7]), 0), [-3.2, 1.7])


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 0.9), st.floats(0.05, 20.0))
def test_afterglow_keeps_all_light(late: float, time: float) -> None:
    mean = np.zeros(400)
    mean[:100] = np.random.default_rng(1).uniform(0, 50, 100)
    dark = read(mean)
    glow = read(mean, afterglow=late, afterglow_time=time * 1e-6)
    assert glow.sum() == pytest.approx(dark.sum(), rel=1e-6)
    assert glow[100:].sum() > 0
    assert np.all(np.diff(glow[100:]) <= 1e-12)


def test_afterglow_decays_exponentially_and_unseen_during_a_pause() -> None:
    mean = np.zeros(50)
    mean[0] = 1000.0
    kept = read(mean, afterglow=0.5, afterglow_time=3e-6)
    np.testing.assert_allclose(kept[2:] / kept[1:-1], np.exp(-1 / 3), rtol=1e-9)
    electrons = np.random.default_rng(0).poisson(1000.0)
    waiting = 0.5 * electrons * 3 * (1 - np.exp(-1 / 3))
    assert kept[0] == pytest.approx(electrons - waiting)
    paused = read(mean, pause=2e-6, afterglow=0.5, afterglow_time=3e-6)
    assert paused[1] == pytest.approx(kept[1] * np.exp(-2 / 3))


def test_afterglow_goes_on_from_one_block_to_the_next() -> None:
    ring, mean = annulus(afterglow=0.4, afterglow_time=2e-6), np.full(60, 20.0)
    whole = Detector(ring).read(mean, np.arange(60) * 1e-6, 1e-6, np.random.default_rng(5))
    parts, rng = Detector(ring), np.random.default_rng(5)
    first = parts.read(mean[:25], np.arange(25) * 1e-6, 1e-6, rng)
    second = parts.read(mean[25:], np.arange(25, 60) * 1e-6, 1e-6, rng)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, rtol=1e-9)


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(OutOfRange, match="`mean`"):
        read(np.array([-1.0]))
    with pytest.raises(OutOfRange, match="`begins`"):
        Detector(annulus()).read(np.ones(2), np.zeros(2), 1e-6, np.random.default_rng(0))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.floats(1e-10, 1e-7), st.integers(0, 1000))
def test_every_electron_is_in_the_dose_map(count: int, cell: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 30e-9, (2, count))
    electrons = rng.integers(0, 1000, count).astype(float)
    dose = DoseMap(cell)
    dose.add(x[: count // 2], y[: count // 2], electrons[: count // 2])
    dose.add(x[count // 2 :], y[count // 2 :], electrons[count // 2 :])
    assert dose.total == electrons.sum()
    n = int(rng.integers(count))
    same = (np.floor(x / cell) == np.floor(x[n] / cell)) & (
        np.floor(y / cell) == np.floor(y[n] / cell)
    )
    assert float(dose.at(x[n : n + 1], y[n : n + 1])[0]) == pytest.approx(
        electrons[same].sum() / cell**2
    )
    assert dose.most >= float(dose.at(x, y).max())


def test_a_dose_where_the_beam_never_was_is_zero() -> None:
    dose = DoseMap(1e-9)
    dose.add(np.zeros(4), np.zeros(4), 2.0)
    assert dose.at(np.array([[5e-9]]), np.array([[0.0]])).tolist() == [[0.0]]
    assert dose.total == 8.0
    with pytest.raises(SignalError, match="no number"):
        dose.add(np.array([np.nan]), np.zeros(1), 1.0)
    with pytest.raises(OutOfRange, match="`cell`"):
        DoseMap(0.0)


def test_dense_pieces_are_put_in_and_taken_out_across_blocks() -> None:
    cells, rng = CellMap(1.0), np.random.default_rng(0)
    piece = rng.normal(size=(150, 90))
    cells.add_dense((-70, -30), piece)
    np.testing.assert_array_equal(cells.dense((-70, -30), (150, 90)), piece)
    rows, columns = np.indices(piece.shape)
    np.testing.assert_array_equal(cells.at(columns - 30 + 0.5, rows - 70 + 0.5), piece)
    between = cells.smooth(np.array([1.25]), np.array([2.0]))
    beside = [[piece[71, 30], piece[71, 31]], [piece[72, 30], piece[72, 31]]]
    assert between[0] == pytest.approx(np.array([0.5, 0.5]) @ np.array(beside) @ [0.25, 0.75])
