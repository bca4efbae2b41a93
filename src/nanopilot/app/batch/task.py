"""What is asked of one file, and what is said of each of its frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from nanopilot.core.values import Value

Status = Literal["ok", "unsure", "failed"]


class Asked(Value):
    """What is done with every file of a batch.

    Parameters
    ----------
    kind : str
        Name of an analyser: atoms, defects, grains, particles, electrodes, or one of a plugin.
    out : Path
        Folder of the results.
    settings : mapping
        Settings of the analyser.
    channel : str, optional
        Which channel of a file; without it the one that suits the analyser.
    pixel_size : float, optional
        Metres, for files that do not know it.
    in_pixels : bool
        Lengths are told in pixels, whatever a file knows of its calibration.
    """

    kind: str
    out: Path
    settings: dict[str, Any] = Field(default_factory=dict)
    channel: str | None = None
    pixel_size: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    in_pixels: bool = False


class FrameResult(Value):
    """What came of one frame, or of a file that could not be read.

    Parameters
    ----------
    file : str
        Where it came from.
    name : str
        Of its results: the file's, with the number of the frame in a stack.
    status : {"ok", "unsure", "failed"}
        Unsure: there is an answer, and a person should look at it.
    why : tuple of str
        Doubts, or what went wrong.
    summary : mapping
        Numbers and words on the whole frame.
    overlay, table : str, optional
        File names of picture and table, in the folder of results.
    seconds : float
        What it took.
    """

    file: str
    name: str
    status: Status
    why: tuple[str, ...] = ()
    summary: dict[str, float | int | str] = Field(default_factory=dict)
    overlay: str | None = None
    table: str | None = None
    seconds: float = 0.0


class FileResult(Value):
    """What came of one file, as kept beside its pictures: a batch that goes on starts from these.

    Parameters
    ----------
    file : str
        Where it came from.
    sha256 : str
        Of its content.
    asked : Asked
        What was done.
    version : str
        Of nanopilot.
    frames : tuple of FrameResult
        One at least.
    """

    file: str
    sha256: str
    asked: Asked
    version: str
    frames: tuple[FrameResult, ...]
