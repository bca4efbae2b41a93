"""Molecules move between frames, and the facts of the sample know where."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, label

from nanopilot.core.clock import VirtualClock
from nanopilot.twins.spm import Sample, SpmTwin
from nanopilot.twins.spm.function.molecules import Tracks, covered
from nanopilot.twins.spm.samples import family
from tests.twins.polar import Array, on, scanned

FAST = {"loop": {"rate": 1e6, "integral": 2e5, "resonance": 5e5}, "line_rate": 500.0,
        "tip": {"apexes": [{"radius": 2e-9}]}}  # fmt: skip


def watched(seed: int = 0, **told: object) -> Sample:
    usual: dict[str, object] = {"count": 6, "roughness": 0.0, "radius": "10 nm", "duration": 5.0}
    make = family("molecules")
    return make(np.random.default_rng(seed), size_m=300e-9, pixels=150, **(usual | told))


def movie(twin: SpmTwin, frames: int = 4) -> Array:
    found = scanned(twin, "height", field_of_view=(298e-9, 298e-9), shape=(150, 150), frames=frames)
    return found["height"].to_numpy()


def test_every_frame_shows_molecules_where_their_tracks_are() -> None:
    sample = watched(diffusion=2e-15)
    twin = on(sample, **FAST)
    frames, tracks = movie(twin), Tracks.of(sample.facts["molecules"])
    apart = 0.0
    for number, heights in enumerate(frames):
        began = number * 150 / 500.0
        where = tracks.at(began)
        raised = heights - np.median(heights) > 1e-9
        parts, count = label(raised)
        assert 1 <= count <= 6
        for place in np.array(center_of_mass(raised, parts, range(1, count + 1))):
            x, y = (place[::-1] - 74.5) * 2e-9
            off = np.hypot(*(where - (x, y)).T).min()
            # Two that touch are seen as one; the tip makes them all a little wider.
            if count == 6:
                assert off < 4e-9
        apart = max(apart, float(np.hypot(*(where - tracks.at(0.0)).T).max()))
    assert apart > 30e-9


def test_molecules_do_not_move_within_a_frame_and_move_with_the_clock() -> None:
    twin = on(watched(diffusion=2e-15), **FAST)
    one = movie(twin, 1)
    twin.clock.sleep(2.0)
    other = movie(twin, 1)
    assert np.abs(one - other).max() > 2e-9
    still = on(watched(diffusion=0.0), **FAST)
    frames = movie(still, 2)
    assert np.abs(frames[0] - frames[1]).max() < 1e-10


def test_a_twin_that_begins_later_sees_the_same_molecules() -> None:
    sample = watched(diffusion=2e-15)
    early, late = on(sample, **FAST), SpmTwin(sample, VirtualClock(1.5))
    early.clock.sleep(1.5)
    for twin in (early, late):
        twin.truth.live()
    np.testing.assert_array_equal(early.truth.height, late.truth.height)


def test_the_walk_spreads_as_the_diffusion_coefficient_says() -> None:
    sample = watched(count=2000, diffusion=1e-17, radius="8 nm", duration=4.0)
    tracks = Tracks.of(sample.facts["molecules"])
    for steps in (1, 10, 30):
        went = tracks.places[steps:] - tracks.places[:-steps]
        square = float((went**2).sum(axis=-1).mean())
        assert square == pytest.approx(4 * 1e-17 * 0.1 * steps, rel=0.1, abs=0)


def test_molecules_stay_on_the_field() -> None:
    sample = watched(diffusion=1e-13)
    places = Tracks.of(sample.facts["molecules"]).places
    assert np.abs(places).max() <= 150e-9 - 10e-9 + 1e-15
    assert places.std() > 50e-9


def test_what_was_done_to_the_surface_stays_while_molecules_move() -> None:
    twin = on(watched(diffusion=2e-15), **FAST)
    twin.truth.height[5, 5] -= 7e-9
    twin.clock.sleep(1.0)
    twin.truth.live()
    twin.clock.sleep(1.0)
    twin.truth.live()
    sample = twin.truth.sample
    tracks = Tracks.of(sample.facts["molecules"])
    clean = covered(sample.layers["ground"], sample.pitch, tracks, 2.0)
    change = twin.truth.height - clean
    assert change[5, 5] == pytest.approx(-7e-9, abs=1e-15)
    change[5, 5] = 0.0
    assert not change.any()
