"""Latency of a decision: from a finished measurement to the next place, 7,225 sites."""

import time
from typing import Any

import numpy as np

from nanopilot.analysis.hysteresis import LoopFeatures
from nanopilot.core.history import History, Step
from nanopilot.twins.samples.domain_walls import DomainWalls
from nanopilot.workflows.discovery import DiscoverSettings, plan_discovery

STEPS = 250
GOAL_S = 0.1


def row() -> dict[str, Any]:
    """Measure every decision of a run of 250 steps, refits included."""
    structure, loops = DomainWalls(seed=0).record()
    settings = DiscoverSettings(budget=STEPS / structure.size, seed=0)
    plan = plan_discovery(structure, settings)
    features = LoopFeatures()
    flat = loops.stack(point=("y", "x")).transpose("point", "bias")
    bias = loops["bias"]
    history, seconds = History(), []
    for _ in range(STEPS):
        start = time.perf_counter()
        action = plan.policy.propose(history)
        seconds.append(time.perf_counter() - start)
        assert action is not None
        loop = flat.isel(point=action.index, drop=True).drop_vars("point", errors="ignore")
        found = features(loop.assign_coords(bias=bias).assign_attrs(loops.attrs))
        history = history.plus(Step(action, plan.reward(found), found))
    p95 = float(np.percentile(seconds, 95))
    return {
        "kernel": "decision latency, 7,225 sites, n up to 250",
        "ours_s": round(p95, 4),
        "peer": None,
        "peer_s": None,
        "ratio": None,
        "ours_accuracy": {
            "median_s": round(float(np.median(seconds)), 4),
            "p95_s": round(p95, 4),
            "longest_s": round(max(seconds), 4),
        },
        "peer_accuracy": None,
        "goal": "p95 <= 0.1 s",
        "ok": p95 <= GOAL_S,
    }
