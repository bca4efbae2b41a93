"""A twin is fitted to scans: what is known of the instrument is found, what is not is said."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import fft

from nanopilot.analysis.surface_statistics import distances, levelled
from nanopilot.core.capabilities import Scanner
from nanopilot.core.errors import InvalidRequest, SignalError
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.twins.spm import SpmSettings
from nanopilot.workflows.fit_twin import (
    Estimate,
    FitReport,
    Scan,
    estimate,
    fit_twin,
    gap_between,
    read_scan,
    scan_of,
)
from nanopilot.workflows.fit_twin.pool import pooled, settings_of
from nanopilot.workflows.fit_twin.surface import alike, cleaned, refined
from nanopilot.workflows.twins import spm

PFM = Path(__file__).parents[3] / "shared" / "data" / "pfm"
SMOOTH = {"hurst": 1.0, "correlation_length": "150 nm"}
TRUE = {
    "loop.integral": 1500.0,
    "noise.white": 2e-12,
    "noise.pink": 2e-11,
    "noise.mains": 2e-10,
    "motion.drift.x": 3e-10,
    "motion.drift.y": -2e-10,
    "motion.drift.z": 5e-11,
    "motion.hysteresis": 0.004,
}
RATE = 2.02


@cache
def known(  # noqa: PLR0913 - one instrument with single things changed
    seed: int,
    inside: bool = False,
    *,
    directions: tuple[str, ...] = ("trace", "retrace"),
    channels: tuple[str, ...] = ("height", "deflection"),
    rms: str = "5 nm",
    rate: float = RATE,
    lines: int = 160,
) -> Scan:
    """Scan a rough surface with an instrument whose every number is known."""
    noise = {name.split(".")[1]: value for name, value in TRUE.items() if "noise" in name}
    settings = {
        "noise": noise | {"in_loop": inside},
        "motion": {"drift": [3e-10, -2e-10, 5e-11], "hysteresis": TRUE["motion.hysteresis"]},
        "loop": {"integral": TRUE["loop.integral"]},
    }
    recipe = SMOOTH | {"rms": rms}
    twin = spm("rough", seed=seed, size="1.2 um", pixels=512, recipe=recipe, settings=settings)
    request = ScanRequest(
        centre=(0, 0), field_of_view=(1e-6, 1e-6), shape=(lines, lines), line_rate=rate,
        directions=directions, channels=channels,
    )  # fmt: skip
    frame = twin.capability(Scanner).start(request).result()
    return scan_of([frame[name] for name in frame], rate, name=f"seed {seed}")


def pulls(found: dict[str, Estimate]) -> dict[str, float]:
    """Return by how many of its standard errors each number is off."""
    return {
        name: (found[name].value - true) / found[name].std  # type: ignore[operator]
        for name, true in TRUE.items()
    }


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_an_instrument_is_like_is_found_within_its_errors(seed: int, inside: bool) -> None:
    found = estimate(known(seed, inside))
    assert all(found[name].status == "estimated" for name in TRUE)
    assert found["noise.in_loop"].value == float(inside)
    assert found["noise.mains_frequency"].value == 50.0
    off = pulls(found)
    assert max(map(abs, off.values())) < 4, off
    assert np.sqrt(np.mean(np.square(list(off.values())))) < 2
    # Errors are worth something, too: none is wider than these.
    for name, most in {"loop.integral": 0.03, "noise.white": 0.06, "noise.pink": 0.06,
                       "noise.mains": 0.03, "motion.hysteresis": 0.05}.items():  # fmt: skip
        assert found[name].std < most * TRUE[name]  # type: ignore[operator]


def test_without_the_held_signal_the_lag_is_read_off_the_pair() -> None:
    found = estimate(known(4, channels=("height",)))["loop.integral"]
    assert found.how == "shift between trace and retrace"
    assert found.value == pytest.approx(1500, abs=3 * found.std)  # type: ignore[operator]
    assert found.std < 0.1 * 1500


def test_one_frame_in_one_direction_cannot_tell_drift_and_hysteresis() -> None:
    found = estimate(known(5, directions=("retrace",)))
    for name in ("motion.drift.x", "motion.drift.y", "motion.drift.z", "motion.hysteresis"):
        assert found[name].status == "not identifiable"
        assert found[name].value is None
    assert found["loop.integral"].value == pytest.approx(1500, rel=0.03)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("inside", [False, True])
def test_one_direction_shows_the_noise_of_a_quiet_surface(seed: int, inside: bool) -> None:
    found = estimate(known(seed, inside, directions=("trace",), rms="0.1 nm"))
    assert found["noise.in_loop"].value == float(inside)
    for name in ("noise.white", "noise.pink", "noise.mains"):
        assert found[name].status == "estimated"
        assert abs(found[name].value - TRUE[name]) < 4 * found[name].std  # type: ignore[operator]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_direction_takes_no_fine_structure_for_measured_noise(seed: int) -> None:
    found = estimate(known(seed, directions=("trace",)))
    assert found["noise.pink"].status == "bound"
    assert found["noise.pink"].value > TRUE["noise.pink"]  # type: ignore[operator]


def test_in_tapping_the_gain_is_measured_and_noise_is_only_bounded() -> None:
    noise = {"white": 2e-12, "pink": 2e-11}
    settings = {"noise": noise, "loop": {"integral": 1000.0}}
    twin = spm(
        "rough", seed=1, mode="tapping", size="1.2 um", pixels=512, recipe=SMOOTH, settings=settings
    )
    request = ScanRequest(
        centre=(0, 0), field_of_view=(1e-6, 1e-6), shape=(96, 96), line_rate=RATE,
        directions=("trace", "retrace"), channels=("height", "amplitude"),
    )  # fmt: skip
    frame = twin.capability(Scanner).start(request).result()
    scan = scan_of([frame[name] for name in frame], RATE)
    found = estimate(scan)
    assert scan.mode == "tapping"
    assert found["loop.integral"].value == pytest.approx(1000, rel=0.04)
    for name in ("white", "pink"):
        assert found[f"noise.{name}"].status == "bound"
        assert found[f"noise.{name}"].value > noise[name]  # type: ignore[operator]
    assert found["motion.drift.z"].status == "not identifiable"
    assert settings_of(found, [scan]).loop.mode == "tapping"


def test_mains_that_keep_step_with_the_lines_are_not_identifiable() -> None:
    assert estimate(known(1, rate=2.0))["noise.mains"].status == "not identifiable"


def test_a_pixel_slower_than_the_mains_says_nothing_of_them() -> None:
    slow = known(1, rate=0.3, lines=64)
    found = estimate(slow)["noise.mains"]
    assert found.status == "not identifiable"
    assert "Hz" in found.how


def test_a_surface_without_relief_says_nothing_of_the_loop() -> None:
    rng = np.random.default_rng(0)
    flat = {"trace": 1e-11 * rng.normal(size=(64, 64))}
    scan = Scan("flat", flat, 1e-9, 1.0)
    assert estimate(scan)["loop.integral"].status == "not identifiable"


def test_a_surface_like_another_has_its_spectrum_and_its_heights() -> None:
    height = levelled(known(2).height["trace"])
    made = alike(height, np.random.default_rng(5))
    near = distances(height, made, 1e-9)
    assert near.histogram < 0.1
    assert near.spectrum < 0.5
    assert abs(np.corrcoef(height.ravel(), made.ravel())[0, 1]) < 0.6
    np.testing.assert_array_equal(made, alike(height, np.random.default_rng(5)))


def test_finer_pixels_keep_the_heights() -> None:
    height = levelled(known(2).height["trace"])
    fine = refined(height)
    means = fine.reshape(160, 2, 160, 2).mean(axis=(1, 3))
    assert np.abs(means - height).max() < 0.05 * height.std()
    power = [np.sum(fft.dctn(one, norm="ortho") ** 2) for one in (height, fine)]
    assert power[1] == pytest.approx(4 * power[0])


def test_cleaning_brings_a_scan_nearer_to_the_surface() -> None:
    truth = levelled(known(6).height["trace"]) / 20
    density, rate = 2e-12, 2 * 160 * RATE
    noise = density * np.sqrt(rate / 2) * np.random.default_rng(7).normal(size=truth.shape)
    scan = Scan("noisy", {"trace": truth + noise}, 1e-6 / 159, RATE)
    settings = {"loop": {"integral": 1e9}, "noise": {"white": density}}
    quiet = cleaned(scan, SpmSettings.model_validate(settings))
    assert np.std(quiet - truth) < 0.5 * np.std(noise)
    without = SpmSettings.model_validate({"loop": {"integral": 1e9}})
    np.testing.assert_allclose(cleaned(scan, without), levelled(truth + noise), atol=1e-15)


def number(value: float, std: float | None, status: Any = "estimated") -> Estimate:
    return Estimate(value=value, std=std, unit="1", status=status, how="")


def test_scans_are_pooled_by_their_errors_and_bounds_only_where_nothing_was_measured() -> None:
    both = pooled([{"a": number(1.0, 0.1)}, {"a": number(1.3, 0.1)}])["a"]
    assert both.value == pytest.approx(1.15)
    assert both.std == pytest.approx(0.15 / np.sqrt(2))
    unequal = pooled([{"a": number(1.0, 0.1)}, {"a": number(1.3, 0.2)}])["a"]
    assert unequal.value == pytest.approx(1.06)
    assert pooled([{"a": number(0.1, None, "bound")}, {"a": number(1.3, 0.1)}])["a"].value == 1.3
    bounds = [{"a": number(one, None, "bound")} for one in (3.0, 2.0)]
    assert pooled(bounds)["a"].value == 2.0
    lost = Estimate(value=None, unit="1", status="not identifiable", how="why")
    assert pooled([{"a": lost}, {"a": lost}])["a"] == lost


def test_a_drift_that_was_not_seen_is_none() -> None:
    scan = known(1)
    found = estimate(scan) | {"motion.drift.x": number(1e-10, 1e-10)}
    assert settings_of(found, [scan]).motion.drift[0] == 0.0
    assert settings_of(found, [scan]).motion.drift[1] != 0.0


def test_the_fitted_twin_is_closer_than_the_default_one_and_its_settings_are_its_own() -> None:
    steps: list[tuple[int, int, str]] = []
    scan = known(1, lines=96)
    fitted = fit_twin([scan], seed=3, progress=lambda *told: steps.append(told))
    report = fitted.report
    assert report.closer
    assert FitReport.model_validate_json(report.model_dump_json()) == report
    assert report.settings.loop.integral == pytest.approx(1500, rel=0.03)
    assert report.settings.noise.white == pytest.approx(2e-12, rel=0.2)
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)
    assert steps[-1][:2] == (3, 3)
    again = fit_twin([scan], seed=3)
    assert again.report == report
    np.testing.assert_array_equal(again.pictures[0].fitted, fitted.pictures[0].fitted)


def test_a_scan_has_no_gap_to_itself_and_one_to_another() -> None:
    height = known(1).height["trace"]
    same = gap_between(height, height, 1e-9)
    assert (same.spectrum, same.histogram, same.autocorrelation) == (0.0, 0.0, 0.0)
    assert same.classifier <= 0.5
    rng = np.random.default_rng(0)
    other = gap_between(height, height.std() * rng.normal(size=height.shape), 1e-9)
    assert other.classifier > 0.95
    assert other.spectrum > 1
    assert same.smaller_than(other) is False or same.told_apart <= other.told_apart
    assert not other.smaller_than(same)


@pytest.mark.parametrize(
    ("wrong", "error", "named"),
    [
        ({"height": {}}, InvalidRequest, "`height`"),
        ({"height": {"there": np.zeros((64, 64))}}, InvalidRequest, "`height`"),
        ({"height": {"trace": np.zeros((8, 8))}}, SignalError, "32 x 32"),
        ({"height": {"trace": np.full((64, 64), np.nan)}}, SignalError, "no numbers"),
        ({"line_rate": 0.0}, InvalidRequest, "`line_rate`"),
        ({"pitch": -1e-9}, InvalidRequest, "positive"),
    ],
)
def test_a_scan_that_is_none_is_refused(
    wrong: dict[str, Any], error: type[Exception], named: str
) -> None:
    right: dict[str, Any] = {"height": {"trace": np.zeros((64, 64))}, "pitch": 1e-9}
    with pytest.raises(error, match=named):
        Scan(**({"name": "bad", "line_rate": 1.0} | right | wrong))


def signal(quantity: str, width: float) -> Signal:
    """Return a ramp of 32 x 48 pixels, a micrometre high."""
    axes = {
        "y": Axis(np.linspace(0, 1e-6, 32), "m", "position"),
        "x": Axis(np.linspace(0, width, 48), "m", "position"),
    }
    values = np.random.default_rng(0).normal(size=(32, 48)) * 1e-9
    return make_signal(values, axes, quantity=quantity, units="m").rename(quantity)


def test_oblong_pixels_and_a_file_without_height_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="square"):
        scan_of([signal("height", 3e-6)], 1.0)
    with pytest.raises(InvalidRequest, match="no height in metres; it has amplitude"):
        scan_of([signal("amplitude", 1.516e-6)], 1.0)


def test_a_small_oblong_scan_can_be_fitted() -> None:
    scan = scan_of([signal("height", 47 / 31 * 1e-6)], 1.0, told={"ScanDown": 1})
    assert scan.shape == (32, 48)
    np.testing.assert_array_equal(scan.height["trace"][0], signal("height", 1).to_numpy()[-1])
    report = fit_twin([scan]).report
    assert report.estimates["loop.integral"].status == "not identifiable"
    assert report.settings.loop.integral == SpmSettings().loop.integral


def test_a_flat_scan_is_refused() -> None:
    with pytest.raises(SignalError, match="flat"):
        fit_twin([Scan("flat", {"trace": np.zeros((64, 64))}, 1e-9, 1.0)])


def test_no_scan_and_scans_that_hold_different_signals_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="`scans` is empty"):
        fit_twin([])
    height = {"trace": known(1).height["trace"]}
    with pytest.raises(InvalidRequest, match="Fit them apart"):
        fit_twin([Scan("a", height, 1e-9, 1.0), Scan("b", height, 1e-9, 1.0, mode="tapping")])


@pytest.fixture(scope="module")
def real() -> list[Scan]:
    paths = [PFM / f"PTO_Funakubo000{n}.h5" for n in (1, 2, 3, 4)]
    if not all(path.exists() for path in paths):
        pytest.skip(f"the scans of a PbTiO3 film are not in {PFM}")
    return [read_scan(path) for path in paths]


def test_four_real_scans_agree_on_the_loop(real: list[Scan]) -> None:
    gains = [estimate(scan)["loop.integral"] for scan in real]
    assert all(one.status == "estimated" for one in gains)
    values = [one.value for one in gains]
    assert np.ptp(values) < 0.01 * np.mean(values)


@pytest.mark.parametrize("number", range(4))
def test_the_twin_fitted_to_a_real_scan_is_closer_than_the_default_one(
    real: list[Scan], number: int
) -> None:
    report = fit_twin([real[number]]).report
    assert report.closer
    assert report.scans[0].fitted.spectrum < 0.6 * report.scans[0].default.spectrum
    assert report.estimates["motion.drift.x"].status == "not identifiable"
