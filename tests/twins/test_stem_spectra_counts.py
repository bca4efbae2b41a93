"""Counts of the two spectrometers, and the physics of X-rays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2, kstest, poisson

from nanopilot.core.errors import OutOfRange, SignalError, UnknownName
from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.settings import Spectrometer
from nanopilot.twins.stem.spectra.columns import Places
from nanopilot.twins.stem.spectra.counting import energy_axis, moved, record
from nanopilot.twins.stem.spectra.losses import loss_probability
from nanopilot.twins.stem.spectra.tables import lines
from nanopilot.twins.stem.spectra.xrays import (
    bremsstrahlung,
    count_xrays,
    efficiency,
    ionisation,
    line_cross_section,
    resolution,
    xray_axis,
    xray_probability,
)

PLAIN = Spectrometer(channels=256, dispersion=0.5, offset=-10.0, spread=0.0, noise=0.0)
LENS = Lens(energy_spread=0.5)
MASS = {"Si": 28.086, "Mg": 24.305, "Al": 26.982, "S": 32.06, "Ti": 47.867, "Cr": 51.996,
        "Mn": 54.938, "Fe": 55.845, "Ni": 58.693, "Cu": 63.546, "Pt": 195.08}  # fmt: skip


def silicon(n: int) -> np.ndarray:
    sample = Places(("silicon",), np.full((1, n), 40e-9))
    return loss_probability(sample, energy_axis(PLAIN), LENS, 40e-3)


def test_counts_are_poisson() -> None:
    expected = silicon(400)
    counts = record(expected, 2e4, PLAIN, np.random.default_rng(1))
    mean = expected * 2e4 * 0.5
    filled = mean[0] > 20
    square = ((counts - mean)[:, filled] ** 2 / mean[:, filled]).sum()
    low, high = chi2.ppf([1e-4, 1 - 1e-4], 400 * filled.sum())
    assert low < square < high
    assert poisson.cdf(counts.sum(), mean.sum()) == pytest.approx(0.5, abs=0.4999)


def test_gain_spread_and_noise_do_what_they_say() -> None:
    expected = silicon(200)
    wide = PLAIN.model_copy(update={"spread": 2.0, "gain": 3.0})
    counts = record(expected, 1e5, wide, np.random.default_rng(2))
    inside = slice(40, 200)
    mean = 3 * 1e5 * 0.5 * expected[0]
    seen = counts.mean(axis=0)
    assert seen[inside].sum() == pytest.approx(mean[inside].sum(), rel=0.01)
    # A spot of light over several channels: less noise in each, and neighbours go together.
    left, right = counts[:, 80], counts[:, 81]
    assert left.var() < 0.3 * 9 * 1e5 * 0.5 * expected[0, 80]
    assert np.corrcoef(left, right)[0, 1] > 0.8
    dark = record(expected * 0, 1.0, PLAIN.model_copy(update={"noise": 4.0}),
                  np.random.default_rng(3))  # fmt: skip
    assert kstest(dark.ravel() / 4, "norm").pvalue > 1e-3


def test_same_seed_same_counts() -> None:
    first, second, other = (
        record(silicon(2), 1e4, PLAIN, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_wandering_zero_loss_is_moved() -> None:
    expected = silicon(3)
    shifted = moved(expected, np.array([0.0, 1.0, 2.5]))
    np.testing.assert_allclose(shifted[0], expected[0])
    np.testing.assert_allclose(shifted[1, 1:], expected[1, :-1])
    energy = energy_axis(PLAIN)
    near = np.abs(energy) < 6
    centre = (shifted[:, near] @ energy[near]) / shifted[:, near].sum(axis=1)
    np.testing.assert_allclose(centre - centre[0], [0.0, 0.5, 1.25], atol=0.02)
    counts = record(expected, 1e9, PLAIN, np.random.default_rng(1), np.array([0.0, 0.5, 1.25]))
    assert energy[counts.argmax(axis=1)].tolist() == [0.0, 0.5, 1.0]


def test_wrong_shapes_and_doses_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SignalError, match="256"):
        record(np.zeros((2, 10)), 1.0, PLAIN, rng)
    with pytest.raises(OutOfRange, match="electrons"):
        record(silicon(1), -1.0, PLAIN, rng)
    with pytest.raises(OutOfRange, match="electrons"):
        count_xrays(np.ones((1, 2)), -1.0, rng)


def test_axis_is_offset_and_dispersion() -> None:
    assert energy_axis(PLAIN)[[0, 20, -1]].tolist() == [-10.0, 0.0, 117.5]
    assert xray_axis(Spectrometer())[[0, 1]].tolist() == [0.0, 10.0]


# D. Bote et al., At. Data Nucl. Data Tables 95 (2009) 871: edge, b, A, g1 to g4; and the edge and
# electrons that the cross section here is asked with.
BOTE = {
    "O K": (537.276, 1.19, 1.4e-6, (0.0258, 8.01, -0.0898, 0.0571), 543.1, 2),
    "Si K": (1828.5, 1.14, 3.74e-7, (0.0621, 7.14, -0.207, 0.0953), 1839.0, 2),
    "Fe K": (7083.48, 0.863, 8.37e-8, (0.225, 6.39, -0.77, 0.317), 7112.0, 2),
    "Cu K": (8950.25, 0.765, 6.49e-8, (0.302, 6.26, -1.02, 0.454), 8979.0, 2),
    "Fe L3": (720.583, 0.976, 2.39e-6, (0.0303, 7.47, -0.0853, 0.0619), 706.8, 4),
    "Ag L3": (3349.95, 0.852, 3.85e-7, (0.106, 6.99, -0.314, 0.128), 3351.0, 4),
    "Ag M5": (376.462, 0.704, 9.12e-6, (0.0186, 7.15, -0.0471, 0.047), 368.3, 6),
    "Pb M5": (2487.56, 0.621, 1.10e-6, (0.0671, 6.36, -0.135, 0.0746), 2484.0, 6),
}


@pytest.mark.parametrize("shell", BOTE)
@pytest.mark.parametrize("voltage", [100e3, 200e3, 300e3])
def test_ionisation_is_near_distorted_waves(shell: str, voltage: float) -> None:
    edge, b, height, g, own_edge, electrons = BOTE[shell]
    gamma = 1 + voltage / 510998.9
    beta, momentum = 1 - 1 / gamma**2, math.sqrt(gamma**2 - 1)
    inner = (math.log(momentum**2) - beta) * (1 + g[0] / momentum) + g[1]
    inner += g[2] / math.sqrt(gamma) + g[3] / momentum
    over = voltage / edge
    reference = 4 * math.pi * 5.2917721e-11**2 * height / beta * inner * over / (over + b)
    found = ionisation(own_edge, electrons, voltage)
    assert found / reference == pytest.approx(1, rel=0.2)


def k_factor(element: str, line: str, voltage: float) -> float:
    """Return k against silicon K alpha: mass over photons, as Cliff and Lorimer define it."""
    own = line_cross_section(element, voltage, line) / MASS[element]
    return line_cross_section("Si", voltage, "Ka") / MASS["Si"] / own


def test_k_factors_are_those_measured() -> None:
    # G. Cliff and G. W. Lorimer, J. Microsc. 103 (1975) 203, at 100 kV.
    measured = {"Ti": 1.08, "Cr": 1.17, "Mn": 1.22, "Fe": 1.27, "Ni": 1.47, "Cu": 1.58}
    for element, value in measured.items():
        assert k_factor(element, "Ka", 100e3) == pytest.approx(value, rel=0.2), element


def test_k_factors_of_iron_and_platinum_are_those_of_a_maker() -> None:
    # 1.450 and 5.076 come with the FePt data of the HyperSpy tutorials (200 kV).
    assert k_factor("Fe", "Ka", 200e3) == pytest.approx(1.450, rel=0.2)
    assert k_factor("Pt", "La", 200e3) == pytest.approx(5.076, rel=0.3)


def test_k_factors_grow_with_atomic_number() -> None:
    found = [k_factor(element, "Ka", 200e3) for element in ("Ti", "Cr", "Mn", "Fe", "Ni", "Cu")]
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize(
    ("material", "element", "line", "energy"),
    # Bearden, Rev. Mod. Phys. 39 (1967) 78.
    [("silicon", "Si", "Ka", 1740), ("silica", "O", "K", 525), ("carbon", "C", "K", 277),
     ("gold", "Au", "La1", 9713), ("gold", "Au", "Ma", 2123), ("silver", "Ag", "La", 2984),
     ("ceria", "Ce", "La1", 4840)],
)  # fmt: skip
def test_peaks_are_where_they_belong(material: str, element: str, line: str, energy: float) -> None:
    spectrometer = Spectrometer()
    sample = Places((material,), np.array([[50e-9]]))
    spectrum = xray_probability(sample, 200e3, spectrometer)[0]
    axis = xray_axis(spectrometer)
    near = np.abs(axis - energy) < 150
    assert axis[near][spectrum[near].argmax()] == pytest.approx(energy, abs=16)
    assert any(one.name.startswith(line) for one in lines(element))


def test_width_is_that_of_the_setting() -> None:
    spectrometer = Spectrometer(xray_dispersion=2.0, xray_channels=4096)
    sample = Places((), np.zeros((0, 1)), areal={"Mn": np.array([1e21])})
    spectrum = xray_probability(sample, 200e3, spectrometer)[0]
    axis = xray_axis(spectrometer)
    near = np.abs(axis - 5895) < 250
    above = axis[near][spectrum[near] > spectrum[near].max() / 2]
    # K alpha 1 and 2 lie 11 eV apart.
    assert above[-1] - above[0] == pytest.approx(130, abs=6)
    # Goldstein et al. (2018), equation 16.1: sqrt(2.5 (E - 5895) + 130^2).
    for energy in (277.0, 1740.0, 8047.0):
        known = math.sqrt(2.5 * (energy - 5895) + 130**2)
        assert float(resolution(np.array(energy), spectrometer)) == pytest.approx(known, rel=0.06)


def test_lines_of_a_shell_hold_what_was_ionised() -> None:
    spectrometer = Spectrometer()
    sample = Places((), np.zeros((0, 1)), areal={"Cu": np.array([1e20])})
    spectrum = xray_probability(sample, 200e3, spectrometer)[0]
    axis = xray_axis(spectrometer)
    continuum = bremsstrahlung(29, axis, 200e3) * efficiency(axis) * 1e20 * 10 * 0.7 / (4 * np.pi)
    near = np.abs(axis - 8047) < 300
    peak = (spectrum - continuum)[near].sum()
    known = 1e20 * ionisation(8979.0, 2, 200e3) * 0.4411 * 0.871 * 0.7 / (4 * math.pi)
    assert peak / known == pytest.approx(1, rel=0.02)
    twice = spectrometer.model_copy(update={"xray_solid_angle": 1.4})
    np.testing.assert_allclose(xray_probability(sample, 200e3, twice)[0], 2 * spectrum)


def test_continuum_is_that_of_kramers() -> None:
    # Absolute, in the nonrelativistic limit: 16 pi / (3 sqrt 3) alpha r_e^2 Z^2 / (beta^2 k),
    # here 5.6e-31 m² / beta² per Z² and unit of ln k.
    energy = np.array([1000.0, 2000.0])
    found = bremsstrahlung(10, energy, 100e3)
    assert found[0] / found[1] == pytest.approx(2)
    assert found[0] * 1000 / (5.605e-31 * 100 / 0.3005) == pytest.approx(1, rel=1e-3)
    assert bremsstrahlung(10, np.array([2e5]), 100e3) == 0


def test_detector_sees_less_of_soft_and_of_hard_photons() -> None:
    found = efficiency(np.array([50.0, 277.0, 525.0, 1740.0, 6000.0, 20000.0]))
    assert found[0] == 0
    assert 0.3 < found[1] < 1
    assert found[2] < found[3] < found[4]
    assert found[4] > 0.95
    # Silicon absorbs 1 cm²/g x 4.46 at 20 keV (NIST XCOM): 0.45 mm keep 37 %.
    assert found[5] == pytest.approx(1 - math.exp(-4.0 * 2.33 * 0.045), abs=0.12)


def test_copper_of_the_grid_is_everywhere() -> None:
    sample = Places(("carbon",), np.array([[0.0, 20e-9]]))
    spectrum = xray_probability(sample, 200e3, Spectrometer(), {"Cu": 1e18})
    assert spectrum[0, 804] > 100 * spectrum[0, 850] > 0
    assert spectrum[1, 28] > spectrum[0, 28]
    with pytest.raises(OutOfRange, match="stray"):
        xray_probability(sample, 200e3, Spectrometer(), {"Cu": -1.0})
    with pytest.raises(OutOfRange, match="voltage"):
        xray_probability(sample, 1e3, Spectrometer())
    with pytest.raises(UnknownName, match="Kz"):
        line_cross_section("Cu", 200e3, "Kz")


def test_photons_are_poisson() -> None:
    sample = Places(("gold",), np.full((1, 500), 20e-9))
    expected = xray_probability(sample, 200e3, Spectrometer())
    counts = count_xrays(expected, 5e8, np.random.default_rng(4))
    mean = expected * 5e8
    filled = mean[0] > 20
    square = ((counts - mean)[:, filled] ** 2 / mean[:, filled]).sum()
    low, high = chi2.ppf([1e-4, 1 - 1e-4], 500 * filled.sum())
    assert low < square < high
