"""Atomic columns in a frame: found, refined with error bars, sorted into lattices."""

from nanopilot.analysis.atoms.columns import AtomColumns, find_columns
from nanopilot.analysis.atoms.lattice import Lattice, fit_lattice, map_polarisation, map_strain
from nanopilot.analysis.atoms.sublattices import assign_sublattices

__all__ = [
    "AtomColumns",
    "Lattice",
    "assign_sublattices",
    "find_columns",
    "fit_lattice",
    "map_polarisation",
    "map_strain",
]
