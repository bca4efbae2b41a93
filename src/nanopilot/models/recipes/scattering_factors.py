"""Make the coefficients of `nanopilot.models.scattering` from published factors.

``python -m nanopilot.models.recipes.scattering_factors`` writes them anew; it takes seconds.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import MissingExtra
from nanopilot.models.electron_optics import BOHR

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Atomic numbers in both sources.
NUMBERS = range(1, 99)
#: Terms of the sum.
TERMS = 6
#: Scattering vectors in 1/Angstrom between which one source gives way to the other.
BLEND = (1.0, 3.0)
#: 1 / (2 pi² a0) in 1/Angstrom.
MOTT = 1e-10 / (2 * math.pi**2 * BOHR)
#: Weights far larger than Z that cancel one another are punished.
_CALM = 3e-3
#: How stiffly the sum of the weights is held at Z.
_STIFF = 1e3
_STARTS = 2


def published(number: int) -> tuple[FloatArray, FloatArray]:
    """Return scattering vectors (1/Angstrom) up to 12 and electron factors (Angstrom) there.

    Below, the electron factors of L.-M. Peng, G. Ren, S. L. Dudarev and M. J. Whelan, Acta Cryst.
    A 52 (1996) 257 (International Tables C, table 4.3.2.2); above, the X-ray factors of D.
    Waasmaier and A. Kirfel, Acta Cryst. A 51 (1995) 416, by the formula of Mott and Bethe, ``f =
    (Z - f_x) / (2 pi² a0 k²)``, which at small k would amplify their errors.

    Raises
    ------
    MissingExtra
        The packages that hold the tables are not installed.
    """
    try:
        import gemmi
        import xraydb
    except ImportError as cause:
        raise MissingExtra(
            "making scattering factors needs the packages 'gemmi' and 'xraydb': "
            "pip install 'nanopilot[scattering]'."
        ) from cause
    atom = gemmi.Element(number)
    k = np.concatenate([np.linspace(0, 4, 101), np.linspace(4.1, 12, 80)])
    below = np.asarray([atom.c4322.calculate_sf((one / 2) ** 2) for one in k])
    electrons = np.asarray(xraydb.f0(atom.name, k / 2))
    above = MOTT * (number - electrons) / np.maximum(k, BLEND[0]) ** 2
    share = np.clip((k - BLEND[0]) / (BLEND[1] - BLEND[0]), 0, 1)
    share = share**2 * (3 - 2 * share)
    return k, share * above + (1 - share) * below


def fit(number: int) -> tuple[FloatArray, FloatArray, float]:
    """Return weights (electrons), areas (Angstrom²) and the largest relative error of the fit.

    Areas are sought by least squares of the relative error, weights follow linearly; no area is
    below a quarter of what the innermost shell has.
    """
    from scipy.optimize import least_squares

    k, truth = published(number)
    least = (0.5 / number) ** 2
    limits = (math.log(least), math.log(100.0))

    def miss(logs: FloatArray) -> FloatArray:
        return _solve(np.exp(logs), k, truth, number)[1]

    tried = []
    for start in range(_STARTS):
        spread = np.random.default_rng(start).uniform(0.7, 1.4, TERMS)
        guess = np.log(np.geomspace(8.0, 4 * least, TERMS) * spread)
        tried.append(least_squares(miss, guess, bounds=limits, max_nfev=100))
    best = min(tried, key=lambda one: float(one.cost))
    areas = np.exp(best.x)
    weights, off = _solve(areas, k, truth, number)
    # What is stored adds up to Z exactly; the largest weight takes the rest.
    weights[int(np.argmax(np.abs(weights)))] += number - weights.sum()
    return weights, areas, float(np.abs(off[: len(k)]).max())


def _solve(
    areas: FloatArray, k: FloatArray, truth: FloatArray, number: int
) -> tuple[FloatArray, FloatArray]:
    reach = areas * k[:, None] ** 2
    terms = MOTT * areas * (2 + reach) / (1 + reach) ** 2 / truth[:, None]
    count = len(areas)
    rows = [terms, np.full((1, count), _STIFF / number), _CALM / number * np.eye(count)]
    wanted = np.concatenate([np.ones(len(k)), [_STIFF], np.zeros(count)])
    matrix = np.vstack(rows)
    weights = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    return weights, matrix @ weights - wanted


def write(path: Path) -> None:
    """Fit every element and write the coefficients as JSON, areas in m²."""
    atoms = {}
    for number in NUMBERS:
        weights, areas, error = fit(number)
        order = np.argsort(-areas)
        atoms[str(number)] = {
            "weight": [float(f"{one:.9g}") for one in weights[order]],
            "area": [float(f"{one * 1e-20:.7g}") for one in areas[order]],
            "error": float(f"{error:.2g}"),
        }
    about = {
        "about": "electron scattering factors of neutral atoms, see nanopilot.models.scattering",
        "sources": [
            "Peng et al., Acta Cryst. A 52 (1996) 257",
            "Waasmaier and Kirfel, Acta Cryst. A 51 (1995) 416",
        ],
        "units": {"weight": "electrons", "area": "m^2", "error": "largest relative, k < 1.2e11/m"},
    }
    rows = ",\n".join(f'    "{number}": {json.dumps(one)}' for number, one in atoms.items())
    head = json.dumps(about, indent=2)[:-2]
    path.write_text(f'{head},\n  "atoms": {{\n{rows}\n  }}\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parents[1] / "scattering_factors.json")
