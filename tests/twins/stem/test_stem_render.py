"""Images of atoms against the direct sum over them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import Aberrations, Lens, beam_intensity, beam_wave
from nanopilot.twins.stem.contrast import annular_cross_section, atom_contrast, object_share
from nanopilot.twins.stem.render import Renderer, focus_steps
from nanopilot.twins.stem.render_atoms import AtomsByKind
from nanopilot.twins.stem.render_kernels import bump_spectrum
from nanopilot.twins.stem.render_lattice import Lattice
from nanopilot.twins.stem.render_lens import reach_of, turned
from nanopilot.twins.stem.render_patch import lattice_of
from tests.twins.stem.stem_atoms import RINGS, atoms_of, scattered_atoms

Array = np.ndarray[Any, np.dtype[Any]]

POOR = Aberrations(C1=-4e-9, A1_x=1.5e-9, A1_y=-1e-9, B2_x=40e-9, B2_y=25e-9, A2_x=30e-9, C3=1e-6)
LENS = Lens(voltage=80e3, convergence_angle=30e-3, aberrations=POOR, source_size=2e-11)
SIDE, POINTS = 3.2e-9, 256


def one_image(lens: Lens, kind: tuple[int, float], name: str) -> Array:
    """Return the transform of one atom's image in m² on POINTS² periods of SIDE."""
    shape, pixel, ring = (POINTS, POINTS), SIDE / POINTS, RINGS[name]
    k = np.fft.fftfreq(POINTS, pixel)
    size = np.hypot(k[:, None], k[None, :])
    blur = np.exp(-2 * (math.pi * kind[1] * size) ** 2)
    area = annular_cross_section(kind[0], kind[1], lens.voltage, ring, lens.convergence_angle)
    share = object_share(kind[0], lens.voltage, ring, lens.convergence_angle, size)
    total = area * share * np.fft.fft2(beam_intensity(lens, shape, pixel))
    if ring.inner < lens.convergence_angle:
        wave = beam_wave(lens, shape, pixel)
        step, angle = lens.wavelength / SIDE, lens.wavelength * size
        ends = [np.clip((end - angle) / step + 0.5, 0, 1) for end in (ring.outer, ring.inner)]
        caught = ends[0] - (ends[1] if ring.inner > 0 else 0)
        both = np.conj(np.fft.ifft2(wave * caught)) * np.fft.ifft2(wave) * POINTS**2
        source = np.exp(-2 * (math.pi * lens.source_size * size) ** 2)
        atom = atom_contrast(kind[0], lens.voltage)
        total = total + atom.at(atom.phase, size) * np.fft.fft2(-2 * both.imag) * source
        total = total - atom.at(atom.loss, size) * np.fft.fft2(both.real) * source
    return np.asarray(np.conj(total * blur))


def direct_sum(atoms: Any, lens: Lens, name: str, corner: float = 0.0) -> Array:
    """Return the image at POINTS² places: every atom's own, one after the other."""
    k = np.fft.fftfreq(POINTS, SIDE / POINTS)
    total = np.zeros((POINTS, POINTS), dtype=complex)
    kinds = list(zip(atoms.number, atoms.rms, strict=True))
    for kind in set(kinds):
        image = one_image(lens, (int(kind[0]), float(kind[1])), name)
        for n in [n for n, own in enumerate(kinds) if own == kind]:
            x, y = atoms.position[n, :2] - corner
            total += image * np.exp(-2j * math.pi * (k[:, None] * y + k[None, :] * x))
    return np.asarray(np.fft.ifft2(total).real * (POINTS / SIDE) ** 2)


@pytest.mark.parametrize("name", RINGS)
def test_a_patch_equals_the_direct_sum(name: str) -> None:
    atoms = scattered_atoms(40, SIDE, 1)
    lattice = lattice_of(LENS, (0.0, 0.0), (SIDE, SIDE))
    patch = AtomsByKind(atoms, None).patch(lattice, {name: RINGS[name]}, (0.0, 0.0, 0.0))
    image = patch.sampled(LENS, 0.0, (POINTS, POINTS))[0]
    exact = direct_sum(atoms, LENS, name)
    assert np.abs(image - exact).max() < 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("spread", [0.0, 3e-9])
