"""Films known by their thickness, and ronchigrams of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from nanopilot.core.errors import OutOfRange
from nanopilot.models.electron_optics import Aberrations, Lens, beam_wave
from nanopilot.twins.stem.contrast import fractions, matter_exponent
from nanopilot.twins.stem.film import Film, normals, power
from nanopilot.twins.stem.materials import material
from nanopilot.twins.stem.render import Renderer
from nanopilot.twins.stem.render_atoms import AtomsByKind
from nanopilot.twins.stem.render_lens import kind_terms, lens_terms, transfer
from nanopilot.twins.stem.render_patch import lattice_of
from nanopilot.twins.stem.ronchigram import View, field_of, projected_phase, ronchigram
from nanopilot.twins.stem.scene import no_atoms
from tests.twins.stem.stem_atoms import RINGS, atoms_of

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Wedge:
    """A film that is `thick` at x = 0 and thicker by `slope` per metre."""

    thick: float
    slope: float = 0.0
    name: str = "carbon"
    known: bool = False

    @property
    def materials(self) -> tuple[str, ...]:
        """What it is of."""
        return (self.name,)

    @property
    def by_atoms(self) -> tuple[bool, ...]:
        """Whether its atoms are known."""
        return (self.known,)

    def thickness(self, x: Array, y: Array) -> Array:
        """Return metres at places, shape (1, *x.shape)."""
        del y
        return np.asarray(self.thick + self.slope * x)[None]


LENS = Lens(voltage=200e3, convergence_angle=20e-3, aberrations=Aberrations(C1=-60e-9))


def shown(film: Film, lens: Lens = LENS) -> Renderer:
    """Return images of a film alone."""
    return Renderer(no_atoms(), lens, RINGS, film=film)


def test_normal_numbers_hang_on_the_place_alone_and_are_normal() -> None:
    rows, columns = np.arange(-300, 300), np.arange(-200, 400)
    numbers = normals(rows, columns, 7)
    np.testing.assert_array_equal(normals(rows[50:60], columns[5:9], 7), numbers[50:60, 5:9])
    assert abs(numbers.mean()) < 5 / 600
    assert numbers.std() == pytest.approx(1, abs=0.01)
    assert (numbers**4).mean() == pytest.approx(3, abs=0.1)
    assert abs((numbers[1:] * numbers[:-1]).mean()) < 0.01
    assert abs((numbers * normals(rows, columns, 8)).mean()) < 0.01


def test_the_mean_of_a_film_follows_its_thickness() -> None:
    film = Film((Wedge(5e-9, 1.0),))
    x = np.array([0.0, 2e-9, 5e-9])
    mean = film.mean(x, np.zeros(3), LENS, RINGS)
    atoms = material("carbon").concentration()
    each = [matter_exponent(atoms, 200e3, ring, 20e-3) for ring in RINGS.values()]
    np.testing.assert_allclose(mean, np.multiply.outer(each, 5e-9 + x))
    assert not Film((Wedge(5e-9, known=True),)).mean(x, x, LENS, RINGS).any()
    assert list(Film((Wedge(5e-9, known=True),)).grain((0, 0), (1e-9, 1e-9))) == []


def test_an_image_of_a_film_has_its_mean_and_its_own_grain() -> None:
    film, other = Film((Wedge(10e-9),), seed=1), Film((Wedge(10e-9),), seed=2)
    y, x = np.indices((128, 128)) * 5e-11
    image = shown(film).values(x, y)
    mean = film.mean(x, y, LENS, RINGS)
    assert image[0].mean() == pytest.approx(mean[0].mean(), rel=0.03)
    spread = image[0].std() / image[0].mean()
    assert 0.001 < spread < 0.3
    np.testing.assert_allclose(shown(film).values(x, y), image, rtol=1e-5)
    assert abs(np.corrcoef(image[0].ravel(), shown(other).values(x, y)[0].ravel())[0, 1]) < 0.3
    framed = shown(film).frame((0.0, 0.0), 5e-11, (128, 128))
    for one, same in zip(framed, image, strict=True):
        assert np.abs(one - same).max() < 0.03 * np.abs(same - same.mean()).max() + 1e-3 * abs(
            same.mean()
        )


def test_the_spectrum_of_a_film_is_the_transfer_of_the_lens() -> None:
    side = 12.8e-9
    lattice = lattice_of(LENS, (0.0, 0.0), (side, side))
    ky, kx = lattice.frequencies()
    size = np.hypot(ky, kx)
    measured, expected = 0.0, 0.0
    terms, kind = lens_terms(LENS, lattice, RINGS), kind_terms((6, 0.0), LENS, lattice, RINGS)
    for seed in range(4):
        sample = AtomsByKind(no_atoms(), Film((Wedge(10e-9),), seed))
        patch = sample.patch(lattice, RINGS, (0.0, 0.0, 0.0))
        bf = patch.spectra(LENS, 0.0)[3]
        atoms = material("carbon").concentration()[6] * 10e-9 * side**2
        curve = atoms * power(size, (10e-9 * side**2 / atoms) ** (1 / 3))
        curve = curve * np.abs(transfer("bf", kind, terms).astype(complex)) ** 2
        ring = np.minimum((size / 4e8).astype(int), 60)
        measured = measured + np.bincount(ring.ravel(), np.abs(bf.ravel().astype(complex)) ** 2)
        expected = expected + np.bincount(ring.ravel(), curve.ravel())
    kept = np.arange(2, 45)
    assert np.corrcoef(measured[kept], expected[kept])[0, 1] > 0.98
    assert measured[kept].sum() == pytest.approx(expected[kept].sum(), rel=0.1, abs=0)
    # Contrast transfer: it goes through zero and comes back.
    shape = expected[kept] / expected[kept].max()
    assert (np.diff(np.sign(np.diff(shape))) > 0).sum() >= 1


def test_a_film_is_seen_in_phase_contrast_only_out_of_focus() -> None:
    film, y, x = Film((Wedge(5e-9),)), *(np.indices((100, 100)) * 5e-11)
    spread = {}
    for defocus in (0.0, -40e-9):
        lens = LENS.model_copy(update={"aberrations": Aberrations(C1=defocus)})
        spread[defocus] = float(shown(film, lens).values(x, y)[3].std())
    assert spread[-40e-9] > 1.5 * spread[0.0]


def test_grain_is_there_where_pixels_are_wider_than_the_beam() -> None:
    film = Film((Wedge(10e-9),))
    y, x = np.indices((60, 60)) * 20e-9
    wide = shown(film).values(x, y)
    mean = film.mean(x, y, LENS, RINGS)
    row, column = np.indices((128, 128)) * 5e-11
    near = shown(film).values(column, row)
    assert wide[0].mean() == pytest.approx(mean[0].mean(), rel=0.03)
    assert wide[0].std() == pytest.approx(near[0].std(), rel=0.35, abs=0)
    seen = fractions(wide[3].astype(float), RINGS["bf"], 20e-3)
    assert seen.min() > 0
    assert seen.max() <= 1


VIEW = View(pixels=128, angle_per_pixel=1e-3, aperture=40e-3)


def test_a_ronchigram_without_a_sample_is_an_even_disc() -> None:
    empty = AtomsByKind(no_atoms(), None)
    seen = ronchigram(empty, LENS, (0.0, 0.0), VIEW)
    angle = (np.arange(128) - 64) * 1e-3
    size = np.hypot(angle[:, None], angle[None, :])
    assert seen.shape == (128, 128)
    assert seen.sum() == pytest.approx(1.0, abs=1e-4)
    inside = seen[size < 38e-3]
    assert inside.std() < 0.02 * inside.mean()
    assert inside.mean() == pytest.approx(1e-6 / (math.pi * 40e-3**2), rel=0.02)
    assert seen[size > 42e-3].max() < 0.01 * inside.mean()


def test_a_ronchigram_is_the_far_field_of_the_wave_behind_the_sample() -> None:
    place = np.array([[0.3e-9, -0.2e-9, 0], [-0.6e-9, 0.4e-9, 0], [0.1e-9, 0.9e-9, 0]])
    sample = AtomsByKind(atoms_of(place, [79, 79, 42], np.full(3, 1e-11)), None)
    lens = LENS.model_copy(
        update={"convergence_angle": 40e-3, "aberrations": Aberrations(C1=-20e-9, B2_x=5e-8)}
    )
    wide, points = field_of(lens, VIEW)
    lattice, phase = projected_phase(sample, (0.0, 0.0), 200e3, wide)
    every = 4
    shadow = lattice.sampled(phase, (points * every, points * every))[::every, ::every]
    wave = beam_wave(lens, (points, points), wide / points)
    far = np.abs(np.fft.fft2(np.fft.ifft2(wave) * np.exp(1j * np.fft.ifftshift(shadow)))) ** 2
    far = np.fft.fftshift(far)
    seen = ronchigram(sample, lens, (0.0, 0.0), VIEW)
    finer = round(VIEW.angle_per_pixel * wide / lens.wavelength)
    middle, half = points // 2, finer // 2
    for row, column in ((64, 64), (50, 80), (90, 61)):
        top, left = middle + (row - 64) * finer - half, middle + (column - 64) * finer - half
        exact = far[top : top + finer, left : left + finer].sum()
        assert seen[row, column] == pytest.approx(exact, rel=0.02)
    assert seen[seen > seen.max() / 3].std() > 0.03 * seen.max()


def test_the_shadow_is_magnified_by_defocus_and_streaked_by_astigmatism() -> None:
    sample = AtomsByKind(no_atoms(), Film((Wedge(10e-9),)))

    def sizes(**aberrations: float) -> tuple[float, float]:
        lens = LENS.model_copy(update={"aberrations": Aberrations(**aberrations)})
        seen = ronchigram(sample, lens, (0.0, 0.0), VIEW)[40:88, 40:88]
        rough = seen - seen.mean()
        return float((np.diff(rough, axis=0) ** 2).mean() / rough.var()), float(
            (np.diff(rough, axis=1) ** 2).mean() / rough.var()
        )

    near, far = sizes(C1=-40e-9), sizes(C1=-120e-9)
    assert sum(near) < 0.8 * sum(far)
    down, across = sizes(C1=-80e-9, A1_x=50e-9)
    assert max(down, across) > 1.3 * min(down, across)
    flat = sizes(C1=-80e-9)
    assert max(flat) < 1.15 * min(flat)


def test_too_much_defocus_for_the_opening_is_refused() -> None:
    lens = LENS.model_copy(update={"aberrations": Aberrations(C1=-5e-6)})
    with pytest.raises(OutOfRange, match="reduce defocus"):
        ronchigram(AtomsByKind(no_atoms(), None), lens, (0.0, 0.0), VIEW)
    with pytest.raises(OutOfRange, match="`pixels`"):
        View(0, 1e-3, 1e-2)
