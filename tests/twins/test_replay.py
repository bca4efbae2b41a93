"""A recording as an instrument: it answers what was recorded, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.core.adjustables import BiasSource, Positioner
from nanopilot.core.capabilities import PointSpectroscopy, Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import OutOfRange, SignalError, Unsupported
from nanopilot.core.geometry import path
from nanopilot.core.requests import ScanRequest, SpectrumRequest
from nanopilot.core.signals import Axis, make_signal, metadata
from nanopilot.instruments import Guard
from nanopilot.testing import PointSpectroscopyTests, ScannerTests, film
from nanopilot.twins.replay import ReplayTwin


def replayed(signal: object = None) -> Guard:
    signals = (film() if signal is None else signal,)
    return Guard(ReplayTwin(signals, VirtualClock()))


class TestReplay(ScannerTests, PointSpectroscopyTests):
    @pytest.fixture
    def scope(self) -> Guard:
        return replayed()


def whole(scope: Guard, shape: tuple[int, int]) -> ScanRequest:
    area = scope.describe().area
    size = (area.x[1] - area.x[0], area.y[1] - area.y[0])
    return ScanRequest(centre=area.centre, field_of_view=size, shape=shape)


def test_scan_on_the_recorded_grid_is_the_recording() -> None:
    scope = replayed()
    frame = scope.capability(Scanner).start(whole(scope, (6, 8))).result()["piezoresponse"]
    np.testing.assert_array_equal(frame, film().isel(bias=0))
    assert metadata(frame)["details"]["interpolated_fraction"] == 0.0


def test_scan_between_pixels_says_that_it_is_interpolated() -> None:
    scope = replayed()
    frame = scope.capability(Scanner).start(whole(scope, (11, 15))).result()["piezoresponse"]
    assert metadata(frame)["details"]["interpolated_fraction"] == pytest.approx(1 - 48 / 165)
    recorded = film().isel(bias=0).to_numpy()
    np.testing.assert_allclose(frame[1, 0], recorded[:2, 0].mean())


@given(st.integers(0, 5), st.integers(0, 7), st.floats(-0.49, 0.49), st.floats(-0.49, 0.49))
def test_spectrum_is_the_nearest_recorded_one_never_a_mixture(
    row: int, column: int, up: float, right: float
) -> None:
    scope, recorded = replayed(), film()
    x = np.clip((column + right) * 10e-9, 0, 70e-9)
    y = np.clip((row + up) * 10e-9, 0, 50e-9)
    request = SpectrumRequest(position=(float(x), float(y)))
    spectrum = scope.capability(PointSpectroscopy).start(request).result()["piezoresponse"]
    np.testing.assert_array_equal(spectrum, recorded.isel(y=row, x=column))
    assert float(spectrum["x"]) == recorded["x"][column]
    assert float(spectrum["y"]) == recorded["y"][row]


def test_phase_is_interpolated_the_short_way_round() -> None:
    axis = Axis(np.array([0.0, 1e-9]), "m", "position")
    phase = np.deg2rad([[179.0, -179.0], [350.0, 10.0]])
    scope = replayed(make_signal(phase, {"y": axis, "x": axis}, quantity="phase", units="rad"))
    seen = scope.capability(Scanner).start(whole(scope, (2, 3))).result()["phase"].to_numpy()
    np.testing.assert_array_equal(seen[:, [0, 2]], phase)
    np.testing.assert_allclose(np.cos(seen[:, 1]), [-1, 1])


def test_rotated_scan_visits_rotated_places() -> None:
    ramp = np.arange(9.0)
    axis = Axis(ramp * 1e-9, "m", "position")
    values = np.add.outer(10 * ramp, ramp)
    scope = replayed(make_signal(values, {"y": axis, "x": axis}, quantity="height", units="m"))
    request = ScanRequest(
        centre=(4e-9, 4e-9), field_of_view=(4e-9, 0), shape=(1, 3), rotation=np.pi / 2
    )
    line = scope.capability(Scanner).start(request).result()["height"]
    np.testing.assert_allclose(line[0], [values[2, 4], values[4, 4], values[6, 4]])


def test_sparse_scan_gives_the_points_asked_for() -> None:
    scope = replayed()
    points = ((0.0, 0.0), (70e-9, 50e-9))
    request = whole(scope, (1, 1)).model_copy(update={"order": "points", "points": points})
    frame = scope.capability(Scanner).start(request).result()["piezoresponse"]
    recorded = film().isel(bias=0).to_numpy()
    np.testing.assert_array_equal(frame, [recorded[0, 0], recorded[-1, -1]])


def test_several_frames_are_stacked() -> None:
    scope = replayed()
    request = whole(scope, (6, 8)).model_copy(update={"frames": 3})
    assert scope.capability(Scanner).start(request).result()["piezoresponse"].shape == (3, 6, 8)


def test_description_tells_no_measured_value() -> None:
    text = replayed().describe().model_dump_json()
    assert "1.4" not in text  # a response of the film; its places are multiples of 1e-8
    assert "truth" not in text


def test_truth_is_out_of_reach_behind_the_guard() -> None:
    with pytest.raises(AttributeError):
        _ = replayed().truth  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": ("current",)}, "current"),
        ({"directions": ("retrace",)}, "retrace"),
    ],
)
def test_what_was_not_recorded_is_refused_by_name(changes: dict[str, object], said: str) -> None:
    scope = replayed()
    with pytest.raises(Unsupported, match=said):
        scope.capability(Scanner).start(whole(scope, (4, 4)).model_copy(update=changes))


@pytest.mark.parametrize("changes", [{"kind": "force"}, {"channels": ("x",)}, {"bias": (0, 1)}])
def test_spectra_that_were_not_recorded_are_refused(changes: dict[str, object]) -> None:
    request = SpectrumRequest(position=(0, 0)).model_copy(update=changes)
    with pytest.raises(Unsupported):
        replayed().capability(PointSpectroscopy).start(request)


def test_gap_in_the_recording_is_refused_and_its_neighbours_are_not() -> None:
    holed = film()
    holed[2, 3] = np.nan
    scope = replayed(holed)
    spectroscopy = scope.capability(PointSpectroscopy)
    with pytest.raises(OutOfRange, match="gap"):
        spectroscopy.start(SpectrumRequest(position=(30e-9, 20e-9)))
    spectroscopy.start(SpectrumRequest(position=(40e-9, 20e-9)))
    frame = scope.capability(Scanner).start(whole(scope, (6, 8))).result()["piezoresponse"]
    assert int(np.isnan(frame).sum()) == 1


def test_image_only_recording_has_no_spectra() -> None:
    scope = replayed(film().isel(bias=0, drop=True))
    with pytest.raises(Unsupported, match="PointSpectroscopy"):
        scope.capability(PointSpectroscopy)


def test_descending_axes_are_turned_with_their_values() -> None:
    upside_down = film().isel(y=slice(None, None, -1))
    scope = replayed(upside_down)
    frame = scope.capability(Scanner).start(whole(scope, (6, 8))).result()["piezoresponse"]
    np.testing.assert_array_equal(frame, film().isel(bias=0))


def test_signal_without_an_area_is_no_recording() -> None:
    with pytest.raises(SignalError, match="no frame"):
        replayed(film().isel(x=0, y=0, drop=True))


def test_travel_costs_time() -> None:
    scope = replayed()
    spectroscopy = scope.capability(PointSpectroscopy)
    spectroscopy.start(SpectrumRequest(position=(0, 0))).result()
    near = spectroscopy.estimate(SpectrumRequest(position=(0, 0))).seconds
    far = spectroscopy.estimate(SpectrumRequest(position=(70e-9, 0))).seconds
    assert far - near == pytest.approx(70e-9 / 2e-6)


def test_stopped_spectrum_gives_no_values() -> None:
    scope = replayed()
    acquisition = scope.capability(PointSpectroscopy).start(SpectrumRequest(position=(0, 0)))
    scope.stop()
    assert np.isnan(acquisition.result()["piezoresponse"]).all()


def test_restored_twin_goes_on_from_time_and_place() -> None:
    scope = replayed()
    scope.restore(12.5, (70e-9, 0.0))
    assert scope.clock.now() == 12.5
    there = SpectrumRequest(position=(70e-9, 0.0))
    assert scope.capability(PointSpectroscopy).estimate(there).seconds == pytest.approx(1.1)


def test_grid_of_spectra_holds_the_nearest_recorded_ones_and_says_where_they_are() -> None:
    scope, recorded = replayed(), film()
    request = SpectrumRequest(
        position=(21e-9, 16e-9), shape=(2, 3), field_of_view=(20e-9, 10e-9), rotation=0.1
    )
    before = scope.clock.now()
    expected = scope.capability(PointSpectroscopy).estimate(request)
    acquisition = scope.capability(PointSpectroscopy).start(request)
    blocks = list(acquisition)
    grid = acquisition.result()
    assert [block.sizes["y"] for block in blocks] == [1, 1]
    assert grid["piezoresponse"].dims == ("y", "x", "bias")
    for row, column in np.ndindex(2, 3):
        x, y = (float(grid[name][row, column]) for name in ("measured_x", "measured_y"))
        there = recorded.sel(x=x, y=y).to_numpy()
        np.testing.assert_array_equal(grid["piezoresponse"][row, column], there)
    assert expected.spectra == 6
    assert scope.clock.now() - before == pytest.approx(expected.seconds)
    assert float(grid["time"].max()) == pytest.approx(scope.clock.now())


def test_tip_goes_where_it_was_recorded_and_nowhere_else() -> None:
    tip = replayed().capability(Positioner)
    (x,) = tip.set(x=30e-9)
    assert x.read_back == tip.get("x") == 30e-9
    with pytest.raises(OutOfRange):
        tip.set(x=1.0)
    assert tip.get("x") == 30e-9


def test_frame_says_that_the_bias_changed_nothing_that_was_recorded() -> None:
    scope = replayed()
    scope.capability(BiasSource).set(bias=1.5)
    frame = scope.capability(Scanner).start(whole(scope, (4, 4))).result()
    assert metadata(frame)["state"]["values"]["BiasSource.bias"] == 1.5
    assert metadata(frame["piezoresponse"])["details"]["bias_replayed"] is False


@pytest.mark.parametrize("order", ["raster", "serpentine", "spiral"])
def test_time_of_a_pixel_follows_the_path(order: str) -> None:
    scope = replayed()
    request = whole(scope, (3, 4)).model_copy(update={"order": order})
    frame = scope.capability(Scanner).start(request).result()
    visited = np.argsort(frame["time"].to_numpy().ravel())
    np.testing.assert_array_equal(visited, path(request))


def test_skipped_lines_stay_empty() -> None:
    scope = replayed()
    request = whole(scope, (4, 4)).model_copy(update={"order": "lines", "lines": (1, 3)})
    frame = scope.capability(Scanner).start(request).result()["piezoresponse"]
    assert np.isfinite(frame[[1, 3]]).all()
    assert np.isnan(frame[[0, 2]]).all()
