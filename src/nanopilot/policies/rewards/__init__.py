"""Rewards: what a measurement is worth, one file each."""

from nanopilot.policies.rewards.coercive_bias import CoerciveBias
from nanopilot.policies.rewards.imprint import Imprint
from nanopilot.policies.rewards.loop_area import LoopArea
from nanopilot.policies.rewards.remanence import Remanence
from nanopilot.policies.rewards.reward import Direction, Reward, unit_of
from nanopilot.policies.rewards.saturation import Saturation

__all__ = [
    "CoerciveBias",
    "Direction",
    "Imprint",
    "LoopArea",
    "Remanence",
    "Reward",
    "Saturation",
    "unit_of",
]
