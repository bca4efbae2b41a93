"""Columns against slow references: scipy's optimiser, a brute-force bound, drawn lattices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import gammaln

from nanopilot.analysis.atoms import (
    AtomColumns,
    assign_sublattices,
    find_columns,
    fit_lattice,
    map_polarisation,
    map_strain,
)
from nanopilot.analysis.atoms.filters import blurred, gaussian_taps, tops
from nanopilot.analysis.atoms.noise import NoiseModel, noise_of_residuals
from nanopilot.analysis.atoms.prior import LEAST, MOST, Neighbours
from nanopilot.analysis.atoms.refining import Start, refine
from nanopilot.analysis.atoms.search import search
from nanopilot.analysis.atoms.shapes import shape_scores
from nanopilot.analysis.atoms.stamps import factored, painted, solved
from nanopilot.analysis.atoms.steps import below, opened
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, check_set, make_signal

Array = np.ndarray[Any, np.dtype[Any]]
PITCH = 2e-11
SHAPE = np.array([[3.6, 0.5], [0.5, 2.8]])


def drawn(place: Array, height: Array | float, size: int = 96, shape: Array = SHAPE) -> Array:
    """Sum columns pixel by pixel, without any shortcut."""
    rows, columns = np.indices((size, size))
    inverse, out = np.linalg.inv(shape), np.zeros((size, size))
    for (y, x), tall in zip(place, np.broadcast_to(height, len(place)), strict=True):
        dy, dx = rows - y, columns - x
        power = inverse[0, 0] * dy**2 + 2 * inverse[0, 1] * dy * dx + inverse[1, 1] * dx**2
        out += tall * np.exp(-0.5 * power)
    return out


def grid(size: int = 96, spacing: float = 12.0, first: float = 10.0) -> Array:
    line = np.arange(first, size - 8, spacing)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)


def signal(counts: Array) -> Signal:
    axes = {
        dim: Axis(1e-9 + np.arange(n) * PITCH, "m", "position")
        for dim, n in zip("yx", counts.shape, strict=True)
    }
    return make_signal(counts, axes, quantity="counts", units="1")


def nearest(found: Array, true: Array) -> tuple[Array, Array]:
    away = np.linalg.norm(found[None] - true[:, None], axis=-1)
    return away.argmin(axis=1), away.min(axis=1)


def test_painting_is_the_sum_of_gaussians() -> None:
    place, height = np.array([[20.3, 31.8], [5.0, 2.5], [70.0, 95.4]]), np.array([3.0, 1.0, 2.0])
    table = np.column_stack([place, height, np.zeros(3)])
    inverse = np.linalg.inv(SHAPE)[[0, 0, 1], [0, 1, 1]]
    ours = painted(table, inverse, 14, (96, 96))
    np.testing.assert_allclose(ours, drawn(place, height), atol=1e-9)


def test_cholesky_solves() -> None:
    root = np.random.default_rng(0).normal(size=(5, 5))
    matrix, right = root @ root.T + np.eye(5), np.arange(5.0)
    want = np.linalg.solve(matrix, right)
    work = matrix.copy()
    assert factored(work, 5)
    solved(work, right, 5)
    np.testing.assert_allclose(right, want, rtol=1e-10)
    assert not factored(np.ones((2, 2)), 2)


def test_blur_and_opening_agree_with_scipy() -> None:
    from scipy.ndimage import correlate1d, grey_opening

    image = np.random.default_rng(1).normal(size=(60, 70)).astype(np.float32)
    half = gaussian_taps(2.0)
    kernel = np.concatenate([half[:0:-1], half]).astype(float)
    want = correlate1d(
        correlate1d(image.astype(float), kernel, 0, mode="mirror"), kernel, 1, mode="mirror"
    )
    np.testing.assert_allclose(blurred(image, half), want, atol=1e-5)
    inner = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(opened(image, 3)[inner], grey_opening(image, (7, 7))[inner])


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_tops_are_the_strongest_within_their_square(seed: int, apart: int) -> None:
    score = np.random.default_rng(seed).integers(0, 6, (17, 23)).astype(np.float32)
    found = tops(score, 1.5, apart)
    for i, j in found:
        window = score[max(0, i - apart) : i + apart + 1, max(0, j - apart) : j + apart + 1]
        assert score[i, j] == window.max() > 1.5
    if len(found) > 1:
        away = np.abs(found[:, None] - found[None]).max(axis=-1) + 99 * np.eye(len(found))
        assert away.min() > apart
    if (score > 1.5).any():
        assert len(found)


def test_fit_is_the_maximum_of_the_poisson_likelihood() -> None:
    rng = np.random.default_rng(3)
    place = np.array([[24.3, 20.6], [24.9, 32.1]])
    counts = rng.poisson(4 + drawn(place, np.array([30.0, 22.0]), 48)).astype(float)
    noise = NoiseModel(1.0, 0.0, 1e-3)
    start = Start(place + 0.4, np.array([20.0, 20.0]), SHAPE, noise, 3.0)
    ours = refine(counts, start, free_shape=False, free_noise=False)
    rows, columns = np.indices(counts.shape)
    # Each column against scipy in its own window, the other one where ours has put it.
    for n in range(2):
        other = drawn(ours.table[[1 - n], :2], ours.table[1 - n, 2], 48)
        middle = np.floor(ours.table[n, :2] + 0.5)
        reach = round(3.0 * np.sqrt(np.linalg.eigvalsh(SHAPE)[-1]))
        disc = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 <= (reach + 0.5) ** 2

        def minus(p: Array, disc: Array = disc, other: Array = other) -> float:
            mean = (p[3] + other + drawn(p[None, :2], p[2], 48))[disc]
            seen = counts[disc]
            return float(np.sum(mean - seen * np.log(mean) + gammaln(seen + 1)))

        best = minimize(minus, [*place[n], 25.0, 4.0], method="Nelder-Mead",
                        options={"xatol": 1e-4, "fatol": 1e-6, "maxiter": 600}).x  # fmt: skip
        np.testing.assert_allclose(ours.table[n, :2], best[:2], atol=3e-3)
        np.testing.assert_allclose(ours.table[n, 2:], best[2:], rtol=3e-3)


def test_shape_score_is_the_slope_of_the_likelihood() -> None:
    rng = np.random.default_rng(5)
    place = np.array([[24.0, 24.0]])
    counts = rng.poisson(5 + drawn(place, 400.0, 48)).astype(float)
    inverse = np.linalg.inv(SHAPE)[[0, 0, 1], [0, 1, 1]]
    found = refine(counts, Start(place, np.array([380.0]), SHAPE, NoiseModel()), free_shape=False,
                   free_noise=False)  # fmt: skip
    reach = 6

    def likelihood(values: Array) -> float:
        a, b, c = values
        shape = np.linalg.inv(np.array([[a, b], [b, c]]))
        now = refine(counts, Start(place, np.array([380.0]), shape, NoiseModel()),
                     free_shape=False, free_noise=False)  # fmt: skip
        mean = now.table[0, 3] + drawn(now.table[:, :2], now.table[:, 2], 48, shape)
        rows, columns = np.indices(counts.shape)
        disc = (rows - 24) ** 2 + (columns - 24) ** 2 <= (reach + 0.5) ** 2
        return float((counts * np.log(mean) - mean)[disc].sum())

    model = painted(found.table, inverse, 9, counts.shape)
    setting = (reach, 1.0, 0.0, 0.02)
    score = shape_scores(counts, found.table, model, inverse, setting)[0, 3]
    step = 1e-3
    slopes = [
        (likelihood(inverse + step * unit) - likelihood(inverse - step * unit)) / (2 * step)
        for unit in np.eye(3)
    ]
    np.testing.assert_allclose(score, slopes, rtol=0.05, atol=3.0)


def test_pulls_are_normal_and_the_shape_is_found() -> None:
    rng = np.random.default_rng(7)
    pulls, shapes = [], []
    for _ in range(4):
        place = grid() + rng.normal(0, 0.3, (64, 2))[: len(grid())]
        found = search(rng.poisson(20 + drawn(place, 100.0)).astype(float))
        at, far = nearest(found.table[:, :2], place)
        assert far.max() < 1.5
        assert len(found.table) == len(place)
        spread = np.sqrt(found.covariance[at][:, [0, 1], [0, 1]])
        pulls.append((found.table[at, :2] - place) / spread)
        shapes.append(found.shape)
    every = np.concatenate(pulls)
    assert 0.9 < every.std() < 1.1
    np.testing.assert_allclose(np.mean(shapes, axis=0), SHAPE, atol=0.1)


def test_gain_and_offset_of_a_detector_change_no_place() -> None:
    rng = np.random.default_rng(11)
    electrons = rng.poisson(20 + drawn(grid(), 200.0)).astype(float)
    plain, seen = search(electrons), search(500 + 7 * electrons)
    np.testing.assert_allclose(seen.table[:, :2], plain.table[:, :2], atol=5e-3)
    np.testing.assert_allclose(seen.table[:, 2], 7 * plain.table[:, 2], rtol=5e-3)
    np.testing.assert_allclose(seen.covariance[:, 0, 0], plain.covariance[:, 0, 0], rtol=0.1)
    assert seen.noise.gain == pytest.approx(7 * plain.noise.gain, rel=0.05)


def test_noise_of_residuals_is_a_straight_line() -> None:
    rng = np.random.default_rng(2)
    means = rng.uniform(10, 200, 40_000)
    values = 3 * rng.poisson(means / 3) + rng.normal(0, 5, means.shape)
    noise = noise_of_residuals(values, means, 0.0)
    assert noise.gain == pytest.approx(3.0, rel=0.05)
    assert noise.dark == pytest.approx(25.0, abs=8.0)


def test_vacancy_stays_empty_and_neighbours_are_asked() -> None:
    rng = np.random.default_rng(13)
    place = grid(128)
    there = np.ones(len(place), dtype=bool)
    there[[22, 45, 58]] = False
    found = search(rng.poisson(2 + drawn(place[there], 8.0, 128)).astype(float))
    _, far = nearest(found.table[:, :2], place)
    assert (far[~there] > 4).all()
    assert (far[there] < 3).mean() > 0.98
    asked = Neighbours.of(place[there])
    on, off = asked.needed(place[[22, 45]]), asked.needed(place[[22, 45]] + [4.0, 3.0])
    assert (on < 3.0).all()
    assert (off > 4.0).all()
    assert min(on) >= LEAST
    assert max(off) <= MOST
    assert np.unique(Neighbours.of(place[:3]).needed(place)).size == 1


def test_step_of_the_background_makes_no_columns() -> None:
    rng = np.random.default_rng(17)
    place = grid(128)
    ground = np.where(np.arange(128) < 64, 20.0, 120.0) * np.ones((128, 1))
    found = search(rng.poisson(ground + drawn(place, 100.0, 128)).astype(float))
    _, far = nearest(found.table[:, :2], place)
    assert far.max() < 1.5
    assert len(found.table) <= len(place) + 1
    flat = below(ground, 1.8, ground)
    np.testing.assert_allclose(flat.level, ground, rtol=0.02)


def test_two_columns_that_overlap_are_told_apart_and_one_long_one_is_not() -> None:
    rng = np.random.default_rng(19)
    round_ = 3.24 * np.eye(2)
    place = grid(128, 14.0)
    second = place[[12, 30]] + [[3.5, 0.0], [2.0, 3.0]]
    mean = 40 + drawn(np.concatenate([place, second]), 300.0, 128, round_)
    found = search(rng.poisson(mean).astype(float))
    assert len(found.table) == len(place) + 2
    for one in np.concatenate([place[[12, 30]], second]):
        at, far = nearest(found.table[:, :2], one[None])
        spread = np.sqrt(found.covariance[at[0]][[0, 1], [0, 1]])
        assert far[0] < 4 * np.hypot(*spread)
    mean = 40 + drawn(np.delete(place, 12, 0), 300.0, 128, round_)
    mean += drawn(place[[12]], 300.0, 128, np.diag([5.0, 2.6]))
    assert len(search(rng.poisson(mean).astype(float)).table) == len(place)


def test_table_has_units_and_a_signal_frame_of_its_own() -> None:
    rng = np.random.default_rng(23)
    place = grid()
    frame = signal(rng.poisson(20 + drawn(place, 100.0)).astype(float))
    found = AtomColumns()(frame)
    check_set(found)
    assert found["x"].attrs["units"] == found["x_error"].attrs["units"] == "m"
    assert found["height"].attrs["units"] == "1"
    seen = np.stack([found["y"], found["x"]], axis=1)
    _, far = nearest(seen, 1e-9 + PITCH * place)
    assert (far / PITCH < 1.0).all()
    assert found["width_major"][0] / PITCH == pytest.approx(
        np.sqrt(np.linalg.eigvalsh(SHAPE)[1]), rel=0.05
    )
    # The long axis of SHAPE leans from x towards y.
    _, axes = np.linalg.eigh(SHAPE)
    want = np.arctan2(axes[0, 1], axes[1, 1]) % np.pi
    assert float(found["angle"][0]) == pytest.approx(want, abs=0.3)
    turned = find_columns(frame.transpose("x", "y"))
    np.testing.assert_array_equal(turned["x"], found["x"])


def test_pieces_of_a_large_frame_agree_with_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from nanopilot.analysis.atoms import columns

    rng = np.random.default_rng(29)
    place = grid(160) + rng.normal(0, 0.2, grid(160).shape)
    frame = signal(rng.poisson(20 + drawn(place, 100.0, 160)).astype(float))
    whole = find_columns(frame)
    monkeypatch.setattr(columns, "_PIECE", 100)
    monkeypatch.setattr(columns, "_SHARED", 40)
    pieces = find_columns(frame)
    both = [np.stack([one["y"], one["x"]], axis=1) / PITCH for one in (whole, pieces)]
    assert len(both[0]) == len(both[1])
    assert nearest(both[1], both[0])[1].max() < 0.05


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.isel(y=0), SignalError, "dims"),
        (lambda f: f.isel(y=slice(8)), SignalError, "at least 16"),
        (lambda f: f.where(f["x"] > f["x"][3]), SignalError, "not finite at row 0, column 0"),
        (lambda f: f.isel(x=[*range(20), *range(25, 60)]), SignalError, "not even"),
    ],
)
def test_what_is_no_frame_is_refused(change: Any, error: type[Exception], message: str) -> None:
    frame = signal(np.random.default_rng(0).poisson(20 + drawn(grid(), 100.0)).astype(float))
    with pytest.raises(error, match=message):
        find_columns(change(frame))


def test_settings_out_of_range_are_refused_and_an_empty_frame_gives_an_empty_table() -> None:
    frame = signal(np.random.default_rng(0).poisson(20.0, (64, 64)).astype(float))
    with pytest.raises(OutOfRange, match="`width`"):
        find_columns(frame, width=1.0)
    with pytest.raises(OutOfRange, match="`least_height`"):
        find_columns(frame, least_height=2.0)
    assert find_columns(frame, width=1.8 * PITCH).sizes["point"] <= 1


def crystal(rng: np.random.Generator, second: float, wave: float = 0.0) -> tuple[Any, Array]:
    """Return columns of a centred square crystal whose second sublattice is moved by 0.3 pixels."""
    first = grid(192, 16.0, 10.0)
    other = first[(first < 170).all(axis=1)] + 8.0 + [0.0, 0.3]
    place = np.concatenate([first, other])
    place[:, 1] *= 1 + wave
    height = np.concatenate([np.full(len(first), 200.0), np.full(len(other), second)])
    counts = rng.poisson(20 + drawn(place, height, 192)).astype(float)
    return find_columns(signal(counts)), place


def test_sublattices_are_told_by_height_and_not_where_they_overlap() -> None:
    found, _ = crystal(np.random.default_rng(31), 110.0)
    named = assign_sublattices(found)
    assert named.attrs["sublattices"] == 2
    bright = named["sublattice"].to_numpy() == 1
    assert abs(bright.sum() - 121) <= 2
    assert named["height"].to_numpy()[bright].min() > 150
    vague = found.assign(height=("point", np.random.default_rng(0).normal(100, 10, len(bright)),
                                 found["height"].attrs))  # fmt: skip
    values = vague["height"].to_numpy()
    values[::2] += 22
    assert assign_sublattices(vague).attrs["sublattices"] in (0, 1)
    with pytest.raises(OutOfRange, match="`most`"):
        assign_sublattices(found, most=0)


def test_lattice_polarisation_and_strain_are_those_imposed() -> None:
    named = assign_sublattices(crystal(np.random.default_rng(37), 110.0)[0])
    lattice = fit_lattice(named, 1)
    sizes = np.sort(np.hypot(*lattice.vectors.T)) / PITCH
    np.testing.assert_allclose(sizes, 16.0, atol=0.01)
    assert (lattice.errors / PITCH < 0.01).all()
    polar = map_polarisation(named, of=0, against=1)
    x, y = (polar[f"polarisation_{dim}"].to_numpy() / PITCH for dim in "xy")
    known = np.isfinite(x)
    error = float(polar["polarisation_x_error"].mean() / PITCH)
    assert known.mean() > 0.7
    assert np.mean(x[known]) == pytest.approx(0.3, abs=4 * error / np.sqrt(known.sum()))
    assert np.mean(y[known]) == pytest.approx(0.0, abs=4 * error / np.sqrt(known.sum()))
    assert x[known].std() == pytest.approx(error, rel=0.3)


def test_strain_against_a_reference_lattice() -> None:
    y, x = grid(192, 16.0).T
    bent = {"x": x * 1.02 + 0.01 * y, "y": y}
    table = find_columns(signal(np.random.default_rng(0).poisson(20 + drawn(grid(), 90.0)) * 1.0))
    ideal = table.isel(point=np.zeros(len(x), dtype=int)).assign(
        {
            name: ("point", values * PITCH, table[name].attrs)
            for name, values in (("x", x), ("y", y))
        }
    )
    moved = ideal.assign(
        {name: ("point", values * PITCH, table[name].attrs) for name, values in bent.items()}
    )
    strained = map_strain(moved, fit_lattice(ideal))
    for name, want in (
        ("strain_xx", 0.02),
        ("strain_yy", 0.0),
        ("strain_xy", 0.005),
        ("rotation", -0.005),
    ):
        np.testing.assert_allclose(strained[name], want, atol=1e-9)
    check_set(strained)
    assert float(np.abs(map_strain(ideal, fit_lattice(ideal))["displacement_x"]).max()) < 1e-15
    with pytest.raises(OutOfRange, match="same table"):
        map_strain(moved.isel(point=slice(10)), fit_lattice(ideal))
    with pytest.raises(SignalError, match="6 columns"):
        fit_lattice(ideal.isel(point=slice(4)))
    with pytest.raises(SignalError, match="no two independent"):
        fit_lattice(ideal.isel(point=slice(10)))
    with pytest.raises(SignalError, match="assign_sublattices"):
        map_polarisation(ideal, of=0, against=1)
