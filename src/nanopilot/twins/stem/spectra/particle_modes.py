"""The modes of one particle: energies of pieces of ellipsoids, and charges on the shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nanopilot.twins.stem.spectra.columns import FloatArray
from nanopilot.twins.stem.spectra.plasmonic_particle import (
    FERMI,
    LIGHT,
    METALS,
    Drude,
    Mode,
    PlasmonicParticle,
)

# Zeros of the derivative of J_1, J_2 and J_0: edge modes and the breathing mode of a disc.
_DIPOLE, _QUADRUPOLE, _BREATHING = 1.8412, 3.0542, 3.8317
_RIM = 16  # charges round a disc
_LEAST = 0.25  # of the depolarisation is left, however close a partner is


@dataclass(frozen=True, slots=True)
class _Shape:
    """A mode before its energy is known."""

    name: str
    piece: tuple[float, float, float]  # lengths; the first is that along the field
    pieces: float  # how many of them oscillate together
    places: FloatArray
    charges: FloatArray
    moment: float  # dipole of one piece with these charges, in metres
    coupling: float = 0.0  # 1/m³: field of the partner's dipole, negative where it binds
    depolarisation: float = 0.0  # 0: that of the piece


def depolarisation(lengths: tuple[float, float, float]) -> float:
    """Return the depolarisation factor of an ellipsoid along the first of its three lengths.

    Bohren and Huffman (1983), equation 5.32, as Carlson's integral: ``a b c / 3 R_D``.

    Examples
    --------
    >>> round(depolarisation((1.0, 1.0, 1.0)), 6)
    0.333333
    """
    from scipy.special import elliprd

    along, second, third = (length / max(lengths) for length in lengths)
    return float(along * second * third / 3 * elliprd(second**2, third**2, along**2))


def modes_of(index: int, particle: PlasmonicParticle, surrounding: float) -> Iterator[Mode]:
    """Yield the modes of a particle, the lowest dipole first."""
    metal = METALS[particle.material]
    if particle.kind == "dimer":
        shapes = _dimer(particle)
    else:
        makers = {"rod": _rod, "disc": _disc, "triangle": _triangle, "sphere": _sphere}
        shapes = makers[particle.kind](particle)
    for shape in shapes:
        energy, width, strength = _resonance(shape, metal, surrounding)
        places = _turned(shape.places, particle)
        blur = particle.lengths[2] / 4 + 1e-9
        charges = shape.charges / shape.moment
        yield Mode(index, shape.name, energy, width, strength, places, charges, blur)


def _resonance(shape: _Shape, metal: Drude, surrounding: float) -> tuple[float, float, float]:
    """Return energy and width in eV, and the static polarisability in m³.

    One piece has ``alpha = V / (4 pi) / (L + 1 / (eps / eps_m - 1))`` with L lowered by
    ``k^2 V / (4 pi a)`` (to first order) and by the partner. The width has the metal's damping,
    scattering at the surface (U. Kreibig and M. Vollmer, Optical Properties of Metal Clusters
    (1995), section 2.2), and the light that is sent out, ``i k^3 V / (6 pi)`` in L, up to a quarter
    of the energy: beyond, first order is no guide.
    """
    volume = math.pi / 6 * math.prod(shape.piece)
    still = shape.depolarisation or depolarisation(shape.piece)
    energy = _drude(metal, still, surrounding)
    factor = still
    for _ in range(60):
        wave = energy * math.sqrt(surrounding) / LIGHT
        late = wave**2 * volume / (2 * math.pi * shape.piece[0])
        factor = still**2 / (still + late) + volume * shape.coupling
        factor = max(factor, _LEAST * still)
        before, energy = energy, 0.5 * (energy + _drude(metal, factor, surrounding))
        if abs(energy - before) < 1e-6:
            break
    wave = energy * math.sqrt(surrounding) / LIGHT
    stiffness = metal.background + surrounding * (1 - factor) / factor
    sent = energy * surrounding * wave**3 * volume / (6 * math.pi) / factor**2 / stiffness
    bright = 1.0 if shape.pieces == 1 else 0.1
    width = metal.damping + FERMI / min(shape.piece) + min(bright * sent, 0.25 * energy)
    width += 0.3 / (1 + math.exp((metal.interband - energy) / 0.1))
    strength = volume / (4 * math.pi) * surrounding * (energy / (metal.plasma * factor)) ** 2
    return energy, width, strength / shape.pieces


def _drude(metal: Drude, factor: float, surrounding: float) -> float:
    """Return the energy in eV where ``eps = -eps_m (1 - L) / L``."""
    return metal.plasma / math.sqrt(metal.background + surrounding * (1 - factor) / factor)


def _turned(places: FloatArray, particle: PlasmonicParticle) -> FloatArray:
    cos, sin = math.cos(particle.orientation), math.sin(particle.orientation)
    turn = np.array([[cos, sin], [-sin, cos]])
    return np.asarray(places @ turn + np.array([particle.x, particle.y]))


def _rod(particle: PlasmonicParticle) -> list[_Shape]:
    length, width, thick = particle.lengths
    found = []
    for order, name in ((1, "dipole"), (2, "quadrupole"), (3, "sextupole")):
        along = np.linspace(-0.5, 0.5, 8 * order + 1)
        places = np.stack([along * length, np.zeros_like(along)], axis=1)
        charges = -np.cos(order * math.pi * (along + 0.5))
        piece = (length / order, width, thick)
        polarised = np.abs(np.cumsum(charges)[:-1]).sum() * (along[1] - along[0]) * length
        moment = float(polarised) / order
        found.append(_Shape(f"{name} along", piece, order, places, charges, moment))
    along = np.linspace(-0.4, 0.4, 7)
    places = np.concatenate([
        np.stack([along * length, np.full(7, side * width / 2)], axis=1) for side in (1, -1)
    ])  # fmt: skip
    charges = np.repeat([1.0, -1.0], 7)
    moment = 7 * width
    found.append(_Shape("dipole across", (width, length, thick), 1, places, charges, moment))
    return found


def _disc(particle: PlasmonicParticle) -> list[_Shape]:
    length, width, thick = particle.lengths
    angle = 2 * math.pi * np.arange(_RIM) / _RIM
    rim = np.stack([length / 2 * np.cos(angle), width / 2 * np.sin(angle)], axis=1)
    found = [
        _Shape("dipole along", (length, width, thick), 1, rim, np.cos(angle), _RIM * length / 4),
        _Shape("dipole across", (width, length, thick), 1, rim, np.sin(angle), _RIM * width / 4),
    ]
    part = _QUADRUPOLE / _DIPOLE
    piece = (length / part, width / part, thick)
    moment = _RIM * piece[0] / 4
    found += [
        _Shape("quadrupole", piece, 2, rim, np.cos(2 * angle), moment),
        _Shape("quadrupole turned", piece, 2, rim, np.sin(2 * angle), moment),
    ]
    part = _BREATHING / _DIPOLE
    piece = (length / part, width / part, thick)
    places, charges = _ring_and_middle(rim)
    found.append(_Shape("breathing", piece, 2, places, charges, _RIM * piece[0] / 2))
    return found


def _ring_and_middle(rim: FloatArray) -> tuple[FloatArray, FloatArray]:
    places = np.concatenate([rim, 0.2 * rim])
    return places, np.concatenate([-np.ones(len(rim)), np.ones(len(rim))])


def _triangle(particle: PlasmonicParticle) -> list[_Shape]:
    side, height, thick = particle.lengths
    corners = np.array([[2 * height / 3, 0.0], [-height / 3, side / 2], [-height / 3, -side / 2]])
    middles = -0.5 * corners
    tall = 2 / math.sqrt(3) * height  # the side of an equilateral triangle of this height
    along, across = np.array([1.0, -0.5, -0.5]), np.array([0.0, 1.0, -1.0])
    found = [
        _Shape("dipole along", (tall, side, thick), 1, corners, along, height),
        _Shape("dipole across", (side, tall, thick), 1, corners, across, side),
    ]
    part = _QUADRUPOLE / _DIPOLE
    edge = np.concatenate([corners, middles])
    charges = np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    piece = (side / part, tall / part, thick)
    found.append(_Shape("edges", piece, 2, edge, charges, 1.5 * piece[0]))
    part = _BREATHING / _DIPOLE
    piece = (side / part, tall / part, thick)
    places, around = _ring_and_middle(edge)
    found.append(_Shape("breathing", piece, 2, places, around, 3 * piece[0]))
    return found


def _sphere(particle: PlasmonicParticle) -> list[_Shape]:
    across = particle.lengths
    angle = 2 * math.pi * np.arange(_RIM) / _RIM
    rim = 0.4 * across[0] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    moment = _RIM * 0.4 * across[0] / 2
    return [
        _Shape("dipole along", across, 1, rim, np.cos(angle), moment),
        _Shape("dipole across", across, 1, rim, np.sin(angle), moment),
        # l / (2 l + 1) for l = 2; Bohren and Huffman, section 12.1.
        _Shape("quadrupole", across, 2, rim, np.cos(2 * angle), moment, 0.0, 0.4),
        _Shape("quadrupole turned", across, 2, rim, np.sin(2 * angle), moment, 0.0, 0.4),
    ]


def _dimer(particle: PlasmonicParticle) -> list[_Shape]:
    """Return the four dipole modes of a pair, in the frame of the particle."""
    length, width, thick = particle.lengths
    dx, dy = particle.separation
    turn = particle.orientation
    away = np.array([
        dx * math.cos(turn) + dy * math.sin(turn), -dx * math.sin(turn) + dy * math.cos(turn)
    ])  # fmt: skip
    distance = float(np.hypot(*away))
    toward = away / distance
    angle = 2 * math.pi * np.arange(_RIM) / _RIM
    rim = np.stack([length / 2 * np.cos(angle), width / 2 * np.sin(angle)], axis=1)
    both = np.concatenate([rim, rim + away])
    factors = depolarisation((length, width, thick)), depolarisation((width, length, thick))
    found = []
    aside = np.array([-toward[1], toward[0]])
    for name, direction, near in (
        ("along the pair", toward, 2.0),
        ("across the pair", aside, -1.0),
    ):
        factor = float(np.array(factors) @ direction**2)
        reach = 2 * float(np.abs(rim @ direction).max())
        piece = (reach, length * width / reach, thick)
        charges = rim @ direction / (reach / 2)
        moment = float(np.hypot(*(charges @ rim)))
        field = near / (4 * math.pi * distance**3)
        for sign in (1.0, -1.0):
            # Dipoles the same way bind in line, and repel side by side.
            kind = "bonding" if sign * near > 0 else "antibonding"
            pair = np.concatenate([charges, sign * charges])
            found.append(
                _Shape(f"{kind} {name}", piece, 2, both, pair, moment, -sign * field, factor)
            )
    return found
