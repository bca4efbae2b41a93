"""The electron twin beside its truth: frame, spectra, pattern, ronchigram, and what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.app.twin_picture import Picture
from nanopilot.core.adjustables import Positioner
from nanopilot.core.capabilities import Camera, PointSpectroscopy, Scanner
from nanopilot.core.errors import Unsupported
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest, from_outside
from nanopilot.core.signals import SignalSet
from nanopilot.twins.stem.twin import StemTwin

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Fields of the truth that number things.
_LABELS = frozenset(("grain", "phase", "particle", "layer", "domain"))
#: Seconds of the spectra: photons are rare.
_SECONDS = {"energy": 0.1, "xray": 20.0}
#: Atoms that are drawn one by one, at most.
_DRAWN = 20_000


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
        from nanopilot.app.stem_picture import draw_stem

        if path.suffix.lower() != ".png":
            raise Unsupported(f"`out` is {path}; the picture is a PNG, so let it end in .png.")
        draw_stem(self, title, path)

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


def look_stem(twin: StemTwin, *, lines: int = 256, width: float | None = None) -> StemShown:
    """Take a frame, spectra, a pattern and a ronchigram in the middle; put the truth beside it.

    Parameters
    ----------
    twin : StemTwin
        What is looked at; the beam does to it what it does.
    lines : int
        Rows and columns of the frame.
    width : float, optional
        Of the frame in metres; the whole sample, or 5 nm where atoms are known, if not given.
    """
    scene, settings = twin.truth.scene, twin.truth.settings
    # Long enough to see something; a user who saves dose asks for less.
    dwell = 5 * settings.dwell_time
    area = scene.area
    if width is None:
        whole = min(area.x[1] - area.x[0], area.y[1] - area.y[0])
        width = min(whole, 5e-9 if len(scene.atoms) else 2 * settings.scan_range)
    request = from_outside(
        ScanRequest, centre=(0.0, 0.0), field_of_view=(width, width), shape=(lines, lines),
        dwell_time=dwell,
    )  # fmt: skip
    before = twin.truth.delivered
    frame = twin.capability(Scanner).start(request).result()
    given = (twin.truth.delivered - before) / width**2
    twin.capability(Positioner).set(x=0.0, y=0.0)
    patterns = twin.capability(Camera).start(CameraRequest()).result().isel(frame=0)
    spectra = {}
    for mode in twin.describe().spectra:
        seconds = {"exposure": _SECONDS[mode.kind]}
        asked = SpectrumRequest(position=(0.0, 0.0), kind=mode.kind, parameters=seconds)
        taken = twin.capability(PointSpectroscopy).start(asked).result()
        for name, one in taken.items():
            spectra[str(name)] = np.stack([taken["energy"].to_numpy(), one.to_numpy()])
    seen = tuple(
        Picture(str(name), one.attrs["quantity"], one.attrs["units"], one.to_numpy())
        for name, one in frame.items()
    )
    axis = np.linspace(-width / 2, width / 2, lines)
    x, y = np.meshgrid(axis, axis)
    true = tuple(
        Picture(name, *scene.meaning[name], scene.at(name, x, y), labels=name in _LABELS)
        for name in scene.fields
    )
    return StemShown(seen, true, _atoms(twin, width), patterns, spectra, width, given, scene.facts)


def _atoms(twin: StemTwin, width: float) -> dict[int, FloatArray]:
    """Return the atoms under the frame, where they are not too many to be drawn."""
    atoms = twin.truth.atoms
    inside = (np.abs(atoms.position[:, :2]) <= width / 2).all(axis=1)
    if not 0 < inside.sum() <= _DRAWN:
        return {}
    places, numbers = atoms.position[inside, :2], atoms.number[inside]
    return {int(number): places[numbers == number] for number in np.unique(numbers)}
