"""Noise, drift, creep, hysteresis: measured through the instrument they are what was set."""

from typing import Any

import numpy as np
import pytest
from scipy.signal import welch

from nanopilot.core.adjustables import Feedback, Positioner
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.frames import channel_name
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet, metadata
from nanopilot.instruments import Guard
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin
from nanopilot.twins.spm.motion import FloatArray, RealPath
from nanopilot.twins.spm.noise import NoiseSource
from nanopilot.twins.spm.sample import bilinear
from nanopilot.twins.spm.settings import Motion, Noise

RATE = 20e3


def flat() -> Sample:
    return Sample("flat", np.zeros((16, 16)), 10e-9)


def hills() -> Sample:
    y, x = np.indices((256, 256)) * 2e-9
    height = 2e-9 * np.sin(2 * np.pi * x / 61e-9) * np.cos(2 * np.pi * y / 53e-9 + 0.3)
    return Sample("hills", height, 2e-9)


def made(sample: Sample, seed: int = 0, **settings: Any) -> SpmTwin:
    return SpmTwin(sample, VirtualClock(), settings=SpmSettings.model_validate(settings), seed=seed)


def frame(**changes: Any) -> ScanRequest:
    usual: dict[str, Any] = {
        "centre": (0.0, 0.0), "field_of_view": (200e-9, 100e-9), "shape": (16, 64)
    }  # fmt: skip
    return ScanRequest(**(usual | changes))


def scan(twin: SpmTwin, **changes: Any) -> SignalSet:
    return twin.capability(Scanner).start(frame(**changes)).result()


def trace_of(twin: SpmTwin, samples: int) -> FloatArray:
    """Return the height signal on a flat sample, a pixel per sample of the loop."""
    found = scan(
        twin, field_of_view=(1e-9, 0.0), shape=(8, samples),
        line_rate=RATE / (2 * samples), order="serpentine",
    )  # fmt: skip
    heights = found["height"].to_numpy()
    heights[1::2] = heights[1::2, ::-1]  # in the order of time
    return heights.ravel()


@pytest.mark.parametrize("looped", [True, False])
def test_white_noise_has_its_density(*, looped: bool) -> None:
    twin = made(flat(), noise={"white": 2e-12})
    twin.capability(Feedback).set(enabled=float(looped))
    frequency, density = welch(trace_of(twin, 16384), RATE, nperseg=1024)
    band = (frequency > 100) & (frequency < 9e3)
    assert np.sqrt(density[band].mean()) / 2e-12 == pytest.approx(1.0, rel=0.05)
    for part in np.array_split(density[band], 8):
        assert np.sqrt(part.mean()) / 2e-12 == pytest.approx(1.0, rel=0.05)


def test_one_over_f_noise_falls_as_one_over_f() -> None:
    frequency, density = welch(
        trace_of(made(flat(), noise={"pink": 3e-11}), 131072), RATE, nperseg=16384
    )
    for low, high in [(10, 40), (40, 160), (160, 640), (640, 2560), (2560, 4000)]:
        band = (frequency >= low) & (frequency < high)
        at_1_hz = np.sqrt((density[band] * frequency[band]).mean())
        assert at_1_hz / 3e-11 == pytest.approx(1.0, rel=0.05)


def test_one_over_f_noise_goes_on_from_line_to_line() -> None:
    noise = trace_of(made(flat(), noise={"pink": 3e-11}), 4096).reshape(8, 4096)
    across = noise[1:, :50].mean(axis=1) - noise[:-1, -50:].mean(axis=1)
    within = noise[:, 50:100].mean(axis=1) - noise[:, :50].mean(axis=1)
    assert np.abs(across).mean() < 3 * np.abs(within).mean()


def test_mains_hum_has_its_amplitude_and_its_phase_goes_on() -> None:
    twin = made(flat(), noise={"mains": 50e-12, "mains_frequency": 60.5})
    signal = trace_of(twin, 10000)
    times = (np.arange(signal.size) + 0.5) / RATE
    found = 2 * np.mean(signal * np.exp(-2j * np.pi * 60.5 * times))
    assert abs(found) / 50e-12 == pytest.approx(1.0, rel=0.05)


def test_the_converter_reads_steps_and_their_noise() -> None:
    bits, z_range = 12, 1e-6
    step = 2 * z_range / 2**bits
    twin = made(
        flat(), noise={"white": 0.5 * step / np.sqrt(RATE / 2), "bits": bits},
        loop={"z_range": z_range},
    )  # fmt: skip
    read = trace_of(twin, 16384)
    np.testing.assert_allclose(read, np.round(read / step) * step, atol=1e-15)
    plain = trace_of(
        made(flat(), noise={"white": 0.5 * step / np.sqrt(RATE / 2)}, loop={"z_range": z_range}),
        16384,
    )
    # W. R. Bennett, Bell Syst. Tech. J. 27 (1948) 446: an error of variance step^2 / 12.
    assert np.std(read - plain) / (step / np.sqrt(12)) == pytest.approx(1.0, rel=0.05)


