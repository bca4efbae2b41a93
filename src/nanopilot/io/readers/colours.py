"""Colours as one value per pixel: what a picture says of intensity."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.io.readers.frames import Array, Frame

#: Luminance of linear red, green and blue (ITU-R BT.709, 2015, section 3), as scikit-image
#: rounds them.
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])
#: What Pillow calls pictures with one value per pixel.
_GREY = frozenset(("L", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"))


def luminance(colours: Array) -> tuple[Array, str]:
    """Return one value per pixel, and a note of what became of the colours.

    Grey stays what it was, to the bit. Colours are weighted as the eye does, ITU-R BT.709.

    Parameters
    ----------
    colours : numpy.ndarray
        Shape (..., 3) red, green, blue, or (..., 4) with opacity, or (..., 2) grey with opacity.
    """
    opacity = ", opacity left out" if colours.shape[-1] in (2, 4) else ""
    red = colours[..., 0]
    if colours.shape[-1] == 2:
        return red, f"grey{opacity}"
    plain = colours[..., :3]
    if all(np.array_equal(red, plain[..., band]) for band in (1, 2)):
        return red, f"red, green and blue are the same: one of them{opacity}"
    return plain @ _LUMINANCE, f"luminance of red, green and blue (BT.709){opacity}"


def intensity(values: Array, about: dict[str, Any], name: str = "intensity") -> Frame:
    """Return a frame of a picture: what its values mean, nobody knows."""
    return Frame(values, name, "intensity", "a.u.", about)


def values_of(image: Any) -> tuple[Array, dict[str, Any]]:
    """Return one value per pixel of a Pillow image, and notes of what became of its colours."""
    if image.mode in _GREY:
        return np.asarray(image), {}
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8), {}
    if image.mode in ("LA", "RGB", "RGBA"):
        colours = image
    else:  # palettes, and what printers and films use
        colours = image.convert("RGBA" if image.has_transparency_data else "RGB")
    values, note = luminance(np.asarray(colours))
    told = f"{note}; saved as {image.mode}" if colours is not image else note
    return values, {"colours": told}
