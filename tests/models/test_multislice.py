"""Multislice against direct sums, formulas, and what symmetry says."""

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nanopilot.core.errors import InvalidRequest, NanopilotError, OutOfRange, SignalError
from nanopilot.models.electron_optics import (
    Aberrations,
    Lens,
    beam_intensity,
    beam_wave,
    interaction,
)
from nanopilot.models.multislice import Calculation, Specimen, cut, patterns
from nanopilot.models.multislice.grid import Grid, beam_width, choose, needed_width
from nanopilot.models.multislice.patterns import beam, overlaps
from nanopilot.models.multislice.potential import AtomShapes, fresnel, projected, slices
from nanopilot.models.scattering import projected_potential_factor

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
LENS = Lens(voltage=200e3, convergence_angle=20e-3)
HOW = Calculation(pixels=41, angle_per_pixel=2.2e-3, pixel=1.2e-11, precision="double")
MIDDLE = np.array([[0.6e-9, 0.55e-9]])


def cloud(seed: int = 0, count: int = 12, thickness: float = 2e-9) -> Specimen:
    """Atoms of two kinds anywhere."""
    rng = np.random.default_rng(seed)
    box = (1.2e-9, 1.3e-9, thickness)
    number = rng.choice([14, 42], count)
    return Specimen(rng.uniform(0, 1, (count, 3)) * box, number, np.full(count, 8e-12), box)


def one(specimen: Specimen, place: FloatArray = MIDDLE, how: Calculation = HOW,
        lens: Lens = LENS) -> FloatArray:  # fmt: skip
    """The pattern of one place."""
    (block,) = patterns(specimen, lens, place, how)
    return block[0]


def change(found: FloatArray, other: FloatArray) -> float:
    return float(np.abs(found - other).max() / other.max())


def gold(cells: int, layers: int, lattice: float = 4.08e-10, number: int = 79) -> Specimen:
    """Gold, or what has its structure and all but its lattice: aluminium."""
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    corners = np.stack(np.meshgrid(*(np.arange(n) for n in (cells, cells, layers))), -1)
    position = (corners.reshape(-1, 1, 3) + basis).reshape(-1, 3) * lattice
    count = len(position)
    box = (cells * lattice, cells * lattice, layers * lattice)
    return Specimen(position, np.full(count, number), np.zeros(count), box)


def test_projected_potential_is_the_sum_over_atoms_and_frequencies() -> None:
    specimen, grid = cloud(count=5), Grid((24, 20), (1.3e-9, 1.2e-9))
    found = projected(specimen.position, specimen.number, AtomShapes(grid), grid)
    rng = np.random.default_rng(1)
    for row, column in rng.integers(0, 20, (6, 2)):
        y, x = row * grid.box[0] / 24, column * grid.box[1] / 20
        total = 0.0
        for (at_x, at_y, _), number in zip(specimen.position, specimen.number, strict=True):
            for ky in grid.ky:
                for kx in grid.kx:
                    k = np.hypot(kx, ky)
                    if k < 0.5 / grid.pixel:
                        phase = 2 * np.pi * (kx * (x - at_x) + ky * (y - at_y))
                        total += projected_potential_factor(int(number), np.array([k]))[0] * np.cos(
                            phase
                        )
        assert found[row, column] == pytest.approx(total / (1.3e-9 * 1.2e-9), rel=1e-9, abs=0)


@pytest.mark.parametrize("shape", [(24, 20), (25, 21), (30, 25)])
def test_mean_potential_is_that_of_the_atoms_on_any_grid(shape: tuple[int, int]) -> None:
    specimen, grid = cloud(), Grid(shape, (1.3e-9, 1.2e-9))
    found = projected(specimen.position, specimen.number, AtomShapes(grid), grid)
    whole = sum(projected_potential_factor(int(z), np.zeros(1))[0] for z in specimen.number)
    assert found.shape == shape
    assert found.mean() == pytest.approx(whole / (1.3e-9 * 1.2e-9), rel=1e-9, abs=0)


def test_every_atom_is_in_one_slice_at_its_depth() -> None:
    specimen = cloud(count=200)
    seen = np.zeros(200, dtype=int)
    for depth, inside in slices(specimen, 1.7e-10):
        seen[inside] += 1
        below = specimen.position[inside, 2] - depth
        assert (below >= -1e-20).all()
        assert (below <= 1.7e-10).all()
    assert (seen == 1).all()


