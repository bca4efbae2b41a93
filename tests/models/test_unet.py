"""Networks, training and shipped weights: shapes, splits by group, and files that are checked."""

import json
from pathlib import Path

import numpy as np
import pytest

from nanopilot.core.errors import MissingExtra, OutOfRange, Tampered, UnknownName
from nanopilot.models import torch_extra
from nanopilot.models.training import Examples, Recipe, Schedule, evaluate, train
from nanopilot.models.unet import UNet, UNetShape, with_conditions
from nanopilot.models.weights import Card, fill, load_weights, save_weights

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


@pytest.mark.parametrize("residual", [False, True])
def test_network_without_conditions_is_the_one_it_has_always_been(residual: bool) -> None:
    torch.manual_seed(3)
    plain = UNet(UNetShape(2, 1, width=4, depth=2, residual=residual))
    torch.manual_seed(3)
    told = UNet(UNetShape(2, 1, width=4, depth=2, residual=residual, conditions=3))
    mine, other = plain.parts.state_dict(), told.parts.state_dict()
    assert all(torch.equal(mine[name], other[name]) for name in mine)
    assert not any("film" in name or name == "told" for name in mine)
    for network in (plain, told):
        torch.manual_seed(4)
        torch.nn.init.normal_(network.parts["last"].weight)
    images = torch.randn(2, 2, 16, 8)
    # Before it has learned what conditions mean, they change nothing.
    assert torch.equal(plain(images), told(images, torch.randn(2, 3)))


def test_conditions_are_given_as_numbers_or_as_channels() -> None:
    network = UNet(UNetShape(2, 1, width=4, depth=1, conditions=3))
    for part in network.parts.values():
        torch.nn.init.normal_(part.weight, std=0.3)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 2, 8, 8)).astype(np.float32)
    told = rng.normal(size=(2, 3)).astype(np.float32)
    first = network(torch.from_numpy(images), torch.from_numpy(told))
    second = network(torch.from_numpy(with_conditions(images, told)))
    torch.testing.assert_close(first, second)
    other = network(torch.from_numpy(images), torch.from_numpy(told[::-1].copy()))
    assert not torch.allclose(first, other)
    for wrong in (None, torch.zeros(2, 2), torch.zeros(1, 3)):
        with pytest.raises(OutOfRange, match="`conditions` has shape"):
            network(torch.from_numpy(images), wrong)
    with pytest.raises(OutOfRange, match="takes none"):
        UNet(UNetShape(2, 1))(torch.from_numpy(images), torch.from_numpy(told))
    with pytest.raises(OutOfRange, match="`conditions` has shape"):
        with_conditions(images, told[:1])
    with pytest.raises(OutOfRange, match="`conditions` is -1"):
        UNetShape(2, 1, conditions=-1)


def blurs(rng: np.random.Generator, count: int) -> tuple[Examples, float]:
    """Return images to be blurred by three widths each, and the least loss of who is not told.

    Who sees the image alone can at best answer the mean of its three blurs, and is then off by
    their variance.
    """
    from scipy.ndimage import gaussian_filter

    images = rng.normal(size=(count, 1, 16, 16)).astype(np.float32)
    widths = np.array([0.0, 0.6, 1.2])
    blurred = np.stack([gaussian_filter(images, (0, 0, w, w)) for w in widths], axis=1)
    told = np.tile((widths / 0.6 - 1)[:, None], (count, 1)).astype(np.float32)
    inputs = with_conditions(np.repeat(images, 3, axis=0), told)
    groups = tuple("ab"[number < 0.7 * count] for number in range(count) for _ in widths)
    least = float(blurred[groups[::3].index("a") :].var(axis=1).mean())
    return Examples(inputs, blurred.reshape(-1, 1, 16, 16), groups), least


def test_a_network_that_is_told_the_width_learns_to_blur_and_another_cannot() -> None:
    drawn, least = blurs(np.random.default_rng(0), 40)
    parts = drawn.split(["a"])

    def off(found: object, true: object) -> object:
        return ((found - true) ** 2).mean()  # type: ignore[operator]

    class Untold(UNet):
        def __call__(self, images: object, conditions: object = None) -> object:
            return super().__call__(images[:, :1])  # type: ignore[index]

    losses = {}
    for name, build in (
        ("told", lambda: UNet(UNetShape(1, 1, width=8, depth=1, conditions=1))),
        ("untold", lambda: Untold(UNetShape(1, 1, width=8, depth=1))),
    ):
        way = Recipe(build, off, Schedule(epochs=16, batch=6, rate=1.5e-2))
        network, _ = train(way, parts, np.random.default_rng(1))
        losses[name] = evaluate(network, off, parts[1], 8)
    assert losses["untold"] >= least * (1 - 1e-6)
    assert losses["told"] < 0.2 * least


def test_bottleneck_is_mean_and_spread_of_the_deepest_level() -> None:
    network = UNet(UNetShape(1, 2, width=4, depth=2))
    images = torch.randn(3, 1, 16, 24)
    found = network.bottleneck(images)
    assert tuple(found.shape) == (3, 2 * 16)
    x = images
    relu, pool = torch.nn.functional.leaky_relu, torch.nn.functional.max_pool2d
    for level in range(3):
        x = pool(x, 2) if level else x
        x = relu(network.parts[f"down{level}b"](relu(network.parts[f"down{level}a"](x))))
    values = x.detach().numpy()
    np.testing.assert_allclose(found[:, :16].detach(), values.mean(axis=(2, 3)), atol=1e-5)
    np.testing.assert_allclose(found[:, 16:].detach(), values.std(axis=(2, 3)), atol=1e-5)
    torch.testing.assert_close(found[1:2], network.bottleneck(images[1:2]))


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


def test_tensors_go_into_a_network_by_name_and_none_may_lack() -> None:
    parts = torch.nn.ModuleDict({"first": torch.nn.Linear(2, 3)})
    own = {"first.weight": np.arange(6.0, dtype=np.float32).reshape(3, 2)}
    own["first.bias"] = np.ones(3, dtype=np.float32)
    fill(parts, own | {"border.mean": np.zeros(1, dtype=np.float32)})
    np.testing.assert_array_equal(parts["first"].weight.detach().numpy(), own["first.weight"])
    assert not parts.training
    del own["first.bias"]
    with pytest.raises(RuntimeError, match=r"first\.bias"):
        fill(parts, own)
