"""No file of the project knows the machine it was written on, or where packages came from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Joined here, so that this file does not hold what it looks for.
PACKAGE_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("files", "pythonhosted"), ("registry", "npmjs"), ("npmjs", "com"),
        ("deb", "debian"), ("debian", "org"), ("anaconda", "org"), ("download", "pytorch"),
    )
]  # fmt: skip
PLACES = [
    "/".join(parts) for parts in (("", "work", ""), ("", "opt", "wheels"), ("", "opt", "pypi"))
]
NEEDLES = [needle.encode() for needle in PACKAGE_HOSTS + PLACES]


def project_files() -> list[Path]:
    """List what is, or is about to be, tracked by git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if (path := ROOT / name).is_file()]


def leaks(content: bytes) -> list[str]:
    """Name the needles in a file; a binary one is nobody's prose."""
    if b"\0" in content:
        return []
    return [needle.decode() for needle in NEEDLES if needle in content.lower()]


def test_no_file_names_a_package_host_or_a_folder_of_this_machine() -> None:
    found = {str(path.relative_to(ROOT)): leaks(path.read_bytes()) for path in project_files()}
    assert {path: needles for path, needles in found.items() if needles} == {}


def test_a_leak_would_be_seen() -> None:
    assert leaks(b"see https://" + PACKAGE_HOSTS[0].encode() + b"/project") == [PACKAGE_HOSTS[0]]
    assert leaks(b"\0" + NEEDLES[0]) == []
