"""Samples of the scanning-probe twin: what their facts say is in their layers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import (
    InvalidRequest,
    NanopilotError,
    OutOfRange,
    SignalError,
    UnknownName,
)
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples import SAMPLES, family
from nanopilot.twins.spm.samples.layers import MEANING, smooth_field
from nanopilot.twins.spm.samples.recipe import Grid

MADE = sorted(set(SAMPLES) - {"measured"})
SEEDS = range(3)


def make(name: str, seed: int = 0, **told: Any) -> Sample:
    told.setdefault("pixels", 256)
    return family(name)(np.random.default_rng(seed), **told)


# Every family


@pytest.mark.parametrize("name", MADE)
def test_same_seed_gives_the_same_bytes_and_another_seed_another_sample(name: str) -> None:
    one, again, other = make(name, 1), make(name, 1), make(name, 2)
    assert one.height.tobytes() == again.height.tobytes()
    assert {k: v.tobytes() for k, v in one.layers.items()} == {
        k: v.tobytes() for k, v in again.layers.items()
    }
    assert one.facts == again.facts
    changed = [k for k in one.layers if one.layers[k].tobytes() != other.layers[k].tobytes()]
    assert changed or one.height.tobytes() != other.height.tobytes()


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("seed", SEEDS)
def test_heights_and_layers_are_numbers_with_meaning_and_facts_are_json(
    name: str, seed: int
) -> None:
    sample = make(name, seed)
    assert np.isfinite(sample.height).all()
    assert 0 < sample.relief < 1e-6
    for layer, values in sample.layers.items():
        assert np.isfinite(values).all(), layer
        assert sample.meaning[layer] == MEANING[layer]
    json.dumps(sample.facts, allow_nan=False)


@pytest.mark.parametrize("name", MADE)
def test_size_and_pixels_are_those_asked_for(name: str) -> None:
    usual = family(name).recipe.SIZE
    sample = make(name, size_m=f"{0.8e9 * usual} nm", pixels=(240, 320))
    assert sample.height.shape == (240, 320)
    low, high = sample.area.x
    assert high - low == pytest.approx(0.8 * usual, rel=1e-9)
    assert sample.pitch == pytest.approx(0.8 * usual / 319, rel=1e-9)


@pytest.mark.parametrize("name", ["stiffness", "adhesion"])
@pytest.mark.parametrize("sample", sorted(set(MADE) - {"lattice"}))
def test_stiffness_and_adhesion_are_positive(sample: str, name: str) -> None:
    assert make(sample).layers[name].min() > 0


@given(seed=st.integers(0, 2**32), length=st.floats(2.0, 8.0))
@settings(max_examples=10, deadline=None)
def test_a_smooth_field_has_the_variance_and_the_length_that_are_said(
    seed: int, length: float
) -> None:
    grid = Grid(size=255e-9, rows=256, columns=256)
    field = smooth_field(np.random.default_rng(seed), grid, length * 1e-9)
    independent = 256**2 / (4 * np.pi * length**2)
    assert field.std() == pytest.approx(1, abs=5 / np.sqrt(independent))
    step = round(2 * length)
    alike = np.mean(field[:, step:] * field[:, :-step]) / field.var()
    assert alike == pytest.approx(np.exp(-((step / length) ** 2) / 4), abs=6 / np.sqrt(independent))


def test_opposite_edges_of_a_smooth_field_do_not_know_each_other() -> None:
    grid = Grid(size=63e-9, rows=64, columns=64)
    pairs = np.array(
        [smooth_field(np.random.default_rng(seed), grid, 6e-9)[32, [0, -1]] for seed in range(400)]
    )
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.2


# Measured


HEIGHT = 1e-9 * np.add.outer(np.arange(40.0), np.sin(np.arange(60.0)))


def test_a_measured_topography_is_taken_as_it_is() -> None:
    sample = make("measured", pixels=None, height=HEIGHT, pitch="2 nm", levelled=False)
    np.testing.assert_array_equal(sample.height, HEIGHT)
    assert sample.pitch == pytest.approx(2e-9)


def test_a_finer_grid_passes_through_the_measured_places() -> None:
    sample = make("measured", pixels=(79, 119), height=HEIGHT, pitch=2e-9, levelled=False)
    np.testing.assert_allclose(sample.height[::2, ::2], HEIGHT, atol=1e-15)


def test_a_smaller_piece_is_the_middle() -> None:
    sample = make(
        "measured", pixels=(20, 30), size_m=29 * 2e-9, height=HEIGHT, pitch=2e-9, levelled=False
    )
    np.testing.assert_allclose(sample.height, HEIGHT[10:30, 15:45], atol=1e-15)


@given(a=st.floats(-1e-8, 1e-8), b=st.floats(-1e-8, 1e-8))
@settings(max_examples=10, deadline=None)
def test_tilt_of_a_measured_topography_does_not_matter(a: float, b: float) -> None:
    y, x = np.indices(HEIGHT.shape)
    flat = make("measured", pixels=None, height=HEIGHT, pitch=1e-9)
    tilted = make("measured", pixels=None, height=HEIGHT + a * y + b * x, pitch=1e-9)
    np.testing.assert_allclose(tilted.height, flat.height, atol=1e-18)


def test_heights_without_a_unit_are_stretched_to_a_relief() -> None:
    sample = make("measured", pixels=None, height=HEIGHT * 1e9, pitch=1e-9, relief="30 nm")
    assert sample.relief == pytest.approx(30e-9)


# Errors


WITH_HOLE = np.where(np.eye(40, 60, dtype=bool), np.nan, HEIGHT)


@pytest.mark.parametrize(
    ("name", "told", "kind", "says"),
    [
        ("grains", {"size_m": 0.0}, InvalidRequest, "size"),
        ("grains", {"size_m": math.nan}, InvalidRequest, "size"),
        ("grains", {"size_m": "two"}, InvalidRequest, "size"),
        ("grains", {"pixels": 3}, InvalidRequest, "rows"),
        ("grains", {"diameter": "1 nm"}, OutOfRange, "`diameter` is 1e-09 m; 256 x 256 pixels"),
        ("grains", {"diameter": "5 um"}, OutOfRange, "diameter"),
        ("grains", {"diametre": "5 um"}, InvalidRequest, "diametre"),
        ("steps", {"terrace_width": "1 nm"}, OutOfRange, "terrace_width"),
        ("steps", {"step_height": -1e-9}, InvalidRequest, "step_height"),
        ("particles", {"count": 5000}, OutOfRange, "`count` is 5000; only"),
        ("particles", {"radius": "1 um"}, OutOfRange, "radius"),
        ("filaments", {"count": 4000}, OutOfRange, "length"),
        ("rough", {"hurst": 1.5}, InvalidRequest, "hurst"),
        ("rough", {"correlation_length": "5 um"}, OutOfRange, "correlation_length"),
        ("nanolitho", {"pattern": "dots"}, InvalidRequest, "pattern"),
        ("nanolitho", {"pitch": "3 um"}, OutOfRange, "pitch"),
        ("lattice", {"size_m": "2 um"}, OutOfRange, "constant"),
        ("lattice", {"size_m": "200 nm", "pixels": 4096}, OutOfRange, "more than 50000 atoms"),
        ("lattice", {"vacancies": 5000}, OutOfRange, "vacancies"),
        ("ferroelectric", {"a_width": "1 nm"}, OutOfRange, "a_width"),
        ("ferroelectric", {"tetragonality": 0.9}, InvalidRequest, "tetragonality"),
        ("measured", {"height": WITH_HOLE, "pitch": 1e-9}, SignalError, "`height` has 40 values"),
        ("measured", {"height": HEIGHT, "pixels": None}, InvalidRequest, "`size_m` is missing"),
        ("measured", {"height": HEIGHT[0], "pitch": 1e-9}, SignalError, "shape"),
        ("measured", {"height": HEIGHT, "pitch": 1e-9, "size_m": 1e-6}, OutOfRange, "size_m"),
        ("measured", {"height": 1e9 * HEIGHT, "pitch": 1e-9, "pixels": None}, InvalidRequest,
         "relief"),
        ("measured", {"height": 0 * HEIGHT, "pitch": 1e-9, "pixels": None, "relief": 1e-9},
         SignalError, "flat"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(
    name: str, told: dict[str, Any], kind: type[NanopilotError], says: str
) -> None:
    with pytest.raises(kind) as refused:
        make(name, **told)
    assert says in str(refused.value)


def test_unknown_families_and_layers_are_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean grains"):
        family("grain")
    sample = make("grains")
    with pytest.raises(UnknownName, match="did you mean potential"):
        sample.at("potental", np.zeros(1), np.zeros(1))


# The reference

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "samples.md"


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_reference_names_every_setting(name: str) -> None:
    page = REFERENCE.read_text("utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` | "))
    inherited = {"roughness"} if name == "droplets" else set()
    for setting in set(SAMPLES[name].recipe.model_fields) - inherited:
        assert f"`{setting}`" in row, setting


def test_the_reference_names_every_layer() -> None:
    page = REFERENCE.read_text("utf-8")
    assert [layer for layer in MEANING if f"| `{layer}`" not in page.replace(", `", " | `")] == []
