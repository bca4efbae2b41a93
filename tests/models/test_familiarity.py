"""Whether a picture is of a known kind: borders that keep their promise, whatever they are told."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf
from sklearn.kernel_ridge import KernelRidge

from nanopilot.core.errors import OutOfRange, ReadError, UnknownName
from nanopilot.models.exposure import Exposure
from nanopilot.models.familiarity import Familiarity, shrunk_covariance
from nanopilot.models.frame_features import FEATURES, frame_features
from nanopilot.models.strange_pictures import DRAWN, SPOILT, strange_pictures

SIZE = 12


def own(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return features that depend on one another, of two kinds, heavy-tailed."""
    mixed = rng.standard_t(6, size=(count, SIZE)) @ np.linspace(0.2, 1.5, SIZE**2).reshape(SIZE, -1)
    return mixed + 40.0 * rng.integers(2, size=(count, 1)) + rng.normal(size=(count, SIZE))


def test_shrunk_covariance_is_that_of_ledoit_and_wolf() -> None:
    values = own(np.random.default_rng(0), 60)
    values = values - values.mean(axis=0)
    np.testing.assert_allclose(
        shrunk_covariance(values), LedoitWolf(assume_centered=True).fit(values).covariance_
    )


def test_distance_from_the_middle_is_that_of_mahalanobis() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4))
    found = Familiarity.learn(values, rng)
    standard = (values - values.mean(axis=0)) / values.std(axis=0)
    inverse = np.linalg.inv(LedoitWolf(assume_centered=True).fit(standard).covariance_)
    wanted = np.sqrt(np.einsum("ni,ij,nj->n", standard, inverse, standard) / 4)
    np.testing.assert_allclose(found.distances(values)[:, 0], wanted, rtol=1e-4)


def test_distance_from_neighbours_is_that_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    found = Familiarity.learn(own(rng, 300), rng)
    asked = own(rng, 5)
    white = (asked - found.middle) / found.scale @ found.whiten
    every = np.linalg.norm(white[:, None] - found.known[None], axis=2) / np.sqrt(SIZE)
    wanted = np.sort(every, axis=1)[:, :5].mean(axis=1)
    np.testing.assert_allclose(found.distances(asked)[:, 1], wanted, rtol=1e-4)


@pytest.mark.parametrize("keep", [0.8, 0.95, 0.98])
@pytest.mark.parametrize("seen", [False, True])
def test_the_share_that_is_kept_is_the_one_that_was_asked(keep: float, seen: bool) -> None:
    shares = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        strangers = own(rng, 200) * rng.uniform(0.3, 2.5, (200, SIZE)) if seen else None
        found = Familiarity.learn(own(rng, 250), rng, keep, strangers=strangers)
        shares.append(float((found.strangeness(own(rng, 400)) <= 1).mean()))
    # 6 borders of 250 examples each: three standard deviations of a beta distribution, and more.
    assert abs(np.mean(shares) - keep) < 0.01 + 3 * np.sqrt(keep * (1 - keep) / 250 / 6)


def test_strangers_that_were_seen_are_told_where_distances_tell_nothing() -> None:
    rng = np.random.default_rng(1)

    def ring(count: int) -> np.ndarray:
        angle = rng.uniform(0, 2 * np.pi, count)
        turned = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return 5 * turned + rng.normal(0, 0.3, (count, 2))

    middle = rng.normal(0, 1.0, (300, 2))
    blind = Familiarity.learn(ring(400), np.random.default_rng(0), 0.95)
    told = Familiarity.learn(ring(400), np.random.default_rng(0), 0.95, strangers=middle)
    asked = rng.normal(0, 1.0, (300, 2))
    assert (told.strangeness(asked) > 1).mean() > 0.98
    assert (blind.distances(asked)[:, 0] < blind.border[0]).all()
    assert (told.strangeness(ring(400)) <= 1).mean() > 0.92


