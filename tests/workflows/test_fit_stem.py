"""An electron twin is fitted to frames: what is known is found, what is not is said."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from nanopilot.bench.tracks.stem_fit import StemFit
from nanopilot.core.errors import InvalidRequest, ReadError, SignalError, UnknownName
from nanopilot.twins.stem.settings import StemSettings
from nanopilot.workflows.fit_stem import (
    Conditions,
    Estimate,
    StemFrames,
    estimate_stem,
    fit_stem,
    read_frames,
    stem_gap,
)
from nanopilot.workflows.fit_stem.frames import frames_of
from nanopilot.workflows.fit_stem.settings import settings_of


@cache
def frames() -> tuple[StemFrames, str]:
    """Return three frames of a layer by an instrument that was drawn, and the crystal's name."""
    case = StemFit().case(1000)
    whole = case.visible.frames
    few = replace(whole, counts=whole.counts[:3], begins=whole.begins[:3])
    return few, case.visible.crystal


@cache
def truth() -> dict[str, float]:
    return dict(StemFit().case(1000).truth)


@cache
def estimated(count: int, named: bool, dark: bool) -> dict[str, Estimate]:
    seen, crystal = frames()
    some = replace(seen, counts=seen.counts[:count], begins=seen.begins[:count],
                   dark=seen.dark if dark else None)  # fmt: skip
    return estimate_stem(some, crystal if named else None)[0]


def test_all_that_was_hidden_is_found_within_its_error() -> None:
    found, true = estimated(3, named=True, dark=True), truth()
    for name in ("detector.gain", "detector.offset", "detector.noise", "motion.jitter",
                 "motion.mains", "motion.scale", "motion.flyback", "motion.drift.x",
                 "motion.drift.y", "lens.source_size"):  # fmt: skip
        one = found[name]
        assert one.status == "estimated", name
        assert one.value is not None
        assert one.std is not None
        assert abs(one.value - true[name]) < 4 * one.std, name
    assert found["lens.C1"].status in ("bound", "estimated")
    assert "sign" in found["lens.C1"].how


def test_one_frame_without_a_name_says_what_it_cannot_say() -> None:
    found = estimated(1, named=False, dark=False)
    for name in ("motion.drift.x", "motion.drift_noise", "motion.scale", "motion.shear",
                 "lens.C1", "lens.A1_x", "detector.efficiency"):  # fmt: skip
        assert found[name].status == "not identifiable", name
        assert found[name].value is None
        assert len(found[name].how) > 10
    source = found["lens.source_size"]
    assert source.status == "bound"
    assert source.value is not None
    assert source.value > truth()["lens.source_size"]
    assert found["motion.jitter"].status == "estimated"
    assert found["lens.voltage"].status == "told"


def test_without_a_lattice_noise_is_still_known_and_lines_are_not() -> None:
    rng = np.random.default_rng(0)
    blobs = gaussian_filter(rng.normal(size=(192, 192)), 9, mode="wrap")
    mean = 1.0 + 4.0 * (blobs > 0.3 * blobs.std()) * np.clip(blobs / blobs.std(), 0, 2)
    mean = gaussian_filter(mean, 5)
    counts = np.rint(14 * rng.poisson(mean, (3, 192, 192)) + 80 + rng.normal(0, 5, (3, 192, 192)))
    told = Conditions(voltage=80e3, convergence_angle=30e-3)
    seen = StemFrames("blobs", counts, 1e-11, 2e-6, 0.1 * np.arange(3), told=told)
    found = estimate_stem(seen)[0]
    gain = found["detector.gain"]
    assert gain.value is not None
    assert gain.std is not None
    assert abs(gain.value - 14) < 4 * gain.std
    assert gain.std < 0.15 * 14
    for name in ("motion.jitter", "motion.mains", "motion.flyback", "lens.source_size"):
        assert found[name].status == "not identifiable", name
    drift = found["motion.drift.x"]
    assert drift.value is not None
    assert drift.std is not None
    assert abs(drift.value) < 4 * drift.std
    with pytest.raises(SignalError, match="shows no lattice"):
        estimate_stem(seen, "mos2")
    blind = estimate_stem(replace(seen, told=Conditions()))[0]
    assert blind["detector.gain"].status == "not identifiable"


def test_saturation_shows_the_bits_of_a_converter() -> None:
    seen, _ = frames()
    top = np.clip(seen.counts, None, 255.0)
    assert (top == 255).sum() > 3
    found = estimate_stem(replace(seen, counts=top))[0]["detector.bits"]
    assert (found.value, found.status) == (8.0, "estimated")
    assert estimated(1, named=False, dark=False)["detector.bits"].status == "bound"


def test_fitted_twin_is_closer_than_the_default_on_both_scenes() -> None:
    seen, crystal = frames()
    for name, scene in ((crystal, "crystal"), (None, "picture")):
        report = fit_stem(seen, crystal=name, seed=3).report
        assert report.scene == scene
        assert report.fitted.spectrum < report.default.spectrum
        assert report.fitted.histogram < 0.3 * report.default.histogram
        assert report.fitted.told_apart < report.default.told_apart
        assert (
            StemSettings.model_validate_json(report.settings.model_dump_json()) == report.settings
        )


