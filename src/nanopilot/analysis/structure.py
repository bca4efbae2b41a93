"""What an image knows about every site before anything is measured there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanopilot.analysis.patches import PatchPCA, View, pixels_of, robust_scale
from nanopilot.core.features import FeatureTable
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal, positions


@dataclass(frozen=True, slots=True)
class StructureFeatures:
    """The neighbourhood of every pixel, its own value, and where it lies.

    Group ``"structure"``: principal components of the patch (`PatchPCA`), value and
    magnitude of the pixel itself, after robust scaling and standardised. Group
    ``"position"``: x and y, centred and divided by one common length, so that near means
    near in every direction.

    Parameters
    ----------
    window, window_metres, components, views
        As in `PatchPCA`.
    """

    window: int = 9
    window_metres: float | None = None
    components: int = 16
    views: tuple[View, ...] = ("value",)

    def __call__(self, image: Signal) -> FeatureTable:
        """Return the features of every pixel, row by row, shape (rows * columns, features).

        Raises
        ------
        SignalError
            The signal is no image, or has no finite pixel.
        """
        scaled = robust_scale(pixels_of(image)).ravel()
        centre = np.stack([scaled, np.abs(scaled)], axis=1)
        where = self.sites(image)
        where = where - where.mean(axis=0)
        size = float(np.sqrt(np.mean(where**2))) or 1.0
        return (
            self.patches(image)
            .join(FeatureTable(_standard(centre), ("centre", "strength"), ("structure",) * 2))
            .join(FeatureTable(where / size, ("x", "y"), ("position",) * 2))
        )

    def sites(self, image: Signal) -> FloatArray:
        """Return the (x, y) of every site in metres, shape (sites, 2), in the order of rows."""
        return positions(image)

    def patches(self, image: Signal) -> FeatureTable:
        """Return the components of the patches alone."""
        return self._patch_pca()(image)

    def flagged(self, image: Signal) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Tell which sites have NaN in their patch, shape (sites,): better not chosen."""
        return self._patch_pca().flagged(image)

    def _patch_pca(self) -> PatchPCA:
        return PatchPCA(self.window, self.window_metres, self.components, self.views)


def _standard(columns: FloatArray) -> FloatArray:
    spread = columns.std(axis=0)
    return np.asarray((columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0))
