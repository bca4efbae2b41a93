"""Samples of the electron twin: each a function of settings and random numbers.

`SAMPLES` names the families; a family is called with a generator, and its module is imported
only then.
"""

from nanopilot.twins.stem.samples.families import SAMPLES, family
from nanopilot.twins.stem.samples.family import Family

__all__ = ["SAMPLES", "Family", "family"]
