"""Frames of crystals with planted defects: vacancies, dopants, antisites, strain, walls, edges.

Everything is drawn: lattice, defects, displacement, columns, background, counts and detector. So
the place, the sublattice and the label of every site are known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.spatial import cKDTree

from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Axis, Signal, make_signal

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
Crystal = Literal["perovskite", "disulphide", "graphene", "square", "oblique"]

#: What a site is. Sites near a planted thing that are neither it nor regular are UNSURE.
REGULAR, VACANCY, HEAVIER, LIGHTER, ANTISITE, STRAIN, WALL, UNSURE = 0, 1, 2, 3, 4, 5, 6, -1
#: Crystals with two sublattices that differ in height.
TWO: tuple[Crystal, ...] = ("perovskite", "disulphide")
#: Distance of next neighbours in metres, least and largest.
_NEAR = {
    "perovskite": (270e-12, 290e-12), "disulphide": (180e-12, 192e-12),
    "graphene": (142e-12, 146e-12), "square": (200e-12, 290e-12), "oblique": (200e-12, 290e-12),
}  # fmt: skip
#: Pixels along a side; next neighbours are so many pixels and at least so many widths apart.
PIXELS, _APART, _WIDTHS_APART = 320, (9.0, 14.0), 4.3
#: Share of sites that become a defect of each kind.
_SHARES = {VACANCY: 0.03, HEAVIER: 0.015, LIGHTER: 0.01, ANTISITE: 0.012}
#: Strain from which a site is an anomaly, and below which it is regular.
ANOMALY, _LITTLE = 0.03, 0.008


@dataclass(frozen=True, slots=True)
class Plan:
    """What a frame shows.

    Parameters
    ----------
    crystal : str
        Lattice.
    surface : bool
        The crystal ends inside the frame.
    wall : bool
        A wall of polar displacement (perovskite) or a twin wall (others).
    """

    crystal: Crystal
    surface: bool = False
    wall: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A frame and its truth; places are (row, column) in pixels.

    Parameters
    ----------
    frame : Signal
        Counts, dims (y, x) in metres.
    place : numpy.ndarray
        Of every site inside the frame, vacant ones too, shape (n, 2).
    height : numpy.ndarray
        Of its column, electrons, shape (n,).
    sublattice : numpy.ndarray
        0 or 1, shape (n,).
    label : numpy.ndarray
        See `REGULAR` and so on, shape (n,).
    edge : numpy.ndarray of bool
        Sites at an edge of the crystal or of the frame, shape (n,).
    spacing, width, snr : float
        Of next neighbours and of a column in pixels; signal over noise at the top of the dimmest
        regular column.
    crystal : str
        Lattice.
    """

    frame: Signal
    place: FloatArray
    height: FloatArray
    sublattice: IntArray
    label: IntArray
    edge: BoolArray
    spacing: float
    width: float
    snr: float
    crystal: Crystal

    @property
    def pixel(self) -> float:
        """Size of a pixel in metres."""
        return float(self.frame["x"][1] - self.frame["x"][0])


@dataclass(slots=True, eq=False)
class _Crystal:
    """Sites while they are being planted."""

    sites: FloatArray
    level: FloatArray
    sublattice: IntArray
    label: IntArray
    spacing: float
    turn: FloatArray


def draw_scene(plan: Plan, rng: np.random.Generator, pixels: int = PIXELS) -> Scene:
    """Draw a crystal, plant defects, and count electrons on it.

    Signal over noise of the dimmest regular column is 10 to 40 (height over the root of the
    expected counts at its top); next neighbours are 9 to 14 pixels apart; heights and background
    slope by up to 40 %; half of the frames come through a detector with gain, offset and noise.

    Parameters
    ----------
    plan : Plan
        What to show.
    rng : numpy.random.Generator
        Draws everything.
    pixels : int
        Along a side.
    """
    width = rng.uniform(1.3, 2.6)
    spacing = rng.uniform(max(_APART[0], _WIDTHS_APART * width), _APART[1])
    second = rng.uniform(0.35, 0.7) if plan.crystal in TWO else 1.0
    one = _sites(plan.crystal, spacing, pixels, second, rng)
    inside = np.ones(len(one.sites), dtype=bool)
    if plan.surface:
        inside = _side(one.sites, pixels, 0.3, rng) < 0.25 * spacing * rng.normal(size=len(inside))
    edge = _edges(one, inside, pixels)
    moved = np.zeros_like(one.sites)
    if plan.wall:
        moved += _wall(one, plan.crystal, pixels, rng)
    moved += _inclusion(one, pixels, rng)
    if plan.crystal == "perovskite" and rng.random() < 0.5:  # A tilt shows as a shift of one.
        moved += (one.sublattice == 1)[:, None] * rng.normal(0, 0.01, 2) * spacing
    moved += _distortion(one.sites, pixels, rng)
    _substitute(one, inside & ~edge, second, rng)
    moved += _relaxation(one, rng) + rng.normal(0, 0.004 * spacing, one.sites.shape)
    one.sites = one.sites + moved
    one.level = one.level * rng.normal(1.0, 0.015, len(one.level)) * inside
    snr = float(np.exp(rng.uniform(np.log(10), np.log(40))))
    return _counted(plan.crystal, one, (inside, edge), (width, second, snr), (pixels, rng))


