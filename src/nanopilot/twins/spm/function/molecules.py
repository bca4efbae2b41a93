"""What moves on the surface by itself, between frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nanopilot.twins.spm.sample import Sample
    from nanopilot.twins.spm.world import World

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Fact of a sample that has molecules, and layer of the surface below them.
FACT, GROUND = "molecules", "ground"


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Where every molecule is at any time.

    Parameters
    ----------
    times : numpy.ndarray
        Seconds, ascending, shape (n,).
    places : numpy.ndarray
        (x, y) in metres, shape (n, molecules, 2); a straight way in between, at rest before the
        first time and after the last.
    radius, height : float
        Of the parabolic cap that a molecule is, in metres.
    """

    times: FloatArray
    places: FloatArray
    radius: float
    height: float

    @classmethod
    def of(cls, fact: dict[str, Any]) -> Tracks:
        """Read them from the facts of a sample."""
        places = np.stack([np.array(fact["x"]), np.array(fact["y"])], axis=-1)
        return cls(np.array(fact["times"]), places, fact["radius"], fact["height"])

    @property
    def fact(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "times": self.times.tolist(),
            "x": self.places[..., 0].tolist(),
            "y": self.places[..., 1].tolist(),
            "radius": self.radius,
            "height": self.height,
        }

    def at(self, time: float) -> FloatArray:
        """Return (x, y) of every molecule in metres, shape (molecules, 2)."""
        after = int(np.clip(np.searchsorted(self.times, time), 1, self.times.size - 1))
        began, ended = self.times[after - 1 : after + 1]
        share = float(np.clip((time - began) / (ended - began), 0.0, 1.0))
        where: FloatArray = (1 - share) * self.places[after - 1] + share * self.places[after]
        return where


def covered(ground: FloatArray, pitch: float, tracks: Tracks, time: float) -> FloatArray:
    """Return a surface with the molecules on it; where two overlap, the higher one is seen.

    Parameters
    ----------
    ground : numpy.ndarray
        Heights in metres, shape (rows, columns).
    pitch : float
        Metres from pixel to pixel.
    tracks : Tracks
        Of the molecules.
    time : float
        Seconds.
    """
    rows, columns = ground.shape
    raised = np.zeros_like(ground)
    reach = tracks.radius / pitch
    for x, y in tracks.at(time):
        row, column = y / pitch + (rows - 1) / 2, x / pitch + (columns - 1) / 2
        i = np.arange(max(int(row - reach), 0), min(int(row + reach) + 2, rows))
        j = np.arange(max(int(column - reach), 0), min(int(column + reach) + 2, columns))
        square = ((i[:, None] - row) ** 2 + (j - column) ** 2) / reach**2
        cap = tracks.height * np.maximum(1 - square, 0.0)
        window = raised[i[0] : i[-1] + 1, j[0] : j[-1] + 1] if i.size and j.size else None
        if window is not None:
            np.maximum(window, cap, out=window)
    surface: FloatArray = ground + raised
    return surface


@dataclass
class Movement:
    """Moves the molecules of a world to where they are by now; the tip finds them there.

    A frame sees each where it was when the frame began: they move between frames.

    Parameters
    ----------
    tracks : Tracks
        Where they go.
    ground : numpy.ndarray
        The surface without them, in metres.
    """

    tracks: Tracks
    ground: FloatArray
    _before: FloatArray | None = field(default=None, init=False)

    def __call__(self, world: World) -> None:
        """Let them move; what else has been done to the surface stays done."""
        pitch, now = world.sample.pitch, world.clock.now()
        before = self.shown(world)
        after = covered(self.ground, pitch, self.tracks, now)
        if np.array_equal(after, before):
            return
        # A difference of equal numbers is nothing at all, so that only dents are carried over.
        world.height = after + (world.height - before)
        self._before = after
        world.change_surface("molecules moved")

    def shown(self, world: World) -> FloatArray:
        """Return the surface with the molecules where they were last put."""
        return world.sample.height if self._before is None else self._before

    def recall(self, shown: FloatArray) -> None:
        """Take over what `shown` returned."""
        self._before = shown


def movement(sample: Sample) -> Movement | None:
    """Return what moves on a sample; None: nothing."""
    if FACT not in sample.facts or GROUND not in sample.layers:
        return None
    return Movement(Tracks.of(sample.facts[FACT]), sample.layers[GROUND])
