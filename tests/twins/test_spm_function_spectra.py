"""Spectra of the scanning-probe twin: loops, resonances, force, current, strain."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis.loop_fit import LoopFit
from nanopilot.analysis.resonance import ShoFit
from nanopilot.core.adjustables import Approach
from nanopilot.core.capabilities import PointSpectroscopy
from nanopilot.core.errors import Interlocked, LinkLost, OutOfRange, Unsupported
from nanopilot.core.requests import SpectrumRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.spm import Sample, SpmTwin
from nanopilot.twins.spm.function.force import ContactForce
from nanopilot.twins.spm.function_settings import Contact
from nanopilot.twins.spm.samples import family
from tests.twins.polar import on, places, plain, polar

TRACKED = {"piezoresponse": {"tracking": True}}


def spectrum(twin: SpmTwin, kind: str = "bias", **changes: Any) -> SignalSet:
    """Take a spectrum, in the middle unless told otherwise."""
    request = SpectrumRequest(**({"position": (0.0, 0.0), "kind": kind} | changes))
    return twin.capability(PointSpectroscopy).start(request).result()


# Hysteresis loops


@settings(max_examples=15, deadline=None)
@given(st.floats(0.8, 5.0), st.floats(0.8, 5.0), st.sampled_from([1.0, -1.0]))
def test_a_loop_switches_where_the_layers_say(up: float, down: float, start: float) -> None:
    film = polar(polarisation=start, switching_positive=up, switching_negative=-down)
    loop = spectrum(on(film))
    bias, response = loop["bias"].to_numpy(), loop["piezoresponse"].to_numpy()
    step = abs(float(np.diff(bias)[0]))
    falls = bias[np.flatnonzero((response[:-1] > 0) & (response[1:] < 0)) + 1]
    rises = bias[np.flatnonzero((response[:-1] < 0) & (response[1:] > 0)) + 1]
    # The first bias of the sweep at which the threshold is reached: no earlier, one step later.
    assert falls.size == rises.size == 1
    assert -down - step <= falls[0] <= -down
    assert up <= rises[0] <= up + step


def test_the_loop_fit_finds_coercive_bias_and_imprint_of_the_layers() -> None:
    film = polar(switching_positive=2.6, switching_negative=-3.4)
    loop = spectrum(on(film, noise={"detector": 0.02}))
    found = LoopFit()(loop["piezoresponse"])
    step = 0.5
    assert float(found["coercive_bias"]) == pytest.approx(3.0, abs=step / 2)
    assert float(found["imprint"]) == pytest.approx(-0.4, abs=step / 2)
    assert float(found["height"]) == pytest.approx(80 * 50e-12, rel=0.05)


def test_a_loop_leaves_the_domain_that_it_ended_with() -> None:
    twin = on(polar())
    spectrum(twin, bias=(0.0, -6.0, 0.0))
    polarisation = twin.truth.layers["polarisation"]
    assert polarisation[48, 56] == -1
    assert polarisation[0, 0] == 1
    (event,) = (one for one in twin.truth.events if one["what"] == "hysteresis loop")
    assert event["switched"] == np.count_nonzero(polarisation < 0)


def test_a_loop_near_a_wall_switches_at_less() -> None:
    x, _ = places()
    biases = tuple(np.arange(0.0, -4.0, -0.1).tolist())
    reached = []
    for far in (10e-9, 18e-9, 200e-9):
        film = polar(polarisation=np.where(x > far, -1.0, 1.0))
        response = spectrum(on(film), bias=biases)["piezoresponse"].to_numpy()
        reached.append(biases[int(np.argmax(response < 0))])
    assert reached[2] < reached[1] < reached[0] < -3.0 * 0.6
    assert reached[2] == pytest.approx(-3.0)


def test_a_small_domain_counts_for_the_part_of_the_spot_that_it_fills() -> None:
    full, seen = 80 * 50e-12, []
    for radius in (5e-9, 20e-9, 40e-9):
        slow = {"switching": {"growth": 8e-9}}
        twin = on(polar(), tip={"apexes": [{"radius": radius}]}, function=slow)
        response = spectrum(twin, bias=(0.0, -4.0, 0.0))["piezoresponse"].to_numpy()
        assert response[0] == pytest.approx(full)
        seen.append(float(response[-1]))
    assert seen[0] < seen[1] < seen[2] < full


def test_under_the_field_the_background_tilts_the_loop() -> None:
    piezo = {"background": 2e-12}
    twin = on(polar(), function={"piezoresponse": piezo})
    bias = (4.0, 2.0, -1.0)
    under = spectrum(twin, bias=bias, parameters={"on_field": 1.0})["piezoresponse"].to_numpy()
    np.testing.assert_allclose(under, 80 * (50e-12 + 2e-12 * np.array(bias)), rtol=1e-9)
    after = spectrum(twin, bias=bias, parameters={"read_bias": 0.5})["piezoresponse"].to_numpy()
    np.testing.assert_allclose(after, 80 * (50e-12 + 1e-12), rtol=1e-9)


# Resonances


@pytest.mark.parametrize("stiffness", [400.0, 500.0, 700.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_fit_of_the_band_finds_the_contact_resonance(stiffness: float, sign: float) -> None:
    twin = on(polar(stiffness=stiffness, polarisation=sign), noise={"detector": 0.01})
    found = ShoFit()(spectrum(twin, "frequency"))
    resonance = 350e3 * (stiffness / 500) ** 0.1
    for name, expected in (("resonance_frequency", resonance), ("quality_factor", 80.0),
                           ("amplitude", 50e-12)):  # fmt: skip
        off = abs(float(found[name]) - expected)
        assert off < 5 * float(found[f"{name}_std"]), name
        assert off < 0.1 * expected, name
    assert np.cos(float(found["phase"])) * sign > 0.9


def test_two_frequencies_are_one_on_either_side_of_the_centre() -> None:
    asked = {"points": 2.0, "span": 8e3, "centre": 351e3}
    found = spectrum(on(polar()), "frequency", parameters=asked)
    np.testing.assert_allclose(found["frequency"], [347e3, 355e3])
    f, f0 = found["frequency"].to_numpy(), 350e3
    expected = 50e-12 * f0**2 / np.hypot(f**2 - f0**2, f * f0 / 80)
    np.testing.assert_allclose(found["pfm_amplitude"], expected, rtol=1e-9)


# Force


@settings(max_examples=20, deadline=None)
@given(st.floats(50.0, 2000.0), st.floats(1e-9, 5e-8), st.floats(0.5, 40.0))
def test_slope_and_adhesion_of_a_force_curve_are_those_of_the_sample(
    stiffness: float, adhesion: float, lever: float
) -> None:
    twin = on(plain(stiffness=stiffness, adhesion=adhesion), lever={"stiffness": lever})
    depth = 60e-9 / lever + 60e-9 * 1.5 / stiffness * 2
    start = 2 * adhesion / lever + 5e-9
    asked = {"points": 20_000.0, "depth": depth, "start": start}
    curve = spectrum(twin, "force", parameters=asked)
    force, z = curve["force"].to_numpy(), curve["z"].to_numpy()
    assert force.max() > 50e-9
    # Pull-off comes at the first sample beyond the deepest force: a step of z away at most.
    assert force.min() == pytest.approx(-adhesion, abs=2 * lever * np.abs(np.diff(z)).max())
    separation = z + curve["deflection"].to_numpy()
    down = np.arange(z.size) < z.size // 2
    at = down & (np.abs(force - 50e-9) < 2e-9)
    slope = np.polyfit(-separation[at], force[at], 1)[0]
    assert slope == pytest.approx(stiffness, rel=0.02)


def test_a_soft_lever_jumps_in_and_is_held_back() -> None:
    twin = on(plain(stiffness=500.0, adhesion=20e-9), lever={"stiffness": 0.5})
    asked = {"points": 4000.0, "start": 80e-9}
    curve = spectrum(twin, "force", parameters=asked)
    z, force = curve["z"].to_numpy(), curve["force"].to_numpy()
    down, up = slice(None, 2000), slice(2000, None)
    jump = z[down][np.argmin(force[down] > -1e-9)]
    snap = z[up][np.flatnonzero(force[up] < -10e-9)[-1]]
    # The lever lets go where it pulls with the adhesion, 40 nm above; it jumps in far below.
    assert snap == pytest.approx(20e-9 / 0.5, abs=0.2e-9)
    assert 0 < jump < 0.2 * snap
    assert force[-1] == pytest.approx(0.0, abs=1e-10)
    loading = z[down] < -1e-9
    np.testing.assert_allclose(
        force[down][loading], force[up][::-1][loading], atol=0.5 * 0.1e-9 + 1e-10
    )


@given(st.floats(1.0, 1e4), st.floats(0.0, 1e-7), st.floats(1e-9, 1e-6))
def test_the_contact_is_as_stiff_as_the_layer_at_the_load_of_the_settings(
    stiffness: float, adhesion: float, load: float
) -> None:
    law = ContactForce.of(Contact(load=load), stiffness, adhesion)
    depth = ((load + adhesion) / law.hertz) ** (2 / 3)
    at = -depth * np.array([1 - 1e-4, 1.0, 1 + 1e-4])
    force = law(at)
    assert force[1] == pytest.approx(load, rel=1e-6, abs=1e-6 * adhesion)
    assert (force[2] - force[0]) / (at[0] - at[2]) == pytest.approx(stiffness, rel=1e-6)


def test_force_is_the_deflection_times_the_lever_and_the_balance_holds() -> None:
    twin = on(plain(stiffness=300.0, adhesion=10e-9))
    curve = spectrum(twin, "force")
    law = ContactForce.of(Contact(), 300.0, 10e-9)
    np.testing.assert_allclose(curve["force"], 2.8 * curve["deflection"])
    separation = (curve["z"] + curve["deflection"]).to_numpy()
    np.testing.assert_allclose(law(separation), curve["force"], atol=0.3e-9)


# Current


def test_current_and_its_derivative_are_as_large_as_the_local_density() -> None:
    x, _ = places()
    twin = on(plain(ldos=np.where(x < 0, 0.5, 2.0)),
              loop={"mode": "stm", "setpoint": 1e-10}, electrics={"bias": 0.5})  # fmt: skip
    few, many = (spectrum(twin, position=(at, 0.0)) for at in (-50e-9, 50e-9))
    for one, states in ((few, 0.5), (many, 2.0)):
        np.testing.assert_allclose(one["current"], states * 2e-10 * one["bias"], atol=1e-18)
        np.testing.assert_allclose(one["didv"], states * 2e-10, rtol=1e-9)
    further = spectrum(twin, position=(50e-9, 0.0), parameters={"retreat": 1e-10})
    np.testing.assert_allclose(further["didv"] / many["didv"], np.exp(-2 * 1.1), rtol=1e-9)


def test_didv_is_the_derivative_of_the_current_and_shows_a_gap() -> None:
    tunnelling = {"gap": 0.3, "temperature": 100.0}
    twin = on(plain(ldos=1.0), loop={"mode": "stm", "setpoint": 1e-10},
              electrics={"bias": 1.0}, function={"tunnelling": tunnelling})  # fmt: skip
    found = spectrum(twin, bias=tuple(np.linspace(-1, 1, 801).tolist()))
    slope = np.gradient(found["current"].to_numpy(), found["bias"].to_numpy())
    most = float(found["didv"].max())
    np.testing.assert_allclose(slope[1:-1], found["didv"][1:-1], atol=0.02 * most)
    inside = np.abs(found["bias"].to_numpy()) < 0.2
    assert found["didv"].to_numpy()[inside].max() < 1e-3 * most


def test_a_contact_follows_ohms_law() -> None:
    twin = on(plain(conductivity=2e-9))
    found = spectrum(twin)
    assert set(found) == {"current"}
    np.testing.assert_allclose(found["current"], 2e-9 * found["bias"], atol=1e-24)


# Strain


@pytest.mark.parametrize("slow", [0.1, 0.7])
def test_strain_decays_with_the_time_constant_of_the_layer(slow: float) -> None:
    twin = on(plain(swelling=10e-12, relaxation_time=slow))
    found = spectrum(twin, "time", parameters={"pulse_bias": -4.0, "pulse_time": 0.1})["strain"]
    assert float(found[0]) == pytest.approx(-40e-12 * (1 - np.exp(-2)), rel=1e-9, abs=0)
    decay = np.polyfit(found["time"], np.log(-found), 1)[0]
    assert -1 / decay == pytest.approx(slow, rel=1e-9)


def test_a_sample_that_does_not_say_relaxes_as_the_settings_say() -> None:
    twin = on(plain(swelling=10e-12), function={"electrochemistry": {"relaxation": 0.25}})
    found = spectrum(twin, "time")["strain"]
    assert float(found.sel(time=0.25, method="nearest") / found[0]) == pytest.approx(
        np.exp(-1), rel=0.05
    )


# What all have in common


def everything() -> Sample:
    layers = {"conductivity": 1e-9, "stiffness": 500.0, "adhesion": 2e-8, "swelling": 1e-11}
    return polar(**layers)


KINDS = ("bias", "frequency", "force", "time")


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_bytes_and_another_seed_other_noise(kind: str) -> None:
    noise = {"noise": {"detector": 0.03}}
    one, again, other = (spectrum(on(everything(), seed, **noise), kind) for seed in (1, 1, 2))
    for name in one:
        assert one[name].to_numpy().tobytes() == again[name].to_numpy().tobytes(), name
        assert one[name].to_numpy().tobytes() != other[name].to_numpy().tobytes(), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 4)])
def test_the_clock_goes_on_by_what_the_estimate_says(kind: str, shape: tuple[int, int]) -> None:
    twin = on(everything())
    request = SpectrumRequest(
        position=(20e-9, 10e-9), kind=kind, shape=shape, field_of_view=(90e-9, 60e-9)
    )
    part = twin.capability(PointSpectroscopy)
    expected, before = part.estimate(request), twin.clock.now()
    found = part.start(request).result()
    took = twin.clock.now() - before
    if shape == (1, 1):  # the way to a single place is known to the last digit
        request = request.model_copy(update={"field_of_view": (0.0, 0.0)})
        expected = on(everything()).capability(PointSpectroscopy).estimate(request)
    assert took == pytest.approx(expected.seconds, rel=1e-9)
    assert expected.spectra == shape[0] * shape[1]
    assert expected.bytes == sum(8 * channel.size for channel in found.values())
    if kind not in {"time", "force"}:
        assert (np.diff(found["time"].to_numpy().ravel()) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_only_time_under_bias_counts_as_such(kind: str) -> None:
    request = SpectrumRequest(position=(0.0, 0.0), kind=kind)
    expected = on(everything()).capability(PointSpectroscopy).estimate(request)
    under = {"bias": 64 * 10e-3, "time": 0.1}.get(kind, 0.0)
    assert expected.bias_seconds == pytest.approx(under)


def test_settings_are_declared_and_those_that_are_not_are_refused() -> None:
    twin = on(everything())
    part = twin.capability(PointSpectroscopy)
    for mode in twin.describe().spectra:
        assert mode.parameters, mode.kind
        for one in mode.parameters:
            assert one.limits is not None
            beyond = SpectrumRequest(
                position=(0, 0), kind=mode.kind, parameters={one.name: one.limits.high * 2 + 1}
            )
            (violation,) = part.validate(beyond)
            assert violation.parameter == one.name
            assert one.name in violation.message
            with pytest.raises(OutOfRange, match=one.name):
                part.start(beyond)
        unknown = SpectrumRequest(position=(0, 0), kind=mode.kind, parameters={"colour": 1.0})
        with pytest.raises(Unsupported, match="colour"):
            part.start(unknown)


@pytest.mark.parametrize(
    ("layers", "loop", "kinds"),
    [
        ({"potential": 0.0}, "contact", set()),
        ({"polarisation": 1.0}, "contact", {"frequency"}),
        ({"conductivity": 1.0}, "contact", {"bias"}),
        ({"conductivity": 1.0, "polarisation": 1.0}, "tapping", set()),
        ({"stiffness": 1.0, "adhesion": 1.0}, "tapping", {"force"}),
        ({"stiffness": 1.0}, "contact", set()),
        ({"stiffness": 1.0, "adhesion": 1.0, "swelling": 1.0}, "stm", {"bias"}),
        ({"swelling": 1.0}, "contact", {"time"}),
    ],
)
def test_kinds_are_those_that_sample_and_instrument_allow(
    layers: dict[str, float], loop: str, kinds: set[str]
) -> None:
    setpoint = 1e-10 if loop == "stm" else 20e-9
    twin = on(plain(**layers), loop={"mode": loop, "setpoint": setpoint})
    assert {mode.kind for mode in twin.describe().spectra} == kinds
    if kinds:
        with pytest.raises(Unsupported, match="`energy`"):
            spectrum(twin, "energy")


def test_a_withdrawn_tip_takes_no_spectra_and_a_lost_link_says_so() -> None:
    twin = on(everything())
    twin.capability(Approach).set(engaged=0)
    with pytest.raises(Interlocked, match="withdrawn"):
        spectrum(twin)
    twin.capability(Approach).set(engaged=1)
    twin.faults.inject("lost-link", seconds=5)
    with pytest.raises(LinkLost, match="`link`"):
        spectrum(twin)


def test_drift_moves_the_place_that_is_measured() -> None:
    x, _ = places()
    film = plain(conductivity=np.where(x < 20e-9, 1e-9, 3e-9))
    twin = on(film, motion={"drift": (10e-9, 0.0, 0.0)})
    values = [float(spectrum(twin, bias=(1.0,))["current"][0]) for _ in range(2)]
    twin.clock.sleep(10.0)
    values.append(float(spectrum(twin, bias=(1.0,))["current"][0]))
    assert values[0] == pytest.approx(1e-9)
    assert values[-1] == pytest.approx(3e-9)


def test_loops_on_a_made_film_switch_where_its_layers_say() -> None:
    film = family("ferroelectric")(np.random.default_rng(5), pixels=256, size_m=800e-9)
    twin = on(film, function=TRACKED)
    flat = np.argwhere(film.layers["in_plane"] < 0.01)
    rng = np.random.default_rng(0)
    inner = flat[(np.abs(flat - 127.5) < 90).all(axis=1)]
    off = []
    for row, column in inner[rng.choice(len(inner), 12, replace=False)]:
        place = ((column - 127.5) * film.pitch, (row - 127.5) * film.pitch)
        loop = spectrum(twin, position=place)
        bias, response = loop["bias"].to_numpy(), loop["piezoresponse"].to_numpy()
        rises = bias[np.flatnonzero((response[:-1] < 0) & (response[1:] > 0)) + 1]
        off.append(float(rises[-1]) - film.layers["switching_positive"][row, column])
    # At the first bias of the sweep beyond its own; a wall nearby may let it switch before.
    assert max(off) <= 0.5
    assert np.median(off) == pytest.approx(0.25, abs=0.25)
    json.dumps(twin.truth.events, allow_nan=False)
