"""Grains are told apart alike from every side, at every size, and with doubts where they belong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis.grains import (
    CellposeSegmenter,
    SegmentGrains,
    Stability,
    axial_mean,
    evenness,
    segment_with,
    stability,
)
from nanopilot.analysis.grains.classical import certainty_of
from nanopilot.analysis.grains.flattening import flatten, noise_of
from nanopilot.analysis.grains.merging import Evidence, merge_regions
from nanopilot.analysis.grains.poses import POSES, canonical, posed, unposed
from nanopilot.analysis.grains.preparing import prepare
from nanopilot.analysis.grains.scale import DIAMETERS, correlation_length, usual_diameter
from nanopilot.analysis.grains.substrate import find_substrate
from nanopilot.bench.grain_frames import draw_scene
from nanopilot.bench.grain_scores import compare
from nanopilot.core.errors import MissingExtra, OutOfRange, SignalError
from nanopilot.core.registry import build
from nanopilot.core.signals import Axis, Signal, make_signal

NM = 1e-9
DATA = Path(__file__).parents[3] / "shared" / "data"
CLASSICAL = SegmentGrains("classical")


def frame(values: Any, dy: float = 10 * NM, dx: float = 10 * NM) -> Signal:
    values = np.asarray(values, dtype=float)
    y, x = (
        Axis(step * np.arange(float(size)), "m", "position")
        for step, size in zip((dy, dx), values.shape, strict=True)
    )
    return make_signal(values, {"y": y, "x": x}, quantity="height", units="m")


@pytest.fixture(scope="module")
def caps() -> Any:
    return draw_scene("caps", np.random.default_rng(1010), snr=20.0)


@pytest.mark.parametrize("kind", ["twin", "caps", "terraced"])
def test_grains_of_known_surfaces_are_found_and_sized(kind: str) -> None:
    scene = draw_scene(kind, np.random.default_rng(1011), snr=15.0)
    found = CLASSICAL(scene.frame)
    said = compare(found.labels.to_numpy(), scene.labels)
    assert said["ap50"] > 0.85
    assert said["count_error"] < 0.06
    assert said["diameter_error"] < 0.05
    assert found.method == "classical"
    assert math.isnan(found.strangeness)


def test_substrate_is_no_grain() -> None:
    scene = draw_scene("islands", np.random.default_rng(1007), snr=25.0)
    found = CLASSICAL(scene.frame).labels.to_numpy()
    assert np.mean(found[scene.labels == 0] == 0) > 0.75
    assert np.mean(found[scene.labels > 0] > 0) > 0.95
    assert 0 not in CLASSICAL(scene.frame).table["label"]


def test_where_all_is_grains_no_substrate_is_seen(caps: Any) -> None:
    level = flatten(caps.frame.to_numpy())
    assert find_substrate(level, caps.diameter, noise_of(level)) is None
    assert find_substrate(np.zeros((40, 40)), 10.0, 0.0) is None


@pytest.mark.parametrize("pose", POSES[1:])
def test_a_turned_frame_has_the_same_grains_to_the_pixel(caps: Any, pose: Any) -> None:
    values = caps.frame.to_numpy()[:90, :120]
    first, second = (
        CLASSICAL(frame(one)).labels.to_numpy() for one in (values, posed(values, pose))
    )
    back = unposed(second, pose)
    pairs = np.unique(np.stack([first.ravel(), back.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(first)) == len(np.unique(back))


@pytest.mark.parametrize("pose", POSES)
def test_every_pose_is_undone_and_one_of_the_eight_is_chosen(pose: Any) -> None:
    image = np.random.default_rng(0).random((3, 5, 7))
    np.testing.assert_array_equal(unposed(posed(image, pose), pose), image)
    own = posed(image[0], canonical(image[0]))
    laid = posed(image[0], pose)
    np.testing.assert_array_equal(posed(laid, canonical(laid)), own)


def test_scan_lines_go_whichever_axis_they_run_along(caps: Any) -> None:
    values = caps.frame.to_numpy()
    jumps = 3 * values.std() * np.random.default_rng(0).standard_normal(values.shape[0])
    clean = flatten(values)
    for lined, turned in ((values + jumps[:, None], False), ((values + jumps[:, None]).T, True)):
        level = flatten(lined)
        level = level.T if turned else level
        assert np.corrcoef(level.ravel(), clean.ravel())[0, 1] > 0.98


@settings(max_examples=20, deadline=None)
@given(slopes=st.tuples(st.floats(-50, 50), st.floats(-50, 50), st.floats(-20, 20)),
       scale=st.sampled_from([1e-10, 1e-6, 1.0]), offset=st.floats(-100, 100))  # fmt: skip
def test_tilt_bow_offset_and_unit_are_no_matter(
    slopes: tuple[float, float, float], scale: float, offset: float
) -> None:
    values = np.random.default_rng(0).standard_normal((24, 30))
    y, x = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 30), indexing="ij")
    ground = slopes[0] * x + slopes[1] * y + slopes[2] * x * y + offset
    np.testing.assert_allclose(
        flatten(scale * (values + ground)) / scale, flatten(values), atol=1e-9
    )


def test_heights_of_either_sign_give_the_same_grains(caps: Any) -> None:
    values = caps.frame.to_numpy()[:100, :100]
    counts = [CLASSICAL(frame(values + lift)).count for lift in (-1e-6, 0.0, 1e-6)]
    assert len(set(counts)) == 1


def test_sizes_scale_with_the_pixel_and_numbers_without_unit_do_not(caps: Any) -> None:
    values = caps.frame.to_numpy()
    small, large = (CLASSICAL(frame(values, step, step)) for step in (NM, 1000 * NM))
    np.testing.assert_allclose(large.diameters, 1000 * small.diameters, rtol=1e-9)
    np.testing.assert_allclose(large.boundaries.lengths, 1000 * small.boundaries.lengths, rtol=1e-9)
    even = [evenness(np.stack([one.table["x"], one.table["y"]], -1)) for one in (small, large)]
    assert even[0] == pytest.approx(even[1], rel=1e-9)
    np.testing.assert_allclose(small.table["eccentricity"], large.table["eccentricity"], rtol=1e-7)


def test_oblong_pixels_give_the_grains_of_square_ones(caps: Any) -> None:
    values = caps.frame.to_numpy()[:140, :140]
    rows = values.reshape(70, 2, 140).mean(axis=1)
    square, oblong = CLASSICAL(frame(values)), CLASSICAL(frame(rows, 20 * NM, 10 * NM))
    assert oblong.labels.shape == (70, 140)
    assert oblong.count == pytest.approx(square.count, rel=0.15)
    assert oblong.diameters.mean() == pytest.approx(square.diameters.mean(), rel=0.08)
    assert oblong.table["certainty"].size == oblong.count


def test_grains_cut_by_the_edge_have_no_size(caps: Any) -> None:
    found = CLASSICAL(caps.frame)
    labels = found.labels.to_numpy()
    edge = set(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])) - {0}
    cut = set(found.table["label"].to_numpy()[~found.whole].tolist())
    assert cut == {int(one) for one in edge}
    assert found.diameters.size == found.count - len(cut)


def test_a_gap_cuts_as_the_edge_does_and_is_doubted(caps: Any) -> None:
    values = caps.frame.to_numpy().copy()
    values[:30] = np.nan
    found = CLASSICAL(frame(values))
    labels = found.labels.to_numpy()
    assert (labels[:30] == 0).all()
    beside = set(labels[30][labels[30] > 0].tolist())
    assert beside <= set(found.table["label"].to_numpy()[~found.whole].tolist())
    assert any("not measured" in one for one in found.doubts)


@pytest.mark.parametrize("turns", range(0, 180, 20))
def test_the_direction_of_an_ellipse_turns_with_it(turns: int) -> None:
    from nanopilot.analysis.grains import from_mask

    angle = math.radians(turns)
    y, x = np.indices((80, 80)) - 39.5
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    mask = frame(np.zeros((80, 80))).copy(data=((along / 30) ** 2 + (across / 12) ** 2 < 1) * 1)
    mask.attrs = {"quantity": "label", "units": "1"}
    found = float(from_mask(mask, frame(np.zeros((80, 80)))).table["orientation"][0])
    assert abs((found - angle + np.pi / 2) % np.pi - np.pi / 2) < math.radians(1)


def test_axes_on_both_sides_of_the_cut_have_a_mean_between_them() -> None:
    mean, agree = axial_mean(np.radians([88.0, -88.0]))
    assert abs(mean) == pytest.approx(math.pi / 2)
    assert agree > 0.99
    _, none = axial_mean(np.radians([0.0, 90.0]))
    assert none == pytest.approx(0, abs=1e-12)
    assert math.isnan(axial_mean(np.zeros(0))[0])


def test_evenness_is_1_on_a_lattice_and_less_at_random() -> None:
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(40)), -1).reshape(-1, 2)
    assert evenness(grid) > 0.97
    assert evenness(np.random.default_rng(0).random((1600, 2))) < 0.95
    assert math.isnan(evenness(grid[:4]))


def test_the_correlation_length_is_that_of_a_gaussian_and_blind_to_noise() -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.standard_normal((400, 400)), 5.0, mode="wrap")
    # exp(-r² / 4 s²) is 1/e at r = 2 s.
    assert correlation_length(smooth) == pytest.approx(10.0, rel=0.1)
    noisy = smooth + smooth.std() * rng.standard_normal(smooth.shape)
    assert correlation_length(noisy) == pytest.approx(10.0, rel=0.1)
    assert noise_of(noisy) == pytest.approx(smooth.std(), rel=0.03)


def test_regions_are_merged_from_the_weakest_boundary_on_and_small_ones_anyway() -> None:
    labels = np.repeat([[1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]], 6, axis=0)
    strength = np.zeros(labels.shape)
    strength[:, 3:5], strength[:, 7:9] = 1.0, 0.2
    evidence = Evidence(strength, np.zeros_like(strength), strength)
    assert merge_regions(labels, evidence, 0.5, 1.0)[0].tolist() == [1] * 4 + [2] * 8
    assert merge_regions(labels, evidence, 0.1, 1.0).max() == 3
    assert merge_regions(labels, evidence, 2.0, 1.0).max() == 1
    # A region of 24 pixels is too small at 25: the weaker boundary goes, and then no more.
    assert merge_regions(labels, evidence, 0.1, 25.0)[0].tolist() in (
        [1] * 12,
        [1] * 4 + [2] * 8,
    )
    np.testing.assert_allclose(certainty_of(labels, evidence, 0.1), [10.0, 2.0, 2.0])


def test_only_bends_across_a_boundary_speak_for_it() -> None:
    labels = np.repeat([[1] * 6 + [2] * 6], 12, axis=0)
    bend, none = np.ones(labels.shape), np.zeros(labels.shape)
    assert merge_regions(labels, Evidence(none, none, bend), 0.5, 1.0).max() == 2
    assert merge_regions(labels, Evidence(bend, none, none), 0.5, 1.0).max() == 1


def test_the_usual_diameter_is_not_that_of_fragments() -> None:
    labels = np.zeros((50, 50), dtype=np.int64)
    labels[5:25, 5:25], labels[30:45, 30:45] = 1, 2
    labels[0, :30] = np.arange(3, 33)
    assert usual_diameter(labels) == pytest.approx(math.sqrt(4 / math.pi * 400))


def test_counts_of_a_clear_frame_are_stable_and_of_a_drowned_one_are_not() -> None:
    clear = draw_scene("caps", np.random.default_rng(1020), snr=30.0)
    found = stability(clear.frame, np.random.default_rng(0), times=4)
    assert found.stable
    assert found.counts.shape == (4,)
    assert Stability(np.array([100.0, 100, 111]), np.ones(3)).stable is False
    assert Stability(np.array([100.0, 100, 110]), np.ones(3)).stable is True
    with pytest.raises(OutOfRange, match="`times`"):
        stability(clear.frame, np.random.default_rng(0), times=1)


def test_grains_that_pixels_do_not_resolve_are_doubted_and_refused_if_strict(caps: Any) -> None:
    values = flatten(caps.frame.to_numpy())
    step = round(caps.diameter / 2.5)
    rows, columns = (size // step * step for size in values.shape)
    coarse = values[:rows, :columns].reshape(rows // step, step, columns // step, step)
    small = frame(np.tile(coarse.mean(axis=(1, 3)), (3, 3)))
    found = CLASSICAL(small)
    assert any("pixels wide" in one for one in found.doubts)
    with pytest.raises(SignalError, match="leaves doubts"):
        SegmentGrains("classical", strict=True)(small)
    assert CLASSICAL(caps.frame).doubts == ()


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        (np.ones((64, 64)), SignalError, "flat"),
        (np.random.default_rng(0).standard_normal((64, 64)), SignalError, "nothing but noise"),
        (np.random.default_rng(0).standard_normal((10, 64)), OutOfRange, "24 along both"),
        (np.where(np.arange(64) < 40, np.nan, 1.0) * np.ones((64, 1)), SignalError, "38%"),
        (np.full((64, 64), np.nan), SignalError, "no finite pixel"),
    ],
)
def test_what_shows_no_grains_is_refused_with_a_reason(values: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        CLASSICAL(frame(values))


def test_a_movie_is_no_frame(caps: Any) -> None:
    with pytest.raises(SignalError, match="dims"):
        CLASSICAL(caps.frame.expand_dims("frame"))


def test_the_operator_is_found_by_name_and_knows_its_methods() -> None:
    assert build("operators", "segment-grains", method="classical") == CLASSICAL
    with pytest.raises(OutOfRange, match="`method` is 'best'"):
        SegmentGrains("best")  # type: ignore[arg-type]


def test_what_is_prepared_knows_its_size_and_comes_back(caps: Any) -> None:
    ready = prepare(caps.frame)
    assert ready.diameter == pytest.approx(DIAMETERS * ready.length)
    assert ready.signal_to_noise == pytest.approx(20, abs=1.5)
    labels = np.arange(ready.level.size).reshape(ready.level.shape) + 1
    back, names = ready.labels_back(labels)
    assert back.shape == caps.frame.shape
    assert len(names) == labels.size
    np.testing.assert_allclose(ready.level_back(), unposed(ready.level, ready.pose), rtol=1e-12)


class Thresholds:
    """A small segmenter with cellpose's call: (masks, flows, styles) of an image."""

    def eval(self, image: Any, diameter: float) -> tuple[Any, list[Any], Any]:
        from scipy.ndimage import label

        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
        assert diameter > 0
        return label(image > 0.8)[0].astype(np.uint16), [], np.zeros(1)


