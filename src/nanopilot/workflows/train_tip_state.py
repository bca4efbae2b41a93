"""Trains the network that tells sharp, blunt and double tips apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from nanopilot.analysis.tip.certainty import contacts
from nanopilot.analysis.tip.kernels import BoolArray, FloatArray
from nanopilot.core.errors import OutOfRange
from nanopilot.models.recipes import tip_state
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Examples, Recipe, Schedule
from nanopilot.models.training import train as run_training
from nanopilot.models.weights import Card, save_weights
from nanopilot.workflows.tip_scans import MARGIN, EndRange, TipPicture, log_uniform, tip_picture
from nanopilot.workflows.tip_state_surfaces import FAMILIES, warped
from nanopilot.workflows.tip_surfaces import Family, mixed

#: Families that stop the training early and are not learned from.
HELD_OUT = ("caps", "crystals", "fibres", "plates", "quasi", "terraces", "vacancies")
#: Wider than a user's tips: what is learned at the border of a range is learned badly.
ENDS = EndRange(width=(2.2, 13.0), aspect=(1.0, 3.0), half_angle=(8.0, 30.0), apart=(1.8, 5.0))
#: A second end that touched less than this share of the pixels is not asked for.
_SEEN = 0.002
#: Scans that the shipped weights learned from, held-out ones included.
COUNT = 8000


def draw_family(rng: np.random.Generator, families: Mapping[str, Family], group: str) -> Family:
    """Return a family as it is if it is held out, else perhaps mixed with another, or warped."""
    if group in HELD_OUT:
        return families[group]
    others = [name for name in sorted(families) if name not in HELD_OUT]
    found = families[group]
    if rng.uniform() < 0.6:
        found = mixed(found, families[others[int(rng.integers(len(others)))]])
    return warped(found) if rng.uniform() < 0.25 else found


def draw_pair(rng: np.random.Generator, family: Family) -> tuple[TipPicture, TipPicture]:
    """Image one surface with a tip with one end, and with another with two.

    The same surface twice, so that it tells nothing. A second end that touched next to nothing is
    drawn again, and if no tip of ten shows one, so is the surface.
    """
    while True:
        raw = family(rng, tip_state.PIXELS + 2 * MARGIN)
        relief, radius = rng.uniform(15e-9, 60e-9), log_uniform(rng, 5e-9, 30e-9)
        single = tip_picture(raw, relief, *ENDS.draw(rng, radius, relief, False))
        for _ in range(10):
            double = tip_picture(raw, relief, *ENDS.draw(rng, radius, relief, True))
            if double.second > _SEEN:
                return single, double


def certain_share(picture: TipPicture) -> float:
    """Return the share of pixels where a scan without noise proves the surface, its tip known."""
    return float(contacts(picture.image, picture.shape, 0.0)[1].mean())


def draw_examples(
    rng: np.random.Generator,
    count: int,
    families: Mapping[str, Family] = FAMILIES,
    report: Callable[[str], None] = lambda line: None,
) -> Examples:
    """Draw scans of single and double tips in turn, the families in turn too.

    Noise is white, of up to 1.2 % of the relief, or none.

    Parameters
    ----------
    rng : numpy.random.Generator
        Everything.
    count : int
        Scans.
    families : mapping
        Surfaces by name.
    report : callable
        Told now and then how far it is.
    """
    names = sorted(families)
    inputs, targets, groups = [], [], []
    for number in range(-(-count // 2)):
        group = names[number % len(names)]
        pair = draw_pair(rng, draw_family(rng, families, group))
        for picture in pair:
            noise = float(np.ptp(picture.surface)) * rng.choice([0.0, rng.uniform(0.0, 0.012)])
            scan = picture.image + noise * rng.normal(size=picture.image.shape)
            inputs.append(tip_state.show(scan))
            targets.append(_target(picture))
        groups += [group, group]
        if number % 250 == 249:
            report(f"{2 * number + 2} of {count} scans drawn")
    return Examples(np.stack(inputs)[:count], np.stack(targets)[:count], tuple(groups[:count]))


def _target(picture: TipPicture) -> tip_state.Float32:
    if len(picture.tip.apexes) == 1:
        return tip_state.target(None, certain_share(picture) < tip_state.SHARP)
    x, y = picture.tip.apexes[1].offset
    return tip_state.target((y / picture.pitch, x / picture.pitch), False)


def train(
    *,
    seed: int = 0,
    steps: int | None = None,
    out: Path,
    report: Callable[[str], None] = lambda line: None,
) -> Card:
    """Draw scans, train the network, calibrate it, and write its weights and card.

    Parameters
    ----------
    seed : int
        Of everything.
    steps : int, optional
        Batches to learn from at most; fewer scans are drawn too. None: as shipped.
    out : Path
        Folder of the weights.
    report : callable
        Told how it goes, line by line.

    Returns
    -------
    Card
        Its metrics are those on families that were held out; see `measure`.

    Raises
    ------
    MissingExtra
        PyTorch or safetensors is not installed.
    """
    need_torch()
    # It draws as this module does, and so has to come after it.
    from nanopilot.workflows.known_pictures import known_tensors

    # Drawn apart, so that scans once drawn serve for other networks too.
    drawn, rng = (np.random.default_rng([seed, part]) for part in range(2))
    schedule, count = _plan(steps)
    examples = draw_examples(drawn, count, report=report)
    parts = examples.split(HELD_OUT)
    network, log = run_training(
        Recipe(tip_state.TipStateNet, tip_state.loss, schedule, tip_state.turn),
        parts,
        rng,
        lambda epoch, *losses: report(_line(epoch, *losses)),
    )
    assert isinstance(network, tip_state.TipStateNet)  # noqa: S101
    kept, metrics = calibrate(network, parts)
    card = Card(
        name="tip-state",
        recipe="tip_state",
        settings={},
        data=f"{count} scans of {', '.join(sorted(FAMILIES))}; held out: {', '.join(HELD_OUT)}; "
        f"tips: {ENDS}",
        seed=seed,
        sha256="",
        metrics=metrics | {"epochs": float(len(log))},
        limits="One scan without steps of the scanner; noise up to 1.2 % of the range; ends from 2 "
        f"to 13 pixels wide, a second one at most {tip_state.REACH} pixels away.",
    )
    tensors = {name: one.numpy() for name, one in network.parts.state_dict().items()}
    tensors |= kept | known_tensors("tip-state", seed, steps, report)
    return save_weights(out, tensors, card)


def _line(epoch: int, learned: float, held: float) -> str:
    return f"epoch {epoch + 1}: loss {learned:.4f}, on families held out {held:.4f}"


def _plan(steps: int | None) -> tuple[Schedule, int]:
    """Return how to learn and from how many scans."""
    schedule = tip_state.SCHEDULE
    if steps is None:
        return schedule, COUNT
    if steps < 1:
        raise OutOfRange(f"`steps` is {steps}; it has to be 1 or more.")
    whole = schedule.epochs * COUNT // schedule.batch
    # All families once at least, and all of them in both groups.
    count = max(4 * len(FAMILIES), min(COUNT, COUNT * steps // whole))
    epochs = max(1, min(schedule.epochs, steps * schedule.batch // count))
    return replace(schedule, epochs=epochs), count


def calibrate(
    network: tip_state.TipStateNet, parts: tuple[Examples, Examples]
) -> tuple[dict[str, tip_state.Float32], dict[str, float]]:
    """Return what tells strangers, and numbers that make probabilities right on held-out families.

    Parameters
    ----------
    network : TipStateNet
        Trained.
    parts : (Examples, Examples)
        What it learned from, and what was held out.

    Returns
    -------
    dict of str to numpy.ndarray
        ``stranger.mean`` and ``stranger.whiten``: mean and whitening of the network's inner values
        over the scans it learned from; the length of a whitened one is its distance (K. Lee et al.,
        Adv. Neural Inf. Process. Syst. 31 (2018) 7167, equation 2, with one class).
    dict of str to float
        ``soft_double`` and ``soft_blunt``, temperatures; ``strange``, the distance that one
        held-out scan in fifty exceeds; ``decisive``, the least probability at which nine of ten
        answers are right; ``double_auc``, ``accuracy`` and ``abstained`` on what was held out.
    """
    learned = tip_state.run(network, parts[0].inputs)[1].astype(np.float64)
    mean, spread = learned.mean(axis=0), np.cov(learned.T)
    spread += 1e-2 * np.trace(spread) / len(spread) * np.eye(len(spread))
    whiten = np.linalg.cholesky(np.linalg.inv(spread))
    answer, inner = tip_state.run(network, parts[1].inputs)
    far = np.linalg.norm((inner - mean) @ whiten, axis=1)
    truth = parts[1].targets
    double, blunt = truth[:, -2] == 0, truth[:, -1] > 0
    first, second = tip_state.odds(answer)
    soft = (_temperature(first, double), _temperature(second[~double], blunt[~double]))
    said = tip_state.probabilities(answer, soft)
    right = said.argmax(axis=1) == np.where(double, 2, blunt)
    decisive = _decisive(said.max(axis=1), right)
    sure = said.max(axis=1) >= decisive
    metrics = {
        "soft_double": soft[0],
        "soft_blunt": soft[1],
        "strange": float(np.quantile(far, 0.98)),
        "decisive": decisive,
        "double_auc": ranked(first[double], first[~double]),
        "accuracy": float(right[sure].mean()) if sure.any() else 0.0,
        "abstained": float(1 - sure.mean()),
    }
    kept = {"stranger.mean": mean, "stranger.whiten": whiten}
    return {name: one.astype(np.float32) for name, one in kept.items()}, metrics


def ranked(two: FloatArray, one: FloatArray) -> float:
    """Return the share of pairs in which the double tip is taken for more double: the AUC."""
    return float(np.mean((two[:, None] > one) + 0.5 * (two[:, None] == one)))


def _temperature(odds: FloatArray, truth: BoolArray) -> float:
    tried = np.geomspace(0.3, 5.0, 60)
    signs = np.where(truth, 1.0, -1.0)
    costs = [float(np.logaddexp(0.0, -signs * odds / one).mean()) for one in tried]
    return float(tried[int(np.argmin(costs))])


def _decisive(best: FloatArray, right: BoolArray, wanted: float = 0.9) -> float:
    for least in np.arange(0.4, 0.99, 0.01):
        sure = best >= least
        if sure.any() and right[sure].mean() >= wanted:
            return float(least)
    return 0.99
