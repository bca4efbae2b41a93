"""Where PyTorch is not installed all but learned operators works, and those say what to install."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BLOCKED = """
import sys


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocked())
"""


@pytest.fixture
def without(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which every Python process lacks PyTorch."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCKED)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def called(without: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env=without, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def commanded(without: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return called(without, "-m", "nanopilot", *words)


def test_the_hook_blocks(without: dict[str, str]) -> None:
    found = called(without, "-c", "import torch")
    assert found.returncode != 0
    assert "No module named 'torch'" in found.stderr


def test_operators_of_analysis_work_and_learned_ones_say_what_to_install(
    without: dict[str, str],
) -> None:
    code = """
import sys
import numpy as np
from nanopilot.core import registry
from nanopilot.core.errors import MissingExtra
from nanopilot.core.signals import Axis, make_signal
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.frame_features import frame_features
from nanopilot.analysis.rescaling import rescale
from nanopilot.analysis.tip.learned_state import load_tip_state
from nanopilot.analysis.tip.refine import load_refiner
from nanopilot.analysis.tip.predict import load_predictor
from nanopilot.models.unet import UNet, UNetShape

for name in registry.names("operators"):
    registry.load("operators", name)
rng = np.random.default_rng(0)
axis = Axis(np.arange(64) * 1e-9, "m", "position")
frame = make_signal(rng.normal(size=(64, 64)), {"y": axis, "x": axis}, quantity="height", units="m")
for name in ("level", "match-lines", "remove-scars", "subtract-plane"):
    registry.load("operators", name)()(frame)
rescale(frame, 2e-9)
features = np.stack([frame_features(rng.normal(size=(48, 48))) for _ in range(60)])
assert Familiarity.learn(features, rng).strangeness(features).shape == (60,)
for learned in (load_tip_state, load_refiner, load_predictor, lambda: UNet(UNetShape(1, 1))):
    try:
        learned()
    except MissingExtra as error:
        assert "pip install 'nanopilot[ml]'" in str(error), error
    else:
        raise AssertionError(learned)
assert not {"torch", "safetensors"} & set(sys.modules)
"""
    found = called(without, "-W", "error", "-c", code)
    assert found.returncode == 0, found.stderr


def test_networks_are_listed(without: dict[str, str]) -> None:
    found = commanded(without, "models", "list")
    assert found.returncode == 0, found.stderr
    assert "tip-state" in found.stdout
    found = commanded(without, "models", "check")
    assert found.returncode != 0
    assert "pip install 'nanopilot[ml]'" in found.stdout + found.stderr


def particles(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:160, :160]
    values = np.zeros((160, 160))
    for row in range(20, 160, 40):
        for column in range(20, 160, 40):
            values += np.hypot(y - row, x - column) < 9
    path = folder / "frame.npy"
    np.save(path, values + 0.05 * rng.normal(size=values.shape))
    return path


@pytest.mark.parametrize("kind", ["grains", "particles"])
def test_frames_are_analysed_by_the_classical_way(
    kind: str, without: dict[str, str], tmp_path: Path
) -> None:
    path, out = particles(tmp_path), tmp_path / "out"
    words = ("analyse", kind, str(path), "--out", str(out), "--jobs", "1")
    words = (*words, "--pixel-size", "0.5 nm", "--json")
    found = commanded(without, *words, "--method", "classical")
    assert found.returncode == 0, found.stdout + found.stderr
    said = json.loads(found.stdout)
    assert said["frames"][0]["status"] in ("ok", "unsure"), said
    if kind != "grains":
        return
    learned = commanded(without, *words, "--method", "learned", "--out", str(tmp_path / "two"))
    told = learned.stdout + learned.stderr
    assert learned.returncode == 1, told
    assert "pip install 'nanopilot[ml]'" in told
