"""The network: it finds what is there, knows its own frames, and is not needed."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from nanopilot.analysis.particles import find_particles, finding, learned
from nanopilot.core.errors import MissingExtra
from nanopilot.core.signals import Axis, Signal, make_signal
from nanopilot.models.recipes import particles as recipe
from nanopilot.models.weights import FOLDER
from nanopilot.workflows.particle_frames import draw_frame

HAS_NET = (
    all(importlib.util.find_spec(name) for name in ("torch", "safetensors"))
    and (FOLDER / "particles.safetensors").exists()
)
needs_net = pytest.mark.skipif(not HAS_NET, reason="needs the extra ml and weights")


def framed(values: np.ndarray) -> Signal:
    axes = {
        dim: Axis(1e-9 * np.arange(size), "m", "position")
        for dim, size in zip(("y", "x"), values.shape, strict=True)
    }
    return make_signal(values, axes, quantity="counts", units="1")


def test_targets_are_spots_at_centres_of_the_own_octave_with_the_size_there() -> None:
    place, radius = np.array([[20.0, 30.0], [60.0, 60.0], [70.0, 20.0]]), np.array([7, 30, 10])
    heat, size = recipe.targets(place, radius, 96)
    assert heat[20, 30] == heat[70, 20] == 1
    assert size[20, 30] == pytest.approx(0)
    assert size[70, 20] == pytest.approx(np.log2(10 / recipe.UNIT))
    # 30 pixels are for a coarser level.
    assert heat[60, 60] < 1e-3
    assert heat[20, 30 + 5] < 0.1


def test_shown_frames_do_not_depend_on_gain_and_offset() -> None:
    image = np.random.default_rng(0).normal(size=(64, 64))
    np.testing.assert_allclose(recipe.show(3e4 * image + 7), recipe.show(image), atol=1e-4)
    assert not recipe.show(np.ones((8, 8))).any()


def test_without_torch_only_the_network_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    learned.load_learned.cache_clear()
    frame = framed(np.random.default_rng(0).normal(size=(64, 64)))
    assert find_particles(frame, method="classical").table.sizes["point"] == 0
    with pytest.raises(MissingExtra, match=r"nanopilot\[ml\]"):
        find_particles(frame, method="learned")


@needs_net
def test_network_finds_what_is_there() -> None:
    y, x = np.indices((120, 160))
    image = np.random.default_rng(1).normal(0, 0.3, y.shape)
    image += (np.hypot(y - 40, x - 50) < 15) - 1.0 * (np.hypot(y - 80, x - 120) < 22)
    table = find_particles(framed(image), method="learned").table
    found = np.stack([table["y"], table["x"], table["radius"]], axis=1) * 1e9
    np.testing.assert_allclose(found, [[40, 50, 15], [80, 120, 22]], atol=1.2)


@needs_net
def test_own_frames_are_known_and_others_are_strange() -> None:
    rng = np.random.default_rng(77)
    own = [learned.strangeness(framed(draw_frame(rng).image)) for _ in range(8)]
    assert np.median(own) < 1
    y, x = np.indices((256, 256))
    lattice = np.cos(2 * np.pi * x / 7) * np.cos(2 * np.pi * y / 7)
    assert learned.strangeness(framed(lattice)) > 1


@needs_net
def test_auto_asks_the_network_only_where_it_is_better_and_knows_the_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = finding.Limits(6, 30)
    image = np.asarray(draw_frame(np.random.default_rng(77)).image)
    monkeypatch.setattr(finding, "BETTER", False)
    assert finding._look("auto", limits, image) is None
    monkeypatch.setattr(finding, "BETTER", True)
    assert (finding._look("auto", limits, image) is None) == (
        learned.load_learned().strangeness(image) > 1
    )
    y, x = np.indices((256, 256))
    assert finding._look("auto", limits, np.cos(x * 0.9) * np.cos(y * 0.9)) is None
