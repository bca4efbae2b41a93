"""Resonances fitted: exact without noise, honest with it, silent where there is none."""

import json
from math import pi

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from nanopilot.analysis import resonance_kernels as kernels
from nanopilot.analysis.fit_maps import REASONS, Reason
from nanopilot.analysis.resonance import ShoFit, sho_response
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.registry import build
from nanopilot.core.signals import Axis, Signal, SignalSet, make_signal

BAND = np.linspace(280e3, 320e3, 60)
NAMES = ("resonance_frequency", "quality_factor", "amplitude", "phase", "peak_amplitude")


def spectra(values: np.ndarray, frequency: np.ndarray = BAND) -> Signal:
    dims = ("y", "x")[3 - values.ndim :]
    axes = {
        dim: Axis(1e-9 * np.arange(size), "m", "position")
        for dim, size in zip(dims, values.shape[:-1], strict=True)
    }
    axes["frequency"] = Axis(frequency, "Hz", "frequency")
    return make_signal(values, axes, quantity="displacement", units="m")


def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def draw(rng: np.random.Generator, count: int, snr: float) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of peak 1 and their truth: f0, Q, drive amplitude, phase, peak."""
    f0 = rng.uniform(287e3, 313e3, count)
    quality = f0 / (40e3 / rng.uniform(3, 10, count))
    phase = rng.uniform(-pi, pi, count)
    drive = np.exp(1j * phase) / quality
    values = sho_response(BAND, f0[:, None], quality[:, None], drive[:, None])
    values += 0.3 * noise(rng, (count, 1)) + noise(rng, values.shape) / snr
    return values, np.stack([f0, quality, 1 / quality, phase, np.ones(count)], axis=1)


def table(maps: SignalSet, end: str = "") -> np.ndarray:
    return np.stack([maps[name + end].to_numpy().ravel() for name in NAMES], axis=1)


@given(
    st.tuples(st.floats(0.1, 0.9), st.floats(2.5, 15)),
    st.floats(-pi, pi),
    st.floats(-15, 3),
    st.floats(0, 2),
    st.floats(3, 7),
)
@settings(max_examples=40, deadline=None)
def test_without_noise_what_was_put_in_comes_out(
    place: tuple[float, float], phase: float, size: float, background: float, centre: float
) -> None:
    frequency = 10**centre * np.linspace(0.8, 1.2, 70)
    f0 = frequency[0] + place[0] * np.ptp(frequency)
    quality = f0 * place[1] / np.ptp(frequency)
    peak = 10**size
    drive = peak / quality * np.exp(1j * phase)
    values = sho_response(frequency, f0, quality, drive) + background * peak * 1j
    fit = ShoFit()(spectra(values, frequency))
    assert int(fit["reason"]) == Reason.ANSWERED
    assert float(fit["resonance_frequency"]) == pytest.approx(f0, rel=1e-7)
    assert float(fit["quality_factor"]) == pytest.approx(quality, rel=1e-5)
    assert float(fit["amplitude"]) == pytest.approx(peak / quality, rel=1e-5)
    assert float(fit["peak_amplitude"]) == pytest.approx(peak, rel=1e-5)
    assert np.exp(1j * float(fit["phase"])) == pytest.approx(np.exp(1j * phase), abs=1e-5)
    assert float(fit["noise"]) == pytest.approx(0.0, abs=1e-5 * peak)


def slow(spectrum: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slow reference: scipy on all seven numbers at once, from the truth."""

    def stacked(f: np.ndarray, *p: float) -> np.ndarray:
        model = sho_response(f, p[0], p[1], p[2] * np.exp(1j * p[3])) + complex(p[4], p[5])
        return np.concatenate([model.real, model.imag])

    seen = np.concatenate([spectrum.real, spectrum.imag])
    found, covariance = curve_fit(stacked, BAND, seen, p0=[*start[:4], 0.0, 0.0], xtol=1e-12)
    return found[:4], np.sqrt(np.diag(covariance))[:4]


