"""What works here, what does not, why, and the way out."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from nanopilot.core import registry
from nanopilot.core.errors import MissingExtra

Status = Literal["ok", "missing", "broken"]

#: What the driver of an instrument looks for when it connects, and where to get it.
NEEDS = {
    "nion": ("nion.instrumentation", "pip install 'nanopilot[nion]'"),
    "autoscript": (
        "autoscript_tem_microscope_client",
        "comes with AutoScript TEM, licensed by Thermo Fisher Scientific",
    ),
    "jeol": ("PyJEM", "comes from JEOL, with the microscope"),
}

#: Looked at one by one; the rest of what can be named by name is loaded as well.
KINDS = ("instruments", "twins", "readers")
_ROOM, _MINIMUM = 1e9, (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    group, name : str
        Such as ``"instruments"`` and ``"nion"``.
    status : {"ok", "missing", "broken"}
        Missing: an optional piece is not installed. Broken: it should work, and does not.
    found : str
        What was found, in one line.
    way_out : str
        What to do about it.
    """

    group: str
    name: str
    status: Status
    found: str = ""
    way_out: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON types."""
        return asdict(self)


def examine() -> tuple[Check, ...]:
    """Look at everything; one broken piece does not hide the others."""
    return (
        *_python(), *_packages(), *_entries(), _runs(), _cache(), _port(), _clock(),
    )  # fmt: skip


def _python() -> Iterator[Check]:
    version = platform.python_version()
    if sys.version_info >= _MINIMUM:
        yield Check("python", "python", "ok", f"{version} on {platform.platform(terse=True)}")
    else:
        yield Check("python", "python", "broken", version, "use Python 3.11 or newer")
    yield Check("python", "nanopilot", "ok", _version("nanopilot") or "not installed")


def _packages() -> Iterator[Check]:
    """Look for what nanopilot requires, and for what its extras would add."""
    seen: set[str] = set()
    for text in metadata.requires("nanopilot") or ():
        spec, _, marker = text.partition(";")
        name = spec.strip().split("[")[0]
        name = name[: next((i for i, sign in enumerate(name) if sign in "<>=!~ "), len(name))]
        _, _, extra = marker.partition("extra ==")
        extra = extra.strip().strip("'\"")
        if name in seen or extra in ("dev", "docs", "peers", "all") or name == "nanopilot":
            continue
        seen.add(name)
        version = _version(name)
        if version:
            yield Check("packages", name, "ok", version)
        elif extra:
            way = f"pip install 'nanopilot[{extra}]'"
            yield Check("packages", name, "missing", f"optional, for {extra}", way)
        else:
            yield Check("packages", name, "broken", "required", f"pip install {name}")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _entries() -> Iterator[Check]:
    for kind in registry.KINDS:
        checks = [_entry(kind, name) for name in registry.names(kind)]
        if kind in KINDS:
            yield from checks
        else:
            yield from (check for check in checks if check.status != "ok")


def _entry(kind: str, name: str) -> Check:
    """Load one thing that can be chosen by name."""
    try:
        loaded = registry.load(kind, name)
    except MissingExtra as error:
        return Check(kind, name, "missing", _line(error), "install what it needs")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's module raises
        found = f"does not load: {type(error).__name__}: {_line(error)}"
        return Check(kind, name, "broken", found, "mend or uninstall the package it comes from")
    needs, way = NEEDS.get(name, ("", "")) if kind == "instruments" else ("", "")
    if needs and not _there(needs):
        return Check(kind, name, "missing", f"needs {needs}", way)
    where = f"{getattr(loaded, '__module__', '')}.{getattr(loaded, '__qualname__', name)}"
    return Check(kind, name, "ok", where)


def _there(module: str) -> bool:
    """Tell whether a module could be imported, importing its parents at most."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _runs() -> Check:
    try:
        from nanopilot.app.session import runs_root
    except ImportError as error:
        way = "mend what `packages` says, or install nanopilot again"
        return Check("python", "import", "broken", f"{type(error).__name__}: {_line(error)}", way)
    return _folder(runs_root())


def _folder(root: Path) -> Check:
    """Look for room where runs are kept."""
    there = next(path for path in (root.absolute(), *root.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    said = f"{there}: {free / 1e9:.1f} GB free"
    if not os.access(there, os.W_OK):
        way = "set NANOPILOT_RUNS to a folder that can be written"
        return Check("machine", "runs folder", "broken", f"{there} cannot be written", way)
    if free < _ROOM:
        way = "make room, or set NANOPILOT_RUNS to another disk"
        return Check("machine", "runs folder", "broken", said, way)
    return Check("machine", "runs folder", "ok", said)


def _cache() -> Check:
    """Look for a place where compiled kernels can be kept, in numba's own order."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    package = Path(__file__).parents[1]
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    for place in (Path(chosen),) if chosen else (package, home):
        if _writable(place):
            return Check("machine", "kernel cache", "ok", str(place))
    way = "set NUMBA_CACHE_DIR to a folder that can be written, or every start compiles anew"
    return Check("machine", "kernel cache", "broken", "there is none that can be written", way)


def _writable(place: Path) -> bool:
    there = next((path for path in (place, *place.parents) if path.exists()), Path())
    try:
        with tempfile.TemporaryFile(dir=there):
            return True
    except OSError:
        return False


def _port() -> Check:
    """Look whether this machine lets a program listen on its own address."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
    except OSError as error:
        way = "allow listening on 127.0.0.1, or instruments cannot be served from here"
        return Check("machine", "port", "broken", _line(error), way)
    return Check("machine", "port", "ok", f"can listen on 127.0.0.1, port {port} was free")


def _clock() -> Check:
    """Look whether time passes, finely enough, and whether the date is set."""
    resolution = time.get_clock_info("monotonic").resolution
    before = time.monotonic()
    time.sleep(0.01)
    if not before < time.monotonic() or resolution > 0.02:
        found = f"steps of {resolution:g} s"
        return Check("machine", "clock", "broken", found, "journals cannot be timed here")
    if time.gmtime().tm_year < 2025:
        found = time.strftime("it says %Y-%m-%d")
        return Check("machine", "clock", "broken", found, "set the date of this machine")
    return Check("machine", "clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S %z"))


def _line(error: object) -> str:
    """Return a message as one line."""
    return " ".join(str(error).split())
