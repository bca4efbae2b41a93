"""Energy losses: conservation, plural scattering, mean free paths, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from nanopilot.core.errors import OutOfRange, SignalError, UnknownName
from nanopilot.core.limits import Area
from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.materials import Material, material
from nanopilot.twins.stem.scene import Scene, flat, no_atoms
from nanopilot.twins.stem.spectra.columns import Places, places
from nanopilot.twins.stem.spectra.inelastic import mean_free_path, surface_loss
from nanopilot.twins.stem.spectra.losses import (
    collected_fraction,
    loss_probability,
    mean_losses,
    singles,
)
from nanopilot.twins.stem.spectra.optical_data import OPTICS, free_electron, optics
from nanopilot.twins.stem.spectra.zero_loss import ZeroLoss

LENS = Lens(voltage=200e3, convergence_angle=20e-3, energy_spread=0.4)
COLLECT = 40e-3
ENERGIES = np.arange(-20.0, 1000.0, 0.5)
FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def foil(name: str, *nanometres: float) -> Places:
    return Places((name,), 1e-9 * np.array([nanometres]))


def three(n: int, seed: int = 0) -> Places:
    rng = np.random.default_rng(seed)
    return Places(("silicon", "carbon", "ceria"), rng.uniform(0, 60e-9, (3, n)))


def by_orders(sample: Places, energies: FloatArray) -> FloatArray:
    """Add up no loss, one loss, two losses, ... by plain convolution, place by place."""
    width = float(energies[1] - energies[0])
    count = int(energies[-1] / width) + 10
    found = singles(sample, (width, count), LENS, COLLECT)
    fraction = collected_fraction(sample, LENS, COLLECT)
    out = []
    for weights, mean, kept in zip(found.weights.T, found.mean, fraction, strict=True):
        single = weights @ found.kinds
        order, total = np.eye(1, count)[0], np.zeros(count)
        for n in range(40):
            total += order / math.factorial(n)
            order = np.convolve(order, single)[:count]
        losses = np.arange(count) * width
        away = energies[:, None] - losses
        high, low = (ndtr((away + side * width / 2) / LENS.energy_spread) for side in (1, -1))
        shape = (high - low) / width
        out.append(kept * math.exp(-mean) * shape @ total)
    return np.array(out)


def test_fast_spectra_equal_the_sum_over_orders() -> None:
    energies = np.arange(-10.0, 700.0, 0.25)
    sample = three(4)
    fast = loss_probability(sample, energies, LENS, COLLECT)
    slow = by_orders(sample, energies)
    np.testing.assert_allclose(fast, slow, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("nanometres", [5.0, 40.0, 150.0, 500.0])
def test_log_ratio_tells_the_thickness(nanometres: float) -> None:
    sample = foil("silicon", nanometres)
    energies = np.arange(-20.0, 2000.0, 0.5)
    spectrum = loss_probability(sample, energies, LENS, COLLECT)[0]
    ratio = math.log(spectrum.sum() / spectrum[energies < 2.4].sum())
    assert ratio == pytest.approx(mean_losses(sample, LENS, COLLECT)[0], rel=0.01)
    one = mean_free_path(material("silicon"), LENS, COLLECT) * 1e9
    surfaces = 2 * surface_loss(200e3) * nanometres / (nanometres + 1)
    assert ratio == pytest.approx(nanometres / one + surfaces, rel=0.01)


def test_fourier_log_of_a_spectrum_gives_the_single_losses_back() -> None:
    sample = foil("silicon", 120.0)
    energies = np.arange(-40.0, 2400.0, 0.5)
    spectrum = loss_probability(sample, energies, LENS, COLLECT)[0] * 0.5
    shape, start = ZeroLoss(0.4).channels(0.5, 0.5, 0.0)
    zero = np.zeros_like(spectrum)
    zero[80 + start : 80 + start + len(shape)] = shape * 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.fft.fft(spectrum) / np.fft.fft(zero)
    kept = np.abs(np.fft.fft(zero)) > 1e-4
    logarithm = np.where(kept, np.log(ratio), 0.0)
    single = np.fft.ifft(logarithm * np.fft.fft(zero)).real[80:]
    found = singles(sample, (0.5, 400), LENS, COLLECT)
    truth = np.convolve(found.weights[:, 0] @ found.kinds, shape * 0.5, "same")
    # Above the zero-loss channel itself, where the log leaves minus the mean.
    np.testing.assert_allclose(single[10:200], truth[10:200], rtol=0.02, atol=1e-6)


def test_multiple_plasmons_follow_poisson() -> None:
    sample = Places(("silicon",), np.array([[240e-9]]))
    energies = np.arange(-10.0, 90.0, 0.1)
    sharp = Lens(voltage=200e3, convergence_angle=20e-3, energy_spread=0.1)
    spectrum = loss_probability(sample, energies, sharp, COLLECT)[0]
    peaks = [energies[near][spectrum[near].argmax()] for near in windows(energies, 16.6, 3)]
    np.testing.assert_allclose(np.diff(peaks), 16.6, atol=0.5)


def windows(energies: FloatArray, step: float, count: int) -> list[np.ndarray[Any, Any]]:
    return [np.abs(energies - (n + 1) * step) < step / 3 for n in range(count)]


@settings(max_examples=15, deadline=None)
@given(
    thickness=st.lists(st.floats(0, 80e-9), min_size=3, max_size=3),
    voltage=st.sampled_from([60e3, 100e3, 300e3]),
    angle=st.floats(5e-3, 0.25),
)
def test_electrons_are_conserved(thickness: list[float], voltage: float, angle: float) -> None:
    lens = Lens(voltage=voltage, convergence_angle=20e-3, energy_spread=0.3)
    sample = Places(("silicon", "carbon", "ceria"), np.array(thickness)[:, None])
    energies = np.arange(-10.0, 3000.0, 1.0)
    spectrum = loss_probability(sample, energies, lens, angle)[0]
    fraction = collected_fraction(sample, lens, angle)[0]
    assert (spectrum >= 0).all()
    assert 0 < fraction <= 1
    assert spectrum.sum() <= fraction * (1 + 1e-4)
    assert spectrum.sum() == pytest.approx(fraction, rel=0.01)  # the rest has lost more than 3 keV


def test_full_collection_collects_nearly_all() -> None:
    sample = foil("silicon", 0.0, 20.0, 100.0)
    spectrum = loss_probability(sample, np.arange(-10.0, 3000.0, 0.5), LENS, 0.25)
    np.testing.assert_allclose(spectrum.sum(axis=1) * 0.5, 1.0, atol=0.01)
    narrow = collected_fraction(sample, LENS, 10e-3)
    assert narrow[0] == pytest.approx(0.25)  # a cone of 20 mrad through a hole of 10
    assert (np.diff(narrow) < 0).all()


# Measured at 200 kV with beta = 20 mrad: Iakoubovskii et al., Microsc. Res. Tech. 71 (2008) 626,
# whose formula, fitted to all solids, misses gold most.
@pytest.mark.parametrize(
    ("name", "nanometres", "within"),
    [("silicon", 145, 0.1), ("silver", 100, 0.11), ("gold", 84, 0.15)],
)
def test_mean_free_paths_are_those_measured(name: str, nanometres: float, within: float) -> None:
    lens = Lens(voltage=200e3, convergence_angle=20e-3)
    found = mean_free_path(material(name), lens, 20e-3) * 1e9
    assert found == pytest.approx(nanometres, rel=within)


def test_mean_free_path_grows_with_voltage_and_falls_with_angle() -> None:
    def path(voltage: float, angle: float | None) -> float:
        lens = Lens(voltage=voltage, convergence_angle=1e-3)
        return mean_free_path(material("carbon"), lens, angle)

    assert path(60e3, 0.02) < path(100e3, 0.02) < path(200e3, 0.02) < path(300e3, 0.02)
    assert path(200e3, 0.005) > path(200e3, 0.02) > path(200e3, 0.1) > path(200e3, None)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    # Egerton (2011), appendix C: C 22 to 25, Si 16.7, SiO2 22.4 eV.
    [("silicon", 16.4, 17.0), ("carbon", 20.0, 25.0), ("silica", 19.0, 23.0)],
)
def test_plasmons_are_where_they_are_measured(name: str, low: float, high: float) -> None:
    energies = np.arange(-5.0, 60.0, 0.1)
    spectrum = loss_probability(foil(name, 30.0), energies, LENS, COLLECT)[0]
    above = energies > 8
    assert low < energies[above][spectrum[above].argmax()] < high


def test_free_electrons_are_near_the_entries_of_simple_solids() -> None:
    # Egerton (2011), table 3.2: free electrons give Si 16.6 eV, Al 15.8 eV.
    aluminium = Material("aluminium", {13: 1}, 2700.0)
    assert free_electron(material("silicon")).plasmon[0] == pytest.approx(16.6, abs=0.1)
    assert optics(aluminium).plasmon[0] == pytest.approx(15.8, abs=0.1)
    molybdenite = free_electron(Material("molybdenite", {42: 1, 16: 2}, 5060.0))
    assert molybdenite.plasmon[0] == pytest.approx(OPTICS["mos2"].plasmon[0], rel=0.1)
    for entry in OPTICS.values():
        assert sum(share for *_, share in entry.peaks) == pytest.approx(1.0)


def test_surface_loss_is_that_of_ferrell_and_stern() -> None:
    assert surface_loss(100e3) == pytest.approx(0.021, abs=0.0005)  # Egerton, section 3.3.5


def test_silicon_has_a_surface_plasmon_when_thin() -> None:
    energies = np.arange(-5.0, 60.0, 0.1)
    thin = loss_probability(foil("silicon", 3.0), energies, LENS, COLLECT)[0]
    bulk = np.abs(energies - 16.7) < 0.2
    surface = np.abs(energies - 11.8) < 0.2
    thick = loss_probability(foil("silicon", 60.0), energies, LENS, COLLECT)[0]
    assert thin[surface].mean() / thin[bulk].mean() > 3 * thick[surface].mean() / thick[bulk].mean()


def test_a_window_is_a_part_of_the_whole_spectrum() -> None:
    sample = three(3)
    whole = loss_probability(sample, ENERGIES, LENS, COLLECT)
    part = loss_probability(sample, ENERGIES[1000:1200], LENS, COLLECT)
    np.testing.assert_allclose(part, whole[:, 1000:1200], rtol=2e-3)


def test_wide_channels_are_averages_of_narrow_ones() -> None:
    sample = three(2)
    fine = loss_probability(sample, np.arange(-20.4, 800.0, 0.8), LENS, COLLECT)
    wide = loss_probability(sample, np.arange(-18.8, 780.0, 4.0), LENS, COLLECT)
    means = fine[:, : 5 * wide.shape[1]].reshape(2, -1, 5).mean(axis=2)
    np.testing.assert_allclose(wide[:, :190], means[:, :190], rtol=5e-3, atol=1e-9)


@pytest.mark.parametrize("first", [-20.0, -20.13, -19.76])
def test_zero_loss_stays_at_zero_wherever_channels_start(first: float) -> None:
    energies = first + 0.5 * np.arange(200)
    spectrum = loss_probability(foil("silicon", 0.0), energies, LENS, COLLECT)[0] * 0.5
    assert spectrum.sum() == pytest.approx(1.0, abs=1e-6)
    assert (spectrum * energies).sum() == pytest.approx(0.0, abs=1e-6)
    spread = (spectrum * energies**2).sum()
    assert spread == pytest.approx(0.4**2 + 0.5**2 / 12, rel=0.01)


def test_a_beam_of_one_energy_fills_one_channel() -> None:
    energies = np.arange(-5.0, 20.0, 0.5)
    sharp = LENS.model_copy(update={"energy_spread": 0.0})
    spectrum = loss_probability(foil("silicon", 0.0), energies, sharp, COLLECT)[0]
    assert np.flatnonzero(spectrum > 1e-6).tolist() == [10]


@pytest.mark.parametrize("asymmetry", [0.0, 0.3, 0.9])
def test_a_tail_leaves_mean_and_spread_alone(asymmetry: float) -> None:
    shape, start = ZeroLoss(0.5, asymmetry).channels(0.05, 0.05, 0.0)
    energy = (start + np.arange(len(shape))) * 0.05
    share = shape * 0.05
    assert share.sum() == pytest.approx(1.0, abs=1e-4)
    assert share @ energy == pytest.approx(0.0, abs=2e-3)
    assert share @ energy**2 == pytest.approx(0.25, rel=0.01)
    skew = share @ energy**3 / 0.125
    assert skew == pytest.approx(2 * asymmetry**3, abs=0.05)


def test_what_the_scene_adds_is_in_the_spectrum() -> None:
    energies = np.arange(-10.0, 40.0, 0.1)
    extra = np.exp(-0.5 * ((energies - 2.0) / 0.2) ** 2)[None] * 0.02
    bare = Places((), np.zeros((0, 1)))
    sharp = LENS.model_copy(update={"energy_spread": 0.05})
    spectrum = loss_probability(
        Places((), np.zeros((0, 1)), extra=extra), energies, sharp, COLLECT
    )[0]
    lost = 0.02 * 0.2 * math.sqrt(2 * math.pi)
    assert spectrum.sum() * 0.1 == pytest.approx(1.0, abs=1e-4)
    assert spectrum[energies > 1].sum() * 0.1 == pytest.approx(1 - math.exp(-lost), rel=0.01)
    assert energies[20 + 100 :][spectrum[120:].argmax()] == pytest.approx(2.0, abs=0.06)
    assert loss_probability(bare, energies, sharp, COLLECT)[0, energies > 1].sum() < 1e-9


def test_places_do_not_depend_on_one_another() -> None:
    sample = three(300)
    energies = np.arange(-5.0, 60.0, 0.5)
    many = loss_probability(sample, energies, LENS, COLLECT)
    for index in (0, 255, 256, 299):
        one = loss_probability(sample.keep(slice(index, index + 1)), energies, LENS, COLLECT)
        np.testing.assert_allclose(many[index], one[0], rtol=1e-9, atol=1e-15)


class Wedge:
    """Silicon that grows along x, carbon below."""

    materials = ("silicon", "carbon")
    by_atoms = (False, False)

    def thickness(self, x: FloatArray, y: FloatArray) -> FloatArray:
        return np.stack([x, np.full(x.shape, 5e-9)])


class Hum:
    def loss(self, x: FloatArray, y: FloatArray, energy: FloatArray) -> FloatArray:
        return np.full((*x.shape, *energy.shape), -1e-9) + (energy > 0) * 1e-6


def test_places_of_a_scene() -> None:
    scene = Scene(
        "wedge", Area(x=(-1e-6, 1e-6), y=(-1e-6, 1e-6)), no_atoms(), Wedge(), flat,
        {"state": lambda x, y: 2 + 0 * x}, {"state": ("valence", "1")}, {}, Hum(), {"Mn": "state"},
    )  # fmt: skip
    x = np.array([-5e-9, 0.0, 10e-9])
    energies = np.array([-1.0, 0.0, 1.0])
    found = places(scene, x, 0 * x, energies)
    np.testing.assert_allclose(found.thickness[0], [0, 0, 10e-9])
    assert found.valence["Mn"].tolist() == [2, 2, 2]
    assert found.extra is not None
    assert found.extra.min() == 0
    assert places(scene, x, 0 * x).extra is None
    names, atoms = found.atoms()
    assert names == ("C", "Si")
    # 2.329 g/cm3 over 28.09 u: 5.0e28 atoms per m3.
    np.testing.assert_allclose(atoms[1], [0, 0, 4.99e20], rtol=5e-3)


def test_what_is_out_of_range_is_refused() -> None:
    sample = foil("silicon", 50.0)
    with pytest.raises(OutOfRange, match=r"`collection_angle` is 0\.3 rad"):
        loss_probability(sample, ENERGIES, LENS, 0.3)
    with pytest.raises(OutOfRange, match=r"mean free paths somewhere; the model holds up to 5"):
        loss_probability(foil("silicon", 10.0, 800.0), ENERGIES, LENS, COLLECT)
    with pytest.raises(OutOfRange, match=r"the tables hold from -1000 eV to 3000 eV"):
        loss_probability(sample, ENERGIES * 4, LENS, COLLECT)
    with pytest.raises(OutOfRange, match="asymmetry"):
        loss_probability(sample, ENERGIES, LENS, COLLECT, 1.0)
    slow = LENS.model_copy(update={"voltage": 5e3})
    with pytest.raises(OutOfRange, match="voltage"):
        loss_probability(sample, ENERGIES, slow, COLLECT)
    with pytest.raises(SignalError, match="equally spaced"):
        loss_probability(sample, ENERGIES**2, LENS, COLLECT)
    other = Places(("silicon",), np.full((1, 1), 1e-9), extra=np.zeros((1, 3)))
    with pytest.raises(SignalError, match="extra"):
        loss_probability(other, ENERGIES, LENS, COLLECT)


def test_places_that_are_none_are_refused() -> None:
    with pytest.raises(SignalError, match="thickness"):
        Places(("silicon",), np.zeros(3))
    with pytest.raises(SignalError, match="finite"):
        Places(("silicon",), np.full((1, 2), np.nan))
    with pytest.raises(OutOfRange, match="thickness"):
        foil("silicon", -1.0)
    with pytest.raises(UnknownName, match="unobtainium"):
        foil("unobtainium", 1.0)
    with pytest.raises(SignalError, match="valence"):
        Places(("silicon",), np.zeros((1, 2)), {"Mn": np.zeros(3)})
    with pytest.raises(UnknownName, match="Xx"):
        Places((), np.zeros((0, 1)), areal={"Xx": np.zeros(1)})


def test_elements_of_two_materials_are_added() -> None:
    both = Places(("silica", "silicon"), np.array([[10e-9], [20e-9]]))
    silica, crystal = (
        Places((name,), np.array([[thick]])).atoms()
        for name, thick in (("silica", 10e-9), ("silicon", 20e-9))
    )
    names, atoms = both.atoms()
    assert names == ("O", "Si")
    np.testing.assert_allclose(atoms[1], silica[1][1] + crystal[1][0])


def test_elastic_losses_to_the_aperture_are_those_of_lenz() -> None:
    # The formula integrated over angles one by one, with constants typed in again.
    lens = Lens(voltage=100e3, convergence_angle=1e-4)
    film = foil("carbon", 30.0)
    density = 2000.0 / 12.011e-3 * 6.02214e23
    wave = 2 * math.pi / 3.7014e-12
    angle = 6 ** (1 / 3) / (wave * 5.29177e-11)
    for beta in (5e-3, 20e-3, 100e-3):
        # dsigma/dOmega = (2 gamma Z / (a0 k^2))^2 / (theta^2 + theta_0^2)^2, integrated by hand.
        theta = np.linspace(beta, 2.0, 200001)
        height = (2 * 1.19569 * 6 / (5.29177e-11 * wave**2)) ** 2
        outside = np.trapezoid(2 * math.pi * theta * height / (theta**2 + angle**2) ** 2, theta)
        whole, part = (mean_free_path(material("carbon"), lens, b) for b in (None, beta))
        lost = 30e-9 * (density * outside + 1 / whole - 1 / part)
        fraction = collected_fraction(film, lens, beta)[0]
        assert -math.log(fraction) == pytest.approx(lost, rel=0.01)
