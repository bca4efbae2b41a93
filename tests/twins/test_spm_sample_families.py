"""Families of samples: each has what its settings ask for and its facts say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples import family
from nanopilot.twins.spm.samples.laguerre import power_cells
from nanopilot.twins.spm.samples.layers import borders

SEEDS = range(3)


def make(name: str, seed: int = 0, **told: Any) -> Sample:
    told.setdefault("pixels", 256)
    return family(name)(np.random.default_rng(seed), **told)


# Steps


@pytest.mark.parametrize("seed", SEEDS)
def test_heights_of_terraces_are_whole_steps(seed: int) -> None:
    sample = make("steps", seed, step_height="0.25 nm", terrace_width="60 nm")
    counts = sample.height / 0.25e-9
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
    np.testing.assert_array_equal(np.rint(counts), sample.layers["terrace"])
    assert len(np.unique(np.rint(counts))) == sample.facts["terraces"]
    # Every level between the lowest and the highest is there: no step is two steps high.
    assert sample.facts["terraces"] == sample.layers["terrace"].max() + 1


def test_terraces_are_as_wide_as_asked() -> None:
    sample = make("steps", meander=0.0, direction=0.0, terrace_width="50 nm")
    row = sample.layers["terrace"][100]
    edges = np.flatnonzero(np.diff(row)) * sample.pitch
    np.testing.assert_allclose(np.diff(edges), 50e-9, atol=1.01 * sample.pitch)


@pytest.mark.parametrize("seed", SEEDS)
def test_round_a_screw_the_surface_climbs_by_one_step(seed: int) -> None:
    sample = make("steps", seed, screws=1, meander=0.0, size_m="400 nm")
    screw = sample.facts["screws"][0]
    row, column = sample.pixels(np.array(screw["x"]), np.array(screw["y"]))
    r, c = round(float(row)), round(float(column))
    way = [(r - 9, c + k) for k in range(-9, 9)] + [(r + k, c + 9) for k in range(-9, 9)]
    way += [(r + 9, c - k) for k in range(-9, 9)] + [(r - k, c - 9) for k in range(-9, 9)]
    around = np.array([sample.height[at] for at in [*way, way[0]]])
    steps = np.rint(np.diff(around) / sample.facts["step_height"])
    # What rises in steps is what the terraces between them wind down.
    assert steps.sum() == pytest.approx(screw["hand"])


# Grains


@pytest.mark.parametrize("seed", SEEDS)
def test_diameters_of_grains_are_those_of_their_pixels(seed: int) -> None:
    sample = make("grains", seed)
    labels = sample.layers["grain"].astype(int)
    pixels = np.bincount(labels.ravel())[1:]
    found = np.sqrt(4 / np.pi * pixels) * sample.pitch
    np.testing.assert_allclose(sample.facts["diameters"], found, rtol=1e-12)
    assert sample.facts["count"] == len(found) == labels.max()
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    assert set(np.flatnonzero(sample.facts["cut"]) + 1) == set(edge.tolist())


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_sizes_of_grains_are_distributed_as_asked(spread: float) -> None:
    whole = []
    for seed in SEEDS:
        facts = make("grains", seed, spread=spread, diameter="100 nm", pixels=512).facts
        whole += list(np.array(facts["diameters"])[~np.array(facts["cut"])])
    # Large grains are cut by the edge more often, which takes 3 % off the mean.
    assert np.mean(whole) == pytest.approx(100e-9, rel=0.05)
    assert np.std(whole) / np.mean(whole) == pytest.approx(spread, abs=0.05)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 60))
@settings(max_examples=10, deadline=None)
def test_power_cells_are_those_of_brute_force(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    seeds = rng.uniform(-20, 220, (count, 2))
    weights = rng.uniform(0, 600, count)
    row, column = np.mgrid[:150, :210]
    powers = (row[..., None] - seeds[:, 0]) ** 2 + (column[..., None] - seeds[:, 1]) ** 2 - weights
    np.testing.assert_array_equal(power_cells(seeds, weights, 150, 210), powers.argmin(axis=-1))


def test_grains_are_domed_in_proportion_to_their_size() -> None:
    sample = make("grains", pixels=512, dome="10 nm")
    labels = sample.layers["grain"].astype(int)
    for number, (diameter, cut) in enumerate(
        zip(sample.facts["diameters"], sample.facts["cut"], strict=True), start=1
    ):
        if not cut and diameter > 60e-9:
            summit = sample.height[labels == number].max()
            assert summit == pytest.approx(10e-9 * diameter / 120e-9, rel=0.15)
    rims = sample.height[borders(labels)]
    assert np.median(rims) < 0.25 * 10e-9


# Particles and droplets


@pytest.mark.parametrize("angle", [0.5, 1.2, 2.0, math.pi])
@pytest.mark.parametrize("seed", SEEDS)
def test_particles_are_where_and_as_high_as_the_facts_say(seed: int, angle: float) -> None:
    sample = make("particles", seed, roughness=0.0, contact_angle=angle, radius="25 nm", count=15)
    facts, labels = sample.facts, sample.layers["particle"]
    x, y = np.array(facts["x"]), np.array(facts["y"])
    row, column = (np.rint(one).astype(int) for one in sample.pixels(x, y))
    radii, heights = np.array(facts["radii"]), np.array(facts["heights"])
    np.testing.assert_array_equal(labels[row, column], np.arange(1, 16))
    np.testing.assert_allclose(heights, radii * (1 - np.cos(angle)))
    # Half a pixel off the summit at most, in either direction.
    sag = sample.pitch**2 / 4 / radii
    np.testing.assert_array_less(np.abs(sample.height[row, column] - heights), 1.1 * sag)
    areas = np.bincount(labels.astype(int).ravel(), minlength=16)[1:] * sample.pitch**2
    seen = np.array(facts["seen_radii"])
    np.testing.assert_allclose(np.sqrt(areas / np.pi), seen, atol=0.5 * sample.pitch)
    assert sample.height[labels == 0].max() == 0.0


@given(seed=st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_particles_do_not_touch(seed: int) -> None:
    facts = make("particles", seed).facts
    places = np.array([facts["x"], facts["y"]]).T
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    seen = np.array(facts["seen_radii"])
    np.fill_diagonal(apart, np.inf)
    assert (apart > seen[:, None] + seen[None, :]).all()


# Filaments


@pytest.mark.parametrize("seed", SEEDS)
def test_the_way_of_a_filament_lies_at_its_height(seed: int) -> None:
    sample = make("filaments", seed, roughness=0.0, size_m="1 um", diameter="20 nm", pixels=512)
    edge = sample.area.x[1]
    for way in sample.facts["ways"]:
        x, y = np.array(way).T
        inside = (np.abs(x) < edge) & (np.abs(y) < edge)
        on = sample.at("height", x[inside], y[inside])
        # Between pixels: half a diagonal off the middle, on a circle of 10 nm.
        slack = 10e-9 - math.sqrt(100e-18 - sample.pitch**2 / 2)
        np.testing.assert_allclose(on, 20e-9, atol=slack)
    assert sample.height.max() == pytest.approx(20e-9, rel=1e-2)
    wide = np.count_nonzero(sample.height) * sample.pitch**2
    lengths = sum(_length_inside(np.array(way), edge) for way in sample.facts["ways"])
    assert 0.5 * 20e-9 * lengths < wide <= 1.1 * 20e-9 * lengths


def _length_inside(way: np.ndarray[Any, Any], edge: float) -> float:
    steps = np.hypot(*np.diff(way, axis=0).T)
    return float(steps[(np.abs(way[1:]) < edge).all(axis=1)].sum())


def test_filaments_forget_their_direction_over_twice_the_persistence_length() -> None:
    facts = make("filaments", count=400, length="400 nm", persistence_length="150 nm").facts
    ways = np.array(facts["ways"])
    steps = np.diff(ways, axis=1)
    step = np.hypot(*steps[0, 0])
    unit = steps / step
    apart = round(150e-9 / step)
    cosine = np.mean(np.sum(unit[:, apart:] * unit[:, :-apart], axis=-1))
    assert cosine == pytest.approx(np.exp(-apart * step / 300e-9), abs=0.05)


# Roughness


@pytest.mark.parametrize(("hurst", "length"), [(0.3, 30e-9), (0.7, 60e-9), (0.95, 40e-9)])
def test_spectrum_of_a_rough_surface_is_the_one_asked_for(hurst: float, length: float) -> None:
    ratios = []
    for seed in range(8):
        sample = make(
            "rough", seed, hurst=hurst, correlation_length=length, rms="3 nm", size_m="1.023 um",
            pixels=512,
        )  # fmt: skip
        assert sample.height.std() == pytest.approx(3e-9, rel=1e-9)
        window = np.hanning(512)
        spectrum = np.abs(np.fft.fft2(sample.height * window[:, None] * window)) ** 2
        q = 2 * np.pi * np.fft.fftfreq(512, sample.pitch)
        radius = np.hypot(q[:, None], q)
        model = (1 + (radius * length) ** 2) ** -(1 + hurst)
        bins = np.geomspace(2e7, 8e8, 9)
        ring = np.digitize(radius, bins)
        ratios.append([(spectrum / model)[ring == n].mean() for n in range(1, 9)])
    mean = np.mean(ratios, axis=0)
    slope = np.polyfit(np.log(np.sqrt(bins[1:] * bins[:-1])), np.log(mean), 1)[0]
    # A power of q^-(2 + 2H): 0.05 off in H tilts the ratio by 0.1.
    assert abs(slope) < 0.1
    assert np.ptp(np.log(mean)) < 0.35


# Patterns


@pytest.mark.parametrize("pattern", ["lines", "pillars", "holes", "checker", "rings"])
def test_a_pattern_has_its_depth(pattern: str) -> None:
    sample = make("nanolitho", pattern=pattern, depth="55 nm", wall_angle=math.pi / 2)
    assert sample.relief == pytest.approx(55e-9)
    top = sample.height > 54e-9
    floor = sample.height < 1e-9
    assert top.mean() > 0.15
    assert floor.mean() > 0.15
    assert (top | floor).mean() > 0.7


@pytest.mark.parametrize("duty", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("rotation", [0.0, 0.4])
def test_lines_have_their_pitch_and_duty(duty: float, rotation: float) -> None:
    sample = make(
        "nanolitho", pitch="250 nm", duty=duty, rotation=rotation, size_m="5.11 um", pixels=512
    )
    window = np.hanning(512)
    level = sample.height - sample.height.mean()
    spectrum = np.abs(np.fft.rfft2(level * window[:, None] * window, s=(2048, 2048)))
    at = np.unravel_index(spectrum.argmax(), spectrum.shape)
    frequency = np.hypot(np.fft.fftfreq(2048)[at[0]], np.fft.rfftfreq(2048)[at[1]])
    assert sample.pitch / frequency == pytest.approx(250e-9, rel=0.01)
    assert (sample.layers["feature"] > 0.5).mean() == pytest.approx(duty, abs=0.03)


def test_a_side_wall_has_its_angle() -> None:
    sample = make(
        "nanolitho", wall_angle=math.radians(60), edge_roughness=0.0, size_m="1 um",
        pitch="300 nm", depth="50 nm", pixels=1024,
    )  # fmt: skip
    row = sample.height[5]
    walls = (row > 5e-9) & (row < 45e-9)
    slope = np.abs(np.gradient(row, sample.pitch))[walls]
    np.testing.assert_allclose(slope, math.tan(math.radians(60)), rtol=1e-6)


# Atoms


PERFECT = {"vacancies": 0, "adatoms": 0, "dopants": 0}


@pytest.mark.parametrize("kind", ["hexagonal", "square", "honeycomb"])
def test_every_atom_is_a_summit_of_the_corrugation_asked_for(kind: str) -> None:
    sample = make("lattice", kind=kind, size_m="4 nm", corrugation="20 pm", pixels=512, **PERFECT)
    assert sample.relief == pytest.approx(20e-12, rel=0.02)
    atoms = np.array(sample.facts["atoms"])
    row, column = (np.rint(one).astype(int) for one in sample.pixels(*atoms.T))
    inside = (np.abs(row - 255.5) < 240) & (np.abs(column - 255.5) < 240)
    for r, c in zip(row[inside], column[inside], strict=True):
        around = sample.height[r - 3 : r + 4, c - 3 : c + 4]
        at = np.unravel_index(around.argmax(), around.shape)
        assert max(abs(at[0] - 3), abs(at[1] - 3)) <= 1
    a, b = np.array(sample.facts["lattice_vectors"])
    per_cell = 2 if kind == "honeycomb" else 1
    density = per_cell / abs(a[0] * b[1] - a[1] * b[0])
    assert len(atoms) == pytest.approx(density * (4e-9) ** 2, rel=0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_vacancies_are_low_adatoms_high_and_dopants_dense(seed: int) -> None:
    sample = make("lattice", seed, scattering=0.0, size_m="6 nm")
    at = {name: np.array(sample.facts[name]).T for name in ("vacancies", "adatoms", "dopants")}
    ordinary = np.median(sample.at("height", *np.array(sample.facts["atoms"]).T[:, 50:150]))
    assert (sample.at("height", *at["vacancies"]) < ordinary - 10e-12).all()
    np.testing.assert_allclose(sample.at("height", *at["adatoms"]) - ordinary, 150e-12, atol=30e-12)
    assert (sample.at("ldos", *at["dopants"]) > 1.8).all()
    assert np.median(sample.layers["ldos"]) == pytest.approx(1, abs=0.01)
    row, column = (np.rint(one).astype(int) for one in sample.pixels(*at["adatoms"]))
    assert set(sample.layers["adatom"][row, column]) == {1, 2, 3, 4}


def test_standing_waves_have_half_the_wavelength_of_the_electrons() -> None:
    sample = make(
        "lattice", vacancies=1, adatoms=0, dopants=0, wavelength="2 nm", size_m="30 nm", pixels=1024
    )
    x, y = sample.facts["vacancies"][0]
    direction = -math.copysign(1, x)
    r = np.linspace(1.5e-9, 9e-9, 2000)
    wave = (sample.at("ldos", x + direction * r, np.full_like(r, y)) - 1) * r
    crossings = r[1:][np.diff(np.sign(wave)) != 0]
    assert np.mean(np.diff(crossings)) == pytest.approx(0.5e-9, rel=0.02)


# Ferroelectrics


@pytest.mark.parametrize("seed", SEEDS)
def test_walls_of_180_degrees_leave_no_mark_on_the_surface(seed: int) -> None:
    sample = make("ferroelectric", seed, a_share=0.0, roughness=0.0)
    assert not sample.height.any()
    polarisation = sample.layers["polarisation"]
    assert polarisation.min() < -0.99
    assert polarisation.max() > 0.99
    assert (np.abs(polarisation) > 0.9).mean() > 0.8


@pytest.mark.parametrize("up", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_shares_of_domains_are_those_of_the_layers(seed: int, up: float) -> None:
    sample = make("ferroelectric", seed, up=up, a_share=0.1)
    layers, facts = sample.layers, sample.facts
    c_only = layers["in_plane"] < 0.5
    assert facts["a_share"] == pytest.approx(1 - c_only.mean())
    assert facts["up"] == pytest.approx((layers["polarisation"] > 0)[c_only].mean())
    assert facts["up"] == pytest.approx(up, abs=0.05)
    assert 0.05 < facts["a_share"] < 0.2
    assert (np.abs(layers["polarisation"]) <= 1 - layers["in_plane"] + 1e-12).all()


def test_over_an_a_domain_the_surface_is_tilted_by_the_tetragonal_angle() -> None:
    for seed in range(20):
        sample = make("ferroelectric", seed, roughness=0.0, a_share=0.01, a_width="60 nm")
        if len(sample.facts["a_domains"]) == 1:
            break
    one = sample.facts["a_domains"][0]
    assert sample.facts["tilt"] == pytest.approx(math.radians(3.55), rel=0.01)
    across = np.linspace(-0.3, 0.3, 9) * one["width"]
    x = one["x"] - math.sin(one["angle"]) * across
    y = one["y"] + math.cos(one["angle"]) * across
    heights = sample.at("height", x, y)
    inside = np.isfinite(heights)
    slope = np.polyfit(across[inside], heights[inside], 1)[0]
    assert one["sign"] * slope == pytest.approx(math.tan(sample.facts["tilt"]), rel=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_switching_is_easier_at_walls_and_defects_and_its_middle_is_the_imprint(seed: int) -> None:
    sample = make(
        "ferroelectric", seed, spread=0.0, coercive_bias=3.0, imprint=0.4, ease=0.5, a_share=0.0,
        size_m="1.5 um", defects=5, pixels=512,
    )  # fmt: skip
    up, down = sample.layers["switching_positive"], sample.layers["switching_negative"]
    assert (up > 0).all()
    assert (down < 0).all()
    np.testing.assert_allclose((up + down) / 2, 0.4, rtol=1e-9)
    half = (up - down) / 2
    walls = borders(sample.layers["polarisation"] > 0)
    np.testing.assert_allclose(half[walls], 1.5, atol=0.01)
    assert half.max() == pytest.approx(3.0, rel=0.02)
    row, column = (
        np.rint(one).astype(int) for one in sample.pixels(*np.array(sample.facts["defects"]).T)
    )
    np.testing.assert_allclose(half[row, column], 1.5, atol=0.02)