def test_far_away_is_strange_even_if_such_strangers_were_never_seen() -> None:
    rng = np.random.default_rng(2)
    strangers = own(rng, 200) + 15
    found = Familiarity.learn(own(rng, 300), rng, strangers=strangers)
    assert (found.strangeness(own(rng, 50) - 500) > 1).all()
    assert np.isinf(found.strangeness(np.full(SIZE, np.nan))).all()


def test_examples_are_not_judged_by_others_of_their_group() -> None:
    rng = np.random.default_rng(3)
    middles = 10 * rng.normal(size=(40, SIZE))
    values = np.repeat(middles, 10, axis=0) + rng.normal(size=(400, SIZE))
    groups = [f"sample {number}" for number in np.repeat(np.arange(40), 10)]
    together = Familiarity.learn(values, np.random.default_rng(0), 0.9)
    apart = Familiarity.learn(values, np.random.default_rng(0), 0.9, groups=groups)
    new = 10 * rng.normal(size=(400, SIZE)) + rng.normal(size=(400, SIZE))
    assert (apart.strangeness(new) <= 1).mean() > 0.8
    assert (together.strangeness(new) <= 1).mean() < 0.5


@pytest.mark.parametrize("seen", [False, True])
def test_it_comes_back_from_tensors_bit_by_bit(seen: bool) -> None:
    rng = np.random.default_rng(4)
    strangers = 3 * own(rng, 50) if seen else None
    found = Familiarity.learn(own(rng, 100), rng, strangers=strangers)
    tensors = found.tensors("known")
    assert all(one.dtype == np.float32 for one in tensors.values())
    back = Familiarity.from_tensors(tensors | {"other": np.zeros(3)}, "known")
    asked = own(rng, 20)
    np.testing.assert_array_equal(back.strangeness(asked), found.strangeness(asked))
    with pytest.raises(ReadError, match=r"known\.border"):
        Familiarity.from_tensors({k: v for k, v in tensors.items() if "border" not in k}, "known")
    with pytest.raises(ReadError, match="do not fit"):
        Familiarity.from_tensors(tensors | {"known.known": np.zeros((3, 2))}, "known")


def test_same_seed_gives_the_same_border() -> None:
    values = own(np.random.default_rng(0), 1000)
    first, second = (Familiarity.learn(values, np.random.default_rng(7)) for _ in range(2))
    assert json.dumps([one.tolist() for one in first.tensors().values()]) == json.dumps(
        [one.tolist() for one in second.tensors().values()]
    )


def test_a_feature_that_never_changed_tells_when_it_does() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=(200, 3)), np.full((200, 1), 2.0)], axis=1)
    found = Familiarity.learn(values, rng)
    assert found.strangeness(np.array([0, 0, 0, 2.0]))[0] <= 1
    assert found.strangeness(np.array([0, 0, 0, 2.5]))[0] > 1


def test_what_cannot_be_learned_from_is_refused_with_the_way_out() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(OutOfRange, match="49 are needed"):
        Familiarity.learn(own(rng, 48), rng)
    with pytest.raises(OutOfRange, match="`keep` is 1"):
        Familiarity.learn(own(rng, 100), rng, 1.0)
    with pytest.raises(OutOfRange, match="all finite"):
        Familiarity.learn(np.full((100, 3), np.nan), rng)
    with pytest.raises(OutOfRange, match="`groups` names 1 groups"):
        Familiarity.learn(own(rng, 100), rng, groups=["a"] * 100)
    with pytest.raises(OutOfRange, match="`strangers`"):
        Familiarity.learn(own(rng, 100), rng, strangers=np.zeros((50, 3)))
    with pytest.raises(OutOfRange, match="12 numbers per example"):
        Familiarity.learn(own(rng, 100), rng).strangeness(np.zeros(5))


def test_reasons_name_what_is_farthest_out() -> None:
    rng = np.random.default_rng(0)
    found = Familiarity.learn(rng.normal(size=(300, 3)), rng)
    said = found.reasons(np.array([0.0, -9.0, 4.0]), ("a", "b", "c"), most=2)
    assert [one.split(" (")[0] for one in said] == ["b low", "c high"]


