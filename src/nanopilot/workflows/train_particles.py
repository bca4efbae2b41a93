"""Trains the particle network and fits the probabilities that go with it, on drawn frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.analysis.particles.learned import judge_tensors, load_learned, seen
from nanopilot.analysis.particles.responses import pyramid
from nanopilot.models.recipes import particles as recipe
from nanopilot.models.recipes.particles import ParticleNet
from nanopilot.models.splits import group_split
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Examples, Recipe, evaluate
from nanopilot.models.training import train as train_network
from nanopilot.models.weights import Card, save_weights
from nanopilot.workflows.known_pictures import learn_known
from nanopilot.workflows.particle_frames import Frame, draw_frame
from nanopilot.workflows.particle_judge import Judged, draw_judged, fit_judge

Array = np.ndarray[Any, np.dtype[Any]]
Say = Callable[[str], None]
#: Frames to draw for the network, and for the probabilities and what is known.
COUNT, JUDGED, KNOWN = 500, 300, 300
#: Levels of a frame that a crop is cut from.
_LEVELS = 4
#: Part of the groups (kind of background and of particles) held out.
_SHARE = 0.25
#: Seeds of frames that nothing is learned from, and how many they are.
_CHECKED, _FEW = 3_000_000, 12


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """What the network is shown of a level, and what it should say."""

    shown: Array
    target: Array


def crops(frame: Frame, rng: np.random.Generator) -> list[_Cut]:
    """Return one crop from each level of a frame, most of them with a particle of its octave.

    Parameters
    ----------
    frame : Frame
        With its truth.
    rng : numpy.random.Generator
        Where to cut.
    """
    found = []
    size = recipe.CROP
    for level, image in enumerate(pyramid(frame.image, _LEVELS - 1)):
        place, radius = (frame.place + 0.5) / 2**level - 0.5, frame.radius / 2**level
        own = np.flatnonzero((radius >= recipe.OWN[0]) & (radius <= recipe.OWN[1]))
        if not len(own) and rng.random() < 0.4:
            continue
        shown = recipe.show(image)
        short = [max(0, size - n) for n in shown.shape]
        shown = np.pad(shown, [(0, one) for one in short], mode="reflect")
        room = [n - size for n in shown.shape]
        first = np.array([int(rng.integers(n + 1)) for n in room])
        if len(own):
            middle = place[own[int(rng.integers(len(own)))]]
            first = np.rint(middle - rng.uniform(0.2, 0.8, 2) * size).astype(int)
            first = np.clip(first, 0, room)
        part = shown[first[0] : first[0] + size, first[1] : first[1] + size]
        found.append(_Cut(part[None], recipe.targets(place - first, radius, size)))
    return found


def examples(rng: np.random.Generator, count: int) -> Examples:
    """Draw frames and return the crops of all of them, in groups by kind."""
    shown, wanted, groups = [], [], []
    for _ in range(count):
        frame = draw_frame(rng)
        for one in crops(frame, rng):
            shown.append(one.shown)
            wanted.append(one.target)
            groups.append(frame.group)
    return Examples(np.stack(shown).astype(np.float32), np.stack(wanted), tuple(groups))


def judged_with(network: ParticleNet, count: int, first: int = 0) -> list[Judged]:
    """Draw frames and return their candidates with what the network says of them."""
    found = []
    for number in range(first, first + count):
        frame, one = draw_judged(number)
        more = replace(one.found, features=seen(network, frame.image, one.found))
        found.append(Judged(more, one.true))
    return found


def train(
    *, seed: int = 0, steps: int | None = None, out: Path, report: Say = lambda line: None
) -> Card:
    """Train the weights ``particles``; see `nanopilot.models.shelf.TrainFunction`."""
    torch = need_torch()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    schedule, count, judged, known = recipe.SCHEDULE, COUNT, JUDGED, KNOWN
    if steps is not None:
        schedule = replace(schedule, steps=steps)
        count = min(count, max(60, steps * schedule.batch))
        judged, known = min(judged, max(20, steps)), min(known, max(60, steps))
    report(f"drawing {count} frames")
    drawn = examples(rng, count)
    held = group_split(drawn.groups, rng, _SHARE)
    parts = drawn.split(held)
    network, log = train_network(
        Recipe(recipe.ParticleNet, recipe.loss, schedule, recipe.turn),
        parts,
        rng,
        lambda epoch, learned, out_loss: report(
            f"epoch {epoch + 1}: loss {learned:.4f}, on kinds held out {out_loss:.4f}"
        ),
    )
    assert isinstance(network, ParticleNet)  # noqa: S101 - it is what was built
    metrics = {
        "loss_held_out": evaluate(network, recipe.loss, parts[1], schedule.batch),
        "epochs": float(len(log)),
    }
    report(f"judging {judged} frames")
    judge = fit_judge(judged_with(network, judged), seed, report)
    # From frames that neither the network nor the probabilities were taught on.
    familiar = learn_known("particles", rng, known, report)
    tensors = {name: one.numpy() for name, one in network.parts.state_dict().items()}
    tensors |= judge_tensors(judge) | familiar.tensors()
    card = _card(count, seed, held, metrics, _repeat(network))
    return save_weights(out, tensors, card)


def _card(
    count: int, seed: int, held: tuple[str, ...], metrics: dict[str, float], found: dict[str, float]
) -> Card:
    return Card(
        name="particles",
        recipe="particles",
        settings=asdict(recipe.SHAPE),
        data=f"{count} drawn frames of solids and loose outlines, radii 6 to 90 pixels, on "
        f"octaves, cells, strokes, grain and carbon; held out: {', '.join(held)}",
        seed=seed,
        sha256="",
        metrics=metrics,
        limits="Particles that do not overlap, no longer than twice their width.",
        checks={key: (value, 0.01 * abs(value) + 1e-4) for key, value in found.items()},
    )


def check(name: str, folder: Path | None = None) -> dict[str, float]:
    """Return the loss of the shipped network on a few frames that are always the same.

    Parameters
    ----------
    name : str
        Of the weights.
    folder : Path, optional
        Where they are, if they do not ship.
    """
    return _repeat(load_learned(name, folder).network)


def _repeat(network: ParticleNet) -> dict[str, float]:
    drawn = examples(np.random.default_rng(_CHECKED), _FEW)
    return {f"loss_of_{_FEW}_frames": evaluate(network, recipe.loss, drawn, 8)}
