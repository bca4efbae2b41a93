"""Drift and its diffusion from frames of a lattice; scale and shear from a known lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from nanopilot.analysis.lattice_waves import LatticeFit
from nanopilot.core.errors import SignalError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """A drift that changes.

    Parameters
    ----------
    velocity, velocity_std : numpy.ndarray
        (x, y) in m/s: the mean over the frames, and its error as the velocity of the first one.
    diffusion, diffusion_std : float
        Of the velocity, in m/s per square root of a second; NaN with fewer than four frames.
    """

    velocity: FloatArray
    velocity_std: FloatArray
    diffusion: float
    diffusion_std: float


def displacements(
    fits: Sequence[LatticeFit], guess: FloatArray | None, noise: float
) -> tuple[FloatArray, FloatArray]:
    """Return where the lattice has gone in every frame against the first, and the errors.

    Phases of all harmonics, weighted by their power, about the multiple of the lattice that is
    nearest to a guess.

    Parameters
    ----------
    fits : sequence of LatticeFit
        Of one place with one index of harmonics.
    guess : numpy.ndarray or None
        Metres (x, y), shape (frames, 2); None: as near to the frame before as there is.
    noise : float
        Variance of a pixel in counts².

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        Metres and their standard errors, shapes (frames, 2).
    """
    first = fits[0]
    basis = np.mean([one.basis for one in fits], axis=0)
    waves = first.index @ basis
    real = np.linalg.inv(basis)  # columns are lattice vectors
    cells = np.array([i * real[:, 0] + j * real[:, 1] for i in range(-2, 3) for j in range(-2, 3)])
    found, errors = [np.zeros(2)], []
    for number, one in enumerate(fits):
        cross = one.amplitude * first.amplitude.conj()
        weight = np.abs(cross)
        normal = (2 * np.pi) ** 2 * np.einsum(
            "n,na,nb->ab", np.abs(one.amplitude) ** 2, waves, waves
        )
        covariance = np.linalg.inv(normal) * noise / one.residual.size
        errors.append(np.sqrt(np.diag(covariance)))
        if number == 0:
            continue
        score = [
            float(np.sum(np.real(cross * np.exp(2j * np.pi * (waves @ at))))) for at in _cell(real)
        ]
        at = _cell(real)[int(np.argmax(score))]
        for _ in range(6):
            phase = np.angle(cross * np.exp(2j * np.pi * (waves @ at)))
            pull = -np.einsum("n,n,na->a", weight, phase, waves) * 2 * np.pi
            bend = (2 * np.pi) ** 2 * np.einsum("n,na,nb->ab", weight, waves, waves)
            at = at + np.linalg.solve(bend, pull)
        near = found[-1] if guess is None else guess[number]
        whole = np.linalg.solve(real, near - at)
        places = at + real @ np.rint(whole) + cells
        found.append(places[int(np.argmin(np.sum((places - near) ** 2, axis=1)))])
    return np.array(found), np.array(errors)


def _cell(real: FloatArray) -> FloatArray:
    part = np.arange(12) / 12
    both = np.stack(np.meshgrid(part, part), axis=-1).reshape(-1, 2)
    found: FloatArray = both @ real.T
    return found


def walk(places: FloatArray, std: FloatArray, times: FloatArray) -> Walk:
    """Return velocity and diffusion of a drift from places at times.

    A velocity that diffuses with strength q gives second differences of places with a variance of
    ``2/3 q² t³`` at equal steps t, beside six times that of the measurement;
    and a straight line through n places over a time T has
    a slope that is off that of its beginning by ``q² T 13/35``.

    Parameters
    ----------
    places, std : numpy.ndarray
        Metres (x, y) and their errors, shape (frames, 2).
    times : numpy.ndarray
        Seconds, shape (frames,), evenly spaced.

    Raises
    ------
    SignalError
        There is but one frame, or two at the same time.
    """
    if len(times) < 2 or not (np.diff(times) > 0).all():
        raise SignalError(
            f"`times` has {len(times)} frames; drift takes two that follow each other."
        )
    away = times - times.mean()
    velocity = away @ (places - places.mean(axis=0)) / (away @ away)
    errors = np.sqrt(np.mean(std**2, axis=0) / (away @ away))
    span, step = float(np.ptp(times)), float(np.mean(np.diff(times)))
    if len(times) < 4:
        return Walk(velocity, errors, float("nan"), float("nan"))
    second = np.diff(places, 2, axis=0)
    power = np.mean(second**2) - 6 * np.mean(std**2)
    count = second.size
    scale = 2 / 3 * step**3
    # Neighbouring second differences share more than half of what they are made of.
    spread = float(np.sqrt(2 / (0.6 * count)) * np.mean(second**2) / scale)
    square = float(power / scale)
    strength = float(np.sqrt(max(square, 0.0)))
    error = spread / (2 * strength) if square > spread else float(np.sqrt(spread))
    errors = np.hypot(errors, np.sqrt(max(square, 0.0) * span * 13 / 35))
    return Walk(velocity, errors, strength, float(error))


@dataclass(frozen=True, slots=True, eq=False)
class Distortion:
    """How the scan is distorted, against a lattice that is known.

    Parameters
    ----------
    scale, shear : float
        Relative error of steps along x, and shear of x with y: ``x (1 + scale) + y shear`` is
        where the beam goes when it is told (x, y).
    std : (float, float)
        Their standard errors.
    rotation : float
        Of the crystal, in radians.
    misfit : float
        Relative root mean square of what is left.
    """

    scale: float
    shear: float
    std: tuple[float, float]
    rotation: float
    misfit: float


def distortion(
    seen: FloatArray, known: FloatArray, drift: FloatArray, pace: FloatArray, error: float
) -> Distortion:
    """Return scale and shear of a scan from lattice vectors as they are seen and are known.

    ``F u - v (p . u) = R(angle) a``: vector u as told, a of the crystal, v drift, p seconds per
    metre along x and y.

    Parameters
    ----------
    seen, known : numpy.ndarray
        Two vectors each as rows, metres, shape (2, 2); those that belong together.
    drift : numpy.ndarray
        m/s, (x, y).
    pace : numpy.ndarray
        Seconds per metre along x and y, shape (2,).
    error : float
        Relative standard error of `seen`.
    """
    moved = (seen @ pace)[:, None] * drift[None, :]
    size = float(np.linalg.norm(known))

    def off(guess: FloatArray) -> FloatArray:
        scale, shear, angle = guess
        real = np.stack([seen[:, 0] * (1 + scale) + seen[:, 1] * shear, seen[:, 1]], axis=1) - moved
        cos, sin = np.cos(angle), np.sin(angle)
        turned = known @ np.array([[cos, sin], [-sin, cos]])
        return np.asarray((real - turned).ravel() / size)

    angles = np.angle(seen @ np.array([1, 1j])) - np.angle(known @ np.array([1, 1j]))
    start = [0.0, 0.0, float(np.angle(np.mean(np.exp(1j * angles))))]
    found = least_squares(off, start, x_scale=1e-3)
    misfit = float(np.sqrt(np.mean(found.fun**2)))
    slopes = np.asarray(found.jac)
    covariance = np.linalg.inv(slopes.T @ slopes)
    each = max(misfit * 2, error * float(np.linalg.norm(seen)) / size / 2)
    std = each * np.sqrt(np.diag(covariance))
    scale, shear, angle = (float(one) for one in found.x)
    return Distortion(scale, shear, (float(std[0]), float(std[1])), angle, misfit)
