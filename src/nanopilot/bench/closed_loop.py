"""What the tracks of closed-loop discovery share: the runs and their score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.stats import hypergeom

from nanopilot.core.clock import VirtualClock
from nanopilot.core.history import FloatArray, History
from nanopilot.core.signals import Signal
from nanopilot.instruments import Guard
from nanopilot.io.history import load_history
from nanopilot.io.run_folder import RunFolder
from nanopilot.policies.surrogate import GPSurrogate
from nanopilot.twins.replay import ReplayTwin
from nanopilot.workflows.discovery import DiscoverSettings, plan_discovery, shuffled
from nanopilot.workflows.launch import launch


@dataclass(frozen=True, slots=True)
class Visible:
    """What a method is given: a way to get at the instrument, and what it may spend."""

    connect: Callable[[], Guard]
    seed: int
    budget: float


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A sample behind an instrument, and the truth about all its sites.

    Parameters
    ----------
    visible : Visible
        For the method.
    truth : numpy.ndarray
        Property of every site, shape (sites,); NaN where it has none.
    best : int
        How many of the best sites are to be found.
    """

    visible: Visible
    truth: FloatArray
    best: int


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a run gives back: where it measured, and its map of the property."""

    measured: tuple[int, ...]
    expected: FloatArray
    uncertainty: FloatArray
    control: FloatArray


def behind_guard(signals: tuple[Signal, ...]) -> Callable[[], Guard]:
    """Return a way to connect a fresh replay of the signals, behind its guard."""
    return lambda: Guard(ReplayTwin(signals, VirtualClock()))


def discover_with(**settings: Any) -> Callable[[Visible], Answer]:
    """Return the method that carries out a whole `discover` run with these settings."""

    def method(visible: Visible) -> Answer:
        asked = {"seed": visible.seed, "budget": visible.budget} | settings
        with TemporaryDirectory(prefix="nanopilot-bench-") as root:
            folder = Path(root) / "run"
            launch("discover", visible.connect(), asked, folder)
            with RunFolder.open(folder) as run:
                return answer_of(run)

    return method


def score(case: Case, answer: Answer) -> Mapping[str, float]:
    """Return recall of the best sites, quality of the map, and that of the control.

    Returns
    -------
    mapping
        ``recall``: share of the `best` sites that were measured. ``r2``: of the map against
        the truth at the sites not measured. ``r2_control``: the same for a map made with the
        structure shuffled. ``coverage``: share of those sites within 1.96 predicted standard
        deviations (of a measurement, noise included). ``fraction``: share of sites measured.
    """
    unseen = np.isfinite(case.truth)
    unseen[list(answer.measured)] = False
    truth = case.truth[unseen]
    misses = np.abs(answer.expected[unseen] - truth)
    return {
        "recall": recall_curve(case, answer)[-1],
        "r2": r_squared(answer.expected[unseen], truth),
        "r2_control": r_squared(answer.control[unseen], truth),
        "coverage": float(np.mean(misses <= 1.96 * answer.uncertainty[unseen])),
        "fraction": len(answer.measured) / case.truth.size,
    }


def recall_curve(case: Case, answer: Answer) -> list[float]:
    """Return the share of the best sites found after every measurement."""
    order = np.argsort(np.where(np.isnan(case.truth), -np.inf, case.truth))
    hits = np.isin(answer.measured, order[-case.best :])
    return [float(found) for found in np.cumsum(hits) / case.best]


def random_recall(case: Case, steps: int) -> dict[str, list[float]]:
    """Return what measuring at random finds, step by step: mean, and where 95 % of runs end.

    Drawing sites without replacement finds a hypergeometric number of the best ones.
    """
    drawn = np.arange(1, steps + 1)
    law = hypergeom(case.truth.size, case.best, drawn)
    return {
        "random_curve": (drawn / case.truth.size).tolist(),
        "random_low": (np.asarray(law.ppf(0.025)) / case.best).tolist(),
        "random_high": (np.asarray(law.ppf(0.975)) / case.best).tolist(),
    }


def r_squared(predicted: FloatArray, truth: FloatArray) -> float:
    """Return the coefficient of determination; 0 for the mean, 1 for the truth."""
    residual = float(np.sum((truth - predicted) ** 2))
    return 1.0 - residual / float(np.sum((truth - truth.mean()) ** 2))


def answer_of(run: RunFolder) -> Answer:
    """Return where a finished run measured, its map, and the control's."""
    maps, history = run.signals.get("map"), load_history(run.journal.events()).history
    return Answer(
        measured=tuple(int(site) for site in history.measured),
        expected=maps["expected"].to_numpy().ravel(),
        uncertainty=maps["measurement_uncertainty"].to_numpy().ravel(),
        control=control_map(run, history),
    )


def control_map(run: RunFolder, history: History) -> FloatArray:
    """Return the map that the same measurements give when the structure is shuffled."""
    settings = DiscoverSettings(**(run.record.settings | {"shuffled": False}))
    structure = run.signals.get("structure")
    channel = settings.channel or str(next(iter(structure.data_vars)))
    features = plan_discovery(structure[channel], settings).candidates.features
    return GPSurrogate(shuffled(features, settings.seed)).fit(history).mean
