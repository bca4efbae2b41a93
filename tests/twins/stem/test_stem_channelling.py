"""Atoms below one another: pairs against waves followed through both, and images made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nanopilot.models.electron_optics import Aberrations, Lens, interaction, wavelength
from nanopilot.models.scattering import MOST_K, projected_potential_factor
from nanopilot.twins.stem.channelling import columns_of
from nanopilot.twins.stem.pairing import ACROSS, STEPS, pair_excess
from nanopilot.twins.stem.render import Renderer
from nanopilot.twins.stem.render_lens import reach_of
from nanopilot.twins.stem.scene import Atoms, no_atoms
from tests.twins.stem.stem_atoms import RINGS, Annulus, atoms_of

Array = np.ndarray[Any, np.dtype[Any]]
DARK = {"haadf": RINGS["haadf"], "maadf": RINGS["maadf"]}
LENS = Lens(voltage=80e3, convergence_angle=25e-3, aberrations=Aberrations(C1=-3e-9))


def scattered(places: list[tuple[int, float, float]], voltage: float, angles: Array) -> float:
    """Return the cross section of atoms (number, x, z) into a ring, by multislice.

    `angles` are those of the cone and of the ring; the mean is over plane waves from the cone.
    """
    length, side, count = wavelength(voltage), 1.5e-9, 200
    k = np.fft.fftfreq(count, side / count)
    kx, ky = np.meshgrid(k, k)
    size = np.hypot(kx, ky)
    # Waves on the grid, from even areas of the cone, in directions that differ.
    turn = np.arange(12) * 2.4
    tilt = np.sqrt((np.arange(12) + 0.5) / 12) * angles[0] / length * side
    cone = np.rint([tilt * np.cos(turn), tilt * np.sin(turn)]).astype(int).T
    row, column = np.indices((count, count)) / count
    wave = np.exp(2j * np.pi * (cone[:, 0, None, None] * column + cone[:, 1, None, None] * row))
    before = places[0][2]
    for number, x, z in places:
        way = np.exp(-1j * np.pi * length * (z - before) * size**2)
        wave, before = np.fft.ifft2(np.fft.fft2(wave) * way), z
        factor = projected_potential_factor(number, np.minimum(size, MOST_K))
        potential = np.fft.ifft2(factor * np.exp(-2j * np.pi * kx * x)).real / (side / count) ** 2
        wave = wave * np.exp(1j * interaction(voltage) * potential)
    far = np.abs(np.fft.fft2(wave) / count**2) ** 2
    caught = (length * size >= angles[1]) & (length * size < angles[2])
    return float((far * caught).sum(axis=(1, 2)).mean()) * side**2


@pytest.mark.parametrize(
    ("upper", "lower", "deep", "across"),
    [
        (6, 6, 3.35e-10, 0.0),
        (6, 6, 3.35e-10, 0.4e-10),
        (16, 16, 3.17e-10, 0.0),
        (16, 42, 4.6e-10, 0.0),
        (42, 16, 4.6e-10, 0.0),
        (42, 16, 7.7e-10, 0.0),
        (34, 34, 6.0e-10, 0.8e-10),
        (34, 74, 4.8e-10, 0.0),
        (74, 34, 4.8e-10, 0.0),
    ],
)
@pytest.mark.parametrize("ring", [(60e-3, 120e-3), (70e-3, 130e-3)])
def test_a_pair_scatters_as_a_wave_followed_through_both_atoms(
    upper: int, lower: int, deep: float, across: float, ring: tuple[float, float]
) -> None:
    angles = np.array([25e-3, *ring])
    one, other = (scattered([(z, 0.0, 0.0)], 80e3, angles) for z in (upper, lower))
    both = scattered([(upper, 0.0, 0.0), (lower, across, deep)], 80e3, angles)
    excess = pair_excess((upper, 0.0), (lower, 0.0), deep, (80e3, 25e-3, *ring))
    found = float(np.interp(across, np.linspace(0, ACROSS, STEPS + 1), excess))
    assert found == pytest.approx(both / (one + other) - 1, abs=0.06)


def test_pairs_are_not_the_same_in_every_ring() -> None:
    carbon = (6, 6.7e-12)
    wide, narrow = (
        float(pair_excess(carbon, carbon, 3.35e-10, (80e3, 24e-3, *ring))[0])
        for ring in ((59e-3, 122e-3), (70e-3, 130e-3))
    )
    assert wide > 0.1
    assert narrow < 0


def test_vibration_takes_the_interference_away() -> None:
    # Far apart, so that next to nothing of the beam is focused by the upper one.
    still, shaken = (
        np.abs(pair_excess((6, u), (6, u), 9e-10, (80e3, 5e-3, 90e-3, 110e-3))).max()
        for u in (0.0, 5e-11)
    )
    assert still > 0.1
    assert shaken < 0.01


def column(*atoms: tuple[int, float, float]) -> Atoms:
    number, x, z = (np.array(one) for one in zip(*atoms, strict=True))
    return atoms_of(np.column_stack([x, 0 * x, z]), number, np.full(len(x), 6e-12))


def test_only_atoms_near_each_other_are_pairs_and_bright_detectors_have_none() -> None:
    atoms = column(
        (16, 0, 0), (16, 0, 3e-10), (42, 0.5e-10, 6e-10), (16, 2e-10, 0), (16, 0, 12.5e-10)
    )  # fmt: skip
    found = columns_of(atoms, LENS, RINGS)
    # Of the last, the first is too far up and the third near enough.
    assert {tuple(pair) for pair in found.pairs.tolist()} == {
        (0, 1), (0, 2), (1, 2), (2, 4), (1, 4),
    }  # fmt: skip
    weights = found.weights(np.ones(5, dtype=bool))
    bright = [ring.inner < LENS.convergence_angle for ring in RINGS.values()]
    assert any(bright)
    np.testing.assert_array_equal(weights[bright], 1.0)
    dark = ~np.array(bright)
    np.testing.assert_array_equal(weights[dark, 3], 1.0)
    assert (weights[dark][:, [0, 1, 2]] != 1.0).all()
    assert columns_of(no_atoms(), LENS, RINGS).weights(np.ones(0, dtype=bool)).shape == (4, 0)


@pytest.mark.parametrize(
    ("deep", "paired"), [(0.7e-10, False), (0.9e-10, True), (9.9e-10, True), (10.1e-10, False)]
)
def test_pairs_lie_from_a_bond_to_a_nanometre_apart(deep: float, paired: bool) -> None:
    assert len(columns_of(column((8, 0, 0), (22, 0, deep)), LENS, DARK).pairs) == paired


def test_an_atom_counts_by_the_excess_of_each_of_its_pairs() -> None:
    atoms = column((16, 0, 0), (16, 0, 3.2e-10), (42, 0.37e-10, 6e-10))
    ring = DARK["haadf"]
    optics = LENS.voltage, LENS.convergence_angle, ring.inner, ring.outer
    soft = (16, 6e-12)
    steps = np.linspace(0, ACROSS, STEPS + 1)
    one = pair_excess(soft, soft, 3.2e-10, optics)[0]
    far, near = (
        np.interp(0.37e-10, steps, pair_excess(soft, (42, 6e-12), deep, optics))
        for deep in (6e-10, 2.8e-10)
    )
    found = columns_of(atoms, LENS, DARK)
    weights = found.weights(np.ones(3, dtype=bool))[0]
    np.testing.assert_allclose(weights, [1 + one + far, 1 + one + near, 1 + far + near])
    left = found.weights(np.array([True, False, True]))[0]
    np.testing.assert_allclose(left[[0, 2]], 1 + far)


def test_atoms_far_above_make_a_column_count_more() -> None:
    atoms = column((38, 0, 0), (38, 1e-11, 11e-10), (8, -1e-11, 22e-10), (38, 2e-10, 22e-10))
    found = columns_of(atoms, LENS, DARK)
    assert len(found.pairs) == 0
    weights = found.weights(np.ones(4, dtype=bool))
    above = np.array([0, 1444, 2 * 1444, 0])
    np.testing.assert_allclose(weights, [1 + 0.3 * -np.expm1(-above / 1000)] * 2)


def stacked(seed: int) -> Atoms:
    """Return sulphur and molybdenum at random, half of it below the other half."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 3e-9, (60, 2))
    below = place + rng.normal(0, 3e-11, (60, 2))
    position = np.column_stack([np.concatenate([place, below]), np.repeat([0.0, 4e-10], 60)])
    number = np.array([16, 42])[rng.integers(0, 2, 120)]
    return atoms_of(position, number, np.full(120, 6e-12))


