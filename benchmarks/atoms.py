"""Atomic columns of a frame of 1024 x 1024 pixels, dose 10: found, and refined with errors.

Users refine with atomap: M. Nord et al., Adv. Struct. Chem. Imaging 3, 9 (2017), a Gaussian in two
dimensions for every column, by least squares. All of the frame would take it minutes, so it gets a
corner, and seconds per column are compared; ours gets the whole frame, and finds its columns, too.
Beside it stand bare calls of scipy's `curve_fit` from the true places, which do without all of
atomap's care.
"""

import os
import warnings
from typing import Any

import numpy as np
from scipy.optimize import curve_fit
from scipy.spatial import cKDTree

from benchmarks.timing import alternate
from nanopilot.analysis.atoms.filters import between_pixels, blurred, gaussian_taps, tops
from nanopilot.analysis.atoms.search import search
from nanopilot.core.history import FloatArray

SIZE, SPACING, WIDTH, DOSE, GROUND = 1024, 10.9, 1.8, 10.0, 2.0
#: Of some 8,650 columns: pixels along each side of the corner that atomap gets, and how many
#: `curve_fit` gets.
CORNER, SAMPLE = 160, 200


def row() -> dict[str, Any]:
    """Measure finding against trackpy, and finding with refining against atomap."""
    from trackpy import locate

    place, frame, bound = _frame(np.random.default_rng(0))
    small = frame.astype(np.float32)
    ours_s, peer_s = alternate(
        lambda: _peaks(small), lambda: locate(frame, 7, engine="numba"), rounds=7
    )
    found, feature = _peaks(small), locate(frame, 7, engine="numba")[["y", "x"]].to_numpy()
    refined = search(frame)
    refine_s, atomap_s = alternate(lambda: search(frame), lambda: _atomap(frame), rounds=3)
    theirs = _atomap(frame)
    users_s = atomap_s * len(place) / len(theirs)
    bare_s, fit_s = alternate(lambda: search(frame), lambda: _fits(frame, place), rounds=3)
    fits_s = fit_s * len(place) / SAMPLE
    away, at = _matched(refined.table[:, :2], place)
    spread = np.sqrt(refined.covariance[at][:, [0, 1], [0, 1]])
    rms = float(np.sqrt(np.mean(away**2)))
    fitted = _fits(frame, place)
    good = fitted[np.abs(fitted).max(axis=1) < 3]
    return {
        "kernel": "atom columns, 1024 x 1024, 8,650 of them, dose 10",
        "ours_s": round(refine_s, 3),
        "peer": f"atomap, 2-D Gaussians: {len(theirs)} columns of a corner of {CORNER} x {CORNER}, "
        "scaled up to all",
        "peer_s": round(users_s, 2),
        "ratio": round(users_s / refine_s, 1),
        "threads": min(2, os.cpu_count() or 1),
        "find": {
            "ours_s": round(ours_s, 4), "trackpy_s": round(peer_s, 4),
            "ratio": round(peer_s / ours_s, 2), "ours_rms_px": _rms(found, place),
            "trackpy_rms_px": _rms(feature, place),
        },
        "curve_fit": {
            "peer": f"scipy curve_fit, {SAMPLE} columns from their true places, scaled up",
            "ours_s": round(bare_s, 3), "peer_s": round(fits_s, 2),
            "ratio": round(fits_s / bare_s, 1),
            "rms_px": round(float(np.sqrt(np.mean(good**2))), 4),
        },
        "ours_accuracy": {
            "f1": round(2 * len(away) / (len(refined.table) + len(place)), 5),
            "rms_px": round(rms, 4), "over_bound": round(rms / bound, 3),
            "pull": round(float((away / spread).std()), 3),
        },
        "peer_accuracy": {
            "rms_px": _rms(theirs, _inside(place)),
            "ours_rms_px_there": _rms(refined.table[:, :2], _inside(place)),
            "apart_rms_px": _rms(theirs, _inside(refined.table[:, :2])),
        },
        "goal": "find 1.5 x trackpy; refine 300 x atomap and within 1.05 of the Cramér-Rao bound",
        "ok": bool(
            peer_s >= 1.5 * ours_s and users_s >= 300 * refine_s and rms <= 1.05 * bound
        ),
    }  # fmt: skip


