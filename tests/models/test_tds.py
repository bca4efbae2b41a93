"""Diffuse scattering: the mean wave is that of phonons, estimates add up, networks know limits."""

from dataclasses import replace

import numpy as np
import pytest

from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.models.electron_optics import Aberrations, Lens, interaction
from nanopilot.models.multislice import Calculation, Specimen, patterns
from nanopilot.models.multislice.grid import choose
from nanopilot.models.multislice.patterns import beam
from nanopilot.models.multislice.potential import AtomShapes, fresnel, projected, slices
from nanopilot.models.tds import Condition, condition, load_tds
from nanopilot.models.tds.add import _between
from nanopilot.models.tds.atoms import vibrating_atom
from nanopilot.models.tds.coherent import COARSE, Detector, View, mean_wave
from nanopilot.models.tds.diffuse import diffuse
from nanopilot.models.tds.shown import FEATURES, show

LENS = Lens(voltage=100e3, convergence_angle=20e-3)
A = 3.905e-10
#: Elastic patterns, those of phonons, and the condition.
Known = tuple[np.ndarray, np.ndarray, Condition]
HOW = Calculation(pixels=64, angle_per_pixel=6.25e-3, slice_thickness=A / 2 * 1.0001, workers=1)
PLACES = np.array([[A, A], [1.25 * A, 1.2 * A]])


def titanate(layers: int, rms: float = 8e-12, heavy: int = 38) -> Specimen:
    """Return strontium titanate, every atom vibrating alike."""
    cell = np.array([[0, 0, 0.25], [0.5, 0.5, 0.75], [0.5, 0, 0.75], [0, 0.5, 0.75],
                     [0.5, 0.5, 0.25]])  # fmt: skip
    corners = np.stack(np.meshgrid(range(3), range(3), range(layers)), -1).reshape(-1, 1, 3)
    position = ((corners + cell) * A).reshape(-1, 3)
    number = np.tile([heavy, 22, 8, 8, 8], len(corners))
    return Specimen(position, number, np.full(len(number), rms), (3 * A, 3 * A, layers * A))


def ring(pattern: np.ndarray, inner: float, outer: float) -> float:
    along = (np.arange(64) - 32) * 6.25e-3
    angle = np.hypot(along[:, None], along)
    return float(pattern[(angle >= inner) & (angle < outer)].sum())


def given(specimen: Specimen, lens: Lens = LENS, how: Calculation = HOW) -> Condition:
    return condition(specimen, lens, PLACES, how)


@pytest.mark.parametrize("number", [8, 79])
def test_opacity_of_an_atom_is_the_mean_over_its_displacements(number: int) -> None:
    rms, box, voltage = 9e-12, 8e-10, 100e3
    one = Specimen(np.full((1, 3), box / 2), np.array([number]), np.zeros(1), (box, box, box))
    grid = choose(one, Lens(), Calculation(pixels=8, angle_per_pixel=5e-3, pixel=5e-12))
    atoms = AtomShapes(grid)
    nodes, weights = np.polynomial.hermite_e.hermegauss(25)
    mean = np.zeros(grid.shape, dtype=complex)
    for x, along_x in zip(nodes, weights, strict=True):
        for y, along_y in zip(nodes, weights, strict=True):
            moved = one.position + rms * np.array([x, y, 0.0])
            volts = projected(moved, one.number, atoms, grid)
            mean += along_x * along_y * np.exp(1j * interaction(voltage) * volts)
    mean /= weights.sum() ** 2
    k = np.sqrt(grid.square)
    middle = np.exp(-1j * np.pi * box * (grid.ky[:, None] + grid.kx))
    scale = grid.shape[0] * grid.shape[1] / box**2
    opacity = np.fft.ifft2(vibrating_atom(number, rms, voltage).mean_factor(k) * middle) * scale
    np.testing.assert_allclose(np.exp(1j * opacity), mean, atol=0.03)