def test_propagator_spreads_a_gaussian_as_the_formula_says() -> None:
    grid, length, waist, way = Grid((128, 128), (6e-9, 6e-9)), 2.5e-12, 0.4e-9, 200e-9
    x = np.arange(128) * 6e-9 / 128 - 3e-9
    start = np.exp(-(x**2 + x[:, None] ** 2) / waist**2)
    found = np.fft.ifft2(np.fft.fft2(start) * fresnel(grid, length, way, (0.0, 0.0)))
    # A. E. Siegman, Lasers (1986), section 17.1.
    q = 1 + 1j * way * length / (np.pi * waist**2)
    truth = np.exp(-(x**2 + x[:, None] ** 2) / (waist**2 * q)) / q
    np.testing.assert_allclose(found, truth, atol=1e-6)


def test_one_slice_is_the_transform_of_beam_times_phase() -> None:
    specimen = Specimen(
        np.array([[5e-10, 7e-10, 0.0]]), np.array([42]), np.zeros(1), (1.2e-9, 1.2e-9, 1e-10)
    )
    how = HOW.model_copy(update={"pixel": 2.5e-11 * 0.48, "angle_per_pixel": 2.1e-3})
    grid = choose(specimen, LENS, how)
    volts = projected(specimen.position, specimen.number, AtomShapes(grid), grid)
    phase = np.exp(1j * interaction(200e3) * volts)
    phase = np.fft.ifft2(np.fft.fft2(phase) * grid.inside)
    y, x = (np.arange(n) * side / n for n, side in zip(grid.shape, grid.box, strict=True))
    wave = np.zeros(grid.shape, dtype=complex)
    spectrum = beam(LENS, grid)
    # Slowly: every plane wave of the beam by itself.
    for row, column in np.argwhere(np.abs(spectrum) > 0):
        ky, kx = grid.ky[row], grid.kx[column]
        there = np.exp(2j * np.pi * (ky * (y[:, None] - 5.5e-10) + kx * (x - 6e-10)))
        wave += spectrum[row, column] * there
    exit_wave = np.fft.fft2(wave * phase) / phase.size * grid.inside
    rows, columns = (
        overlaps(LENS.wavelength * k, LENS.wavelength / side, how)
        for k, side in zip((grid.ky, grid.kx), grid.box, strict=True)
    )
    truth = rows @ np.abs(exit_wave) ** 2 @ columns.T
    assert change(one(specimen, np.array([[6e-10, 5.5e-10]]), how), truth) < 1e-10


def test_without_atoms_there_is_the_disc_of_the_aperture() -> None:
    empty = Specimen(np.zeros((0, 3)), np.zeros(0, int), np.zeros(0), (3e-9, 3e-9, 1e-9))
    how = HOW.model_copy(update={"angle_per_pixel": 1e-3, "pixels": 64})
    found = one(empty, np.array([[1e-9, 2e-9]]), how)
    distance = np.hypot(how.angles(), how.angles()[:, None])
    assert found.sum() == pytest.approx(1, abs=1e-9)
    flat = 1e-6 / (np.pi * 20e-3**2)
    np.testing.assert_allclose(found[distance < 17.5e-3], flat, rtol=0.05)
    assert found[distance > 22.5e-3].max() < 1e-12


def test_a_camera_wide_enough_catches_every_electron() -> None:
    how = HOW.model_copy(update={"pixel": 6e-12, "pixels": 61})
    assert 0.9995 < one(cloud(), how=how).sum() <= 1 + 1e-9


@pytest.mark.parametrize("axis", [0, 1])
def test_an_atom_beside_the_beam_pulls_it(axis: int) -> None:
    """Columns are kx and rows ky, row 0 the lowest: positive charge attracts electrons."""
    position = np.full((1, 3), 0.6e-9)
    position[0, axis] += 0.3e-10
    specimen = Specimen(position, np.array([14]), np.zeros(1), (1.2e-9, 1.2e-9, 1e-9))
    found = one(specimen, np.full((1, 2), 0.6e-9))
    x, y = (found.sum(0) @ HOW.angles(), found.sum(1) @ HOW.angles())
    pulled, aside = (x, y) if axis == 0 else (y, x)
    assert pulled > 3e-4
    assert abs(aside) < 1e-6


@pytest.mark.parametrize(("pixels", "most"), [((7, -4), 1e-9), ((7.3, -4.4), 1e-3)])
def test_moving_the_beam_is_moving_the_atoms_back(pixels: tuple[float, float], most: float) -> None:
    """Between pixels, but for what the exponential of the potential folds back."""
    specimen = cloud()
    grid = choose(specimen, LENS, HOW)
    by = np.array(pixels) * [grid.box[1] / grid.shape[1], grid.box[0] / grid.shape[0]]
    moved = replace(specimen, position=specimen.position - [*by, 0.0])
    assert change(one(specimen, MIDDLE + by), one(moved)) < most


