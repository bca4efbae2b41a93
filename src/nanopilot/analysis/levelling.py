"""Tilt, bow and the offsets of lines out of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.polynomial.legendre import legvander

from nanopilot.analysis.facets import FacetLevel
from nanopilot.analysis.frame_arrays import BoolArray, robust_std, rows_of
from nanopilot.analysis.line_offsets import Method, line_offsets, masked_medians
from nanopilot.analysis.scars import RemoveScars
from nanopilot.analysis.shared_offsets import Estimate, shared_offsets
from nanopilot.core.errors import OutOfRange
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

Ground = Literal["background", "facets"]

#: Rounds in which features are left out of a fit, at most.
_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class SubtractPlane:
    """Remove the least-squares plane from a frame.

    Sample tilt adds a plane to every topograph. Its slope says nothing about the surface, so it
    goes before heights are compared.

    Parameters
    ----------
    keep_mean : bool
        Put the mean height back, so that heights stay absolute.
    """

    keep_mean: bool = False

    def __call__(self, frame: Signal) -> Signal:
        """Return the levelled frame, dims (y, x); NaN stays NaN, the input is left alone.

        Raises
        ------
        SignalError
            The frame has other dims, or no finite pixel.
        """
        return SubtractPolynomial(1, 1, exclude=None, keep_mean=self.keep_mean)(frame)


@dataclass(frozen=True, slots=True)
class SubtractPolynomial:
    """Remove a polynomial surface: tilt, and the bow of a scanner.

    Terms x^i y^j with i up to `order_x`, j up to `order_y` and i + j up to the larger of the two.

    Parameters
    ----------
    order_x, order_y : int
        Along the fast and the slow axis, 0 to 6.
    exclude : float, optional
        Pixels further than so many robust standard deviations from the polynomial (particles,
        holes) have no say in it; None: all have.
    keep_mean : bool
        Put the mean height back.

    Raises
    ------
    OutOfRange
        A setting is no good.

    Examples
    --------
    >>> SubtractPolynomial(2, 2).order_x
    2
    """

    order_x: int = 2
    order_y: int = 2
    exclude: float | None = 3.0
    keep_mean: bool = False

    def __post_init__(self) -> None:
        for name, order in (("order_x", self.order_x), ("order_y", self.order_y)):
            if not 0 <= order <= 6:
                raise OutOfRange(f"`{name}` is {order}; 0 to 6 are allowed.")
        if self.exclude is not None and not self.exclude >= 1:
            raise OutOfRange(f"`exclude` is {self.exclude}; at least 1, or None for no mask.")

    def __call__(self, frame: Signal) -> Signal:
        """Return the levelled frame, dims (y, x); NaN stays NaN, the input is left alone.

        Raises
        ------
        SignalError
            The frame has other dims, is smaller than the orders need, or has no finite pixel.
        """
        frame, heights = rows_of(frame, least=(self.order_y + 1, self.order_x + 1))
        surface, _ = self.fit(heights)
        mean = float(np.nanmean(heights)) if self.keep_mean else 0.0
        return frame.copy(data=heights - surface + mean)

    def fit(self, heights: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Return the polynomial and which pixels had a say in it, each (rows, columns)."""
        basis = self._basis(*heights.shape)
        flat = heights.ravel()
        finite = np.isfinite(flat)
        scale = robust_std(flat) or float(np.abs(flat[finite]).max()) or 1.0
        used = finite
        surface = np.zeros_like(flat)
        for _ in range(_ROUNDS):
            terms, *_ = np.linalg.lstsq(basis[used], flat[used] / scale, rcond=None)
            surface = basis @ terms * scale
            rest = flat - surface
            if self.exclude is None:
                break
            middle = float(np.median(rest[used]))
            # Rounding is no feature.
            limit = max(self.exclude * robust_std(rest[finite]), 1e-12 * scale)
            kept = finite & (np.abs(rest - middle) <= limit)
            if (kept == used).all() or kept.sum() <= 2 * basis.shape[1]:
                break
            used = kept
        return surface.reshape(heights.shape), used.reshape(heights.shape)

    def _basis(self, rows: int, columns: int) -> FloatArray:
        y = legvander(np.linspace(-1, 1, rows) if rows > 1 else np.zeros(1), self.order_y)
        x = legvander(np.linspace(-1, 1, columns) if columns > 1 else np.zeros(1), self.order_x)
        most = max(self.order_x, self.order_y)
        terms = [
            np.multiply.outer(y[:, j], x[:, i]).ravel()
            for j in range(self.order_y + 1)
            for i in range(self.order_x + 1)
            if i + j <= most
        ]
        return np.stack(terms, axis=1)