def test_a_program_with_the_call_of_cellpose_can_be_brought(caps: Any) -> None:
    found = segment_with(caps.frame, CellposeSegmenter(model=Thresholds()))
    assert found.method == "cellpose"
    assert found.count > 10
    assert found.table["certainty"].isnull().all()


def test_a_program_that_returns_no_labels_is_refused(caps: Any) -> None:
    class Wrong:
        name = "wrong"

        def __call__(self, level: Any, diameter: float) -> Any:
            return level[:5] + diameter

    with pytest.raises(SignalError, match="`wrong` returned float64"):
        segment_with(caps.frame, Wrong())


def test_without_the_program_the_adapter_says_what_to_do() -> None:
    level = np.zeros((30, 30))
    with pytest.raises(MissingExtra, match="`weights` is empty"):
        CellposeSegmenter()(level, 5.0)
    with pytest.raises(MissingExtra, match="needs the package 'cellpose'"):
        CellposeSegmenter(weights="mine")(level, 5.0)


def real_frames() -> list[Any]:
    found = []
    for path in sorted([*DATA.glob("surfaces/*.txt"), *DATA.glob("surfaces/*.npy"),
                        *DATA.glob("pfm/P*.h5"), *DATA.glob("pfm/*.ibw")]):  # fmt: skip
        found.append(pytest.param(path, id=path.name))
    return found or [pytest.param(None, id="none")]


@pytest.mark.skipif(
    not DATA.exists(), reason="the files of shared/data are not beside this checkout"
)
@pytest.mark.parametrize("path", real_frames())
def test_counts_on_real_scans_hold_when_they_are_turned_and_flipped(path: Path) -> None:
    from nanopilot.workflows.topographies import read_topography

    heights = read_topography(path)["height"]
    counts = [
        CLASSICAL(frame(np.ascontiguousarray(one))).count
        for one in (heights, np.rot90(heights), heights[::-1])
    ]
    assert counts[0] > 1
    assert len(set(counts)) == 1
