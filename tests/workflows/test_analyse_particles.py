"""`AnalyseParticles` tells what is there, draws it, and doubts where a person should look."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.particle_shapes import OutlineParticles
from nanopilot.bench.particle_scenes import draw_pair
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, check_set, make_signal
from nanopilot.workflows.analyse.particles import AnalyseParticles
from nanopilot.workflows.analyse.standing_out import standing_out

NM = 1e-9
CLASSICAL = AnalyseParticles(method="classical")


def frame(*discs: tuple[float, float, float, float], noise: float = 0.25) -> Signal:
    values = np.random.default_rng(0).normal(0, noise, (120, 200))
    y, x = np.indices(values.shape)
    for row, column, radius, height in discs:
        values += height * (np.hypot(y - row, x - column) < radius)
    axes = {
        dim: Axis(2 * NM * np.arange(size), "m", "position")
        for dim, size in zip(("y", "x"), values.shape, strict=True)
    }
    return make_signal(values, axes, quantity="counts", units="1")


def test_two_discs_are_two_rows_two_outlines_and_no_doubt() -> None:
    said = CLASSICAL(frame((50, 60, 20, 1.0), (70, 150, 12, -1.0)))
    check_set(said.table)
    assert said.table.sizes["point"] == len(said.marks) == said.summary["particles"] == 2
    assert said.summary["median diameter (nm)"] == pytest.approx(64, rel=0.05)
    assert said.summary["largest diameter (nm)"] == pytest.approx(80, rel=0.05)
    share = 100 * np.pi * (20**2 + 12**2) / (120 * 200)
    assert said.summary["covered area (%)"] == pytest.approx(share, rel=0.08)
    assert said.doubts == ()
    for mark in said.marks:
        assert (mark.kind, mark.shape) == ("particle", "outline")
    middles = np.array([mark.points.mean(axis=0) for mark in said.marks]) / NM
    rows = np.stack([said.table["x"], said.table["y"]], axis=1) / NM
    np.testing.assert_allclose(middles, rows, atol=3)


def test_nothing_found_is_doubted() -> None:
    said = CLASSICAL(frame())
    assert said.table.sizes["point"] == 0
    assert said.summary == {"particles": 0, "approach": "search"}
    assert any("No particle" in one for one in said.doubts)


def test_a_particle_cut_by_the_edge_is_doubted() -> None:
    said = CLASSICAL(frame((60, 20, 22, 1.5)))
    assert said.table.sizes["point"] == 1
    assert any("edge" in one for one in said.doubts)


def test_candidates_that_nobody_knows_are_counted_and_left_out() -> None:
    faint = frame(*[(60.0, 30.0 + 45 * k, 9.0, 0.22 + 0.05 * k) for k in range(4)])
    said = CLASSICAL(faint)
    every = AnalyseParticles(least_probability=0.0, method="classical")(faint)
    sure = every.table["probability"].to_numpy()
    unsure = int(((sure >= 0.2) & (sure < 0.8)).sum())
    assert any(one.startswith(f"{unsure} of") for one in said.doubts) == bool(unsure)
    assert (said.table["probability"] >= 0.5).all()


def test_settings_travel_as_json_and_bad_ones_are_refused() -> None:
    assert AnalyseParticles(**json.loads(json.dumps(asdict(CLASSICAL)))) == CLASSICAL
    with pytest.raises(OutOfRange, match="0 to 1"):
        AnalyseParticles(least_probability=1.99)(frame())
    with pytest.raises(SignalError, match="dims"):
        CLASSICAL(frame().isel(y=0))


def on_carbon(seed: int) -> tuple[Signal, list[tuple[float, float, float]]]:
    """Draw bright particles that touch the electron counting noise only, one cut by the edge."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((160, 220))
    mean, true = np.full(y.shape, 8.0), []
    for row, column, radius, height in (
        (50.0, 60.0, 24.0, 300.0), (110.0, 150.0, 15.0, 60.0), (60.0, 160.0, 9.0, 120.0),
        (155.0, 30.0, 20.0, 200.0),
    ):  # fmt: skip
        mean = mean + height * (np.hypot(y - row, x - column) < radius)
        true.append((row, column, radius))
    axes = {
        dim: Axis(NM * np.arange(size), "m", "position")
        for dim, size in zip(("y", "x"), y.shape, strict=True)
    }
    frame = make_signal(rng.poisson(mean).astype(float), axes, quantity="counts", units="1")
    return frame, true


