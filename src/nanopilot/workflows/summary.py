"""What a finished run says of itself: numbers and maps made from the measured sites alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from nanopilot.core.events import Decision, Event, Outcome
from nanopilot.core.features import FeatureTable
from nanopilot.core.history import FloatArray, History
from nanopilot.core.signals import Axis, Signal, SignalSet, make_signal
from nanopilot.policies.explain import Explained, explain
from nanopilot.policies.rewards.reward import Reward
from nanopilot.policies.surrogate import GPSurrogate, Posterior

#: At how many points of the run the companions are asked how much structure explains.
_CHECKPOINTS = 5
_BEST = 6


def summarise(
    history: History, features: FeatureTable, reward: Reward, candidates: int, seed: int
) -> dict[str, Any]:
    """Return the best sites, and how much the structure explained beside its control.

    Parameters
    ----------
    history : History
        Of the whole run.
    features : FeatureTable
        One row per site.
    reward : Reward
        What was looked for.
    candidates : int
        Sites that could have been measured.
    seed : int
        Of the run; decides how the control is shuffled.
    """
    sign = 1.0 if reward.direction == "maximise" else -1.0
    rewarded = np.flatnonzero(np.isfinite(history.rewards))
    best = rewarded[np.argsort(-sign * history.rewards[rewarded], kind="stable")][:_BEST]
    learning = [
        _checkpoint(features, history[:count], np.random.default_rng([seed, 2]))
        for count in np.unique(np.linspace(0, len(history), _CHECKPOINTS + 1).astype(int))[1:]
    ]
    last = learning[-1] if learning else {}
    return {
        "reward": reward.name,
        "direction": reward.direction,
        "candidates": candidates,
        "measured": len(history),
        "fraction": len(history) / candidates,
        "best": [
            {
                "step": int(number),
                "index": history.steps[number].action.index,
                "position": list(history.steps[number].action.position),
                "reward": history.steps[number].reward,
            }
            for number in best
        ],
        "explained": last | {"text": verdict(last)},
        "learning": learning,
    }


def verdict(explained: dict[str, Any]) -> str:
    """Say in one sentence whether looking at the structure helped."""
    real, control = explained.get("structure"), explained.get("control")
    if real is None or control is None:
        why = explained.get("why") or "there is nothing to compare with"
        return f"whether structure explains the reward cannot be told: {why}"
    numbers = f"R² {real:.2f} at held-back sites, {control:.2f} with the structure shuffled"
    # Two spreads of the control: a difference that shuffling alone hardly ever makes.
    if real - control > max(0.02, 2 * explained["control_spread"]):
        return f"structure explains part of the reward: {numbers}"
    return f"structure explains no more than its shuffled control: {numbers}"


def books(events: list[Event]) -> dict[str, Any]:
    """Return the instrument's time and the reason why the run stopped."""
    outcomes = [event for event in events if isinstance(event, Outcome)]
    stops = [event.why for event in events if isinstance(event, Decision) and event.action is None]
    return {
        "seconds": outcomes[-1].time if outcomes else 0.0,
        "stopped": stops[-1] if stops else "",
    }


def model_facts(posterior: Posterior) -> dict[str, Any]:
    """Return what the surrogate learned about itself."""
    return {"model": dict(posterior.settings), "noise": posterior.noise}


def maps(structure: Signal, surrogate: GPSurrogate, history: History, unit: str) -> SignalSet:
    """Return what is expected at every site and how sure that is, dims (y, x).

    ``uncertainty`` is the standard deviation of the value itself,
    ``measurement_uncertainty`` that of one measurement of it, noise included. Too few
    rewards give NaN everywhere.
    """
    count = structure.size
    if np.isfinite(history.rewards).sum() >= 2:
        found = surrogate.fit(history)
        values = (found.mean, found.std, np.hypot(found.std, found.noise))
    else:
        values = (np.full(count, np.nan),) * 3
    names = ("expected", "uncertainty", "measurement_uncertainty")
    return xr.Dataset(
        {
            name: _on_grid(part, structure, name, unit)
            for name, part in zip(names, values, strict=True)
        }
    )


def _on_grid(values: FloatArray, structure: Signal, quantity: str, unit: str) -> Signal:
    axes = {
        dim: Axis(structure[dim].to_numpy(), structure[dim].attrs["units"], "position")
        for dim in ("y", "x")
    }
    grid = np.asarray(values).reshape(structure.shape)
    # The unit of a reward may be a logarithm, which SI has no name for: it is kept as metadata.
    return make_signal(grid, axes, quantity=quantity, units="1", metadata={"reward_unit": unit})


def _checkpoint(
    features: FeatureTable, history: History, rng: np.random.Generator
) -> dict[str, Any]:
    found: Explained = explain(features, history, rng)
    return {
        "steps": len(history),
        "structure": found.real.r2,
        "coverage": found.real.coverage,
        "control": found.control,
        "control_spread": found.control_spread,
        "shuffles": found.shuffles,
        "why": found.real.why,
    }
