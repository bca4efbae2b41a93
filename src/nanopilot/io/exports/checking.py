"""Documents held against the schemas of the event model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nanopilot.core.errors import MissingExtra
from nanopilot.io.exports.translator import Document


def checked(documents: Iterable[Document]) -> Iterator[Document]:
    """Pass documents on, each held against its schema first.

    Raises
    ------
    MissingExtra
        The package ``event-model`` is not installed; it comes with bluesky.
    jsonschema.ValidationError
        A document is not what the event model says.
    """
    try:
        from event_model import DocumentNames, schema_validators
    except ModuleNotFoundError as cause:
        raise MissingExtra(
            "Checking documents needs event-model: pip install 'nanopilot[bluesky]'."
        ) from cause
    for name, document in documents:
        schema_validators[DocumentNames[name]].validate(document)
        yield name, document