def test_answers_and_error_bars_are_those_of_the_slow_reference() -> None:
    values, truth = draw(np.random.default_rng(0), 25, snr=200.0)
    fit = ShoFit()(spectra(values))
    ours, std = table(fit), table(fit, "_std")
    for row, spectrum in enumerate(values):
        found, errors = slow(spectrum, truth[row])
        np.testing.assert_allclose(std[row, :4], errors, rtol=0.01)
        assert (np.abs(ours[row, :4] - found) < 0.01 * errors).all()


@pytest.mark.parametrize("background", [False, True])
def test_peak_error_bar_is_how_far_peaks_scatter(background: bool) -> None:
    rng = np.random.default_rng(1)
    shape = sho_response(BAND, 301e3, 60.0, np.exp(1j) / 60.0)
    fit = ShoFit(background=background)(spectra(shape + noise(rng, (3000, 60)) / 30.0))
    scatter = table(fit).std(axis=0)
    np.testing.assert_allclose(table(fit, "_std").mean(axis=0), scatter, rtol=0.08)
    assert float(fit["noise"].mean()) == pytest.approx(1 / 30.0, rel=0.01)


@pytest.mark.parametrize("snr", [2.5, 5.0, 20.0])
def test_nine_of_ten_intervals_hold_the_truth(snr: float) -> None:
    values, truth = draw(np.random.default_rng(2), 1500, snr)
    fit = ShoFit()(spectra(values))
    answered = fit["reason"].to_numpy() == 0
    found, std, truth = table(fit)[answered], table(fit, "_std")[answered], truth[answered]
    error = found - truth
    error[:, 3] = np.angle(np.exp(1j * error[:, 3]))
    positive = [1, 2, 4]
    error[:, positive] = found[:, positive] * np.log(found[:, positive] / truth[:, positive])
    share = (np.abs(error) < 1.645 * std).mean(axis=0)
    assert ((share > 0.86) & (share < 0.94)).all(), share


@pytest.mark.parametrize("bins", [20, 60])
def test_pure_noise_is_almost_never_a_resonance(bins: int) -> None:
    rng = np.random.default_rng(3)
    fit = ShoFit()(spectra(noise(rng, (4000, bins)), np.linspace(1e5, 1.1e5, bins)))
    assert (fit["reason"] == Reason.ANSWERED).mean() < 0.01
    assert (fit["reason"] == Reason.NOT_SIGNIFICANT).mean() > 0.98
    assert np.isnan(fit["resonance_frequency"].where(fit["reason"] > 0)).all()


def test_stricter_false_alarm_answers_less() -> None:
    values, _ = draw(np.random.default_rng(4), 800, snr=1.2)
    lax, strict = (
        (ShoFit(false_alarm=level)(spectra(values))["reason"] == 0).mean() for level in (0.1, 1e-4)
    )
    assert strict < lax - 0.05


@pytest.mark.parametrize("f0", [275e3, 325e3])
def test_resonance_outside_the_band_is_not_answered(f0: float) -> None:
    values = sho_response(BAND, f0, 60.0) + noise(np.random.default_rng(5), (60,))
    fit = ShoFit()(spectra(values))
    assert int(fit["reason"]) == Reason.AT_EDGE
    assert np.isnan(float(fit["quality_factor_std"]))


def test_line_narrower_than_a_bin_is_not_answered() -> None:
    values = 1e-3 * noise(np.random.default_rng(6), (60,))
    values[30] += 1.0
    assert int(ShoFit()(spectra(values))["reason"]) == Reason.WIDTH


@pytest.mark.parametrize("broken", [np.nan, np.inf, complex(0, np.nan)])
def test_broken_spectrum_is_flagged_and_leaves_its_neighbours_alone(broken: complex) -> None:
    values, _ = draw(np.random.default_rng(7), 3, snr=20.0)
    clean = table(ShoFit()(spectra(values)))
    values[1, 5] = broken
    fit = ShoFit()(spectra(values))
    assert fit["reason"].to_numpy().tolist() == [0, Reason.NOT_FINITE, 0]
    np.testing.assert_array_equal(table(fit)[[0, 2]], clean[[0, 2]])
    assert int(ShoFit()(spectra(np.zeros(60, complex)))["reason"]) == Reason.NOT_SIGNIFICANT


