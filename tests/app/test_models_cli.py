"""`nanopilot models`: lists, cards, training and checks, and what is said when it cannot be."""

import json
import sys
from pathlib import Path

import pytest

from nanopilot.app.cli import main
from nanopilot.models.weights import FOLDER, load_card


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["models", *arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_list_tells_every_model_and_its_card(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list", "--json")
    assert code == 0
    found = {row["name"]: row for row in json.loads(out)}
    assert {path.stem for path in FOLDER.glob("*.json")} <= set(found)
    assert found["tip-refiner"]["card"]["sha256"] == load_card("tip-refiner").sha256
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert out.splitlines()[0].split() == ["model", "seed", "sha256", "limits"]
    assert any(line.startswith("tip-refiner-residual ") for line in out.splitlines())


def test_show_prints_the_card(capsys: pytest.CaptureFixture[str]) -> None:
    card = load_card("tip-refiner")
    code, out, _ = run(capsys, "show", "tip-refiner", "--json")
    assert code == 0
    assert json.loads(out) == card.model_dump(mode="json")
    _, out, _ = run(capsys, "show", "tip-refiner")
    for piece in (card.data, card.sha256, card.limits, f"seed: {card.seed}", "loss_held_out"):
        assert piece in out


def test_unknown_names_and_impossible_numbers_are_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for arguments, said in (
        (("show", "tip-refinr"), "did you mean tip-refiner"),
        (("train", "nope"), "`model` is 'nope'"),
        (("train", "tip-refiner", "--steps", "0"), "`steps` is 0"),
        (("train", "tip-refiner", "--seed", "-1"), "`seed` is -1"),
        (("check", "tip-refiner", "--from", str(tmp_path)), "`weights` is 'tip-refiner'"),
    ):
        code, _, err = run(capsys, *arguments)
        assert code == 2
        assert said in err
        assert err.count("\n") == 1


def test_without_torch_training_says_what_to_install_and_lists_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for arguments in (("train", "tip-refiner", "--out", str(tmp_path)), ("check", "tip-refiner")):
        code, _, err = run(capsys, *arguments)
        assert code == 2
        assert "pip install 'nanopilot[ml]'" in err
    assert not list(tmp_path.iterdir())
    assert run(capsys, "list")[0] == 0


@pytest.mark.parametrize(("name", "checked"), [("tip-refiner", "ok"), ("tip-state", "unchecked")])
def test_a_few_steps_of_training_write_weights_that_check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, checked: str
) -> None:
    pytest.importorskip("torch")
    arguments = ("train", name, "--steps", "3", "--seed", "5", "--out", str(tmp_path))
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0
    assert "epoch 1: " in err
    told = json.loads(out)
    assert Path(told["weights"]).stat().st_size < 5e6
    card = load_card(name, tmp_path)
    assert (card.seed, card.sha256) == (5, told["sha256"])
    assert card.sha256 != load_card(name).sha256
    assert told["metrics"] == card.metrics
    code, out, _ = run(capsys, "check", name, "--from", str(tmp_path), "--json")
    assert code == 0
    assert json.loads(out)["checks"][0]["status"] == checked


def test_damage_is_exit_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for ending in ("json", "safetensors"):
        file = FOLDER / f"tip-refiner.{ending}"
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "tip-refiner.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(bytes(content))
    code, out, _ = run(capsys, "check", "--from", str(tmp_path))
    assert code == 1
    assert "FAILED" in out
    assert "SHA-256" in out
