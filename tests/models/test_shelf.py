"""Networks by name: cards, training anew, and checks that see damage."""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from nanopilot.core import registry
from nanopilot.core.errors import InvalidRequest, OutOfRange, UnknownName
from nanopilot.models import shelf
from nanopilot.models.weights import FOLDER, load_card

pytest.importorskip("torch")
pytest.importorskip("safetensors")
#: Weights of other hands may be registered too.
OURS = ("tip-predictor", "tip-refiner", "tip-refiner-residual")
RECIPE = """
from pathlib import Path

import numpy as np

from nanopilot.models.weights import Card, load_weights, save_weights

WEIGHTS = Path(__file__).parent
CARD = Card(name="one", recipe="none", settings={}, data="-", seed=0, sha256="", metrics={},
            limits="-", checks={"mean": (2.5, 0.01)})


def train(*, seed=0, steps=None, out, report):
    report(f"seed {seed}, steps {steps}")
    tensors = {"a": np.arange(1, 5, dtype=np.float32) + seed}
    return save_weights(out, tensors, CARD)


def check(name, folder=None):
    return {"mean": float(load_weights(name, folder)[0]["a"].mean())}
"""


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Register recipes of a package that ships no weights yet, and broken ones; its folder."""
    (tmp_path / "recipe_fine.py").write_text(RECIPE)
    (tmp_path / "recipe_syntax.py").write_text("def train(:")
    (tmp_path / "recipe_empty.py").write_text("")
    (tmp_path / "recipe_leaves.py").write_text("import sys; sys.exit('no licence')")
    monkeypatch.syspath_prepend(str(tmp_path))
    ours = registry._entries("models")
    theirs = {
        name: EntryPoint(name, f"recipe_{module}:train", "nanopilot.models")
        for name, module in (
            ("one", "fine"), ("syntax", "syntax"), ("empty", "empty"), ("leaves", "leaves"),
            ("gone", "gone"),
        )
    }  # fmt: skip
    monkeypatch.setattr(registry, "_entries", lambda kind: ours | theirs)
    yield tmp_path
    for module in ("fine", "syntax", "empty", "leaves"):
        sys.modules.pop(f"recipe_{module}", None)


def test_all_that_ships_is_registered_and_all_that_is_registered_here_ships() -> None:
    shipped = {path.stem for path in FOLDER.glob("*.json")}
    assert shipped <= set(registry.names("models"))
    assert set(OURS) <= shipped


@pytest.mark.parametrize("name", OURS)
def test_shipped_weights_are_what_their_card_says(name: str) -> None:
    found = shelf.check(name)
    assert found.status == "ok", found.said
    assert set(found.found) == set(load_card(name).checks)


def test_broken_entries_are_told_and_hide_no_others(others: Path) -> None:
    found = {one.name: one for one in shelf.entries()}
    assert "recipe_gone" in found["gone"].problem
    assert "no attribute 'train'" in found["empty"].problem
    assert "SyntaxError" in found["syntax"].problem
    assert "no licence" in found["leaves"].problem
    assert found["tip-refiner"].card is not None
    with pytest.raises(InvalidRequest, match="`empty` is registered, but"):
        shelf.recipe_of("empty")
    with pytest.raises(InvalidRequest, match="recipe_gone"):
        shelf.train_anew("gone", others, report=print)


def test_all_are_checked_and_broken_ones_have_failed(
    others: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "names", lambda kind: ("empty", "gone", "one"), raising=True)
    assert {one.name: one.status for one in shelf.check_all()} == {
        "empty": "failed", "gone": "failed", "one": "unchecked",
    }  # fmt: skip
    shelf.train_anew("one", others, report=print)
    assert shelf.check_all()[-1].status == "ok"


def test_recipes_of_others_ship_from_their_own_folder(others: Path) -> None:
    (before,) = (one for one in shelf.entries() if one.name == "one")
    assert before.card is None
    assert "train" in before.problem
    lines: list[str] = []
    card = shelf.train_anew("one", others, steps=7, report=lines.append)
    assert lines == ["seed 0, steps 7"]
    assert shelf.card_of("one").sha256 == card.sha256
    assert shelf.check("one").status == "ok"


def test_other_numbers_other_bytes_and_nothing_to_repeat_are_told_apart(others: Path) -> None:
    shelf.train_anew("one", others, seed=3, report=print)
    found = shelf.check("one")
    assert found.status == "failed"
    assert "mean is 5.5, the card says 2.5" in found.said
    path = others / "one.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"checks": {}}))
    assert shelf.check("one").status == "unchecked"
    path.write_text(json.dumps(told | {"checks": {"other": [1.0, 9.0]}}))
    assert shelf.check("one").status == "failed"
    weights = others / "one.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    found = shelf.check("one")
    assert found.status == "failed"
    assert "SHA-256" in found.said
    weights.unlink()
    assert shelf.check("one").status == "failed"


def test_bad_input_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean tip-refiner"):
        shelf.train_anew("tip-refinr", tmp_path, report=print)
    with pytest.raises(OutOfRange, match="`seed` is -1"):
        shelf.train_anew("tip-refiner", tmp_path, seed=-1, report=print)
    with pytest.raises(OutOfRange, match="`steps` is 0"):
        shelf.train_anew("tip-refiner", tmp_path, steps=0, report=print)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="a file"):
        shelf.train_anew("tip-refiner", tmp_path / "file", report=print)
