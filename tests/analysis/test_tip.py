"""Certainty, blind estimation and the fit of tips: bounds hold, and what is said is so."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nanopilot.analysis.tip import (
    SeeThroughTip,
    TipShape,
    blind_tip,
    contacts,
    estimate_noise,
    judge_tip,
    load_refiner,
)
from nanopilot.analysis.tip.fit import Consistency, fit_single
from nanopilot.analysis.tip.kernels import bound_beyond
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.registry import build
from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.models.tip_imaging import dilate, erode

NM = 1e-9
heights = arrays(np.float64, (9, 11), elements=st.integers(0, 40).map(lambda n: n / 8))
flanks = arrays(np.float64, (3, 5), elements=st.integers(0, 16).map(lambda n: n / 8))


def spikes(rng: np.random.Generator, pixels: int = 96) -> np.ndarray:
    """Caps of many radii on a floor."""
    y, x = np.mgrid[:pixels, :pixels].astype(float)
    surface = np.zeros((pixels, pixels))
    for _ in range(25):
        radius, middle = rng.uniform(2, 7), rng.uniform(0, pixels, 2)
        inside = np.clip(radius**2 - (y - middle[0]) ** 2 - (x - middle[1]) ** 2, 0, None)
        surface = np.maximum(surface, (inside > 0) * (radius + np.sqrt(inside)))
    return surface * NM


def asymmetric(flank: np.ndarray) -> np.ndarray:
    tip = flank.copy()
    tip[tip.shape[0] // 2, tip.shape[1] // 2] = 0.0
    return tip


def slow_certainty(image: np.ndarray, tip: np.ndarray) -> np.ndarray:
    """As the definition says, with loops, places beyond the edge included."""
    a, b = tip.shape[0] // 2, tip.shape[1] // 2
    rows, columns = image.shape
    bound = {}
    for i in range(-a, rows + a):
        for j in range(-b, columns + b):
            bound[i, j] = min(
                (image[i - u, j - v] + tip[u + a, v + b]
                 for u in range(-a, a + 1) for v in range(-b, b + 1)
                 if 0 <= i - u < rows and 0 <= j - v < columns),
                default=math.inf,
            )  # fmt: skip
    certain = np.zeros(image.shape, dtype=bool)
    for i in range(rows):
        for j in range(columns):
            touched = [
                (i + u, j + v) for u in range(-a, a + 1) for v in range(-b, b + 1)
                if bound[i + u, j + v] - tip[u + a, v + b] >= image[i, j] - 1e-12
            ]  # fmt: skip
            if len(touched) == 1 and 0 <= touched[0][0] < rows and 0 <= touched[0][1] < columns:
                certain[touched[0]] = True
    return certain


@settings(max_examples=40, deadline=None)
@given(surface=heights, flank=flanks)
def test_bound_is_never_below_the_surface_and_certain_pixels_are_the_surface(
    surface: np.ndarray, flank: np.ndarray
) -> None:
    tip = asymmetric(flank)
    # What lies beyond the edge of the image was touched too.
    image = dilate(surface, tip)[1:-1, 2:-2]
    inside = surface[1:-1, 2:-2]
    bound, certain = contacts(image, tip, slack=0.0)
    assert (bound >= inside - 1e-12).all()
    np.testing.assert_allclose(bound[certain], inside[certain], atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(surface=heights, flank=flanks)
def test_fast_certainty_is_that_of_the_definition(surface: np.ndarray, flank: np.ndarray) -> None:
    tip = asymmetric(flank)
    image = np.ascontiguousarray(dilate(surface, tip))
    np.testing.assert_array_equal(contacts(image, tip, 0.0)[1], slow_certainty(image, tip))


@settings(max_examples=25, deadline=None)
@given(surface=heights, flank=flanks)
def test_bound_makes_the_image_again(surface: np.ndarray, flank: np.ndarray) -> None:
    tip = asymmetric(flank)
    image = dilate(surface, tip)
    bound, _ = contacts(image, tip, slack=0.0)
    np.testing.assert_allclose(dilate(bound, tip), image, atol=1e-9)
    np.testing.assert_allclose(bound, erode(image, tip), atol=1e-12)
    assert bound_beyond(np.ascontiguousarray(image), tip).shape == (11, 15)


def test_more_slack_makes_less_certain() -> None:
    surface = spikes(np.random.default_rng(0), 48)
    tip = TipShape(6 * NM).raster(NM, 8)
    image = dilate(surface, tip)
    shares = [contacts(image, tip, slack)[1].mean() for slack in (0.0, 0.1 * NM, NM)]
    assert shares[0] > shares[1] > shares[2]


@pytest.mark.parametrize("seed", range(3))
def test_blind_estimate_bounds_the_tip_and_knows_its_radius(seed: int) -> None:
    rng = np.random.default_rng(seed)
    radius = rng.uniform(5, 15)
    shape = TipShape(radius * NM, half_angle=0.3).raster(NM, 24)
    image = dilate(spikes(rng, 128), shape)[24:-24, 24:-24]
    found = blind_tip(image, 8).shape
    assert (found <= shape[16:33, 16:33] + 1e-6 * NM).all()
    near = np.mean([found[8, 10], found[8, 6], found[10, 8], found[6, 8]])
    assert (2 * NM) ** 2 / (2 * near) == pytest.approx(radius * NM, rel=0.1)


def test_noise_does_not_sharpen_the_blind_estimate_beyond_reason() -> None:
    rng = np.random.default_rng(4)
    shape = TipShape(10 * NM).raster(NM, 16)
    image = dilate(spikes(rng, 112), shape)[16:-16, 16:-16]
    noisy = image + 0.05 * NM * rng.normal(size=image.shape)
    found = blind_tip(noisy, 6, threshold=0.5 * NM)
    assert (found.shape <= shape[10:23, 10:23] + 0.1 * NM).all()
    assert found.noise == pytest.approx(0.05 * NM, rel=0.3)


@pytest.mark.parametrize("radius", [5.0, 15.0, 30.0])
def test_fit_finds_radii_of_five_to_thirty_nanometres(radius: float) -> None:
    rng = np.random.default_rng(int(radius))
    pitch = 1.5 * NM
    shape = TipShape(radius * NM, half_angle=0.3).raster(pitch, 32)
    image = dilate(1.5 * spikes(rng, 192), shape)[32:-32, 32:-32]
    noisy = image + 0.1 * NM * rng.normal(size=image.shape)
    tip = fit_single(Consistency.of(noisy, pitch), (1 * NM, 100 * NM))
    assert tip.radius == pytest.approx(radius * NM, rel=0.2)


def test_flat_image_says_nothing_of_its_tip() -> None:
    verdict = judge_tip(np.zeros((64, 64)), NM)
    assert verdict.state == "unsure"


def frame(image: np.ndarray, pitch: float = NM, units: str = "m") -> Signal:
    axes = {
        dim: Axis(pitch * np.arange(size), "m", "position")
        for dim, size in zip("yx", image.shape, strict=True)
    }
    return make_signal(image, axes, quantity="height", units=units)


def test_operator_gives_surface_certainty_and_tip() -> None:
    surface = spikes(np.random.default_rng(1), 64)
    tip = TipShape(8 * NM)
    image = dilate(surface, tip.raster(NM, 16))
    found = build("operators", "see-through-tip", radius=8 * NM)(frame(image))
    off = np.abs(found["height"].to_numpy() - surface)
    assert off.mean() < np.abs(image - surface).mean()
    assert off[found["certain"].to_numpy() > 0].max() < 1e-6 * NM
    assert '"state": "given"' in found["height"].attrs["state"] or found["height"].attrs["state"]


def test_impossible_tips_and_images_are_refused_by_name() -> None:
    flat = np.zeros((20, 20))
    with pytest.raises(SignalError, match="`tip`"):
        contacts(flat, np.zeros((2, 2)), 0.0)
    with pytest.raises(SignalError, match="`tip`"):
        contacts(flat, np.full((3, 3), -1.0), 0.0)
    with pytest.raises(SignalError, match="`image`"):
        contacts(np.full((20, 20), np.nan), np.zeros((3, 3)), 0.0)
    with pytest.raises(OutOfRange, match="`slack`"):
        contacts(flat, np.zeros((3, 3)), -1.0)
    with pytest.raises(OutOfRange, match="`half`"):
        blind_tip(flat, 10)
    for wrong in (
        {"radius": 0.0},
        {"radius": NM, "half_angle": 2.0},
        {"radius": NM, "aspect": 0.5},
    ):
        with pytest.raises(OutOfRange, match=f"`{list(wrong)[-1]}`"):
            TipShape(**wrong)


def test_heights_that_are_not_metres_are_refused() -> None:
    with pytest.raises(SignalError, match="metres"):
        SeeThroughTip(radius=NM)(frame(np.zeros((32, 32)), units="V"))


def test_noise_is_found_whatever_the_tilt() -> None:
    y, x = np.indices((128, 128))
    noise = np.random.default_rng(0).normal(0, 0.2, x.shape)
    assert estimate_noise(3.0 * x - y + noise) == pytest.approx(0.2, rel=0.05)


def test_refiner_stays_below_the_bound_and_leaves_certain_pixels_alone() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    tip = TipShape(30 * NM).raster(NM, 12)
    for seed in range(3):
        image = dilate(spikes(np.random.default_rng(seed), 70), tip)
        bound, certain = contacts(image, tip, slack=0.0)
        found = load_refiner()(image, tip, slack=0.0)
        said = ~np.isnan(found.height)
        assert (found.height[said] <= bound[said]).all()
        np.testing.assert_array_equal(found.height[certain], bound[certain])
        assert found.recoverable or not said[~certain].any()


def test_refiner_says_of_a_strange_image_that_it_is_strange() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    image = np.random.default_rng(0).normal(size=(64, 64)) * NM
    found = load_refiner()(image, TipShape(500 * NM).raster(NM, 20), slack=0.0)
    assert found.stranger
    assert not found.recoverable
