"""Noise, hum, lag and roughness of raster scans whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.hum import find_hum
from nanopilot.analysis.noise_fit import fit_noise, noise_shapes
from nanopilot.analysis.noise_spectra import neighbours_differ
from nanopilot.analysis.scan_lag import integral_gain, pair_difference, unlagged
from nanopilot.analysis.surface_statistics import distances, self_affine_fit
from nanopilot.core.errors import SignalError
from nanopilot.workflows.twins import spm


def test_the_gain_is_not_fooled_by_noise_in_height_and_error() -> None:
    rng = np.random.default_rng(1)
    y, x = np.indices((64, 256)) / 256
    height = 1e-8 * np.sin(12 * x + 3 * y)
    error = -np.gradient(height, axis=1) * 500 / 800
    noisy = (one + 3e-11 * rng.normal(size=one.shape) for one in (height, error))
    found = integral_gain(*noisy, 1 / 500)
    assert abs(found.value - 800) < 4 * found.std
    assert found.std < 40


def test_unlagging_undoes_an_integrating_loop() -> None:
    rate, gain = 1000.0, 700.0
    time = np.arange(400) / rate
    surface = np.sin(2 * np.pi * 20 * time)
    turn = 2j * np.pi * 20
    followed = np.imag(np.exp(turn * time) / (1 + turn / gain))
    back = unlagged(followed[None, :], gain, rate)[0]
    np.testing.assert_allclose(back[5:-5], surface[5:-5], atol=1e-4)


def test_equal_trace_and_retrace_have_neither_lag_nor_drift() -> None:
    height = gaussian_filter(np.random.default_rng(3).normal(size=(96, 96)), 3) * 1e-8
    found = pair_difference(height, height)
    for one in (found.lag, found.bend, found.drift_x, found.drift_y, found.drift_z):
        assert abs(one.value) < 1e-9
    assert np.abs(found.residual).max() < 1e-15


def test_white_noise_alone_is_white_noise_alone() -> None:
    rng = np.random.default_rng(2)
    rate, density = 512.0, 3e-12
    lines = density * np.sqrt(rate / 2) * rng.normal(size=(200, 128))
    spectrum = neighbours_differ(lines, rate)
    fit = fit_noise(spectrum, noise_shapes(spectrum.frequency, rate), spectrum.sure)
    assert fit is not None
    assert abs(fit.white - density) < 4 * fit.white_std
    assert fit.pink < 3 * fit.pink_std


@pytest.mark.parametrize("amplitude", [0.0, 1e-10])
def test_a_hum_is_what_stands_out_of_the_noise(amplitude: float) -> None:
    rng = np.random.default_rng(4)
    rate = 1024.0
    phase = rng.uniform(0, 2 * np.pi, (200, 1))
    lines = amplitude * np.sin(2 * np.pi * 50 / rate * np.arange(256) + phase)
    found = find_hum(lines + 3e-10 * rng.normal(size=lines.shape), rate, 50.0)
    assert abs(found.amplitude - amplitude) < 4 * found.std
    assert (found.significance > 4) == (amplitude > 0)


def test_a_self_affine_surface_gets_its_exponent_back() -> None:
    twin = spm("rough", seed=3, size="4 um", pixels=512,
               recipe={"hurst": 0.6, "correlation_length": "100 nm"})  # fmt: skip
    sample = twin.truth.sample
    found = self_affine_fit(sample.height, sample.pitch)
    assert found.hurst == pytest.approx(0.6, abs=0.1)
    assert found.correlation_length == pytest.approx(100e-9, rel=0.25)


def test_other_shapes_are_not_compared_and_a_constant_factor_is_found() -> None:
    height = gaussian_filter(np.random.default_rng(3).normal(size=(64, 96)), 3)
    with pytest.raises(SignalError, match="shape"):
        distances(height, height.T, 1e-9)
    assert distances(height, 10 * height, 1e-9).spectrum == pytest.approx(2)
    assert distances(height, 10 * height, 1e-9).autocorrelation == pytest.approx(0, abs=1e-12)
