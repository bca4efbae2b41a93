"""Particles are outlined where they are, whatever the frame: against drawn truth and analysis."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.measure import points_in_poly

from nanopilot.analysis.particle_shapes import (
    Instance,
    OutlineParticles,
    edges,
    ground,
    match_instances,
    operator,
    outlining,
    overlaps,
    polygons,
)
from nanopilot.analysis.particle_shapes.instances import label_map
from nanopilot.bench.tem_particles import KINDS, TemScene, Truth, draw_particles
from nanopilot.bench.tracks.particle_shapes import f1, size_errors
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, make_signal

PITCH = 0.5e-9


def frame_of(values: Any, pitch: float = PITCH, origin: tuple[float, float] = (0, 0)) -> Any:
    axes = {
        dim: Axis(start + pitch * np.arange(size), "m", "position")
        for dim, start, size in zip("yx", origin, values.shape, strict=True)
    }
    return make_signal(values, axes, quantity="counts", units="1")


def drawn(seed: int = 0, **settings: Any) -> Truth:
    plain: dict[str, Any] = {"pixels": 320, "count": 14, "kinds": KINDS, "spheres": False}
    return draw_particles(TemScene(**(plain | settings)), np.random.default_rng(seed))


def discs(places: Any, size: Any = (128, 128), counts: tuple[float, float] = (200, 100)) -> Any:
    y, x = np.indices(size)
    thick = sum(((y - r) ** 2 + (x - c) ** 2 < radius**2).astype(float) for r, c, radius in places)
    mean = counts[0] * (counts[1] / counts[0]) ** thick
    return np.random.default_rng(1).poisson(mean).astype(float)


@pytest.mark.parametrize("bright", [False, True])
@pytest.mark.parametrize("uneven", [0.0, 0.5])
def test_isolated_particles_are_found_dark_or_bright_under_uneven_light(
    bright: bool, uneven: float
) -> None:
    truth = drawn(3, bright=bright, uneven=uneven)
    found = OutlineParticles()(truth.frame)
    assert found.ground.dark is not bright
    assert f1(found.instances, truth.particles, 320) >= 0.95
    assert np.mean(size_errors(found, truth)) < 0.03


@pytest.mark.parametrize("camera", ["counting", "scintillator"])
def test_overlapped_particles_are_told_apart(camera: Any) -> None:
    scores = []
    for seed in (1, 2):
        truth = drawn(seed, overlap=0.2, camera=camera, pixels=400, count=24)
        found = OutlineParticles()(truth.frame)
        scores.append(f1(found.instances, truth.particles, 400))
    assert np.mean(scores) >= 0.85


def test_blur_does_not_move_the_edge_of_a_plate() -> None:
    sizes = []
    for blur in (0.4, 1.0, 1.6):
        truth = drawn(5, blur=blur, dose=2000.0, kinds=("hexagon",), grain=0.0)
        found = OutlineParticles()(truth.frame)
        sizes.append(np.mean(size_errors(found, truth)))
    assert max(sizes) < 0.02


def test_edges_of_round_solids_are_moved_out_to_where_they_end() -> None:
    line = np.arange(40) - 19.5
    away = 12.0 - np.hypot(line[:, None], line[None, :])
    ball = np.where(away > 0, np.sqrt(np.maximum(2 * 12 * away - away**2, 0)) / 12, 0.0)
    seen = gaussian_filter(0.5 * ball, 1.2)
    for radius in (11.0, 12.0, 12.5):
        mask = np.hypot(line[:, None], line[None, :]) < radius
        assert edges.edge_move(mask, seen, 1.2) == pytest.approx(12 - radius, abs=0.4)
    plate = gaussian_filter((away > 0).astype(float), 1.2)
    for radius in (11.0, 12.0, 13.0):
        mask = np.hypot(line[:, None], line[None, :]) < radius
        assert edges.edge_move(mask, plate, 1.2) == pytest.approx(12 - radius, abs=0.3)
    # The blur is that of the sharpest edges, so there must be some.
    truth = drawn(8, kinds=("hexagon", "rod"), dose=2000.0, mean_free_path=30e-9)
    assert np.mean(size_errors(OutlineParticles()(truth.frame), truth)) < 0.02


def test_sizes_are_in_metres_whatever_the_pixel() -> None:
    values = discs([(60, 50, 20)])
    for pitch in (0.2e-9, 3e-9):
        table = OutlineParticles()(frame_of(values, pitch, (1e-6, -2e-6))).table
        assert table["equivalent_diameter"].attrs["units"] == "m"
        assert table["area"].attrs["units"] == "m^2"
        assert float(table["equivalent_diameter"][0]) == pytest.approx(40 * pitch, rel=0.02)
        assert float(table["area"][0]) == pytest.approx(math.pi * (20 * pitch) ** 2, rel=0.04)
        assert float(table["y"][0]) == pytest.approx(1e-6 + 60 * pitch, abs=0.3 * pitch)
        assert float(table["x"][0]) == pytest.approx(-2e-6 + 50 * pitch, abs=0.3 * pitch)


def test_outlines_carry_the_frame_and_lie_on_the_edge() -> None:
    found = OutlineParticles()(frame_of(discs([(60, 50, 20), (60, 100, 15)])), "frame 7")
    assert set(found.outlines) == {("frame 7", 1), ("frame 7", 2)}
    assert "frame 7" in found.labels.attrs["frame_id"]
    for (_, number), line in found.outlines.items():
        row = found.table.isel(point=number - 1)
        away = np.hypot(line[:, 0] - float(row["x"]), line[:, 1] - float(row["y"]))
        np.testing.assert_allclose(away, float(row["equivalent_diameter"]) / 2, rtol=0.08)


def test_shared_pixels_belong_to_both_and_the_label_map_is_a_view() -> None:
    values = discs([(60, 45, 22), (60, 80, 22)])
    found = OutlineParticles()(frame_of(values))
    assert len(found.instances) == 2
    assert found.table["overlapped"].to_numpy().all()
    both = np.zeros(values.shape, dtype=int)
    for one in found.instances:
        both[one.window] += one.mask
    assert 150 < np.count_nonzero(both == 2) < 330  # the lens has 246 pixels
    np.testing.assert_allclose(found.table["equivalent_diameter"], 44 * PITCH, rtol=0.04)
    assert set(np.unique(found.labels)) == {0, 1, 2}


def test_touching_particles_share_nothing() -> None:
    found = OutlineParticles()(frame_of(discs([(60, 40, 20), (60, 79, 20)])))
    assert len(found.instances) == 2
    np.testing.assert_allclose(found.table["equivalent_diameter"], 40 * PITCH, rtol=0.05)


def test_a_thin_particle_beside_a_thick_one_is_not_lost() -> None:
    y, x = np.indices((128, 128))
    thick = 2.0 * (np.hypot(y - 60, x - 40) < 20) + 0.15 * (np.hypot(y - 60, x - 78) < 20)
    counts = np.random.default_rng(0).poisson(2000 * np.exp(-thick)).astype(float)
    found = OutlineParticles()(frame_of(counts))
    assert len(found.instances) == 2
    np.testing.assert_allclose(found.table["equivalent_diameter"], 40 * PITCH, rtol=0.06)


def test_particles_at_the_edge_are_found_and_flagged() -> None:
    found = OutlineParticles()(frame_of(discs([(0, 60, 20), (70, 60, 20)])))
    assert found.table["border"].to_numpy().tolist() == [1, 0]


def test_nothing_is_found_where_nothing_is() -> None:
    empty = np.random.default_rng(0).poisson(100, (256, 256)).astype(float)
    found = OutlineParticles()(frame_of(empty))
    assert found.instances == ()
    assert found.table.sizes["point"] == 0
    assert not found.labels.to_numpy().any()


def test_a_blank_frame_is_no_particle() -> None:
    assert OutlineParticles()(frame_of(np.full((64, 64), 7.0))).instances == ()


def test_many_particles_have_labels_that_do_not_wrap() -> None:
    places = [(r, c, 5) for r in range(10, 320, 17) for c in range(10, 320, 17)]
    found = OutlineParticles()(frame_of(discs(places, (330, 330), (400, 150))))
    assert len(places) > 300
    assert len(found.instances) == len(places)
    assert found.labels.dtype.itemsize >= 4
    assert int(found.labels.max()) == len(places)
    assert len(set(found.table["label"].to_numpy().tolist())) == len(places)


def test_outlines_of_equal_length_are_kept_apart() -> None:
    lines = [np.array([[5.0, 5], [5, 25], [25, 25], [25, 5]]) + shift for shift in (0, 40)]
    both = [operator.instance(line, (80, 80)) for line in lines]
    assert [one.mask.sum() for one in both if one] == [400, 400]
    assert label_map([one for one in both if one], (80, 80)).max() == 2


def test_pieces_of_a_large_frame_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = drawn(7, pixels=400, count=20)
    whole = OutlineParticles()(truth.frame)
    monkeypatch.setattr(operator, "_PIECE", 230)
    monkeypatch.setattr(operator, "_SHARED", 100)
    pieces = OutlineParticles()(truth.frame)
    assert len(pieces.instances) == len(whole.instances)
    paired = match_instances(pieces.instances, whole.instances, least=0.9)
    assert paired.f1 == 1
    assert paired.overlap.mean() > 0.99


def test_the_work_on_a_particle_stays_in_its_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    for module, name in (
        (operator, "edge_move"),
        (operator, "completed"),
        (outlining, "edge_level"),
    ):
        plain = getattr(module, name)

        def seen(*args: Any, _plain: Any = plain, **named: Any) -> Any:
            sizes.extend(a.size for a in args if isinstance(a, np.ndarray) and a.ndim == 2)
            return _plain(*args, **named)

        monkeypatch.setattr(module, name, seen)
    OutlineParticles()(drawn(4, pixels=512, overlap=0.15).frame)
    assert max(sizes) < 512 * 512 / 4


def test_no_handler_catches_everything() -> None:
    for module in (ground, outlining, overlaps, edges, operator, polygons):
        source = inspect.getsource(module)
        assert "except:" not in source
        assert "except Exception" not in source


def test_stated_error_of_a_plate_is_of_the_size_of_its_error() -> None:
    pulls = []
    for seed in range(4):
        truth = drawn(20 + seed, kinds=("hexagon", "disc"), dose=300.0)
        found = OutlineParticles()(truth.frame)
        for a, b in match_instances(found.instances, truth.particles).pairs.tolist():
            one = truth.particles[b - 1]
            if not one.cut:
                true = 2 * math.sqrt(one.area / math.pi) * truth.scene.pixel_size
                row = found.table.isel(point=a - 1)
                pulls.append(
                    (float(row["equivalent_diameter"]) - true) / float(row["diameter_error"])
                )
    assert 0.4 < np.sqrt(np.mean(np.square(pulls))) < 2.0


@pytest.mark.parametrize("smaller", [0.0, 30.0])
def test_smaller_particles_than_asked_for_are_left_out(smaller: float) -> None:
    values = discs([(60, 40, 20), (60, 95, 9)])
    found = OutlineParticles(least_diameter=smaller * PITCH)(frame_of(values))
    assert len(found.instances) == (1 if smaller else 2)


def test_bad_frames_are_refused_with_the_way_out() -> None:
    good = frame_of(discs([(60, 50, 20)]))
    with pytest.raises(SignalError, match="Take one frame"):
        OutlineParticles()(good.expand_dims("frame"))
    with pytest.raises(SignalError, match="row 3, column 4"):
        OutlineParticles()(good.where((good["y"] != good["y"][3]) | (good["x"] != good["x"][4])))
    with pytest.raises(SignalError, match="at least 32"):
        OutlineParticles()(good[:16])
    with pytest.raises(SignalError, match="does not ascend evenly"):
        OutlineParticles()(good[::-1])
    with pytest.raises(OutOfRange, match="`least_diameter`"):
        OutlineParticles(least_diameter=-1.0)(good)
    other: Any = "grey"
    with pytest.raises(OutOfRange, match="`shade`"):
        OutlineParticles(shade=other)(good)


def test_pixels_inside_a_line_are_those_of_a_slow_reference() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        turn = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radius = rng.uniform(3, 14, 9)
        line = np.stack([15 + radius * np.sin(turn), 17 + radius * np.cos(turn)], axis=-1)
        y, x = np.indices((32, 34))
        slow = points_in_poly(np.stack([y.ravel(), x.ravel()], axis=-1), line).reshape(32, 34)
        np.testing.assert_array_equal(polygons.inside(line, (32, 34)), slow)


def test_masks_that_overlap_are_paired_as_by_counting() -> None:
    mask = np.ones((10, 10), dtype=bool)
    one, half, far = (Instance(np.zeros((0, 2)), mask, 0, shift) for shift in (0, 3, 50))
    paired = match_instances([one, far], [half], least=0.5)
    assert paired.pairs.tolist() == [[1, 1]]
    assert paired.overlap[0] == pytest.approx(70 / 130)
    assert match_instances([one], [far]).f1 == 0
    assert match_instances([], []).f1 == 1


def test_convex_outlines_are_never_cut() -> None:
    turn = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    for corners in (3, 4, 6, 80):
        part = turn[:: 80 // corners][:corners]
        line = 30 * np.stack([np.sin(part), np.cos(part)], axis=-1)
        assert len(overlaps.split(polygons.evenly(line, 1.0), 40)) == 1


def test_zero_noise_frames_of_a_scene_are_found_too() -> None:
    truth = drawn(9, dose=1e6, grain=0.0)
    still = replace(truth.scene, dose=1e6)
    assert f1(OutlineParticles()(truth.frame).instances, truth.particles, still.pixels) >= 0.95
