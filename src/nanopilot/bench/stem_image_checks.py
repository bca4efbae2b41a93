"""Experiments on an electron twin: its beam, its transfer, and where the beam really goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nanopilot.bench.stem_checks import UNHURT, FloatArray, Physics, scan, scene_of
from nanopilot.bench.stem_theory import (
    RoundBeam,
    electron_wavelength,
    radius_of_half,
    zeros_of_transfer,
)
from nanopilot.core.adjustables import Focus, Stage
from nanopilot.core.signals import SignalSet
from nanopilot.twins.stem.twin import StemTwin

#: Of a detector that adds nothing of its own.
_CLEAN = {"offset": 0.0, "noise": 0.0, "bits": 0, "gain": 1.0}
_HAADF = {"inner": 60e-3, "outer": 180e-3} | _CLEAN
#: Electrons enough that their noise does not matter.
_BRIGHT = {"current": 1e-8, "detectors": {"haadf": _HAADF}, "damage": UNHURT}
#: Radius in metres within which a beam is counted.
_WHOLE = 1.2e-9
#: Metres between atoms that have nothing to do with each other.
_APART = 2e-9


def beam(physics: Physics, rng: np.random.Generator) -> Mapping[str, float]:
    """Return relative errors of the radius that holds half of the image of a single atom.

    Gold is imaged in dark field. An atom is not a point: theory sends its own beam through it,
    place by place, and blurs the image by source and vibration. Both are counted within the same
    1.2 nm. ``beam`` is the largest of three lenses as they are; ``sharp`` is that of a source so
    small, and so far out of focus, that phases of scattering tell under- from overfocus, which the
    twin leaves out.
    """
    errors = []
    for _ in range(3):
        focus, source = float(rng.uniform(-0.5, 0.5)), float(rng.uniform(30e-12, 80e-12))
        errors.append(_of_atom(physics, rng, focus, source))
    sharp = _of_atom(physics, rng, float(rng.choice([-0.8, 0.8])), 15e-12)
    return {"beam": float(np.max(errors)), "sharp": sharp}


def _of_atom(physics: Physics, rng: np.random.Generator, focus: float, source: float) -> float:
    """Return the error for a defocus in units of wavelength / angle² and a source size in m."""
    voltage = float(rng.choice([80e3, 100e3, 200e3, 300e3]))
    angle, rms = float(rng.uniform(15e-3, 30e-3)), float(rng.uniform(3e-12, 9e-12))
    chromatic, energy = float(rng.uniform(0.5e-3, 1.5e-3)), 0.3
    lens = {
        "voltage": voltage, "convergence_angle": angle, "source_size": source,
        "chromatic": chromatic, "energy_spread": energy,
    }  # fmt: skip
    place = rng.uniform(-1e-10, 1e-10, 2)
    sample = scene_of(place[None], rms=rms)
    twin = physics.twin(sample, int(rng.integers(1000)), lens=lens, **_BRIGHT)
    twin.capability(Focus).set(defocus=focus * electron_wavelength(voltage) / angle**2)
    frame = scan(twin, field_of_view=(2.56e-9, 2.56e-9), shape=(257, 257), centre=tuple(place))
    ratio = voltage / 510_998.95
    told = RoundBeam(
        voltage, angle, defocus=-twin.capability(Focus).get("defocus"),
        focal_spread=chromatic * energy / voltage * (1 + ratio) / (1 + ratio / 2),
        blur=math.hypot(source, rms),
    )  # fmt: skip
    axis = np.asarray((np.arange(257) - 128) * 1e-11, dtype=float)
    image = told.atom(79, (_HAADF["inner"], _HAADF["outer"]), 257, 1e-11)
    return abs(_half(frame, place) / radius_of_half(image, axis, axis, _WHOLE) - 1)


def _half(frame: SignalSet, place: FloatArray) -> float:
    x, y = frame["x"].to_numpy() - place[0], frame["y"].to_numpy() - place[1]
    return radius_of_half(frame["haadf"].to_numpy(), x, y, _WHOLE)


def transfer(physics: Physics, rng: np.random.Generator) -> float:
    """Return the largest relative error of where rings of a focal series vanish.

    Bright field of an amorphous film of carbon through a small detector, which by reciprocity has
    the transfer of coherent phase contrast (J. M. Cowley, Appl. Phys. Lett. 15 (1969) 58). The
    lens has spherical aberration, so that under- and overfocus differ.
    """
    voltage, angle = float(rng.choice([100e3, 200e3, 300e3])), 12e-3
    # So that angles up to the edge of the aperture have the same phase at every voltage.
    scale = electron_wavelength(voltage) / electron_wavelength(200e3)
    spherical = float(rng.uniform(0.2e-3, 0.25e-3)) * scale
    small = {"inner": 0.0, "outer": 0.4e-3} | _CLEAN
    twin = physics.twin(
        scene_of(films={"carbon": float(rng.uniform(4e-9, 8e-9))}), int(rng.integers(1000)),
        current=1e-8, damage=UNHURT, detectors={"bf": small},
        lens={
            "voltage": voltage, "convergence_angle": angle, "aberrations": {"C3": spherical},
        },
    )  # fmt: skip
    errors = []
    for focus in (*rng.uniform(90e-9, 160e-9, 2), float(rng.uniform(-160e-9, -90e-9))):
        told = float(focus) * scale
        twin.capability(Focus).set(defocus=told)
        pixel = electron_wavelength(voltage) / (4.4 * angle)
        side = pixel * 767
        frame = scan(
            twin, shape=(768, 768), field_of_view=(side, side), dwell_time=1e-3, channels=("bf",)
        )
        highest = 0.85 * angle / electron_wavelength(voltage)
        zeros = zeros_of_transfer(voltage, -told, spherical, highest)
        errors.append(ring_error(frame["bf"].to_numpy(), pixel, zeros))
    return float(np.max(errors))


def ring_error(image: FloatArray, pixel: float, zeros: FloatArray) -> float:
    """Return how far the dark rings of a diffractogram are from where they should be, relatively.

    Every zero is compared with the dark ring that is nearest in order: the n-th zero with the n-th
    minimum, the first being that between the first two bright rings.
    """
    k, power = radial_power(image, pixel)
    found = minima(k, power, float(zeros[0]) * 0.5, float(zeros[-1]) * 1.02)
    if len(zeros) < 3 or abs(len(found) - len(zeros)) > 1:
        return math.nan
    count = min(len(found), len(zeros))
    return float(np.abs(found[:count] / zeros[:count] - 1).max())


def radial_power(image: FloatArray, pixel: float) -> tuple[FloatArray, FloatArray]:
    """Return frequencies (1/m) and the mean power of a square image on circles of each."""
    count = len(image)
    window = np.hanning(count)
    power = np.abs(np.fft.fft2((image - image.mean()) * np.outer(window, window))) ** 2
    axis = np.fft.fftfreq(count, pixel)
    ring = np.rint(np.hypot(axis[:, None], axis[None, :]) * count * pixel).astype(int).ravel()
    mean = np.bincount(ring, power.ravel()) / np.bincount(ring)
    return np.arange(len(mean)) / (count * pixel), mean


def minima(k: FloatArray, power: FloatArray, low: float, high: float) -> FloatArray:
    """Return where the logarithm of a smoothed power has its minima, between two frequencies."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    smooth = -np.log(gaussian_filter1d(power, 1.0))
    dips, _ = find_peaks(smooth, prominence=0.4)
    dips = dips[(k[dips] >= low) & (k[dips] <= high)]
    before, at, after = smooth[dips - 1], smooth[dips], smooth[dips + 1]
    offset = (before - after) / (2 * (before - 2 * at + after))
    found: FloatArray = k[dips] + offset * (k[1] - k[0])
    return found


