"""What another policy or reward would have done with the measurements of a run.

Nothing is measured. Only the sites of the run are known, so the other policy is asked
twice at every step: where it would go among all sites, and where among those measured.
The first answer counts how often it wanted to know what nobody measured; the second
lets it go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nanopilot.core.errors import InvalidRequest
from nanopilot.core.history import History, Step
from nanopilot.core.requests import from_outside
from nanopilot.core.values import Value
from nanopilot.io.history import load_history
from nanopilot.io.run_folder import RunFolder
from nanopilot.workflows.discovery import DiscoverSettings, Discovery, make_reward, plan_discovery


class Counterfactual(Value):
    """Outcome of a replay.

    Parameters
    ----------
    run, policy, reward, unit : str
        What was replayed, and how.
    steps : int
        Sites measured by the run.
    same : int
        Steps at which the policy chose, of all sites, the one the run chose.
    unknown : int
        Steps at which it wanted a site that was never measured.
    first_unknown : int or None
        The first of those; from there on it had fewer choices than a real run gives.
    visited : tuple of int
        Sites in the order of the replay.
    best : tuple of float
        Best reward after every step of the replay, NaN before the first reward.
    recorded_best : tuple of float
        The same for the order in which the run measured, judged by the same reward.
    """

    run: str
    policy: str
    reward: str
    unit: str
    steps: int
    same: int
    unknown: int
    first_unknown: int | None
    visited: tuple[int, ...]
    best: tuple[float, ...]
    recorded_best: tuple[float, ...]

    def caveat(self) -> str:
        """Say in words what this replay cannot know."""
        if not self.unknown:
            return f"Every choice of {self.policy!r} had been measured: nothing is unknown."
        return (
            f"{self.unknown} of {self.steps} choices of {self.policy!r} fell on sites that were "
            f"never measured (the first at step {self.first_unknown}); what it would have found "
            "there is unknown, and it was given the best of the measured sites instead."
        )


def counterfactual(
    run: RunFolder,
    changes: Mapping[str, Any],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Counterfactual:
    """Replay a `discover` run with other settings, without an instrument.

    Parameters
    ----------
    run : RunFolder
        Open for reading.
    changes : mapping
        Settings that differ, for instance ``{"policy": "random", "reward": "imprint"}``.
    progress : callable
        Told how many steps of how many are done.
    """
    if run.record.workflow != "discover":
        raise InvalidRequest(f"`run` is a {run.record.workflow!r}; only 'discover' is replayed.")
    settings = from_outside(DiscoverSettings, **(run.record.settings | dict(changes)))
    known = rejudged(run, settings)
    structure = run.signals.get("structure")
    channel = settings.channel or str(next(iter(structure.data_vars)))
    plan = plan_discovery(structure[channel], settings)
    recorded = [step.action.index for step in load_history(run.journal.events()).history]
    return _replay(run.record.id, plan, recorded, known, progress)


def rejudged(run: RunFolder, settings: DiscoverSettings) -> dict[int, Step]:
    """Return every step of a run by site, with the reward of other settings."""
    reward = make_reward(settings)
    return {
        step.action.index: replace(step, reward=reward(step.features) if step.features else None)
        for step in load_history(run.journal.events()).history
    }


def _replay(
    run: str,
    plan: Discovery,
    recorded: list[int],
    known: dict[int, Step],
    progress: Callable[[int, int], None],
) -> Counterfactual:
    among = replace(plan.policy, candidates=plan.candidates.only(recorded))
    history, same, unknown = History(), 0, []
    for number, chosen in enumerate(recorded):
        free, bound = plan.policy.propose(history), among.propose(history)
        if free is None or bound is None:
            break
        same += free.index == chosen
        if free.index not in known:
            unknown.append(number)
        history = history.plus(known[bound.index if free.index not in known else free.index])
        progress(number + 1, len(recorded))
    sign = 1.0 if plan.reward.direction == "maximise" else -1.0
    return Counterfactual(
        run=run,
        policy=plan.settings.policy,
        reward=plan.settings.reward,
        unit=plan.unit,
        steps=len(recorded),
        same=same,
        unknown=len(unknown),
        first_unknown=unknown[0] if unknown else None,
        visited=tuple(int(site) for site in history.measured),
        best=best_so_far([step.reward for step in history], sign),
        recorded_best=best_so_far([known[site].reward for site in recorded], sign),
    )


def best_so_far(rewards: list[float | None], sign: float) -> tuple[float, ...]:
    """Return the best reward up to every step; `sign` is -1 where small values are better."""
    best, curve = float("nan"), []
    for reward in rewards:
        if reward is not None and not sign * reward <= sign * best:
            best = reward
        curve.append(best)
    return tuple(curve)