def test_mean_wave_is_the_mean_of_waves_through_phonons() -> None:
    specimen, count = titanate(2, 12e-12), 200
    narrow = HOW.model_copy(update={"pixels": 32, "precision": "double"})
    (found,) = mean_wave(specimen, LENS, PLACES[:1], narrow)
    grid, rng = choose(specimen, LENS, narrow), np.random.default_rng(0)
    atoms, sigma = AtomShapes(grid), interaction(LENS.voltage)
    start = beam(LENS, grid) * np.exp(-2j * np.pi * A * (grid.ky[:, None] + grid.kx))
    mean, power = np.zeros(grid.shape, dtype=complex), 0.0
    for _ in range(count):
        wave, last, shaken = start, 0.0, specimen.shaken(rng)
        # Atoms stay in their slices: what is compared knows no displacement along the beam.
        shaken.position[:, 2] = specimen.position[:, 2]
        for depth, which in slices(shaken, HOW.slice_thickness):
            volts = projected(shaken.position[which], shaken.number[which], atoms, grid)
            wave = wave * fresnel(grid, LENS.wavelength, depth - last, (0.0, 0.0))
            passed = np.fft.fft2(np.fft.ifft2(wave) * np.exp(1j * sigma * volts))
            wave, last = passed * grid.inside, depth
        mean += wave / count
        power += float(np.sum(np.abs(wave) ** 2)) / count
    coherent = float(np.sum(np.abs(mean) ** 2))
    ours = float(found.coarse.patterns.sum())
    assert ours == pytest.approx(coherent, abs=0.01)
    assert float(found.lost.sum()) == pytest.approx(power - coherent, abs=0.01)
    assert coherent < 0.95


def test_without_vibrations_the_mean_wave_is_elastic_and_nothing_is_lost() -> None:
    specimen = titanate(3, 0.0)
    how = Calculation(pixels=24, angle_per_pixel=4e-3, slice_thickness=A / 2, workers=1)
    (elastic,) = patterns(specimen, LENS, PLACES, how)
    (found,) = mean_wave(specimen, LENS, PLACES, how)
    np.testing.assert_allclose(found.view.patterns, elastic, atol=0.01 * elastic.max())
    assert np.abs(found.lost).max() < 1e-3
    assert diffuse(found, found.coarse, LENS.voltage).sum() < 5e-3


def test_what_the_mean_wave_loses_is_scattered_and_no_more() -> None:
    (wave,) = mean_wave(titanate(4), LENS, PLACES, HOW)
    lost = wave.lost.sum(axis=(1, 2))
    coherent = wave.coarse.patterns.sum(axis=(1, 2))
    np.testing.assert_allclose(lost + coherent, 1.0, atol=0.01)
    spread = diffuse(wave, wave.coarse, LENS.voltage)[0].sum(axis=(1, 2))
    assert (spread < lost).all()
    assert (spread > 0.85 * lost).all()
    assert lost[0] > 2 * lost[1]


