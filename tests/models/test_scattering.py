"""Scattering factors are those published, and cross sections their integral."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import BOHR, lorentz_factor, wavelength
from nanopilot.models.scattering import (
    MOST_K,
    cross_section,
    electron_scattering_factor,
    projected_potential_factor,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
RUTHERFORD = 1 / (2 * math.pi**2 * BOHR)
numbers = st.integers(1, 98)
angles = st.lists(st.floats(0, 0.25), min_size=3, max_size=3, unique=True).map(sorted)


def test_factors_are_within_two_percent_of_their_sources_for_all_elements_but_rubidium() -> None:
    pytest.importorskip("gemmi")
    pytest.importorskip("xraydb")
    from nanopilot.models.recipes.scattering_factors import NUMBERS, published

    off = {}
    for number in NUMBERS:
        k, truth = published(number)
        kept = k <= 6
        found = electron_scattering_factor(number, k[kept] * 1e10) * 1e10
        off[number] = float(np.abs(found / truth[kept] - 1).max())
    # Of rubidium the two sources themselves do not meet.
    assert off.pop(37) < 0.027
    assert max(off.values()) < 0.0145
    assert float(np.median(list(off.values()))) < 0.005


def test_the_recipe_makes_what_ships() -> None:
    pytest.importorskip("gemmi")
    pytest.importorskip("xraydb")
    from nanopilot.models.recipes.scattering_factors import fit, published

    k, _ = published(42)
    weights, areas, _ = fit(42)
    reach = areas * k[:, None] ** 2
    made = (weights * areas * (2 + reach) / (1 + reach) ** 2).sum(axis=1) * RUTHERFORD * 1e-10
    np.testing.assert_allclose(electron_scattering_factor(42, k * 1e10) * 1e10, made, rtol=1e-4)


@pytest.mark.parametrize(
    "symbol", ["H", "C", "N", "O", "Si", "S", "Ti", "Fe", "Se", "Sr", "Mo", "Pd", "Au"]
)
@pytest.mark.parametrize("name", ["LobatoParametrization", "KirklandParametrization"])
def test_factors_are_those_of_other_fits(symbol: str, name: str) -> None:
    pytest.importorskip("abtem")
    from abtem import parametrizations
    from ase.data import atomic_numbers

    k = np.linspace(0.25, 6.0, 100)
    other = getattr(parametrizations, name)().get_function("scattering_factor", symbol)(k**2)
    ours = electron_scattering_factor(atomic_numbers[symbol], k * 1e10) * 1e10
    np.testing.assert_allclose(ours, other, rtol=0.018)


def test_hydrogen_is_what_its_wave_function_says() -> None:
    k: FloatArray = np.linspace(0.2e10, 4e10, 50)
    electrons = 1 / (1 + (math.pi * BOHR * k) ** 2) ** 2
    np.testing.assert_allclose(
        electron_scattering_factor(1, k), RUTHERFORD * (1 - electrons) / k**2, rtol=0.01
    )


@given(number=numbers)
def test_far_out_only_the_nucleus_scatters(number: int) -> None:
    k: FloatArray = np.array([MOST_K])
    bare = RUTHERFORD * number / MOST_K**2
    assert 0.9 < electron_scattering_factor(number, k)[0] / bare < 1.005


@given(number=numbers)
def test_factors_fall_all_the_way(number: int) -> None:
    found = electron_scattering_factor(number, np.linspace(0, MOST_K, 800))
    assert (found > 0).all()
    assert (np.diff(found) < 0).all()


def test_potential_has_the_unit_it_says() -> None:
    k: FloatArray = np.array([0.0, 3e10])
    ratio = projected_potential_factor(14, k) / electron_scattering_factor(14, k)
    # 47.878 V Angstrom², E. J. Kirkland (2010), equation C.3 ff.
    np.testing.assert_allclose(ratio, 4.7878e-19, rtol=1e-4)


@pytest.mark.parametrize("rms", [None, 5e-12])
@pytest.mark.parametrize(("inner", "outer"), [(0.0, 0.02), (0.06, 0.2), (0.0, 0.15)])
def test_cross_section_is_the_integral_over_the_solid_angle(
    inner: float, outer: float, rms: float | None
) -> None:
    voltage = 100e3

    def density(theta: float) -> float:
        k = 2 * math.sin(theta / 2) / wavelength(voltage)
        factor = lorentz_factor(voltage) * electron_scattering_factor(42, np.array([k]))[0]
        # Mean square of the displacement, s = k / 2: exp(-2 M) with M = 8 pi² <u²> s².
        waller = 0.0 if rms is None else math.exp(-16 * math.pi**2 * rms**2 * (k / 2) ** 2)
        return float(2 * math.pi * math.sin(theta) * factor**2 * (1 - waller))

    truth = quad(density, inner, outer, limit=400, epsrel=1e-9, epsabs=0.0)[0]
    assert cross_section(42, voltage, inner, outer, rms) == pytest.approx(truth, rel=1e-6, abs=0)


@settings(max_examples=50)
@given(number=numbers, edges=angles, rms=st.one_of(st.none(), st.floats(0, 2e-11)))
def test_rings_add_up(number: int, edges: list[float], rms: float | None) -> None:
    inner, middle, outer = edges
    both = cross_section(number, 200e3, inner, outer, rms)
    parts = cross_section(number, 200e3, inner, middle, rms)
    parts += cross_section(number, 200e3, middle, outer, rms)
    assert parts == pytest.approx(both, rel=1e-6, abs=1e-35)


def test_vibration_makes_a_crystal_scatter_incoherently() -> None:
    rising = [cross_section(38, 200e3, 0.06, 0.2, rms) for rms in (0.0, 4e-12, 8e-12, 5e-11)]
    assert rising[0] == 0
    assert (np.diff(rising) > 0).all()
    assert rising[-1] == pytest.approx(cross_section(38, 200e3, 0.06, 0.2), rel=0.01, abs=0)


def test_contrast_by_atomic_number_lies_between_linear_and_quadratic() -> None:
    heavy, light = (cross_section(z, 80e3, 0.06, 0.13) for z in (74, 42))
    assert 1.5 < math.log(heavy / light) / math.log(74 / 42) < 2.0


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, 200e3, 0.06, 0.2), "`number` is 0"), ((99, 200e3, 0.06, 0.2), "1 to 98"),
        ((6, 10e3, 0.06, 0.2), "`voltage` is 10000 V"), ((6, 200e3, 0.2, 0.06), "`inner`"),
        ((6, 300e3, 0.06, 0.5), "up to 0.31"), ((6, 200e3, 0.06, 0.2, -1e-12), "`rms`"),
        ((6, 200e3, -0.1, 0.2), "`inner`"),
    ],
)  # fmt: skip
def test_what_is_outside_the_models_is_refused(arguments: tuple[Any, ...], name: str) -> None:
    with pytest.raises(OutOfRange, match=name):
        cross_section(*arguments)


@pytest.mark.parametrize("k", [-1.0, 1.01 * MOST_K, np.nan])
def test_scattering_vectors_have_bounds(k: float) -> None:
    with pytest.raises(OutOfRange, match="`k` goes from"):
        electron_scattering_factor(6, np.array([0.0, k]))
