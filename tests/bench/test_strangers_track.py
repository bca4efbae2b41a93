"""The track of strangers: fair pictures, shares that are counted right, and baselines that fail."""

from dataclasses import replace

import numpy as np
import pytest

from nanopilot.bench.runner import run_track
from nanopilot.bench.stranger_nets import NETS, Net, Picture, framed
from nanopilot.bench.stranger_pictures import KINDS, coloured, dead_leaves, photograph
from nanopilot.bench.tracks.strangers import MODALITY, OWN, WRONG_SIZE, Strangers, wrong_size
from nanopilot.core.errors import OutOfRange
from nanopilot.models.frame_features import FEATURES, frame_features

PERIOD = 8


def waves(rng: np.random.Generator) -> Picture:
    """Draw waves 8 pixels long of an instrument that sees nothing else."""
    y, x = np.mgrid[:96, :96]
    way = rng.uniform(0, np.pi)
    phase = 2 * np.pi * (np.cos(way) * x + np.sin(way) * y) / PERIOD
    values = np.cos(phase + rng.uniform(0, 6)) + 0.05 * rng.normal(size=x.shape)
    return Picture(framed(values, 1e-9))


def bumps(rng: np.random.Generator) -> Picture:
    return Picture(framed(rng.uniform(size=(64, 80)) ** 8, 3e-9, "intensity", "1"))


def sure(picture: Picture) -> float:
    """Tell waves by the share of the power at their length, in metres."""
    values = picture.frame.to_numpy()
    power = np.abs(np.fft.rfft2(values - values.mean())) ** 2
    v, u = np.meshgrid(
        np.fft.fftfreq(values.shape[0], picture.pixel_size),
        np.fft.rfftfreq(values.shape[1], picture.pixel_size),
        indexing="ij",
    )
    right = np.abs(np.hypot(u, v) * PERIOD * 1e-9 - 1) < 0.3
    return 0.5 if power[right].sum() > 0.9 * power.sum() else 1.5


def refuses(picture: Picture) -> float:
    if picture.frame.attrs["quantity"] != "intensity" or picture.frame.shape != (64, 80):
        raise OutOfRange("`frame` is none of mine.")
    return 1.0


MINE = {
    "waves": Net("-", "one", waves, sure, "metres"),
    "bumps": Net("-", "other", bumps, refuses, "any"),
}


def test_who_knows_the_truth_scores_one_and_who_never_abstains_refuses_none() -> None:
    track = Strangers(MINE, own=3, each=2)
    case = track.case(0)
    truth = np.array([0.5 if kind == OWN else 2.0 for kind in case.kinds])
    best = track.score(case, truth)
    assert best["kept"] == best["refused"] == best["kept_waves"] == best["refused_bumps"] == 1
    never = track.score(case, track.methods["never abstains"](case.visible))
    assert (never["kept"], never["refused"]) == (1, 0)
    always = track.score(case, np.full(len(truth), np.inf))
    assert (always["kept"], always["refused"]) == (0, 1)
    one = truth.copy()
    one[case.kinds.index("dead leaves")] = 1.0
    assert track.score(case, one)["refused_bumps_dead_leaves"] == 0.5


def test_networks_are_asked_one_by_one_and_words_are_abstentions() -> None:
    found = run_track(Strangers(MINE, own=3, each=1), range(2))
    shares = {key: one.mean for key, one in found.methods["shipped"].items()}
    assert shares["kept_waves"] == shares["refused_waves"] == 1
    # It looks at nothing but quantity and shape, which strangers share with its own.
    assert shares["kept_bumps"] == 1
    assert shares["refused_bumps"] < 0.5
    assert {line.ok for line in found.acceptance if "waves" in line.what} == {True}
    plain = {key: one.mean for key, one in found.methods["mean and spread"].items()}
    assert plain["refused_waves_wrong_pixel_size"] < 0.5


