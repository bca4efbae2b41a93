"""How large a pixel is, as the makers of microscopes and of software write it into TIFF.

The tags of TIFF itself (282, 283, 296) say how many dots per inch a printer is to draw, and most
programs write 72, 96 or 300 there without having asked anybody. They count only where ImageJ
says which unit of the sample they are in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nanopilot.core.errors import ReadError
from nanopilot.io.readers.frames import Pixel, length_unit

#: Lengths of paper, which ImageJ takes over from the dots per inch of the picture it opened.
_OF_PAPER = frozenset(("inch", "inches", "in", "cm", "pixel", "pixels", "", '"'))
_OME = re.compile(r"<(?:\w+:)?Pixels\b([^>]*)>")


def length(text: str) -> float | None:
    """Return how many metres a unit of length is; None for those of paper."""
    return None if text.strip(" \0").lower() in _OF_PAPER else length_unit(text)


def pixel_in(tiff: Any) -> Pixel | None:
    """Return the size of a pixel from the first source that tells it, or None.

    Parameters
    ----------
    tiff : tifffile.TiffFile
        An open file.
    """
    sources: tuple[Callable[[Any], Pixel | None], ...] = (_ome, _imagej, _fei, _zeiss, _gatan)
    for source in sources:
        try:
            if found := source(tiff):
                return found
        except (ReadError, KeyError, IndexError, TypeError, ValueError, ArithmeticError):
            continue  # what is written there is no size
    return None


def _ome(tiff: Any) -> Pixel | None:
    """Open Microscopy Environment: `PhysicalSizeX` of `Pixels`, micrometres unless it says."""
    text = tiff.ome_metadata
    found = _OME.search(text) if text else None
    if not found:
        return None
    told = dict(re.findall(r'(\w+)="([^"]*)"', found[1]))
    x = float(told["PhysicalSizeX"])
    y = float(told.get("PhysicalSizeY", x))
    unit_x = length(told.get("PhysicalSizeXUnit", "um"))
    unit_y = length(told.get("PhysicalSizeYUnit", "um"))
    return Pixel(x * unit_x, y * unit_y, "OME-XML") if unit_x and unit_y else None


def _imagej(tiff: Any) -> Pixel | None:
    """ImageJ: pixels per unit in `XResolution`, the unit in its description."""
    told = tiff.imagej_metadata
    factor = length(str(told.get("unit", ""))) if told else None
    if factor is None:
        return None
    tags = tiff.pages.first.tags
    sizes = []
    for tag in ("XResolution", "YResolution"):
        pixels, units = tags[tag].value
        sizes.append(units / pixels * factor)
    return Pixel(sizes[0], sizes[1], "ImageJ")


def _fei(tiff: Any) -> Pixel | None:
    """FEI and Thermo Fisher: tags 34680 and 34682, `PixelWidth` in metres."""
    told = tiff.fei_metadata or {}
    for section in ("Scan", "EScan", "IScan"):
        values = told.get(section, {})
        if values.get("PixelWidth"):
            x = float(values["PixelWidth"])
            return Pixel(x, float(values.get("PixelHeight") or x), "the tag of FEI")
    return None


def _zeiss(tiff: Any) -> Pixel | None:
    """Zeiss: tag 34118, `AP_IMAGE_PIXEL_SIZE` or `AP_PIXEL_SIZE` with its unit."""
    told = tiff.sem_metadata or {}
    for key in ("ap_image_pixel_size", "ap_pixel_size"):
        if key in told:
            _, size, unit = told[key]
            factor = length(unit)
            if factor is not None:
                return Pixel(float(size) * factor, float(size) * factor, "the tag of Zeiss")
    return None


def _gatan(tiff: Any) -> Pixel | None:
    """Gatan: tags 65003 and 65004 (units), 65009 and 65010 (size) of x and y."""
    tags = tiff.pages.first.tags
    if 65009 not in tags or 65003 not in tags:
        return None
    sizes = []
    for unit, size in ((65003, 65009), (65004, 65010)):
        factor = length(str(tags[unit].value))
        if factor is None:
            return None
        sizes.append(float(tags[size].value) * factor)
    return Pixel(sizes[0], sizes[1], "the tags of Gatan")