def by_grid(image: Renderer, x: Array, y: Array) -> Array:
    image.prepare((0.7e-9, 0.7e-9), (2.3e-9, 2.3e-9), reach_of(LENS))
    return image.values(x, y)


def by_atoms(image: Renderer, x: Array, y: Array) -> Array:
    # One place so far away that there is no grid for all of them.
    found = image.values(np.append(x[:6], 1e-6), np.append(y[:6], 1e-6))
    assert image._near is not None
    return found[:, :6]


def framed(image: Renderer, x: Array, y: Array) -> Array:
    return image.frame((0.7e-9, 0.7e-9), 2e-11, (80, 80)).reshape(len(RINGS), -1)


@pytest.mark.parametrize("seen", [by_grid, by_atoms, framed])
@pytest.mark.parametrize("index", [[7], list(range(40))])
def test_what_is_left_of_a_pair_scatters_by_itself(
    seen: Callable[[Renderer, Array, Array], Array], index: list[int]
) -> None:
    atoms = stacked(3)
    x, y = np.random.default_rng(3).uniform(0.7e-9, 2.3e-9, (2, 3000))
    whole, plain = (Renderer(atoms, LENS, RINGS, columns=one) for one in (True, False))
    before, without = seen(whole, x, y), seen(plain, x, y)
    peak = np.abs(before).max(axis=1, keepdims=True)
    dark = [ring.inner > LENS.convergence_angle for ring in RINGS.values()]
    assert np.abs((before - without) / peak)[dark].max() > 0.02
    whole.remove(np.array(index))
    fresh = Renderer(atoms.keep(np.setdiff1d(np.arange(120), index)), LENS, RINGS, columns=True)
    assert np.abs((seen(whole, x, y) - seen(fresh, x, y)) / peak).max() < 2e-3
    again = seen(whole, x, y)
    whole.remove(np.array(index))
    np.testing.assert_array_equal(seen(whole, x, y), again)


