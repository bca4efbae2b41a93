"""A drawn lattice comes back: its vectors, the shifts of its lines, and what moves them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nanopilot.analysis.column_blur import Harmonics, blur_bound, fit_probe, transfer
from nanopilot.analysis.flyback import find_flyback, lag
from nanopilot.analysis.lattice_drift import displacements, distortion, walk
from nanopilot.analysis.lattice_peaks import find_lattice
from nanopilot.analysis.lattice_waves import LatticeFit, fit_lattice
from nanopilot.analysis.line_jitter import Lines, line_motion
from nanopilot.core.errors import SignalError
from nanopilot.models.electron_optics import Lens

PIXEL, SIZE = 20e-12, 128
CUTOFF = 8.5e9
#: A hexagonal lattice, turned.
TURN = np.exp(1j * (0.3 + np.array([0.0, np.pi / 3])))
TRUE = 3.6e9 * np.stack([TURN.real, TURN.imag], axis=1)


def draw(
    rng: np.random.Generator,
    shifts: np.ndarray[Any, Any] | None = None,
    late: np.ndarray[Any, Any] | None = None,
    at: tuple[float, float] = (0.0, 0.0),
    noise: float = 6.0,
) -> np.ndarray[Any, Any]:
    """Return counts of a lattice of Gaussian columns, each line shifted, at a place (m)."""
    rows = SIZE
    x = PIXEL * (np.arange(SIZE) - (SIZE - 1) / 2) + (np.zeros(SIZE) if late is None else late)
    y = PIXEL * (np.arange(rows) - (rows - 1) / 2)
    along = x[None, :] + (np.zeros(rows) if shifts is None else shifts)[:, None] - at[0]
    down = np.broadcast_to(y[:, None] - at[1], along.shape)
    found = np.zeros(along.shape)
    for h in range(-3, 4):
        for k in range(-3, 4):
            g = h * TRUE[0] + k * TRUE[1]
            size = np.exp(-2 * (np.pi * 55e-12) ** 2 * float(g @ g))
            found += size * np.cos(2 * np.pi * (g[0] * along + g[1] * down))
    return np.asarray(100 + 20 * found + rng.normal(0, noise, along.shape))


def fit(frame: np.ndarray[Any, Any], late: np.ndarray[Any, Any] | None = None) -> LatticeFit:
    basis = find_lattice(frame, PIXEL)
    assert basis is not None
    return fit_lattice(frame, PIXEL, basis, CUTOFF, late)


def same_lattice(basis: np.ndarray[Any, Any]) -> float:
    part = basis @ np.linalg.inv(TRUE)
    assert abs(abs(np.linalg.det(part)) - 1) < 0.12
    return float(np.abs((part - np.rint(part)) @ TRUE).max() / 3.6e9)


def test_lattice_and_line_shifts_come_back_with_their_errors() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0, 12e-12, SIZE)
    found = fit(draw(rng, true))
    assert same_lattice(found.basis) < 2e-3
    y = np.arange(SIZE) - (SIZE - 1) / 2
    straight = true - true.mean() - y * (y @ true) / (y @ y)
    pulls = (found.shifts - straight) / found.shift_std
    assert 0.7 < np.sqrt(np.mean(pulls**2)) < 1.3
    assert found.shift_std.mean() < 0.4 * true.std()
    assert np.sqrt(np.mean(found.noise[found.used] ** 2)) == pytest.approx(6.0, rel=0.03)
    assert found.mean == pytest.approx(120.0, abs=1.0)


def test_a_defect_is_left_out_and_spoils_nothing() -> None:
    rng = np.random.default_rng(2)
    frame = draw(rng)
    frame[60:75, 60:75] += 60
    found = fit(frame)
    assert not found.used[62:73, 62:73].any()
    assert found.used.mean() > 0.7
    assert same_lattice(found.basis) < 1e-3


def test_a_strong_hum_does_not_pass_for_a_lattice() -> None:
    rng = np.random.default_rng(3)
    for period in (3.7, 5.1, 13.7, 26.0):
        frame = draw(rng, 18e-12 * np.sin(2 * np.pi * np.arange(SIZE) / period), noise=12.0)
        basis = find_lattice(frame, PIXEL)
        assert basis is not None
        assert same_lattice(basis) < 0.05  # less than half a bin


def test_noise_has_no_lattice_and_a_small_frame_is_refused() -> None:
    rng = np.random.default_rng(4)
    assert find_lattice(rng.normal(100, 5, (128, 128)), PIXEL) is None
    with pytest.raises(SignalError, match="32 x 32"):
        find_lattice(np.zeros((16, 64)), PIXEL)
    with pytest.raises(SignalError, match="`cutoff` is 1e"):
        fit_lattice(draw(rng), PIXEL, TRUE, 1e8)


def test_drift_is_told_by_phases_about_the_nearest_guess() -> None:
    rng = np.random.default_rng(5)
    true = np.array([[0.0, 0.0], [40e-12, -25e-12], [80e-12, -50e-12], [420e-12, 300e-12]])
    fits = [fit_lattice(draw(rng, at=(x, y)), PIXEL, TRUE, CUTOFF) for x, y in true]
    guess = true + rng.uniform(-60e-12, 60e-12, true.shape)
    places, std = displacements(fits, guess, 36.0)
    assert np.abs(places - true).max() < 1.5e-12
    assert np.sqrt(np.mean(((places - true)[1:] / std[1:]) ** 2)) < 3
    shortest, _ = displacements(fits[:3], None, 36.0)
    assert np.abs(shortest - true[:3]).max() < 1.5e-12


def test_velocity_and_diffusion_of_a_walk() -> None:
    rng = np.random.default_rng(6)
    times, strength, fine = 0.3 * np.arange(200), 3e-11, 50
    step = 0.3 / fine
    kicks = rng.normal(0, strength * np.sqrt(step), (200 * fine, 2))
    path = np.cumsum(np.cumsum(kicks, axis=0) * step, axis=0)[::fine]
    std = np.full(path.shape, 1e-12)
    found = walk(path + rng.normal(0, 1e-12, path.shape), std, times)
    assert abs(found.diffusion - strength) < 3 * found.diffusion_std
    assert found.diffusion_std < 0.25 * strength
    even = walk(np.outer(times, [2e-11, -1e-11]) + rng.normal(0, 1e-12, path.shape), std, times)
    assert np.abs(even.velocity - [2e-11, -1e-11]).max() < 4 * even.velocity_std.max()
    assert even.diffusion < 3 * even.diffusion_std
    with pytest.raises(SignalError, match="`times` has 1"):
        walk(path[:1], std[:1], times[:1])


def test_hum_and_jitter_are_told_apart() -> None:
    rng = np.random.default_rng(7)
    lines = []
    for frame in range(5):
        begins = 0.21 * frame + 1.1e-3 * np.arange(180)
        hum = 15e-12 * np.sin(2 * np.pi * 60.0 * (begins + 0.5e-3) + 0.4) * np.sinc(0.06)
        seen = hum + rng.normal(0, 9e-12, 180) + rng.normal(0, 3e-12, 180) + 1e-10 * begins
        lines.append(Lines(seen, np.full(180, 3e-12), begins, 1e-3))
    found = line_motion(lines)
    assert found.seen
    assert abs(found.hum - 15e-12) < 3.5 * found.hum_std
    assert abs(found.frequency - 60) < max(4 * found.frequency_std, 0.02)
    assert abs(found.jitter - 9e-12) < 3.5 * found.jitter_std
    assert found.jitter_std < 0.06 * 9e-12
    calm = [Lines(rng.normal(0, 3e-12, 180), one.std, one.begins, one.active) for one in lines]
    none = line_motion(calm)
    assert not none.seen
    assert none.bound < 1.5e-12
    assert none.jitter < 2 * none.jitter_std
    with pytest.raises(SignalError, match="24 lines"):
        line_motion([Lines(np.zeros(8), np.ones(8), np.arange(8.0), 0.1)])


def test_scale_shear_and_rotation_of_a_known_lattice() -> None:
    known = 3.16e-10 * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    angle, scale, shear = 0.7, 0.012, -0.017
    cos, sin = np.cos(angle), np.sin(angle)
    there = known @ np.array([[cos, sin], [-sin, cos]])
    drift, pace = np.array([2e-10, -1e-10]), np.array([3e5, 5e7])
    # F u - v (p . u) is where the beam is on the sample.
    real = np.array([[1 + scale, shear], [0.0, 1.0]]) - np.outer(drift, pace)
    seen = there @ np.linalg.inv(real).T
    found = distortion(seen, known, drift, pace, 1e-5)
    assert (found.scale, found.shear) == pytest.approx((scale, shear), abs=1e-6)
    assert found.rotation == pytest.approx(angle, abs=1e-6)
    assert distortion(1.05 * seen, known, drift, pace, 1e-5).misfit > 0.01


def test_lag_at_line_starts() -> None:
    rng = np.random.default_rng(8)
    hidden = np.zeros(SIZE)
    hidden[: SIZE // 4] = 2e-11
    for time in (6e-6, 15e-6):
        frame = draw(rng, late=lag(SIZE, PIXEL, 4e-6, 0.0, time))
        found = find_flyback([(frame, fit(frame, hidden))], 4e-6, 0.0, 36.0)
        assert found.seen
        assert found.time == pytest.approx(time, rel=0.02)
    frame = draw(rng)
    none = find_flyback([(frame, fit(frame, hidden))], 4e-6, 0.0, 36.0)
    assert not none.seen
    assert none.bound < 2e-6
    assert not lag(10, PIXEL, 1e-6, 0.0, 0.0).any()


LENS = Lens(voltage=80e3, convergence_angle=30e-3)


def test_transfer_of_a_sharp_lens_is_the_overlap_of_two_discs() -> None:
    k = np.linspace(0.05, 0.95, 12)
    waves = np.stack([k * LENS.cutoff, np.zeros(12)], axis=1)
    # M. Born and E. Wolf, Principles of Optics, section 9.5.
    theory = 2 / np.pi * (np.arccos(k) - k * np.sqrt(1 - k**2))
    assert np.abs(transfer(LENS, waves) - theory).max() < 0.015
    blurred = LENS.model_copy(update={"source_size": 4e-11})
    damp = np.exp(-2 * (np.pi * 4e-11 * waves[:, 0]) ** 2)
    np.testing.assert_allclose(transfer(blurred, waves), transfer(LENS, waves) * damp, rtol=1e-9)


def made(lens: Lens, foci: tuple[float, ...], rng: np.random.Generator) -> tuple[Any, ...]:
    index = np.stack(np.meshgrid(np.arange(-3, 4), np.arange(-3, 4)), axis=-1).reshape(-1, 2)
    waves = index[np.abs(index).sum(axis=1) > 0] @ TRUE
    waves = waves[np.linalg.norm(waves, axis=1) < 0.9 * LENS.cutoff]
    crystal = np.exp(-np.sum(waves**2, axis=1) / (8e9) ** 2)
    series = []
    for focus in foci:
        noise = rng.normal(0, 1e-3, len(waves))
        size = np.abs(crystal * transfer(lens, waves, focus) + noise)
        series.append(Harmonics(waves, 30 * size, np.full(len(waves), 0.03), focus))
    return crystal, tuple(series)


def test_source_and_defocus_of_a_focal_series_come_back_with_the_sign() -> None:
    rng = np.random.default_rng(9)
    aberrations = LENS.aberrations.plus(C1=-3e-9, A1_x=1.5e-9)
    lens = LENS.model_copy(update={"source_size": 3e-11, "aberrations": aberrations})
    crystal, series = made(lens, (-6e-9, 0.0, 6e-9), rng)
    found = fit_probe(LENS, crystal, series)
    assert found.signed
    assert found.values["C1"] == pytest.approx(-3e-9, abs=max(3 * found.std["C1"], 2e-10))
    assert found.values["A1_x"] == pytest.approx(1.5e-9, abs=max(3 * found.std["A1_x"], 3e-10))
    assert found.values["source"] == pytest.approx(3e-11, rel=0.05)


def test_one_focus_has_no_sign_and_bounds_hold() -> None:
    rng = np.random.default_rng(10)
    lens = LENS.model_copy(update={"source_size": 3e-11})
    crystal, series = made(lens, (0.0,), rng)
    found = fit_probe(LENS, crystal, series)
    assert not found.signed
    assert found.values["source"] == pytest.approx(3e-11, rel=0.06)
    most = blur_bound(LENS, series[0], 30.0)
    assert 3e-11 < most < 6e-11
    faint = Harmonics(series[0].waves, series[0].size, np.full(len(crystal), 1e3))
    with pytest.raises(SignalError, match="above the noise"):
        fit_probe(LENS, crystal, (faint,))
    with pytest.raises(SignalError, match="five standard errors"):
        blur_bound(LENS, faint, 30.0)
