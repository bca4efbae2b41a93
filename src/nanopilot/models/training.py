"""One training loop for all: batches, early stop on groups that were held out, progress."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.torch_extra import need_torch

Array = np.ndarray[Any, np.dtype[np.float32]]
#: Told: epoch, loss of training, loss on what was held out.
Progress = Callable[[int, float, float], None]
#: Turns one batch (inputs, targets) into another that is as likely.
Augment = Callable[[np.random.Generator, Array, Array], tuple[Array, Array]]
#: Predicted and true values of a batch, to one number.
Loss = Callable[[Any, Any], Any]


class Network(Protocol):
    """What can be trained."""

    parts: Any

    def __call__(self, inputs: Any) -> Any:
        """Predict a batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What is learned from.

    Parameters
    ----------
    inputs, targets : numpy.ndarray
        float32, one example per entry of the first axis.
    groups : tuple of str
        Which sample, family or scan each comes from.
    """

    inputs: Array
    targets: Array
    groups: tuple[str, ...]

    def split(self, held_out: Sequence[str]) -> tuple[Examples, Examples]:
        """Return the examples of all other groups, and those of the groups held out.

        Raises
        ------
        OutOfRange
            One of both would be empty.
        """
        out = np.isin(np.array(self.groups), list(held_out))
        if out.all() or not out.any():
            there = ", ".join(sorted(set(self.groups)))
            raise OutOfRange(
                f"`held_out` is {list(held_out)}; it has to name some, and not all, of {there}."
            )
        first, second = (self._take(np.flatnonzero(mask)) for mask in (~out, out))
        return first, second

    def _take(self, rows: np.ndarray[Any, np.dtype[np.intp]]) -> Examples:
        groups = tuple(self.groups[row] for row in rows)
        return Examples(self.inputs[rows], self.targets[rows], groups)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How it is learned.

    Parameters
    ----------
    epochs : int
        At most.
    batch : int
        Examples per step.
    rate : float
        Of Adam at the beginning; it falls to nothing along a cosine.
    patience : int
        Epochs without a better loss on what was held out, after which it stops.
    steps : int, optional
        Batches at most, over all epochs.
    """

    epochs: int = 40
    batch: int = 8
    rate: float = 1e-3
    patience: int = 8
    steps: int | None = None


def keep(_: np.random.Generator, inputs: Array, targets: Array) -> tuple[Array, Array]:
    """Leave a batch as it is."""
    return inputs, targets


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is trained, on what it is told off for, and how.

    Parameters
    ----------
    build : callable
        Makes the network.
    loss : callable
        Of predicted and true values.
    schedule : Schedule
        How long and how fast.
    augment : callable
        Applied to every batch that is learned from.
    """

    build: Callable[[], Network]
    loss: Loss
    schedule: Schedule = Schedule()
    augment: Augment = keep


def train(
    recipe: Recipe,
    examples: tuple[Examples, Examples],
    rng: np.random.Generator,
    progress: Progress = lambda epoch, train, held_out: None,
) -> tuple[Network, tuple[tuple[float, float], ...]]:
    """Train a network; return it as it was when the loss on held-out groups was least.

    Parameters
    ----------
    recipe : Recipe
        The network and how it learns; PyTorch's generator is set from `rng` while it is made.
    examples : (Examples, Examples)
        To learn from, and held out; see `Examples.split`.
    rng : numpy.random.Generator
        First weights, order and augmentation.
    progress : callable
        Told after every epoch.

    Returns
    -------
    Network, tuple of (float, float)
        And the losses of every epoch: of training, and held out.
    """
    torch = need_torch()
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**31)))
        return _train(recipe, examples, rng, progress)


def _train(
    recipe: Recipe,
    examples: tuple[Examples, Examples],
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[Network, tuple[tuple[float, float], ...]]:
    torch, schedule = need_torch(), recipe.schedule
    network = recipe.build()
    network.parts.to("cuda" if torch.cuda.is_available() else "cpu")
    each = -(-len(examples[0].groups) // schedule.batch)
    steps = min(schedule.epochs * each, schedule.steps or schedule.epochs * each)
    adam = torch.optim.Adam(network.parts.parameters(), lr=schedule.rate)
    slow = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    best, best_loss, log = copy.deepcopy(network.parts.state_dict()), np.inf, []
    best_epoch = 0
    for epoch in range(-(-steps // each)):
        left = min(each, steps - epoch * each)
        learned = _epoch(network, recipe, (examples[0], left), rng, (adam, slow))
        held_out = evaluate(network, recipe.loss, examples[1], schedule.batch)
        log.append((learned, held_out))
        progress(epoch, learned, held_out)
        if held_out < best_loss:
            best, best_loss = copy.deepcopy(network.parts.state_dict()), held_out
            best_epoch = epoch
        elif epoch - best_epoch >= schedule.patience:
            break
    network.parts.load_state_dict(best)
    network.parts.to("cpu").eval()
    return network, tuple(log)


def evaluate(network: Network, loss: Loss, examples: Examples, batch: int) -> float:
    """Return the mean loss over examples, nothing learned."""
    torch = need_torch()
    total = 0.0
    network.parts.eval()
    with torch.no_grad():
        for first in range(0, len(examples.groups), batch):
            part = slice(first, first + batch)
            x, y = examples.inputs[part], examples.targets[part]
            total += float(_loss(network, loss, x, y)) * len(x)
    return total / len(examples.groups)


def _epoch(
    network: Network,
    recipe: Recipe,
    part: tuple[Examples, int],
    rng: np.random.Generator,
    tools: tuple[Any, Any],
) -> float:
    """Learn from so many batches of the examples, and return the mean loss."""
    adam, slow = tools
    (examples, steps), batch = part, recipe.schedule.batch
    order = rng.permutation(len(examples.groups))[: steps * batch]
    network.parts.train()
    total = 0.0
    for first in range(0, order.size, batch):
        rows = order[first : first + batch]
        inputs, targets = recipe.augment(rng, examples.inputs[rows], examples.targets[rows])
        adam.zero_grad()
        value = _loss(network, recipe.loss, inputs, targets)
        value.backward()
        need_torch().nn.utils.clip_grad_norm_(network.parts.parameters(), 1.0)
        adam.step()
        slow.step()
        total += float(value.detach()) * rows.size
    return total / order.size


def _loss(network: Network, loss: Loss, inputs: Array, targets: Array) -> Any:
    torch = need_torch()
    device = next(network.parts.parameters()).device
    x, y = (torch.from_numpy(np.ascontiguousarray(one)).to(device) for one in (inputs, targets))
    # Half the bits on a GPU; on a CPU they would be slower.
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=device.type == "cuda"):
        predicted = network(x)
    return loss(predicted.float(), y)
