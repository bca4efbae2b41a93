"""Tables of what is known about each candidate site before it is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.core.errors import SignalError
from nanopilot.core.history import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Features of the candidate sites, one row per site.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (sites, features).
    names : tuple of str
        Of the columns.
    groups : tuple of str
        What each column speaks of: ``"structure"`` (the neighbourhood in an image) or
        ``"position"`` (where the site lies). Columns of a group share a length scale.
    """

    values: FloatArray
    names: tuple[str, ...]
    groups: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):
            raise SignalError(
                f"`values` has shape {self.values.shape}; expected (sites, {len(self.names)})."
            )
        if len(self.groups) != len(self.names):
            raise SignalError("`groups` needs one entry per name.")

    def __len__(self) -> int:
        return len(self.values)

    def join(self, other: FeatureTable) -> FeatureTable:
        """Return a table with the columns of both."""
        return FeatureTable(
            np.hstack([self.values, other.values]),
            self.names + other.names,
            self.groups + other.groups,
        )

    def shuffled(self, rng: np.random.Generator, group: str = "structure") -> FeatureTable:
        """Return the table with one group's rows dealt out to other sites.

        Columns of the group stay together, the rest stays in place: a model that does as
        well on this table has learned nothing from the group.
        """
        values = self.values.copy()
        columns = np.array([name == group for name in self.groups])
        values[:, columns] = values[rng.permutation(len(values))][:, columns]
        return FeatureTable(values, self.names, self.groups)
