"""Channels of function: what the tip reads is what the sample and the oscillator say."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.adjustables import Feedback
from nanopilot.core.capabilities import BiasWriter, PointSpectroscopy, Scanner
from nanopilot.core.errors import Unsupported
from nanopilot.twins.spm.function.detectors import FUNCTIONAL
from nanopilot.twins.spm.function.kernels import averaged, gaussian, lorentzian
from nanopilot.twins.spm.function.oscillator import oscillator
from nanopilot.twins.spm.function.tunnelling import density, states_within
from nanopilot.twins.spm.function_settings import Tunnelling
from nanopilot.twins.spm.sample import bilinear
from tests.twins.polar import on, places, plain, polar, scanned


def stripes(width: float = 80e-9) -> Any:
    x, _ = places()
    return np.where(np.floor(x / width) % 2 == 0, 1.0, -1.0)


# The oscillator


@given(st.floats(1e4, 1e6), st.floats(2.0, 500.0), st.floats(0.8, 1.2), st.floats(0.0, 2 * np.pi))
def test_the_oscillator_solves_its_equation_of_motion(
    resonance: float, quality: float, ratio: float, phase: float
) -> None:
    drive, response = np.exp(1j * phase), oscillator(ratio * resonance, resonance, quality)
    position = drive * response
    f = ratio * resonance
    # x'' + (w0 / Q) x' + w0² x = -w0² drive, for x ~ exp(i w t).
    left = -(f**2) * position + 1j * f * resonance / quality * position + resonance**2 * position
    off = abs(left + resonance**2 * drive)
    assert off < 1e-12 * resonance**2 * max(1.0, abs(position))


@pytest.mark.parametrize("quality", [5.0, 80.0, 400.0])
@pytest.mark.parametrize("drive", [0.5, 3.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_amplitude_and_phase_at_resonance_are_those_of_the_oscillator(
    quality: float, drive: float, sign: float
) -> None:
    twin = on(
        polar(polarisation=sign * 0.7),
        lever={"contact_quality": quality}, electrics={"drive": drive},
    )  # fmt: skip
    frame = scanned(twin, "pfm_amplitude", "pfm_phase", shape=(2, 5))
    np.testing.assert_allclose(frame["pfm_amplitude"], quality * drive * 0.7 * 50e-12, rtol=1e-9)
    np.testing.assert_allclose(frame["pfm_phase"], sign * np.pi / 2, atol=1e-9)


@pytest.mark.parametrize("off", [-0.02, 0.005, 0.03])
def test_beside_the_resonance_the_response_is_that_of_the_formula(off: float) -> None:
    f0, quality = 350e3, 80.0
    f = (1 + off) * f0
    twin = on(polar(), electrics={"drive_frequency": f})
    frame = scanned(twin, "pfm_amplitude", "pfm_phase", shape=(2, 3))
    amplitude = 50e-12 * f0**2 / np.hypot(f**2 - f0**2, f * f0 / quality)
    np.testing.assert_allclose(frame["pfm_amplitude"], amplitude, rtol=1e-9)
    phase = np.arctan2(f * f0 / quality, f**2 - f0**2)
    np.testing.assert_allclose(frame["pfm_phase"], phase, atol=1e-9)


# What the channels show


def test_the_phase_tells_up_from_down_and_the_amplitude_falls_at_walls() -> None:
    twin = on(polar(polarisation=stripes()))
    frame = scanned(twin, "pfm_amplitude", "pfm_phase")
    x = np.broadcast_to(frame["x"], frame["pfm_phase"].shape)
    up = np.floor(x / 80e-9) % 2 == 0
    far = np.abs((x + 40e-9) % 80e-9 - 40e-9) > 20e-9
    assert (np.sign(frame["pfm_phase"].to_numpy()) == np.where(up, 1, -1))[far].all()
    amplitude = frame["pfm_amplitude"].to_numpy()
    assert amplitude[far].min() > 0.98 * amplitude.max()
    assert amplitude.min() < 0.3 * amplitude.max()


@pytest.mark.parametrize("radius", [5e-9, 20e-9, 40e-9])
def test_a_wall_is_as_wide_as_the_spot_under_the_tip(radius: float) -> None:
    x, _ = places()
    twin = on(polar(polarisation=np.sign(x)), tip={"apexes": [{"radius": radius}]},
              function={"piezoresponse": {"tracking": True}})  # fmt: skip
    frame = scanned(twin, "pfm_amplitude", "pfm_phase", shape=(1, 641), line_rate=0.5,
                    field_of_view=(320e-9, 0.0))  # fmt: skip
    signed = (frame["pfm_amplitude"] * np.sign(frame["pfm_phase"])).to_numpy()[0]
    signed /= signed.max()
    at = frame["x"].to_numpy()
    # Of a step under a Gaussian, 68 % of the change lie within a standard deviation: half the
    # radius by default, and the pixels of the layer blur it a little further.
    low, high = (np.interp(level, signed, at) for level in (-0.6827, 0.6827))
    expected = np.hypot(radius / 2, 4e-9 / np.sqrt(12))
    assert (high - low) / 2 == pytest.approx(expected, rel=0.1)


@settings(max_examples=5, deadline=None)
@given(st.floats(200.0, 8000.0), st.floats(1e-10, 3e-8), st.sampled_from([True, False]))
def test_the_height_loop_does_not_touch_the_piezoresponse(
    gain: float, setpoint: float, enabled: bool
) -> None:
    _, y = places()
    hilly = polar(10e-9 * np.sin(y / 30e-9), polarisation=stripes())
    names = ("pfm_amplitude", "pfm_phase", "pfm_frequency")
    piezo = {"piezoresponse": {"crosstalk": 1.0}}
    rough: dict[str, Any] = {"noise": {"detector": 0.02}, "function": piezo}
    one = scanned(on(hilly, **rough), *names)
    loop = {"integral": gain, "setpoint": setpoint, "proportional": 0.1 * enabled}
    noisy = {"detector": 0.02, "white": 1e-12, "mains": 1e-10}
    other = scanned(on(hilly, **rough | {"loop": loop, "noise": noisy}), *names)
    for name in names:
        assert one[name].to_numpy().tobytes() == other[name].to_numpy().tobytes(), name


def test_slopes_shift_the_resonance_and_leak_into_the_amplitude_only_as_far_as_crosstalk() -> None:
    x, _ = places()
    hilly = 20e-9 * np.sin(x / 40e-9)
    names = ("pfm_amplitude", "pfm_phase", "pfm_frequency")
    sharp = {"tip": {"apexes": [{"radius": 1e-9}]}}
    clean = scanned(on(polar(hilly), **sharp), *names)
    level = scanned(on(polar(), **sharp), *names)
    for name in names:
        np.testing.assert_array_equal(clean[name], level[name])
    piezo = {"crosstalk": 0.8, "stiffening": 0.2}
    leaky = scanned(on(polar(hilly), **sharp, function={"piezoresponse": piezo}), *names)
    slope = np.broadcast_to(0.5 * np.cos(leaky["x"].to_numpy() / 40e-9), (61, 81))
    expected = 350e3 * ((1 + 0.8 * slope**2) ** 0.2 - 1)
    np.testing.assert_allclose(leaky["pfm_frequency"], expected, atol=0.03 * expected.max())
    assert leaky["pfm_amplitude"].min() < 0.5 * leaky["pfm_amplitude"].max()
    tracked = {"piezoresponse": piezo | {"tracking": True}}
    followed = scanned(on(polar(hilly), **sharp, function=tracked), *names)
    np.testing.assert_allclose(followed["pfm_amplitude"], 80 * 50e-12, rtol=1e-9)


def test_a_stiffer_place_resonates_higher() -> None:
    twin = on(polar(stiffness=1000.0))
    found = scanned(twin, "pfm_frequency", shape=(2, 2))["pfm_frequency"]
    np.testing.assert_allclose(found, 350e3 * (2**0.1 - 1), rtol=1e-9)


def test_the_background_adds_where_bias_and_surface_potential_differ() -> None:
    piezo = {"background": 10e-12}
    twin = on(polar(potential=0.5, polarisation=-1.0), electrics={"bias": 2.0},
              function={"piezoresponse": piezo})  # fmt: skip
    frame = scanned(twin, "pfm_amplitude", "pfm_phase", shape=(2, 2))
    np.testing.assert_allclose(frame["pfm_amplitude"], 80 * (50 - 10 * 1.5) * 1e-12, rtol=1e-9)
    np.testing.assert_allclose(frame["pfm_phase"], -np.pi / 2, atol=1e-9)


def test_polarisation_in_the_plane_moves_the_tip_sideways() -> None:
    frame = scanned(on(polar(in_plane=0.4)), "pfm_lateral", shape=(2, 2))
    np.testing.assert_allclose(frame["pfm_lateral"], 0.4 * 30e-12, rtol=1e-9)


@given(st.floats(-5.0, 5.0), st.floats(0.0, 0.5), st.floats(0.0, 0.4), st.floats(0.0, 1e-7))
@settings(max_examples=20, deadline=None)
def test_a_uniform_potential_is_read_as_it_is(
    volts: float, cone: float, lever: float, lift: float
) -> None:
    kelvin = {"cone": cone, "lever": lever, "lift": lift}
    twin = on(plain(potential=volts), function={"kelvin": kelvin})
    frame = scanned(twin, "surface_potential", shape=(2, 3))
    np.testing.assert_allclose(frame["surface_potential"], volts, rtol=1e-12, atol=1e-15)


def test_the_potential_is_the_mean_that_its_kernel_says() -> None:
    x, _ = places()
    potential = np.where(x < 0, 0.0, 1.0)
    kelvin = {"cone": 0.0, "lever": 0.25, "lift": 10e-9}
    twin = on(plain(potential=potential), function={"kelvin": kelvin})
    frame = scanned(twin, "surface_potential", shape=(1, 41), field_of_view=(120e-9, 0.0))
    # Along one axis s² / pi / (s² + r²)² integrates to a slope with this cumulative share.
    at, s = frame["x"].to_numpy(), 10e-9 + 10e-9
    apex = 0.5 * (1 + at / np.hypot(at, s))
    expected = 0.75 * apex + 0.25 * potential.mean()
    np.testing.assert_allclose(frame["surface_potential"][0], expected, atol=0.02)


def test_a_higher_lift_blurs_the_potential_more() -> None:
    x, _ = places()
    contrast = []
    for lift in (5e-9, 20e-9, 60e-9):
        twin = on(plain(potential=np.sign(np.sin(x / 20e-9))), function={"kelvin": {"lift": lift}})
        contrast.append(float(scanned(twin, "surface_potential")["surface_potential"].std()))
    assert contrast[0] > 1.5 * contrast[1] > 1.5**2 * contrast[2]


def test_a_conducting_tip_reads_ohms_law() -> None:
    twin = on(plain(conductivity=3e-9), electrics={"bias": -0.5})
    found = scanned(twin, "contact_current", shape=(2, 2))["contact_current"]
    np.testing.assert_allclose(found, -1.5e-9, rtol=1e-12)


def test_at_constant_height_didv_shows_the_density_of_states() -> None:
    x, _ = places()
    states = 1 + 0.3 * np.sin(x / 40e-9)
    stm = {"mode": "stm", "setpoint": 1e-10}
    twin = on(plain(ldos=states), loop=stm, electrics={"bias": 0.5})
    twin.capability(Feedback).set(enabled=0)
    found = scanned(twin, "didv", shape=(1, 41), field_of_view=(300e-9, 0.0))["didv"]
    expected = 1 + 0.3 * np.sin(found["x"].to_numpy() / 40e-9)
    np.testing.assert_allclose(found[0] / found[0, 20], expected, rtol=0.01)
    at = {"bias": 0.5}
    held = scanned(on(plain(ldos=states), loop=stm, electrics=at), "didv", shape=(1, 41))["didv"]
    np.testing.assert_allclose(held, 1e-10 / 0.5, rtol=0.02)


# There and not there


@pytest.mark.parametrize(
    ("loop", "layers", "there"),
    [
        ("contact", {}, set()),
        ("contact", {"potential": 0.0}, {"surface_potential"}),
        ("tapping", {"polarisation": 1.0, "potential": 0.0}, {"surface_potential"}),
        ("contact", {"polarisation": 1.0}, {"pfm_amplitude", "pfm_phase", "pfm_frequency"}),
        ("contact", {"in_plane": 1.0, "conductivity": 1.0}, {"pfm_lateral", "contact_current"}),
        ("stm", {"polarisation": 1.0, "potential": 0.0, "ldos": 1.0}, {"didv"}),
    ],
)
def test_what_sample_or_instrument_lack_is_no_channel(
    loop: str, layers: dict[str, float], there: set[str]
) -> None:
    setpoint = 1e-10 if loop == "stm" else 20e-9
    twin = on(plain(**layers), loop={"mode": loop, "setpoint": setpoint})
    assert set(twin.describe().scan_channels) & set(FUNCTIONAL) == there
    frame = scanned(twin, *(there or {"height"}), shape=(2, 2))
    declared = twin.describe().units
    assert {name: declared[name] for name in there} == {
        name: frame[name].attrs["units"] for name in there
    }
    missing = (set(FUNCTIONAL) - there).pop()
    with pytest.raises(Unsupported, match=f"`{missing}`"):
        scanned(twin, missing)


def test_a_bare_sample_has_neither_spectra_nor_writing() -> None:
    twin = on(plain())
    assert {"PointSpectroscopy", "BiasWriter"}.isdisjoint(twin.describe().capabilities)
    for kind in (PointSpectroscopy, BiasWriter):
        with pytest.raises(Unsupported, match=kind.__name__):
            twin.capability(kind)


# Noise


def test_same_seed_gives_the_same_bytes_and_another_seed_other_noise() -> None:
    noise = {"noise": {"detector": 0.05}}
    sample = polar(potential=0.1, conductivity=1e-9, in_plane=0.2)
    one, again, other = (scanned(on(sample, seed, **noise, electrics={"bias": 1.0}),
                                 *on(sample).capability(Scanner).channels[2:])  # type: ignore[attr-defined]
                         for seed in (3, 3, 4))  # fmt: skip
    for name in one:
        assert one[name].to_numpy().tobytes() == again[name].to_numpy().tobytes(), name
        assert one[name].to_numpy().tobytes() != other[name].to_numpy().tobytes(), name


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("pfm_amplitude", 80 * 50e-12), ("pfm_phase", 1.0), ("pfm_frequency", 350e3 / 160),
        ("pfm_lateral", 30e-12), ("surface_potential", 1.0), ("contact_current", 2e-9),
    ],
)  # fmt: skip
def test_noise_of_every_channel_is_as_large_as_the_settings_say(name: str, scale: float) -> None:
    sample = polar(potential=0.1, conductivity=1e-9, in_plane=1.0)
    twin = on(sample, noise={"detector": 0.01}, electrics={"bias": 2.0})
    found = scanned(twin, name)[name].to_numpy()
    assert found.std() == pytest.approx(0.01 * scale, rel=0.05, abs=0)


# Kernels and states


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_mean_under_the_tip_is_that_of_the_slow_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = rng.normal(size=(12, 17))
    row, column = rng.uniform(-3, 15, 6), rng.uniform(-3, 20, 6)
    kernel = rng.normal(size=(5, 2))
    slow = np.zeros(6)
    for dx, dy in kernel:
        r, c = np.clip(row + dy, 0, 11), np.clip(column + dx, 0, 16)
        slow += bilinear(layer, r, c) / 5
    np.testing.assert_allclose(averaged(layer, row, column, kernel), slow, atol=1e-12)


@pytest.mark.parametrize("sigma", [1e-9, 5e-8])
def test_places_of_a_gaussian_have_its_moments(sigma: float) -> None:
    found = gaussian(sigma, 4096)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=0.02 * sigma)
    np.testing.assert_allclose(np.cov(found.T), sigma**2 * np.eye(2), atol=0.02 * sigma**2)
    assert np.median(np.hypot(*lorentzian(sigma).T)) == pytest.approx(sigma, rel=0.02)


@given(st.floats(0.0, 2.0), st.floats(30.0, 500.0), st.floats(-3.0, 3.0))
def test_the_current_is_the_integral_of_the_density(
    gap: float, temperature: float, volts: float
) -> None:
    states = Tunnelling(gap=gap, temperature=temperature)
    energies = np.linspace(0.0, volts, 20_001)
    expected = np.trapezoid(density(states, energies), energies)
    found = float(states_within(states, np.array(volts)))
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)
