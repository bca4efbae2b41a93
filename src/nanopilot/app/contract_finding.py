"""What came of one rule of the contract."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Verdict = Literal["passed", "failed", "not applicable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one rule.

    Parameters
    ----------
    capability, rule : str
        Such as ``"Scanner"`` and ``"frame-has-shape"``.
    sentence : str
        What the rule demands.
    verdict : {"passed", "failed", "not applicable"}
        Not applicable: the instrument has nothing that the rule speaks of.
    reason : str
        Why it failed or does not apply, in one line.
    """

    capability: str
    rule: str
    sentence: str
    verdict: Verdict
    reason: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON types."""
        return asdict(self)
