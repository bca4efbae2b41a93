"""What a parabola that is rolled over a scan takes away: as much as in theory, nothing of tips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, grey_opening

from nanopilot.core.errors import OutOfRange
from nanopilot.models.openings import OPENINGS, WIDTHS, opened, openings
from nanopilot.models.tip_imaging import dilate

VALLEYS = [number for number, name in enumerate(OPENINGS) if name.startswith("peaks for valleys")]


def hills(rng: np.random.Generator, pixels: int = 96) -> np.ndarray:
    """Return a smooth random field: peaks are as many, and as sharp, as valleys."""
    return gaussian_filter(rng.normal(size=(pixels, pixels)), 1.5, mode="wrap")


@pytest.mark.parametrize("width", WIDTHS)
def test_opening_is_that_of_a_parabola_of_two_dimensions(width: float) -> None:
    rng = np.random.default_rng(0)
    window = rng.normal(size=(50, 41)).astype(np.float32)
    reach = int(np.ceil(2 * width))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1] / width
    wanted = grey_opening(window, structure=-(y**2 + x**2), mode="nearest")
    found = opened(window[None], width)[0]
    # Within the reach of the edge the two go on differently.
    # Near the edge both go on beyond it in ways of their own.
    inner = tuple(slice(2 * reach, size - 2 * reach) for size in window.shape)
    np.testing.assert_allclose(found[inner], wanted[inner], atol=1e-5)
    assert (found - window)[inner].max() < 1e-5


def test_what_a_blunter_tip_has_imaged_stays_as_it_is() -> None:
    y, x = np.mgrid[-9:10, -9:10] / 4.0
    surface = 3 * np.random.default_rng(1).normal(size=(120, 120))
    image = np.asarray(dilate(surface, y**2 + x**2))[12:-12, 12:-12].astype(np.float32)
    lost = [(side - opened(side[None], 2.0)[0])[6:-6, 6:-6] for side in (image, -image)]
    # A parabola rolled over pixels falls short of one that is rolled over a line.
    assert lost[0].max() < (1 / 2**2 + 1 / 4**2) / 2
    assert lost[1].mean() > 2 * lost[0].mean()


def test_scans_lose_their_valleys_and_other_pictures_as_much_of_both() -> None:
    picture = hills(np.random.default_rng(2))
    y, x = np.mgrid[-9:10, -9:10] / 4.0
    scan = np.asarray(dilate(picture / picture.std(), y**2 + x**2))[9:-9, 9:-9]
    alike, apart = openings(picture)[VALLEYS], openings(scan)[VALLEYS]
    assert np.abs(alike).max() < 0.15
    assert apart[1] < -0.6
    assert (apart < 0.05).all()
    np.testing.assert_allclose(openings(-scan)[VALLEYS], -apart, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 3), st.booleans(), st.floats(0.01, 100.0), st.floats(-5.0, 5.0))
def test_turns_mirrors_gain_and_offset_change_nothing(
    quarters: int, mirrored: bool, gain: float, offset: float
) -> None:
    picture = hills(np.random.default_rng(3), 64)
    other = np.rot90(picture[::-1] if mirrored else picture, quarters)
    np.testing.assert_allclose(openings(gain * other + offset), openings(picture), atol=1e-3)


def test_there_is_a_name_for_each_number_and_an_even_picture_loses_nothing() -> None:
    found = openings(np.full((40, 40), 3.0))
    assert found.shape == (len(OPENINGS),)
    assert len(set(OPENINGS)) == len(OPENINGS)
    np.testing.assert_allclose(found[VALLEYS], 0.0)
    assert np.isfinite(found).all()
    with pytest.raises(OutOfRange, match="`image` has shape"):
        openings(np.zeros((20, 40)))