def test_focal_spread_is_averaged_as_in_the_beam(spread: float) -> None:
    lens = LENS.model_copy(update={"chromatic": 1.5e-3, "energy_spread": spread * 4e7})
    atoms = scattered_atoms(10, SIDE, 2)
    lattice = lattice_of(lens, (0.0, 0.0), (SIDE, SIDE))
    haadf = {"haadf": RINGS["haadf"]}
    patch = AtomsByKind(atoms, None).patch(lattice, haadf, (0.0, 0.0, 0.0))
    exact = direct_sum(atoms, lens, "haadf")
    image = patch.sampled(lens, 0.0, (POINTS, POINTS))[0]
    assert np.abs(image - exact).max() < 1e-5 * np.abs(exact).max()


def test_a_frame_is_the_direct_sum_but_for_the_last_of_the_tails() -> None:
    atoms = scattered_atoms(30, 1e-9, 3)
    centred = atoms_of(atoms.position + 1.1e-9, atoms.number, atoms.rms)
    exact = direct_sum(centred, LENS, "haadf")
    step = SIDE / POINTS
    renderer = Renderer(centred, LENS, RINGS)
    frame = renderer.frame((80 * step, 70 * step), step, (60, 90))
    assert np.abs(frame[0] - exact[70:130, 80:170]).max() < 3e-3 * exact.max()
    coarse = renderer.frame((80 * step, 70 * step), 8 * step, (8, 10))
    np.testing.assert_allclose(coarse, frame[:, ::8, ::8][:, :8, :10], atol=4e-3 * exact.max())


def test_values_are_those_of_the_frame_wherever_the_beam_goes() -> None:
    renderer = Renderer(scattered_atoms(300, 4e-9, 4), LENS, RINGS)
    frame = renderer.frame((0.5e-9, 0.5e-9), 2e-11, (120, 140))
    y, x = np.indices((120, 140)) * 2e-11 + 0.5e-9
    values = renderer.values(x, y)
    for one, other in zip(values, frame, strict=True):
        assert np.abs(one - other).max() < 0.01 * np.abs(other).max()


def test_places_between_grid_points_are_interpolated_to_1e_4() -> None:
    atoms = scattered_atoms(40, SIDE, 5)
    renderer = Renderer(atoms, LENS, RINGS)
    assert renderer.prepare((1.2e-9, 1.2e-9), (1.9e-9, 1.9e-9), 0.4e-9)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(1.2e-9, 1.9e-9, (2, 500))
    values = renderer.values(x, y)
    patch = renderer._patch
    assert patch is not None
    (ky, kx), period = patch.lattice.frequencies(), patch.lattice.period
    for found, spectrum in zip(values, patch.spectra(LENS, 0.0), strict=True):
        twice = spectrum * np.where(kx == 0, 1.0, 2.0)
        u, v = x - patch.lattice.corner[0], y - patch.lattice.corner[1]
        across = np.exp(2j * math.pi * np.multiply.outer(u, kx[0]))
        down = np.exp(2j * math.pi * np.multiply.outer(v, ky[:, 0]))
        exact = np.einsum("nr,rc,nc->n", down, twice, across).real / (period[0] * period[1])
        assert np.abs(found - exact).max() < 1e-4 * np.abs(exact).max()


def test_sums_over_neighbours_equal_the_grid_but_for_the_tails() -> None:
    atoms = scattered_atoms(400, 5e-9, 6)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(1e-9, 4e-9, (2, 6))
    few = Renderer(atoms, LENS, RINGS)
    one_by_one = few.values(x, y)
    assert few._patch is None
    assert few._near is not None
    gridded = Renderer(atoms, LENS, RINGS)
    gridded.prepare((1e-9, 1e-9), (4e-9, 4e-9), reach_of(LENS))
    by_grid = gridded.values(x, y)
    assert gridded._near is None
    peak = np.abs(by_grid).max(axis=1, keepdims=True)
    assert np.abs((one_by_one - by_grid) / peak).max() < 0.05


