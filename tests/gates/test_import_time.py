"""Nothing heavy is imported before it is asked for.

Seconds depend on the machine; the modules that cost them do not.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "fastapi", "h5py", "matplotlib", "nicegui", "numba", "pandas", "pint", "scipy", "skimage",
    "sklearn", "torch", "xarray", "zarr",
}  # fmt: skip

IMPORT = "import nanopilot"
HELP = "sys.argv = ['nanopilot', '--help']; from nanopilot.app.cli import main; main()"


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after a statement."""
    report = "atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    code = f"import atexit, sys; {report}; {statement}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [(IMPORT, HEAVY | {"rich", "typer"}), (HELP, HEAVY)],
    ids=["import nanopilot", "nanopilot --help"],
)
def test_heavy_packages_wait_until_they_are_used(statement: str, heavy: set[str]) -> None:
    assert loaded_by(statement) & heavy == set()


def test_a_heavy_package_would_be_seen() -> None:
    assert "h5py" in loaded_by("import h5py")