def lattice(rows: int) -> FloatArray:
    """Return places of a square of atoms, (x, y) in metres, shape (rows², 2)."""
    axis = (np.arange(rows) - (rows - 1) / 2) * _APART
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def located(frame: SignalSet, expected: FloatArray) -> FloatArray:
    """Return where atoms appear, (x, y) in metres: centres of mass near where they should."""
    x, y = frame["x"].to_numpy(), frame["y"].to_numpy()
    values, found = frame["haadf"].to_numpy(), []
    for place in expected:
        centre = place.copy()
        for _ in range(6):
            inside = np.hypot(y[:, None] - centre[1], x[None, :] - centre[0]) < 0.35 * _APART
            weight = np.where(inside, values, 0.0)
            centre = np.array([weight.sum(0) @ x, weight.sum(1) @ y]) / weight.sum()
        found.append(centre)
    return np.array(found)


def _of_lattice(twin: StemTwin, rows: int = 3) -> FloatArray:
    side = rows * _APART
    frame = scan(twin, field_of_view=(side, side), shape=(64 * rows, 64 * rows), dwell_time=2e-6)
    return located(frame, lattice(rows))


def drift(physics: Physics, rng: np.random.Generator) -> float:
    """Return the relative error of the drift between two frames, (x, y) as one vector."""
    true = rng.uniform(2e-12, 8e-12, 2) * rng.choice([-1, 1], 2)
    twin = physics.twin(scene_of(lattice(3)), 1, motion={"drift": tuple(true)}, **_BRIGHT)
    began, first = twin.clock.now(), _of_lattice(twin)
    twin.clock.sleep(float(rng.uniform(20.0, 60.0)))
    lasted = twin.clock.now() - began
    found = (_of_lattice(twin) - first).mean(axis=0) / lasted
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def distortion(physics: Physics, rng: np.random.Generator) -> Mapping[str, float]:
    """Return relative errors of scale and shear of the coils: atoms against where they are."""
    scale, shear = rng.uniform(0.02, 0.06, 2) * rng.choice([-1, 1], 2)
    places = lattice(3)
    told = {"scale": scale, "shear": shear}
    twin = physics.twin(scene_of(places), 1, motion=told, **_BRIGHT)
    seen = _of_lattice(twin)
    basis = np.column_stack([seen, np.ones(len(seen))])
    fit = np.linalg.lstsq(basis, places, rcond=None)[0]
    return {
        "scale": abs(float(fit[0, 0] - 1) / scale - 1), "shear": abs(float(fit[1, 0]) / shear - 1)
    }  # fmt: skip