def _inside(place: FloatArray) -> FloatArray:
    """Return the places in the corner that atomap gets, all of whose pixels are in it."""
    return place[(place < CORNER - SPACING).all(axis=1)]


def _atomap(frame: FloatArray) -> FloatArray:
    """Find and refine the columns of a corner as atomap's guide says; return them, (n, 2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of HyperSpy, about what its own parts import
        import atomap.api as atomap
        from hyperspy.signals import Signal2D

        corner = frame[:CORNER, :CORNER]
        columns = atomap.get_atom_positions(Signal2D(corner), separation=7)
        lattice = atomap.Sublattice(columns, image=corner)
        lattice.find_nearest_neighbors()
        lattice.refine_atom_positions_using_center_of_mass(show_progressbar=False)
        lattice.refine_atom_positions_using_2d_gaussian(show_progressbar=False)
    return np.stack([lattice.y_position, lattice.x_position], axis=1)


def _frame(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, float]:
    """Return places, counts, and the bound of a place along one axis, neighbours far away."""
    line = np.arange(8.0, SIZE - 8, SPACING)
    place = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    place = place + rng.normal(0, 0.3, place.shape)
    mean = np.full((SIZE, SIZE), GROUND)
    around = np.arange(-10, 11)
    for y, x in place:
        rows, columns = np.rint(y).astype(int) + around, np.rint(x).astype(int) + around
        inside = [part[(part >= 0) & (part < SIZE)] for part in (rows, columns)]
        profile = [
            np.exp(-0.5 * ((p - c) / WIDTH) ** 2) for p, c in zip(inside, (y, x), strict=True)
        ]
        mean[np.ix_(*inside)] += DOSE * np.outer(*profile)
    dy, dx = np.meshgrid(around, around, indexing="ij")
    shape = DOSE * np.exp(-0.5 * (dy**2 + dx**2) / WIDTH**2)
    bound = 1 / np.sqrt(np.sum((shape * dx / WIDTH**2) ** 2 / (GROUND + shape)))
    return place, rng.poisson(mean).astype(float), float(bound)


def _peaks(image: np.ndarray) -> FloatArray:
    """Find columns and nothing more: two blurs, their tops, between pixels."""
    response = blurred(image, gaussian_taps(WIDTH)) - blurred(image, gaussian_taps(2.5 * WIDTH))
    return between_pixels(response, tops(response, 0.1 * float(response.max()), 4))


def _fits(frame: FloatArray, place: FloatArray) -> FloatArray:
    """Fit single columns as scripts do: an elliptical Gaussian on a constant, least squares.

    Return by how much they miss their places, shape (n, 2).
    """
    some = place[np.linspace(200, len(place) - 200, SAMPLE).astype(int)]
    away = []
    for y, x in some:
        i, j = round(y), round(x)
        rows, columns = np.mgrid[max(0, i - 5) : i + 6, max(0, j - 5) : j + 6]
        values = frame[max(0, i - 5) : i + 6, max(0, j - 5) : j + 6]
        guess = [i, j, np.ptp(values), WIDTH, WIDTH, 0.0, values.min()]
        try:
            found, _ = curve_fit(
                _gaussian, np.stack([rows.ravel(), columns.ravel()]), values.ravel(), p0=guess
            )
        except RuntimeError:  # no answer
            continue
        away.append(found[:2] - [y, x])
    return np.array(away)


def _gaussian(at: FloatArray, *p: float) -> FloatArray:
    turn, away = p[5], (at[0] - p[0], at[1] - p[1])
    a = np.cos(turn) * away[0] + np.sin(turn) * away[1]
    b = -np.sin(turn) * away[0] + np.cos(turn) * away[1]
    return np.asarray(p[2] * np.exp(-0.5 * ((a / p[3]) ** 2 + (b / p[4]) ** 2)) + p[6])


def _matched(found: FloatArray, place: FloatArray) -> tuple[FloatArray, np.ndarray]:
    far, at = (np.asarray(one) for one in cKDTree(found).query(place))
    near = far < 0.25 * SPACING
    return found[at[near]] - place[near], at[near]


def _rms(found: FloatArray, place: FloatArray) -> float:
    return round(float(np.sqrt(np.mean(_matched(found, place)[0] ** 2))), 4)
