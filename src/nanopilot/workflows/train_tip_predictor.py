"""Trains the networks that predict the tip from one scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from nanopilot.analysis.tip.blind import estimate_noise
from nanopilot.analysis.tip.predict import TipPredictor, load_predictor
from nanopilot.models.recipes import tip_predictor as recipe
from nanopilot.models.recipes.tip_predictor import Float32, Member, PredictorShape
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Examples, Recipe
from nanopilot.models.training import train as run_training
from nanopilot.models.weights import Card, save_weights
from nanopilot.workflows.gaussian_tips import draw_tip, scan_with
from nanopilot.workflows.tip_surfaces import FAMILIES, Family, mixed

#: Families that stop the training early and are not learned from.
HELD_OUT = ("caps", "hexagonal", "terraces")
#: Scans to draw.
COUNT = 6_000
#: Seed of the scans on which weights are checked.
_CHECKED = 20_000
_LIMITS = (
    "Tips of one or two Gaussians as tall as the relief, widths of 1 to 19 pixels, the second end "
    "within 20 pixels; scans of 64 pixels and more with noise up to 1 % of the relief, no steps of "
    "the scanner in them. The tip is not known sideways, nor where the scan did not touch it. It "
    "comes out rounder than it is: on which side a second end is, it does not tell."
)
Say = Callable[[str], None]


def draw_examples(
    rng: np.random.Generator, count: int, report: Say = lambda line: None
) -> tuple[Examples, dict[str, tuple[float, float]]]:
    """Draw scans, the families in turn; the relief of every second one is known.

    Parameters
    ----------
    rng : numpy.random.Generator
        Everything.
    count : int
        Scans.
    report : callable
        Told now and then how far it is.

    Returns
    -------
    Examples, dict of str to (float, float)
        And the range of the features of the scans.
    """
    names = sorted(FAMILIES)
    groups = tuple(names[number % len(names)] for number in range(count))
    inputs, targets, seen = [], [], []
    for number, group in enumerate(groups):
        image, _, tip = scan_with(rng, _family(rng, FAMILIES, group), draw_tip(rng))
        relief = 1.0 if rng.uniform() < 0.5 else None
        shown = recipe.show(image, estimate_noise(image), relief)
        inputs.append(shown.channels)
        flat = np.clip(tip, 0.0, 1.0).ravel()
        targets.append(np.append(flat, shown.scale).astype(np.float32))
        seen.append(recipe.features(shown))
        if number % 1000 == 999:
            report(f"{number + 1} of {count} scans drawn")
    known = {key: (min(one[key] for one in seen), max(one[key] for one in seen)) for key in seen[0]}
    return Examples(np.stack(inputs), np.stack(targets), groups), known


def _family(rng: np.random.Generator, families: Mapping[str, Family], group: str) -> Family:
    """Return a family as it is if it is held out, else mixed with another that is not."""
    if group in HELD_OUT:
        return families[group]
    others = [name for name in sorted(families) if name not in HELD_OUT]
    return mixed(families[group], families[others[int(rng.integers(len(others)))]])


def modes(tips: Float32, count: int) -> tuple[Float32, Float32]:
    """Return the mean tip, and the shapes in which tips differ most, each times how much.

    Principal components, of the tips as they are, turned and mirrored.

    Parameters
    ----------
    tips : numpy.ndarray
        Shape (n, SIZE * SIZE), in units of the relief.
    count : int
        Of shapes.
    """
    square = tips[:2000].reshape(-1, recipe.SIZE, recipe.SIZE)
    ways = [
        recipe.turned(square, quarters, flip) for quarters in range(4) for flip in (False, True)
    ]
    # The mean of all, of an eighth of them each way: as many tips as there were.
    mean = np.mean([way.mean(0) for way in ways], axis=0).ravel()
    some = np.concatenate([way[number::8] for number, way in enumerate(ways)])
    off = some.reshape(len(some), -1) - mean
    _, values, shapes = np.linalg.svd(off, full_matrices=False)
    found = shapes[:count] * (values[:count, None] / np.sqrt(len(off)))
    return mean.astype(np.float32), found.astype(np.float32)


def common(shape: PredictorShape, learned: Examples) -> dict[str, Float32]:
    """Return what all members know: what scans and tips are like on average.

    Parameters
    ----------
    shape : PredictorShape
        What members are built of.
    learned : Examples
        What they learn from.
    """
    mean, basis = modes(learned.targets[:, :-1], shape.modes)
    some, around = learned.inputs[::5], (0, 2, 3)
    return {
        "mean": mean,
        "basis": np.pad(basis, ((0, shape.modes - len(basis)), (0, 0))),
        "centre": some.mean(around)[:, None, None],
        "spread": some.std(around)[:, None, None] + np.float32(1e-3),
    }


def _member(shape: PredictorShape, kept: dict[str, Float32]) -> Member:
    torch = need_torch()
    member = Member(shape)
    for name, values in kept.items():
        getattr(member.parts, name).copy_(torch.from_numpy(np.ascontiguousarray(values)))
    return member


def train(
    *, seed: int = 0, steps: int | None = None, out: Path, report: Say = lambda line: None
) -> Card:
    """Train the weights ``tip-predictor``; see `nanopilot.models.shelf.TrainFunction`."""
    need_torch()
    # It is for all networks for tips, and so has to come after them.
    from nanopilot.workflows.known_pictures import known_tensors

    rng = np.random.default_rng(seed)
    shape, schedule, count = PredictorShape(), recipe.SCHEDULE, COUNT
    if steps is not None:
        each = max(1, steps // shape.members)
        # No more scans than the steps can look at, and two of every family at least.
        count = min(count, max(2 * len(FAMILIES), each * schedule.batch))
        schedule = replace(schedule, steps=each)
    examples, known = draw_examples(rng, count, report)
    learned, held_out = examples.split(HELD_OUT)
    kept, members = common(shape, learned), []
    for number in range(shape.members):
        how = Recipe(lambda: _member(shape, kept), recipe.loss, schedule, recipe.turn)
        network, _ = run_training(how, (learned, held_out), rng, _told(report, number))
        members.append(network)
    found = TipPredictor(tuple(members), _card(seed, count, shape, known))
    metrics, limit = calibrate(found, held_out)
    card = found.card.model_copy(update={"metrics": metrics, "known": known | limit})
    found = replace(found, card=card)
    checks = {key: (value, 0.01 * value) for key, value in repeat(found).items()}
    tensors = {
        f"{number}.{name}": one.numpy()
        for number, member in enumerate(members)
        for name, one in member.parts.state_dict().items()
        if name not in kept
    }
    tensors |= kept | known_tensors("tip-predictor", seed, steps, report)
    card = card.model_copy(update={"checks": checks})
    return save_weights(out, tensors, card)


def _told(report: Say, number: int) -> Callable[[int, float, float], None]:
    def told(epoch: int, learned: float, held: float) -> None:
        report(
            f"network {number + 1}, epoch {epoch + 1}: loss {learned:.4f}, "
            f"on families held out {held:.4f}"
        )

    return told


def _card(
    seed: int, count: int, shape: PredictorShape, known: dict[str, tuple[float, float]]
) -> Card:
    return Card(
        name="tip-predictor",
        recipe="tip_predictor",
        settings=asdict(shape),
        data=f"{count} scans of 128 x 128 pixels of {', '.join(sorted(FAMILIES))}; held out: "
        f"{', '.join(HELD_OUT)}; the relief is known of half of them",
        seed=seed,
        sha256="",
        metrics={},
        limits=_LIMITS,
        known=known,
    )


def calibrate(
    predictor: TipPredictor, held_out: Examples
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return metrics on held-out groups, and the most that members may differ.

    Parameters
    ----------
    predictor : TipPredictor
        Its members are trained.
    held_out : Examples
        What they did not learn from.

    Returns
    -------
    dict of str to float
        ``error_scale``: root-mean-square error over the spread of the members, a median.
        ``median_mse`` and ``mean_mse``: in units of the squared relief, heights up to 1.
        ``mean_tip_mse``: the median of the mean tip's.
    dict of str to (float, float)
        ``spread``: of 99 of 100 scans, in units of the scale shown.
    """
    errors, spreads, constant = [], [], []
    mean = predictor.mean_tip()
    for inputs, target in zip(held_out.inputs, held_out.targets, strict=True):
        true, scale = target[:-1].reshape(recipe.SIZE, recipe.SIZE), float(target[-1])
        tip, spread, _ = predictor.answer(inputs)
        errors.append(float(np.mean((np.clip(tip * scale, 0.0, 1.0) - true) ** 2)))
        spreads.append(float(np.sqrt(np.mean(spread**2))) * scale)
        constant.append(float(np.mean((mean - true) ** 2)))
    mse, told = np.array(errors), np.array(spreads)
    metrics = {
        "median_mse": float(np.median(mse)),
        "mean_mse": float(np.mean(mse)),
        "mean_tip_mse": float(np.median(constant)),
        "error_scale": float(np.median(np.sqrt(mse) / np.maximum(told, 1e-6))),
    }
    return metrics, {"spread": (0.0, float(np.quantile(told, 0.99)))}


def repeat(predictor: TipPredictor) -> dict[str, float]:
    """Return the root-mean-square error on a few scans that are always the same.

    Parameters
    ----------
    predictor : TipPredictor
        What is asked.
    """
    examples, _ = draw_examples(np.random.default_rng(_CHECKED), 2 * len(FAMILIES))
    off = []
    for inputs, target in zip(examples.inputs, examples.targets, strict=True):
        tip, _, _ = predictor.answer(inputs)
        off.append(np.clip(tip.ravel() * float(target[-1]), 0.0, 1.0) - target[:-1])
    return {"error_of_28_scans": float(np.sqrt(np.mean(np.square(off))))}


def check(name: str, folder: Path | None = None) -> dict[str, float]:
    """Return what `repeat` finds for shipped weights.

    Parameters
    ----------
    name : str
        Of the weights.
    folder : Path, optional
        Where they are, if they do not ship.
    """
    return repeat(load_predictor(name, folder))
