"""Trains the networks for tips on scans whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.analysis.tip.certainty import contacts
from nanopilot.analysis.tip.refine import load_refiner
from nanopilot.models.recipes import tip_refiner
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Examples, Network, Recipe, evaluate, train
from nanopilot.models.unet import UNetShape
from nanopilot.models.weights import Card, save_weights
from nanopilot.twins.spm.tip import Tip
from nanopilot.workflows import tip_surfaces
from nanopilot.workflows.tip_scans import KnownScan, TipRange, log_uniform, scan_known
from nanopilot.workflows.tip_state_surfaces import FAMILIES
from nanopilot.workflows.tip_surfaces import Family, mixed

#: Families that stop the training early and are not learned from.
HELD_OUT = ("caps", "hexagonal", "terraces")
#: Tips, radii in pixels, of which a refiner has to know: with sharp ones erosion is enough.
BLUNT = TipRange(radius=(5.0, 150.0))
#: Scans to draw.
COUNT = 4050
#: Seed of the scans on which weights are checked.
_CHECKED = 20_000
Say = Callable[[str], None]


def refiner_pair(
    rng: np.random.Generator, scan: KnownScan
) -> tuple[tip_refiner.Shown, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return what the refiner is shown of a scan, and what it should have answered.

    In a third of the scans the tip is not quite the one that imaged: nobody knows it better.
    """
    shape = scan.shape
    if rng.uniform() < 1 / 3:
        worn = [
            apex.model_copy(update={"radius": apex.radius * log_uniform(rng, 0.7, 1.4)})
            for apex in scan.tip.apexes
        ]
        relief = float(np.ptp(scan.image))
        shape = Tip(apexes=tuple(worn)).raster(1e-9, relief, most=max(scan.shape.shape))
    bound, certain = contacts(scan.image, shape, slack=max(3 * scan.noise, 1e-15))
    shown = tip_refiner.show(scan.image, bound, certain, shape)
    gap = np.maximum(bound - scan.surface, 0.0) / shown.scale
    return shown, np.stack([gap, ~certain]).astype(np.float32)


def draw_family(rng: np.random.Generator, families: Mapping[str, Family], group: str) -> Family:
    """Return a family as it is if it is held out, else mixed with another that is not."""
    if group in HELD_OUT:
        return families[group]
    others = [name for name in sorted(families) if name not in HELD_OUT]
    return mixed(families[group], families[others[int(rng.integers(len(others)))]])


def refiner_examples(
    rng: np.random.Generator, count: int, families: Mapping[str, Family] = FAMILIES
) -> tuple[Examples, dict[str, tuple[float, float]]]:
    """Draw examples, the families in turn, and the range of the features of their images."""
    names = sorted(families)
    groups = tuple(names[number % len(names)] for number in range(count))
    inputs, targets, seen = [], [], []
    for group in groups:
        noise = rng.choice([0.0, rng.uniform(0.0, 0.01)])
        family = draw_family(rng, families, group)
        scan = scan_known(rng, family, BLUNT.draw(rng), noise=noise)
        shown, truth = refiner_pair(rng, scan)
        inputs.append(shown.channels)
        targets.append(truth)
        seen.append(tip_refiner.features(shown))
    known = {key: (min(one[key] for one in seen), max(one[key] for one in seen)) for key in seen[0]}
    return Examples(np.stack(inputs), np.stack(targets), groups), known


def train_plain(
    *, seed: int = 0, steps: int | None = None, out: Path, report: Say = lambda line: None
) -> Card:
    """Train the weights ``tip-refiner``; see `nanopilot.models.shelf.TrainFunction`."""
    return _train("tip-refiner", seed, steps, out, report)


def train_residual(
    *, seed: int = 0, steps: int | None = None, out: Path, report: Say = lambda line: None
) -> Card:
    """Train the weights ``tip-refiner-residual``, whose blocks add to what comes in."""
    return _train("tip-refiner-residual", seed, steps, out, report)


