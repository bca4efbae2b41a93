"""Trains the networks that add thermal diffuse scattering."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.models.recipes import tds as recipe
from nanopilot.models.recipes.tds import Float32, Member, TdsShape
from nanopilot.models.tds.add import AddThermalScattering, Condition, load_tds
from nanopilot.models.tds.coherent import COARSE
from nanopilot.models.tds.shown import FEATURES, show
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Examples, Network, Recipe
from nanopilot.models.training import train as run_training
from nanopilot.models.weights import Card, save_weights
from nanopilot.workflows.tds_crystals import (
    CONVERGENCE,
    RMS,
    THICKNESS,
    TILT,
    TRAINING_FAMILIES,
    TRAINING_NUMBERS,
    VOLTAGE,
    Crystal,
    draw_crystal,
    held_out_thickness,
)
from nanopilot.workflows.tds_pairs import Pair, Plan, make_pairs

#: Crystals to draw, what of each, and how many thicknesses.
CRYSTALS, PLAN, DEPTHS = 120, Plan(places=3, phonons=6, variants=8), 6
#: Every so manyth crystal stops the training early and is not learned from.
_EVERY = 10
#: Of data; and of the crystals on which weights are checked.
_DATA, _CHECKED = 5_000, 30_000
#: Phonons of a simulation that the networks stand for.
_PHONONS = 64
_LIMITS = (
    "Crystals of independent atoms (Einstein) in a coherent beam, focused near the entrance; "
    "elements from boron to lead but those with Z = 3, 8, 13, ... were seen; no defects, no "
    "amorphous layers, no inelastic losses; what goes beyond 200 mrad is not told."
)
Say = Callable[[str], None]


def draw_depths(rng: np.random.Generator, crystal: Crystal, count: int) -> list[float]:
    """Return depths (m) of whole slices, even in the logarithm, none of those held out."""
    found: list[float] = []
    step = crystal.slice_thickness
    while len(found) < count:
        drawn = math.exp(rng.uniform(math.log(THICKNESS[0]), math.log(crystal.thickness)))
        depth = max(1, round(drawn / step)) * step
        if not held_out_thickness(depth) and 0.5e-9 <= depth <= crystal.thickness:
            found.append(depth)
    return sorted(found)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Pairs of a few crystals, as networks are shown them.

    Parameters
    ----------
    examples : Examples
        Groups are crystals.
    halves : numpy.ndarray
        Both halves of what they are to say, shape (n, 2, 64, 64).
    """

    examples: Examples
    halves: Float32


def draw_examples(
    seed: int, count: int, plan: Plan = PLAN, report: Say = lambda line: None
) -> Drawn:
    """Draw crystals and calculate pairs of each.

    Parameters
    ----------
    seed : int
        Crystal number n is drawn from this and n.
    count : int
        Crystals.
    plan : Plan
        Of each.
    report : callable
        Told now and then how far it is.
    """
    inputs, halves, groups = [], [], []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        crystal = draw_crystal(rng)
        for pair in make_pairs(crystal, draw_depths(rng, crystal, DEPTHS), plan, rng):
            inputs.append(planes_of(pair))
            halves.append(pair.halves)
            groups.append(str(number))
        if number % 20 == 19:
            report(f"{number + 1} of {count} crystals calculated")
    both = np.stack(halves).astype(np.float32)
    return Drawn(Examples(np.stack(inputs), both.mean(axis=1)[:, None], tuple(groups)), both)


def planes_of(pair: Pair) -> Float32:
    """Return what a network is shown of a pair."""
    told = pair.parameters
    optics = (told.voltage, told.convergence_angle, math.hypot(*told.tilt))
    (shown,) = show(pair.elastic[None], pair.wave, optics)
    return recipe.pack(shown)


def train(
    *, seed: int = 0, steps: int | None = None, out: Path, report: Say = lambda line: None
) -> Card:
    """Train the weights ``tds``; see `nanopilot.models.shelf.TrainFunction`."""
    need_torch()
    count = CRYSTALS if steps is None else min(CRYSTALS, max(_EVERY, steps))
    return fit(seed, draw_examples(_DATA + seed, count, PLAN, report), steps, out, report)