def shaking(physics: Physics, rng: np.random.Generator, rows: int = 8000) -> Mapping[str, float]:
    """Return errors of line jitter and of amplitude, frequency and phase of the hum.

    All are relative but that of the phase, which is in radians, half way through the experiment.
    One atom is crossed by the same line, `rows` times in each of three frames. The phase of the
    first harmonic of a line tells where the atom was; a sine is fitted, and what is left is the
    jitter. NaN: a hum that does not stand out of what is left has no frequency.
    """
    jitter, hum = float(rng.uniform(5e-12, 15e-12)), float(rng.uniform(20e-12, 40e-12))
    hertz, width, columns = float(rng.uniform(45, 65)), 2e-9, 48
    told = {"jitter": jitter, "mains": hum, "mains_frequency": hertz}
    twin = physics.twin(scene_of(np.zeros((1, 2))), int(rng.integers(1000)), motion=told, **_BRIGHT)
    # The last pixel of a period is the first of the next.
    field = (width * (columns - 1) / columns, 0.0)
    frame = scan(twin, field_of_view=field, shape=(rows, columns), dwell_time=1e-5, frames=3)
    turned = np.exp(-2j * np.pi * frame["x"].to_numpy() / width)
    seen = -np.angle(frame["haadf"].to_numpy() @ turned).ravel() * width / (2 * np.pi)
    times = frame["time"].to_numpy()[..., columns // 2].ravel()
    frequency, sine = fitted_sine(times, seen, (40.0, 70.0))
    # What the beam is ahead of, the atom is behind.
    there = np.exp(-2j * np.pi * hertz * times)
    phase = float(np.angle(np.sum(-sine[1] * there) * 1j))
    left, found = float(np.std(seen - sine[0] - sine[1])), float(np.ptp(sine[1])) / 2
    if found < max(10 * left * math.sqrt(2 / len(seen)), 1e-12):
        frequency = phase = math.nan
    return {
        "jitter": abs(left / jitter - 1),
        "mains": abs(found / hum - 1),
        "mains_frequency": abs(frequency / hertz - 1),
        "mains_phase": abs(phase),
    }


def fitted_sine(
    times: FloatArray, values: FloatArray, band: tuple[float, float]
) -> tuple[float, tuple[float, FloatArray]]:
    """Return the frequency (Hz) of the sine that fits best, and its mean and values."""
    from scipy.optimize import minimize_scalar

    def fit(hertz: float) -> tuple[float, FloatArray, FloatArray]:
        angle = 2 * np.pi * hertz * times
        basis = np.column_stack([np.sin(angle), np.cos(angle), np.ones_like(angle)])
        found = np.linalg.lstsq(basis, values, rcond=None)[0]
        return float(np.sum((values - basis @ found) ** 2)), found, basis

    step = 0.3 / float(np.ptp(times))
    tried = np.arange(band[0], band[1], step)
    centred = values - values.mean()
    strength = [abs(np.exp(-2j * np.pi * one * times) @ centred) for one in tried]
    best = float(tried[np.argmax(strength)])
    near: Any = minimize_scalar(
        lambda one: fit(one)[0], bounds=(best - step, best + step), method="bounded"
    )
    _, found, basis = fit(float(near.x))
    return float(near.x), (float(found[2]), basis[:, :2] @ found[:2])


def backlash(physics: Physics, rng: np.random.Generator) -> float:
    """Return the relative error of how far the stage falls short when it turns round, both ways."""
    short, far = float(rng.uniform(0.1e-9, 0.4e-9)), float(rng.uniform(3e-9, 9e-9))
    twin = physics.twin(scene_of(lattice(3)), 1, motion={"backlash": short}, **_BRIGHT)
    stage, first = twin.capability(Stage), _of_lattice(twin)
    stage.set(x=far, y=far)
    stage.set(x=0.0, y=0.0)
    down = (_of_lattice(twin) - first).mean(axis=0)
    stage.set(x=-far, y=-far)
    stage.set(x=0.0, y=0.0)
    up = (_of_lattice(twin) - first).mean(axis=0)
    return float(np.abs(np.concatenate([down, -up]) / short - 1).max())


def creep(physics: Physics, rng: np.random.Generator) -> float:
    """Return the larger relative error of how far, and how long, the stage goes on after a move.

    Atoms are seen at even times after the move: what is left of the way falls by the same factor
    from each to the next.
    """
    time, move = float(rng.uniform(5.0, 20.0)), float(rng.uniform(10e-9, 40e-9))
    left = float(rng.uniform(0.2e-9, 0.45e-9))
    told = {"stage_drift": left / move, "stage_time": time}
    twin = physics.twin(scene_of(lattice(3)), 1, motion=told, **_BRIGHT)
    stage = twin.capability(Stage)
    stage.set(x=move)
    twin.clock.sleep(1e3 * time)
    stage.set(x=0.0)
    # `set` returns when the stage says that it is there.
    began, step, seen = twin.clock.now(), 0.8 * time, []
    for number in range(4):
        twin.clock.sleep(began + number * step - twin.clock.now())
        seen.append(float(_of_lattice(twin)[:, 0].mean()))
    falls = -np.diff(seen)
    kept = float(falls[:-1] @ falls[1:] / (falls[:-1] @ falls[:-1])) if falls.any() else math.nan
    if not 0 < kept < 1:
        return math.nan
    way = float(falls[0]) / (1 - kept)
    return max(abs(way / left - 1), abs(-step / math.log(kept) / time - 1))
