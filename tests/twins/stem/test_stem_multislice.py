"""Contrast of thin crystals against the multislice of another package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nanopilot.models.electron_optics import Lens
from nanopilot.twins.stem.contrast import fractions
from nanopilot.twins.stem.render import Renderer
from nanopilot.twins.stem.scene import Atoms
from tests.twins.stem.stem_atoms import RINGS, atoms_of

Array = np.ndarray[Any, np.dtype[Any]]
ANGSTROM = 1e-10


def multislice(crystal: Any, lens: Lens, sigma: float, scan: tuple[Array, Array]) -> Array:
    """Return fractions of every ring at places (Å), frozen phonons, focus on the first plane."""
    abtem = pytest.importorskip("abtem")
    abtem.config.set({"diagnostics.progress_bar": False})
    phonons = abtem.FrozenPhonons(crystal, num_configs=2, sigmas=sigma, seed=2)
    # Half as fine again as the ring asks for: abTEM damps what is near the end of its grid.
    sampling = lens.wavelength / ANGSTROM / 4.5 / 0.187
    potential = abtem.Potential(phonons, sampling=sampling, slice_thickness=2.0)
    probe = abtem.Probe(energy=lens.voltage, semiangle_cutoff=lens.convergence_angle * 1e3)
    probe.grid.match(potential)
    points = np.column_stack([scan[0].ravel(), scan[1].ravel()])
    detectors = [abtem.AnnularDetector(r.inner * 1e3, r.outer * 1e3) for r in RINGS.values()]
    measured = probe.scan(potential, scan=abtem.CustomScan(points), detectors=detectors).compute()
    found = [np.asarray(one.array).reshape(-1, len(points)).mean(axis=0) for one in measured]
    return np.stack(found)


def surrounded(crystal: Any, sigma: float) -> Atoms:
    """Return the atoms of a periodic cell and of its neighbours."""
    size = crystal.cell.lengths()
    places = [
        crystal.positions + np.array([i * size[0], j * size[1], 0.0])
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    ]
    position = np.concatenate(places) * ANGSTROM
    return atoms_of(position, np.tile(crystal.numbers, 9), np.full(len(position), sigma * ANGSTROM))


def compared(crystal: Any, lens: Lens, sigma: float, scan: tuple[Array, Array]) -> Any:
    """Return correlation and ratio of the means, model over multislice, by ring."""
    pytest.importorskip("abtem")
    exact = multislice(crystal, lens, sigma, scan)
    atoms = surrounded(crystal, sigma)
    renderer = Renderer(atoms, lens, RINGS, columns=True)
    deep = float(crystal.positions[:, 2].mean()) * ANGSTROM
    values = renderer.values(scan[0].ravel() * ANGSTROM, scan[1].ravel() * ANGSTROM, deep)
    found = {}
    for name, value, other in zip(RINGS, values, exact, strict=True):
        seen = fractions(value.astype(float), RINGS[name], lens.convergence_angle)
        found[name] = float(np.corrcoef(seen, other)[0, 1]), float(seen.mean() / other.mean())
    return found


def test_one_layer_of_molybdenum_disulphide() -> None:
    pytest.importorskip("abtem")
    from abtem import orthogonalize_cell
    from ase.build import mx2

    layer = orthogonalize_cell(mx2("MoS2", a=3.18, thickness=3.13, vacuum=1.0)) * (3, 2, 1)
    size = layer.cell.lengths() / np.array([3, 2, 1])
    scan = np.meshgrid(np.arange(4) * size[0] / 4, np.arange(6) * size[1] / 6, indexing="ij")
    lens = Lens(voltage=80e3, convergence_angle=30e-3)
    found = compared(layer, lens, 0.07, (scan[0], scan[1]))
    assert found["haadf"][0] > 0.985
    assert found["haadf"][1] == pytest.approx(1, abs=0.07)
    assert found["maadf"][0] > 0.98
    assert found["maadf"][1] == pytest.approx(1, abs=0.15)
    assert found["abf"][0] > 0.9
    assert found["abf"][1] == pytest.approx(1, abs=0.1)


def test_one_layer_of_strontium_titanate() -> None:
    pytest.importorskip("abtem")
    from ase.spacegroup import crystal

    cell = crystal(
        ["Sr", "Ti", "O"], [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)], spacegroup=221,
        cellpar=[3.905] * 3 + [90] * 3,
    )  # fmt: skip
    slab = cell * (3, 3, 1)
    # No atom may vibrate out of the box.
    slab.translate([0.0, 0.0, 0.98])
    # All of the cell: in a quarter of it columns that vibrate off their place do not average out.
    line = np.arange(8) / 8 * 3.905
    scan = np.meshgrid(line, line, indexing="ij")
    lens = Lens(voltage=200e3, convergence_angle=25e-3)
    found = compared(slab, lens, 0.08, (scan[0], scan[1]))
    assert found["haadf"][0] > 0.95
    assert found["haadf"][1] == pytest.approx(1, abs=0.25)
    assert found["abf"][0] > 0.88
    assert found["abf"][1] == pytest.approx(1, abs=0.1)
