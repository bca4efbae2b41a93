"""A family of samples by name: found when it is asked for, and not before."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from nanopilot.core.errors import OutOfRange
from nanopilot.core.requests import from_outside
from nanopilot.core.units import Length
from nanopilot.core.values import Value
from nanopilot.twins.samples.named_recipe import NamedRecipe
from nanopilot.twins.stem.samples.recipe import Recipe
from nanopilot.twins.stem.scene import Scene


class _Extent(Value):
    size_m: Length = Field(gt=0)


class Family(NamedRecipe[Recipe]):
    """Makes samples of one kind, of modules of this package."""

    __slots__ = ()

    def settings(self) -> dict[str, object]:
        """Return the names of its settings, each with what it is unless told otherwise, as JSON."""
        # None has to be given, so the recipe can be made without any.
        found: dict[str, object] = self.recipe().model_dump(mode="json")
        return found

    def __call__(
        self,
        rng: np.random.Generator,
        *,
        size_m: float | str | None = None,
        **settings: object,
    ) -> Scene:
        """Return a sample.

        Parameters
        ----------
        rng : numpy.random.Generator
            Every draw; the same one gives the same bytes.
        size_m : float or str, optional
            Edge of the square area in metres, or with a unit; what is usual for the family if
            not given.
        **settings
            Of the recipe.

        Raises
        ------
        InvalidRequest
            A setting or a size is unknown or impossible in itself.
        OutOfRange
            The size is one that the family does not have, or the settings do not go with it.
        """
        recipe = from_outside(self.recipe, **settings)
        size = recipe.SIZE if size_m is None else from_outside(_Extent, size_m=size_m).size_m
        if not recipe.LEAST * (1 - 1e-9) <= size <= recipe.MOST * (1 + 1e-9):
            raise OutOfRange(
                f"`size_m` is {size:.4g} m; this family is made from {recipe.LEAST:.4g} m to "
                f"{recipe.MOST:.4g} m; usual is {recipe.SIZE:.4g} m."
            )
        return recipe.make(rng, size)