def test_exposure_is_kernel_ridge_regression_where_all_examples_are_centres() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(60, 12)), rng.normal(size=(60, 12)) + 0.7
    found = Exposure.learn(first, second, rng)
    both = np.concatenate([first, second])
    # With as many on each side, their weights are one number, and it moves to the penalty.
    oracle = KernelRidge(kernel="rbf", gamma=1 / float(found.weights[-1]), alpha=1e-4 * 60)
    oracle.fit(both, np.repeat([-1.0, 1.0], 60))
    asked = rng.normal(size=(50, 12))
    # Weights are kept in single precision.
    np.testing.assert_allclose(found.margin(asked), oracle.predict(asked), atol=1e-3)


# ---- features of frames


def texture(seed: int, shape: tuple[int, int] = (160, 140)) -> np.ndarray:
    return DRAWN["collage"](np.random.default_rng(seed), shape)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-12, 1e6), st.floats(-10, 10))
def test_features_do_not_depend_on_offset_and_gain(seed: int, gain: float, offset: float) -> None:
    picture = texture(seed, (64, 64))
    moved = gain * (picture + offset)
    np.testing.assert_allclose(frame_features(moved), frame_features(picture), atol=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_features_hardly_depend_on_turns_and_mirrors(seed: int) -> None:
    picture = texture(seed, (128, 128))
    plain = frame_features(picture)
    for other in (np.rot90(picture), picture[::-1], picture[:, ::-1], picture.T):
        # Halving drops the last of odd rows, and slopes are taken forwards.
        assert (np.abs(frame_features(other) - plain) < 0.15 + 0.15 * np.abs(plain)).all()


def test_features_are_named_finite_and_those_of_every_shape() -> None:
    for shape in ((32, 32), (33, 500), (128, 128), (700, 130)):
        found = frame_features(np.random.default_rng(0).normal(size=shape))
        assert found.shape == (len(FEATURES),)
        assert np.isfinite(found).all()
    assert np.isfinite(frame_features(np.full((64, 64), 3.3e-9))).all()
    assert len(set(FEATURES)) == len(FEATURES)


def test_features_of_noise_are_what_theory_says() -> None:
    found = dict(zip(FEATURES, frame_features(np.random.default_rng(0).normal(size=(512, 512))),
                     strict=True))  # fmt: skip
    # Differences of white noise of spread 1: two of variance 2, of lengths as Rayleigh has them.
    assert found["slope, level 0"] == pytest.approx(np.log10(2), abs=0.01)
    assert found["sparse bends, level 0"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.01)
    assert found["noise"] == pytest.approx(0.0, abs=0.01)
    assert found["kurtosis"] == pytest.approx(np.log10(3), abs=0.01)
    assert found["skew"] == pytest.approx(0.0, abs=0.02)
    assert found["quantile 0.95"] == pytest.approx(1.645, abs=0.03)
    assert found["offsets of lines, more"] == pytest.approx(0.0, abs=0.05)
    # Share of the area of the frequency plane between 1/2 and 1/√8 cycles per pixel.
    assert found["power in band 9"] == pytest.approx(np.log10(np.pi / 8), abs=0.01)


def test_features_tell_scale_lattice_lines_and_ridges() -> None:
    y, x = np.mgrid[:128, :128].astype(float)
    noise = 0.1 * np.random.default_rng(0).normal(size=x.shape)

    def told(picture: np.ndarray) -> dict[str, float]:
        return dict(zip(FEATURES, frame_features(picture + noise), strict=True))

    def waves(period: float, folds: int) -> np.ndarray:
        angles = 0.3 + np.pi * np.arange(folds) / folds
        return sum(
            np.cos(2 * np.pi / period * (np.cos(a) * x + np.sin(a) * y)) for a in angles
        )  # fmt: skip

    wide, narrow = told(waves(20, 3)), told(waves(6, 3))
    assert narrow["slope, level 0"] > wide["slope, level 0"] + 0.3
    assert wide["6-fold, coarse"] > 0.8
    assert wide["4-fold, coarse"] < 0.2
    assert told(waves(20, 2))["4-fold, coarse"] > 0.8
    ridges = told(3 * waves(20, 1))["blobs for ridges, level 1"]
    assert ridges < 0.8 * wide["blobs for ridges, level 1"]
    dots = waves(20, 3)
    assert told(dots)["skewed bends, level 1"] > 0.1
    assert told(-dots)["skewed bends, level 1"] < -0.1
    jumps = np.random.default_rng(1).normal(size=(128, 1)) + waves(20, 3)
    assert told(jumps)["offsets of lines, more"] > wide["offsets of lines, more"] + 0.5
    flat = np.where(waves(20, 3) > 1, 1.0, 0.0)
    found = dict(zip(FEATURES, frame_features(flat), strict=True))
    assert found["flat pixels"] > -0.3


def test_features_of_a_large_frame_are_those_of_its_parts() -> None:
    rng = np.random.default_rng(6)
    large = DRAWN["counts"](rng, (1000, 1000))
    parts = [frame_features(large[a : a + 128, a : a + 128]) for a in range(0, 800, 100)]
    spread = np.std(parts, axis=0) + 0.05
    assert (np.abs(frame_features(large) - np.mean(parts, axis=0)) < 3 * spread).all()


def test_pixels_that_are_not_finite_are_bridged_and_no_picture_is_refused() -> None:
    picture = DRAWN["lattice"](np.random.default_rng(1), (160, 140))
    holed = picture.copy()
    holed[3, 5] = np.nan
    assert np.abs(frame_features(holed) - frame_features(picture)).max() < 0.2
    for wrong in (np.zeros((31, 200)), np.zeros(100), np.full((64, 64), np.nan)):
        with pytest.raises(OutOfRange, match="`image`"):
            frame_features(wrong)


# ---- strange pictures


def test_strange_pictures_are_of_all_kinds_but_those_that_are_own() -> None:
    rng = np.random.default_rng(0)
    mine = [texture(2, (90, 70))]
    found = strange_pictures(mine, 2 * (len(DRAWN) + len(SPOILT)), rng, shape=(64, 48))
    assert {one.shape for one in found} == {(64, 48), (90, 70)}
    assert all(np.isfinite(one).all() and np.ptp(one) > 0 for one in found)
    only = [name for name in (*DRAWN, *SPOILT) if name != "inverted"]
    upside = strange_pictures(mine, 3, rng, without=only)
    assert all(np.corrcoef(one.ravel(), mine[0].ravel())[0, 1] < -0.5 for one in upside)
    with pytest.raises(UnknownName, match="latice"):
        strange_pictures(mine, 1, rng, without=("latice",))
    with pytest.raises(OutOfRange, match="`own` is empty"):
        strange_pictures([], 1, rng)


def test_a_picture_of_scrambled_phases_keeps_its_power_and_loses_its_edges() -> None:
    rng = np.random.default_rng(0)
    mine = texture(3, (128, 128))
    spoilt = SPOILT["phases"](rng, mine)
    powers = [np.abs(np.fft.rfft2(one - one.mean()))[1:60, 1:60] for one in (mine, spoilt)]
    np.testing.assert_allclose(powers[0], powers[1], rtol=1e-6, atol=1e-6)
    before, after = (
        dict(zip(FEATURES, frame_features(one), strict=True)) for one in (mine, spoilt)
    )
    assert before["sparse slopes, level 1"] < after["sparse slopes, level 1"] - 0.1


def test_wrong_sizes_go_both_ways() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    mine = np.cos(2 * np.pi * x / 16) + np.cos(2 * np.pi * y / 16)
    slope = FEATURES.index("slope, level 0")
    right = frame_features(mine)[slope]
    wrong = [frame_features(SPOILT["wrong size"](rng, mine))[slope] for _ in range(12)]
    assert min(wrong) < right - 0.3
    assert max(wrong) > right + 0.15
    assert all(abs(one - right) > 0.1 for one in wrong)
