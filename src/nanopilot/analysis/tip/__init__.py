"""Seeing through the tip: what is certain, what the tip was like, and what lay below."""

from nanopilot.analysis.tip.blind import BlindTip, blind_tip, estimate_noise
from nanopilot.analysis.tip.certainty import contacts
from nanopilot.analysis.tip.learned_state import LearnedState, TipStateModel, load_tip_state
from nanopilot.analysis.tip.operators import SeeThroughTip
from nanopilot.analysis.tip.refine import Refined, TipRefiner, load_refiner
from nanopilot.analysis.tip.shape import TipShape
from nanopilot.analysis.tip.state import TipVerdict, judge_tip

__all__ = [
    "BlindTip",
    "LearnedState",
    "Refined",
    "SeeThroughTip",
    "TipRefiner",
    "TipShape",
    "TipStateModel",
    "TipVerdict",
    "blind_tip",
    "contacts",
    "estimate_noise",
    "judge_tip",
    "load_refiner",
    "load_tip_state",
]
