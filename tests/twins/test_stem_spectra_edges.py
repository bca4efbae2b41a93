"""Core losses: cross sections against theory and tables of others, edges, and valence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nanopilot.core.errors import OutOfRange, UnknownName
from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.spectra.columns import Places
from nanopilot.twins.stem.spectra.core_losses import (
    cross_section,
    onsets,
    oscillator_strength,
    peaks,
)
from nanopilot.twins.stem.spectra.fine_structure import WHITE_LINES, mixture
from nanopilot.twins.stem.spectra.inelastic import angular_factor, characteristic_angle, kinetic
from nanopilot.twins.stem.spectra.losses import loss_probability
from nanopilot.twins.stem.spectra.tables import atomic_number, edges, symbol

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
NARROW = Lens(voltage=100e3, convergence_angle=1e-5)
LENS = Lens(voltage=200e3, convergence_angle=20e-3, energy_spread=0.3)


def generalised(energy: float, square: FloatArray, number: int) -> FloatArray:
    """Return df/dE of a hydrogenic K shell at momenta (q a0)^2, per eV.

    Egerton, Ultramicroscopy 4 (1979) 169, with the screening of 0.5 of SIGMAK3.
    """
    charge = number - 0.5
    q, k = square / charge**2, energy / (13.606 * charge**2) - 1
    root = max(math.sqrt(abs(k)), 0.1)
    if k >= 0:
        angle = np.arctan2(2 * root, q - k + 1)
        ratio = np.exp(-2 / root * angle) / (1 - math.exp(-2 * math.pi / root))
    else:
        ratio = np.exp(-np.log((q + 1 - k + 2 * root) / (q + 1 - k - 2 * root)) / root)
    bottom = ((q - k + 1) ** 2 + 4 * k) ** 3
    return 256 * energy * (q + k / 3 + 1 / 3) * ratio / (13.606**2 * charge**4 * bottom)


def hydrogenic(number: int, window: FloatArray, voltage: float, beta: float) -> float:
    """Integrate the hydrogenic cross section over energy and angle, in m²."""
    volts, gamma = kinetic(voltage), 1 + voltage / 510999.0
    found = []
    for energy in window:
        least = energy**2 / (4 * 13.606 * volts) + energy**3 / (8 * 13.606 * volts**2 * gamma**3)
        most = least + 4 * gamma**2 * volts / 13.606 * math.sin(beta / 2) ** 2
        logs = np.linspace(math.log(least), math.log(most), 200)
        inner = np.trapezoid(generalised(energy, np.exp(logs), number), logs)
        found.append(4 * math.pi * (5.29177e-11 * 13.606) ** 2 / (energy * volts) * inner)
    return float(np.trapezoid(found, window))


@pytest.mark.parametrize("name", ["B", "C", "N", "O", "Si"])
@pytest.mark.parametrize(("voltage", "beta"), [(80e3, 10e-3), (100e3, 10e-3), (200e3, 40e-3)])
def test_k_edges_are_near_the_hydrogenic_ones(name: str, voltage: float, beta: float) -> None:
    (edge,) = [edge for edge in edges(name) if edge.shell == "K"]
    window = np.linspace(edge.energy, edge.energy + 100, 801)
    lens = Lens(voltage=voltage, convergence_angle=1e-5)
    own = np.trapezoid(cross_section(name, window, lens, beta), window)
    if name == "Si":  # the L shell is still there
        below = np.linspace(edge.energy - 60, edge.energy - 10, 51)
        logs = np.polyfit(np.log(below), np.log(cross_section(name, below, lens, beta)), 1)
        own -= np.trapezoid(np.exp(np.polyval(logs, np.log(window))), window)
    reference = hydrogenic(atomic_number(name), window[::20], voltage, beta)
    assert own / reference == pytest.approx(1, rel=0.2)


def test_hydrogenic_reference_is_the_published_one() -> None:
    # The oscillator strength of a full K shell, its bound states left out: near 1.6 of 2 electrons
    # (Bethe and Salpeter, Quantum Mechanics of One- and Two-Electron Atoms, section 71: 2 x 0.435
    # go to bound states of hydrogen; the edge of a screened shell lies below k = 0).
    energy = np.geomspace(13.606 * 5.5**2, 2e5, 3000)
    strength = [float(generalised(one, np.array([1e-9]), 6).item()) for one in energy]
    assert np.trapezoid(strength, energy) == pytest.approx(2 * 0.435, rel=0.02)


# D. Bote et al., At. Data Nucl. Data Tables 95 (2009) 871, energies U > 16: edge in eV, and
# coefficients b, A, g1 to g4 of whole K shells.
BOTE = {
    "C": (291.001, 1.21, 2.61e-6, (0.0176, 8.57, -0.0675, 0.0467)),
    "O": (537.276, 1.19, 1.40e-6, (0.0258, 8.01, -0.0898, 0.0571)),
    "Al": (1549.92, 1.15, 4.51e-7, (0.0551, 7.23, -0.183, 0.0897)),
}


def bote(
    edge: float, b: float, height: float, g: tuple[float, float, float, float], voltage: float
) -> float:
    """Return the published cross section for ionisation in m²."""
    gamma = 1 + voltage / 510998.9
    beta, momentum = 1 - 1 / gamma**2, math.sqrt(gamma**2 - 1)
    inner = (math.log(momentum**2) - beta) * (1 + g[0] / momentum) + g[1]
    inner += g[2] / math.sqrt(gamma) + g[3] / momentum
    over = voltage / edge
    return 4 * math.pi * 5.2917721e-11**2 * height / beta * inner * over / (over + b)


@pytest.mark.parametrize("name", BOTE)
@pytest.mark.parametrize("voltage", [100e3, 200e3, 300e3])
def test_whole_k_edges_are_near_distorted_waves(name: str, voltage: float) -> None:
    start = onsets(name)["K"]
    energy = np.geomspace(start - 2, voltage / 2, 6000)
    lens = Lens(voltage=voltage, convergence_angle=1e-5)
    whole = cross_section(name, energy, lens, 0.25)
    if name == "Al":  # without its L shell
        outer = cross_section(name, np.array([1200.0, 1500.0]), lens, 0.25)
        power = math.log(outer[1] / outer[0]) / math.log(1500 / 1200)
        whole = whole - outer[1] * (energy / 1500) ** power
    total = np.trapezoid(np.maximum(whole, 0), energy)
    assert total / bote(*BOTE[name], voltage) == pytest.approx(1, rel=0.3)


def test_bote_reference_is_the_published_one() -> None:
    # Printed by the authors' program for Mg L3 at 12957 eV: 1.24124e-18 cm².
    mg = bote(56.2345, 1.01, 2.77e-5, (0.00753, 9.28, -0.0401, 0.0289), 12956.9)
    assert mg * 1e22 == pytest.approx(1.24124, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "shell", "energy"),
    # Ahn and Krivanek, EELS Atlas (1983), to 3 eV.
    [("C", "K", 284), ("N", "K", 401), ("O", "K", 532), ("Si", "L3", 99), ("S", "L3", 165),
     ("Ti", "L3", 456), ("Mn", "L3", 640), ("Fe", "L3", 708), ("Sr", "M5", 133), ("Mo", "M5", 227),
     ("Pd", "M5", 335), ("Ag", "M5", 367), ("Ce", "M5", 883), ("Au", "M5", 2206)],
)  # fmt: skip
def test_edges_are_where_atlases_have_them(name: str, shell: str, energy: float) -> None:
    assert {edge.shell: edge.energy for edge in edges(name)}[shell] == pytest.approx(energy, abs=3)


@pytest.mark.parametrize(
    ("material", "element", "shell"), [("silica", "O", "K"), ("carbon", "C", "K")]
)
def test_spectra_jump_at_the_edge(material: str, element: str, shell: str) -> None:
    energies = np.arange(200.0, 700.0, 0.5)
    spectrum = loss_probability(Places((material,), np.array([[30e-9]])), energies, LENS, 40e-3)[0]
    rise = np.diff(np.log(spectrum))
    assert energies[rise.argmax()] == pytest.approx(onsets(element)[shell], abs=1.5)
    below = energies < onsets(element)[shell] - 5
    power = -np.polyfit(np.log(energies[below]), np.log(spectrum[below]), 1)[0]
    assert 2 < power < 6  # Egerton (2011), section 4.4.1: the exponent of backgrounds


def test_a_narrow_beam_needs_no_average() -> None:
    energy = np.geomspace(50, 3000, 20)
    exact = np.log1p((10e-3 / characteristic_angle(energy, 100e3)) ** 2)
    np.testing.assert_allclose(angular_factor(energy, NARROW, 10e-3), exact, rtol=1e-6)


@pytest.mark.parametrize("convergence", [8e-3, 15e-3])
@pytest.mark.parametrize("energy", [120.0, 500.0])
def test_a_cone_is_averaged_over(convergence: float, energy: float) -> None:
    # By brute force: directions of the beam, and of the loss.
    wide = Lens(voltage=100e3, convergence_angle=convergence)
    rng = np.random.default_rng(1)
    here = convergence * np.sqrt(rng.random(4000)) * np.exp(2j * math.pi * rng.random(4000))
    narrow = float(characteristic_angle(np.array(energy), 100e3))
    limit = math.sqrt(energy / (100e3 * (1 + 100 / 1022)))
    theta = np.exp(np.linspace(math.log(narrow / 300), math.log(limit), 400))
    turn = np.exp(2j * math.pi * rng.random((400, 4000)))
    inside = (np.abs(here + theta[:, None] * turn) < 10e-3).mean(axis=1)
    brute = np.trapezoid(2 * theta**2 / (theta**2 + narrow**2) * inside, np.log(theta))
    loss = np.array([energy])
    assert angular_factor(loss, wide, 10e-3)[0] == pytest.approx(brute, rel=0.02)
    if energy > onsets("C")["K"]:
        # Per electron that would come through without a sample.
        share = min(1.0, (10e-3 / convergence) ** 2)
        thin = np.log1p((10e-3 / narrow) ** 2)
        ratio = cross_section("C", loss, wide, 10e-3) / cross_section("C", loss, NARROW, 10e-3)
        assert ratio[0] == pytest.approx(brute / thin / share, rel=0.02)


def test_angles_end_at_the_bethe_ridge() -> None:
    energy = np.array([20.0, 300.0, 3000.0])
    all_of_it = angular_factor(energy, NARROW, 0.25)
    limit = energy / (100e3 * (1 + 100 / 1022))
    exact = np.log1p(limit / characteristic_angle(energy, 100e3) ** 2)
    np.testing.assert_allclose(all_of_it, exact, rtol=1e-3)


def white_areas(element: str, valence: int) -> tuple[float, float]:
    lines = WHITE_LINES[element][valence]
    middle = (lines.first + lines.second) / 2
    found = peaks(element, valence)
    low = sum(area for place, area, _ in found if place < middle)
    return low, sum(area for place, area, _ in found if place > middle)


def ratio_in_spectrum(valence: float, element: str, split: float) -> float:
    """Measure L3 over L2 as a user does: continuum off, both lines integrated."""
    sample = Places((), np.zeros((0, 1)), {element: np.array([valence])},
                    areal={element: np.array([1e20])})  # fmt: skip
    lines = WHITE_LINES[element]
    first = np.interp(valence, sorted(lines), [lines[key].first for key in sorted(lines)])
    energies = np.arange(first - 30, first + 60, 0.1)
    spectrum = loss_probability(sample, energies, LENS, 40e-3)[0]
    after = spectrum[np.abs(energies - first - 40) < 3].mean()
    before = spectrum[energies < first - 15].mean()
    step = (after - before) * ((energies > first) * 2 / 3 + (energies > first + split) / 3)
    line = spectrum - before - step
    low = line[np.abs(energies - first) < 4].sum()
    return float(low / line[np.abs(energies - first - split) < 4].sum())


def test_white_line_ratio_of_manganese_falls_with_valence() -> None:
    ratios = [ratio_in_spectrum(valence, "Mn", 11.0) for valence in (2.0, 2.5, 3.0, 3.5, 4.0)]
    assert (np.diff(ratios) < 0).all()
    # Schmid and Mader, Micron 37 (2006) 426: near 3.9, 2.6, 2.0, continuum and windows permitting.
    np.testing.assert_allclose([ratios[0], ratios[2], ratios[4]], [3.9, 2.6, 2.0], rtol=0.2)


@pytest.mark.parametrize(
    ("element", "sign"), [("Ti", -1), ("Mn", -1), ("Fe", 1), ("Co", -1), ("Ce", -1)]
)
def test_ratio_follows_valence(element: str, sign: int) -> None:
    valences = sorted(WHITE_LINES[element])
    areas = [white_areas(element, valence) for valence in valences]
    ratios = [low / high for low, high in areas]
    assert (sign * np.diff(ratios) > 0).all()
    firsts = [WHITE_LINES[element][valence].first for valence in valences]
    assert (np.diff(firsts) > 0).all()  # a higher valence binds more tightly
    totals = [low + high for low, high in areas]
    assert (np.diff(totals) > 0).all()  # and has more empty states


def test_chemical_shift_is_seen_in_the_spectrum() -> None:
    energies = np.arange(690.0, 740.0, 0.1)
    sample = Places((), np.zeros((0, 3)), {"Fe": np.array([2.0, 2.5, 3.0])},
                    areal={"Fe": np.full(3, 1e21)})  # fmt: skip
    spectra = loss_probability(sample, energies, LENS, 40e-3)
    peak = energies[spectra.argmax(axis=1)]
    assert peak[2] - peak[0] == pytest.approx(1.7, abs=0.15)  # Tan et al. (2012): 1.4 to 2 eV
    np.testing.assert_allclose(spectra[1], (spectra[0] + spectra[2]) / 2, rtol=1e-3)


def test_white_lines_of_ceria_turn_over() -> None:
    energies = np.arange(870.0, 920.0, 0.2)
    sample = Places(("ceria",), np.full((1, 2), 20e-9), {"Ce": np.array([3.0, 4.0])})
    three, four = loss_probability(sample, energies, LENS, 40e-3)
    m5, m4 = (np.abs(energies - place) < 4 for place in (883.3, 901.2))
    assert three[m5].max() > three[m4].max()
    assert four[m5].max() < four[m4].max()


def test_a_valence_nobody_knows_is_refused() -> None:
    with pytest.raises(OutOfRange, match=r"`valence` of Mn goes from 5 to 5"):
        mixture("Mn", np.array([5.0]), 1)
    with pytest.raises(UnknownName, match="valence of element"):
        mixture("O", np.array([2.0]), 1)
    np.testing.assert_allclose(mixture("Mn", np.array([4.04]), 1)[:, 0], [0, 0, 1])
    assert mixture("O", None, 3).shape == (1, 3)


def test_single_atoms_take_the_place_of_thickness() -> None:
    energies = np.arange(270.0, 330.0, 0.5)
    film = Places(("graphene",), np.array([[0.335e-9]]))
    names, atoms = film.atoms()
    doubled = Places(film.materials, film.thickness, areal={"C": 2 * atoms[0]})
    once, twice = (loss_probability(one, energies, LENS, 40e-3)[0] for one in (film, doubled))
    edge = energies > 286
    assert names == ("C",)
    assert (twice[edge] / once[edge]).min() > 1.9
    nitrogen = Places(film.materials, film.thickness, areal={"N": np.array([1e18])})
    assert nitrogen.atoms()[0] == ("C", "N")


def test_tables_are_complete() -> None:
    for number in range(3, 93):
        name = symbol(number)
        assert atomic_number(name) == number
        assert edges(name), name
        for edge in edges(name):
            assert 30 <= edge.energy <= 3800
            assert edge.strength > 0
            assert 0.5 < edge.decay < 3.5
    assert edges("H") == ()
    with pytest.raises(UnknownName, match="Zz"):
        edges("Zz")
    with pytest.raises(UnknownName, match="atomic number"):
        symbol(120)


def test_strength_of_a_shell_is_about_its_electrons() -> None:
    # The sum rule of Thomas, Reiche and Kuhn, less what goes to states that are occupied.
    energy = np.geomspace(200, 1e5, 20000)
    strength = np.trapezoid(oscillator_strength("C", energy), energy)
    assert 1.3 < strength < 2.0
