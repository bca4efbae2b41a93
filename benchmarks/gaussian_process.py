"""One step of a Gaussian process: learn its hyperparameters at n = 500, predict 13,689 sites."""

import warnings
from typing import Any

import numpy as np

from benchmarks.timing import alternate
from nanopilot.analysis.structure import StructureFeatures
from nanopilot.bench.closed_loop import r_squared
from nanopilot.models import GaussianProcess, GroupedPoints, learn
from nanopilot.twins.samples.domain_walls import DomainWalls

MEASURED = 500
SITES = 117


def row() -> dict[str, Any]:
    """Measure ours against botorch's `SingleTaskGP` as its documentation fits it."""
    film = DomainWalls(seed=0, sites=SITES)
    truth = film.truth().ravel()
    table = StructureFeatures(components=16)(film.record()[0])
    structure = np.array([group == "structure" for group in table.groups])
    features = table.values[:, structure]
    measured = np.random.default_rng(0).choice(truth.size, MEASURED, replace=False)
    rewards = truth[measured] + 0.1 * np.random.default_rng(1).standard_normal(MEASURED)
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        groups = ("structure",) * features.shape[1]
        seen = GroupedPoints.split(features[measured], groups)
        process = GaussianProcess(seen, rewards, learn(seen, rewards))
        found["ours"] = process.predict(GroupedPoints.split(features, groups))[0]

    def peer() -> None:
        found["peer"] = _botorch(features, measured, rewards)

    ours_s, peer_s = alternate(ours, peer, rounds=5)
    unseen = np.ones(truth.size, dtype=bool)
    unseen[measured] = False
    accuracy = {name: r_squared(mean[unseen], truth[unseen]) for name, mean in found.items()}
    ratio = peer_s / ours_s
    close = accuracy["ours"] >= accuracy["peer"] - 0.02
    return {
        "kernel": "GP step, n = 500, predict 13,689",
        "ours_s": round(ours_s, 4),
        "peer": "botorch SingleTaskGP",
        "peer_s": round(peer_s, 4),
        "ratio": round(ratio, 1),
        "ours_accuracy": {"r2": round(accuracy["ours"], 4)},
        "peer_accuracy": {"r2": round(accuracy["peer"], 4)},
        "goal": "ratio >= 10, R2 within 0.02 of the peer's or better",
        "ok": bool(ratio >= 10 and close),
    }


def _botorch(features: np.ndarray, measured: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Normalize, Standardize
    from gpytorch.mlls import ExactMarginalLogLikelihood

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.tensor(features[measured], dtype=torch.float64)
        y = torch.tensor(rewards[:, None], dtype=torch.float64)
        model = SingleTaskGP(
            x,
            y,
            input_transform=Normalize(d=x.shape[1]),
            outcome_transform=Standardize(m=1),
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        with torch.no_grad():
            posterior = model.posterior(torch.tensor(features, dtype=torch.float64))
            return posterior.mean[:, 0].numpy()