def test_places_are_counted_from_where_the_corner_is() -> None:
    cornered = replace(cloud(), corner=(3e-9, -2e-9))
    assert change(one(cornered, MIDDLE + np.array([3e-9, -2e-9])), one(cloud())) < 1e-9


def test_tilting_the_beam_is_shearing_the_atoms() -> None:
    specimen, tilt = cloud(count=60, thickness=4e-9), (25e-3, -15e-3)
    position, step = specimen.position.copy(), 2e-10
    depth = np.floor(position[:, 2] / step) * step
    position[:, :2] -= depth[:, None] * np.tan(tilt)
    tilted = one(specimen, how=HOW.model_copy(update={"tilt": tilt}))
    assert change(tilted, one(replace(specimen, position=position))) < 1e-3
    assert change(tilted, one(specimen)) > 0.05


def test_tilt_of_a_crystal_is_seen_and_in_the_direction_it_has() -> None:
    crystal, lens = gold(6, 12, number=13), Lens(voltage=200e3, convergence_angle=3e-3)
    how = Calculation(pixels=35, angle_per_pixel=1.05e-3, pixel=1.2e-11)
    lopsided = []
    for tilt in (0.0, 4e-3, -4e-3):
        turned = how.model_copy(update={"tilt": (tilt, 0.0)})
        found = one(crystal, np.full((1, 2), 1.2e-9), turned, lens)
        lopsided.append(float(found[:, 21:].sum() - found[:, :14].sum()))
    assert abs(lopsided[0]) < 1e-4
    # The circle of Laue goes through the beam, round where the zone axis is: at -tilt.
    assert lopsided[1] < -0.01
    assert lopsided[2] == pytest.approx(-lopsided[1], rel=1e-3, abs=0)


def test_strain_moves_the_discs_by_the_change_of_the_lattice() -> None:
    lens, how = (
        Lens(voltage=200e3, convergence_angle=2.2e-3),
        Calculation(pixels=61, angle_per_pixel=0.78e-3, pixel=1.5e-11),
    )
    found = []
    for strain in (0.0, 0.04):
        pattern = one(gold(8, 1, 4.08e-10 * (1 + strain)), np.full((1, 2), 1.6e-9), how, lens)
        # The disc 200 along x: between 8 and 16 mrad, within 4 mrad of the row of the beam.
        angle = how.angles()
        columns, rows = (angle > 8e-3) & (angle < 16e-3), np.abs(angle) < 4e-3
        disc = pattern[np.ix_(rows, columns)].sum(0)
        found.append(float(disc @ angle[columns] / disc.sum()))
    assert found[0] == pytest.approx(lens.wavelength / 2.04e-10, rel=0.01)
    assert found[1] / found[0] == pytest.approx(1 / 1.04, abs=0.004)


def test_torch_gives_what_numpy_gives() -> None:
    pytest.importorskip("torch")
    specimen, places = cloud(), np.random.default_rng(0).uniform(0, 1e-9, (3, 2))
    for precision, most in (("double", 1e-12), ("single", 2e-5)):
        how = HOW.model_copy(update={"precision": precision, "block": 2})
        one_by_torch = how.model_copy(update={"backend": "torch"})
        ours, torch = (np.concatenate(list(patterns(specimen, LENS, places, way)))
                       for way in (how, one_by_torch))  # fmt: skip
        assert change(torch, ours) < most


def test_blocks_are_only_how_it_is_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    specimen, places = cloud(), np.random.default_rng(0).uniform(0, 1e-9, (5, 2))
    how = HOW.model_copy(update={"phonons": 2})
    blocks = []
    module = importlib.import_module("nanopilot.models.multislice.patterns")
    for block, kept in ((2, 1 << 29), (5, 1 << 29), (2, 0)):
        monkeypatch.setattr(module, "_KEPT", kept)
        dealt = how.model_copy(update={"block": block})
        blocks.append(list(patterns(specimen, LENS, places, dealt, np.random.default_rng(3))))
    assert [len(part) for part in blocks[0]] == [2, 2, 1]
    for other in blocks[1:]:
        assert change(np.concatenate(blocks[0]), np.concatenate(other)) < 1e-12


