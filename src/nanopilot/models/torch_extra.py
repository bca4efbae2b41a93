"""The one place that imports PyTorch."""

from __future__ import annotations

from typing import Any

from nanopilot.core.errors import MissingExtra


def need_torch() -> Any:
    """Return the module `torch`.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    try:
        import torch
    except ImportError as cause:
        raise MissingExtra(
            "learned operators need the packages 'torch' and 'safetensors': "
            "pip install 'nanopilot[ml]'."
        ) from cause
    return torch
