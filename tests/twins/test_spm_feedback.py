"""The loop: linear theory where it is linear, its definition sample by sample elsewhere."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal import cont2discrete, lfilter

from nanopilot.core.adjustables import Feedback
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.requests import ScanRequest
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin
from nanopilot.twins.spm.feedback import Controller, follow
from nanopilot.twins.spm.motion import FloatArray

MODES = ("contact", "tapping", "stm")


def instrument(mode: str = "contact", **loop: float) -> SpmSettings:
    setpoint = {"contact": 20e-9, "tapping": 20e-9, "stm": 1e-10}[mode]
    lever = {"quality": 20.0}
    return SpmSettings.model_validate(
        {
            "loop": {"mode": mode, "setpoint": setpoint, **loop},
            "lever": lever,
            "tip": {"apexes": [{"radius": 0.5e-9}]},
        }
    )


def followed(made: SpmSettings, surface: FloatArray, current: FloatArray) -> list[FloatArray]:
    controller = Controller.of(made)
    state = controller.at_rest(float(surface[0]), float(current[0]))
    out = tuple(np.empty(surface.size) for _ in range(3))
    follow(surface, current, (controller.numbers, controller.step), state, out)  # type: ignore[arg-type]
    return list(out)


def closed_loop(made: SpmSettings) -> tuple[FloatArray, FloatArray]:
    """Return numerator and denominator, in powers of one sample's delay, of piezo over surface.

    Written from the block diagram: a piezo held between samples, a PID controller, the lag of
    the amplitude; no line of the kernel is used.
    """
    loop, dt = made.loop, 1 / made.loop.rate
    w = 2 * np.pi * loop.resonance
    piezo_num, piezo_den, _ = cont2discrete(([w**2], [1, w / loop.quality, w**2]), dt, "zoh")
    p, i, d = loop.proportional, loop.integral * dt, loop.derivative / dt
    # p + i / (1 - q) + d (1 - q), q one sample's delay, over the common denominator.
    controller_num = np.array([p + i + d, -p - 2 * d, d])
    controller_den = np.array([1.0, -1.0])
    keeps = np.exp(-dt / made.amplitude_lag) if loop.mode == "tapping" else 0.0
    top = np.convolve(np.convolve(piezo_num[0], controller_num), [1 - keeps])
    bottom = np.convolve(np.convolve(piezo_den, controller_den), [1.0, -keeps])
    size = max(top.size, bottom.size)
    top, bottom = (np.pad(one, (0, size - one.size)) for one in (top, bottom))
    return top, bottom + top


def stable(made: SpmSettings) -> bool:
    return bool((np.abs(np.roots(closed_loop(made)[1])) < 0.999).all())


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=40, deadline=None)
@given(
    integral=st.floats(50, 3000),
    proportional=st.floats(0, 0.5),
    derivative=st.floats(0, 3e-6),
    resonance=st.floats(1e3, 9e3),
    quality=st.floats(0.5, 10),
)
def test_step_response_is_that_of_the_linear_closed_loop(mode: str, **loop: float) -> None:
    made = instrument(mode, **loop)
    assume(stable(made))
    surface = np.where(np.arange(2000) < 10, 0.0, 1e-12)
    current = np.full(surface.size, 7.7e-5)
    z, error, _ = followed(made, surface, current)
    assume(np.ptp(z) < 5e-10)  # far from where the signals are cut off
    expected = lfilter(*closed_loop(made), surface)
    np.testing.assert_allclose(z - z[0], expected, atol=1e-17)
    assert abs(error[-1]) < 1e-12


def slowly(made: SpmSettings, surface: FloatArray, current: FloatArray) -> list[FloatArray]:
    """Follow a profile as the definition says, sample by sample, with a fine Euler step."""
    loop, lever, dt = made.loop, made.lever, 1 / made.loop.rate
    w, fine = 2 * np.pi * loop.resonance, 100
    z = integral = float(Controller.of(made).at_rest(surface[0], current[0])[0])
    velocity, last, amplitude = 0.0, 0.0, loop.setpoint
    out: list[list[float]] = [[], [], []]
    for height, flows in zip(surface, current, strict=True):
        gap = z - height
        if loop.mode == "contact":
            error = loop.setpoint - max(-gap, 0.0)
        elif loop.mode == "tapping":
            share = 1 - np.exp(-dt / made.amplitude_lag)
            amplitude += share * (min(max(gap, 0.0), lever.free_amplitude) - amplitude)
            error = amplitude - loop.setpoint
        else:
            error = gap - np.log(flows / loop.setpoint) / (2 * lever.decay)
        integral = np.clip(integral - loop.integral * dt * error, -loop.z_range, loop.z_range)
        command = integral - loop.proportional * error - loop.derivative / dt * (error - last)
        command = np.clip(command, -loop.z_range, loop.z_range)
        last = error
        for values, value in zip(out, (z, error, gap), strict=True):
            values.append(value)
        for _ in range(fine):
            velocity += dt / fine * (-(w**2) * (z - command) - w / loop.quality * velocity)
            z += dt / fine * velocity
    return [np.array(values) for values in out]


@pytest.mark.parametrize("mode", MODES)
def test_rough_ways_are_followed_as_defined_beyond_the_linear_range_too(mode: str) -> None:
    made = instrument(mode, integral=1500, proportional=0.1, derivative=1e-6, z_range=60e-9)
    rng = np.random.default_rng(3)
    surface = np.cumsum(rng.normal(0, 4e-9, 300))
    current = 7.7e-5 * np.exp(rng.normal(0, 0.5, 300))
    fast, slow = followed(made, surface, current), slowly(made, surface, current)
    for mine, theirs in zip(fast, slow, strict=True):
        scale = np.ptp(theirs)
        assert np.abs(mine - theirs).max() < 0.02 * scale
    # The way was rough enough to reach what is not linear.
    assert (np.diff(fast[1]) == 0).any() or np.ptp(fast[0]) > 60e-9


def stepped(height: float = 2e-9) -> Sample:
    x = np.arange(1024)
    profile = np.where(x < 512, 0.0, height)
    return Sample("step", np.tile(profile, (64, 1)), 4e-9)


@pytest.mark.parametrize(("integral", "proportional"), [(600, 0.0), (2000, 0.0), (1500, 0.3)])
def test_a_scanned_step_is_the_step_response_within_two_per_cent(
    integral: float, proportional: float
) -> None:
    made = instrument(integral=integral, proportional=proportional, resonance=4e3)
    twin = SpmTwin(stepped(), VirtualClock(), settings=made)
    columns = 500
    request = ScanRequest(
        centre=(0.0, 0.0),
        field_of_view=(4.0e-6, 10e-9),
        shape=(1, columns),
        line_rate=made.loop.rate / (2 * columns),
    )
    frame = twin.capability(Scanner).start(request).result()
    # 8 nm per sample: the step of the sample is over within one.
    heights = frame["height"].to_numpy()[0]
    edge = int(np.flatnonzero(frame["x"].to_numpy() > 0)[0])
    expected = lfilter(*closed_loop(made), np.where(np.arange(columns) < edge, 0.0, 2e-9))
    np.testing.assert_allclose(heights - heights[0], expected, atol=0.02 * 2e-9)
    assert heights[-1] - heights[0] == pytest.approx(2e-9, rel=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_with_the_loop_off_the_piezo_stays_and_the_signal_shows_the_surface(mode: str) -> None:
    made = instrument(mode)
    twin = SpmTwin(stepped(0.2e-9), VirtualClock(), settings=made)
    request = ScanRequest(centre=(0.0, 0.0), field_of_view=(2e-6, 0.1e-6), shape=(4, 64))
    before = twin.state().get("Feedback.z")
    twin.capability(Feedback).set(enabled=0)
    frame = twin.capability(Scanner).start(request).result()
    heights = frame["height"].to_numpy()
    assert np.ptp(heights) < 1e-20
    assert heights[0, 0] == pytest.approx(before, abs=1e-15)
    assert twin.state().get("Feedback.z") == before
    signal = frame[{"contact": "deflection", "tapping": "amplitude", "stm": "current"}[mode]]
    left, right = signal.to_numpy()[:, 5], signal.to_numpy()[:, -5]
    factor = np.exp(2 * made.lever.decay * 0.2e-9)
    expected = {"contact": right - 0.2e-9, "tapping": right + 0.2e-9, "stm": right / factor}[mode]
    np.testing.assert_allclose(left, expected, rtol=1e-6)
    twin.capability(Feedback).set(enabled=1)
    assert np.ptp(twin.capability(Scanner).start(request).result()["height"].to_numpy()) > 0.1e-9


def test_a_current_image_follows_the_density_of_states_at_constant_current() -> None:
    x = np.arange(256)
    density = np.tile(1 + 0.5 * np.sin(2 * np.pi * x / 64), (64, 1))
    sample = Sample(
        "flat", np.zeros((64, 256)), 0.1e-9, {"ldos": density}, {"ldos": ("density", "1")}
    )
    twin = SpmTwin(sample, VirtualClock(), settings=instrument("stm"))
    request = ScanRequest(centre=(0, 0), field_of_view=(20e-9, 1e-9), shape=(2, 200), line_rate=0.2)
    frame = twin.capability(Scanner).start(request).result()
    decay = twin.truth.settings.lever.decay
    places = frame["measured_x"].to_numpy(), frame["measured_y"].to_numpy()
    expected = np.log(sample.at("ldos", *places)) / (2 * decay)
    heights = frame["height"].to_numpy()
    np.testing.assert_allclose(heights - heights.mean(), expected - expected.mean(), atol=2e-13)


def test_the_piezo_never_leaves_its_range() -> None:
    made = instrument(z_range=5e-9, setpoint=1e-9)
    surface = 20e-9 * np.sin(np.arange(4000) / 200)
    z, _, _ = followed(made, surface, surface)
    resonant = 1.1  # it overshoots what it is told by its own resonance
    assert np.abs(z[1:]).max() < resonant * 5e-9 + 1e-9


def test_what_is_set_during_a_scan_takes_effect_in_it() -> None:
    twin = SpmTwin(stepped(0.0), VirtualClock(), settings=instrument("contact"))
    request = ScanRequest(centre=(0.0, 0.0), field_of_view=(2e-6, 0.1e-6), shape=(9, 64))
    acquisition = twin.capability(Scanner).start(request)
    blocks, loop = iter(acquisition), twin.capability(Feedback)
    for changes in ({"setpoint": 35e-9}, {"enabled": 0.0}, {"enabled": 1.0, "setpoint": 10e-9}):
        for _ in range(3):
            next(blocks)
        loop.set(**changes)
    deflection = acquisition.result()["deflection"].to_numpy()
    for rows, expected in ((slice(0, 3), 20e-9), (slice(3, 6), 35e-9), (slice(6, 9), 35e-9)):
        np.testing.assert_allclose(deflection[rows, 5:], expected, rtol=1e-6)
    found = twin.capability(Scanner).start(request).result()
    np.testing.assert_allclose(found["deflection"].to_numpy(), 10e-9, rtol=1e-6)


def test_a_loop_switched_off_in_the_middle_of_a_scan_holds_the_piezo_there() -> None:
    twin = SpmTwin(stepped(1e-9), VirtualClock(), settings=instrument("contact"))
    request = ScanRequest(centre=(0.3e-6, 0.0), field_of_view=(2e-6, 0.1e-6), shape=(6, 64))
    acquisition = twin.capability(Scanner).start(request)
    blocks = iter(acquisition)
    for _ in range(3):
        next(blocks)
    twin.capability(Feedback).set(enabled=0)
    heights = acquisition.result()["height"].to_numpy()
    assert np.ptp(heights[2]) > 0.9e-9
    # Each line ends where it began, on the left.
    np.testing.assert_allclose(heights[3:], heights[2, 0], atol=1e-14)
    assert twin.state().get("Feedback.z") == pytest.approx(heights[3, 0], abs=1e-15)