def test_phonons_are_the_mean_over_shaken_atoms() -> None:
    specimen, how = cloud(), HOW.model_copy(update={"phonons": 3})
    (found,) = patterns(specimen, LENS, MIDDLE, how, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    each = [one(specimen.shaken(rng)) for _ in range(3)]
    assert change(found[0], np.mean(each, axis=0)) < 1e-12
    assert change(each[0], each[1]) > 1e-3
    (other,) = patterns(specimen, LENS, MIDDLE, how, np.random.default_rng(6))
    assert change(found, other) > 1e-3


def test_shaken_atoms_have_the_displacement_they_should() -> None:
    count = 4000
    specimen = Specimen(
        np.full((count, 3), 5e-10), np.full(count, 6), np.linspace(1e-12, 9e-12, count),
        (1e-9, 1e-9, 1e-9),
    )  # fmt: skip
    moved = (specimen.shaken(np.random.default_rng(0)).position - 5e-10) / specimen.rms[:, None]
    np.testing.assert_allclose(moved.std(axis=0), 1.0, atol=0.04)
    np.testing.assert_allclose(moved.mean(axis=0), 0.0, atol=0.06)


def test_source_and_focal_spread_are_averaged_with_the_phonons() -> None:
    position = np.array([[0.62e-9, 0.6e-9, 0.1e-9]])
    specimen = Specimen(position, np.array([42]), np.zeros(1), (1.2e-9, 1.2e-9, 2e-10))
    how = Calculation(pixels=31, angle_per_pixel=2.2e-3, pixel=1.5e-11, phonons=400)
    places = np.full((1, 2), 0.6e-9)
    wide = Lens(convergence_angle=20e-3, source_size=3e-11, chromatic=2e-3, energy_spread=0.5)
    (found,) = patterns(specimen, wide, places, how, np.random.default_rng(0))
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    truth, still = np.zeros_like(found), how.model_copy(update={"phonons": 0})
    for focus, share in zip(nodes, weights / weights.sum(), strict=True):
        lens = wide.model_copy(update={"aberrations": Aberrations(C1=focus * wide.focal_spread)})
        spots = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2) * wide.source_size
        each = np.concatenate(list(patterns(specimen, lens, places + spots, still)))
        both = np.outer(weights, weights).ravel() / weights.sum() ** 2
        truth += share * np.tensordot(both, each, 1)
    (sharp,) = patterns(specimen, wide, places, still)
    assert change(found, truth) < 0.02
    assert change(sharp, truth) > 0.05


def test_what_is_cut_out_is_what_is_near_and_its_edge_does_not_matter() -> None:
    rng, centre = np.random.default_rng(2), (1e-9, -0.5e-9)
    position = rng.uniform(-4e-9, 4e-9, (3000, 3)) * [1, 1, 0.2]
    # Top and bottom are the same whatever is cut out.
    position[:2] = [[*centre, -0.8e-9], [*centre, 0.8e-9]]
    number, rms = rng.choice([6, 14], 3000), rng.uniform(0, 1e-11, 3000)
    blurred = LENS.model_copy(update={"aberrations": Aberrations(C1=-15e-9)})
    width = needed_width(blurred, 1.6e-9, 60e-3)
    small, large = (cut(position, number, rms, centre, wide) for wide in (width, 3.1 * width))
    near = np.abs(position[:, :2] - centre).max(axis=1) <= width / 2
    assert len(small) == near.sum()
    np.testing.assert_array_equal(small.number, number[near])
    np.testing.assert_array_equal(small.rms, rms[near])
    np.testing.assert_allclose(small.position[:, 2], position[near, 2] + 0.9e-9, atol=1e-20)
    assert small.box[2] == pytest.approx(1.8e-9, abs=0)
    # Pixels so large that it does not matter how finely angles are sampled in either box.
    how = HOW.model_copy(update={"angle_per_pixel": 16e-3, "pixels": 7})
    bright = np.hypot(how.angles(), how.angles()[:, None]) < 30e-3
    found, truth = (one(box, np.array([centre]), how, blurred) for box in (small, large))
    assert change(found, truth) < 0.01
    assert found[~bright].sum() == pytest.approx(truth[~bright].sum(), rel=0.03)
    with pytest.raises(OutOfRange, match="cut out more"):
        one(cut(position, number, rms, centre, 3e-10), np.array([centre]), how, blurred)


def test_cutting_where_nothing_is_gives_vacuum() -> None:
    empty = cut(np.zeros((0, 3)), np.zeros(0, int), np.zeros(0), (0.0, 0.0), 2e-9)
    assert len(empty) == 0
    assert one(empty, np.zeros((1, 2))).sum() == pytest.approx(1, abs=1e-9)


