"""Descriptors of shapes whose descriptors are known."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import regionprops

from nanopilot.analysis.instances import describe_instances, outline, outlines
from nanopilot.core.errors import SignalError
from nanopilot.core.signals import Axis, make_signal

PITCH = 0.5e-9


def mask_signal(labels: Any, pitch: Any = (PITCH, PITCH), origin: Any = (0.0, 0.0)) -> Any:
    axes = {
        dim: Axis(start + step * np.arange(size), "m", "position")
        for dim, start, step, size in zip("yx", origin, pitch, labels.shape, strict=True)
    }
    return make_signal(labels, axes, quantity="label", units="1")


def plane(size: Any = 160) -> Any:
    y, x = np.mgrid[:size, :size]
    return x - (size / 2 - 0.3), y - (size / 2 + 0.2)


def one(labels: Any, **calibration: Any) -> Any:
    return describe_instances(mask_signal(labels.astype(int), **calibration)).isel(point=0)


def ellipse(major: Any, minor: Any, angle: Any) -> Any:
    x, y = plane()
    u = x * math.cos(angle) + y * math.sin(angle)
    v = -x * math.sin(angle) + y * math.cos(angle)
    return (u / major) ** 2 + (v / minor) ** 2 < 1


@pytest.mark.parametrize("radius", [10, 20, 50])
def test_a_disc_is_a_disc(radius: Any) -> None:
    x, y = plane()
    found = one(np.hypot(x, y) < radius)
    size = radius * PITCH
    assert float(found["area"]) == pytest.approx(math.pi * size**2, rel=0.01)
    assert float(found["equivalent_diameter"]) == pytest.approx(2 * size, rel=0.005)
    assert float(found["perimeter"]) == pytest.approx(2 * math.pi * size, rel=0.01)
    assert float(found["inverse_hu"]) == pytest.approx(2 * math.pi, rel=0.01)
    assert float(found["circularity"]) == pytest.approx(1, abs=0.015)
    assert float(found["solidity"]) == pytest.approx(1, abs=0.005)
    assert float(found["feret"]) == pytest.approx(2 * size, rel=0.02)
    assert float(found["aspect_ratio"]) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("angle", [-1.2, -0.4, 0.0, 0.5, 1.4])
def test_an_ellipse_has_its_axes_and_its_direction(angle: Any) -> None:
    found = one(ellipse(48, 24, angle))
    assert float(found["major_axis"]) == pytest.approx(96 * PITCH, rel=0.01)
    assert float(found["minor_axis"]) == pytest.approx(48 * PITCH, rel=0.01)
    assert float(found["aspect_ratio"]) == pytest.approx(2, rel=0.02)
    assert float(found["eccentricity"]) == pytest.approx(math.sqrt(0.75), rel=0.01)
    assert abs(math.sin(float(found["orientation"]) - angle)) < 0.01


def test_direction_is_axial_all_the_way_round() -> None:
    for angle in np.linspace(0, math.pi, 13):
        found = float(one(ellipse(40, 15, angle))["orientation"])
        assert -math.pi / 2 <= found <= math.pi / 2
        assert abs(math.sin(found - angle)) < 0.01


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.7])
def test_a_rectangle_has_its_feret_diameters_and_its_perimeter(angle: Any) -> None:
    x, y = plane()
    u = x * math.cos(angle) + y * math.sin(angle)
    v = -x * math.sin(angle) + y * math.cos(angle)
    found = one((np.abs(u) < 40) & (np.abs(v) < 20))
    assert float(found["perimeter"]) == pytest.approx(240 * PITCH, rel=0.02)
    assert float(found["feret"]) == pytest.approx(math.hypot(80, 40) * PITCH, rel=0.03)
    assert float(found["feret_min"]) == pytest.approx(40 * PITCH, rel=0.02)
    expected = 12 * 80 * 40 / (80**2 + 40**2)  # of a rectangle, by its moments
    assert float(found["inverse_hu"]) == pytest.approx(expected, rel=0.01)


def test_a_notch_is_neither_solid_nor_convex() -> None:
    x, y = plane()
    found = one((np.hypot(x, y) < 40) & ~((x > 0) & (np.abs(y) < 12)))
    assert float(found["solidity"]) < 0.92
    assert float(found["convexity"]) < 0.9
    assert float(found["circularity"]) < 0.65


def test_only_things_at_the_edge_are_flagged() -> None:
    labels = np.zeros((30, 40), int)
    labels[0:5, 10:15], labels[10:15, 10:15], labels[20:25, 36:40] = 1, 2, 3
    table = describe_instances(mask_signal(labels))
    assert table["border"].to_numpy().tolist() == [1.0, 0.0, 1.0]


def test_labels_may_be_wide_and_far_apart() -> None:
    labels = np.zeros((40, 40), np.int64)
    labels[2:8, 2:8], labels[20:30, 20:30] = 300, 2**40
    table = describe_instances(mask_signal(labels))
    assert table["label"].to_numpy().tolist() == [300, 2**40]
    assert table["area"].to_numpy() == pytest.approx(np.array([36, 100]) * PITCH**2)


def test_places_are_those_of_the_frame() -> None:
    labels = np.zeros((20, 30), int)
    labels[4:7, 10:15] = 1
    table = describe_instances(mask_signal(labels, origin=(1e-6, -2e-6)))
    assert float(table["x"][0]) == pytest.approx(-2e-6 + 12 * PITCH, abs=1e-15)
    assert float(table["y"][0]) == pytest.approx(1e-6 + 5 * PITCH, abs=1e-15)
    points = outlines(mask_signal(labels, origin=(1e-6, -2e-6)))[1]
    assert points.mean(axis=0) == pytest.approx([-2e-6 + 12 * PITCH, 1e-6 + 5 * PITCH], abs=1e-12)


def test_oblong_pixels_change_nothing_but_the_raster() -> None:
    y, x = np.mgrid[:100, :200]
    labels = (((x - 100) / 2) ** 2 + (y - 50.0) ** 2 < 30**2).astype(int)
    found = describe_instances(mask_signal(labels, pitch=(2 * PITCH, PITCH))).isel(point=0)
    assert float(found["aspect_ratio"]) == pytest.approx(1, abs=0.02)
    assert float(found["area"]) == pytest.approx(math.pi * (60 * PITCH) ** 2, rel=0.01)


def test_moments_agree_with_scikit_image() -> None:
    mask = ellipse(45, 17, 0.6)
    theirs = regionprops(mask.astype(int))[0]
    ours = one(mask)
    assert float(ours["major_axis"]) / PITCH == pytest.approx(theirs.axis_major_length, rel=1e-3)
    assert float(ours["minor_axis"]) / PITCH == pytest.approx(theirs.axis_minor_length, rel=1e-3)
    assert float(ours["eccentricity"]) == pytest.approx(theirs.eccentricity, rel=1e-3)


def test_shades_are_averaged_over_the_thing() -> None:
    labels = np.zeros((12, 12), int)
    labels[2:6, 2:6] = 1
    shade = mask_signal(np.arange(144.0).reshape(12, 12))
    table = describe_instances(mask_signal(labels), shade)
    inside = shade.to_numpy()[2:6, 2:6]
    assert float(table["mean"][0]) == pytest.approx(inside.mean())
    assert float(table["std"][0]) == pytest.approx(inside.std())


def test_nothing_gives_an_empty_table() -> None:
    assert describe_instances(mask_signal(np.zeros((8, 8), int))).sizes["point"] == 0


def test_a_single_pixel_and_a_line_have_an_outline() -> None:
    labels = np.zeros((12, 12), int)
    labels[5, 5], labels[8, 2:10] = 1, 2
    table = describe_instances(mask_signal(labels))
    assert np.isfinite(table["perimeter"]).all()
    assert table["area"].to_numpy() == pytest.approx(np.array([1, 8]) * PITCH**2)


@given(st.integers(2, 30), st.integers(2, 30))
def test_the_outline_holds_the_area_of_the_pixels(rows: Any, columns: Any) -> None:
    points = outline(np.ones((rows, columns), bool))
    x, y = points.T
    area = 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    assert area == pytest.approx(rows * columns, rel=1e-6)


@pytest.mark.parametrize(
    ("labels", "said"),
    [(np.zeros((8, 8)), "whole numbers"), (np.full((8, 8), -1), "negative")],
)
def test_what_is_no_mask_is_refused(labels: Any, said: Any) -> None:
    with pytest.raises(SignalError, match=said):
        describe_instances(mask_signal(labels))


def test_an_intensity_of_another_shape_is_refused() -> None:
    with pytest.raises(SignalError, match="intensity"):
        describe_instances(mask_signal(np.ones((8, 8), int)), mask_signal(np.ones((8, 9))))
