"""Trains the network for grains on polycrystals whose grains are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.analysis.grains.flattening import flatten
from nanopilot.analysis.grains.learned import load_grain_net
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.recipes import grains
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Examples, Network, Recipe, evaluate
from nanopilot.models.training import train as learn
from nanopilot.models.weights import Card, save_weights
from nanopilot.workflows.grain_scenes import FAMILIES, MARGIN, scan_grains
from nanopilot.workflows.known_pictures import grain_look, learn_known

#: Families that stop the training early and are not learned from.
HELD_OUT = ("facets",)
#: Scenes to draw, and of which families how often; the twin's take longest to draw.
COUNT = 1600
_TURN = ("caps", "domes", "facets", "plates", "caps", "domes", "plates", "twin")
#: Scenes that the network never saw, from which it learns what is familiar; and such of strangers.
_FAMILIAR = 480
#: Seed of the scenes on which weights are checked.
_CHECKED = 20_000
Say = Callable[[str], None]
Float32 = np.ndarray[Any, np.dtype[np.float32]]


def examples(rng: np.random.Generator, groups: Sequence[str]) -> Examples:
    """Draw one example of each group: what the network is shown, and what it should answer.

    Parameters
    ----------
    rng : numpy.random.Generator
        Every draw.
    groups : sequence of str
        Names of `nanopilot.workflows.grain_scenes.FAMILIES`.
    """
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    inputs, targets = [], []
    for group in groups:
        scene = scan_grains(rng, group)
        inputs.append(grains.show(flatten(scene.image)))
        targets.append(grains.target(scene.labels, inner))
    return Examples(np.stack(inputs), np.stack(targets), tuple(groups))


def train(
    *, seed: int = 0, steps: int | None = None, out: Path, report: Say = lambda line: None
) -> Card:
    """Train the weights ``grains``; see `nanopilot.models.shelf.TrainFunction`."""
    need_torch()
    rng = np.random.default_rng(seed)
    count, schedule = COUNT, grains.SCHEDULE
    if steps is not None:
        count = min(count, max(2 * len(_TURN), steps * schedule.batch))
        schedule = replace(schedule, steps=steps)
    report(f"drawing {count} scans")
    parts = examples(rng, _groups(count)).split(HELD_OUT)
    recipe = Recipe(grains.GrainUNet, grains.loss, schedule, grains.turn)
    network, log = learn(
        recipe,
        parts,
        rng,
        lambda epoch, learned, held: report(
            f"epoch {epoch + 1}: loss {learned:.4f}, on the family held out {held:.4f}"
        ),
    )
    few = _FAMILIAR if steps is None else 80
    report(f"learning what is familiar from {few} scans more")
    known = familiarity(network, rng, few)
    metrics = {
        "loss_held_out": evaluate(network, grains.loss, parts[1], 8),
        "epochs": float(len(log)),
    }
    card = _card(count, seed).model_copy(
        update={
            "metrics": metrics,
            "checks": {key: (one, 0.01 * abs(one)) for key, one in _repeat(network).items()},
        }
    )
    tensors = {name: one.numpy() for name, one in network.parts.state_dict().items()}
    return save_weights(out, tensors | known.tensors(), card)


def _card(count: int, seed: int) -> Card:
    return Card(
        name="grains",
        recipe="grains",
        settings=asdict(grains.SHAPE),
        data=f"{count} scans of {', '.join(sorted(FAMILIES))}; held out: {', '.join(HELD_OUT)}; "
        "familiar: further scans",
        seed=seed,
        sha256="",
        metrics={},
        limits="Heights of one scan of grains 8 to 32 pixels wide after rescaling; white noise 8 "
        "dB below the surface or less. Grooves that the tip closed are not seen.",
    )


def _groups(count: int) -> tuple[str, ...]:
    return tuple(_TURN[number % len(_TURN)] for number in range(count))


def familiarity(network: Any, rng: np.random.Generator, count: int) -> Familiarity:
    """Learn what is familiar from scans that the network has not learned from, and from strangers.

    Parameters
    ----------
    network : GrainUNet
        Whose deepest level is looked at besides the pictures.
    rng : numpy.random.Generator
        Scans, strangers and folds.
    count : int
        How many of each.
    """
    return learn_known("grains", rng, count, seen=partial(grain_look, network=network))


def check(name: str, folder: Path | None = None) -> dict[str, float]:
    """Return the loss of shipped weights on a few scans that are always the same.

    Parameters
    ----------
    name : str
        Of the weights.
    folder : Path, optional
        Where they are, if they do not ship.
    """
    return _repeat(load_grain_net(name, folder).network)


def _repeat(network: Network) -> dict[str, float]:
    few = examples(np.random.default_rng(_CHECKED), _groups(16))
    return {"loss_of_16_scans": evaluate(network, grains.loss, few, 8)}
