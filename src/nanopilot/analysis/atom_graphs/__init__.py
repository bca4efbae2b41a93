"""Atomic columns as a graph: bonds, sites that should be filled, and which are unusual."""

from nanopilot.analysis.atom_graphs.anomaly import CLASSES
from nanopilot.analysis.atom_graphs.baselines import BASELINES
from nanopilot.analysis.atom_graphs.graph import Graph, build_graph
from nanopilot.analysis.atom_graphs.ranking import AtomGraph, Ranked, rank_sites, site_table

__all__ = [
    "BASELINES",
    "CLASSES",
    "AtomGraph",
    "Graph",
    "Ranked",
    "build_graph",
    "rank_sites",
    "site_table",
]
