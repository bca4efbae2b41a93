"""Frames at another pixel size: what must be kept is kept, and what is absurd is refused."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis.rescaling import pixel_sizes, rescale
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, make_signal, metadata

PITCH = 1e-9


def framed(
    values: np.ndarray, pitch: tuple[float, float] = (PITCH, PITCH), start: float = 3e-7
) -> Signal:
    axes = {
        dim: Axis(start + np.arange(size) * step, "m", "position")
        for dim, size, step in zip(("y", "x"), values.shape, pitch, strict=True)
    }
    return make_signal(values, axes, quantity="height", units="m", metadata={"seed": 3})


def slow(values: np.ndarray, now: int) -> np.ndarray:
    """Return means over new pixels of one line, by adding up a fine drawing of the parabolas."""
    was, fine = len(values), 4000
    padded = np.concatenate([values[:1], values, values[-1:]])
    left, right = (padded[:-2] + values) / 2, (padded[2:] + values) / 2
    place = (np.arange(was * fine) + 0.5) / fine
    pixel, t = place.astype(int), place % 1
    bend = 6 * (values - (left + right) / 2)
    drawn = left[pixel] + t * (right - left)[pixel] + bend[pixel] * t * (1 - t)
    owner = np.minimum((place * now / was).astype(int), now - 1)
    return np.bincount(owner, drawn, now) / np.bincount(owner, minlength=now)


@pytest.mark.parametrize("now", [9, 8, 13, 16, 21, 40])
def test_new_pixels_are_the_means_of_parabolas(now: int) -> None:
    line = np.random.default_rng(0).normal(size=16)
    found = rescale(framed(np.tile(line[:, None], (1, 16))), 16 * PITCH / now)
    np.testing.assert_allclose(found.frame[:, 0], slow(line, now), atol=2e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(10, 60), st.integers(10, 60), st.floats(0.3, 3.0), st.integers(0, 100))
def test_mean_offset_gain_and_area_are_kept(
    rows: int, columns: int, times: float, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(size=(rows, columns))
    if min(rows, columns) / times < 8:
        times = 1.0
    first = framed(values)
    found = rescale(first, times * PITCH).frame
    assert float(found.mean()) == pytest.approx(values.mean(), abs=1e-12)
    moved = rescale(framed(3 * values + 5), times * PITCH).frame
    np.testing.assert_allclose(moved, 3 * found + 5, atol=1e-9)
    for dim in ("y", "x"):
        steps = [float(one[dim][1] - one[dim][0]) for one in (first, found)]
        for edge, sign in ((0, -1), (-1, 1)):
            ends = [
                float(one[dim][edge]) + sign * step / 2
                for one, step in zip((first, found), steps, strict=True)
            ]
            assert ends[0] == pytest.approx(ends[1], abs=1e-9 * PITCH + 1e-20)


def test_whole_times_are_plain_means() -> None:
    values = np.random.default_rng(0).normal(size=(24, 36))
    found = rescale(framed(values), 3 * PITCH)
    np.testing.assert_allclose(found.frame, values.reshape(8, 3, 12, 3).mean(axis=(1, 3)))
    assert found.factors == (3.0, 3.0)


def test_straight_slopes_stay_straight_inside() -> None:
    y, x = np.mgrid[:40, :40].astype(float)
    for times in (0.37, 1.7, 2.3):
        found = rescale(framed(2 * y - 3 * x), times * PITCH).frame
        places = [(found[dim].to_numpy() - 3e-7) / PITCH for dim in ("y", "x")]
        wanted = 2 * places[0][:, None] - 3 * places[1]
        inner = slice(4, -4)
        np.testing.assert_allclose(found[inner, inner], wanted[inner, inner], atol=1e-6)


def test_waves_too_fine_for_the_new_pixels_do_not_come_back_as_coarse_ones() -> None:
    x = np.arange(512)
    # 0.45 cycles per pixel: taking every fourth pixel would show 0.2 cycles per new pixel.
    fine = framed(np.tile(np.cos(2 * np.pi * 0.45 * x), (512, 1)))
    found = rescale(fine, 4 * PITCH).frame.to_numpy()
    assert np.abs(found).max() < 0.25
    assert np.abs(fine.to_numpy()[:, ::4]).max() > 0.9


def test_noise_of_shrunk_frames_falls_as_the_root_of_the_area() -> None:
    noise = np.random.default_rng(0).normal(size=(600, 600))
    assert float(rescale(framed(noise), 5 * PITCH).frame.std()) == pytest.approx(0.2, rel=0.03)


def test_oblong_pixels_become_square_and_turned_frames_are_the_same() -> None:
    values = np.random.default_rng(0).normal(size=(30, 80))
    frame = framed(values, pitch=(4e-9, 1.5e-9))
    assert pixel_sizes(frame) == pytest.approx((4e-9, 1.5e-9))
    found = rescale(frame, 3e-9)
    assert found.frame.shape == (40, 40)
    assert pixel_sizes(found.frame) == pytest.approx((3e-9, 3e-9))
    np.testing.assert_array_equal(rescale(frame.transpose("x", "y"), 3e-9).frame, found.frame)
    backwards = rescale(frame[::-1], 3e-9).frame
    np.testing.assert_allclose(backwards[::-1], found.frame, atol=1e-12)
    np.testing.assert_allclose(backwards["y"][::-1], found.frame["y"])


def test_what_is_known_of_a_frame_and_its_type_stay() -> None:
    frame = framed(np.ones((20, 20), dtype=np.float32)).rename("z")
    found = rescale(frame, 2 * PITCH).frame
    assert found.dtype == np.float32
    assert found.name == "z"
    assert metadata(found) == {"seed": 3}
    assert (found.attrs["quantity"], found.attrs["units"]) == ("height", "m")
    same = rescale(frame, PITCH)
    np.testing.assert_array_equal(same.frame, frame)
    assert same.frame.to_numpy() is not frame.to_numpy()
    assert rescale(framed(np.ones((20, 20), dtype=np.int32)), 2 * PITCH).frame.dtype == np.float64


def test_places_go_there_and_back() -> None:
    y, x = np.mgrid[:60, :90].astype(float)
    blob = np.exp(-((y - 21.3) ** 2 + (x - 47.8) ** 2) / (2 * 5**2))
    for times in (0.5, 2.0, 3.1):
        found = rescale(framed(blob), times * PITCH)
        rows, columns = np.indices(found.frame.shape)
        weight = found.frame.to_numpy() / float(found.frame.sum())
        seen = [[float((rows * weight).sum()), float((columns * weight).sum())]]
        np.testing.assert_allclose(found.points_back(seen), [[21.3, 47.8]], atol=0.05)
        places = np.random.default_rng(0).uniform(0, 50, (20, 2))
        np.testing.assert_allclose(found.points_back(found.points_there(places)), places)
    assert found.points_back(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("times", [0.4, 1.0, 2.0, 2.7])
def test_labels_come_back_to_the_pixels_they_lie_in(times: float) -> None:
    y, x = np.mgrid[:64, :48]
    truth = 1 + (y > 30) + 2 * (x > 20)
    found = rescale(framed(truth.astype(float)), times * PITCH)
    seen = np.rint(found.frame.to_numpy()).astype(np.int32)
    back = found.labels_back(seen)
    assert back.shape == truth.shape
    assert back.dtype == np.int32
    wrong = back != truth
    # Wrong next to the borders only.
    assert not wrong[(np.abs(y - 30.5) > times + 1) & (np.abs(x - 20.5) > times + 1)].any()
    assert found.labels_back(seen > 1).dtype == bool
    with pytest.raises(OutOfRange, match="`labels` has shape"):
        found.labels_back(seen[1:])


def test_a_pixel_that_is_not_finite_spoils_its_neighbours_and_no_more() -> None:
    values = np.ones((60, 60))
    values[30, 30] = np.nan
    found = rescale(framed(values), 3 * PITCH).frame.to_numpy()
    assert np.isnan(found).sum() == 1
    finer = rescale(framed(values), PITCH / 2).frame.to_numpy()
    assert 4 <= np.isnan(finer).sum() <= 64
    assert np.isfinite(finer[:50]).all()


def test_memory_is_that_of_the_result_and_a_band() -> None:
    large = framed(np.zeros((6000, 4000), dtype=np.float32))
    tracemalloc.start()
    rescale(large, 4 * PITCH)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All of it in double precision would be 192 MB.
    assert most < 120e6


def test_bands_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(101, 67))
    whole = {times: rescale(framed(values), times * PITCH).frame for times in (0.6, 2.9)}
    monkeypatch.setattr("nanopilot.analysis.rescaling._AT_ONCE", 300)
    for times, wanted in whole.items():
        np.testing.assert_allclose(rescale(framed(values), times * PITCH).frame, wanted, atol=1e-13)


def test_what_makes_no_sense_is_refused_with_the_way_out() -> None:
    frame = framed(np.zeros((100, 100)))
    for wrong in (0.0, -1e-9, np.nan, np.inf):
        with pytest.raises(OutOfRange, match="`pixel_size` is"):
            rescale(frame, wrong)
    with pytest.raises(OutOfRange, match=r"1e\+03 times another size.*coordinates are in metres"):
        rescale(frame, 1e-6)
    with pytest.raises(OutOfRange, match="2 x 2 pixels would come of"):
        rescale(frame, 5e-8)
    with pytest.raises(OutOfRange, match="pixels would come of"):
        rescale(framed(np.zeros((400, 16000), dtype=np.float32)), PITCH / 9)
    with pytest.raises(SignalError, match="dims"):
        rescale(frame.isel(y=0), 2e-9)
    with pytest.raises(SignalError, match="`y` has 1 pixels"):
        rescale(frame[:1], 2e-9)
    places = np.arange(100) * PITCH
    places[50:] += 5 * PITCH
    with pytest.raises(SignalError, match="not evenly sampled"):
        rescale(frame.assign_coords(y=("y", places, frame["y"].attrs)), 2e-9)
