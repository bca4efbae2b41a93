"""A family of samples by name: found when it is asked for, and not before."""

from __future__ import annotations

import numpy as np

from nanopilot.core.errors import InvalidRequest
from nanopilot.core.requests import from_outside
from nanopilot.twins.samples.named_recipe import NamedRecipe
from nanopilot.twins.spm.sample import Sample
from nanopilot.twins.spm.samples.recipe import Grid, Recipe


class Family(NamedRecipe[Recipe]):
    """Makes samples of one kind, of modules of this package."""

    __slots__ = ()

    def settings(self) -> dict[str, object]:
        """Return the names of its settings, each with what it is unless told otherwise."""
        return {
            name: None if field.is_required() else field.get_default(call_default_factory=True)
            for name, field in self.recipe.model_fields.items()
        }

    def __call__(
        self,
        rng: np.random.Generator,
        *,
        size_m: float | str | None = None,
        pixels: int | tuple[int, int] | None = None,
        **settings: object,
    ) -> Sample:
        """Return a sample.

        Parameters
        ----------
        rng : numpy.random.Generator
            Every draw; the same one gives the same bytes.
        size_m : float or str, optional
            From the first to the last pixel centre along x, in metres or with a unit; what is
            usual for the family if not given.
        pixels : int or (int, int), optional
            Rows and columns; 1024 each if not given.
        **settings
            Of the recipe.

        Raises
        ------
        InvalidRequest
            A setting or a size is unknown or impossible in itself.
        OutOfRange
            Pixels and size do not go together with the settings.
        """
        recipe = from_outside(self.recipe, **settings)
        asked = recipe.natural()
        if pixels is not None:
            both = (pixels, pixels) if isinstance(pixels, int) else tuple(pixels)
            asked |= dict(zip(("rows", "columns"), both, strict=True))
        if size_m is not None:
            asked["size"] = size_m
        if "size" not in asked:
            raise InvalidRequest(
                "`size_m` is missing; the topography has no `pitch`, so say how wide it is."
            )
        return recipe.make(rng, from_outside(Grid, **asked))
