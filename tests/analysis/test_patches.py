"""Patches and their components: true centres, honest edges, no spike in charge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from nanopilot.analysis import PatchPCA, StructureFeatures
from nanopilot.analysis.patches import (
    Window,
    principal_components,
    robust_scale,
    sample_patches,
)
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Axis, Signal, make_signal


def image(values: FloatArray, pitch: float = 10e-9) -> Signal:
    axes = {
        dim: Axis(pitch * np.arange(size), "m", "position")
        for dim, size in zip(("y", "x"), values.shape, strict=True)
    }
    return make_signal(values, axes, quantity="piezoresponse", units="a.u.")


def bumpy(seed: int = 0, shape: tuple[int, int] = (12, 15)) -> FloatArray:
    return np.random.default_rng(seed).normal(size=shape).cumsum(axis=0)


@given(st.integers(0, 99), st.sampled_from([(1, 1), (3, 3), (5, 3), (7, 7)]))
def test_patch_is_what_lies_round_its_pixel(seed: int, shape: tuple[int, int]) -> None:
    values = bumpy(seed)
    patches = sample_patches(values, shape).reshape(*values.shape, *shape)
    half = shape[0] // 2, shape[1] // 2
    np.testing.assert_array_equal(patches[:, :, half[0], half[1]], values)
    inner = patches[6, 7]
    whole = values[6 - half[0] : 7 + half[0], 7 - half[1] : 8 + half[1]]
    np.testing.assert_array_equal(inner, whole)


def test_edges_are_continued_by_reflection() -> None:
    corner = sample_patches(np.arange(16.0).reshape(4, 4), (3, 3))[0].reshape(3, 3)
    np.testing.assert_array_equal(corner, [[5, 4, 5], [1, 0, 1], [5, 4, 5]])


@pytest.mark.parametrize(("metres", "pixels"), [(50e-9, 5), (52e-9, 5), (71e-9, 7), (1e-9, 3)])
def test_window_in_metres_becomes_the_nearest_odd_number_of_pixels(
    metres: float, pixels: int
) -> None:
    assert Window(metres=metres).shape(image(bumpy())) == (pixels, pixels)


@pytest.mark.parametrize("pixels", [4, 0, 13, -3])
def test_window_that_is_even_or_too_large_is_refused(pixels: int) -> None:
    with pytest.raises(OutOfRange, match="window"):
        PatchPCA(window=pixels)(image(bumpy()))


def test_components_are_those_of_scikit_learn() -> None:
    rows = sample_patches(bumpy(), (3, 3))
    ours = principal_components(rows, 4, np.ones(len(rows), dtype=bool))
    theirs = PCA(4, svd_solver="full").fit_transform(rows)
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs * signs, atol=1e-8)


@given(st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_distances_of_all_components_are_distances_of_patches(seed: int) -> None:
    values = bumpy(seed)
    patches = sample_patches(robust_scale(values), (3, 3))
    found = PatchPCA(window=3, components=9)(image(values)).values
    near, far = (np.linalg.norm(rows[:50] - rows[50:100], axis=1) for rows in (found, patches))
    np.testing.assert_allclose(near / near[0], far / far[0], rtol=1e-6)


def test_order_of_the_pixels_does_not_flip_the_sign_of_a_component() -> None:
    rows = sample_patches(bumpy(), (3, 3))
    every = np.ones(len(rows), dtype=bool)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(9)
        np.testing.assert_allclose(
            principal_components(rows[:, order], 9, every),
            principal_components(rows, 9, every),
            atol=1e-8,
        )


def test_sign_of_a_component_does_not_flip() -> None:
    values = bumpy()
    first = PatchPCA()(image(values)).values
    np.testing.assert_array_equal(first, PatchPCA()(image(values.copy())).values)
    slightly = PatchPCA()(image(values + 1e-9)).values
    np.testing.assert_allclose(first, slightly, atol=1e-5)


@given(st.floats(0.01, 100.0), st.floats(-10.0, 10.0), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_gain_and_offset_of_the_detector_do_not_matter(
    gain: float, offset: float, seed: int
) -> None:
    values = bumpy(seed)
    plain, scaled = (StructureFeatures()(image(v)) for v in (values, gain * values + offset))
    np.testing.assert_allclose(plain.values, scaled.values, atol=1e-5)


def test_spikes_a_hundred_times_the_signal_stay_in_bounds() -> None:
    values = np.random.default_rng(0).normal(size=(40, 40))
    spiked = values.copy()
    spiked[np.random.default_rng(1).random(values.shape) < 0.02] = 100.0
    scaled, clean = robust_scale(spiked), robust_scale(values)
    assert np.abs(scaled).max() < 8
    untouched = spiked == values
    np.testing.assert_allclose(scaled[untouched], clean[untouched], atol=0.1)


def test_image_without_contrast_has_features_of_zero() -> None:
    table = StructureFeatures()(image(np.full((10, 10), 3.0)))
    structure = np.array(table.groups) == "structure"
    np.testing.assert_array_equal(table.values[:, structure], 0.0)


def test_sites_whose_patch_touches_a_gap_are_flagged() -> None:
    values = bumpy()
    values[5, 5] = np.nan
    operator = StructureFeatures(window=3)
    flagged = operator.flagged(image(values)).reshape(values.shape)
    expected = np.zeros_like(flagged)
    expected[4:7, 4:7] = True
    np.testing.assert_array_equal(flagged, expected)
    assert np.isfinite(operator(image(values)).values).all()


def test_components_are_not_learned_from_gaps() -> None:
    values = bumpy(shape=(20, 20))
    broken = values.copy()
    broken[:3, :] = np.nan
    whole, rest = PatchPCA(window=3)(image(values)), PatchPCA(window=3)(image(broken))
    assert whole.names == rest.names
    assert np.isfinite(rest.values).all()


def test_table_speaks_of_structure_and_of_position() -> None:
    values = bumpy(shape=(10, 20))
    operator = StructureFeatures(window=5, components=4)
    table = operator(image(values))
    assert len(table) == 200
    assert table.groups == ("structure",) * 6 + ("position",) * 2
    places = operator.sites(image(values))
    own = table.values[:, -2:]
    ratio = np.linalg.norm(own[0] - own[150]) / np.linalg.norm(places[0] - places[150])
    assert np.linalg.norm(own[3] - own[99]) == pytest.approx(
        ratio * np.linalg.norm(places[3] - places[99])
    )
    np.testing.assert_allclose(table.values[:, 4:].mean(axis=0), 0, atol=1e-12)


def test_number_of_threads_does_not_show_in_the_features() -> None:
    picture = image(bumpy(shape=(85, 85)))

    def found(threads: int) -> FloatArray:
        with threadpool_limits(threads):
            return StructureFeatures()(picture).values

    np.testing.assert_array_equal(found(1), found(2))


def test_axes_may_come_in_any_order() -> None:
    upright = image(bumpy())
    np.testing.assert_array_equal(PatchPCA()(upright).values, PatchPCA()(upright.T).values)


@pytest.mark.parametrize(
    "signal",
    [
        image(np.full((9, 9), np.nan)),
        image(bumpy()).isel(y=0, drop=True),
    ],
)
def test_signal_that_is_no_image_is_refused(signal: Signal) -> None:
    with pytest.raises(SignalError, match="image"):
        PatchPCA()(signal)
