"""What is asked of one file, and what is said of each of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from nanopilot.core.values import Value
from nanopilot.workflows.analyse.frames import Look
from nanopilot.workflows.analyse.together import Together

Status = Literal["ok", "unsure", "failed"]
#: Quantity of the channel that suits a kind of analysis.
_PREFERS = {"grains": "height"}


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

    def look(self) -> Look:
        """Return how files are looked at."""
        return Look(self.channel, self.pixel_size, self.in_pixels, _PREFERS.get(self.kind, ""))


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


class Batch(Value):
    """What came of a batch.

    Parameters
    ----------
    frames : tuple of FrameResult
        Of all files, in their order; with what all of them together say of each.
    together : mapping
        Numbers and words on all frames together; empty where an analysis has none.
    doubts : tuple of str
        Why there are none, or why a person should look at them.
    """

    frames: tuple[FrameResult, ...]
    together: dict[str, float | int | str] = Field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    @classmethod
    def of(cls, files: Sequence[FileResult], together: Together | None) -> Batch:
        """Return what files say, and what all of them say together."""
        frames = tuple(one for file in files for one in file.frames)
        if together is None:
            return cls(frames=frames)
        told = tuple(
            one.model_copy(update={"summary": {**one.summary, **together.counts.get(one.name, {})}})
            for one in frames
        )
        return cls(frames=told, together=dict(together.summary), doubts=together.doubts)
