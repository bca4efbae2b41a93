"""Kernels of the registration do what a loop over pixels does."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis import correlation
from nanopilot.analysis.correlation_kernels import binned, cell_sums, windowed

Array = np.ndarray


def picture(seed: int, holes: int, *, dtype: type = np.float64) -> Array:
    rng = np.random.default_rng(seed)
    values = 50.0 + rng.normal(size=(int(rng.integers(4, 13)), int(rng.integers(4, 13))))
    spots = rng.integers(0, values.size, holes)
    values.ravel()[spots] = rng.choice([np.nan, np.inf, -np.inf], holes)
    return values.astype(dtype)


@given(st.integers(0, 10_000), st.integers(0, 6), st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_bins_are_means_of_what_was_measured(seed: int, holes: int, bins: int) -> None:
    values = picture(seed, holes)
    found = binned(values, bins, 50.0)
    assert found.dtype == np.float32
    for i, j in np.ndindex(*found.shape):
        square = values[i * bins : (i + 1) * bins, j * bins : (j + 1) * bins]
        finite = square[np.isfinite(square)]
        true = np.mean(finite - 50.0) if finite.size else np.nan
        np.testing.assert_allclose(found[i, j], true, rtol=1e-5, atol=1e-6)


@given(st.integers(0, 10_000), st.integers(0, 6))
@settings(deadline=None, max_examples=60)
def test_window_takes_the_weighted_mean_off_and_leaves_holes_at_zero(seed: int, holes: int) -> None:
    values = picture(seed, holes, dtype=np.float32)
    rng = np.random.default_rng(seed + 1)
    row, column = (rng.uniform(0.1, 1, size).astype(np.float32) for size in values.shape)
    weight, finite = np.outer(row, column), np.isfinite(values)
    mean = np.average(values[finite], weights=weight[finite]) if finite.any() else 0.0
    true = np.where(finite, (np.where(finite, values, 0.0) - mean) * weight, 0.0)
    np.testing.assert_allclose(windowed(values, row, column), true, atol=1e-4)


@pytest.mark.parametrize("weigh", [correlation._coherence, lambda s: correlation._excess(s, 1e3)])
def test_cells_that_are_not_summed_would_not_have_counted(weigh: Callable[[Array], Array]) -> None:
    rng = np.random.default_rng(2)
    common = rng.normal(size=(64, 64))
    spectra = [
        np.fft.rfft2(common + 0.5 * rng.normal(size=(64, 64))).astype(np.complex64)
        for _ in range(2)
    ]
    part = (np.arange(correlation._CELLS + 1) / correlation._CELLS) ** 2
    every = np.stack([np.rint(part * 33).astype(np.int64)] * 2)
    shift, some = np.array([0.3, -0.2]), correlation._edges((64, 64))
    full = weigh(cell_sums(*spectra, shift, 64, every))
    short = weigh(cell_sums(*spectra, shift, 64, some))
    size = len(short)
    assert size < len(full)
    assert (full > 0).any()
    np.testing.assert_allclose(short, full[:size, :size], rtol=1e-6)
    assert not full[size:].any()
    assert not full[:, size:].any()
