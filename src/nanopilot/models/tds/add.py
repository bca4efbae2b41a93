"""From the pattern of atoms at rest to that of vibrating ones, without running phonons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.models.electron_optics import Lens
from nanopilot.models.multislice import Calculation, Specimen
from nanopilot.models.multislice.patterns import overlaps
from nanopilot.models.tds.coherent import COARSE, Detector, MeanWave, View, mean_wave
from nanopilot.models.tds.diffuse import diffuse
from nanopilot.models.tds.shown import FEATURES, show
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.weights import Card, fill, load_weights

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Part of what the mean wave loses below which a kind of atom does not count.
_TRACE = 0.02
#: By how much of its range a number of training may be exceeded: numbers come from few crystals.
_MARGIN = 0.05
#: Fraction of the beam in a ring below which a relative error means nothing.
_DARK = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """What is known beside the elastic pattern.

    Parameters
    ----------
    lens : Lens
        What formed the beam.
    tilt : (float, float)
        Of the beam along x and y, in radians.
    wave : MeanWave
        What became of the mean wave at the same places, on the same detector.
    """

    lens: Lens
    tilt: tuple[float, float]
    wave: MeanWave

    @property
    def optics(self) -> tuple[float, float, float]:
        """Voltage in volts, convergence angle and size of the tilt in radians."""
        return self.lens.voltage, self.lens.convergence_angle, math.hypot(*self.tilt)

    def facts(self) -> dict[str, tuple[float, float]]:
        """Return least and largest value of what training had a range of, SI units."""
        wave, told = self.wave, {}
        share = wave.lost.sum(axis=(0, 2)) / max(float(wave.lost.sum()), 1e-30)
        kinds = [kind for kind, one in zip(wave.kinds, share, strict=True) if one > _TRACE]
        voltage, convergence, tilt = self.optics
        single = {
            "thickness": wave.depth,
            "voltage": voltage,
            "convergence_angle": convergence,
            "tilt": tilt,
            "angle_per_pixel": wave.view.detector.per_pixel,
        }
        if kinds:
            told["number"] = (float(min(kinds)[0]), float(max(kinds)[0]))
            rms = [one for _, one in kinds]
            told["rms"] = (min(rms), max(rms))
        return told | {name: (value, value) for name, value in single.items()}


def condition(specimen: Specimen, lens: Lens, places: FloatArray, how: Calculation) -> Condition:
    """Return the condition of places: one run of the mean wave.

    Parameters and errors as of `nanopilot.models.multislice.patterns`; `how.phonons` does not
    enter, nor focal spread and source size of the lens.
    """
    (wave,) = mean_wave(specimen, lens, places, how)
    return Condition(lens, how.tilt, wave)


@dataclass(frozen=True, slots=True, eq=False)
class Thermal:
    """Patterns with thermal diffuse scattering, and how sure they are.

    Parameters
    ----------
    patterns : numpy.ndarray
        Fractions of the incident electrons, shape (places, pixels, pixels).
    edges : numpy.ndarray
        Of the annuli, in radians, shape (annuli + 1,).
    error : numpy.ndarray
        Relative standard error of each annulus, shape (places, annuli).
    applies : numpy.ndarray
        Whether the networks hold for it, bool, shape (places,).
    """

    patterns: FloatArray
    edges: FloatArray
    error: FloatArray
    applies: np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class AddThermalScattering:
    """Networks that add thermal diffuse scattering to elastic patterns; see `load_tds`.

    Parameters
    ----------
    members : tuple
        Trained networks; their mean counts.
    card : Card
        What they know.
    """

    members: tuple[Any, ...]
    card: Card

    def __call__(self, elastic: FloatArray, given: Condition, *, refuse: bool = True) -> Thermal:
        """Return patterns as of vibrating atoms.

        The mean wave is kept as it is; what it lost is shared out by the networks over angles, so
        that no electron is made or lost but beyond the detector.

        Parameters
        ----------
        elastic : numpy.ndarray
            Patterns of atoms at rest, fractions of the incident electrons, shape (places, pixels,
            pixels).
        given : Condition
            Of the same places and detector.
        refuse : bool
            Raise where the networks do not hold; False: say so in `Thermal.applies`.

        Raises
        ------
        OutOfRange
            A condition outside training, or networks that disagree.
        SignalError
            `elastic` does not fit the condition.
        """
        view = given.wave.view
        if elastic.shape != view.patterns.shape or not np.isfinite(elastic).all():
            raise SignalError(
                f"`elastic` has shape {elastic.shape}; it is finite, {view.patterns.shape}."
            )
        strange = self.strange(given)
        if strange and refuse:
            raise OutOfRange(f"{strange[0]}: run the full simulation.")
        every = self.coarse(elastic, given)
        mean = every.mean(axis=0)
        apart = _apart(every, mean)
        limit = self.card.known["disagreement"][1]
        if refuse and (apart > limit).any():
            raise OutOfRange(
                f"`elastic` makes the networks disagree by {apart.max():.3g} (R-factor); more than "
                f"{limit:.3g}, noise of 64 phonons, is no answer: run the full simulation."
            )
        patterns = _on_camera(mean, given)
        applies = np.asarray((apart <= limit) & (not strange))
        return Thermal(patterns, self.edges, self._error(every, mean), applies)

    @property
    def edges(self) -> FloatArray:
        """Of annuli, in radians."""
        return np.asarray(self.card.settings["edges"], dtype=np.float64)

    def strange(self, given: Condition) -> list[str]:
        """List in what way a condition is outside of training; empty: in none."""
        found = []
        for name, (least, most) in given.facts().items():
            low, high = self.card.known[name]
            if not (low * (1 - 1e-9) <= least and most <= high * (1 + 1e-9)):
                value = f"{least:g}" if least == most else f"from {least:g} to {most:g}"
                found.append(f"`{name}` is {value}; the networks know {low:g} to {high:g}")
        if found:
            return found
        seen = np.stack([one.numbers for one in show(_coarse(given.wave.view.patterns, given),
                                                     given.wave, given.optics)])  # fmt: skip
        for name, values in zip(FEATURES, seen.T, strict=True):
            low, high = self.card.known[name]
            slack = _MARGIN * (high - low)
            # Where next to nothing is lost, there is nothing to be wrong about.
            some = values[seen[:, FEATURES.index("log_lost")] > math.log(1e-3)]
            if (
                name != "log_lost"
                and some.size
                and not (low - slack <= some.min() and some.max() <= high + slack)
            ):
                found.append(
                    f"`{name}` goes from {some.min():.3g} to {some.max():.3g}; the networks "
                    f"know {low:.3g} to {high:.3g}"
                )
        return found

    def coarse(self, elastic: FloatArray, given: Condition) -> FloatArray:
        """Return what each network says on its own detector, shape (members, places, 64, 64)."""
        from nanopilot.models.recipes.tds import pack

        known = min(given.wave.view.detector.reach, COARSE.reach)
        shown = show(_coarse(elastic, given), given.wave, given.optics)
        return self.say(np.stack([pack(one, known) for one in shown]))

    def say(self, planes: Any) -> FloatArray:
        """Return what each network says of planes as of `nanopilot.models.recipes.tds.pack`."""
        torch = need_torch()
        with torch.no_grad():
            said = [member(torch.from_numpy(planes))[:, 0].numpy() for member in self.members]
        return np.stack(said).astype(np.float64)

    def _error(self, every: FloatArray, mean: FloatArray) -> FloatArray:
        from nanopilot.models.recipes.tds import rings

        inside = rings().T.astype(np.float64)
        rows = every.reshape(*every.shape[:2], -1) @ inside
        middle = mean.reshape(len(mean), -1) @ inside
        spread = rows.std(axis=0) / np.maximum(middle, _DARK)
        return np.asarray(np.hypot(spread, np.asarray(self.card.settings["error_of_rings"])))


def _coarse(patterns: FloatArray, given: Condition) -> FloatArray:
    """Return patterns on `COARSE`, dark where the camera does not reach."""
    detector = given.wave.view.detector
    if detector == COARSE:
        return patterns
    angles: FloatArray = np.asarray(detector.calculation().angles())
    onto = overlaps(angles, detector.per_pixel, COARSE.calculation())
    return np.asarray(onto @ patterns @ onto.T)


def _on_camera(mean: FloatArray, given: Condition) -> FloatArray:
    """Return patterns on the camera: its own estimate, times the gain on `COARSE` in between."""
    wave, view = given.wave, given.wave.view
    if view.detector == COARSE:
        return mean
    once = diffuse(wave, wave.coarse, given.lens.voltage)[0]
    gain = (mean - wave.coarse.patterns) / np.maximum(once, 1e-15)
    own = diffuse(wave, view, given.lens.voltage)[0]
    found: FloatArray = view.patterns + own * _between(gain, view)
    return found


def _between(gain: FloatArray, view: View) -> FloatArray:
    """Interpolate pictures on `COARSE` at the pixels of a detector, linearly."""
    mine: Detector = view.detector
    angles = (np.arange(mine.pixels) - mine.pixels // 2) * mine.per_pixel
    place = np.clip(angles / COARSE.per_pixel + COARSE.pixels // 2, 0, COARSE.pixels - 1)
    low = np.minimum(place.astype(int), COARSE.pixels - 2)
    onto = np.zeros((mine.pixels, COARSE.pixels))
    rows = np.arange(mine.pixels)
    onto[rows, low], onto[rows, low + 1] = 1 - (place - low), place - low
    return np.asarray(onto @ gain @ onto.T)


def _apart(every: FloatArray, mean: FloatArray) -> FloatArray:
    """Return by how much members differ from their mean, as R-factors, shape (places,)."""
    from nanopilot.models.recipes.tds import disc

    mean, every = mean * disc(), every * disc()
    roots = np.sqrt(np.maximum(mean, 0.0))
    off = np.abs(np.sqrt(np.maximum(every, 0.0)) - roots).sum(axis=(2, 3)).mean(axis=0)
    return np.asarray(off / np.maximum(roots.sum(axis=(1, 2)), 1e-12))


@lru_cache(maxsize=4)
def load_tds(name: str = "tds", folder: Path | None = None) -> AddThermalScattering:
    """Return the networks that ship, or others of the same kind.

    Parameters
    ----------
    name : str
        Of the weights.
    folder : Path, optional
        Where they are, if they do not ship.

    Raises
    ------
    MissingExtra
        PyTorch or safetensors is not installed.
    UnknownName, Tampered, ReadError
        There are no such weights, or they are not those of their card, or of something else.
    """
    from nanopilot.models.recipes.tds import Member, TdsShape

    need_torch()
    tensors, card = load_weights(name, folder, "tds")
    shape = TdsShape(**{key: int(card.settings[key]) for key in ("members", "width", "hidden")})
    members = []
    for number in range(shape.members):
        member = Member(shape)
        prefix = f"{number}."
        own = {key.removeprefix(prefix): value
               for key, value in tensors.items() if key.startswith(prefix)}  # fmt: skip
        fill(member.parts, own)
        members.append(member)
    return AddThermalScattering(tuple(members), card)
