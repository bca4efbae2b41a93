"""TIFF files: pages, stacks and channels, whoever wrote them."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import ReadError
from nanopilot.io.readers.colours import intensity, luminance, values_of
from nanopilot.io.readers.frames import Array, Frame, Pixel
from nanopilot.io.readers.tiff_tags import pixel_in

#: Park Systems keeps the frame in tags of its own, and a picture of it where others keep frames.
_PARK = range(50432, 50440)


def read_tiff(file: Path) -> tuple[list[Frame], Pixel | None]:
    """Return every frame and stack of a TIFF file, and the size of a pixel where it is told.

    Raises
    ------
    ReadError
        Only a picture of the frame stands where the frame should.
    """
    import tifffile

    check_pages(file)
    with tifffile.TiffFile(file) as tiff:
        tags = tiff.pages.first.tags
        if any(code in tags for code in _PARK):
            raise ReadError(
                f"`{file}` is of Park Systems: heights stand in tags of its own, which no reader "
                "knows; save it as a .gwy file with Gwyddion."
            )
        # The library takes any page after a larger one for a small copy of it; those say so.
        levels = [level for series in tiff.series for level in series.levels]
        whole = [one for one in levels if not one.keyframe.is_reduced] or list(tiff.series)
        frames = []
        for number, series in enumerate(whole):
            name = "intensity" if number == 0 else f"intensity_{number + 1}"
            try:
                frames += _frames(series, name, is_imagej=tiff.is_imagej)
            except ValueError as cause:
                if "imagecodecs" not in str(cause):
                    raise
                return _with_pillow(file), pixel_in(tiff)
        return frames, pixel_in(tiff)


def check_pages(file: Path) -> None:
    """Follow the pages to the last, which libraries leave out silently when the end is missing.

    The layout is that of TIFF, revision 6.0 (Adobe, 1992), section 2, and of BigTIFF.

    Raises
    ------
    ReadError
        A page lies behind the end of the file.
    """
    size = file.stat().st_size
    with file.open("rb") as handle:
        start = handle.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = struct.unpack(f"{order}H", start[2:4])[0] == 43
        count, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
        width = struct.calcsize(offset)
        (at,) = struct.unpack_from(order + offset, start, 8 if big else 4)
        seen: set[int] = set()
        while at and at not in seen:
            seen.add(at)
            handle.seek(min(at, size))
            raw = handle.read(struct.calcsize(count))
            if len(raw) == struct.calcsize(count):
                (entries,) = struct.unpack(order + count, raw)
                handle.seek(min(at + len(raw) + entries * entry, size))
            raw = handle.read(width)
            if len(raw) != width:
                raise ReadError(
                    f"`{file}`: page {len(seen)} lies behind the end of the file; copy it again "
                    "from where it was recorded."
                )
            (at,) = struct.unpack(order + offset, raw)


def _frames(series: Any, name: str, *, is_imagej: bool) -> list[Frame]:
    values, axes, page = series.asarray(), series.axes, series.keyframe
    if math.prod(values.shape) == 0:
        return []
    about: dict[str, Any] = {}
    if "S" in axes:
        values, axes = np.moveaxis(values, axes.index("S"), -1), axes.replace("S", "") + "S"
        if page.photometric.name in ("RGB", "YCBCR") or values.shape[-1] == 2:
            values, about["colours"] = luminance(values)
            axes = axes[:-1]
        else:
            axes = axes[:-1] + "C"
    elif page.photometric.name == "PALETTE" and page.colormap is not None:
        if is_imagej:
            about["colours"] = "a table of colours for display, left out"
        else:
            values, note = luminance(np.moveaxis(page.colormap, 0, -1)[values])
            about["colours"] = f"{note}; saved with a table of colours"
    elif page.photometric.name == "MINISWHITE" and values.dtype.kind in "bu":
        values = ~values if values.dtype == bool else np.iinfo(values.dtype).max - values
        about["colours"] = "saved with black as the largest value: turned round"
    if values.dtype == bool:
        values = values.astype(np.uint8)
    return _by_channel(values, axes, name, about)


def _by_channel(values: Array, axes: str, name: str, about: dict[str, Any]) -> list[Frame]:
    """Return one frame or stack per channel; whatever is neither channel, y nor x is a stack."""
    channels = [letter for letter in axes if letter == "C"][:1]
    stack = [letter for letter in axes if letter not in ("Y", "X", *channels)]
    order = [axes.index(letter) for letter in (*channels, *stack, "Y", "X")]
    values = values.transpose(order)
    split = list(values) if channels else [values]
    found = []
    for number, one in enumerate(split):
        rows, columns = one.shape[-2:]
        frames = one.reshape(-1, rows, columns) if one.ndim > 2 else one
        channel = {"channel": number} if len(split) > 1 else {}
        called = f"{name}_channel_{number + 1}" if len(split) > 1 else name
        found.append(intensity(frames, {**about, **channel}, called))
    return found


def _with_pillow(file: Path) -> list[Frame]:
    """Return the pages of a file compressed in a way that only Pillow undoes (LZW, JPEG)."""
    from PIL import Image, ImageSequence

    pages: list[tuple[Array, dict[str, Any]]] = []
    with Image.open(file, formats=["TIFF"]) as image:
        for page in ImageSequence.Iterator(image):
            pages.append(values_of(page))
    shapes = {values.shape for values, _ in pages}
    if len(pages) == 1 or len(shapes) > 1:
        names = ["intensity", *(f"intensity_{number}" for number in range(2, len(pages) + 1))]
        return [intensity(*page, name) for page, name in zip(pages, names, strict=True)]
    return [intensity(np.stack([values for values, _ in pages]), pages[0][1])]
