"""Weights that ship: a safetensors file and a card that says where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from nanopilot.core.errors import MissingExtra, ReadError, Tampered, UnknownName
from nanopilot.core.values import Value
from nanopilot.models.torch_extra import need_torch

Array = np.ndarray[Any, np.dtype[np.float32]]
#: Where nanopilot ships weights.
FOLDER = Path(__file__).with_name("weights")


class Card(Value):
    """What is to be known of a set of weights.

    Parameters
    ----------
    name : str
        Of the files.
    recipe : str
        Module below `nanopilot.models.recipes`.
    settings : dict
        The network, as JSON.
    data : str
        What it was trained on, and what was held out.
    seed : int
        Of data, first weights and order.
    sha256 : str
        Of the file of weights.
    metrics : dict of str to float
        On what was held out.
    limits : str
        Where it must not be trusted.
    known : dict of str to (float, float)
        Least and largest value of each feature of its training images; beyond, it is a stranger.
    checks : dict of str to (float, float)
        What a small evaluation gave when it was trained, and by how much another may differ.
    """

    name: str
    recipe: str
    settings: dict[str, Any]
    data: str
    seed: int
    sha256: str
    metrics: dict[str, float]
    limits: str
    known: dict[str, tuple[float, float]] = {}
    checks: dict[str, tuple[float, float]] = {}


def save_weights(folder: Path, tensors: dict[str, Array], card: Card) -> Card:
    """Write weights and their card; return the card with the hash filled in."""
    content = _safetensors().save({name: np.ascontiguousarray(t) for name, t in tensors.items()})
    signed = card.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{card.name}.safetensors").write_bytes(content)
    text = signed.model_dump_json(indent=1)
    (folder / f"{card.name}.json").write_text(text + "\n", encoding="utf-8")
    return signed


def load_card(name: str, folder: Path | None = None) -> Card:
    """Return the card of weights by name.

    Raises
    ------
    UnknownName
        There are none of this name.
    ReadError
        The card is not one.
    """
    folder = folder or FOLDER
    path = folder / f"{name}.json"
    if not path.exists():
        raise UnknownName("weights", name, (one.stem for one in folder.glob("*.safetensors")))
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as cause:
        raise ReadError(f"`{path.name}` is no card of weights: {cause}") from cause


def load_weights(
    name: str, folder: Path | None = None, recipe: str = ""
) -> tuple[dict[str, Array], Card]:
    """Return weights by name, and their card.

    Parameters
    ----------
    name : str
        Of the weights.
    folder : Path, optional
        Where they are, if they are one's own.
    recipe : str
        What they have to be made by; empty: by anything.

    Raises
    ------
    UnknownName
        There are none of this name.
    ReadError
        They are weights of something else.
    Tampered
        The weights are not those of the card.
    MissingExtra
        safetensors is not installed.
    """
    card = load_card(name, folder)
    if recipe not in ("", card.recipe):
        raise ReadError(
            f"`name` is {name!r}, weights of {card.recipe}; those of {recipe} are needed."
        )
    content = ((folder or FOLDER) / f"{name}.safetensors").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise Tampered(
            f"`{name}.safetensors` has SHA-256 {found}, its card says {card.sha256}. "
            "Install the package again, or train the weights again."
        )
    return dict(_safetensors().load(content)), card


def fill(parts: Any, tensors: Mapping[str, Array]) -> None:
    """Put tensors into a network by name and make it ready to answer; others are left out.

    Parameters
    ----------
    parts : torch.nn.Module
        Of the network.
    tensors : mapping of str to numpy.ndarray
        One for every tensor of the network, and what else travels with its weights.

    Raises
    ------
    RuntimeError
        One is missing, or of another shape.
    """
    torch = need_torch()
    own = parts.state_dict()
    parts.load_state_dict(
        {name: torch.from_numpy(one.copy()) for name, one in tensors.items() if name in own}
    )
    parts.eval()


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as cause:
        raise MissingExtra(
            "learned operators need the packages 'torch' and 'safetensors': "
            "pip install 'nanopilot[ml]'."
        ) from cause
    return safetensors.numpy