def test_a_frame_has_no_gap_to_itself_and_one_to_more_noise() -> None:
    frame = frames()[0].counts[0]
    same = stem_gap(frame, frame, 2e-11)
    assert (same.spectrum, same.histogram, same.autocorrelation) == (0, 0, 0)
    noisy = frame + np.random.default_rng(0).normal(0, 2 * frame.std(), frame.shape)
    other = stem_gap(frame, noisy, 2e-11)
    assert same.smaller_than(other)
    assert not other.smaller_than(same)
    with pytest.raises(SignalError, match="`twin` has shape"):
        stem_gap(frame, frame[1:], 2e-11)


def test_settings_take_what_is_known_and_leave_the_rest() -> None:
    seen, _ = frames()
    found = dict(estimated(3, named=True, dark=True))
    settings, usual = settings_of(found, seen), StemSettings()
    assert settings.lens.source_size == found["lens.source_size"].value
    assert settings.motion.jitter == found["motion.jitter"].value
    assert settings.detectors.bf == usual.detectors.bf
    lost = Estimate(value=None, unit="m", status="not identifiable", how="nothing")
    few = settings_of(found | {"motion.jitter": lost, "detector.offset": lost}, seen)
    assert few.motion.jitter == 0
    assert few.detectors.haadf.offset <= seen.counts.min() + 30


def test_wrong_names_and_wrong_crystals_are_refused() -> None:
    seen, _ = frames()
    with pytest.raises(UnknownName):
        estimate_stem(seen, "unobtainium")
    with pytest.raises(SignalError, match="whose lattice is not that of the frames"):
        estimate_stem(seen, "srtio3")


def test_arrays_are_read_as_they_are_and_bad_ones_are_refused(tmp_path: Path) -> None:
    seen, _ = frames()
    np.save(tmp_path / "stack.npy", seen.counts)
    np.save(tmp_path / "one.npy", seen.counts[0])
    told = Conditions(pixel_size="20 pm", dwell_time="5 us", line_time="1 ms")  # type: ignore[arg-type]
    stack = read_frames([tmp_path / "stack.npy"], told, dark=tmp_path / "one.npy")
    assert stack.counts.shape == seen.counts.shape
    assert stack.wait == pytest.approx(1e-3 - 192 * 5e-6)
    assert stack.begins[1] == pytest.approx(0.192)
    assert stack.dark is not None
    both = read_frames([tmp_path / "one.npy"] * 2, told)
    assert both.counts.shape[0] == 2
    with pytest.raises(InvalidRequest, match="pixel_size"):
        read_frames([tmp_path / "one.npy"])
    with pytest.raises(InvalidRequest, match="`paths` is empty"):
        read_frames([])
    with pytest.raises(InvalidRequest, match="`line_time`"):
        read_frames([tmp_path / "one.npy"], told.model_copy(update={"line_time": 1e-5}))
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY nothing")
    with pytest.raises(ReadError, match=r"bad\.npy"):
        read_frames([tmp_path / "bad.npy"], told)
    np.save(tmp_path / "small.npy", np.ones((20, 20)))
    with pytest.raises(SignalError, match="64 x 64"):
        read_frames([tmp_path / "small.npy"], told)
    np.save(tmp_path / "flat.npy", np.ones((80, 80)))
    with pytest.raises(SignalError, match="flat in frame 0"):
        read_frames([tmp_path / "flat.npy"], told)


def test_a_signal_says_when_its_pixels_were_recorded() -> None:
    from nanopilot.core.capabilities import Scanner
    from nanopilot.core.requests import ScanRequest
    from nanopilot.workflows.twins import stem

    twin = stem("carbon", size="20 nm", settings={"motion": {"flyback_wait": 5e-5}})
    request = ScanRequest(centre=(0, 0), field_of_view=(2e-9, 2e-9), shape=(64, 64),
                          channels=("haadf",), frames=2, dwell_time=3e-6)  # fmt: skip
    found = frames_of(twin.capability(Scanner).start(request).result()["haadf"])
    assert found.dwell == pytest.approx(3e-6)
    assert found.wait == pytest.approx(5e-5, rel=1e-3)
    assert found.pixel == pytest.approx(2e-9 / 63)
    assert found.begins[1] - found.begins[0] == pytest.approx(64 * (64 * 3e-6 + 5e-5), rel=1e-3)


def test_the_first_line_of_a_picture_is_the_one_that_was_scanned_first(tmp_path: Path) -> None:
    counts = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(counts).save(tmp_path / "frame.tif")
    told = Conditions(pixel_size=1e-11, dwell_time=1e-6)
    np.testing.assert_array_equal(read_frames([tmp_path / "frame.tif"], told).counts[0], counts)