@pytest.mark.parametrize("sign", [1, -1])
def test_what_stands_on_an_even_ground_is_outlined_whatever_its_contrast(sign: int) -> None:
    frame, true = on_carbon(0)
    frame = frame.copy(data=frame.to_numpy() if sign > 0 else 400.0 - frame.to_numpy())
    said = AnalyseParticles()(frame)
    assert said.summary["approach"] == "ground"
    assert [mark.kind for mark in said.marks].count("cut by the edge") == 1
    places = np.stack([said.table["y"], said.table["x"]], axis=1) / NM
    for row, column, radius in true[:3]:
        away = np.hypot(places[:, 0] - row, places[:, 1] - column)
        nearest = int(away.argmin())
        assert away[nearest] < 1.0
        diameter = float(said.table["equivalent_diameter"][nearest]) / NM
        assert diameter == pytest.approx(2 * radius, rel=0.04)
    assert said.summary["largest diameter (nm)"] == pytest.approx(48, rel=0.04)
    assert said.doubts == ()


def test_a_bright_and_a_dark_particle_are_searched_for() -> None:
    said = AnalyseParticles()(frame((50, 60, 20, 1.0), (70, 150, 12, -1.0)))
    assert said.summary["approach"] == "search"


def test_the_approach_can_be_told_and_has_a_name() -> None:
    shown, _ = on_carbon(1)
    assert AnalyseParticles(approach="search")(shown).summary["approach"] == "search"
    assert AnalyseParticles(approach="ground")(frame()).summary["approach"] == "ground"
    with pytest.raises(OutOfRange, match="'auto', 'ground' or 'search'"):
        AnalyseParticles(approach="guess")(shown)  # type: ignore[arg-type]


def test_textures_are_not_taken_for_particles_on_a_ground() -> None:
    rng = np.random.default_rng(7)
    for variance in (0.003, 0.03):
        for drawn in draw_pair(rng, variance):
            assert AnalyseParticles()(drawn.frame).summary["approach"] == "search"


def on_uneven_light(sign: int) -> Signal:
    """Draw discs under light that falls off to a corner, which stays dark; counts scatter."""
    rng = np.random.default_rng(3)
    y, x = np.indices((320, 320)) / 320
    light = np.clip(60 * (x + y - 0.15), 0, None) * (1 + 0.05 * gaussian_filter(
        rng.normal(size=x.shape), 1.5) / 0.19)  # fmt: skip
    for row in range(40, 320, 60):
        for column in range(40, 320, 60):
            there = np.hypot(320 * y - row, 320 * x - column) < 9
            light = np.where(there, light * 0.3 if sign < 0 else light + 80, light)
    axes = {dim: Axis(NM * np.arange(320), "m", "position") for dim in ("y", "x")}
    return make_signal(rng.poisson(light).astype(float), axes, quantity="counts", units="1")


@pytest.mark.parametrize("sign", [1, -1])
def test_uneven_light_makes_no_particles(sign: int) -> None:
    said = AnalyseParticles(approach="ground")(on_uneven_light(sign))
    places = np.stack([said.table["y"], said.table["x"]], axis=1) / NM
    away = np.abs((places - 40 + 30) % 60 - 30)
    assert (away < 1.5).all()
    # In the corner that no light falls on, nothing dark is seen.
    assert 24 <= len(places) <= 25


def test_a_detector_out_of_range_is_doubted() -> None:
    shown, _ = on_carbon(0)
    clipped = shown.copy(data=np.minimum(shown.to_numpy(), 60.0))
    (said,) = AnalyseParticles()(clipped).doubts
    assert "the brightest value, 60" in said
    flat = AnalyseParticles()(shown.copy(data=np.full(shown.shape, 255.0)))
    assert any("one value" in one for one in flat.doubts)
    assert flat.table.sizes["point"] == 0


def test_what_covers_most_of_a_frame_is_no_particle_on_a_ground() -> None:
    y, x = np.indices((256, 256)) - 127.5
    thick = np.sqrt(np.clip(125**2 - x**2 - y**2, 0, None)) / 125
    counts = np.random.default_rng(0).poisson(30 + 1200 * thick).astype(float)
    axes = {dim: Axis(NM * np.arange(256), "m", "position") for dim in ("y", "x")}
    shown = make_signal(counts, axes, quantity="counts", units="1")
    outlined = OutlineParticles()(shown)
    # The middle is taken for the ground, so that most of the frame differs from it.
    assert (outlined.labels.to_numpy() > 0).mean() > 0.5
    assert standing_out(shown, outlined) == 0
    assert AnalyseParticles()(shown).summary["approach"] == "search"
