"""The networks that look at pictures: what they are shown by their users, and how they are asked.

One more is one more line in `NETS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.models.weights import FOLDER

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a user has.

    Parameters
    ----------
    frame : Signal
        Dims (y, x).
    tip : numpy.ndarray, optional
        Shape of the tip in metres, for networks that need it.
    slack : float
        Metres that noise makes.
    """

    frame: Signal
    tip: FloatArray | None = None
    slack: float = 1e-15

    def showing(self, values: FloatArray, pixel_size: float | None = None) -> Picture:
        """Return another picture, of the same range, quantity, tip, and, if not said, pixel size.

        Parameters
        ----------
        values : numpy.ndarray
            Shape (rows, columns).
        pixel_size : float, optional
            Metres.
        """
        own = self.frame.to_numpy()
        low, high = float(own.min()), float(own.max())
        scaled = (values - values.min()) / (float(np.ptp(values)) or 1.0) * (high - low) + low
        size = self.pixel_size if pixel_size is None else pixel_size
        made = framed(scaled, size, self.frame.attrs["quantity"], self.frame.attrs["units"])
        return replace(self, frame=made)

    @property
    def pixel_size(self) -> float:
        """Metres."""
        return abs(float(self.frame["x"][1] - self.frame["x"][0]))


@dataclass(frozen=True, slots=True)
class Net:
    """A network, its pictures, and who says how strange a picture is.

    Parameters
    ----------
    weights : str
        Name of its weights; where they do not ship, it is not asked.
    modality : str
        Instrument that its pictures are of: those of another are strange.
    own : callable
        Draws an own picture.
    strangeness : callable
        Of a picture; above 1: the network abstains.
    sizes : {"metres", "pixels", "any"}
        How a pixel size can be wrong: the file says a wrong one, and the network believes it; the
        scan is of another magnification, and the network thinks in pixels; or not at all, since
        the network finds out by itself how large things are.
    """

    weights: str
    modality: str
    own: Callable[[np.random.Generator], Picture]
    strangeness: Callable[[Picture], float]
    sizes: Literal["metres", "pixels", "any"]

    @property
    def ships(self) -> bool:
        """Whether there are weights."""
        return (FOLDER / f"{self.weights}.safetensors").exists()


def framed(
    values: FloatArray, pixel_size: float, quantity: str = "height", units: str = "m"
) -> Signal:
    """Return values as a frame."""
    axes = {
        dim: Axis(np.arange(size) * pixel_size, "m", "position")
        for dim, size in zip(("y", "x"), values.shape, strict=True)
    }
    return make_signal(values, axes, quantity=quantity, units=units)


# ---- tips


def _state_own(rng: np.random.Generator) -> Picture:
    from nanopilot.workflows.known_pictures import state_picture

    return Picture(framed(state_picture(rng), 2e-9))


def _state(picture: Picture) -> float:
    from nanopilot.analysis.tip.learned_state import load_tip_state

    return load_tip_state().strangeness(picture.frame.to_numpy())


def _refiner_own(rng: np.random.Generator) -> Picture:
    from nanopilot.workflows.known_pictures import refiner_scan

    scan = refiner_scan(rng)
    return Picture(framed(scan.image, 1e-9), scan.shape, max(3 * scan.noise, 1e-15))


def _refiner(name: str) -> Callable[[Picture], float]:
    def ask(picture: Picture) -> float:
        from nanopilot.analysis.tip.refine import load_refiner

        tip = picture.tip if picture.tip is not None else np.zeros((1, 1))
        return load_refiner(name).strangeness(picture.frame.to_numpy(), tip, picture.slack)

    return ask


def _predictor_own(rng: np.random.Generator) -> Picture:
    from nanopilot.workflows.known_pictures import predictor_picture

    return Picture(framed(20e-9 * predictor_picture(rng), 1e-9))


def _predictor(picture: Picture) -> float:
    from nanopilot.analysis.tip.predict import load_predictor

    values = picture.frame.to_numpy()
    return 2.0 if load_predictor()(values, picture.pixel_size).stranger else 0.5


# ---- grains, particles, defects


def _grains_own(rng: np.random.Generator) -> Picture:
    from nanopilot.workflows.grain_scenes import FAMILIES, scan_grains

    names = sorted(FAMILIES)
    values = scan_grains(rng, names[int(rng.integers(len(names)))]).image
    return Picture(framed(values * 1e-9, 5e-9))


def _grains(picture: Picture) -> float:
    from nanopilot.analysis.grains import strangeness

    return float(strangeness(picture.frame))


def _particles_own(rng: np.random.Generator) -> Picture:
    from nanopilot.workflows.particle_frames import draw_frame

    return Picture(framed(draw_frame(rng).image, 0.2e-9, "intensity", "1"))


def _particles(picture: Picture) -> float:
    from nanopilot.analysis.particles.learned import strangeness

    return float(strangeness(picture.frame))


def _defects_own(rng: np.random.Generator) -> Picture:
    from nanopilot.workflows.defect_lattices import LATTICES, draw_lattice

    names = sorted(LATTICES)
    return Picture(draw_lattice(names[int(rng.integers(len(names)))], rng))


def _defects(picture: Picture) -> float:
    from nanopilot.analysis.atom_graphs.strangeness import strangeness

    return float(strangeness(picture.frame))


_AFM, _ATOMS, _TEM = "force microscope", "atoms in an electron microscope", "electron microscope"
NETS: Mapping[str, Net] = {
    "tip-state": Net("tip-state", _AFM, _state_own, _state, "pixels"),
    "tip-refiner": Net("tip-refiner", _AFM, _refiner_own, _refiner("tip-refiner"), "pixels"),
    "tip-refiner-residual": Net(
        "tip-refiner-residual", _AFM, _refiner_own, _refiner("tip-refiner-residual"), "pixels"
    ),
    "tip-predictor": Net("tip-predictor", _AFM, _predictor_own, _predictor, "pixels"),
    "grains": Net("grains", _AFM, _grains_own, _grains, "any"),
    "particles": Net("particles", _TEM, _particles_own, _particles, "pixels"),
    "defects": Net("defects", _ATOMS, _defects_own, _defects, "metres"),
}


@lru_cache(maxsize=1)
def shipped() -> Mapping[str, Net]:
    """Return the networks whose weights ship."""
    return {name: net for name, net in NETS.items() if net.ships}