def test_result_depends_on_no_neighbour_thread_precision_or_order_of_dims() -> None:
    values, _ = draw(np.random.default_rng(8), 2100, snr=5.0)
    grid = spectra(values.reshape(30, 70, 60))
    fit = ShoFit()(grid)
    xr.testing.assert_identical(fit, ShoFit(threads=1)(grid))
    turned = ShoFit()(grid.transpose("frequency", "x", "y").isel(frequency=slice(None, None, -1)))
    xr.testing.assert_allclose(fit, turned.transpose("y", "x"))
    one = ShoFit()(grid[29, 69])
    np.testing.assert_allclose(table(one)[0], table(fit)[-1], rtol=1e-6)
    single = ShoFit()(grid.astype(np.complex64))
    np.testing.assert_allclose(single["amplitude"], fit["amplitude"], rtol=1e-3)


def test_two_channels_say_the_same_as_one_complex() -> None:
    values, _ = draw(np.random.default_rng(9), 4, snr=20.0)
    signal = spectra(values)
    whole = ShoFit()(signal)
    parts = {"in_phase": signal.real, "quadrature": signal.imag}
    xr.testing.assert_allclose(ShoFit()(_channels(signal, parts)), whole)
    polar = _channels(signal, {"amplitude": abs(signal), "phase": xr.ufuncs.angle(signal)})
    polar["phase"].attrs["units"] = "rad"
    xr.testing.assert_allclose(ShoFit()(polar), whole)


def _channels(like: Signal, parts: dict[str, Signal]) -> SignalSet:
    return xr.Dataset({name: part.assign_attrs(like.attrs) for name, part in parts.items()})


def test_maps_lie_where_the_spectra_were_and_say_what_they_are() -> None:
    values, _ = draw(np.random.default_rng(10), 6, snr=20.0)
    grid = spectra(values.reshape(2, 3, 60))
    fit = ShoFit()(grid)
    assert fit["phase"].dims == ("y", "x")
    np.testing.assert_array_equal(fit["x"], grid["x"])
    assert fit["resonance_frequency"].attrs["units"] == "Hz"
    assert fit["amplitude_std"].attrs["units"] == fit["noise"].attrs["units"] == "m"
    assert len(json.loads(fit["reason"].attrs["reasons"])) == len(REASONS) == len(Reason)


def test_compiled_and_plain_python_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    values, _ = draw(np.random.default_rng(11), 3, snr=10.0)
    fast = ShoFit(threads=1)(spectra(values))
    for name in ("project", "step_from", "climb_down", "describe", "refine"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    xr.testing.assert_allclose(ShoFit(threads=1)(spectra(values)), fast, rtol=1e-5)


def test_real_spectra_and_useless_frequencies_are_refused() -> None:
    with pytest.raises(SignalError, match="complex"):
        ShoFit()(spectra(np.ones(60)))
    with pytest.raises(SignalError, match="`frequency` has 5"):
        ShoFit()(spectra(np.ones(5, complex), BAND[:5]))
    with pytest.raises(SignalError, match="different"):
        ShoFit()(spectra(np.ones(60, complex), np.repeat(BAND[:30], 2)))
    with pytest.raises(SignalError, match="positive"):
        ShoFit()(spectra(np.ones(60, complex), BAND - BAND[0]))
    with pytest.raises(SignalError, match="two"):
        ShoFit()(spectra(np.ones(60)).to_dataset(name="only"))


def test_settings_out_of_range_are_refused_and_a_name_rebuilds_it() -> None:
    with pytest.raises(OutOfRange, match="`threads` is 3"):
        ShoFit(threads=3)
    with pytest.raises(OutOfRange, match="`false_alarm` is 0"):
        ShoFit(false_alarm=0.0)
    assert build("operators", "sho-fit", background=False) == ShoFit(background=False)