def test_depths_on_the_way_are_those_of_thinner_crystals() -> None:
    both = mean_wave(titanate(4), LENS, PLACES, HOW, (2 * A, 4 * A))
    (thin,) = mean_wave(titanate(2), LENS, PLACES, HOW)
    np.testing.assert_allclose(both[0].coarse.patterns, thin.coarse.patterns, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(both[0].lost.sum(axis=2), thin.lost.sum(axis=2), rtol=1e-4)
    np.testing.assert_allclose(both[0].areal, thin.areal)
    assert both[1].depth == 4 * A


def test_estimate_is_near_phonons_drawn_by_another_program_part() -> None:
    specimen = titanate(3)
    rng = np.random.default_rng(5)
    (true,) = patterns(specimen, LENS, PLACES, HOW.model_copy(update={"phonons": 24}), rng)
    (wave,) = mean_wave(specimen, LENS, PLACES, HOW)
    found = wave.coarse.patterns + diffuse(wave, wave.coarse, LENS.voltage)[0]
    for inner, outer in ((0, 20e-3), (20e-3, 40e-3), (40e-3, 60e-3), (60e-3, 80e-3), (60e-3, 0.2)):
        ours, theirs = (sum(ring(one, inner, outer) for one in both) for both in (found, true))
        assert ours == pytest.approx(theirs, rel=0.15)


def test_estimate_on_a_finer_camera_is_the_same_per_area() -> None:
    fine = HOW.model_copy(update={"pixels": 80, "angle_per_pixel": 2.5e-3})
    (wave,) = mean_wave(Specimen(*_repeated(titanate(3), 2)), LENS, PLACES, fine)
    coarse, own = (diffuse(wave, view, LENS.voltage)[0, 0] for view in (wave.coarse, wave.view))
    along = (np.arange(80) - 40) * 2.5e-3
    angle = np.hypot(along[:, None], along)
    inside = float(own[(angle >= 40e-3) & (angle < 80e-3)].sum())
    assert inside == pytest.approx(ring(coarse, 40e-3, 80e-3), rel=0.05)


def test_what_lies_below_scatters_on_to_larger_angles() -> None:
    (wave,) = mean_wave(titanate(6), LENS, PLACES, HOW)
    thick, alone = (replace(wave, areal=part * wave.areal) for part in (20, 0))
    along = (np.arange(64) - 32) * 6.25e-3
    angle = np.hypot(along[:, None], along)
    spread, once = (diffuse(one, wave.coarse, LENS.voltage)[0, 0] for one in (thick, alone))
    wide, narrow = (float((one * angle).sum() / one.sum()) for one in (spread, once))
    assert wide > 1.02 * narrow
    assert spread.sum() == pytest.approx(once.sum(), rel=0.05)


def test_atoms_per_area_are_those_of_the_cell() -> None:
    (wave,) = mean_wave(titanate(2), LENS, PLACES, HOW)
    assert [number for number, _ in wave.kinds] == [8, 22, 38]
    np.testing.assert_allclose(wave.areal, np.array([3, 1, 1]) * 2 / A**2)


def test_gains_between_coarse_pixels_are_linear() -> None:
    along = (np.arange(64) - 32) * 6.25e-3
    plane = along[:, None] + 2 * along
    view = View(Detector(40, 2e-3), np.zeros((1, 40, 40)), np.zeros((1, 40, 40)))
    fine = (np.arange(40) - 20) * 2e-3
    np.testing.assert_allclose(_between(plane[None], view)[0], fine[:, None] + 2 * fine, atol=1e-12)


def test_numbers_say_what_they_are_called() -> None:
    one, thick = given(titanate(2)), given(titanate(4))
    rows = [show(c.wave.coarse.patterns, c.wave, c.optics)[0].numbers for c in (one, thick)]
    at = {name: number for number, name in enumerate(FEATURES)}
    assert rows[1][at["log_thickness"]] - rows[0][at["log_thickness"]] == pytest.approx(np.log(2))
    assert rows[1][at["log_collisions"]] - rows[0][at["log_collisions"]] == pytest.approx(np.log(2))
    assert rows[0][at["rms_of_lost"]] == pytest.approx(0.8)
    assert rows[1][at["log_lost"]] > rows[0][at["log_lost"]]
    assert 0 < rows[0][at["rest"]] < 1


@pytest.fixture(scope="module")
def pair() -> Known:
    """Return elastic patterns, those of phonons, and the condition."""
    specimen, rng = titanate(8), np.random.default_rng(8)
    (true,) = patterns(specimen, LENS, PLACES, HOW.model_copy(update={"phonons": 24}), rng)
    (elastic,) = patterns(specimen, LENS, PLACES, HOW)
    return elastic, true, given(specimen)


class TestNetworks:
    """The weights that ship."""

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> None:
        pytest.importorskip("torch").set_num_threads(1)
        pytest.importorskip("safetensors")

    def test_patterns_are_near_those_of_phonons(self, pair: Known) -> None:
        elastic, true, known = pair
        found = load_tds()(elastic, known)
        for ours, still, theirs in zip(found.patterns, elastic, true, strict=True):
            high = ring(theirs, 60e-3, 0.2)
            assert ring(ours, 60e-3, 0.2) == pytest.approx(high, rel=0.1)
            off, before = (np.abs(np.sqrt(one) - np.sqrt(theirs)).sum() for one in (ours, still))
            assert off < before / 2
        np.testing.assert_allclose(found.patterns.sum((1, 2)), true.sum((1, 2)), rtol=0.01)
        assert found.applies.all()

    def test_no_electron_is_made_and_the_mean_wave_stays(self, pair: Known) -> None:
        elastic, _, known = pair
        found = load_tds()(elastic, known).patterns
        assert (found >= known.wave.coarse.patterns - 1e-9).all()
        lost = known.wave.lost.sum(axis=(1, 2))
        assert ((found - known.wave.coarse.patterns).sum(axis=(1, 2)) <= lost * 1.0001).all()

    def test_errors_of_annuli_are_there_for_every_place(self, pair: Known) -> None:
        elastic, _, known = pair
        found = load_tds()(elastic, known)
        assert found.error.shape == (2, len(found.edges) - 1)
        assert (found.error > 0).all()
        assert (found.error < 0.5).all()

    def test_a_camera_of_its_own_sees_the_same(self, pair: Known) -> None:
        elastic, _, known = pair
        fine = HOW.model_copy(update={"pixels": 128, "angle_per_pixel": 1.5e-3,
                                      "slice_thickness": A / 2})  # fmt: skip
        wide = Specimen(*_repeated(titanate(8), 3))
        lens = LENS
        places = PLACES + 3 * A
        (still,) = patterns(wide, lens, places, fine)
        found = load_tds()(still, condition(wide, lens, places, fine))
        along = (np.arange(128) - 64) * 1.5e-3
        angle = np.hypot(along[:, None], along)
        whole = load_tds()(elastic, known).patterns
        for one, other in zip(found.patterns, whole, strict=True):
            high = float(one[(angle >= 55e-3) & (angle < 90e-3)].sum())
            assert high == pytest.approx(ring(other, 55e-3, 90e-3), rel=0.07)

    @pytest.mark.parametrize(
        ("name", "lens", "specimen", "tilt"),
        [
            ("thickness", LENS, titanate(1, 8e-12), (0.0, 0.0)),
            ("number", LENS, titanate(3, 8e-12, heavy=92), (0.0, 0.0)),
            ("rms", LENS, titanate(3, 2e-11), (0.0, 0.0)),
            ("tilt", LENS, titanate(3), (0.02, 0.0)),
            ("voltage", Lens(voltage=40e3, convergence_angle=20e-3), titanate(3), (0.0, 0.0)),
            ("convergence_angle", Lens(convergence_angle=35e-3), titanate(3), (0.0, 0.0)),
        ],
    )
    def test_what_was_not_trained_is_refused_with_the_bound(
        self, name: str, lens: Lens, specimen: Specimen, tilt: tuple[float, float]
    ) -> None:
        how = HOW.model_copy(update={"tilt": tilt, "pixels": 32})
        known = condition(specimen, lens, PLACES, how)
        elastic = known.wave.view.patterns
        with pytest.raises(OutOfRange, match=rf"`{name}` is .*know .* run the full simulation"):
            load_tds()(elastic, known)
        assert not load_tds()(elastic, known, refuse=False).applies.any()

    def test_pixels_wider_than_those_of_training_are_refused(self) -> None:
        how = HOW.model_copy(update={"pixels": 32, "angle_per_pixel": 8e-3})
        known = given(titanate(3), how=how)
        with pytest.raises(OutOfRange, match=r"`angle_per_pixel` is 0\.008"):
            load_tds()(known.wave.view.patterns, known)

    def test_networks_that_disagree_refuse(self, pair: Known) -> None:
        elastic, _, known = pair
        add = load_tds()
        strict = {"disagreement": (0.0, 1e-9)}
        nervous = replace(add, card=add.card.model_copy(update={"known": add.card.known | strict}))
        with pytest.raises(OutOfRange, match=r"disagree by .* run the full simulation"):
            nervous(elastic, known)
        assert not nervous(elastic, known, refuse=False).applies.any()

    def test_patterns_of_another_camera_are_no_input(self, pair: Known) -> None:
        elastic, _, known = pair
        with pytest.raises(SignalError, match="`elastic` has shape"):
            load_tds()(elastic[:1], known)

    def test_the_beam_beside_its_focus_makes_no_other_answer_impossible(self) -> None:
        lens = LENS.model_copy(update={"aberrations": Aberrations(C1=-2e-9)})
        known = given(titanate(3), lens)
        (elastic,) = patterns(titanate(3), lens, PLACES, HOW)
        assert np.isfinite(load_tds()(elastic, known).patterns).all()


def _repeated(one: Specimen, times: int) -> tuple:
    corners = np.stack(np.meshgrid(range(times), range(times), [0]), -1).reshape(-1, 1, 3)
    position = (one.position + corners * np.asarray(one.box)).reshape(-1, 3)
    count = times * times
    box = (one.box[0] * times, one.box[1] * times, one.box[2])
    return position, np.tile(one.number, count), np.tile(one.rms, count), box


def test_coarse_detector_reaches_200_milliradians() -> None:
    assert COARSE.pixels * COARSE.per_pixel / 2 == pytest.approx(0.2)
