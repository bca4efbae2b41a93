"""Microscopes behind a temscript server: Thermo Fisher and FEI columns with TEM scripting."""

from nanopilot.instruments.temscript.instrument import TemscriptScope, temscript
from nanopilot.instruments.temscript.link import HttpLink, Link

__all__ = ["HttpLink", "Link", "TemscriptScope", "temscript"]