def test_sums_over_atoms_and_grids_weigh_every_detector_alike() -> None:
    atoms = stacked(7)
    x, y = np.random.default_rng(8).uniform(0.7e-9, 2.3e-9, (2, 3000))
    images = [Renderer(atoms, LENS, RINGS, columns=True) for _ in range(2)]
    grid, few = by_grid(images[0], x, y)[:, :6], by_atoms(images[1], x, y)
    peak = np.abs(grid).max(axis=1, keepdims=True)
    # The sum leaves out the tails of the beam, of which a bright detector sees most.
    assert np.abs((few - grid) / peak).max() < 0.06


def test_pairs_follow_the_lens() -> None:
    atoms, other = stacked(4), LENS.model_copy(update={"voltage": 200e3})
    x, y = np.random.default_rng(5).uniform(0.7e-9, 2.3e-9, (2, 3000))
    image = Renderer(atoms, LENS, DARK, columns=True)
    image.values(x, y)
    image.use(other)
    fresh = Renderer(atoms, other, DARK, columns=True).values(x, y)
    np.testing.assert_allclose(image.values(x, y), fresh, rtol=1e-4, atol=1e-6)


def test_rings_are_named_by_angles_alone() -> None:
    atoms = stacked(6)
    once, twice = (columns_of(atoms, LENS, {"a": Annulus(60e-3, 0.12)}) for _ in range(2))
    np.testing.assert_array_equal(once.excess, twice.excess)