def shift_between(found: SignalSet, truth: FloatArray, pitch: float, name: str) -> FloatArray:
    """Return by how much a frame is displaced, (x, y, z) in metres: least squares."""
    rows, columns = truth.shape
    x, y = np.meshgrid(found["x"].to_numpy(), found["y"].to_numpy())
    shift = np.zeros(3)
    for _ in range(12):
        values = [
            bilinear(
                truth,
                (y + shift[1] + dy) / pitch + (rows - 1) / 2,
                (x + shift[0] + dx) / pitch + (columns - 1) / 2,
            )
            for dx, dy in ((0, 0), (1e-9, 0), (-1e-9, 0), (0, 1e-9), (0, -1e-9))
        ]
        slopes = [(values[1] - values[2]) / 2e-9, (values[3] - values[4]) / 2e-9]
        basis = np.stack([*slopes, np.ones_like(x)], axis=-1).reshape(-1, 3)
        rest = (found[name].to_numpy() - values[0] - shift[2]).ravel()
        step, *_ = np.linalg.lstsq(basis, rest, rcond=None)
        shift = shift + step
    return shift


def displacement(twin: SpmTwin, **changes: Any) -> FloatArray:
    found = scan(twin, field_of_view=(160e-9, 120e-9), shape=(32, 64), line_rate=40.0, **changes)
    return shift_between(found, twin.truth.apparent, twin.truth.sample.pitch, "height")


def test_drift_moves_the_image_and_its_height() -> None:
    drift = (0.2e-9, -0.1e-9, 0.05e-9)
    twin = made(hills(), motion={"drift": drift})
    first = displacement(twin)
    began = twin.clock.now()
    twin.clock.sleep(60.0)
    second = displacement(twin)
    np.testing.assert_allclose((second - first) / (twin.clock.now() - began), drift, rtol=0.05)


def test_creep_grows_with_the_logarithm_of_time_by_its_share_per_decade() -> None:
    twin = made(hills(), motion={"creep": 0.02, "creep_time": 0.1})
    twin.capability(Positioner).set(x=150e-9)
    began, found = twin.clock.now(), []
    for wait in (10.0, 100.0, 1000.0):
        twin.clock.sleep(began + wait - 0.4 - twin.clock.now())  # a frame takes 0.8 s
        found.append(displacement(twin, centre=(150e-9, 0.0))[0])
    np.testing.assert_allclose(np.diff(found), 0.02 * 150e-9, rtol=0.05)


def test_hysteresis_parts_trace_and_retrace_most_in_the_middle() -> None:
    twin = made(hills(), motion={"hysteresis": 0.04})
    found = scan(
        twin, field_of_view=(160e-9, 120e-9), shape=(48, 96),
        directions=("trace", "retrace"), line_rate=5.0,
    )  # fmt: skip
    truth, pitch = twin.truth.apparent, twin.truth.sample.pitch
    apart = []
    for part in (slice(0, 16), slice(40, 56), slice(80, 96)):
        there, back = (
            shift_between(found.isel(x=part), truth, pitch, channel_name("height", way))[0]
            for way in ("trace", "retrace")
        )
        apart.append(back - there)
    lag = 2 * 160e-9 * 2 * 5.0 * 1 / twin.truth.settings.loop.integral  # of the loop
    left, middle, right = apart
    assert middle - lag == pytest.approx(0.04 * 160e-9, rel=0.05)
    assert 0.0 < left - lag < 0.5 * middle
    assert 0.0 < right - lag < 0.5 * middle


def test_sensors_see_creep_and_hysteresis_and_not_the_drift() -> None:
    motion = {"drift": (1e-9, 0, 0), "creep": 0.03, "hysteresis": 0.02, "sensors": True}
    twin = made(hills(), motion=motion)
    found = scan(twin, centre=(40e-9, 20e-9), rotation=0.2)
    path = RealPath(Motion.model_validate(motion | {"drift": (0, 0, 0)}))
    path.move((40e-9, 20e-9), 0.0)
    off = (
        found["measured_x"].to_numpy()
        - scan(made(hills()), centre=(40e-9, 20e-9), rotation=0.2)["measured_x"].to_numpy()
    )
    creep = path.creep(found["time"].to_numpy())[..., 0]
    along = np.linspace(0, 1, 64)
    lag = path.lag(along, 200e-9, back=False) * np.cos(0.2)
    np.testing.assert_allclose(off, creep + lag, atol=0.2e-9)
    assert np.abs(off).max() > 1e-9
    assert metadata(found["height"])["positions"] == "sensed"
    assert metadata(scan(made(hills()))["height"])["positions"] == "commanded"


