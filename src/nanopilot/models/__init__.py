"""Learned models: Gaussian processes so far."""

from nanopilot.models.gaussian_process import GaussianProcess, Hyperparameters
from nanopilot.models.kernels import GroupedPoints
from nanopilot.models.learning import Prior, learn
from nanopilot.models.online import OnlineGaussianProcess, RefitSchedule

__all__ = [
    "GaussianProcess",
    "GroupedPoints",
    "Hyperparameters",
    "OnlineGaussianProcess",
    "Prior",
    "RefitSchedule",
    "learn",
]
