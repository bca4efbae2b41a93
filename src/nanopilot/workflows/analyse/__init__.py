"""Named analyses of single frames: a frame in, a table, marks and doubts out."""

from nanopilot.workflows.analyse.findings import Findings, Mark

__all__ = ["Findings", "Mark"]
