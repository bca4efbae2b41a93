"""Our multislice against abTEM's, which shares no line and no scattering factor with it."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nanopilot.models.electron_optics import Aberrations, ComplexArray, Lens
from nanopilot.models.multislice import Calculation, Specimen, patterns
from nanopilot.models.multislice.grid import Grid, choose
from nanopilot.models.multislice.patterns import beam, overlaps
from nanopilot.models.multislice.potential import AtomShapes, projected, slices

abtem = pytest.importorskip("abtem")
ase = pytest.importorskip("ase")

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
PLACE = (0.3e-10, 1.1e-10)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    settings = {"precision": "float64", "diagnostics.progress_bar": False, "fft": "numpy"}
    with abtem.config.set(settings):
        yield


def crystal(name: str) -> Any:
    """Atoms of ase, Angstrom."""
    from ase.build import bulk, mx2

    if name == "Au":
        return bulk("Au", cubic=True) * (4, 4, 4)
    if name == "MoS2":
        return abtem.orthogonalize_cell(mx2("MoS2", vacuum=3)) * (6, 3, 1)
    places = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    cell = ase.Atoms("SrTiO3", scaled_positions=places, cell=[3.905] * 3, pbc=True)
    return cell * (4, 4, 6)


def specimen_of(atoms: Any, rms: float = 0.0) -> Specimen:
    position, box = atoms.get_positions() * 1e-10, atoms.cell.lengths() * 1e-10
    position[:, 2] = np.mod(position[:, 2] + 1e-13, box[2])
    return Specimen(position, atoms.numbers, np.full(len(atoms), rms), tuple(box))


def onto(grid: Grid, lens: Lens, how: Calculation, intensity: FloatArray) -> FloatArray:
    rows, columns = (
        overlaps(lens.wavelength * k, lens.wavelength / side, how)
        for k, side in zip((grid.ky, grid.kx), grid.box, strict=True)
    )
    return np.asarray(rows @ intensity @ columns.T)


def incident(lens: Lens, grid: Grid, place: tuple[float, float] = PLACE) -> ComplexArray:
    """The wave on the points of the grid, x first as abTEM has it."""
    there = np.exp(-2j * np.pi * (grid.kx * place[0] + grid.ky[:, None] * place[1]))
    return np.ascontiguousarray(np.fft.ifft2(beam(lens, grid) * there).T)


def theirs(potential: Any, lens: Lens, grid: Grid, wave: ComplexArray, tilt: Any = (0, 0)) -> Any:
    """The intensity in reciprocal space after their multislice, shape of the grid."""
    extent = (grid.box[1] * 1e10, grid.box[0] * 1e10)
    waves = abtem.Waves(
        wave.copy(), energy=lens.voltage, extent=extent,
        metadata={"base_tilt_x": tilt[0] * 1e3, "base_tilt_y": tilt[1] * 1e3},
    )  # fmt: skip
    exit_wave = waves.multislice(potential).compute().array
    return (np.abs(np.fft.fft2(exit_wave)) ** 2).T


#: Difference over the brightest pixel, by material: what was measured, rounded up.
KNOWN = {"MoS2": 0.001, "SrTiO3": 0.006, "Au": 0.007}


@pytest.mark.parametrize("name", sorted(KNOWN))
@pytest.mark.parametrize(
    ("voltage", "parametrization"),
    [(80e3, "lobato"), (200e3, "lobato"), (200e3, "kirkland"), (300e3, "lobato")],
)
def test_elastic_patterns_are_those_of_abtem(
    name: str, voltage: float, parametrization: str
) -> None:
    atoms = crystal(name)
    specimen, lens = specimen_of(atoms), Lens(voltage=voltage, convergence_angle=25e-3)
    step = lens.wavelength / min(specimen.box[:2])
    how = Calculation(
        pixels=45, angle_per_pixel=max(step, 2.5e-3), pixel=4.6e-12, precision="double"
    )
    grid = choose(specimen, lens, how)
    (ours,) = patterns(specimen, lens, np.array([PLACE]), how)
    count = math.ceil(specimen.box[2] / how.slice_thickness - 1e-9)
    potential = abtem.Potential(
        atoms, gpts=grid.shape[::-1], slice_thickness=specimen.box[2] * 1e10 / count,
        parametrization=parametrization, projection="infinite",
    )  # fmt: skip
    truth = onto(grid, lens, how, theirs(potential, lens, grid, incident(lens, grid)))
    assert np.abs(ours[0] - truth).max() / truth.max() < KNOWN[name]


def test_waves_are_those_of_abtem_when_the_potential_is_the_same() -> None:
    specimen = specimen_of(crystal("SrTiO3"))
    lens = Lens(voltage=200e3, convergence_angle=25e-3)
    how = Calculation(pixels=41, angle_per_pixel=2.5e-3, pixel=1.1e-11, precision="double")
    grid = choose(specimen, lens, how)
    shapes, step = AtomShapes(grid), specimen.box[2] / 12
    volts = np.zeros((12, *grid.shape))
    for depth, inside in slices(specimen, 1.0001 * step):
        part = projected(specimen.position[inside], specimen.number[inside], shapes, grid)
        volts[round(depth / step)] = part
    potential = abtem.PotentialArray(
        volts.transpose(0, 2, 1) * 1e10, slice_thickness=step * 1e10,
        extent=(grid.box[1] * 1e10, grid.box[0] * 1e10),
    )  # fmt: skip
    truth = onto(grid, lens, how, theirs(potential, lens, grid, incident(lens, grid)))
    how = how.model_copy(update={"slice_thickness": 1.0001 * step})
    (ours,) = patterns(specimen, lens, np.array([PLACE]), how)
    # What remains is the edge of their band, which is tapered.
    assert np.abs(ours[0] - truth).max() / truth.max() < 1e-3


@pytest.mark.parametrize(
    ("ours", "theirs_are"),
    [
        ({"C1": -12e-9}, {"C10": -120.0}),
        ({"A1_x": 3e-9, "A1_y": 4e-9}, {"C12": 50.0, "phi12": math.atan2(4, 3) / 2}),
        ({"B2_x": -20e-9, "B2_y": 35e-9},
         {"C21": 3 * 10 * math.hypot(20, 35), "phi21": -math.atan2(35, -20)}),
        ({"A2_x": 50e-9, "A2_y": -80e-9},
         {"C23": 10 * math.hypot(50, 80), "phi23": math.atan2(-80, 50) / 3}),
        ({"S3_x": 0.3e-6, "S3_y": 1e-6},
         {"C32": 4e4 * math.hypot(0.3, 1), "phi32": -math.atan2(1, 0.3) / 2}),
        ({"A3_x": 1e-6, "A3_y": 2e-6},
         {"C34": 1e4 * math.hypot(1, 2), "phi34": math.atan2(2, 1) / 4}),
        ({"C3": 5e-6}, {"C30": 5e4}), ({"C5": 8e-3}, {"C50": 8e7}),
    ],
    ids="-".join,
)  # fmt: skip
def test_aberrations_have_the_sign_and_direction_they_have_there(
    ours: dict[str, float], theirs_are: dict[str, float]
) -> None:
    """Polar coefficients (E. J. Kirkland): cosine of n (phi - phi_nm), B2 thrice, S3 four times."""
    lens = Lens(voltage=200e3, convergence_angle=24e-3, aberrations=Aberrations(**ours))
    grid = Grid((60, 72), (2.4e-9, 2.7e-9))
    known = abtem.CTF(
        energy=200e3, extent=(27.0, 24.0), gpts=(72, 60), semiangle_cutoff=60,
        aberration_coefficients=theirs_are, soft=False,
    )  # fmt: skip
    mine = beam(lens, grid)
    inside = np.abs(mine) > 0.999 * np.abs(mine).max()
    ratio = (mine / np.abs(mine).max() / np.asarray(known._evaluate_kernel()).T)[inside]
    assert inside.sum() > 100
    assert np.abs(np.angle(mine[inside])).max() > 0.3
    np.testing.assert_allclose(ratio, 1.0, atol=1e-3)


def test_a_lopsided_beam_makes_the_same_pattern() -> None:
    """Aperture, aberrations, place and crystal, all as they make them themselves."""
    atoms, voltage = crystal("MoS2"), 80e3
    aberrations = Aberrations(C1=-3e-9, A1_x=2e-9, A1_y=3e-9, B2_x=40e-9, B2_y=-90e-9)
    lens = Lens(voltage=voltage, convergence_angle=25e-3, aberrations=aberrations)
    specimen = specimen_of(atoms)
    how = Calculation(pixels=31, angle_per_pixel=3.9e-3, pixel=1e-11, precision="double")
    grid = choose(specimen, lens, how)
    coefficients = {
        "C10": -30.0, "C12": 10 * math.hypot(2, 3), "phi12": math.atan2(3, 2) / 2,
        "C21": 30 * math.hypot(40, 90), "phi21": -math.atan2(-90, 40),
    }  # fmt: skip
    known = abtem.Probe(
        energy=voltage, semiangle_cutoff=25, aberrations=coefficients, gpts=grid.shape[::-1],
        extent=(grid.box[1] * 1e10, grid.box[0] * 1e10),
    )  # fmt: skip
    wave = known.build(scan=abtem.CustomScan([[one * 1e10 for one in PLACE]])).compute().array[0]
    wave = wave / np.linalg.norm(np.fft.fft2(wave))
    potential = abtem.Potential(
        atoms, gpts=grid.shape[::-1], slice_thickness=2.0, projection="infinite"
    )
    truth = theirs(potential, lens, grid, wave)
    (ours,) = patterns(specimen, lens, np.array([PLACE]), how)
    # The edge of the aperture is smoothed in amplitude there, in intensity here.
    away = np.abs(np.hypot(how.angles(), how.angles()[:, None]) - 25e-3) > 8e-3
    seen = onto(grid, lens, how, truth)
    seen *= ours[0][away].sum() / seen[away].sum()
    assert np.abs(ours[0] - seen)[away].max() / seen.max() < 0.03
    mirrored = [seen[::-1], seen[:, ::-1], seen.T, seen[::-1, ::-1]]
    assert min(np.abs(ours[0] - one)[away].max() for one in mirrored) / seen.max() > 0.1


def test_a_tilted_beam_walks_the_way_it_does_there() -> None:
    atoms, tilt = crystal("SrTiO3"), (15e-3, -8e-3)
    specimen, lens = specimen_of(atoms), Lens(voltage=200e3, convergence_angle=20e-3)
    how = Calculation(pixels=41, angle_per_pixel=2.5e-3, pixel=5e-12, precision="double", tilt=tilt)
    grid = choose(specimen, lens, how)
    potential = abtem.Potential(
        atoms, gpts=grid.shape[::-1], slice_thickness=23.43 / 12, projection="infinite"
    )
    there = theirs(potential, lens, grid, incident(lens, grid), tilt)
    truth = onto(grid, lens, how, there)
    (ours,) = patterns(specimen, lens, np.array([PLACE]), how)
    assert np.abs(ours[0] - truth).max() / truth.max() < 0.01
    (upright,) = patterns(
        specimen, lens, np.array([PLACE]), how.model_copy(update={"tilt": (0.0, 0.0)})
    )
    assert np.abs(upright[0] - truth).max() / truth.max() > 0.05


def test_phonons_scatter_as_many_electrons_as_there() -> None:
    atoms, rms, count = crystal("Au"), 0.12, 12
    lens = Lens(voltage=200e3, convergence_angle=20e-3)
    how = Calculation(pixels=45, angle_per_pixel=3.5e-3, pixel=1e-11)
    specimen = specimen_of(atoms, rms * 1e-10)
    grid = choose(specimen, lens, how)
    distance = np.hypot(how.angles(), how.angles()[:, None])
    rings = [distance < 15e-3, (distance > 35e-3) & (distance < 60e-3), distance > 60e-3]
    place = np.array([[0.2e-10, 0.1e-10]])
    rng = np.random.default_rng(4)
    single = how.model_copy(update={"phonons": 1})
    mine = [next(patterns(specimen, lens, place, single, rng))[0] for _ in range(count)]
    frozen = abtem.FrozenPhonons(atoms, num_configs=count, sigmas=rms, seed=7)
    wave = incident(lens, grid, (0.2e-10, 0.1e-10))
    known = []
    for moved in frozen:
        potential = abtem.Potential(
            moved, gpts=grid.shape[::-1], slice_thickness=16.32 / 9, projection="infinite"
        )
        known.append(onto(grid, lens, how, theirs(potential, lens, grid, wave)))
    for ring in rings:
        ours, others = (np.array([one[ring].sum() for one in each]) for each in (mine, known))
        error = math.hypot(ours.std(ddof=1), others.std(ddof=1)) / math.sqrt(count)
        assert abs(ours.mean() - others.mean()) < 3 * error + 0.02 * others.mean()
    still = next(patterns(specimen, lens, place, how))[0]
    assert np.mean([one[rings[2]].sum() for one in mine]) > 1.2 * still[rings[2]].sum()
