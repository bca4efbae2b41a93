"""Networks, training and shipped weights: shapes, splits by group, and files that are checked."""

import json
from pathlib import Path

import numpy as np
import pytest

from nanopilot.core.errors import MissingExtra, OutOfRange, Tampered, UnknownName
from nanopilot.models import torch_extra
from nanopilot.models.training import Examples, Recipe, Schedule, train
from nanopilot.models.unet import UNet, UNetShape
from nanopilot.models.weights import Card, load_weights, save_weights

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
FOLDER = Path(torch_extra.__file__).with_name("weights")
CARD = Card(
    name="one", recipe="none", settings={}, data="-", seed=0, sha256="", metrics={}, limits="-"
)


@pytest.mark.parametrize("residual", [False, True])
def test_network_gives_images_of_the_same_size_and_begins_with_nothing(residual: bool) -> None:
    network = UNet(UNetShape(inputs=2, outputs=3, width=4, depth=2, residual=residual))
    answer = network(torch.ones(1, 2, 16, 24))
    assert tuple(answer.shape) == (1, 3, 16, 24)
    assert not answer.detach().numpy().any()
    assert network.count() == sum(one.numel() for one in network.parts.parameters())


def test_residual_blocks_are_other_blocks() -> None:
    plain, residual = (UNet(UNetShape(2, 1, width=4, residual=r)) for r in (False, True))
    assert residual.count() > plain.count()


def test_impossible_networks_are_refused() -> None:
    with pytest.raises(OutOfRange, match="`depth` is 0"):
        UNetShape(inputs=1, outputs=1, depth=0)


def examples(rng: np.random.Generator) -> Examples:
    inputs = rng.normal(size=(24, 1, 8, 8)).astype(np.float32)
    return Examples(inputs, 2 * inputs, tuple("abc"[n % 3] for n in range(24)))


def recipe(epochs: int = 20) -> Recipe:
    return Recipe(
        lambda: UNet(UNetShape(1, 1, width=4, depth=1)),
        lambda found, true: ((found - true) ** 2).mean(),
        Schedule(epochs=epochs, batch=4, rate=1e-2),
    )


def test_groups_held_out_are_not_learned_from() -> None:
    learned, held_out = examples(np.random.default_rng(0)).split(["b"])
    assert set(learned.groups) == {"a", "c"}
    assert set(held_out.groups) == {"b"}
    with pytest.raises(OutOfRange, match="`held_out`"):
        learned.split(["z"])


def test_training_makes_the_loss_less_and_repeats_itself() -> None:
    parts = examples(np.random.default_rng(0)).split(["b"])
    state = torch.random.get_rng_state()
    runs = [train(recipe(), parts, np.random.default_rng(1)) for _ in range(2)]
    assert torch.equal(state, torch.random.get_rng_state())
    (first, log), (second, again) = runs
    assert log == again
    assert log[-1][1] < 0.6 * log[0][1]
    for one, other in zip(first.parts.parameters(), second.parts.parameters(), strict=True):
        assert torch.equal(one, other)


def test_weights_come_back_as_they_were_and_damage_is_seen(tmp_path: Path) -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}
    card = save_weights(tmp_path, tensors, CARD)
    back, found = load_weights("one", tmp_path)
    np.testing.assert_array_equal(back["a"], tensors["a"])
    assert found == card
    path = tmp_path / "one.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(Tampered, match=r"`one.safetensors`"):
        load_weights("one", tmp_path)
    with pytest.raises(UnknownName):
        load_weights("two", tmp_path)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_weights_are_small_and_those_of_their_card(path: Path) -> None:
    tensors, card = load_weights(path.stem)
    assert path.with_suffix(".safetensors").stat().st_size < 5e6
    assert sum(one.size for one in tensors.values()) < 2_000_000
    assert card.data
    assert card.limits
    assert json.loads(path.read_text())["sha256"] == card.sha256


def test_without_torch_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"nanopilot\[ml\]"):
        UNet(UNetShape(1, 1))
