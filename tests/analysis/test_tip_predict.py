"""The learned tip: what it is shown, the symmetries it keeps, and what it refuses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis.tip.certainty import misfit
from nanopilot.analysis.tip.predict import PredictedTip, TipPredictor, load_predictor
from nanopilot.core.errors import OutOfRange, ReadError, SignalError
from nanopilot.models.recipes import tip_predictor as recipe
from nanopilot.models.tip_imaging import dilate, erode
from nanopilot.workflows.gaussian_tips import HALF, GaussianTip, draw_tip, scan_with
from nanopilot.workflows.tip_surfaces import FAMILIES

torch = pytest.importorskip("torch")
NM = 1e-9


@pytest.fixture(scope="module")
def predictor() -> TipPredictor:
    torch.set_num_threads(1)
    return load_predictor()


def scan(
    seed: int, tip: GaussianTip, family: str = "cones"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return scan_with(np.random.default_rng(seed), FAMILIES[family], tip)


def needles(tip: np.ndarray, count: int = 12) -> np.ndarray:
    """Image of needles far apart: every one shows the tip, turned round."""
    surface = np.zeros((188, 188))
    for row in range(35, 188, 61):
        surface[row, 35::61] = 1.0
    return np.asarray(dilate(surface, tip))[30:-30, 30:-30]


def test_tip_is_the_formula_with_the_highest_place_in_the_middle() -> None:
    tip = GaussianTip((3.0, 5.0), (4.0, 2.0), 0.6, (9.0, -7.0)).raster()
    y, x = np.mgrid[-30:31, -30:31].astype(float)
    body = np.exp(-(x**2 / 18 + y**2 / 50))
    body += 0.6 * np.exp(-((x - 9) ** 2 / 32 + (y + 7) ** 2 / 8))
    np.testing.assert_allclose(tip, body[30, 30] - body, atol=1e-12)
    assert tip.min() == tip[30, 30] == 0.0


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_apex_of_every_tip_is_nought_and_in_the_middle(seed: int) -> None:
    tip = draw_tip(np.random.default_rng(seed))
    shape = tip.raster()
    assert shape.shape == (61, 61)
    assert shape[30, 30] == 0.0
    assert (shape >= 0).all()
    assert math.hypot(*tip.offset) <= 20
    assert 1 <= min(*tip.first, *tip.second) <= max(*tip.first, *tip.second) <= 19


def test_second_ends_lie_in_every_direction_and_some_tips_have_none() -> None:
    rng = np.random.default_rng(0)
    tips = [draw_tip(rng) for _ in range(400)]
    ways = np.array([math.atan2(*one.offset) for one in tips])
    assert np.histogram(ways, 8, (-np.pi, np.pi))[0].min() > 25
    assert 0.2 < np.mean([one.share == 0 for one in tips]) < 0.4


def test_tips_without_width_and_too_high_second_ends_are_refused() -> None:
    with pytest.raises(OutOfRange, match="`first`"):
        GaussianTip((0.0, 3.0))
    with pytest.raises(OutOfRange, match="`second`"):
        GaussianTip((3.0, 3.0), (3.0, -1.0), 0.5)
    with pytest.raises(OutOfRange, match="`share`"):
        GaussianTip((3.0, 3.0), share=1.2)


def test_scans_are_never_below_their_surface_and_noise_is_small() -> None:
    for seed in range(2):
        image, surface, _ = scan(seed, GaussianTip((4.0, 7.0)))
        assert image.shape == surface.shape == (128, 128)
        assert (image - surface).min() > -0.06
        assert not np.array_equal(image, surface)


def test_drops_around_needles_are_the_tip_itself_not_turned_round() -> None:
    tip = GaussianTip((4.0, 4.0), (3.0, 3.0), 0.7, (13.0, 6.0)).raster()
    shown = recipe.show(needles(tip), 0.0, 1.0)
    largest = shown.channels[0]
    wanted = np.clip(tip, 0, 1)[::2, ::2]
    # Smoothing takes a little from every needle, whichever way round.
    off, reverse = (np.mean((one - wanted) ** 2) for one in (largest, largest[::-1, ::-1]))
    assert off < 0.005
    assert off < 0.5 * reverse


def test_what_is_shown_knows_no_offset_and_no_unit() -> None:
    image, _, _ = scan(1, GaussianTip((5.0, 5.0)))
    first = recipe.show(image, 1e-3, 1.0)
    metres = recipe.show(image * 20 * NM + 3e-6, 1e-3 * 20 * NM, 20 * NM)
    np.testing.assert_allclose(first.channels, metres.channels, atol=1e-4)
    assert metres.scale == 20 * NM
    unknown = recipe.show(image, 1e-3)
    assert unknown.channels[recipe.MAPS, 0, 0] == 0.0
    assert first.channels[recipe.MAPS, 0, 0] == 1.0
    assert unknown.scale == pytest.approx(float(np.ptp(image)), rel=0.05)


@pytest.mark.parametrize(("quarters", "mirrored"), [(1, False), (2, True), (3, True)])
def test_a_turned_scan_shows_the_turned_maps(quarters: int, mirrored: bool) -> None:
    image, _, _ = scan(2, GaussianTip((3.0, 6.0), (3.0, 3.0), 0.6, (10.0, 4.0)), "fractal")
    turned = recipe.turned(image, quarters, mirrored)
    one = recipe.turned(recipe.show(image, 0.0, 1.0).channels, quarters, mirrored)
    np.testing.assert_allclose(recipe.show(turned, 0.0, 1.0).channels, one, atol=1e-3)


def test_autocorrelation_is_that_of_loops() -> None:
    image = np.random.default_rng(0).normal(size=(70, 66))
    found = recipe._correlation(image)
    centred = image - image.mean()
    for row, column in ((0, 0), (2, 4), (-6, 10), (30, -30)):
        pairs = [
            centred[i, j] * centred[i + row, j + column]
            for i in range(70) for j in range(66)
            if 0 <= i + row < 70 and 0 <= j + column < 66
        ]  # fmt: skip
        wanted = np.mean(pairs) / np.mean(centred**2)
        assert found[15 + row // 2, 15 + column // 2] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("width", [3.0, 6.0, 12.0])
def test_tips_of_clear_scans_are_found_in_metres(predictor: TipPredictor, width: float) -> None:
    relief, off = 25 * NM, []
    for seed in range(3):
        image, _, tip = scan(seed + 40, GaussianTip((width, width)))
        found = predictor(relief * image, NM)
        assert found.shape.shape == found.error.shape == (61, 61)
        assert found.shape[HALF, HALF] == 0.0
        assert (found.shape >= 0).all()
        off.append(np.mean((np.clip(found.shape / relief, 0, 1) - np.clip(tip, 0, 1)) ** 2))
    assert np.median(off) < 0.01


def test_answer_turns_with_the_scan_and_grows_with_its_unit(predictor: TipPredictor) -> None:
    # Rough everywhere: on a plateau rounding decides which of equal pixels are looked at.
    image, _, _ = scan(3, GaussianTip((3.0, 6.0), (3.0, 3.0), 0.6, (10.0, 4.0)), "fractal")
    one = predictor(image, 1.0)
    turned = predictor(recipe.turned(image, 1, True), 1.0)
    np.testing.assert_allclose(turned.shape, recipe.turned(one.shape, 1, True), atol=2e-3)
    metres = predictor(NM * image - 5e-6, NM)
    np.testing.assert_allclose(metres.shape, NM * one.shape, atol=2e-3 * NM)
    assert metres.relief == pytest.approx(NM * one.relief, rel=1e-3)


def test_strangers_are_told(predictor: TipPredictor) -> None:
    rng = np.random.default_rng(0)
    assert predictor(rng.normal(size=(128, 128)), 1.0).stranger
    ramp = np.add.outer(np.arange(128.0), np.arange(128.0))
    assert predictor(ramp, 1.0).stranger
    seen = [predictor(scan(seed, draw_tip(np.random.default_rng(seed)))[0], 1.0).stranger
            for seed in range(6)]  # fmt: skip
    assert np.mean(seen) <= 0.34


def test_what_cannot_be_asked_is_refused(predictor: TipPredictor) -> None:
    rough = np.random.default_rng(0).normal(size=(128, 128))
    with pytest.raises(OutOfRange, match="64 rows"):
        predictor(rough[:63], 1.0)
    with pytest.raises(OutOfRange, match="flat"):
        predictor(np.ones((128, 128)), 1.0)
    with pytest.raises(OutOfRange, match="`pitch` is -1"):
        predictor(rough, -1.0)
    with pytest.raises(OutOfRange, match="`relief` is nan"):
        predictor(rough, 1.0, math.nan)
    with pytest.raises(SignalError, match="1 values"):
        predictor(np.where(np.eye(128) * np.arange(128) == 5, np.nan, rough), 1.0)
    with pytest.raises(ReadError, match="those of tip_predictor are needed"):
        load_predictor("tip-refiner")


def test_radius_is_that_of_a_parabola() -> None:
    steps = np.arange(-30, 31) * 2 * NM
    shape = (steps[:, None] ** 2 + steps**2) / (2 * 15 * NM)
    tip = PredictedTip(shape, shape, 2 * NM, NM, False)
    assert tip.radius == pytest.approx(15 * NM)
    assert PredictedTip(0 * shape, shape, NM, NM, False).radius == math.inf


def test_network_is_small(predictor: TipPredictor) -> None:
    learned = sum(one.numel() for m in predictor.members for one in m.parts.parameters())
    assert learned < 1_000_000
    with pytest.raises(OutOfRange, match="`members`"):
        recipe.PredictorShape(members=0)


def test_noise_of_a_scan_is_no_misfit_of_its_tip_and_another_tip_is() -> None:
    rng = np.random.default_rng(4)
    tip = GaussianTip((6.0, 6.0)).raster()
    image = needles(tip)
    noisy = image + 0.05 * rng.normal(size=image.shape)
    other = GaussianTip((14.0, 14.0)).raster()

    def off(seen: np.ndarray, shape: np.ndarray, noise: float) -> float:
        return misfit(seen, shape, np.asarray(erode(seen, shape)), 3 * noise)

    assert off(image, tip, 0.0) < 1e-9
    assert off(noisy, tip, 0.05) < 0.01
    assert off(noisy, tip, 0.0) > 0.02
    assert off(noisy, other, 0.05) > 0.02
