"""The guard holds in the track, what is not guarded does not, and the oracle is not blind."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest

from nanopilot.bench.guard_assault import Assault
from nanopilot.bench.guard_scene import Tally
from nanopilot.bench.tracks.guard import GuardTrack, bare, clamped, guarded
from nanopilot.core.limits import Violation
from nanopilot.instruments.guard import command, control, gates, judging, motion, trust
from nanopilot.instruments.guard.control import Control

SIZE = 2_000


def test_nothing_illegal_reaches_the_instrument_and_nothing_legal_is_refused() -> None:
    track = GuardTrack(SIZE)
    case = track.case(0)
    answer = track.methods["guard"](case.visible)
    score = track.score(case, answer)
    assert answer.first == []
    assert {name: score[name] for name in ("reached", "untyped", "refused_legal", "unsafe")} == {
        "reached": 0, "untyped": 0, "refused_legal": 0, "unsafe": 0,
    }  # fmt: skip
    assert score["legal"] > 0.05


@pytest.mark.parametrize("defence", [bare, clamped])
def test_without_the_guard_most_of_it_does(defence: Callable[..., Any]) -> None:
    answer = Assault(0, SIZE).against(defence)
    assert answer.reached > SIZE / 2
    assert answer.unsafe > 0


def broken(monkeypatch: pytest.MonkeyPatch, where: object, name: str, what: object) -> Tally:
    monkeypatch.setattr(where, name, what)
    return Assault(1, SIZE).against(guarded)


MUTANTS: tuple[tuple[object, str, object], ...] = (
    (judging, "check_limits", lambda *a: []),
    (judging, "broken", lambda *a: []),
    (gates.Gate, "check", lambda self, value: []),
    (motion.Motion, "_check_rate", lambda *a: []),
    (motion.Motion, "_check_excursion", lambda *a: []),
    (command.Commander, "objection", lambda *a, **k: None),
    (control, "busy", lambda *a, **k: []),
    (judging.Books, "check", lambda *a: []),
    (control, "trusted", lambda request, kind: request),
    (control, "trusted_numbers", dict),
    (trust, "_number", lambda name, value: float(value)),
    (judging.FreshState, "read", lambda self: self._instrument.state()),
)


@pytest.mark.parametrize(("where", "name", "what"), MUTANTS, ids=range(len(MUTANTS)))
def test_the_oracle_sees_a_guard_that_forgets_a_rule(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, what: object
) -> None:
    answer = broken(monkeypatch, where, name, what)
    assert answer.reached + answer.untyped + answer.unsafe > 0


def test_the_oracle_sees_a_guard_whose_commands_do_not_take_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def no_turn(self: Control, token: Any) -> Any:
        yield

    monkeypatch.setattr(Control, "turn", no_turn)
    assert Assault(0, 5_000).against(guarded).reached > 0


def test_the_oracle_sees_a_guard_that_refuses_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = judging.Judge.interlocks
    monkeypatch.setattr(
        judging.Judge, "interlocks", lambda *a, **k: honest(*a, **k) or [_refused()]
    )
    assert Assault(1, SIZE).against(guarded).refused_legal > 0


def _refused() -> Any:
    return Violation(parameter="x", message="no")