def test_a_height_is_defocus_and_a_slope_is_interpolated() -> None:
    atoms = scattered_atoms(150, 3e-9, 7)
    level, x, y = (
        Renderer(atoms, LENS, RINGS),
        *np.random.default_rng(2).uniform(0.8e-9, 2e-9, (2, 400)),
    )
    height = 4e-9 * (x - 1e-9) / 1e-9
    sloped = level.values(x, y, height)
    for focus in np.linspace(height.min(), height.max(), 4):
        near = np.abs(height - focus) < 0.06e-9
        away = LENS.model_copy(update={"aberrations": POOR.plus(C1=float(focus))})
        there = Renderer(atoms, away, RINGS).values(x, y)
        again = level.values(x, y, float(focus))
        peak = np.abs(there).max(axis=1, keepdims=True)
        assert np.abs((there - again) / peak).max() < 0.01
        assert np.abs((sloped - there)[:, near] / peak).max() < 0.02


@settings(max_examples=20, deadline=None)
@given(st.floats(-30, 30), st.floats(0.2, 3.0))
def test_foci_are_interpolated_through_cubic_polynomials(middle: float, step: float) -> None:
    heights = middle + np.linspace(0, 7 * step, 23)
    for places, foci, weights in focus_steps(heights, step, alone=False):
        through = (weights * (foci**3 - 2 * foci)[:, None]).sum(axis=0)
        exact = heights[places] ** 3 - 2 * heights[places]
        np.testing.assert_allclose(through, exact, rtol=1e-9, atol=1e-6 * (40 + 7 * step) ** 3)


@pytest.mark.parametrize("index", [[3], list(range(80))])
def test_atoms_that_leave_take_their_image_along(index: list[int]) -> None:
    atoms = scattered_atoms(200, 3e-9, 8)
    x, y = np.random.default_rng(3).uniform(0.7e-9, 2.3e-9, (2, 3000))
    if len(index) == 1:
        index = [int(np.argmin(np.hypot(*(atoms.position[:, :2] - 1.5e-9).T)))]
    kept = Renderer(atoms.keep(np.setdiff1d(np.arange(200), index)), LENS, RINGS)
    shown = Renderer(atoms, LENS, RINGS)
    for one in (shown, kept):
        one.prepare((0.7e-9, 0.7e-9), (2.3e-9, 2.3e-9), reach_of(LENS))
    before, left = shown.values(x, y), kept.values(x, y)
    shown.remove(np.array(index))
    after = shown.values(x, y)
    gone = np.abs(before - left).max(axis=1, keepdims=True)
    assert gone.min() > 0
    assert np.abs((after - left) / gone).max() < 3e-3
    shown.remove(np.array(index))
    np.testing.assert_array_equal(shown.values(x, y), after)
    framed = shown.frame((0.7e-9, 0.7e-9), 2e-11, (30, 30))
    again = kept.frame((0.7e-9, 0.7e-9), 2e-11, (30, 30))
    np.testing.assert_allclose(framed, again, atol=1e-5 * float(np.abs(again).max()))


def test_a_rotated_frame_shows_what_the_beam_passes() -> None:
    renderer = Renderer(scattered_atoms(200, 4e-9, 9), LENS, RINGS)
    turn, pixel, corner = 0.4, 2e-11, (1.8e-9, 0.9e-9)
    frame = renderer.frame(corner, pixel, (40, 50), rotation=turn)
    row, column = np.indices((40, 50)) * pixel
    x = corner[0] + math.cos(turn) * column - math.sin(turn) * row
    y = corner[1] + math.sin(turn) * column + math.cos(turn) * row
    values = renderer.values(x, y)
    peak = np.abs(values).max(axis=(1, 2), keepdims=True)
    assert np.abs((frame - values) / peak).max() < 0.015


