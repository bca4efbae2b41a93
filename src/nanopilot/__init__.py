"""nanopilot: drive scanning probe and electron microscopes, and know what you know.

>>> import nanopilot as npl
>>> scope = npl.connect("replay", sample="beps-pto")
>>> scope.name
'replay'

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanopilot.app.session import Run, connect, open_run, rehearse, run

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "connect", "open_run", "rehearse", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("nanopilot.app.session"), name)
    raise AttributeError(f"module 'nanopilot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