def fit(seed: int, drawn: Drawn, steps: int | None, out: Path, report: Say) -> Card:
    """Train on what has been drawn, write weights and card, return the card."""
    shape, schedule = TdsShape(), recipe.SCHEDULE
    if steps is not None:
        schedule = replace(schedule, steps=max(1, steps // shape.members))
    rng = np.random.default_rng(seed)
    held_out = held_out_groups(drawn.examples.groups)
    learned, stopped = drawn.examples.split(held_out)
    members: list[Any] = []
    for number in range(shape.members):
        how = Recipe(lambda: _member(shape, learned), recipe.loss, schedule, recipe.turn)
        network, _ = run_training(how, (learned, stopped), rng, _told(report, number))
        members.append(network)
    rows = np.isin(np.asarray(drawn.examples.groups), held_out)
    card = _card(seed, shape, learned, len(set(drawn.examples.groups)))
    card = calibrate(members, card, (stopped, drawn.halves[rows]))
    checks = {key: (value, 0.02 * value) for key, value in
              repeat(AddThermalScattering(tuple(members), card)).items()}  # fmt: skip
    tensors = {f"{number}.{name}": one.numpy() for number, member in enumerate(members)
               for name, one in member.parts.state_dict().items()}  # fmt: skip
    return save_weights(out, tensors, card.model_copy(update={"checks": checks}))


def held_out_groups(groups: Sequence[str]) -> tuple[str, ...]:
    """Return the crystals that stop the training, whole ones."""
    return tuple(sorted(one for one in set(groups) if int(one) % _EVERY == _EVERY - 1))


def _member(shape: TdsShape, learned: Examples) -> Network:
    torch = need_torch()
    member: Any = Member(shape)
    numbers = learned.inputs[:, -1, 0, : len(FEATURES)]
    member.parts.centre.copy_(torch.from_numpy(numbers.mean(axis=0)))
    member.parts.spread.copy_(torch.from_numpy(numbers.std(axis=0) + np.float32(1e-3)))
    found: Network = member
    return found


def _told(report: Say, number: int) -> Callable[[int, float, float], None]:
    def told(epoch: int, learned: float, held: float) -> None:
        report(
            f"network {number + 1}, epoch {epoch + 1}: loss {learned:.4f}, "
            f"on crystals held out {held:.4f}"
        )

    return told


def _card(seed: int, shape: TdsShape, learned: Examples, count: int) -> Card:
    numbers = learned.inputs[:, -1, 0, : len(FEATURES)]
    seen = {name: (float(column.min()), float(column.max()))
            for name, column in zip(FEATURES, numbers.T, strict=True)}  # fmt: skip
    known = {
        "thickness": THICKNESS,
        "voltage": VOLTAGE,
        "convergence_angle": CONVERGENCE,
        "tilt": (0.0, math.sqrt(2) * TILT),
        "rms": RMS,
        "number": (float(min(TRAINING_NUMBERS)), float(max(TRAINING_NUMBERS))),
        "angle_per_pixel": (2e-4, COARSE.per_pixel),
    }
    inside = recipe.rings().T.astype(np.float32)
    still, true = (one.reshape(len(one), -1) @ inside
                   for one in (learned.inputs[:, 0], learned.targets[:, 0]))  # fmt: skip
    # What makes the relative error least.
    part = still / (true + np.float32(1e-8))
    factors = part.sum(axis=0) / np.maximum((part**2).sum(axis=0), 1e-12)
    return Card(
        name="tds",
        recipe="tds",
        settings=asdict(shape)
        | {"edges": list(recipe.EDGES), "factors_of_rings": [float(one) for one in factors]},
        data=f"{count} crystals, {PLAN.places} places and up to {DEPTHS} thicknesses of each, "
        f"{2 * PLAN.phonons} frozen phonons: {', '.join(TRAINING_FAMILIES)}; every {_EVERY}th held "
        "out; no element with Z = 5 n + 3, no fluorite, nothing from 6.5 to 8 and 13 to 15 nm",
        seed=seed,
        sha256="",
        metrics={},
        limits=_LIMITS,
        known=known | seen,
    )


def calibrate(members: Sequence[Network], card: Card, held: tuple[Examples, Float32]) -> Card:
    """Return the card with metrics, errors of rings, and how far networks may differ.

    Parameters
    ----------
    members : sequence of Network
        Trained.
    card : Card
        So far.
    held : (Examples, numpy.ndarray)
        Crystals held out, and both halves of what is true, shape (n, 2, 64, 64).

    Returns
    -------
    Card
        Its metrics: ``r`` and ``annular``, of the mean of the networks; ``r_estimate`` and
        ``annular_estimate``, of what they start from; ``r_elastic`` and ``annular_elastic``.
    """
    torch = need_torch()
    examples, halves = held
    with torch.no_grad():
        every = np.stack([
            np.concatenate([one(torch.from_numpy(part))[:, 0].numpy()
                            for part in np.array_split(examples.inputs, 1 + len(halves) // 32)])
            for one in members
        ])  # fmt: skip
    mean, true = every.mean(axis=0), examples.targets[:, 0]
    inside = recipe.rings().T
    rows = [one.reshape(len(one), -1) @ inside for one in (mean, true, halves[:, 0], halves[:, 1])]
    counts = rows[1] > 1e-6
    off, noise = (np.where(counts, np.log((a + 1e-9) / (b + 1e-9)), np.nan)
                  for a, b in ((rows[0], rows[1]), (rows[2], rows[3])))  # fmt: skip
    # Halves differ by twice the error of their mean, which is no fault of the networks.
    square = np.nanmean(off**2, axis=0) - np.nanmean(noise**2, axis=0) / 4
    error = np.sqrt(np.maximum(square, 0.01**2))
    floor = _r(halves[:, 0], halves[:, 1]) * math.sqrt(2 * PLAN.phonons / _PHONONS)
    known = {"disagreement": (0.0, float(np.median(floor)))}
    patterns = {"": mean, "_estimate": examples.inputs[:, 1:3].sum(axis=1),
                "_elastic": examples.inputs[:, 0]}  # fmt: skip
    metrics = {f"r{name}": float(_r(one, true).mean()) for name, one in patterns.items()}
    metrics |= {f"annular{name}": _annular(one, true) for name, one in patterns.items()}
    settings = card.settings | {"error_of_rings": [float(one) for one in error]}
    return card.model_copy(
        update={"metrics": metrics, "settings": settings, "known": card.known | known}
    )


def _r(found: Float32, true: Float32) -> Float32:
    seen = recipe.disc().astype(np.float32)
    roots = np.sqrt(true) * seen
    off = np.abs(np.sqrt(np.maximum(found, 0)) * seen - roots)
    return np.asarray(off.sum(axis=(1, 2)) / roots.sum(axis=(1, 2)))


def _annular(found: Float32, true: Float32) -> float:
    angle = recipe.angle_of_pixels()
    high = (angle >= 60e-3) & (angle < 200e-3)
    return float(np.sqrt(np.mean((found[:, high].sum(1) / true[:, high].sum(1) - 1) ** 2)))


def repeat(add: AddThermalScattering) -> dict[str, float]:
    """Return what the networks say of one crystal that is always the same.

    Parameters
    ----------
    add : AddThermalScattering
        What is asked.
    """
    rng = np.random.default_rng(_CHECKED)
    crystal = draw_crystal(rng, ("perovskite",), TRAINING_NUMBERS, (3e-9, 3e-9))
    pairs = make_pairs(crystal, [3e-9], Plan(places=2, phonons=1, variants=1), rng)
    angle = recipe.angle_of_pixels()
    found = {}
    for number, pair in enumerate(pairs):
        given = Condition(crystal.lens, crystal.tilt, pair.wave)
        (pattern,) = add(pair.elastic[None], given, refuse=False).patterns
        found[f"high_angles_{number}"] = float(pattern[(angle >= 60e-3) & (angle < 0.2)].sum())
    return found


def check(name: str, folder: Path | None = None) -> dict[str, float]:
    """Return what `repeat` finds for shipped weights.

    Parameters
    ----------
    name : str
        Of the weights.
    folder : Path, optional
        Where they are, if they do not ship.
    """
    return repeat(load_tds(name, folder))
