"""Experiments on an electron twin: what the beam removes, patterns, losses and X-rays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nanopilot.bench.stem_checks import (
    UNHURT,
    FloatArray,
    Physics,
    deviations,
    pattern,
    scan,
    scene_of,
    spectrum,
)
from nanopilot.bench.stem_theory import (
    RoundBeam,
    knock_on_section,
    mean_free_path,
    thermal_velocity,
)
from nanopilot.core.adjustables import Beam
from nanopilot.twins.stem.twin import StemTwin

_CHARGE = 1.602176634e-19
#: g/cm³ of films whose losses are tried; densities are in every handbook.
_FILMS = {"carbon": 2.0, "silicon": 2.329, "silica": 2.2}
#: Atoms that are lost and counted: how many along each side, and metres between them.
_ATOMS, _PITCH = 60, 0.3e-9
#: Mass of carbon in atomic units, and its displacement along each axis in metres.
_MASS, _RMS = 12.011, 5e-12


def damage(physics: Physics, rng: np.random.Generator) -> float:
    """Return by how many sigmas the number of atoms lost is off, the largest of three voltages.

    Carbon is scanned in coarse steps, so that atoms see very different fluences, and counted by
    itself: in a dark-field signal at every site, with a beam too slow to remove anything.
    """
    return float(np.max([_lost(physics, rng, one) for one in rng.uniform(85e3, 300e3, 3)]))


def _lost(physics: Physics, rng: np.random.Generator, voltage: float) -> float:
    axis = (np.arange(_ATOMS) - (_ATOMS - 1) / 2) * _PITCH
    sites = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    threshold, slow = float(rng.uniform(12.0, 17.0)), 25e3
    speed = thermal_velocity(_MASS, _RMS, 300.0)
    section = knock_on_section((6, _MASS), voltage, threshold, speed)
    angle, source, steps = float(rng.uniform(20e-3, 30e-3)), 30e-12, int(rng.integers(60, 120))
    side = float(_ATOMS * _PITCH)
    # As many electrons as remove about a third.
    current = 1e-8
    dwell = 0.4 / section * side**2 / steps**2 / (current / _CHARGE)
    twin = physics.twin(
        scene_of(sites, 6, rms=_RMS, threshold=threshold), int(rng.integers(1000)),
        current=current, lens={"voltage": voltage, "convergence_angle": angle,
                               "source_size": source},
        detectors={"haadf": {"inner": 60e-3, "outer": 120e-3, "gain": 1.0, "noise": 0.0,
                             "bits": 0, "offset": 0.0}},
    )  # fmt: skip
    frame = scan(twin, field_of_view=(side, side), shape=(steps, steps), dwell_time=dwell)
    spots = (frame["x"].to_numpy(), frame["y"].to_numpy())
    blur = RoundBeam(voltage, angle, blur=source)
    fluence = fluence_at(blur, spots, current * dwell / _CHARGE, sites)
    chance = -np.expm1(-section * fluence)
    gone = _ATOMS**2 - _counted(twin, sites, slow)
    error = math.sqrt(float(np.sum(chance * (1 - chance))))
    return abs(gone - float(chance.sum())) / error


def _counted(twin: StemTwin, sites: FloatArray, slow: float) -> int:
    """Return how many atoms show at sites (m), by a beam of a voltage that removes none."""
    twin.capability(Beam).set(voltage=slow, current=1e-9)
    told = {"points": tuple(map(tuple, sites.tolist())), "order": "points", "dwell_time": 1e-3}
    seen = scan(twin, **told)["haadf"].to_numpy()
    low, high = np.percentile(seen, [1, 99])
    return int(np.sum(seen > (low + high) / 2))


def fluence_at(
    beam: RoundBeam, spots: tuple[FloatArray, FloatArray], electrons: float, where: FloatArray
) -> FloatArray:
    """Return electrons per m² at places (m, shape (n, 2)) from a raster of the beam.

    The transforms of raster and beam are multiplied: no spot has to lie on a point of the grid.

    Parameters
    ----------
    beam : RoundBeam
        Its intensity.
    spots : (numpy.ndarray, numpy.ndarray)
        x of the columns and y of the rows in metres.
    electrons : float
        In each spot.
    where : numpy.ndarray
        Of atoms.
    """
    from scipy.ndimage import map_coordinates

    fine, room = 12e-12, 1.5e-9
    count = 2 * math.ceil((max(float(np.ptp(one)) for one in spots) / 2 + room) / fine)
    # What lies further out than 2 nm, less than a percent, is dealt out over the rest.
    near = beam.intensity(334, fine)
    image = np.zeros((count, count))
    image[:334, :334] = near / near.sum()
    image = np.roll(image, (-167, -167), axis=(0, 1))
    k = np.fft.fftfreq(count, fine)
    across, down = (np.exp(-2j * np.pi * np.multiply.outer(k, one)).sum(axis=1) for one in spots)
    total = np.fft.ifft2(np.outer(down, across) * np.fft.fft2(image)).real
    total = np.fft.fftshift(total)
    at = [where[:, 1] / fine + count // 2, where[:, 0] / fine + count // 2]
    found: FloatArray = map_coordinates(total, at, order=3) * electrons / fine**2
    return found


def harmless(physics: Physics, rng: np.random.Generator) -> float:
    """Return 1 if no atom is lost below the threshold, and none with damage switched off."""
    sites = rng.uniform(-2e-9, 2e-9, (2000, 2))
    dose = {"field_of_view": (4e-9, 4e-9), "dwell_time": 1.0}
    seed, kept = int(rng.integers(1000)), []
    # To a carbon atom at rest a beam of 99.7 kV gives 20 eV at most.
    slow = {"voltage": float(rng.uniform(60e3, 98e3))}
    for voltage, sample, damaging in (
        (slow, scene_of(sites, 6, threshold=20.0), {}),
        ({"voltage": 300e3}, scene_of(sites, 6, threshold=5.0, radiolysis=1e-22), UNHURT),
        ({"voltage": 115e3}, scene_of(sites, 6, threshold=20.0), {}),
    ):
        twin = physics.twin(sample, seed, lens=voltage, damage=damaging, current=1e-8)
        scan(twin, **dose)
        kept.append(bool(twin.truth.there.all()))
    return float(kept == [True, True, False])


def patterns(physics: Physics, rng: np.random.Generator) -> Mapping[str, float]:
    """Return the deviation of the counts of patterns in sigmas, and the error of the aperture.

    ``pattern`` is the largest of patterns and ronchigrams in vacuum, all of whose electrons hit
    the camera, and of grids of both; ``aperture`` the relative error of the radius of the disc.
    """
    current, exposure = float(rng.uniform(1e-12, 5e-11)), float(rng.uniform(1e-3, 1e-2))
    angle, per = float(rng.uniform(18e-3, 30e-3)), 1e-3
    twin = physics.twin(
        scene_of(), int(rng.integers(1000)), current=current, lens={"convergence_angle": angle},
        camera={"pixels": 128, "angle_per_pixel": per, "phonons": 1},
    )  # fmt: skip
    electrons, worst = current * exposure / _CHARGE, 0.0
    for name in ("pattern", "ronchigram"):
        one = pattern(twin, channels=(name,), exposure=exposure, frames=20)[name]
        grid = pattern(twin, channels=(name,), exposure=exposure, position=(0.0, 0.0),
                       shape=(2, 5), field_of_view=(3e-10, 1e-10))[name]  # fmt: skip
        for taken in (one, grid):
            totals = taken.sum(("ky", "kx")).to_numpy()
            worst = max(worst, *deviations(totals, electrons, (1.0, 0.0, 0.0)))
    disc = pattern(twin, exposure=1e3 * exposure)["pattern"].to_numpy()[0]
    inside = disc.sum() / np.median(disc[disc > disc.max() / 3])
    return {"pattern": worst, "aperture": abs(math.sqrt(inside / math.pi) * per / angle - 1)}


def thickness(physics: Physics, rng: np.random.Generator) -> float:
    """Return the largest relative error of t/lambda from the log-ratio of two spectra.

    Surfaces lose as much in both, and cancel.
    """
    errors = []
    for name, density in _FILMS.items():
        voltage = float(rng.choice([80e3, 200e3, 300e3]))
        angles = float(rng.uniform(10e-3, 25e-3)), float(rng.uniform(15e-3, 40e-3))
        thin = float(rng.uniform(20e-9, 30e-9))
        thick = thin + float(rng.uniform(40e-9, 70e-9))
        ratios = [
            _log_ratio(physics, {name: deep}, voltage, angles, int(rng.integers(1000)))
            for deep in (thin, thick)
        ]
        expected = (thick - thin) / mean_free_path(density, voltage, angles)
        errors.append(abs((ratios[1] - ratios[0]) / expected - 1))
    return float(np.max(errors))


def _log_ratio(
    physics: Physics, films: Mapping[str, float], voltage: float, angles: tuple[float, float],
    seed: int,
) -> float:  # fmt: skip
    lens = {"voltage": voltage, "convergence_angle": angles[0], "energy_spread": 0.25}
    told: dict[str, Any] = {"collection_angle": angles[1], "noise": 0.1, "dispersion": 0.3}
    twin = physics.twin(
        scene_of(films=films), seed, lens=lens, spectrometer=told, current=1e-9, damage=UNHURT
    )
    losses = spectrum(twin, "energy", 1.0)
    energy, counts = losses["energy"].to_numpy(), losses["eels"].to_numpy()
    return math.log(float(counts.sum()) / float(counts[np.abs(energy) < 1.75].sum()))


def composition(physics: Physics, rng: np.random.Generator) -> float:
    """Return the largest relative error of Pd to Se from X-rays, by ratios from a known selenide.

    G. Cliff and G. W. Lorimer, J. Microsc. 103 (1975) 203: the ratio of lines goes with that of
    atoms. PdSe is the standard; PdSe2 and Pd2Se3 are measured.
    """
    voltage, found = float(rng.choice([80e3, 200e3, 300e3])), {}
    for name in ("pdse", "pdse2", "pd2se3"):
        films = {name: float(rng.uniform(10e-9, 40e-9))}
        twin = physics.twin(
            scene_of(films=films), int(rng.integers(1000)), current=5e-9, damage=UNHURT,
            lens={"voltage": voltage},
        )  # fmt: skip
        rays = spectrum(twin, "xray", 300.0)
        axis, counts = rays["energy"].to_numpy(), rays["eds"].to_numpy()
        found[name] = _line(axis, counts, 2839.0, 80.0) / _line(axis, counts, 11210.0, 150.0)
    ratios = np.array([found["pdse2"], found["pd2se3"]]) / found["pdse"]
    return float(np.abs(ratios / np.array([1 / 2, 2 / 3]) - 1).max())


def _line(axis: FloatArray, counts: FloatArray, energy: float, half: float) -> float:
    """Return the counts within `half` (eV) of a line, less what lies on either side of it."""
    within = np.abs(axis - energy) < half
    beside = (np.abs(axis - energy) > 6 * half) & (np.abs(axis - energy) < 7 * half)
    return float(counts[within].sum() - counts[beside].mean() * within.sum())


def growth(physics: Physics, rng: np.random.Generator) -> float:
    """Return the relative error of how much contamination an electron leaves behind.

    The dark field of a bare place brightens from frame to frame, in step with the dose. How bright
    a thickness of contamination is tells a film of it.
    """
    side, steps, frames = 60e-9, 121, 4
    told: dict[str, Any] = {
        "lens": {"source_size": 0.4e-9}, "current": 1e-8,
        "detectors": {"haadf": {"inner": 60e-3, "outer": 120e-3, "gain": 1.0, "noise": 0.0,
                                "bits": 0, "offset": 0.0}},
    }  # fmt: skip
    asked = {"field_of_view": (side, side), "shape": (steps, steps),
             "dwell_time": float(rng.uniform(0.5e-3, 2e-3))}  # fmt: skip
    dose = told["current"] * asked["dwell_time"] / _CHARGE * ((steps - 1) / side) ** 2
    each = float(rng.uniform(2e-9, 6e-9) / dose)
    middle = slice(steps // 4, 3 * steps // 4)

    def seen(twin: StemTwin) -> float:
        return float(scan(twin, **asked)["haadf"].to_numpy()[middle, middle].mean())

    seed, known = int(rng.integers(1000)), 10e-9
    film = physics.twin(scene_of(films={"contamination": known}), seed, damage=UNHURT, **told)
    growing = UNHURT | {"contamination": each, "reach": float(rng.uniform(2e-9, 5e-9))}
    bare = physics.twin(scene_of(), seed, damage=growing, **told)
    series = np.array([seen(bare) for _ in range(frames)])
    rate = float(np.polyfit(dose * np.arange(frames), series, 1)[0])
    return abs(rate * known / seen(film) / each - 1)


def spectrum_drift(physics: Physics, rng: np.random.Generator) -> float:
    """Return the relative error of the drift within one spectrum image, and of none in another.

    Waves on a film show as waves of t/lambda, pixel by pixel. The drift is the one with which they
    are straight: places go with the time at which each spectrum was taken.
    """
    from scipy.optimize import minimize

    wave, side = float(rng.uniform(5e-9, 8e-9)), 12e-9
    true = rng.uniform(0.05e-9, 0.2e-9, 2) * rng.choice([-1, 1], 2)

    def waves(x: FloatArray, y: FloatArray) -> FloatArray:
        both = np.sin(2 * np.pi * x / wave) + np.sin(2 * np.pi * y / wave)
        return np.asarray(30e-9 * (1 + 0.3 * both))

    def found(drift: FloatArray) -> FloatArray:
        twin = physics.twin(
            scene_of(films={"carbon": waves}), int(rng.integers(1000)), current=1e-9,
            damage=UNHURT, motion={"drift": tuple(drift)},
            spectrometer={"channels": 512, "noise": 0.1},
        )  # fmt: skip
        image = spectrum(twin, "energy", 0.02, shape=(20, 24), field_of_view=(side, side))
        energy, counts = image["energy"].to_numpy(), image["eels"].to_numpy()
        unlost = counts[..., np.abs(energy) < 2.5].sum(-1)
        ratio = np.log(counts.sum(-1) / unlost).ravel()
        told = np.stack([image[f"measured_{axis}"].to_numpy().ravel() for axis in "xy"])
        times = image["time"].to_numpy().ravel()

        def left(speed: FloatArray) -> float:
            angle = 2 * np.pi / wave * (told - np.multiply.outer(speed * 1e-10, times))
            basis = np.column_stack([*np.sin(angle), *np.cos(angle), np.ones(len(times))])
            return float(np.var(ratio - basis @ np.linalg.lstsq(basis, ratio, rcond=None)[0]))

        best: Any = minimize(left, np.zeros(2), method="Nelder-Mead")
        return np.asarray(best.x * 1e-10)

    drifting, aligned = found(true), found(np.zeros(2))
    size = float(np.linalg.norm(true))
    return max(float(np.linalg.norm(one)) for one in (drifting - true, aligned)) / size
