"""Which files a batch is about, and under what names their results are kept."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from nanopilot.core.errors import InvalidRequest
from nanopilot.io.readers import knows


def files_of(given: Sequence[Path], out: Path) -> tuple[list[Path], list[Path]]:
    """Return the files meant by files and folders, every one once, in the order given.

    Of a folder, its files by name, those of folders in it after them; hidden ones and the
    folder of results are not looked at. A file that is named is kept, even if it is not there or
    is nothing that can be read: the batch says so.

    Returns
    -------
    list of Path, list of Path
        Files to analyse, and those in folders whose suffix no reader knows.

    Raises
    ------
    InvalidRequest
        Nothing is given, or the folders are empty.
    """
    home = out.resolve()
    found: dict[Path, Path] = {}
    strange = []
    for path in given:
        for file in _walk(path) if path.is_dir() else (path,):
            if home in file.resolve().parents:
                continue
            if path.is_dir() and not knows(file):
                strange.append(file)
            else:
                found.setdefault(file.resolve(), file)
    if not found:
        told = ", ".join(f"`{path}`" for path in given) or "nothing"
        more = f" but {len(strange)} of a format no reader knows" if strange else ""
        raise InvalidRequest(
            f"`files` is {told}: no file there{more}; name files, or folders of files."
        )
    return list(found.values()), strange


def names_of(files: Sequence[Path]) -> list[str]:
    """Return one name for each file: its stem, with the suffix and a number where two are alike.

    Examples
    --------
    >>> names_of([Path("a/x.tif"), Path("b/x.tif"), Path("c/x.png"), Path("y.npy"), Path("x")])
    ['x-tif', 'x-tif-2', 'x-png', 'y', 'x']
    """
    stems = Counter(path.stem.casefold() for path in files)
    taken: set[str] = set()
    made = []
    for path in files:
        alone = stems[path.stem.casefold()] == 1 or not path.suffix
        base = path.stem if alone else f"{path.stem}-{path.suffix[1:]}"
        name, number = base, 2
        while name.casefold() in taken:
            name, number = f"{base}-{number}", number + 1
        taken.add(name.casefold())
        made.append(name)
    return made


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        # A Zarr array is a folder that is one file to its user; no reader of frames takes it.
        folders[:] = [one for one in folders if not one.endswith(".zarr")]
        yield from (Path(root) / one for one in sorted(names) if not one.startswith("."))
