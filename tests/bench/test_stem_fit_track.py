"""The track on fits of the electron twin: truth reaches every bar, defaults do not."""

from __future__ import annotations

import numpy as np

from nanopilot.bench.tracks.stem_fit import NUMBERS, StemFit, draw


def test_truth_reaches_every_bar_and_defaults_none() -> None:
    track = StemFit()
    case = track.case(1001)
    perfect = {name: (value, 0.01 * abs(value)) for name, value in case.truth.items()}
    best = track.score(case, perfect)
    usual = track.score(case, track.methods["default-settings"](case.visible))
    for bar in track.bars:
        sign = 1 if bar.better == "higher" else -1
        assert sign * best[bar.metric] > sign * bar.bar
        if bar.metric != "answered":
            assert sign * usual[bar.metric] < sign * bar.bar, bar.metric
    nothing = track.score(case, {})
    assert nothing["answered"] == 0
    assert nothing["gain"] == 1


def test_instruments_are_drawn_by_their_seed_and_all_differ() -> None:
    one, again, other = (draw(np.random.default_rng(seed))[0] for seed in (3, 3, 4))
    assert one == again
    assert all(one[name] != other[name] for name in one)
    assert {name.removesuffix(".x").removesuffix(".y") for name in one} == set(NUMBERS)