def _sites(
    crystal: Crystal, spacing: float, pixels: int, second: float, rng: np.random.Generator
) -> _Crystal:
    """Return a turned lattice that covers the frame and some more."""
    cell, motif = spacing * np.eye(2), np.zeros((1, 2))
    if crystal == "perovskite":
        cell = cell * np.sqrt(2)
        motif = np.stack([0 * cell[0], cell.sum(axis=0) / 2])
    elif crystal in ("disulphide", "graphene"):
        cell = np.sqrt(3) * spacing * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
        motif = np.stack([0 * cell[0], cell.sum(axis=0) / 3])
    elif crystal == "oblique":
        angle = rng.uniform(np.radians(65), np.radians(82))
        cell = cell @ np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
        cell[1] *= rng.uniform(1.05, 1.3)
    reach = int(1.2 * pixels / spacing) + 3
    index = np.stack(np.meshgrid(*2 * [np.arange(-reach, reach + 1)], indexing="ij"), axis=-1)
    lattice = index.reshape(-1, 2) @ cell
    turn = _turned(rng.uniform(0, 2 * np.pi))
    sites = np.concatenate([lattice + one for one in motif]) @ turn.T
    sites = sites + pixels / 2 + rng.uniform(-spacing, spacing, 2)
    kind = np.repeat(np.arange(len(motif)), len(lattice))
    near = ((sites > -3 * spacing) & (sites < pixels + 3 * spacing)).all(axis=1)
    level = np.where(kind == 1, second, 1.0)[near]
    label = np.full(int(near.sum()), REGULAR)
    return _Crystal(sites[near], level, kind[near], label, spacing, turn)


def _turned(angle: float) -> FloatArray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _side(sites: FloatArray, pixels: int, off: float, rng: np.random.Generator) -> FloatArray:
    """Return the signed distance to a straight line through the frame, in pixels."""
    turn = rng.uniform(0, 2 * np.pi)
    normal = np.array([np.cos(turn), np.sin(turn)])
    found: FloatArray = (sites - pixels / 2) @ normal - off * pixels * rng.uniform(0.6, 1.0)
    return found


def _edges(one: _Crystal, inside: BoolArray, pixels: int) -> BoolArray:
    """Return which sites are within a shell of the frame's or of the crystal's edge."""
    margin = 1.6 * one.spacing
    kept = (one.sites > margin) & (one.sites < pixels - 1 - margin)
    edge = ~kept.all(axis=1)
    if not inside.all():
        far, _ = cKDTree(one.sites[~inside]).query(one.sites)
        edge |= np.asarray(far) < 1.6 * one.spacing
    return np.asarray(edge)


def _wall(one: _Crystal, crystal: Crystal, pixels: int, rng: np.random.Generator) -> FloatArray:
    """Return displacements of two domains, and label the sites beside their wall."""
    away = _side(one.sites, pixels, rng.uniform(-0.25, 0.1), rng)
    free = (np.abs(away) < 0.75 * one.spacing) & (one.label == REGULAR)
    one.label[free] = WALL
    one.label[(np.abs(away) < 2.0 * one.spacing) & (one.label == REGULAR)] = UNSURE
    profile = np.tanh(away / (0.5 * one.spacing))
    if crystal == "perovskite":
        polar = rng.uniform(0.02, 0.045) * one.spacing * one.turn[:, rng.integers(2)]
        return np.asarray((one.sublattice == 1)[:, None] * profile[:, None] * polar)
    # Twins: shear along the wall that turns its sign, continuous in displacement.
    along = _along(away, one.sites)
    return np.asarray(rng.uniform(0.012, 0.025) * np.abs(away)[:, None] * along)