def test_the_image_of_an_atom_is_the_beam_turned_round() -> None:
    lens = LENS.model_copy(update={"aberrations": Aberrations(B2_x=400e-9)})
    step = SIDE / POINTS
    beam = beam_intensity(lens, (POINTS, POINTS), step)
    middle = np.angle(np.fft.fft2(beam)[0, 1])
    frame = Renderer(atoms_of([1.6e-9, 1.6e-9, 0], [42], [0.0]), lens, RINGS).frame(
        (0, 0), step, (POINTS, POINTS)
    )[0]
    image = np.roll(frame, -POINTS // 2, axis=(0, 1))
    assert abs(middle) > 0.05
    assert np.angle(np.fft.fft2(image)[0, 1]) == pytest.approx(-middle, rel=0.05)


def test_a_new_lens_is_used_and_nothing_is_left_of_the_old_one() -> None:
    atoms = scattered_atoms(100, 3e-9, 10)
    x, y = np.random.default_rng(4).uniform(0.7e-9, 2.3e-9, (2, 2000))
    for change in ({"aberrations": Aberrations()}, {"convergence_angle": 20e-3}, {"voltage": 2e5}):
        other = LENS.model_copy(update=change)
        shown = Renderer(atoms, LENS, RINGS)
        shown.values(x, y)
        shown.use(other)
        fresh = Renderer(atoms, other, RINGS).values(x, y)
        peak = np.abs(fresh).max(axis=1, keepdims=True)
        assert np.abs((shown.values(x, y) - fresh) / peak).max() < 0.01


def test_the_signal_of_an_area_is_the_sum_of_cross_sections() -> None:
    lattice = lattice_of(LENS, (0.0, 0.0), (SIDE, SIDE))
    atoms = scattered_atoms(20, SIDE, 12)
    patch = AtomsByKind(atoms, None).patch(lattice, RINGS, (0.0, 0.0, 0.0))
    image = patch.sampled(LENS, 0.0, (POINTS, POINTS))[0]
    areas = [annular_cross_section(int(z), 0.0, 80e3, RINGS["haadf"], 30e-3) for z in atoms.number]
    assert float(image.mean()) * SIDE**2 == pytest.approx(sum(areas), rel=1e-4, abs=0)


def test_coefficients_of_one_atom_are_those_of_the_spread_ones() -> None:
    lattice = Lattice((1e-9, 2e-9), (2e-9, 3e-9), 1.4e10)
    spread = lattice.coefficients(np.array([1.3e-9]), np.array([2.21e-9]), np.array([1.0]))
    assert np.abs(spread - lattice.one(1.3e-9, 2.21e-9)).max() < 1e-5


def test_a_bump_integrates_to_its_transform_at_zero() -> None:
    from nanopilot.twins.stem.render_kernels import bump

    fine = np.linspace(-3, 3, 60001)
    area = float(bump(6, fine).sum() * (fine[1] - fine[0]))
    assert float(bump_spectrum(6, np.array([0.0]))[0]) == pytest.approx(area, rel=1e-5)


def test_aberrations_turn_with_their_axes() -> None:
    rng = np.random.default_rng(0)
    angle = rng.normal(size=20) + 1j * rng.normal(size=20)
    names = list(Aberrations.model_fields)
    lens = Aberrations(**dict(zip(names, rng.normal(size=len(names)), strict=True)))
    along = turned(lens, 0.7).path(angle)
    np.testing.assert_allclose(along, lens.path(angle * np.exp(0.7j)), rtol=1e-9, atol=1e-9)


def test_fields_too_large_for_one_piece_are_refused_and_still_have_values() -> None:
    atoms = scattered_atoms(30, 2e-9, 13)
    renderer = Renderer(atoms, LENS, RINGS)
    with pytest.raises(OutOfRange, match="ask for values"):
        renderer.frame((0, 0), 1e-9, (512, 512))
    with pytest.raises(OutOfRange, match="`pixel`"):
        renderer.frame((0, 0), -1.0, (5, 5))
    y, x = np.indices((40, 40)) * 1e-8
    wide = renderer.values(np.append(x, 1e-9), np.append(y, 1e-9))
    near = renderer.values(np.array([1e-9]), np.array([1e-9]))
    assert np.isfinite(wide).all()
    np.testing.assert_allclose(wide[:, -1:], near, rtol=0.02, atol=1e-6)


def test_no_atoms_make_no_image() -> None:
    from nanopilot.twins.stem.scene import no_atoms

    renderer = Renderer(no_atoms(), LENS, RINGS)
    assert not renderer.values(np.zeros(3), np.zeros(3)).any()
    assert not renderer.frame((0, 0), 2e-11, (8, 8)).any()
