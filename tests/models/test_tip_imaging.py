"""Imaging by a tip equals its definition, and what follows from it holds for every surface."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import grey_dilation

from nanopilot.core.errors import SignalError
from nanopilot.models.tip_imaging import dilate, erode

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

heights = st.floats(-1e-6, 1e-6, allow_subnormal=False)
surfaces = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=heights)
)
tips = st.tuples(st.sampled_from([1, 3, 5, 9]), st.sampled_from([1, 3, 7])).flatmap(
    lambda shape: arrays(
        np.float64, shape, elements=st.one_of(st.floats(0, 1e-6), st.just(np.inf))
    ).map(with_apex)
)


def with_apex(tip: FloatArray) -> FloatArray:
    tip = tip.copy()
    tip[tip.shape[0] // 2, tip.shape[1] // 2] = 0.0
    return tip


def slowly(surface: FloatArray, tip: FloatArray) -> FloatArray:
    """Let the tip down on every pixel and see what it touches first."""
    rows, columns = surface.shape
    image = np.full(surface.shape, -np.inf)
    for i, j in np.ndindex(rows, columns):
        for u, v in np.ndindex(tip.shape):
            k, m = i + u - tip.shape[0] // 2, j + v - tip.shape[1] // 2
            if 0 <= k < rows and 0 <= m < columns:
                image[i, j] = max(image[i, j], surface[k, m] - tip[u, v])
    return image


@settings(max_examples=150, deadline=None)
@given(surface=surfaces, tip=tips)
def test_dilation_equals_brute_force(surface: FloatArray, tip: FloatArray) -> None:
    np.testing.assert_allclose(dilate(surface, tip), slowly(surface, tip), rtol=0, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(surface=surfaces, tip=tips, lift=st.floats(-1e-6, 1e-6))
def test_an_image_lies_on_or_above_the_surface_and_moves_with_it(
    surface: FloatArray, tip: FloatArray, lift: float
) -> None:
    image = dilate(surface, tip)
    assert (image >= surface).all()
    assert image.max() == surface.max()
    np.testing.assert_allclose(dilate(surface + lift, tip), image + lift, atol=1e-18)
    assert (dilate(surface + np.abs(surface), tip) >= image).all()


@settings(max_examples=100, deadline=None)
@given(surface=surfaces, tip=tips)
def test_erosion_gives_the_highest_surface_with_that_image(
    surface: FloatArray, tip: FloatArray
) -> None:
    image = dilate(surface, tip)
    eroded = erode(image, tip)
    slack = 1e-20 + 1e-15 * np.abs(surface).max()
    assert (eroded >= surface - slack).all()
    assert (eroded <= image + slack).all()
    np.testing.assert_allclose(dilate(eroded, tip), image, rtol=0, atol=4 * slack)


@settings(max_examples=60, deadline=None)
@given(surface=surfaces)
def test_an_infinitely_sharp_tip_changes_no_byte(surface: FloatArray) -> None:
    sharp = np.full((5, 5), np.inf)
    sharp[2, 2] = 0.0
    assert dilate(surface, sharp).tobytes() == surface.tobytes()
    assert (erode(surface, sharp) == surface).all()


@settings(max_examples=60, deadline=None)
@given(surface=surfaces, first=tips, second=tips)
def test_the_image_of_two_bodies_is_the_higher_of_their_images(
    surface: FloatArray, first: FloatArray, second: FloatArray
) -> None:
    up, right = (max(one.shape[k] for one in (first, second)) // 2 for k in (0, 1))
    wide = [
        np.pad(one, [(up - one.shape[0] // 2,) * 2, (right - one.shape[1] // 2,) * 2],
               constant_values=np.inf)
        for one in (first, second)
    ]  # fmt: skip
    both = np.maximum(dilate(surface, wide[0]), dilate(surface, wide[1]))
    np.testing.assert_array_equal(dilate(surface, np.minimum(*wide)), both)


@pytest.mark.parametrize("shape", [(64, 200), (1, 300), (300, 1), (5, 7)])
def test_large_arrays_of_single_precision_equal_scipy(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    surface = rng.normal(0, 1e-8, shape).astype(np.float32)
    tip = with_apex(rng.uniform(0, 3e-8, (31, 21))).astype(np.float32)
    image = dilate(surface, tip)
    assert image.dtype == np.float32
    expected = grey_dilation(surface, structure=-tip[::-1, ::-1], mode="constant", cval=-1e9)
    np.testing.assert_array_equal(image, expected)


def test_the_input_is_left_alone_and_integers_are_heights_too() -> None:
    surface, tip = np.arange(12).reshape(3, 4), np.array([[1, 0, 1]])
    before = surface.copy()
    image = dilate(surface, tip)
    assert image.dtype == np.float64
    np.testing.assert_array_equal(surface, before)
    np.testing.assert_array_equal(image, slowly(surface.astype(float), tip.astype(float)))


GOOD = np.zeros((4, 4))


@pytest.mark.parametrize(
    ("surface", "tip", "says"),
    [
        (np.array([[0.0, np.nan]]), np.zeros((1, 1)), "`surface` .* 1 values"),
        (np.array([[0.0, np.inf]]), np.zeros((1, 1)), "`surface`"),
        (np.zeros(5), np.zeros((1, 1)), "`surface` has shape \\(5,\\)"),
        (GOOD, np.zeros((2, 3)), "`tip` has shape \\(2, 3\\)"),
        (GOOD, np.zeros(3), "`tip`"),
        (GOOD, np.full((3, 3), np.nan), "`tip`"),
        (GOOD, np.full((3, 3), np.inf), "`tip`"),
        (GOOD, np.zeros((0, 0)), "`tip`"),
    ],
)
def test_what_is_no_surface_or_no_tip_is_refused(
    surface: FloatArray, tip: FloatArray, says: str
) -> None:
    with pytest.raises(SignalError, match=says):
        dilate(surface, tip)
