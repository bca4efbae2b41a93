"""What a fitted twin is told in: its settings with their errors, and what is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from nanopilot.app.cli.columns import columns

if TYPE_CHECKING:
    from nanopilot.workflows.estimates import Estimate
    from nanopilot.workflows.fit_twin import Gap


def settings_table(estimates: Mapping[str, Estimate]) -> Iterator[str]:
    """Yield a line for each setting: value and error, unit, how well known, and why."""
    head = ("setting", "value", "unit", "is", "because")
    rows = [(name, value(one), one.unit, one.status, one.how) for name, one in estimates.items()]
    return columns([head, *rows])


def gap_cells(gap: Gap) -> tuple[str, str, str, str]:
    """Return the gap as the cells of a row: spectrum, histogram, correlation, told apart."""
    told = f"{gap.classifier:.2f} +- {gap.classifier_std:.2f}"
    return f"{gap.spectrum:.3f}", f"{gap.histogram:.3f}", f"{gap.autocorrelation:.3f}", told


def value(one: Estimate) -> str:
    """Return the value with its error or as the bound it is."""
    if one.value is None:
        return "-"
    least = "" if one.status != "bound" else ">= " if "lower bound" in one.how else "<= "
    error = f" +- {one.std:.1g}" if one.std else ""
    return f"{least}{one.value:.3g}{error}"
