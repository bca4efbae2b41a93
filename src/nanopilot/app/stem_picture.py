"""The electron twin in one picture: frame, patterns and spectra, and the truth below them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from nanopilot.app.report.drawing import RUN, drawing_style, ticks
from nanopilot.app.report.numbers import power_of_ten
from nanopilot.app.report.scales import scale_for
from nanopilot.app.twin_picture import FloatArray, Picture, draw_image
from nanopilot.core.errors import Unsupported
from nanopilot.core.signals import SignalSet

#: Inches of a panel, and of the square in it; panels in a row; dots per inch.
_WIDE, _HIGH, _SIDE, _ACROSS, _DPI = 2.55, 2.35, 1.9, 4, 110
_SYMBOLS = {
    1: "H", 5: "B", 6: "C", 7: "N", 8: "O", 14: "Si", 16: "S", 22: "Ti", 23: "V", 25: "Mn",
    26: "Fe", 29: "Cu", 34: "Se", 38: "Sr", 42: "Mo", 46: "Pd", 47: "Ag", 50: "Sn", 52: "Te",
    58: "Ce", 74: "W", 75: "Re", 78: "Pt", 79: "Au", 83: "Bi",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class StemShown:
    """What was looked at.

    Parameters
    ----------
    seen, true : tuple of Picture
        Channels of the frame, and fields of the sample over the same places.
    atoms : dict of int to numpy.ndarray
        Places of the atoms within the frame by atomic number, metres, shape (n, 2).
    patterns : SignalSet
        Pattern and ronchigram at the middle.
    spectra : dict of str to numpy.ndarray
        By channel: energies (eV) and counts at the middle, shape (2, n).
    width : float
        Of the frame in metres.
    dose : float
        Electrons per square metre that the frame gave.
    facts : mapping
        What is true of the sample as a whole.
    """

    seen: tuple[Picture, ...]
    true: tuple[Picture, ...]
    atoms: dict[int, FloatArray]
    patterns: SignalSet
    spectra: dict[str, FloatArray]
    width: float
    dose: float
    facts: Mapping[str, Any]

    def draw(self, title: str, path: Path) -> None:
        """Write the picture.

        Raises
        ------
        Unsupported
            The file would be no PNG.
        """
        if path.suffix.lower() != ".png":
            raise Unsupported(f"`out` is {path}; the picture is a PNG, so let it end in .png.")
        _draw(self, title, path)

    def to_dict(self) -> dict[str, Any]:
        """Return ranges of channels, patterns and spectra, the dose and the facts, as JSON."""
        patterns = {
            str(name): {"pixels": one.shape[-1], "counts": float(one.sum())}
            for name, one in self.patterns.items()
        }
        spectra = {
            name: {
                "low": float(one[0, 0]),
                "high": float(one[0, -1]),
                "counts": float(one[1].sum()),
            }
            for name, one in self.spectra.items()
        }
        return {
            "width": self.width,
            "dose": self.dose,
            "channels": [one.to_dict() for one in self.seen],
            "truth": [one.to_dict() for one in self.true],
            "atoms": {str(number): len(places) for number, places in self.atoms.items()},
            "patterns": patterns,
            "spectra": spectra,
            "facts": dict(self.facts),
        }


def _draw(shown: StemShown, title: str, path: Path) -> None:
    true = list(shown.true)[: 2 * _ACROSS - 1]
    below = math.ceil((len(true) + bool(shown.atoms)) / _ACROSS)
    rows = math.ceil(len(shown.seen) / _ACROSS) + 1 + below
    size = (_ACROSS * _WIDE + 0.2, rows * _HIGH + 0.35)
    with drawing_style():
        figure = Figure(figsize=size, facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(0.1 / size[0], 1 - 0.08 / size[1], title, va="top", fontweight="bold")
        panels = _Panels(figure, size)
        for one in shown.seen:
            _frame(panels, one, shown.width)
        panels.next_row()
        for name in shown.patterns.data_vars:
            _pattern(panels.next(), str(name), shown)
        for name, spectrum in shown.spectra.items():
            _spectrum(panels.next(wide=0.15), name, spectrum)
        panels.next_row()
        if shown.atoms:
            _atoms(panels.next(), shown)
        for one in true:
            _frame(panels, one, shown.width)
        figure.savefig(path, format="png", dpi=_DPI)


class _Panels:
    """Places for axes, row by row, in inches."""

    def __init__(self, figure: Figure, size: tuple[float, float]) -> None:
        self.figure, self._size, self._count = figure, size, 0

    def next(self, wide: float = 0.0) -> Axes:
        """Return the next square; `wide` inches wider."""
        left, bottom = self._corner()
        self._count += 1
        return self._axes((left, bottom, _SIDE + wide, _SIDE))

    def bar(self) -> Axes:
        """Return the place of a colour bar right of the last square."""
        self._count -= 1
        left, bottom = self._corner()
        self._count += 1
        return self._axes((left + _SIDE + 0.05, bottom + 0.1, 0.08, _SIDE - 0.2))

    def next_row(self) -> None:
        """Leave what is left of this row empty."""
        self._count = -(-self._count // _ACROSS) * _ACROSS

    def _corner(self) -> tuple[float, float]:
        row, column = divmod(self._count, _ACROSS)
        bottom = self._size[1] - 0.35 - (row + 1) * _HIGH + 0.25
        return 0.35 + column * _WIDE, bottom

    def _axes(self, box: tuple[float, float, float, float]) -> Axes:
        wide, high = self._size
        left, bottom, across, up = box
        return self.figure.add_axes((left / wide, bottom / high, across / wide, up / high))


def _frame(panels: _Panels, picture: Picture, width: float) -> None:
    image = draw_image(panels.next(), picture, width)
    if not picture.labels:
        scale = panels.bar()
        panels.figure.colorbar(image, cax=scale)
        scale.yaxis.set_major_locator(ticks(5))
        scale.tick_params(labelsize=6, length=2)
        scale.spines[:].set_visible(False)


def _pattern(axes: Axes, name: str, shown: StemShown) -> None:
    """Draw a pattern by the logarithm of its counts: most of it lies in the dark."""
    signal = shown.patterns[name]
    values = signal.to_numpy().astype(float)
    edge = float(signal["kx"][-1]) * 1e3
    colours = "inferno" if name == "pattern" else "gray"
    drawn = np.log10(np.maximum(values, 0.5)) if name == "pattern" else values
    axes.imshow(drawn, origin="lower", extent=(-edge, edge, -edge, edge), cmap=colours)
    axes.set_title(f"{name} (mrad)", fontsize=8, loc="left", pad=3)
    axes.tick_params(labelsize=6, length=2)


def _spectrum(axes: Axes, name: str, spectrum: FloatArray) -> None:
    energy, counts = spectrum
    scale = scale_for([float(energy[-1])], "eV")
    axes.semilogy(energy / scale.factor, np.maximum(counts, 0.5), color=RUN, linewidth=0.7)
    axes.set_title(f"{name}, counts over {scale.unit}", fontsize=8, loc="left", pad=3)
    axes.yaxis.set_major_locator(LogLocator(10, numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(_power))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0.4, max(10.0, 2 * float(counts.max())))
    axes.tick_params(labelsize=6, length=2)
    axes.margins(x=0)


def _power(value: float, _: object) -> str:
    """Return a power of ten as it is printed without a formula."""
    return power_of_ten(round(math.log10(value))) if value > 0 else ""


def _atoms(axes: Axes, shown: StemShown) -> None:
    """Draw every atom that is there, in the colour of its element."""
    colours = colormaps["tab10"]
    count = max(1, sum(len(places) for places in shown.atoms.values()))
    dot = float(np.clip(6000 / count, 0.5, 12))
    for index, (number, places) in enumerate(sorted(shown.atoms.items())):
        axes.scatter(
            places[:, 0], places[:, 1], s=dot, color=colours(index % 10), linewidths=0,
            label=_SYMBOLS.get(number, f"Z = {number}"),
        )  # fmt: skip
    half = shown.width / 2
    axes.set_xlim(-half, half)
    axes.set_ylim(-half, half)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("atoms", fontsize=8, loc="left", pad=3)
    axes.legend(
        fontsize=6, loc="upper right", markerscale=4 / dot**0.5, frameon=True, framealpha=0.9,
        borderpad=0.3, handletextpad=0.1,
    )  # fmt: skip
