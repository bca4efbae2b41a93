"""What `analyse atoms` and `analyse defects` say of frames, and when they doubt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanopilot.bench.lattice_defects import VACANCY, Plan, Scene, draw_scene
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.signals import Axis, Signal, check_set, make_signal
from nanopilot.workflows.analyse.atoms import AnalyseAtoms
from nanopilot.workflows.analyse.defects import AnalyseDefects

Array = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene(Plan("perovskite"), np.random.default_rng(21), pixels=224)


def frame_of(values: Array, pitch: float = 2e-11) -> Signal:
    axes = {
        dim: Axis(np.arange(n) * pitch, "m", "position")
        for dim, n in zip("yx", values.shape, strict=True)
    }
    return make_signal(values, axes, quantity="counts", units="1")


def test_defects_are_ranked_marked_and_counted(scene: Scene) -> None:
    found = AnalyseDefects()(scene.frame)
    check_set(found.table)
    score = found.table["score"].to_numpy()
    inner = found.table["boundary"].to_numpy() == 0
    assert (np.diff(score[inner]) <= 0).all()
    assert inner[: inner.sum()].all()
    vacant = scene.place[(scene.label == VACANCY) & ~scene.edge] * scene.pixel
    marked = np.array([one.points[0] for one in found.marks if one.kind == "vacancy"])
    for y, x in vacant:
        assert np.hypot(*(marked - [x, y]).T).min() < 0.3 * scene.spacing * scene.pixel
    assert found.summary["vacancy sites"] == len(marked)
    assert found.summary["sublattices told apart"] == 2
    assert len(AnalyseDefects(most=3)(scene.frame).marks) == 3
    with pytest.raises(OutOfRange, match="`most` is -1"):
        AnalyseDefects(most=-1)(scene.frame)


def test_atoms_tell_the_lattice(scene: Scene) -> None:
    found = AnalyseAtoms()(scene.frame)
    check_set(found.table)
    assert len(found.marks) == found.table.sizes["point"]
    expected = scene.spacing * np.sqrt(2) * scene.pixel * 1e12
    assert found.summary["period a (pm)"] == pytest.approx(expected, rel=0.03)
    assert found.summary["angle between them (deg)"] == pytest.approx(90, abs=3)
    assert {"strain_xx", "sublattice", "x_error"} <= set(found.table)


def test_no_lattice_is_a_doubt_for_atoms_and_an_error_for_defects() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.indices((96, 96))
    mean = np.full((96, 96), 40.0)
    for y, x in rng.uniform(6, 90, (40, 2)):
        mean += 300 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 8)
    frame = frame_of(rng.poisson(mean).astype(float))
    assert any("No lattice" in one for one in AnalyseAtoms()(frame).doubts)
    with pytest.raises(SignalError, match=r"periods|expects"):
        AnalyseDefects()(frame)


def test_low_dose_few_columns_and_clipping_are_doubted(scene: Scene) -> None:
    rng = np.random.default_rng(1)
    counts = scene.frame.to_numpy()
    counts = counts - counts.min()
    dim = frame_of(rng.poisson(counts / counts.max() * 1.2).astype(float), scene.pixel)
    assert any("standard deviations" in one for one in AnalyseAtoms()(dim).doubts)
    clipped = scene.frame.copy(data=np.minimum(counts, 0.6 * counts.max()))
    for analyse in (AnalyseAtoms(), AnalyseDefects()):
        assert any("out of range" in one for one in analyse(clipped).doubts)
    small = scene.frame.isel(y=slice(0, 48), x=slice(0, 48))
    assert any("columns were found" in one for one in AnalyseAtoms()(small).doubts)
    flat = frame_of(np.full((32, 32), 7.0))
    assert any("one value" in one for one in AnalyseAtoms()(flat).doubts)
    assert AnalyseAtoms()(flat).table.sizes["point"] == 0


def test_weights_train_in_a_few_steps_and_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from nanopilot.analysis.atom_graphs.learned import load_members
    from nanopilot.workflows import train_defects
    from nanopilot.workflows.defect_lattices import LATTICES, Disorder, draw_lattice
    from nanopilot.workflows.train_defects import check, train

    def small(
        name: str, rng: np.random.Generator, disorder: Disorder | None = None, pixels: int = 0
    ) -> Signal:
        return draw_lattice(name, rng, disorder, pixels=112)

    monkeypatch.setattr(train_defects, "draw_lattice", small)

    lines: list[str] = []
    card = train(seed=1, steps=1, out=tmp_path, report=lines.append)
    assert card.recipe == "defects"
    assert len(load_members(tmp_path)) == card.settings["members"]
    for name, value in check("defects", tmp_path).items():
        expected, within = card.checks[name]
        assert abs(value - expected) <= within
    assert any("drawing" in one for one in lines)
    assert set(LATTICES) >= {"square", "honeycomb", "perovskite", "rock salt", "oblique"}
