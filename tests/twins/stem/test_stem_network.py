"""The camera with networks instead of phonons: the same pattern, or a refusal."""

from typing import Any

import numpy as np
import pytest

from nanopilot.core.errors import OutOfRange
from nanopilot.twins.stem.patterns import PatternSource
from nanopilot.workflows.twins import stem

PLACES = np.array([[0.0, 0.0], [1e-10, 0.0]])
ANGLE = np.hypot(*np.meshgrid(*2 * [(np.arange(48) - 24) * 3e-3]))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    pytest.importorskip("torch").set_num_threads(1)
    pytest.importorskip("safetensors")


def seen(physics: str, sample: str = "srtio3", **lens: Any) -> np.ndarray:
    optics = {"voltage": 200e3, "convergence_angle": 22e-3} | lens
    camera = {"pixels": 48, "angle_per_pixel": 3e-3, "phonons": 16, "physics": physics}
    twin = stem(sample, seed=1, size=8e-9, settings={"camera": camera, "lens": optics})
    source = PatternSource(twin._world)
    return np.stack(list(source.patterns("pattern", PLACES)))


def test_networks_stand_for_phonons_in_the_camera_of_the_twin() -> None:
    network, phonons, still = (seen(physics) for physics in ("network", "multislice", "elastic"))
    assert network.shape == phonons.shape == (2, 48, 48)
    high = (ANGLE >= 45e-3) & (ANGLE < 72e-3)
    for ours, true, elastic in zip(network, phonons, still, strict=True):
        assert ours[high].sum() == pytest.approx(true[high].sum(), rel=0.15)
        assert elastic[high].sum() < 0.5 * true[high].sum()
        assert ours.sum() == pytest.approx(true.sum(), rel=0.01)
        assert (ours >= 0).all()
        assert ours.sum() <= 1


@pytest.mark.parametrize(
    ("sample", "lens", "name"),
    [
        ("srtio3", {"voltage": 60e3}, "voltage"),
        ("srtio3", {"convergence_angle": 35e-3}, "convergence_angle"),
        ("graphene", {}, "thickness"),
    ],
)
def test_what_networks_do_not_know_is_refused(
    sample: str, lens: dict[str, float], name: str
) -> None:
    with pytest.raises(OutOfRange, match=rf"`{name}` is .*run the full simulation"):
        seen("network", sample, **lens)
