"""Samples of the scanning-probe twin: each a function of settings and random numbers.

`SAMPLES` names the families; a family is called with a generator, and its module is imported
only then.
"""

from nanopilot.twins.spm.samples.families import SAMPLES, family
from nanopilot.twins.spm.samples.family import Family

__all__ = ["SAMPLES", "Family", "family"]