def _train(name: str, seed: int, steps: int | None, out: Path, report: Say) -> Card:
    """Train a refiner and write its weights and card."""
    need_torch()
    # It draws as this module does, and so has to come after it.
    from nanopilot.workflows.known_pictures import known_tensors

    rng = np.random.default_rng(seed)
    count, schedule = COUNT, tip_refiner.SCHEDULE
    if steps is not None:
        # No more scans than the steps can look at, and two of every family at least.
        count = min(count, max(2 * len(FAMILIES), steps * schedule.batch))
        schedule = replace(schedule, steps=steps)
    report(f"drawing {count} scans")
    examples, known = refiner_examples(rng, count)
    parts = examples.split(HELD_OUT)
    shape = UNetShape(**(asdict(tip_refiner.SHAPE) | {"residual": name.endswith("residual")}))
    recipe = Recipe(
        lambda: tip_refiner.Refiner(shape), tip_refiner.loss, schedule, tip_refiner.turn
    )
    network, log = train(
        recipe,
        parts,
        rng,
        lambda epoch, learned, held: report(
            f"epoch {epoch + 1}: loss {learned:.4f}, on families held out {held:.4f}"
        ),
    )
    metrics = {
        "loss_held_out": evaluate(network, tip_refiner.loss, parts[1], 8),
        "epochs": float(len(log)),
    }
    card = _card(name, shape, count, seed).model_copy(
        update={
            "metrics": metrics | calibrate(network, parts[1]),
            "known": known,
            "checks": {key: (value, 0.01 * value) for key, value in _repeat(network).items()},
        }
    )
    tensors = _tensors(network) | known_tensors(name, seed, steps, report)
    return save_weights(out, tensors, card)


def _card(name: str, shape: UNetShape, count: int, seed: int) -> Card:
    return Card(
        name=name,
        recipe="tip_refiner",
        settings=asdict(shape),
        data=f"{count} scans of {', '.join(sorted(FAMILIES))}; held out: {', '.join(HELD_OUT)}; "
        f"tips: {BLUNT}",
        seed=seed,
        sha256="",
        metrics={},
        limits="Heights of one scan, no steps of the scanner in it; noise up to 1 % of the range.",
    )


def check(name: str, folder: Path | None = None) -> dict[str, float]:
    """Return the loss of a shipped refiner on a few scans that are always the same.

    Parameters
    ----------
    name : str
        Of the weights.
    folder : Path, optional
        Where they are, if they do not ship.
    """
    return _repeat(load_refiner(name, folder).network)


def _repeat(network: Network) -> dict[str, float]:
    rng = np.random.default_rng(_CHECKED)
    examples, _ = refiner_examples(rng, 28, tip_surfaces.FAMILIES)
    return {"loss_of_28_scans": evaluate(network, tip_refiner.loss, examples, 7)}


def _tensors(network: Network) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    return {name: one.numpy() for name, one in network.parts.state_dict().items()}


def calibrate(network: Network, held_out: Examples, window: int = 40) -> dict[str, float]:
    """Return what makes the network's doubts right on groups that were held out.

    ``error_scale``: what expected errors have to be multiplied with, a median over images.
    ``help_limit``: images are sorted by expected error over distance below the bound; from
    where on the middle one of `window` neighbours gains less than 5 % on erosion, the network
    does not help.
    """
    torch = need_torch()
    doubts, scales, gains = [], [], []
    for inputs, truth in zip(held_out.inputs, held_out.targets, strict=True):
        with torch.no_grad():
            answer = network(torch.from_numpy(inputs[None])).numpy()[0]
        down, error = (one * truth[1] for one in answer[:2])
        gap = truth[0] * truth[1]
        if gap.any():
            doubts.append(float(error.sum() / down.sum()))
            scales.append(float(np.abs(down - gap).sum() / error.sum()))
            gains.append(float(np.sqrt(np.mean((down - gap) ** 2) / np.mean(gap**2))))
    scale, order = float(np.median(scales)), np.argsort(doubts)
    window = min(window, len(gains))
    near = np.lib.stride_tricks.sliding_window_view(np.array(gains)[order], window)
    useless = np.flatnonzero(np.median(near, axis=1) > 0.95)
    last = int(useless[0]) + window // 2 if useless.size else len(doubts) - 1
    return {"error_scale": scale, "help_limit": scale * doubts[int(order[last])]}
