"""The twin passes every check, every common mistake fails its own, and the theory is right."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nanopilot.bench import twin_checks
from nanopilot.bench.tracks.spm_twin import CLAIMS, SpmTwinTrack, Visible, shipped
from nanopilot.bench.twin_checks import Physics
from nanopilot.bench.twin_theory import amplitude, density, density_at_1_hz, dilated, step_response
from nanopilot.core.clock import Clock
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin

TRACK = SpmTwinTrack()


@pytest.fixture(scope="module", params=[100])
def scores(request: pytest.FixtureRequest) -> dict[str, Mapping[str, float]]:
    case = TRACK.case(request.param)
    return {name: TRACK.score(case, method(case.visible)) for name, method in TRACK.methods.items()}


def test_the_twin_passes_every_check(scores: dict[str, Mapping[str, float]]) -> None:
    assert {check: scores["spm-twin"][check] for check in CLAIMS} == dict.fromkeys(CLAIMS, 1.0)


def test_a_twin_with_wrong_physics_passes_none(scores: dict[str, Mapping[str, float]]) -> None:
    assert {check: scores["wrong-physics"][check] for check in CLAIMS} == dict.fromkeys(CLAIMS, 0.0)


def test_every_bar_speaks_of_a_method_and_a_metric_there_are(
    scores: dict[str, Mapping[str, float]],
) -> None:
    for bar in TRACK.bars:
        assert bar.metric in scores[bar.method or TRACK.default]
    assert {bar.metric for bar in TRACK.bars} == {*CLAIMS, "passed"}


def test_the_same_seed_gives_the_same_scores(scores: dict[str, Mapping[str, float]]) -> None:
    assert TRACK.score(TRACK.case(100), shipped(Visible())) == scores["spm-twin"]


def changed(part: str, **values: Any) -> Physics:
    """Return the twin with one group of settings tampered with."""
    made = shipped(Visible())

    def build(sample: Sample, clock: Clock, settings: SpmSettings, seed: int) -> SpmTwin:
        group = getattr(settings, part)
        update = {key: getattr(group, key) * factor for key, factor in values.items()}
        wrong = settings.model_copy(update={part: group.model_copy(update=update)})
        return made.build(sample, clock, wrong, seed)

    return replace(made, build=build)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_tenth_more_or_less_is_seen(factor: float) -> None:
    rng = np.random.default_rng
    assert twin_checks.creep(changed("motion", creep=factor), rng(1)) == pytest.approx(
        0.1, abs=0.03
    )
    for name in ("white", "pink", "mains"):
        found = twin_checks.noise(changed("noise", **{name: factor}), rng(1))
        assert found[name] == pytest.approx(0.1, abs=0.03)
    assert twin_checks.stepping(changed("loop", integral=factor), rng(1)) > 0.02


def test_theory_of_noise_finds_what_was_put_in() -> None:
    rng, rate = np.random.default_rng(0), 1e4
    white = rng.normal(0.0, 3.0 * np.sqrt(rate / 2), 200_000)
    assert density(white, rate, (100.0, 4e3)) == pytest.approx(3.0, rel=0.02)
    frequency = np.fft.rfftfreq(200_000, 1 / rate)
    scale = np.divide(1.0, np.sqrt(frequency), out=np.zeros_like(frequency), where=frequency > 0)
    pink = np.fft.irfft(np.fft.rfft(white) * scale)
    assert density_at_1_hz(pink, rate, (20.0, 2e3)) == pytest.approx(3.0, rel=0.02)
    times = np.arange(10_000) / rate
    assert amplitude(2.0 * np.sin(2 * np.pi * 50 * times), times, 50.0) == pytest.approx(2.0)


def test_theory_of_the_loop_ends_at_the_surface_and_begins_slowly() -> None:
    surface = np.where(np.arange(4000) < 5, 1e-9, 3e-9)
    followed = step_response((20e3, 0.1, 800.0), (5e3, 2.0), surface)
    assert followed[-1] == pytest.approx(3e-9, rel=1e-6)
    np.testing.assert_allclose(followed[:6], 1e-9)
    # An integrator alone closes 1 / e of the gap in one over its gain.
    slow = step_response((20e3, 0.0, 100.0), (9e3, 0.7), surface)
    assert (3e-9 - slow[5 + 200]) / 2e-9 == pytest.approx(np.exp(-1), rel=0.03)


def test_theory_of_imaging_puts_the_tip_turned_round_on_every_peak() -> None:
    surface = np.full((9, 9), -100.0)
    surface[4, 4] = 0.0
    tip = np.arange(15.0).reshape(3, 5)
    image = dilated(surface, tip)
    np.testing.assert_array_equal(image[3:6, 2:7], -tip[::-1, ::-1])
