"""Frames that a twin gives of a matching scene: of a crystal, or of a picture that stands still."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.limits import Area
from nanopilot.core.requests import ScanRequest, from_outside
from nanopilot.models.electron_optics import CHARGE, Lens
from nanopilot.twins.stem.contrast import vacuum_fraction
from nanopilot.twins.stem.render import Renderer
from nanopilot.twins.stem.samples.matter import Layered
from nanopilot.twins.stem.scene import Scene, flat, no_atoms
from nanopilot.twins.stem.settings import Annulus, StemSettings
from nanopilot.twins.stem.twin import StemTwin
from nanopilot.workflows.fit_stem.frames import FloatArray, StemFrames
from nanopilot.workflows.fit_stem.seen import Seen

#: Pixels over which a picture without a lattice is smoothed at most.
_WIDEST = 3.0


class Still(Renderer):
    """A picture that is already blurred by its own lens; other lenses do not change it.

    Parameters
    ----------
    fraction : numpy.ndarray
        Of the beam, shape (rows, columns); its middle is at (0, 0). Beyond it, its edge.
    pixel : float
        Metres.
    lens : Lens
        Of the twin that scans it.
    ring : (str, Annulus)
        Name and angles of the detector.
    """

    def __init__(
        self, fraction: FloatArray, pixel: float, lens: Lens, ring: tuple[str, Annulus]
    ) -> None:
        super().__init__(no_atoms(), lens, dict([ring]))
        self._pixel = pixel
        share = vacuum_fraction(ring[1], lens.convergence_angle)
        kept = np.clip(fraction, 1e-9, 0.999)
        # The inverse of `contrast.fractions`.
        self._exponent = share * np.log(kept / share) if share else -np.log1p(-kept)

    def values(self, x: Any, y: Any, height: Any = 0.0) -> Any:
        """Return exponents at places x, y (m), shape (1, *x.shape); heights do not matter."""
        del height
        rows, columns = self._exponent.shape
        at = [np.asarray(y) / self._pixel + (rows - 1) / 2,
              np.asarray(x) / self._pixel + (columns - 1) / 2]  # fmt: skip
        found = map_coordinates(self._exponent, at, order=3, mode="nearest")
        return found[None].astype(np.float32)


def still_scene(frames: StemFrames) -> Scene:
    """Return a scene with nothing in it, as large as the frames and what they may drift."""
    half = 2 * max(frames.width)
    return Scene("still", Area(x=(-half, half), y=(-half, half)), no_atoms(), Layered(()), flat)


def denoised(seen: Seen) -> FloatArray:
    """Return the first frame in counts with as little noise as is honest.

    With a lattice its model, lines put right, and where that fails the frame itself smoothed; of
    other frames what a Gaussian leaves that is as wide as the lens' own blur, three pixels at most.
    """
    frame = seen.frames.counts[0]
    if not seen.lattice:
        fine = 0.25 / seen.lens.cutoff / seen.frames.pixel
        return np.asarray(gaussian_filter(frame, float(np.clip(fine, 1.0, _WIDEST))))
    fit = seen.lattice[0]
    straight: FloatArray = fit.model - fit.slope_x * fit.shifts[:, None]
    rest = gaussian_filter(np.where(fit.used, 0.0, fit.residual), 2.0)
    return np.asarray(straight + rest)


def fraction_of(picture: FloatArray, ring: Annulus, electrons: float) -> FloatArray:
    """Return the fraction of the beam that counts stand for.

    Parameters
    ----------
    picture : numpy.ndarray
        Counts.
    ring : Annulus
        Gain and offset.
    electrons : float
        Of the beam in one dwell.
    """
    lit = (picture - ring.offset) / (ring.gain * ring.efficiency * electrons)
    return np.asarray(np.clip(lit, 0.0, 0.99))


def electrons_of(frames: StemFrames, settings: StemSettings) -> float:
    """Return electrons of the beam in one dwell."""
    return settings.current * frames.dwell / CHARGE


def scanned(
    frames: StemFrames,
    scene: Scene,
    settings: StemSettings,
    seed: int,
    picture: FloatArray | None = None,
) -> FloatArray:
    """Scan a scene once as the frames were, and return counts, shape (rows, columns).

    Parameters
    ----------
    frames : StemFrames
        Shape, width, dwell time and detector.
    scene : Scene
        What is there.
    settings : StemSettings
        The instrument.
    seed : int
        Of its noise.
    picture : numpy.ndarray, optional
        Fractions of the beam that stand still, instead of what the scene has.
    """
    twin = StemTwin(scene, VirtualClock(), settings=settings, seed=seed)
    name = frames.told.detector
    if picture is not None:
        ring = settings.detectors.named()[name]
        twin.truth.pictures[(name,)] = Still(picture, frames.pixel, settings.lens, (name, ring))
    request = from_outside(
        ScanRequest, centre=(0.0, 0.0), field_of_view=frames.width,
        shape=frames.counts.shape[1:], channels=(name,), dwell_time=frames.dwell,
    )  # fmt: skip
    found = twin.capability(Scanner).start(request).result()[name]
    counts: FloatArray = found.transpose("y", "x").to_numpy().astype(float)
    return counts
