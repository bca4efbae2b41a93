"""Shifts, drift, lag: found within their error bars, and taken out again."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.drift import Drift, DriftFromFrames, DriftLock
from nanopilot.analysis.registration import register
from nanopilot.analysis.scan_times import ScanTimes
from nanopilot.analysis.trace_lag import trace_lag
from nanopilot.analysis.undistort import CorrectDrift, CorrectLag
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import Signal
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin

Array = np.ndarray
SHAPE = (96, 128)


def shifted(
    seed: int, shift: tuple[float, float], smooth: float, noise: float
) -> tuple[Array, Array]:
    """Two windows into one periodic surface, shifted exactly, with their own noise."""
    rng = np.random.default_rng(seed)
    rows, columns = 2 * SHAPE[0], 2 * SHAPE[1]
    ky, kx = np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)
    surface = np.fft.fft2(rng.normal(size=(rows, columns)))
    surface *= np.exp(-2 * (np.pi * smooth) ** 2 * (kx**2 + ky**2))
    moved = surface * np.exp(-2j * np.pi * (ky * shift[0] + kx * shift[1]))
    images = [np.fft.ifft2(one).real[48:144, 64:192] for one in (surface, moved)]
    scale = images[0].std()
    first, second = (one / scale + noise * rng.normal(size=SHAPE) for one in images)
    return first, second


def frames(  # noqa: PLR0913 - a scan has settings
    velocity: tuple[float, float],
    *,
    seed: int = 0,
    count: int = 2,
    rotation: float = 0.0,
    centres: tuple[tuple[float, float], ...] = (),
    more: dict[str, object] | None = None,
) -> tuple[list[Signal], Sample]:
    """Frames of a rough surface, one after the other, and the surface."""
    rng = np.random.default_rng(seed)
    heights = gaussian_filter(rng.normal(size=(400, 400)), 6) * 100e-9
    sample = Sample("rough", heights, 4e-9)
    settings = {"motion": {"drift": (*velocity, 0.0)}, "noise": {"white": 2e-12}, **(more or {})}
    # A fast loop, so that its own lag shifts nothing.
    settings["loop"] = {"rate": 20e3, "integral": 8000.0, "resonance": 9e3}
    made = SpmTwin(sample, VirtualClock(), settings=SpmSettings.model_validate(settings))
    scanner = made.capability(Scanner)
    request = ScanRequest(
        centre=(0, 0), field_of_view=(0.8e-6, 0.8e-6), shape=(96, 96), channels=("height",),
        directions=("trace",), rotation=rotation, line_rate=2.0,
    )  # fmt: skip
    seen = []
    for number in range(count):
        centre = centres[number] if centres else (0.0, 0.0)
        asked = request.model_copy(update={"centre": centre})
        seen.append(scanner.start(asked).result()["height"])
    return seen, sample


@given(
    st.integers(0, 10_000),
    st.tuples(st.floats(-20, 20), st.floats(-20, 20)),
    st.sampled_from([(1.5, 0.05), (3.0, 0.1), (3.0, 0.5)]),
)
@settings(deadline=None, max_examples=12)
def test_shift_is_found_whatever_it_is(
    seed: int, shift: tuple[float, float], surface: tuple[float, float]
) -> None:
    found = register(*shifted(seed, shift, *surface))
    assert found.matched
    np.testing.assert_allclose(found.pixels, shift, atol=6 * found.std.max())
    assert found.std.max() < 0.25


def test_ninety_percent_intervals_hold_the_truth_in_nine_of_ten_cases() -> None:
    inside = []
    for seed in range(40):
        shift = tuple(np.random.default_rng([seed, 1]).uniform(-6, 6, 2).tolist())
        smooth, noise = ((1.5, 0.3), (3.0, 0.1), (3.0, 1.0))[seed % 3]
        found = register(*shifted(seed, shift, smooth, noise))
        inside.extend(np.abs(found.pixels - shift) < 1.645 * found.std)
    # Of 80 intervals that hold with 0.9 fewer than 62 or more than 79 do in one of 1000 tries.
    assert 62 <= np.sum(inside) <= 79


def test_whole_shifts_of_a_periodic_picture_are_exact() -> None:
    picture = gaussian_filter(np.random.default_rng(0).normal(size=(64, 80)), 1.5, mode="wrap")
    found = register(picture, np.roll(picture, (5, -7), axis=(0, 1)))
    np.testing.assert_allclose(found.pixels, (5, -7), atol=5e-3)


def test_exchange_turns_the_shift_round() -> None:
    first, second = shifted(1, (3.3, -4.6), 2.0, 0.1)
    there, back = register(first, second), register(second, first)
    np.testing.assert_allclose(there.pixels, -back.pixels, atol=2e-3)


def test_large_pictures_are_measured_on_fewer_pixels_and_as_well() -> None:
    rng = np.random.default_rng(0)
    surface = gaussian_filter(rng.normal(size=(640, 640)), 6) * 20
    first, second = (surface[64:-64, 64:-64], surface[61:-67, 69:-59])
    noisy = [one + 0.1 * rng.normal(size=one.shape) for one in (first, second)]
    np.testing.assert_allclose(register(*noisy).pixels, (3, -5), atol=0.05)


def test_fine_detail_of_large_pictures_is_not_binned_away() -> None:
    rng = np.random.default_rng(0)
    y, x = np.indices((512, 512))
    lattice = np.cos(2 * np.pi * x / 4.3) + np.cos(2 * np.pi * y / 4.1)
    spots = gaussian_filter((rng.random((540, 540)) < 0.02).astype(float), 1.0) * 20
    first, second = (spots[10:522, 10:522], spots[8:520, 13:525])
    assert lattice.shape == first.shape
    np.testing.assert_allclose(register(first, second).pixels, (2, -3), atol=0.01)


def test_strangers_do_not_match_and_brothers_do() -> None:
    for seed in range(6):
        first, _ = shifted(seed, (0, 0), 3.0, 0.1)
        other, _ = shifted(seed + 100, (0, 0), 3.0, 0.1)
        assert not register(first, other).matched
        assert register(*shifted(seed, (4.0, 2.0), 3.0, 1.0)).matched


def test_missing_lines_spoil_nothing() -> None:
    first, second = shifted(2, (2.4, -1.7), 2.0, 0.05)
    first[40:44] = np.nan
    second[10, 5:90] = np.nan
    np.testing.assert_allclose(register(first, second).pixels, (2.4, -1.7), atol=0.1)


def test_pictures_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(SignalError, match="must have the same"):
        register(np.zeros((32, 32)), np.zeros((32, 33)))
    with pytest.raises(SignalError, match="no finite pixel"):
        register(np.full((32, 32), np.nan), np.zeros((32, 32)))
    flat = register(np.zeros((32, 32)), np.zeros((32, 32)))
    assert not flat.matched


@pytest.mark.parametrize("velocity", [(0.0, 0.0), (2e-10, -1e-10), (-4e-10, 6e-10)], ids=repr)
@pytest.mark.parametrize("rotation", [0.0, 0.7])
def test_drift_is_found_within_its_error(velocity: tuple[float, float], rotation: float) -> None:
    seen, _ = frames(velocity, rotation=rotation)
    found = DriftFromFrames()(*seen)
    assert found.matched
    np.testing.assert_allclose(found.velocity, velocity, atol=5 * max(found.std))
    # 48 s from frame to frame, 8.4 nm from pixel to pixel: better than a tenth of one.
    assert max(found.std) < 0.1 * 8.4e-9 / 48


def test_shear_within_the_frames_is_not_mistaken_for_less_drift() -> None:
    velocity = (0.0, 1.5e-9)
    seen, _ = frames(velocity)
    found = DriftFromFrames()(*seen)
    assert found.velocity[1] == pytest.approx(velocity[1], rel=0.01)
    # Nearly a tenth of a frame per frame: dividing by the time between frames misses as much.
    scan = ScanTimes.of(seen[0])
    plain = -register(*(one.to_numpy() for one in seen)).pixels[0] * scan.pitch[1] / 48
    assert abs(plain / velocity[1] - 1) > 0.05


def test_frames_of_different_centres_give_the_same_drift() -> None:
    seen, _ = frames((2e-10, 1e-10), centres=((0.0, 0.0), (50e-9, -30e-9)))
    found = DriftFromFrames()(*seen)
    np.testing.assert_allclose(found.velocity, (2e-10, 1e-10), atol=5 * max(found.std))


def test_downward_frame_after_upward_frame_tells_the_drift() -> None:
    velocity = (1e-10, 4e-10)
    seen, sample = frames((0.0, 0.0), more={"noise": {}})
    first = seen[0]
    x, y = np.meshgrid(first["x"], first["y"])
    times = first["time"].to_numpy()
    last = float(times.max())
    # The same surface as it would be met on the way up, and then on the way down.
    pair = []
    for passed in (times, 2 * last - times):
        heights = sample.at("height", x + velocity[0] * passed, y + velocity[1] * passed)
        pair.append(first.copy(data=heights).assign_coords(time=(("y", "x"), passed,
                                                                 first["time"].attrs)))  # fmt: skip
    found = DriftFromFrames()(*pair)
    np.testing.assert_allclose(found.velocity, velocity, atol=1e-11)


def test_corrected_frame_is_the_surface_and_says_what_is_not_covered() -> None:
    seen, sample = frames((3e-10, -8e-10))
    drift = DriftFromFrames()(*seen)
    truth = sample.at("height", *np.meshgrid(seen[0]["x"], seen[0]["y"]))
    corrected = CorrectDrift(drift.velocity, at=0.0)(seen[1]).to_numpy()
    covered = np.isfinite(corrected)
    assert 0.8 < covered.mean() < 0.98
    raw = np.std((seen[1].to_numpy() - truth)[covered])
    assert np.std((corrected - truth)[covered]) < 0.1 * raw


def test_no_drift_changes_nothing() -> None:
    seen, _ = frames((0.0, 0.0), count=1)
    still = CorrectDrift((0.0, 0.0))(seen[0])
    np.testing.assert_allclose(still, seen[0], atol=1e-15)
    np.testing.assert_allclose(still["time"], seen[0]["time"])
    np.testing.assert_allclose(CorrectLag(0.0)(seen[0]), seen[0], atol=1e-15)


def test_unmeasured_lines_stay_unmeasured() -> None:
    seen, _ = frames((0.0, 0.0), count=1)
    seen[0][20:22] = np.nan
    still = CorrectDrift((1e-12, 0.0))(seen[0]).to_numpy()
    assert np.isnan(still[20:22]).all()
    assert np.isfinite(still[30:60, 10:80]).all()


def test_lock_knows_more_than_a_pair_and_stays_on_its_place() -> None:
    velocity = (2e-10, -3e-10)
    seen, _ = frames(velocity, count=4)
    found, pair = DriftLock()(seen), DriftFromFrames()(*seen[:2])
    np.testing.assert_allclose(found.velocity, velocity, atol=5 * max(found.std))
    assert max(found.std) < max(pair.std) * 1.5
    x, y = found.offset(100.0)
    assert x == pytest.approx(-2e-8, rel=0.05)
    assert y == pytest.approx(3e-8, rel=0.05)


def test_lock_does_not_count_what_does_not_match() -> None:
    seen, _ = frames((1e-10, 0.0), count=2)
    strangers, _ = frames((0.0, 0.0), seed=9, count=1)
    later = strangers[0].assign_coords(time=seen[1]["time"] + 48.0)
    later["time"].attrs = seen[1]["time"].attrs
    assert not DriftFromFrames()(seen[1], later).matched
    found = DriftLock()([*seen, later])
    assert found.velocity[0] == pytest.approx(1e-10, rel=0.1)
    nothing = DriftLock()([seen[1], later])
    assert not nothing.matched
    assert np.isnan(nothing.velocity).all()
    with pytest.raises(OutOfRange, match="must be finite"):
        CorrectDrift(nothing.velocity)


def test_trace_and_retrace_are_brought_on_each_other() -> None:
    rng = np.random.default_rng(0)
    heights = gaussian_filter(rng.normal(size=(400, 400)), 6) * 100e-9
    made = SpmTwin(
        Sample("rough", heights, 4e-9),
        VirtualClock(),
        settings=SpmSettings.model_validate(
            {"motion": {"hysteresis": 0.02}, "noise": {"white": 1e-12}}
        ),
    )
    request = ScanRequest(
        centre=(0, 0), field_of_view=(0.8e-6, 0.8e-6), shape=(96, 96), channels=("height",),
        directions=("trace", "retrace"),
    )  # fmt: skip
    frame = made.capability(Scanner).start(request).result()
    trace, retrace = frame["height"], frame["height_retrace"]
    found = trace_lag(trace, retrace)
    # The width of the lines as gone over, half a pixel more on each side.
    width = 0.8e-6 * 96 / 95
    assert found.bend.value == pytest.approx(0.02 * width, rel=0.05)
    assert found.lag.value > 5 * found.lag.std
    correct = CorrectLag(found.lag.value, found.bend.value)
    rest = float((correct(trace) - correct(retrace)).std())
    assert rest < 0.1 * float((trace - retrace).std())


def test_frames_that_cannot_be_compared_are_refused() -> None:
    seen, _ = frames((0.0, 0.0), count=2)
    drift = DriftFromFrames()
    with pytest.raises(SignalError, match="scan both alike"):
        drift(seen[0], seen[1].isel(y=slice(0, 60)))
    with pytest.raises(SignalError, match="`time` is no coordinate"):
        drift(seen[0].drop_vars("time"), seen[1])
    with pytest.raises(SignalError, match="same in both"):
        drift(seen[0], seen[0])
    with pytest.raises(SignalError, match="at least 2"):
        DriftLock()(seen[:1])
    with pytest.raises(OutOfRange, match="`keep` is 1"):
        DriftLock(1)
    with pytest.raises(SignalError, match="as fast as the scan"):
        CorrectDrift((0.0, -0.8e-6 / 48))(seen[0])
    with pytest.raises(SignalError, match="`direction`"):
        CorrectLag(0.0)(seen[0].assign_attrs(direction='"sideways"'))


def test_time_of_a_place_is_when_it_was_passed() -> None:
    seen, _ = frames((0.0, 0.0), count=1)
    scan = ScanTimes.of(seen[0])
    corner = np.array([seen[0]["x"][-1], seen[0]["y"][-1]], dtype=float)
    assert scan.at(corner) == pytest.approx(float(seen[0]["time"][-1, -1]), abs=0.01)
    assert replace(scan, slope=np.zeros(2)).at(corner) == scan.frozen().at(corner)


def test_offset_goes_against_the_drift() -> None:
    assert Drift((1.0, -2.0), np.eye(2)).offset(3.0) == (-3.0, 6.0)