@dataclass(frozen=True, slots=True)
class MatchLines:
    """Bring the lines of a frame to one level.

    A tip that picks something up, or drift of height, moves whole lines up and down.

    Parameters
    ----------
    method : {"differences", "median"}
        "differences": neighbouring lines differ by their offsets in most places, whatever the
        surface is; the medians of differences to the first, second and fourth neighbour are
        joined by least squares. Steps and particles stay; a slope along the slow axis goes.
        "median": every line has the same median height; good where most of the surface is one
        plane, and wrong where it is not.
    """

    method: Method = "differences"

    def __post_init__(self) -> None:
        if self.method not in ("differences", "median"):
            raise OutOfRange(f"`method` is {self.method!r}; it is 'differences' or 'median'.")

    def __call__(self, frame: Signal) -> Signal:
        """Return the frame with its lines matched, dims (y, x); its mean stays.

        Raises
        ------
        SignalError
            The frame has other dims, or no finite pixel.
        """
        frame, heights = rows_of(frame)
        return frame.copy(data=heights - line_offsets(heights, self.method)[:, None])


@dataclass(frozen=True, slots=True)
class Level:
    """Level a frame as one would by hand: scars, bow, lines, and lines again on the background.

    Of lines only that is taken off which all parts of a line have, `shared_offsets`: what hills
    do to the medians of lines stays.

    Parameters
    ----------
    ground : {"background", "facets"}
        What shall be level. "background": what is left when features stand out of a polynomial;
        medians of lines over it come last, so that particles do not pull their lines down.
        "facets": what most facets share, `FacetLevel`; for terraces, which only the user knows
        from a bowed surface.
    order : int
        Of the polynomial along both axes, 1 to 4.
    exclude : float
        As of `SubtractPolynomial`.
    scars : bool
        Replace strokes first.
    """

    order: int = 2
    exclude: float = 3.0
    scars: bool = True
    ground: Ground = "background"

    def __post_init__(self) -> None:
        if self.ground not in ("background", "facets"):
            raise OutOfRange(f"`ground` is {self.ground!r}; it is 'background' or 'facets'.")
        SubtractPolynomial(self.order, self.order, self.exclude)
        FacetLevel(self.order)

    def __call__(self, frame: Signal) -> Signal:
        """Return the levelled frame, dims (y, x), the median of its background at 0.

        Raises
        ------
        SignalError
            The frame has other dims, is too small, or has no finite pixel.
        """
        frame, _ = rows_of(frame, least=(max(5, self.order + 1), max(5, self.order + 1)))
        if self.scars:
            frame = RemoveScars()(frame)
        if self.ground == "background":
            return frame.copy(data=self._background(frame.to_numpy()))
        heights = MatchLines()(frame).to_numpy()
        level = heights - FacetLevel(self.order).surface(heights)
        return frame.copy(data=level - np.nanmedian(level))

    def _background(self, heights: FloatArray) -> FloatArray:
        polynomial = SubtractPolynomial(self.order, self.order, self.exclude)
        estimates: tuple[Estimate, ...] = (
            lambda lines, _: line_offsets(lines, "differences"),
            masked_medians,
        )
        surface, background = polynomial.fit(heights)
        for estimate in estimates:
            # The tilt of a line across its parts would pass for the surface.
            flat = heights - surface
            heights = heights - shared_offsets(flat, background, estimate)[:, None]
            surface, background = polynomial.fit(heights)
        heights = heights - surface
        return np.asarray(heights - np.median(heights[background]))