def test_strangers_have_shape_range_quantity_and_pixel_size_of_own_ones() -> None:
    case = Strangers(MINE, own=2, each=2).case(5)
    for net, shape, quantity in (("waves", (96, 96), "height"), ("bumps", (64, 80), "intensity")):
        mine = [
            (one.picture, kind)
            for one, kind in zip(case.visible, case.kinds, strict=True)
            if one.net == net
        ]
        kinds = {kind for _, kind in mine}
        assert kinds >= {OWN, MODALITY, *KINDS}
        assert (WRONG_SIZE in kinds) == (net == "waves")
        spans = [float(np.ptp(picture.frame.to_numpy())) for picture, kind in mine if kind == OWN]
        for picture, kind in mine:
            assert picture.frame.attrs["quantity"] == quantity
            assert min(spans) * 0.8 < float(np.ptp(picture.frame.to_numpy())) < max(spans) * 1.25
            if kind != MODALITY:
                assert picture.frame.shape == shape
            if kind not in (MODALITY, WRONG_SIZE):
                assert picture.pixel_size == pytest.approx(1e-9 if net == "waves" else 3e-9)


def test_same_seed_same_pictures_and_another_seed_others() -> None:
    track = Strangers(MINE, own=2, each=1)
    first, again, other = (track.case(seed) for seed in (0, 0, 1))
    for one, two, three in zip(first.visible, again.visible, other.visible, strict=True):
        np.testing.assert_array_equal(one.picture.frame, two.picture.frame)
        assert not np.array_equal(one.picture.frame, three.picture.frame)


@pytest.mark.parametrize("larger", [False, True])
@pytest.mark.parametrize("sizes", ["metres", "pixels"])
def test_wrong_sizes_are_wrong_by_three_to_six(sizes: str, larger: bool) -> None:
    net = replace(MINE["waves"], sizes=sizes)
    for seed in range(4):
        found = wrong_size(net, np.random.default_rng(seed), larger=larger)
        if sizes == "metres":
            times = found.pixel_size / 1e-9
        else:
            values = found.frame.to_numpy()
            assert found.pixel_size == pytest.approx(1e-9)
            power = np.abs(np.fft.rfft2(values - values.mean())) ** 2
            v, u = np.meshgrid(np.fft.fftfreq(96), np.fft.rfftfreq(96), indexing="ij")
            times = 1 / (PERIOD * np.sum(np.hypot(u, v) * power) / power.sum())
        wanted = times if larger else 1 / times
        assert 2.4 < wanted < 6.5 or (sizes == "pixels" and not larger and wanted > 1.5)


def test_noise_has_the_power_it_is_named_for() -> None:
    rng = np.random.default_rng(0)
    for fall in (0.0, 1.0, 2.0):
        power = sum(np.abs(np.fft.rfft2(coloured(rng, (256, 256), fall))) ** 2 for _ in range(8))
        v, u = np.meshgrid(np.fft.fftfreq(256), np.fft.rfftfreq(256), indexing="ij")
        radius = np.hypot(u, v)
        low, high = (float(power[(radius > a) & (radius < 1.2 * a)].mean()) for a in (0.03, 0.3))
        assert np.log10(low / high) == pytest.approx(fall, abs=0.1)


def test_dead_leaves_have_edges_and_the_power_of_photographs() -> None:
    rng = np.random.default_rng(0)
    made = [
        dict(zip(FEATURES, frame_features(dead_leaves(rng, (128, 128))), strict=True))
        for _ in range(4)
    ]
    noise = dict(zip(FEATURES, frame_features(coloured(rng, (128, 128), 2.0)), strict=True))
    for one in made:
        assert one["sparse slopes, level 1"] < noise["sparse slopes, level 1"] - 0.1
        assert one["power in band 1"] > one["power in band 9"]


def test_photographs_are_never_of_even_grey() -> None:
    rng = np.random.default_rng(0)
    for shape in ((64, 64), (300, 500), (900, 100)):
        found = photograph(rng, shape)
        assert found.shape == shape
        assert np.ptp(found) > 30


def test_every_network_is_registered_with_pictures_of_its_own() -> None:
    assert {"tip-state", "tip-refiner", "grains", "particles", "defects"} <= set(NETS)
    rng = np.random.default_rng(0)
    for net in NETS.values():
        frame = net.own(rng).frame
        assert frame.dims == ("y", "x")
        assert min(frame.shape) >= 64
        assert np.isfinite(frame).all()


def test_shipped_networks_for_tips_refuse_noise_and_photographs() -> None:
    pytest.importorskip("torch")
    names = ("tip-state", "tip-refiner-residual")
    track = Strangers({name: NETS[name] for name in names}, own=4, each=1)
    case = track.case(0)
    found = track.score(case, track.methods["shipped"](case.visible))
    for name in names:
        assert found[f"kept_{name}"] >= 0.75
        assert found[f"refused_{name}_white_noise"] == 1
        assert found[f"refused_{name}"] > 0.7
