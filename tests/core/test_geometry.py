"""Where a scan goes, in which order, and when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nanopilot.core.geometry import corners, own_axes, path, places, visit_times
from nanopilot.core.requests import ScanRequest

shapes = st.tuples(st.integers(1, 7), st.integers(1, 7))
lengths = st.floats(0, 1e-6)
angles = st.floats(-7, 7)
orders = st.sampled_from(["raster", "serpentine", "spiral"])


def scan(shape: tuple[int, int], **more: object) -> ScanRequest:
    settings = {"centre": (2e-7, -1e-7), "field_of_view": (4e-7, 3e-7), "shape": shape} | more
    return ScanRequest(**settings)  # type: ignore[arg-type]


@given(shapes, orders)
def test_every_pixel_is_visited_once(shape: tuple[int, int], order: str) -> None:
    visited = path(scan(shape, order=order))
    assert sorted(visited) == list(range(shape[0] * shape[1]))


@given(shapes)
def test_serpentine_and_spiral_move_to_pixels_nearby(shape: tuple[int, int]) -> None:
    steps = np.diff(np.divmod(path(scan(shape, order="serpentine")), shape[1]), axis=1)
    assert (np.abs(steps).sum(axis=0) == 1).all()
    row, column = np.divmod(path(scan(shape, order="spiral")), shape[1])
    ring = np.maximum(np.abs(row - (shape[0] - 1) / 2), np.abs(column - (shape[1] - 1) / 2))
    assert (np.diff(ring) >= 0).all()


@given(shapes, lengths, lengths, angles)
def test_every_place_lies_within_the_corners(
    shape: tuple[int, int], width: float, height: float, rotation: float
) -> None:
    request = scan(shape, field_of_view=(width, height), rotation=rotation)
    edge = corners(request)
    for axis in (0, 1):
        assert places(request)[:, axis].min() >= edge[:, axis].min() - 1e-18
        assert places(request)[:, axis].max() <= edge[:, axis].max() + 1e-18


def test_scan_turns_counter_clockwise_about_its_centre() -> None:
    request = scan((1, 2), centre=(1.0, 2.0), field_of_view=(2.0, 0.0), rotation=np.pi / 2)
    np.testing.assert_allclose(places(request), [(1.0, 1.0), (1.0, 3.0)], atol=1e-12)


def test_unturned_places_are_the_axes() -> None:
    request = scan((3, 4))
    x, y = own_axes(request)
    np.testing.assert_array_equal(places(request)[:, 0].reshape(3, 4), np.tile(x, (3, 1)))
    np.testing.assert_array_equal(places(request)[:, 1].reshape(3, 4), np.tile(y, (4, 1)).T)


@given(shapes, orders, st.floats(0.1, 100))
def test_times_ascend_along_the_path_and_fill_the_frame(
    shape: tuple[int, int], order: str, seconds: float
) -> None:
    request = scan(shape, order=order)
    times = visit_times(request, seconds).ravel()[path(request)]
    assert times[0] > 0
    assert times[-1] < seconds
    np.testing.assert_allclose(np.diff(times), seconds / times.size)


def test_lines_that_are_skipped_have_no_time() -> None:
    times = visit_times(scan((4, 3), order="lines", lines=(1, 2)), 6.0)
    assert np.isnan(times[[0, 3]]).all()
    np.testing.assert_allclose(times[1:3].ravel(), np.arange(6) + 0.5)


@pytest.mark.parametrize(
    "more",
    [
        {"order": "lines"},
        {"lines": (1,)},
        {"order": "lines", "lines": (4,)},
        {"order": "lines", "lines": (2, 1)},
        {"order": "lines", "lines": (1, 1)},
        {"order": "points"},
        {"dwell_time": 1.0, "line_rate": 1.0},
    ],
)
def test_contradictions_are_refused(more: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        scan((4, 3), **more)
