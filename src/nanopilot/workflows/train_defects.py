"""Trains graph autoencoders on regular crystals, and learns what frames of crystals are like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.analysis.atom_graphs.features import edge_table, measure_features, node_table
from nanopilot.analysis.atom_graphs.learned import NAME, RECIPE, load_members
from nanopilot.analysis.atom_graphs.strangeness import describe
from nanopilot.core.errors import SignalError
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.graph_autoencoder import GraphAutoencoder
from nanopilot.models.recipes import defects
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Examples, Recipe, evaluate
from nanopilot.models.training import train as train_network
from nanopilot.models.weights import Card, save_weights
from nanopilot.workflows.defect_lattices import (
    HELD_OUT,
    LATTICES,
    Disorder,
    draw_lattice,
    read_lattice,
)

Say = Callable[[str], None]
Float32 = np.ndarray[Any, np.dtype[np.float32]]

#: Graphs to learn from, and frames that tell what is familiar.
GRAPHS, FRAMES = 168, 126
#: Share of odd columns, at most, in frames that are familiar all the same.
_ODD = 0.12
#: Frames without which nothing is familiar.
_LEAST = 10
#: Seed of the graphs on which weights are checked, and how many there are.
_CHECKED, _FEW = 30_000, 7


def examples(rng: np.random.Generator, count: int) -> Examples:
    """Draw graphs of regular crystals, the lattices in turn.

    Every graph is drawn as a frame and read as a user's frame would be.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    count : int
        How many graphs.
    """
    names = sorted(LATTICES)
    inputs: list[Float32] = []
    targets: list[Float32] = []
    groups: list[str] = []
    while len(groups) < count:
        name = names[len(groups) % len(names)]
        try:
            _, crystal = read_lattice(draw_lattice(name, rng), rng)
        except SignalError:
            # So few columns in so much noise that nobody sees a lattice.
            continue
        features = measure_features(crystal)
        shown, told = defects.example(
            node_table(crystal, features).astype(np.float32),
            crystal.graph.edges,
            edge_table(crystal).astype(np.float32),
            ~crystal.edge,
        )
        inputs.append(shown)
        targets.append(told)
        groups.append(name)
    return Examples(np.stack(inputs), np.stack(targets), tuple(groups))


def descriptions(rng: np.random.Generator, count: int) -> tuple[Float32, tuple[str, ...]]:
    """Describe frames of crystals with up to 12 % of odd columns; see `describe`.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    count : int
        How many frames.

    Returns
    -------
    numpy.ndarray, tuple of str
        Shape (count, 11), and the lattice of each.
    """
    names = sorted(LATTICES)
    rows: list[Any] = []
    groups: list[str] = []
    while len(groups) < count:
        name = names[len(groups) % len(names)]
        disorder = Disorder(odd=float(rng.uniform(0, _ODD)), missed=0.0, cut=0.4)
        frame = draw_lattice(name, rng, disorder, pixels=int(rng.choice([160, 224, 288])))
        try:
            columns, crystal = read_lattice(frame, rng, disorder)
        except SignalError:
            continue
        rows.append(describe(columns, crystal, measure_features(crystal)))
        groups.append(name)
    return np.stack(rows).astype(np.float32), tuple(groups)


def train(
    *, seed: int = 0, steps: int | None = None, out: Path, report: Say = lambda line: None
) -> Card:
    """Train the weights ``defects``; see `nanopilot.models.shelf.TrainFunction`."""
    need_torch()
    rng = np.random.default_rng(seed)
    schedule, count, frames = defects.SCHEDULE, GRAPHS, FRAMES
    if steps is not None:
        count = min(count, max(len(LATTICES), steps * schedule.batch))
        frames = min(frames, max(_LEAST, steps * schedule.batch))
        schedule = replace(schedule, steps=steps)
    report(f"drawing {count} graphs")
    parts = examples(rng, count).split(HELD_OUT)
    hidden = defects.always_hidden(parts[1].inputs, parts[1].targets)
    held_out = Examples(*hidden, parts[1].groups)
    recipe = Recipe(lambda: GraphAutoencoder(defects.SHAPE), defects.loss, schedule, defects.hide)
    members = []
    for number in range(defects.MEMBERS):
        network, _ = train_network(recipe, (parts[0], held_out), rng, _teller(report, number))
        members.append(network)
    report(f"drawing {frames} frames of crystals")
    rows, _ = descriptions(rng, frames)
    keep = 0.98 if frames >= 100 else 0.9
    familiarity = Familiarity.learn(rows, rng, keep=keep)
    tensors = _tensors(members) | familiarity.tensors()
    losses = [evaluate(one, defects.loss, held_out, 8) for one in members]
    card = _card(seed, count, frames).model_copy(
        update={
            "metrics": {
                "loss_held_out": float(np.mean(losses)),
                "loss_without_neighbours": _blind(held_out),
                "strange_of_own": float((familiarity.strangeness(rows) > 1).mean()),
            },
            "checks": {
                name: (value, abs(0.02 * value) + 1e-3) for name, value in _repeat(members).items()
            },
        }
    )
    return save_weights(out, tensors, card)


def _teller(report: Say, number: int) -> Callable[[int, float, float], None]:
    def tell(epoch: int, learned: float, held: float) -> None:
        report(
            f"network {number + 1}, epoch {epoch + 1}: loss {learned:.4f}, "
            f"on lattices held out {held:.4f}"
        )

    return tell


def _blind(held_out: Examples) -> float:
    """Return the loss of who knows only how each number is spread over all nodes."""
    told = held_out.targets[held_out.targets[..., -1] > 0][:, :-1]
    middle = np.median(told, axis=0)
    spread = np.maximum(np.abs(told - middle).mean(axis=0), np.exp(-4.0))
    return float((np.abs(told - middle) / spread + np.log(2 * spread)).mean())


def check(name: str, folder: Path | None = None) -> dict[str, float]:
    """Return the loss of the shipped networks on a few graphs that are always the same.

    Parameters
    ----------
    name : str
        Of the weights.
    folder : Path, optional
        Where they are, if they do not ship.
    """
    del name
    return _repeat(load_members(folder))


def _repeat(members: Any) -> dict[str, float]:
    few = examples(np.random.default_rng(_CHECKED), _FEW)
    shown, told = defects.always_hidden(few.inputs, few.targets)
    few = Examples(shown, told, few.groups)
    losses = [evaluate(one, defects.loss, few, _FEW) for one in members]
    return {"loss_of_7_graphs": float(np.mean(losses))}


def _tensors(members: Any) -> dict[str, Float32]:
    return {
        f"member {number}.{name}": values.numpy()
        for number, network in enumerate(members)
        for name, values in network.parts.state_dict().items()
    }


def _card(seed: int, graphs: int, frames: int) -> Card:
    return Card(
        name=NAME,
        recipe=RECIPE,
        settings=asdict(defects.SHAPE) | {"members": defects.MEMBERS},
        data=f"{graphs} graphs of drawn frames of {', '.join(sorted(LATTICES))}; held out: "
        f"{', '.join(HELD_OUT)}; familiarity from {frames} frames with {_ODD:.0%} odd columns "
        "at most",
        seed=seed,
        sha256="",
        metrics={},
        limits="Single crystals along a zone axis, 20 columns or more, one or two sublattices. "
        "Compare the losses before it is used on other lattices; the classical score does without "
        "it.",
    )
