"""A twin fitted to scans of a real instrument, and the gap that remains."""

from nanopilot.workflows.estimates import Estimate
from nanopilot.workflows.fit_twin.estimates import estimate
from nanopilot.workflows.fit_twin.fit import fit_twin
from nanopilot.workflows.fit_twin.gap import Gap, gap_between
from nanopilot.workflows.fit_twin.report import FitReport, Fitted, ScanReport, SurfaceFacts
from nanopilot.workflows.fit_twin.scans import Scan, read_scan, scan_of

__all__ = [
    "Estimate",
    "FitReport",
    "Fitted",
    "Gap",
    "Scan",
    "ScanReport",
    "SurfaceFacts",
    "estimate",
    "fit_twin",
    "gap_between",
    "read_scan",
    "scan_of",
]
