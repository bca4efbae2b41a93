"""Things told apart in a picture: their outlines, sizes and shapes, and how well they were told."""

from nanopilot.analysis.instances.agreement import Agreement, agreement, average_precision
from nanopilot.analysis.instances.outlines import outline
from nanopilot.analysis.instances.table import describe_instances, outlines

__all__ = [
    "Agreement",
    "agreement",
    "average_precision",
    "describe_instances",
    "outline",
    "outlines",
]