def _along(away: FloatArray, sites: FloatArray) -> FloatArray:
    """Return the unit vector along the line that distances were measured to."""
    design = np.column_stack([sites, np.ones(len(sites))])
    normal = np.linalg.lstsq(design, away, rcond=None)[0][:2]
    return np.asarray(np.array([-normal[1], normal[0]]) / np.hypot(*normal))


def _inclusion(one: _Crystal, pixels: int, rng: np.random.Generator) -> FloatArray:
    """Return the displacement about a misfitting inclusion, and label the sites it strains."""
    size = rng.uniform(1.8, 3.0) * one.spacing
    peak = rng.uniform(0.045, 0.08) * rng.choice([-1.0, 1.0])
    # Uniaxial, shear or dilatation, in the frame of the lattice.
    form = [np.diag([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.eye(2)][rng.integers(3)]
    form = one.turn @ form @ one.turn.T
    taken = one.label != REGULAR
    middle = rng.uniform(0.25, 0.75, 2) * pixels
    for _ in range(50):
        near = np.hypot(*(one.sites - middle).T) < 2 * size
        if not (near & taken).any():
            break
        middle = rng.uniform(0.2, 0.8, 2) * pixels
    away = one.sites - middle
    far = (away**2).sum(axis=1) / size**2
    moved = peak * np.exp(-far / 2)[:, None] * (away @ form.T)
    change = (
        peak
        * np.exp(-far / 2)[:, None, None]
        * (form - (away @ form.T)[:, :, None] * away[:, None, :] / size**2)
    )
    strain = 0.5 * (change + change.transpose(0, 2, 1))
    most = np.abs(np.linalg.eigvalsh(strain)).max(axis=1)
    one.label[(most >= ANOMALY) & ~taken] = STRAIN
    one.label[(most < ANOMALY) & (most > _LITTLE) & ~taken] = UNSURE
    found: FloatArray = moved
    return found


def _distortion(sites: FloatArray, pixels: int, rng: np.random.Generator) -> FloatArray:
    """Return an even stretch, as drift gives, and a slow wave of strain up to 0.4 %."""
    stretch = rng.normal(0, 0.008, (2, 2))
    wave = rng.normal(0, 1, 2)
    length = rng.uniform(0.7, 1.5) * pixels
    wave *= 2 * np.pi / length / np.hypot(*wave)
    size = rng.uniform(0, 0.004) * length / (2 * np.pi)
    turn = rng.uniform(0, 2 * np.pi)
    phase = np.sin(sites @ wave + rng.uniform(0, 6))
    found: FloatArray = (sites - pixels / 2) @ stretch.T + size * phase[:, None] * np.array(
        [np.cos(turn), np.sin(turn)]
    )
    return found


def _substitute(one: _Crystal, free: BoolArray, second: float, rng: np.random.Generator) -> None:
    """Plant vacancies, dopants and antisites on regular inner sites, no two of them neighbours."""
    order = rng.permutation(np.flatnonzero(free & (one.label == REGULAR)))
    tree: Any = cKDTree(one.sites)
    blocked = np.zeros(len(one.sites), dtype=bool)
    shares = dict(_SHARES) if second < 1 else {k: v for k, v in _SHARES.items() if k != ANTISITE}
    wanted = [kind for kind, share in shares.items() for _ in range(round(share * len(order)))]
    for site in order:
        if not wanted:
            return
        if blocked[site]:
            continue
        kind = wanted.pop(int(rng.integers(len(wanted))))
        one.label[site] = kind
        blocked[tree.query_ball_point(one.sites[site], 1.1 * one.spacing)] = True
        first = one.sublattice[site] == 0
        if kind == ANTISITE:
            one.level[site] = second if first else 1.0
        else:
            one.level[site] *= {
                # Half of the vacancies are whole columns.
                VACANCY: 0.0 if rng.random() < 0.5 else 1 - rng.uniform(0.3, 0.7),
                HEAVIER: 1 + rng.uniform(0.2, 0.6),
                LIGHTER: 1 - rng.uniform(0.15, 0.28),
            }[kind]


def _relaxation(one: _Crystal, rng: np.random.Generator) -> FloatArray:
    """Return how neighbours of empty sites move away; they are no longer regular."""
    moved = np.zeros_like(one.sites)
    tree: Any = cKDTree(one.sites)
    by = rng.uniform(0.0, 0.015) * one.spacing
    for site in np.flatnonzero((one.label == VACANCY) & (one.level == 0)):
        near = [n for n in tree.query_ball_point(one.sites[site], 1.2 * one.spacing) if n != site]
        away = one.sites[near] - one.sites[site]
        moved[near] += by * away / np.hypot(*away.T)[:, None]
        for other in near:
            if one.label[other] == REGULAR:
                one.label[other] = UNSURE
    return moved


def _counted(
    crystal: Crystal,
    one: _Crystal,
    masks: tuple[BoolArray, BoolArray],
    look: tuple[float, float, float],
    drawn: tuple[int, np.random.Generator],
) -> Scene:
    """Paint columns, slope heights and background, count, and gather the truth."""
    (inside, edge), (width, second, snr), (pixels, rng) = masks, look, drawn
    slope = _slope(pixels, rng.uniform(0, 0.4), rng)
    ground = rng.uniform(0.1, 0.4)
    # Height h over background g·h has h / sqrt(h + g·h) = snr, for the dimmest column.
    dose = snr**2 * (second + ground) / second**2
    at = np.clip(np.rint(one.sites).astype(int), 0, pixels - 1)
    one.level = one.level * slope[at[:, 0], at[:, 1]]
    mean = dose * (ground * slope + _painted(one.sites, one.level, width, pixels, rng))
    gain, offset, read = 1.0, 0.0, 0.0
    if rng.random() < 0.5:
        gain = float(np.exp(rng.uniform(np.log(0.5), np.log(20))))
        offset, read = rng.uniform(10, 200), gain * rng.uniform(0.1, 0.7)
    counts = offset + gain * rng.poisson(mean) + read * rng.normal(size=mean.shape)
    pixel = rng.uniform(*_NEAR[crystal]) / one.spacing
    axis = Axis(np.arange(pixels, dtype=np.float64) * pixel, "m", "position")
    frame = make_signal(counts, {"y": axis, "x": axis}, quantity="counts", units="1")
    kept = inside & ((one.sites >= 0) & (one.sites <= pixels - 1)).all(axis=1)
    return Scene(
        frame, one.sites[kept], dose * one.level[kept], one.sublattice[kept], one.label[kept],
        edge[kept], one.spacing, width, snr, crystal,
    )  # fmt: skip


def _slope(pixels: int, by: float, rng: np.random.Generator) -> FloatArray:
    """Return a plane of mean 1 that rises by a share across the frame: thickness."""
    turn = rng.uniform(0, 2 * np.pi)
    rows, columns = np.indices((pixels, pixels)) / (pixels - 1) - 0.5
    found: FloatArray = 1 + by * (np.cos(turn) * rows + np.sin(turn) * columns) / np.sqrt(2)
    return found


def _painted(
    sites: FloatArray, level: FloatArray, width: float, pixels: int, rng: np.random.Generator
) -> FloatArray:
    """Return the sum of elliptical Gaussians of one shape."""
    turn, aspect = _turned(rng.uniform(0, np.pi)), rng.uniform(1.0, 1.2)
    inverse = np.linalg.inv(width**2 * turn @ np.diag([aspect, 1 / aspect]) @ turn.T)
    reach = int(np.ceil(5 * width))
    out = np.zeros((pixels + 2 * reach + 2, pixels + 2 * reach + 2))
    around = np.stack(np.meshgrid(*2 * [np.arange(-reach, reach + 1)], indexing="ij"), axis=-1)
    for site, tall in zip(sites, level, strict=True):
        middle = np.rint(site).astype(int)
        if tall <= 0 or (middle < -1).any() or (middle > pixels).any():
            continue
        away = around + (middle - site)
        bump = np.exp(-0.5 * np.einsum("ijk,kl,ijl->ij", away, inverse, away))
        first = middle + 1
        out[first[0] : first[0] + 2 * reach + 1, first[1] : first[1] + 2 * reach + 1] += tall * bump
    return out[reach + 1 : reach + 1 + pixels, reach + 1 : reach + 1 + pixels]
