"""Decisions: rewards, utilities, surrogates, stop rules; history in, action out."""

from nanopilot.policies.candidates import Candidates
from nanopilot.policies.explain import (
    Explained,
    Score,
    compare,
    cross_validate,
    explain,
    leave_one_out,
)
from nanopilot.policies.maximise import MaximiseUtility
from nanopilot.policies.policy import Policy
from nanopilot.policies.rewards import Direction, Reward
from nanopilot.policies.stop import Converged, FirstOf, MeasuredEnough, NoImprovement, StopRule
from nanopilot.policies.surrogate import GPSurrogate, Posterior, Surrogate
from nanopilot.policies.survey import Survey
from nanopilot.policies.utilities import (
    ExpectedImprovement,
    MapGain,
    MaximumVariance,
    RandomUtility,
    TwoGoal,
    UpperConfidenceBound,
    Utility,
)

__all__ = [
    "Candidates",
    "Converged",
    "Direction",
    "ExpectedImprovement",
    "Explained",
    "FirstOf",
    "GPSurrogate",
    "MapGain",
    "MaximiseUtility",
    "MaximumVariance",
    "MeasuredEnough",
    "NoImprovement",
    "Policy",
    "Posterior",
    "RandomUtility",
    "Reward",
    "Score",
    "StopRule",
    "Surrogate",
    "Survey",
    "TwoGoal",
    "UpperConfidenceBound",
    "Utility",
    "compare",
    "cross_validate",
    "explain",
    "leave_one_out",
]
