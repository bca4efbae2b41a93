"""Particles are found where they were drawn, whatever the contrast, size, axes and scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis.particles import FindParticles, Limits, find_particles, search
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, check_set, make_signal

Array = np.ndarray
NM = 1e-9


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> Array:
    y, x = np.indices(shape)
    return 1 / (1 + np.exp((np.hypot(y - row, x - column) - radius) / 0.5))


def ring(shape: tuple[int, int], row: float, column: float, radius: float) -> Array:
    return disc(shape, row, column, radius) - disc(shape, row, column, 0.75 * radius)


def framed(values: Array, pixel: float = NM, start: tuple[float, float] = (0.0, 0.0)) -> Signal:
    axes = {
        dim: Axis(first + pixel * np.arange(size), "m", "position")
        for dim, size, first in zip(("y", "x"), values.shape, start, strict=True)
    }
    return make_signal(values, axes, quantity="counts", units="1")


def noise(shape: tuple[int, int], seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 0.25, shape)


SHAPE = (120, 200)
#: Row, column, radius: the grid is not square, so that swapped axes are seen.
THERE = np.array([[30.3, 150.6, 12.0], [80.0, 45.2, 25.0], [85.4, 140.8, 9.0]])


def scene() -> Array:
    image = noise(SHAPE)
    image += disc(SHAPE, *THERE[0]) - disc(SHAPE, *THERE[1]) + ring(SHAPE, *THERE[2])
    return image


def rows(frame: Signal) -> Array:
    table = find_particles(frame, method="classical").table
    return np.stack([table["y"], table["x"], table["radius"]], axis=1)


@pytest.fixture(scope="module")
def found() -> Array:
    return rows(framed(scene()))


def test_discs_and_rings_bright_and_dark_are_found_where_they_are(found: Array) -> None:
    assert len(found) == len(THERE)
    by_column = found[np.argsort(found[:, 1])] / NM
    wanted = THERE[np.argsort(THERE[:, 1])]
    np.testing.assert_allclose(by_column[:, :2], wanted[:, :2], atol=0.7)
    np.testing.assert_allclose(by_column[:, 2], wanted[:, 2], rtol=0.07)


def test_contrast_has_the_sign_and_the_size_of_the_step() -> None:
    table = find_particles(framed(7 * scene() + 100), method="classical").table
    order = np.argsort(table["x"].to_numpy())
    dark, _, bright = table["contrast"].to_numpy()[order]
    assert dark == pytest.approx(-7, rel=0.25)
    assert bright == pytest.approx(7, rel=0.25)


@pytest.mark.parametrize(("gain", "offset"), [(1e-12, 0.0), (3e4, 1e6), (-1.0, 5.0)])
def test_gain_offset_and_inversion_change_nothing(found: Array, gain: float, offset: float) -> None:
    np.testing.assert_allclose(rows(framed(gain * scene() + offset)), found, atol=0.2 * NM)


def test_unsigned_integers_are_taken_as_they_are(found: Array) -> None:
    counts = np.round(1000 + 200 * scene()).astype(np.uint16)
    np.testing.assert_allclose(rows(framed(counts)), found, atol=0.2 * NM)


def test_transposed_frame_gives_the_same_places(found: Array) -> None:
    turned = framed(scene()).transpose("x", "y")
    np.testing.assert_allclose(rows(turned), found, atol=1e-3 * NM)


def test_mirrored_axes_give_mirrored_places(found: Array) -> None:
    upside = rows(framed(scene())[::-1])
    np.testing.assert_allclose(
        upside[np.lexsort(upside.T)], found[np.lexsort(found.T)], atol=0.5 * NM
    )


def test_places_and_outlines_are_in_the_coordinates_of_the_frame() -> None:
    moved = framed(scene(), pixel=2e-10, start=(5e-6, -3e-6))
    found = find_particles(moved, method="classical")
    table = found.table
    order = np.argsort(table["x"].to_numpy())
    np.testing.assert_allclose(
        table["x"].to_numpy()[order], -3e-6 + 2e-10 * np.sort(THERE[:, 1]), atol=2e-10
    )
    for number, outline in enumerate(found.outlines):
        away = np.hypot(
            outline[:, 0] - float(table["x"][number]), outline[:, 1] - float(table["y"][number])
        )
        assert np.abs(away / float(table["radius"][number]) - 1).mean() < 0.1


def test_outline_of_a_square_has_its_corners() -> None:
    values = noise((100, 100))
    values[30:70, 25:65] += 2
    found = find_particles(framed(values), method="classical")
    assert len(found.outlines) == 1
    outline = found.outlines[0] / NM
    area = 0.5 * abs(
        np.dot(outline[:, 0], np.roll(outline[:, 1], 1))
        - np.dot(outline[:, 1], np.roll(outline[:, 0], 1))
    )
    assert area == pytest.approx(1600, rel=0.06)
    corner = np.hypot(outline[:, 0] - 64.5, outline[:, 1] - 69.5).min()
    assert corner < 4


def test_noise_alone_and_a_flat_frame_hold_no_particle() -> None:
    for seed in range(3):
        assert not len(rows(framed(noise(SHAPE, seed))))
    assert not len(rows(framed(np.full(SHAPE, 3.0))))


def test_a_particle_is_told_once_and_by_its_outer_outline() -> None:
    image = noise(SHAPE) + disc(SHAPE, 60, 100, 30) + 2 * disc(SHAPE, 60, 100, 15)
    found = rows(framed(image)) / NM
    np.testing.assert_allclose(found, [[60, 100, 30]], atol=1.5)


@settings(max_examples=12, deadline=None)
@given(
    radius=st.floats(8, 50),
    height=st.sampled_from([-1.0, 1.0]),
    seed=st.integers(0, 1000),
)
def test_one_disc_is_one_particle(radius: float, height: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (180, 220)
    row, column = (rng.uniform(1.3 * radius, size - 1.3 * radius) for size in shape)
    found = rows(framed(noise(shape, seed) + height * disc(shape, row, column, radius))) / NM
    assert len(found) == 1
    assert np.hypot(found[0, 0] - row, found[0, 1] - column) < 1.5
    assert found[0, 2] == pytest.approx(radius, rel=0.1)


def test_probabilities_are_such_and_an_unreachable_threshold_is_refused() -> None:
    frame = framed(scene())
    table = find_particles(frame, least_probability=0.0, method="classical").table
    sure = table["probability"].to_numpy()
    assert ((sure >= 0) & (sure <= 1)).all()
    # An acquisition can happen: the default threshold is reached.
    assert (sure >= FindParticles().least_probability).sum() == len(THERE)
    with pytest.raises(OutOfRange, match="0 to 1"):
        find_particles(frame, least_probability=1.99)


def test_radii_outside_the_limits_are_not_looked_for() -> None:
    only = FindParticles(smallest=18 * NM, method="classical")(framed(scene()))
    np.testing.assert_allclose(only["radius"], [25 * NM], rtol=0.07)


def test_table_is_a_set_of_signals_even_if_empty() -> None:
    for frame in (framed(scene()), framed(noise((40, 50)))):
        check_set(FindParticles(method="classical")(frame))


def test_what_is_no_frame_is_refused_with_the_way_out() -> None:
    frame = framed(scene())
    gap = scene()
    gap[3, 4] = np.nan
    with pytest.raises(SignalError, match="row 3, column 4; fill gaps"):
        find_particles(framed(gap))
    oblong = frame.assign_coords(x=("x", 2 * frame["x"].to_numpy(), frame["x"].attrs))
    with pytest.raises(SignalError, match="square"):
        find_particles(oblong)
    bent = frame.assign_coords(x=("x", NM * np.arange(SHAPE[1]) ** 1.1, frame["x"].attrs))
    with pytest.raises(SignalError, match="not even"):
        find_particles(bent)
    with pytest.raises(SignalError, match="dims"):
        find_particles(frame.isel(y=0))
    with pytest.raises(SignalError, match="32"):
        find_particles(frame[:20])
    with pytest.raises(OutOfRange, match="smallest"):
        find_particles(frame, smallest=30 * NM, largest=20 * NM)
    with pytest.raises(OutOfRange, match="method"):
        find_particles(frame, method="magic")  # type: ignore[arg-type]


def test_search_takes_what_only_can_be_sliced() -> None:
    class Slices:
        def __init__(self, values: Array) -> None:
            self.values, self.shape = values, values.shape

        def __getitem__(self, key: object) -> Array:
            return self.values[key]

    told: list[tuple[int, int]] = []
    found = search(Slices(scene()), Limits(6, 30), progress=lambda a, b: told.append((a, b)))
    assert len(found.radius) == len(THERE)
    assert told == [(1, 1)]
