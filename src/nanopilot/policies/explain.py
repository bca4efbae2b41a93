"""How much the structure explained: the surrogate judged beside its companions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nanopilot.core.features import FeatureTable
from nanopilot.core.history import FloatArray, History, IntArray
from nanopilot.models import GaussianProcess, GroupedPoints, learn
from nanopilot.policies.surrogate import Surrogate

#: Below this an R² is mostly chance.
_ENOUGH = 10


@dataclass(frozen=True, slots=True)
class Score:
    """How well rewards were predicted at measured sites that were held back.

    Parameters
    ----------
    r2 : float, optional
        Share of the variance predicted; None where it cannot be told.
    coverage : float, optional
        Share of the rewards within 1.96 predicted standard deviations, noise included;
        0.95 when the uncertainty is right.
    sites : int
        How many rewards were judged.
    why : str
        Why there is no number, if there is none.
    """

    r2: float | None
    coverage: float | None
    sites: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """The surrogate on real features, beside the control with the structure shuffled.

    Parameters
    ----------
    real : Score
        With features as they are.
    control : float, optional
        Mean R² over the shuffles; None where it cannot be told.
    control_spread : float, optional
        Standard deviation of R² over the shuffles.
    shuffles : int
        How many.
    """

    real: Score
    control: float | None
    control_spread: float | None
    shuffles: int

    @property
    def gain(self) -> float | None:
        """R² that the structure added over the control."""
        if self.real.r2 is None or self.control is None:
            return None
        return self.real.r2 - self.control


def explain(
    features: FeatureTable, history: History, rng: np.random.Generator, shuffles: int = 5
) -> Explained:
    """Tell how much the structure explains of the rewards seen so far.

    A Gaussian process is judged by five-fold cross-validation on the measured sites. Its
    hyperparameters are learned anew in every fold and for every shuffle, and the folds are
    the same for all. What a policy measured is no fair sample of the surface: read the
    difference to the control, not the number.

    Parameters
    ----------
    features : FeatureTable
        One row per candidate site.
    history : History
        What was measured; steps without a reward are passed over.
    rng : numpy.random.Generator
        Deals the steps into folds, and the structure to other sites.
    shuffles : int
        How many controls.
    """
    sites, rewards = _usable(history)
    if why := _too_little(rewards):
        return Explained(Score(None, None, len(rewards), why), None, None, 0)
    fold = rng.permutation(len(rewards)) % 5
    real = _held_back(features, sites, rewards, fold)
    if "structure" not in features.groups:
        return Explained(real, None, None, 0)
    dealt = (features.shuffled(rng) for _ in range(shuffles))
    scores = (_held_back(table, sites, rewards, fold).r2 for table in dealt)
    controls = [score for score in scores if score is not None]
    if not controls:
        return Explained(real, None, None, 0)
    return Explained(real, float(np.mean(controls)), float(np.std(controls)), len(controls))


def _held_back(
    features: FeatureTable, sites: IntArray, rewards: FloatArray, fold: IntArray
) -> Score:
    """Judge a Gaussian process on every fold by what the other ones say."""
    points = GroupedPoints.split(features.values[sites], features.groups)
    mean, std = np.empty(len(rewards)), np.empty(len(rewards))
    for number in np.unique(fold):
        held, kept = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        seen = points.take(kept)
        process = GaussianProcess(seen, rewards[kept], learn(seen, rewards[kept]))
        mean[held], value_std = process.predict(points.take(held))
        std[held] = np.hypot(value_std, process.noise)
    return _judged(rewards, mean, std)


def leave_one_out(features: FeatureTable, history: History) -> Score:
    """Judge a Gaussian process at each measured site by what all the others say.

    In closed form, so that a running experiment can show it after every step. The
    hyperparameters have seen the site: with many features the score is too good, and
    `explain` is the one to quote.
    """
    sites, rewards = _usable(history)
    if why := _too_little(rewards):
        return Score(None, None, len(rewards), why)
    points = GroupedPoints.split(features.values[sites], features.groups)
    process = GaussianProcess(points, rewards, learn(points, rewards))
    return _judged(rewards, *process.leave_one_out())


def cross_validate(
    surrogate: Surrogate, history: History, rng: np.random.Generator, folds: int = 5
) -> Score:
    """Judge any surrogate on the measured sites, a fold held back at a time.

    Parameters
    ----------
    surrogate : Surrogate
        Fitted once per fold.
    history : History
        What was measured; steps without a reward are passed over.
    rng : numpy.random.Generator
        Deals the steps into folds.
    folds : int
        How many.
    """
    sites, rewards = _usable(history)
    if why := _too_little(rewards):
        return Score(None, None, len(rewards), why)
    steps = [step for step in history if step.reward is not None and np.isfinite(step.reward)]
    fold = rng.permutation(len(steps)) % folds
    mean, std = np.empty(len(steps)), np.empty(len(steps))
    for number in range(folds):
        held = fold == number
        kept = tuple(step for step, out in zip(steps, held, strict=True) if not out)
        posterior = surrogate.fit(History(kept))
        mean[held] = posterior.mean[sites[held]]
        std[held] = np.hypot(posterior.std[sites[held]], posterior.noise)
    return _judged(rewards, mean, std)


def compare(
    surrogates: Mapping[str, Surrogate], history: History, seed: int, folds: int = 5
) -> dict[str, Score]:
    """Judge several surrogates on the same folds of the same history.

    A run whose surrogate is not the plain Gaussian process on fixed features is compared
    with one here.

    Parameters
    ----------
    surrogates : mapping of str to Surrogate
        By name.
    history : History
        What was measured.
    seed : int
        Of the folds.
    folds : int
        How many.
    """
    return {
        name: cross_validate(surrogate, history, np.random.default_rng(seed), folds)
        for name, surrogate in surrogates.items()
    }


def _usable(history: History) -> tuple[IntArray, FloatArray]:
    rewards = history.rewards
    usable = np.isfinite(rewards)
    return history.measured[usable], rewards[usable]


def _too_little(rewards: FloatArray) -> str:
    if len(rewards) < _ENOUGH:
        return f"{len(rewards)} rewards are too few; {_ENOUGH} are needed"
    return "" if np.ptp(rewards) > 0 else "all rewards are alike"


def _judged(rewards: FloatArray, mean: FloatArray, std: FloatArray) -> Score:
    residuals = rewards - mean
    r2 = 1.0 - float(residuals @ residuals) / float(((rewards - rewards.mean()) ** 2).sum())
    coverage = float(np.mean(np.abs(residuals) <= 1.96 * std))
    return Score(r2, coverage, len(rewards))