def test_beam_is_the_one_of_the_lens_and_as_wide_as_it_says() -> None:
    aberrations = Aberrations(C1=-8e-9, A1_x=2e-9, B2_y=30e-9, C3=1e-6)
    lens = LENS.model_copy(update={"aberrations": aberrations})
    np.testing.assert_allclose(
        beam(lens, Grid((100, 100), (3e-9, 3e-9)), 1e-9), beam_wave(lens, (100, 100), 3e-11, 1e-9),
        atol=1e-12,
    )  # fmt: skip
    wide = lens.model_copy(update={"aberrations": Aberrations(C1=-50e-9)})
    spot = np.fft.fftshift(beam_intensity(wide, (200, 200), 2.5e-11))
    x = (np.arange(200) - 100) * 2.5e-11
    inside = np.hypot(x, x[:, None]) < beam_width(wide, 0.0) / 2
    assert 0.94 < spot[inside].sum() < 0.9999
    assert beam_width(wide, 0.0) == pytest.approx(2 * (50e-9 * 20e-3 + 0.61 * 2.508e-12 / 20e-3),
                                                  rel=1e-3, abs=0)  # fmt: skip
    assert beam_width(LENS, 50e-9) == pytest.approx(beam_width(wide, 0.0), rel=1e-3, abs=0)
    assert beam_width(wide, 50e-9) == pytest.approx(beam_width(wide, 0.0), rel=1e-3, abs=0)


def test_nothing_is_lost_between_the_pixels_of_the_detector() -> None:
    samples = (np.arange(61) - 30) * 0.9e-3
    shares = overlaps(samples, 0.9e-3, Calculation(pixels=40, angle_per_pixel=1.3e-3))
    inner = np.abs(samples) < 20e-3
    np.testing.assert_allclose(shares.sum(axis=0)[inner], 1.0)
    angles = Calculation(pixels=40, angle_per_pixel=1.3e-3).angles()
    np.testing.assert_allclose((angles @ shares)[inner], samples[inner], atol=0.66e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pixel": 2.1e-11, "angle_per_pixel": 0.3e-3}, r"`pixel` is 2.1e-11 m; .* at most 2e-11"),
        ({"pixel": 1.9e-11, "pixels": 81}, r"`pixel` is 1.9e-11 m; angles up to 0.0891 rad"),
        ({"angle_per_pixel": 2e-3}, r"`box` is 1.2e-09 m; pixels of 0.002 rad need 1.25\d+e-09 m"),
        ({"tilt": (0.0, 0.11)}, r"`tilt` is \(0.0, 0.11\) rad"),
        ({"pixel": 2e-13}, r"`box` is 1.3e-09 m; at 2e-13 m per pixel it is at most 8.19\d*e-10"),
    ],
)
def test_what_does_not_hold_is_refused_with_its_bound(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(OutOfRange, match=words):
        one(cloud(), how=HOW.model_copy(update=changes))


def test_box_smaller_than_the_beam_is_refused() -> None:
    blurred = LENS.model_copy(update={"aberrations": Aberrations(C1=-40e-9)})
    with pytest.raises(OutOfRange, match=r"this beam is up to 1.75\d*e-09 m wide"):
        one(cloud(), lens=blurred)
    with pytest.raises(OutOfRange, match="this beam is up to"):
        one(replace(cloud(), box=(1.2e-9, 1.3e-9, 60e-9)))


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        (OutOfRange, {"box": (1e-9, 1e-9, 201e-9)}), (OutOfRange, {"box": (1e-9, 0.0, 1e-9)}),
        (OutOfRange, {"box": (1.2e-9, 1.3e-9, 1e-10)}), (SignalError, {"rms": np.zeros(3)}),
        (SignalError, {"rms": np.full(12, -1e-12)}), (SignalError, {"position": np.zeros((12, 2))}),
        (SignalError, {"position": np.full((12, 3), np.nan)}),
    ],
)  # fmt: skip
def test_specimens_that_are_none_are_refused(
    error: type[NanopilotError], changes: dict[str, Any]
) -> None:
    with pytest.raises(error):
        replace(cloud(), **changes)


def test_places_and_generators_are_asked_for() -> None:
    with pytest.raises(SignalError, match="`places` has shape"):
        next(patterns(cloud(), LENS, np.zeros(2), HOW))
    with pytest.raises(InvalidRequest, match="`rng` is missing"):
        next(patterns(cloud(), LENS, MIDDLE, HOW.model_copy(update={"phonons": 1})))
    with pytest.raises(OutOfRange, match="`width` is 0 m"):
        cut(np.zeros((1, 3)), np.ones(1, int), np.zeros(1), (0.0, 0.0), 0.0)
