"""The electron twin beside its truth: frame, spectra, pattern, ronchigram, and what is there."""

from __future__ import annotations

import numpy as np

from nanopilot.app.stem_picture import StemShown
from nanopilot.app.twin_picture import FloatArray, Picture
from nanopilot.core.adjustables import Positioner
from nanopilot.core.capabilities import Camera, PointSpectroscopy, Scanner
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest, from_outside
from nanopilot.twins.stem.twin import StemTwin

#: Fields of the truth that number things.
_LABELS = frozenset(("grain", "phase", "particle", "layer", "domain"))
#: Seconds of the spectra: photons are rare.
_SECONDS = {"energy": 0.1, "xray": 20.0}
#: Atoms that are drawn one by one, at most.
_DRAWN = 20_000


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
