"""Atoms that the beam takes, and carbon that it leaves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import Aberrations, Lens, beam_intensity
from nanopilot.twins.stem.damage import (
    Contamination,
    cross_sections,
    displacement_cross_section,
    knock_on,
    leaving,
    nuclear_velocity,
    radiolysis,
    transferred,
)
from nanopilot.twins.stem.fluence import beam_fluence
from nanopilot.twins.stem.scene import Atoms
from nanopilot.twins.stem.settings import Damage

UNIT, BARN = 1.66053906660e-27, 1e-28
#: Mean square velocity out of the plane of graphene at 300 K, m²/s²: T. Susi et al., Nat. Commun.
#: 7 (2016) 13040.
GRAPHENE = math.sqrt(3.17e5)


def carbon(count: int, threshold: float = 21.14, ionised: float = 0.0) -> Atoms:
    """Return carbon atoms in a row, 0.1 nm apart."""
    place = np.zeros((count, 3))
    place[:, 0] = np.arange(count) * 1e-10
    whole = np.zeros(count, dtype=np.int64)
    full = np.ones(count)
    return Atoms(place, whole + 6, full * 6e-12, whole, ("C",), full * threshold, full * ionised)


def test_cross_section_is_that_of_egertons_program() -> None:
    # SIGDIS for carbon, 10 eV, 200 keV; R. F. Egerton, Electron Energy-Loss Spectroscopy in the
    # Electron Microscope, 3rd edition (2011), appendix B: 43.7334 eV at most, 54.101 barn.
    most = transferred(200e3, 12 * UNIT, 0.0)
    assert float(most) == pytest.approx(43.7334, rel=2e-4)
    assert float(displacement_cross_section(6, 200e3, 10.0, most)) / BARN == pytest.approx(
        54.101, rel=1e-3
    )


def test_graphene_goes_as_it_was_measured() -> None:
    # Nothing at 60 and 80 kV, an onset between 80 and 100 kV that a lattice at rest does not have,
    # a few tenths of a barn at 100 kV, barns at 120 kV: J. C. Meyer et al., Phys. Rev. Lett. 108
    # (2012) 196102, figure 4, with the threshold of Susi et al. (2016), 21.14 eV.
    moving = {kv: knock_on(6, kv * 1e3, 21.14, GRAPHENE) / BARN for kv in (60, 80, 90, 100, 120)}
    assert moving[60] < 1e-9
    assert moving[80] < 1e-4
    assert 1e-3 < moving[90] < 0.05
    assert 0.1 < moving[100] < 0.6
    assert 3 < moving[120] < 10
    assert knock_on(6, 100e3, 21.14, 0.0) == 0.0
    assert knock_on(6, 120e3, 21.14, 0.0) / BARN == pytest.approx(moving[120], rel=0.05)


def test_a_nucleus_that_comes_towards_the_beam_is_given_less() -> None:
    towards, still, along = transferred(100e3, 12 * UNIT, np.array([-500.0, 0.0, 500.0]))
    assert towards < still < along
    # Closed form of the resting nucleus: 2 E (E + 2 m c²) / M c², up to the electron's own loss.
    energy, rest = 100e3, 510998.95
    heavy = 12 * UNIT * 299792458.0**2 / 1.602176634e-19
    assert still == pytest.approx(2 * energy * (energy + 2 * rest) / heavy, rel=1e-3)


def test_an_oscillator_moves_as_fast_as_its_displacement_says() -> None:
    mass, warm = 12 * UNIT, 300.0
    cold = nuclear_velocity(mass, 5e-12, 0.0)
    assert cold == pytest.approx(6.62607015e-34 / (4 * math.pi * mass * 5e-12))
    classical = nuclear_velocity(200 * UNIT, 30e-12, warm)
    assert classical == pytest.approx(math.sqrt(1.380649e-23 * warm / (200 * UNIT)), rel=0.02)
    middle = nuclear_velocity(mass, 5e-12, warm)
    w = middle / 5e-12
    turned = 1.054571817e-34 * w / (2 * 1.380649e-23 * warm)
    there = 1.054571817e-34 / (2 * mass * w) / math.tanh(turned)
    assert there == pytest.approx(25e-24, rel=1e-5, abs=0)
    assert nuclear_velocity(mass, 0.0, warm) == 0.0


def test_ionisation_falls_with_the_square_of_the_velocity() -> None:
    given = np.array([1e-24])
    assert radiolysis(given, 100e3)[0] == pytest.approx(1e-24, rel=1e-9, abs=0)
    assert radiolysis(given, 200e3)[0] / 1e-24 == pytest.approx(0.5482**2 / 0.6953**2, rel=1e-3)


def test_both_ways_of_leaving_add_up_and_settings_scale_them() -> None:
    atoms = carbon(3, ionised=1e-26)
    both = cross_sections(atoms, 120e3, Damage())
    knocked = cross_sections(atoms, 120e3, Damage(radiolysis=0.0))
    ionised = cross_sections(atoms, 120e3, Damage(knock_on=0.0))
    np.testing.assert_allclose(both, knocked + ionised)
    assert knocked.min() > 0
    assert ionised.min() > 0
    np.testing.assert_allclose(
        cross_sections(atoms, 120e3, Damage(radiolysis=3, knock_on=0)), 3 * ionised
    )
    assert not cross_sections(carbon(2, np.inf), 300e3, Damage()).any()
    with pytest.raises(OutOfRange, match="`threshold`"):
        cross_sections(carbon(2, -1.0), 100e3, Damage())


@pytest.mark.parametrize("fluence", [1e26, 3e27, 1e29])
def test_as_many_leave_as_the_rate_says(fluence: float) -> None:
    area = cross_sections(carbon(1), 120e3, Damage())[0]
    rng = np.random.default_rng(11)
    count = 40000
    gone = len(leaving(np.full(count, area), np.full(count, fluence), rng))
    chance = 1 - math.exp(-area * fluence)
    assert gone == pytest.approx(count * chance, abs=4 * math.sqrt(count * chance) + 1)


def test_an_atom_sees_the_beam_that_is_near_it() -> None:
    lens = Lens(voltage=80e3, convergence_angle=30e-3, aberrations=Aberrations(C1=-2e-9))
    spots, electrons = np.array([[0.0, 0.0], [1e-10, 2e-10]]), np.array([1000.0, 500.0])
    step, points = 1e-11, 512
    beam = beam_intensity(lens, (points, points), step) / step**2
    where = np.array([[0.0, 0.0], [-1e-10, 1e-10], [2e-10, 2e-10]])
    found = beam_fluence(spots, electrons, where, lens)
    for place, fluence in zip(where, found, strict=True):
        offsets = np.rint((place - spots) / step).astype(int)
        exact = sum(n * beam[j, i] for (i, j), n in zip(offsets, electrons, strict=True))
        assert fluence == pytest.approx(exact, abs=0.04 * 1000 * beam.max())
    far = beam_fluence(spots, electrons, np.array([[1e-6, 0.0]]), lens)
    assert far.tolist() == [0.0]


def test_an_even_scan_gives_every_atom_the_same_fluence_near_and_far() -> None:
    lens = Lens(voltage=80e3, convergence_angle=30e-3)
    y, x = (one.ravel() * 5e-11 for one in np.indices((60, 60)))
    middle = np.random.default_rng(0).uniform(1.2e-9, 1.8e-9, (30, 2))
    found = beam_fluence(np.column_stack([x, y]), np.full(len(x), 100.0), middle, lens)
    np.testing.assert_allclose(found, 100 / 5e-11**2, rtol=0.05)
    y, x = (one.ravel() * 2e-11 for one in np.indices((1, 10000)))
    wide = np.column_stack([np.append(x, 0.0), np.append(y, 3e-6)])
    coarse = beam_fluence(wide, np.full(len(wide), 100.0), np.array([[1e-7, 1e-11]]), lens)
    assert coarse[0] > 0


def test_contamination_keeps_its_volume_and_its_width() -> None:
    grown = Contamination(Damage(contamination=1e-30, reach=4e-9))
    grown.grow(np.zeros(1), np.zeros(1), np.array([1e6]))
    grown.grow(np.array([50e-9]), np.array([-20e-9]), np.array([1e6]))
    assert grown.volume == pytest.approx(2e-24, rel=1e-3, abs=0)
    x = np.linspace(-40e-9, 30e-9, 141)
    line = grown.thickness(x, np.zeros(141))
    assert line.shape == (1, 141)
    alone = line[0, x < 20e-9]
    width = math.sqrt(float((alone * x[x < 20e-9] ** 2).sum() / alone.sum()))
    assert width == pytest.approx(4e-9, rel=0.1, abs=0)
    assert grown.materials == ("contamination",)
    assert grown.by_atoms == (False,)


def test_a_hill_has_its_height_and_nothing_grows_if_nothing_may() -> None:
    clean = Contamination(Damage())
    clean.grow(np.zeros(3), np.zeros(3), np.ones(3))
    assert clean.volume == 0.0
    clean.add(np.array([[1e-9, 2e-9]]), 6e-9)
    top = float(clean.thickness(np.array([1e-9]), np.array([2e-9]))[0, 0])
    assert top == pytest.approx(6e-9, rel=0.1, abs=0)