NOTHING: dict[str, dict[str, Any]] = {
    "noise": {"white": 0.0, "pink": 0.0, "mains": 0.0, "mains_frequency": 60.0, "detector": 0.0},
    "drift": {"drift": (0.0, 0.0, 0.0)},
    "creep": {"creep": 0.0, "creep_time": 5.0},
    "hysteresis": {"hysteresis": 0.0, "sensors": False},
    "wear": {"archard": 0.0, "crash_depth": 1e-6},
}


@pytest.mark.parametrize("what", NOTHING)
def test_an_artefact_of_no_strength_changes_no_byte(what: str) -> None:
    group = what if what in ("noise", "wear") else "motion"
    both = ("trace", "retrace")
    plain = scan(made(hills()), directions=both)
    other = scan(made(hills(), seed=7, **{group: NOTHING[what]}), directions=both)
    for name in plain.data_vars:
        assert plain[name].to_numpy().tobytes() == other[name].to_numpy().tobytes(), name
    assert plain["measured_x"].to_numpy().tobytes() == other["measured_x"].to_numpy().tobytes()


def test_without_artefacts_a_sharp_tip_and_a_quick_loop_give_the_surface() -> None:
    twin = made(
        hills(),
        tip={"apexes": [{"radius": 1e-10, "half_angle": 0.01}]},
        loop={"integral": 12000.0, "resonance": 9e3, "quality": 0.7},
    )
    found = scan(twin, line_rate=0.2, shape=(16, 100))
    places = found["measured_x"].to_numpy(), found["measured_y"].to_numpy()
    error = found["height"].to_numpy() - twin.truth.sample.at("height", *places)
    error += twin.truth.settings.loop.setpoint
    # 0.3 per cent of the 4 nm of relief; a pixel is a mean over 2 nm, which alone makes a third.
    assert np.abs(error[:, 1:]).max() < 12e-12


FULL: dict[str, Any] = {
    "noise": {"white": 1e-12, "pink": 1e-11, "mains": 1e-11, "detector": 0.01, "bits": 16},
    "motion": {"drift": (1e-10, 5e-11, 1e-12), "hysteresis": 0.01},
}  # fmt: skip


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    one, two, other = (scan(made(hills(), seed=seed, **FULL)) for seed in (5, 5, 6))
    for name in one.data_vars:
        assert one[name].to_numpy().tobytes() == two[name].to_numpy().tobytes()
        assert one[name].to_numpy().tobytes() != other[name].to_numpy().tobytes()


def test_a_restored_twin_goes_on_with_the_same_bytes() -> None:
    through = made(hills(), seed=5, **FULL)
    scan(through, centre=(10e-9, 0.0))
    when = through.clock.now()
    later = scan(through, centre=(10e-9, 0.0))
    again = made(hills(), seed=5, **FULL)
    Guard(again).restore(when, (10e-9, 0.0))
    resumed = scan(again, centre=(10e-9, 0.0))
    for name in later.data_vars:
        assert later[name].to_numpy().tobytes() == resumed[name].to_numpy().tobytes(), name
    assert (later["time"] == resumed["time"]).all()


def test_a_channel_reads_the_same_whatever_else_is_recorded() -> None:
    alone = scan(made(hills(), seed=5, **FULL), channels=("deflection",))
    beside = scan(made(hills(), seed=5, **FULL))
    for name in ("height", "deflection"):
        if name in alone:
            assert alone[name].to_numpy().tobytes() == beside[name].to_numpy().tobytes()
    only = scan(made(hills(), seed=5, **FULL), channels=("height",))
    assert only["height"].to_numpy().tobytes() == beside["height"].to_numpy().tobytes()


@pytest.mark.parametrize("rate", [1e3, 20e3, 200e3])
def test_noise_drawn_in_pieces_has_the_spectrum_of_noise_drawn_at_once(rate: float) -> None:
    source = NoiseSource(Noise(pink=1.0), np.random.default_rng(2), rate)
    pieces = [source.draw(0.0, 1000) for _ in range(300)]
    signal = np.concatenate([piece for piece in pieces if piece is not None])
    frequency, density = welch(signal, rate, nperseg=10000)
    band = (frequency > 5 * rate / 10000) & (frequency < rate / 8)
    assert np.sqrt((density[band] * frequency[band]).mean()) == pytest.approx(1.0, rel=0.05)
