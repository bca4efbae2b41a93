"""Runs as what other programs read."""

from nanopilot.io.exports.assets import SPEC, SignalFolder, ZarrHandler
from nanopilot.io.exports.bluesky import documents, write_documents
from nanopilot.io.exports.checking import checked
from nanopilot.io.exports.mirror import DocumentMirror

__all__ = [
    "SPEC",
    "DocumentMirror",
    "SignalFolder",
    "ZarrHandler",
    "checked",
    "documents",
    "write_documents",
]
