"""A recipe of samples by name: its module is loaded when it is asked for, and not before."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Generic, TypeVar

RecipeT = TypeVar("RecipeT")


@dataclass(frozen=True, slots=True)
class NamedRecipe(Generic[RecipeT]):
    """What makes samples of one kind.

    Parameters
    ----------
    about : str
        What it is, in a few words.
    path : str
        ``"module:Recipe"`` beside the module of the subclass.
    """

    about: str
    path: str

    @property
    def recipe(self) -> type[RecipeT]:
        """The settings it takes."""
        module, name = self.path.split(":")
        package = type(self).__module__.rpartition(".")[0]
        found: type[RecipeT] = getattr(import_module(f"{package}.{module}"), name)
        return found
