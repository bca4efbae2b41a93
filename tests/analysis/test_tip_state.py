"""Second ends are found where they were put, and nobody is told more than the scan tells."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.tip import TipShape, contacts, judge_tip, load_tip_state
from nanopilot.analysis.tip import learned_state as learned
from nanopilot.analysis.tip import state as judging
from nanopilot.analysis.tip.second import second_ends, with_second
from nanopilot.core.errors import MissingExtra, OutOfRange, ReadError, SignalError, UnknownName
from nanopilot.models import weights
from nanopilot.models.recipes import tip_state
from nanopilot.models.tip_imaging import dilate

NM = 1e-9


def bumps(seed: int, pixels: int = 188, count: int = 60) -> np.ndarray:
    """Sharp bumps of unequal height on a floor, of a family that nothing was trained on."""
    rng = np.random.default_rng(seed)
    height = np.zeros((pixels, pixels))
    row, column = rng.integers(0, pixels, (2, count))
    height[row, column] = rng.uniform(0.4, 1.0, count)
    smooth = gaussian_filter(height, 1.2)
    return 30 * NM * smooth / smooth.max()


def scanned(surface: np.ndarray, tip: TipShape) -> np.ndarray:
    return dilate(surface, tip.raster(NM, 30, 30 * NM))[30:-30, 30:-30]


def slow_count(
    height: np.ndarray, bend: np.ndarray, places: np.ndarray, slack: float, d: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Shares at one displacement, as they are defined."""
    rows, columns = height.shape
    twins, broken = np.zeros(tip_state.BINS), np.zeros(tip_state.BINS)
    seen = both = 0
    for place in places:
        i, j = divmod(int(place), columns)
        a, b = i - d[0], j - d[1]
        if not (0 <= a < rows and 0 <= b < columns):
            continue
        seen += 1
        drop = height[i, j] - height[a, b]
        alike = min(bend[i, j], bend[a, b]) / max(bend[i, j], bend[a, b], 1e-300)
        k = math.floor(10 * max(drop, 0.0))
        if drop > -slack and k < tip_state.BINS:
            twins[k] += alike
        a, b = i + d[0], j + d[1]
        if not (0 <= a < rows and 0 <= b < columns):
            continue
        both += 1
        rise = height[a, b] - height[i, j]
        for k in range(tip_state.BINS):
            has_one = height[i - d[0], j - d[1]] >= height[i, j] - (k + 1) / 10 - slack
            is_one = rise >= k / 10 - slack
            broken[k] += not has_one and not is_one
    return twins / max(seen, 1), broken / max(both, 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), d=st.tuples(st.integers(-9, 9), st.integers(-9, 9)))
