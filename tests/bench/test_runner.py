"""The runner scores every method on every seed and holds the means against the bars."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.bench import Bar, run_track
from nanopilot.bench.intervals import bootstrap
from nanopilot.bench.runner import parse_seeds
from nanopilot.core.errors import InvalidRequest, UnknownName


@dataclass(frozen=True)
class Case:
    visible: int
    truth: float


class Doubling:
    """What is twice the seed?"""

    name, version, about, default = "doubling", "1", "what is twice the seed?", "double"
    bars = (
        Bar(what="answers are right", metric="error", bar=0.0, better="lower"),
        Bar(what="guessing is not", metric="error", bar=1.0, method="zero"),
    )

    @property
    def methods(self) -> Mapping[str, Callable[[int], float]]:
        return {"double": lambda seen: 2.0 * seen, "zero": lambda seen: 0.0}

    def case(self, seed: int) -> Case:
        return Case(seed, 2.0 * seed)

    def score(self, case: Case, answer: float) -> Mapping[str, float]:
        return {"error": abs(answer - case.truth)}


def test_result_has_the_shape_scripts_read() -> None:
    found: dict[str, Any] = json.loads(run_track(Doubling(), range(1, 4)).model_dump_json())
    assert found["track"] == "doubling"
    assert found["version"] == "1"
    assert found["seeds"] == [1, 2, 3]
    assert found["default"] == "double"
    assert found["methods"]["zero"]["error"]["mean"] == 4.0
    assert set(found["methods"]["zero"]["error"]) == {"mean", "low", "high"}
    lines = found["acceptance"]
    assert set(lines[0]) == {"what", "metric", "value", "bar", "better", "ok"}
    assert [line["ok"] for line in lines] == [True, True]
    assert found["seconds"] >= 0
    assert found["machine"]["cores"] >= 1


def test_missed_bar_is_said() -> None:
    (line, _) = run_track(Broken(), range(3)).acceptance
    assert not line.ok
    assert line.value == 7.0


class Broken(Doubling):
    @property
    def methods(self) -> Mapping[str, Callable[[int], float]]:
        return {"double": lambda seen: 2.0 * seen + 7.0, "zero": lambda seen: 0.0}


class Silent(Doubling):
    def score(self, case: Case, answer: float) -> Mapping[str, float]:
        return {"error": float("nan") if case.visible == 1 else 0.0}


def test_case_without_an_answer_is_not_averaged_away() -> None:
    (line, _) = run_track(Silent(), range(3)).acceptance
    assert not line.ok


def test_only_the_methods_asked_for_are_run() -> None:
    found = run_track(Doubling(), range(3), methods=["zero"])
    assert list(found.methods) == ["zero"]
    assert [line.what for line in found.acceptance] == ["guessing is not"]
    with pytest.raises(UnknownName, match="double"):
        run_track(Doubling(), range(3), methods=["dubble"])


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    run_track(Doubling(), range(2), progress=lambda done, of, what: told.append((done, of)))
    assert told == [(0, 2), (0, 2), (1, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("text", "seeds"), [("0:3", [0, 1, 2]), ("5", [5]), ("2:8:3", [2, 5]), (" 1:2 ", [1])]
)
def test_seeds_are_ranges(text: str, seeds: list[int]) -> None:
    assert list(parse_seeds(text)) == seeds


@pytest.mark.parametrize("text", ["", "a", "3:3", "5:2", "-1:2", "0:5:0", "1.5"])
def test_bad_seeds_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="`seeds`"):
        parse_seeds(text)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_interval_holds_the_mean_and_stays_within_the_values(values: list[float]) -> None:
    found = bootstrap(values, np.random.default_rng(0))
    slack = 1e-9 * (1 + max(abs(v) for v in values))
    assert min(values) - slack <= found.low <= found.mean + slack
    assert found.mean - slack <= found.high <= max(values) + slack


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        found = bootstrap(rng.normal(size=30).tolist(), rng, resamples=400)
        hits += found.low <= 0.0 <= found.high
    assert 0.88 <= hits / 300 <= 0.98
