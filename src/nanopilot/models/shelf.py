"""Networks by name: what ships, how it is trained anew, and whether it still is what it was."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from nanopilot.core import registry
from nanopilot.core.errors import InvalidRequest, NanopilotError, OutOfRange, UnknownName
from nanopilot.core.values import Value
from nanopilot.models.weights import FOLDER, Card, load_card, load_weights

Report = Callable[[str], None]


class TrainFunction(Protocol):
    """What an entry point of the group ``nanopilot.models`` names: it trains one set of weights.

    Its module may have a function ``check(name: str, folder: Path | None) -> Mapping[str, float]``
    that repeats the numbers in `Card.checks` in less than ten seconds, and a constant ``WEIGHTS``,
    the folder in which its package ships weights and cards.
    """

    def __call__(
        self, *, seed: int = 0, steps: int | None = None, out: Path, report: Report
    ) -> Card:
        """Draw data, train, write ``NAME.safetensors`` and ``NAME.json``, return the card."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A name, and its card if weights of that name ship.

    Parameters
    ----------
    name : str
        What it is registered as.
    card : Card, optional
        None: there is none; `problem` says why.
    problem : str
        What is wrong with it; empty if nothing is.
    broken : bool
        Its recipe or its card cannot be loaded.
    """

    name: str
    card: Card | None
    problem: str = ""
    broken: bool = False


class Check(Value):
    """What became of one set of weights.

    Parameters
    ----------
    name : str
        Of the weights.
    status : {"ok", "failed", "unchecked"}
        Unchecked: hash and network are right, and there is nothing else to repeat.
    found : dict of str to float
        Numbers that were repeated.
    said : str
        In one line.
    """

    name: str
    status: Literal["ok", "failed", "unchecked"]
    found: dict[str, float] = {}
    said: str = ""


def entries() -> tuple[Entry, ...]:
    """Return all that is registered; one that is broken does not hide the others."""
    return tuple(_entry(name) for name in registry.names("models"))


def _entry(name: str) -> Entry:
    try:
        recipe = recipe_of(name)
        return Entry(name, load_card(name, _folder(recipe)))
    except UnknownName:
        return Entry(name, None, "no weights ship; train them")
    except NanopilotError as error:
        return Entry(name, None, " ".join(str(error).split()), broken=True)


def recipe_of(name: str) -> TrainFunction:
    """Return the function that trains weights by name.

    Raises
    ------
    UnknownName
        Nothing is registered under it.
    InvalidRequest
        What is registered cannot be loaded.
    """
    known = registry.names("models")
    if name not in known:
        raise UnknownName("model", name, known)
    try:
        found: TrainFunction = registry.load("models", name)
    except (Exception, SystemExit) as cause:  # whatever a stranger's module raises
        raise InvalidRequest(
            f"`{name}` is registered, but its recipe cannot be loaded: {type(cause).__name__}: "
            f"{cause} Mend or uninstall the package that registers it."
        ) from cause
    return found


def card_of(name: str) -> Card:
    """Return the card of shipped weights.

    Raises
    ------
    UnknownName
        Nothing is registered under this name, or no weights ship.
    """
    return load_card(name, _folder(recipe_of(name)))


def train_anew(
    name: str, out: Path, *, seed: int = 0, steps: int | None = None, report: Report
) -> Card:
    """Train weights by name, write them and their card, and return the card.

    Parameters
    ----------
    name : str
        Of the weights.
    out : Path
        Folder for both files; made if it is not there.
    seed : int
        Of data, first weights and order.
    steps : int, optional
        Of the optimiser at most; the recipe's own number if None.
    report : callable
        Told how it goes, line by line.

    Raises
    ------
    UnknownName
        Nothing is registered under this name.
    OutOfRange
        The seed is negative, or there is no step.
    MissingExtra
        PyTorch or safetensors is not installed.
    """
    if seed < 0:
        raise OutOfRange(f"`seed` is {seed}; it has to be 0 or more.")
    if steps is not None and steps < 1:
        raise OutOfRange(f"`steps` is {steps}; it has to be 1 or more.")
    if out.exists() and not out.is_dir():
        raise InvalidRequest(f"`out` is {out}, a file; name a folder.")
    return recipe_of(name)(seed=seed, steps=steps, out=out, report=report)


def check(name: str, folder: Path | None = None) -> Check:
    """Tell whether weights are those of their card, load, and give the numbers it promises.

    Parameters
    ----------
    name : str
        Of the weights.
    folder : Path, optional
        Where they are, if they do not ship.

    Raises
    ------
    UnknownName
        Nothing is registered under this name, or there are no weights.
    MissingExtra
        PyTorch or safetensors is not installed.
    """
    recipe = recipe_of(name)
    folder = folder or _folder(recipe)
    try:
        _, card = load_weights(name, folder)
    except (ValueError, FileNotFoundError) as error:
        return Check(name=name, status="failed", said=" ".join(str(error).split()))
    repeat = getattr(_module(recipe), "check", None)
    if repeat is None:
        return Check(name=name, status="unchecked", said="the recipe has nothing to repeat")
    try:
        found = {key: float(value) for key, value in repeat(name, folder).items()}
    except (ValueError, RuntimeError, LookupError) as error:
        return Check(name=name, status="failed", said=" ".join(str(error).split()))
    return _judged(card, found)


def check_all() -> tuple[Check, ...]:
    """Check all weights that ship; a recipe that cannot be loaded has failed.

    Raises
    ------
    MissingExtra
        PyTorch or safetensors is not installed.
    """
    return tuple(check(one.name) if one.card else _uncarded(one) for one in entries())


def _uncarded(entry: Entry) -> Check:
    status: Literal["failed", "unchecked"] = "failed" if entry.broken else "unchecked"
    return Check(name=entry.name, status=status, said=entry.problem)


def _judged(card: Card, found: Mapping[str, float]) -> Check:
    if not card.checks:
        said = "the card promises no number"
        return Check(name=card.name, status="unchecked", found=dict(found), said=said)
    wrong = []
    for key, (value, tolerance) in card.checks.items():
        got = found.get(key, float("nan"))
        if not abs(got - value) <= tolerance:
            wrong.append(f"{key} is {got:.6g}, the card says {value:.6g} +- {tolerance:.2g}")
    said = "; ".join(wrong) or ", ".join(f"{key} {found[key]:.6g}" for key in card.checks)
    return Check(name=card.name, status="failed" if wrong else "ok", found=dict(found), said=said)


def _module(recipe: TrainFunction) -> Any:
    return sys.modules.get(inspect.unwrap(recipe).__module__)


def _folder(recipe: TrainFunction) -> Path:
    return Path(getattr(_module(recipe), "WEIGHTS", FOLDER))
