"""What one atom adds to a detector, against a wave that is followed through it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import Aberrations, Lens, interaction
from nanopilot.models.scattering import cross_section, projected_potential_factor
from nanopilot.twins.stem.contrast import (
    annular_cross_section,
    atom_contrast,
    cone_share,
    fractions,
    matter_exponent,
    object_share,
    vacuum_fraction,
)
from nanopilot.twins.stem.render import Renderer
from tests.twins.stem.stem_atoms import RINGS, Annulus, atoms_of, phase_object, signals_of

HAADF, BF = RINGS["haadf"], RINGS["bf"]


def test_weak_atoms_turn_the_phase_by_their_projected_potential() -> None:
    k = np.array([1e9, 5e9, 1e10, 2e10])
    weak = atom_contrast(1, 400e3)
    born = interaction(400e3) * projected_potential_factor(1, k)
    np.testing.assert_allclose(weak.at(weak.phase, k), born, rtol=2e-3)


@pytest.mark.parametrize("number", [6, 42, 79])
def test_what_is_taken_from_the_beam_is_what_is_scattered(number: int) -> None:
    atom = atom_contrast(number, 200e3)
    k = np.geomspace(1e7, 1.6e11, 4000)
    scattered = np.trapezoid(atom.differential(k) * 2 * math.pi * k**2, np.log(k))
    # The optical theorem; of heavy atoms half a percent goes farther than 1.6e11 1/m.
    assert scattered == pytest.approx(atom.total, rel=7e-3, abs=0)


def test_light_atoms_scatter_as_in_borns_approximation() -> None:
    narrow = annular_cross_section(6, 5e-12, 200e3, HAADF, 1e-4)
    assert narrow == pytest.approx(cross_section(6, 200e3, 60e-3, 180e-3), rel=0.01, abs=0)


def test_heavy_atoms_scatter_less_than_in_borns_approximation_and_more_than_light_ones() -> None:
    gold, carbon = (annular_cross_section(z, 0.0, 200e3, HAADF, 25e-3) for z in (79, 6))
    assert gold < cross_section(79, 200e3, 60e-3, 180e-3)
    assert 1.5 < math.log(gold / carbon) / math.log(79 / 6) < 2.0


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 0.2), st.floats(0.0, 0.1), st.floats(0.01, 0.1), st.floats(5e-3, 40e-3))
def test_share_of_a_cone_is_the_share_of_directions_drawn_by_chance(
    angle: float, inner: float, width: float, cone: float
) -> None:
    ring = Annulus(inner, inner + width)
    rng = np.random.default_rng(0)
    radius, turn = cone * np.sqrt(rng.random(20000)), 2 * math.pi * rng.random(20000)
    size = np.abs(angle + radius * np.exp(1j * turn))
    drawn = np.mean((size >= ring.inner) & (size < ring.outer))
    share = float(cone_share(np.array([angle]), ring, cone)[0])
    assert share == pytest.approx(drawn, abs=0.02)


def test_rings_that_share_the_plane_share_what_is_scattered() -> None:
    rings = [Annulus(0, 0.02), Annulus(0.02, 0.07), Annulus(0.07, 0.2)]
    parts = [annular_cross_section(42, 0.0, 80e3, ring, 30e-3) for ring in rings]
    whole = annular_cross_section(42, 0.0, 80e3, Annulus(0, 0.2), 30e-3)
    assert sum(parts) == pytest.approx(whole, rel=2e-3, abs=0)


@pytest.mark.parametrize("number", [6, 42])
@pytest.mark.parametrize("defocus", [0.0, -8e-9])
def test_one_atom_is_seen_as_by_a_wave_followed_through_it(number: int, defocus: float) -> None:
    lens = Lens(voltage=80e3, convergence_angle=30e-3, aberrations=Aberrations(C1=defocus))
    pixel, shape = 7.5e-12, (320, 320)
    places = np.column_stack([np.linspace(0, 2.4e-10, 7), np.zeros(7)])
    through = phase_object(number, 80e3, shape, pixel)
    seen = signals_of(through, lens, pixel, places, RINGS)
    empty = signals_of(np.ones(shape), lens, pixel, places[:1], RINGS)
    model = Renderer(atoms_of([0, 0, 0], [number], [0.0]), lens, RINGS)
    found = model.values(places[:, 0], places[:, 1])
    for name, got, want in zip(RINGS, found, seen - empty, strict=True):
        assert np.abs(got - want).max() < 0.2 * np.abs(want).max(), name


def test_object_share_is_one_without_frequency_and_falls() -> None:
    share = object_share(42, 80e3, HAADF, 30e-3, np.linspace(0, 1.4e10, 9))
    assert share[0] == 1.0
    assert np.all(np.diff(share) < 0)


def test_fractions_are_linear_for_little_and_bounded_for_much() -> None:
    for ring in RINGS.values():
        empty = vacuum_fraction(ring, 25e-3)
        little = np.array([1e-5]) if ring.inner > 25e-3 else np.array([1e-5, -1e-5])
        np.testing.assert_allclose(fractions(little, ring, 25e-3), empty + little, rtol=1e-3)
        much = fractions(np.array([-1e3, 1e3]), ring, 25e-3)
        assert much.min() >= 0
        assert much.max() <= 1


def test_thicker_films_scatter_more_and_leave_less_in_the_bright_field() -> None:
    carbon = {6: 1e29}
    dark, bright = (matter_exponent(carbon, 200e3, ring, 25e-3) for ring in (HAADF, BF))
    assert dark > 0 > bright
    assert dark == pytest.approx(1e29 * annular_cross_section(6, 0.0, 200e3, HAADF, 25e-3))


@pytest.mark.parametrize(
    ("ring", "voltage", "message"),
    [
        (Annulus(0.1, 0.05), 200e3, "ascend"),
        (Annulus(0.1, 0.3), 200e3, "0.25 rad"),
        (Annulus(0.1, 0.249), 400e3, "known up to"),
        (HAADF, 1e3, "`voltage`"),
    ],
)
def test_what_the_model_does_not_know_is_refused(
    ring: Annulus, voltage: float, message: str
) -> None:
    with pytest.raises(OutOfRange, match=message):
        annular_cross_section(6, 0.0, voltage, ring, 25e-3)
    with pytest.raises(OutOfRange, match="`rms`"):
        annular_cross_section(6, -1.0, 200e3, HAADF, 25e-3)
