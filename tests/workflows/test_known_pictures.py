"""What networks know of their own pictures is learned without touching the networks."""

from pathlib import Path

import numpy as np
import pytest

from nanopilot.core.errors import OutOfRange, ReadError, UnknownName
from nanopilot.models.weights import FOLDER, load_weights, save_weights
from nanopilot.workflows.known_pictures import PICTURES, learn_known, refiner_scan, teach

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")


def test_the_network_stays_the_same_and_the_card_too_but_for_its_hash(tmp_path: Path) -> None:
    told: list[str] = []
    card = teach("tip-refiner", out=tmp_path, count=60, report=told.append)
    before, was = load_weights("tip-refiner")
    after, now = load_weights("tip-refiner", tmp_path)
    assert told
    assert now == card
    assert now.model_copy(update={"sha256": was.sha256}) == was
    mine = [name for name in before if not name.startswith("familiarity.")]
    assert {name for name in after if not name.startswith("familiarity.")} == set(mine)
    for name in mine:
        np.testing.assert_array_equal(after[name], before[name])
    again = teach("tip-refiner", out=tmp_path / "again", count=60)
    assert again.sha256 == card.sha256


def test_weights_that_know_nothing_of_their_pictures_load_and_find_nothing_strange(
    tmp_path: Path,
) -> None:
    from nanopilot.analysis.tip.familiar import strangeness_of
    from nanopilot.analysis.tip.learned_state import load_tip_state

    tensors, card = load_weights("tip-state")
    plain = {name: one for name, one in tensors.items() if not name.startswith("familiarity.")}
    save_weights(tmp_path, plain, card)
    old, new = load_tip_state(folder=tmp_path), load_tip_state()
    noise = np.random.default_rng(0).normal(size=(128, 128))
    assert old.known is None
    assert strangeness_of(old.known, noise) == 0
    assert strangeness_of(new.known, noise) > 1
    # Too small to tell.
    assert strangeness_of(new.known, noise[:20]) == 0
    # The answer itself is that of the same network.
    first, second = old(noise), new(noise)
    assert (first.sharp, first.double, first.distance) == (
        second.sharp, second.double, second.distance,
    )  # fmt: skip
    assert not first.stranger
    assert second.stranger
    assert second.state == "unsure"
    broken = {name: one for name, one in tensors.items() if name != "familiarity.border"}
    save_weights(tmp_path / "broken", broken, card)
    with pytest.raises(ReadError, match=r"familiarity\.border"):
        load_tip_state(folder=tmp_path / "broken")


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_pictures_are_finite_and_seeded_and_weights_that_ship_know_theirs(name: str) -> None:
    draw, look = PICTURES[name]
    first, again, other = (draw(np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.isfinite(first).all()
    assert np.isfinite(look(first)).all()
    if (FOLDER / f"{name}.safetensors").exists():
        assert "familiarity.border" in load_weights(name)[0]


def test_tilt_is_no_stranger() -> None:
    from nanopilot.analysis.tip.familiar import look

    picture = PICTURES["tip-refiner"][0](np.random.default_rng(3))
    y, x = np.mgrid[:128, :128]
    tilted = picture + np.ptp(picture) * (0.02 * y - 0.01 * x)
    np.testing.assert_allclose(look(tilted), look(picture), atol=1e-3)


def test_noise_on_a_scan_of_a_blunt_tip_is_no_misfit() -> None:
    from nanopilot.analysis.tip import load_refiner

    # Most of the relief is gone, so that noise is much of the range.
    scan = refiner_scan(np.random.default_rng(39))
    refiner = load_refiner()
    assert refiner.strangeness(scan.image, scan.shape, 3 * scan.noise) < 1
    assert not refiner(scan.image, scan.shape, 3 * scan.noise).stranger
    assert refiner.strangeness(scan.image, scan.shape, 0.0) > 1
    spoilt = scan.image + 0.5 * np.ptp(scan.image) * (np.indices(scan.image.shape).sum(0) % 2)
    assert refiner.strangeness(spoilt, scan.shape, 3 * scan.noise) > 1


def test_unknown_weights_and_too_few_pictures_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UnknownName, match="tip-refinr"):
        learn_known("tip-refinr", rng)
    with pytest.raises(OutOfRange, match="`count` is 0"):
        learn_known("tip-refiner", rng, 0)
    with pytest.raises(OutOfRange, match="are needed at least"):
        learn_known("tip-refiner", rng, 12)
