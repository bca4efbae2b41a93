"""What every test starts from, whichever tests its process ran before."""

import sys

import pytest


@pytest.fixture(autouse=True)
def fresh_torch_generator() -> None:
    """Start torch's own generator anew: untrained weights are then the same in any order."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