def test_fast_counts_are_those_of_the_definition(seed: int, d: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    height = gaussian_filter(rng.normal(size=(19, 23)), 1.5)
    height = (height - height.min()) / np.ptp(height)
    bend = np.maximum(rng.normal(size=height.shape), 0.0)
    places = rng.permutation(height.size)[:60]
    found = tip_state._shares(tip_state._count(height, bend, places, 0.013))
    at = (slice(None), d[0] + tip_state.REACH, d[1] + tip_state.REACH)
    twins, broken = slow_count(height, bend, places, 0.013, d)
    np.testing.assert_allclose(found.twins[at], twins, atol=1e-12)
    np.testing.assert_allclose(found.broken[at], broken, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_no_prominent_pixel_contradicts_the_second_end_there_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angle, lift = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.5)
    x, y = (round(15 * f(angle)) for f in (math.cos, math.sin))
    tip = TipShape(1.5 * NM, offset=(x * NM, y * NM), height=lift * 30 * NM)
    image = scanned(bumps(seed), tip)
    found = tip_state.companions(image)[0]
    broken = found.broken[:, y + tip_state.REACH, x + tip_state.REACH]
    k = int(10 * lift * 30 * NM / np.ptp(image))
    assert broken[k] < 0.03
    # On the other side of the first end there is none.
    assert found.broken[k, tip_state.REACH - y, tip_state.REACH - x] > 0.15


@pytest.mark.parametrize(("quarters", "mirrored"), [(1, 0), (2, 1), (3, 0), (0, 1)])
def test_a_turned_scan_is_shown_as_the_turned_scan(quarters: int, mirrored: int) -> None:
    class Drawn:
        """Draws what it is told to."""

        def __init__(self) -> None:
            self.left = [quarters, mirrored]

        def integers(self, _: int) -> int:
            return self.left.pop(0)

    image = bumps(3)[30:-30, 30:-30] + 1e-12 * np.random.default_rng(0).normal(size=(128, 128))
    turned = np.rot90(image, quarters)
    turned = turned[:, ::-1] if mirrored else turned
    offset = (10.0, -4.0)
    truth = tip_state.target(offset, False)
    shown, said = tip_state.turn(Drawn(), tip_state.show(image)[None], truth[None])
    there = tip_state.show(np.ascontiguousarray(turned))
    np.testing.assert_allclose(shown[0], there, atol=2e-2)
    # And the second end goes with it: what shares a pixel's way shares its turn.
    v, u = np.mgrid[-14:15, -14:15]
    way = np.rot90((v == 10) & (u == -4), quarters)
    way = way[:, ::-1] if mirrored else way
    row, column = np.argwhere(way)[0] - 14
    expected = tip_state.target((float(row), float(column)), False)
    np.testing.assert_allclose(said[0], expected, atol=1e-6)


@given(
    row=st.floats(-24, 24), column=st.floats(-24, 24), none=st.floats(-3, 3), soft=st.floats(0.3, 4)
)
@settings(max_examples=40, deadline=None)
def test_place_and_odds_of_an_answer_are_those_it_was_made_of(
    row: float, column: float, none: float, soft: float
) -> None:
    truth = tip_state.target((row, column), False)
    assert truth[:-2].sum() == pytest.approx(1.0, abs=1e-5)
    answer = np.concatenate([np.log(truth[:-2] + 1e-12), [none, 0.7]]).astype(np.float32)
    found = tip_state.place(answer)
    assert math.hypot(found[0] - row, found[1] - column) < 0.8
    double, _ = tip_state.odds(answer[None])
    assert double[0] == pytest.approx(-none, abs=1e-4)
    said = tip_state.probabilities(answer[None], (soft, 1.0))[0]
    assert said.sum() == pytest.approx(1.0)
    assert said[2] == pytest.approx(1 / (1 + math.exp(none / soft)), abs=1e-4)
    assert said[1] / (said[0] + said[1]) == pytest.approx(1 / (1 + math.exp(-0.7)), abs=1e-4)


def test_second_end_is_fitted_where_it_is_and_as_low_as_it_is() -> None:
    tip = TipShape(1.5 * NM, offset=(13 * NM, -7 * NM), height=6 * NM)
    image = scanned(bumps(5), tip)
    relief = float(np.ptp(image))
    for near in ((12.0, -8.0), None):
        found = with_second(TipShape(1.5 * NM), second_ends(image), (NM, relief), near)
        assert found.offset == (13 * NM, -7 * NM)
        assert found.height == pytest.approx(6 * NM, abs=0.04 * relief)


def test_share_of_certain_pixels_is_that_of_the_true_tip_if_it_is_the_true_one() -> None:
    tip = TipShape(4 * NM)
    image = scanned(bumps(1), tip)
    true = contacts(image, tip.raster(NM, 30, 30 * NM), 0.0)[1].mean()
    assert judging.proven(image, tip, NM) == pytest.approx(true, abs=0.02)


def test_flat_and_small_images_and_images_with_holes_get_no_answer() -> None:
    assert judge_tip(np.zeros((64, 64)), NM).state == "unsure"
    assert judge_tip(np.zeros((64, 64)), NM, learned=False).state == "unsure"
    with pytest.raises(OutOfRange, match="`image`"):
        judge_tip(np.zeros((53, 200)), NM)
    with pytest.raises(SignalError, match="`image`"):
        judge_tip(np.full((64, 64), np.nan), NM)
    with pytest.raises(OutOfRange, match="`radii`"):
        judge_tip(np.zeros((64, 64)), NM, (2 * NM, NM))


def test_without_torch_the_counting_answers_and_the_network_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise MissingExtra("learned operators need the packages 'torch' and 'safetensors'")

    load_tip_state.cache_clear()
    monkeypatch.setattr(learned, "need_torch", missing)
    image = bumps(0)[:64, :64]
    assert not judge_tip(image, NM).learned
    with pytest.raises(MissingExtra, match="torch"):
        judge_tip(image, NM, learned=True)
    with pytest.raises(MissingExtra, match="torch"):
        load_tip_state()


class TestNetwork:
    @pytest.fixture(autouse=True)
    def _needs(self) -> None:
        pytest.importorskip("torch")
        pytest.importorskip("safetensors")

    def test_weights_are_small_and_say_where_they_come_from(self) -> None:
        card = weights.load_card("tip-state")
        path = Path(weights.__file__).with_name("weights") / "tip-state.safetensors"
        assert path.stat().st_size < 5_000_000
        assert {"soft_double", "soft_blunt", "strange", "decisive"} <= set(card.metrics)

    def test_double_tips_are_told_from_single_ones_on_bumps(self) -> None:
        model = load_tip_state()
        single, double = [], []
        for seed in range(8):
            rng = np.random.default_rng(seed)
            angle = rng.uniform(0, 2 * np.pi)
            x, y = 14 * math.cos(angle), 14 * math.sin(angle)
            two = TipShape(1.5 * NM, offset=(x * NM, y * NM), height=5 * NM)
            single.append(model(scanned(bumps(seed), TipShape(1.5 * NM))).double)
            found = model(scanned(bumps(seed), two))
            double.append(found.double)
            assert math.hypot(found.offset[0] - x, found.offset[1] - y) < 3
        assert np.median(single) < 0.4
        assert np.median(double) > 0.6
        assert np.mean(np.array(single)[:, None] < double) > 0.9

    def test_answer_adds_up_and_does_not_change_with_units_or_tilt_of_heights(self) -> None:
        model = load_tip_state()
        image = scanned(bumps(2), TipShape(5 * NM))
        one, other = model(image), model(1e3 * image + 1e-6)
        assert one.sharp + one.blunt + one.double == pytest.approx(1.0)
        assert other.double == pytest.approx(one.double, abs=1e-3)
        assert other.distance == pytest.approx(one.distance, rel=1e-2)

    def test_strange_images_get_no_answer(self) -> None:
        model = load_tip_state()
        noise = np.random.default_rng(0).normal(size=(128, 128))
        stripes = np.where(np.arange(128) % 2, 1.0, 0.0)[None] * np.ones((128, 1))
        for image in (noise, stripes, np.zeros((128, 128))):
            assert model(image * NM).state == "unsure"

    def test_close_calls_and_strangers_are_unsure_and_clear_ones_are_not(self) -> None:
        clear = learned.LearnedState(0.1, 0.1, 0.8, (0.0, 0.0), 1.0, False, True)
        assert clear.state == "double"
        close = learned.LearnedState(0.4, 0.3, 0.3, (0.0, 0.0), 1.0, False, False)
        assert close.state == "unsure"
        strange = learned.LearnedState(0.9, 0.1, 0.0, (0.0, 0.0), 99.0, True, True)
        assert strange.state == "unsure"

    def test_a_large_image_is_shrunk_and_its_second_end_farther_away(self) -> None:
        tip = TipShape(1.5 * NM, offset=(14 * NM, 6 * NM), height=5 * NM)
        small = scanned(bumps(4), tip)
        large = np.kron(small, np.ones((2, 2)))
        model = load_tip_state()
        one, other = model(small), model(large)
        assert other.offset == pytest.approx(tuple(2 * x for x in one.offset))
        assert other.double == pytest.approx(one.double)
        odd = learned.shrunk(np.arange(35.0).reshape(5, 7), 2)
        np.testing.assert_allclose(odd, [[4, 6, 8], [18, 20, 22]])

    def test_unknown_and_wrong_weights_are_refused(self) -> None:
        with pytest.raises(UnknownName):
            load_tip_state("tip-stat")
        with pytest.raises(ReadError, match="tip_state"):
            load_tip_state("tip-refiner")

    def test_verdict_of_the_network_comes_with_a_second_end(self) -> None:
        tip = TipShape(1.5 * NM, offset=(14 * NM, 6 * NM), height=5 * NM)
        verdict = judge_tip(scanned(bumps(4), tip), NM, learned=True)
        assert verdict.learned
        assert verdict.double > 0.5
        assert verdict.tip.offset == pytest.approx((14 * NM, 6 * NM), abs=2 * NM)
        assert verdict.tip.height == pytest.approx(5 * NM, abs=2 * NM)

    def test_nothing_is_said_where_the_network_and_second_ends_disagree(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = scanned(bumps(4), TipShape(1.5 * NM))

        def said(double: float) -> None:
            alone = learned.LearnedState(0.98, 0.01, 0.01, (14, 6), 0.0, False, True)
            monkeypatch.setattr(judging, "_by_networks", lambda *asked: (alone, double, 0.7))

        said(0.02)
        assert judge_tip(image, NM).state == "sharp"
        said(0.97)
        verdict = judge_tip(image, NM)
        assert verdict.state == "unsure"
        assert "alone says sharp" in verdict.reason
