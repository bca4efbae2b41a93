"""64 beams of 256² through 20 slices of SrTiO3: our multislice beside abTEM's."""

import os
from typing import Any

import numpy as np

from benchmarks.timing import alternate
from nanopilot.models.electron_optics import Lens
from nanopilot.models.multislice import Calculation, Specimen, patterns

BEAMS, PIXELS, CELLS, LATTICE = 64, 256, (5, 5, 10), 3.901e-10
_CELL = ((0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5))


def crystal() -> Specimen:
    """Return SrTiO3 along [001]."""
    corners = np.stack(np.meshgrid(*(np.arange(n) for n in CELLS), indexing="ij"), -1)
    position = (corners.reshape(-1, 1, 3) + np.array(_CELL)).reshape(-1, 3) * LATTICE
    number = np.tile([38, 22, 8, 8, 8], len(position) // 5)
    box = (CELLS[0] * LATTICE, CELLS[1] * LATTICE, CELLS[2] * LATTICE)
    return Specimen(position, number, np.zeros(len(position)), box)


def row() -> dict[str, Any]:
    """Measure both from atoms to patterns, complex64, on as many threads as there are cores."""
    import abtem
    import ase

    abtem.config.set({"precision": "float32", "diagnostics.progress_bar": False})
    specimen, lens = crystal(), Lens(voltage=200e3, convergence_angle=25e-3)
    side = specimen.box[0]
    places = np.random.default_rng(0).uniform(0, side, (BEAMS, 2))
    step = lens.wavelength / side
    how = Calculation(pixels=129, angle_per_pixel=1.0001 * step, pixel=1.0001 * side / PIXELS,
                      slice_thickness=1.0001 * LATTICE / 2)  # fmt: skip
    atoms = ase.Atoms(specimen.number, specimen.position * 1e10,
                      cell=np.array(specimen.box) * 1e10, pbc=True)  # fmt: skip
    found: dict[str, Any] = {}

    def ours() -> None:
        found["ours"] = np.concatenate(list(patterns(specimen, lens, places, how)))

    def peer() -> None:
        potential = abtem.Potential(atoms, gpts=PIXELS, slice_thickness=LATTICE * 1e10 / 2,
                                    projection="infinite")  # fmt: skip
        probe = abtem.Probe(energy=lens.voltage, semiangle_cutoff=25)
        probe.grid.match(potential)
        detector = abtem.PixelatedDetector(max_angle="cutoff")
        scan = abtem.CustomScan(places * 1e10)
        found["peer"] = probe.scan(potential, scan=scan, detectors=detector).compute().array

    ours_s, peer_s = alternate(ours, peer, rounds=3)
    peaks = [float(found["ours"].mean(axis=0).max()), float(found["peer"].mean(axis=0).max())]
    return {
        "kernel": f"multislice, {BEAMS} beams, {PIXELS}² x {2 * CELLS[2]} slices, complex64",
        "ours_s": round(ours_s, 2),
        "peer": "abTEM",
        "peer_s": round(peer_s, 2),
        "ratio": round(peer_s / ours_s, 2),
        "threads": os.cpu_count() or 1,
        "brightest_pixel_ratio": round(peaks[0] / peaks[1], 3),
        "goal": "none",
        "ok": True,
    }
