"""The closed loop on a small film: what it finds, and that nothing kills it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanopilot.core.adjustables import Positioner
from nanopilot.core.capabilities import Acquisition, PointSpectroscopy
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import InvalidRequest, NotInCommand, OutOfRange, UnknownName, Unsupported
from nanopilot.core.events import Audit, Decision, Event, Intent, Note, Outcome, Plan
from nanopilot.core.limits import Area, Limits, Range
from nanopilot.core.requests import SpectrumRequest
from nanopilot.core.signals import Signal
from nanopilot.instruments import Guard
from nanopilot.io.history import load_history
from nanopilot.io.run_folder import RunFolder
from nanopilot.io.verify import verify
from nanopilot.testing import film
from nanopilot.twins.replay import ReplayTwin
from nanopilot.workflows.connect import connect, reconnect
from nanopilot.workflows.launch import finished, launch, resume

ASKED = {"budget": 0.3, "seed": 1, "survey": 5, "window": 5}


def scope_of(signal: Signal | None = None, **guard: object) -> Guard:
    recorded = film() if signal is None else signal
    return Guard(ReplayTwin((recorded,), VirtualClock()), **guard)  # type: ignore[arg-type]


def contents(folder: Path) -> tuple[list[Event], dict[tuple[str, int], object]]:
    """Decisions and outcomes, and every signal, of a run."""
    with RunFolder.open(folder) as run:
        events = [e for e in run.journal.events() if isinstance(e, Decision | Outcome)]
        signals = run.signals
        kept = {(n, i): signals.get(n, i) for n in signals.names() for i in signals.kept(n)}
    return events, kept


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    launch("discover", scope_of(), ASKED, folder)
    return folder


def test_run_measures_what_the_budget_pays_for_and_no_site_twice(whole: Path) -> None:
    with RunFolder.open(whole) as run:
        history = load_history(run.journal.events()).history
        assert finished(run)
    assert len(history) == round(0.3 * 48)
    assert len(set(history.measured.tolist())) == len(history)


def test_run_finds_the_largest_loops_of_a_smooth_film(whole: Path) -> None:
    with RunFolder.open(whole) as run:
        history = load_history(run.journal.events()).history
    largest = (film().isel(bias=8) ** 2).to_numpy().ravel().argsort()[-3:]
    assert set(largest.tolist()) <= set(history.measured.tolist())


def test_journal_has_an_intent_before_every_outcome(whole: Path) -> None:
    with RunFolder.open(whole) as run:
        events = list(run.journal.events())
    intended = set()
    for event in events:
        if isinstance(event, Intent):
            intended.add(event.step)
        if isinstance(event, Outcome):
            assert event.step in intended
    assert isinstance(next(event for event in events if not isinstance(event, Note)), Plan)
    verdicts = [event.verdict for event in events if isinstance(event, Audit)]
    assert verdicts == ["allowed"] * (1 + round(0.3 * 48))


def test_finished_run_verifies_and_is_not_run_again(whole: Path) -> None:
    assert verify(whole).ok
    assert not resume(whole, scope_of())


def test_same_seed_gives_the_same_run_and_another_seed_another(whole: Path, tmp_path: Path) -> None:
    launch("discover", scope_of(), ASKED, tmp_path / "again")
    launch("discover", scope_of(), ASKED | {"seed": 2}, tmp_path / "other")
    events, signals = contents(whole)
    again, signals_again = contents(tmp_path / "again")
    assert again == events
    assert signals_again.keys() == signals.keys()
    assert all(signals[key].identical(signals_again[key]) for key in signals)  # type: ignore[attr-defined]
    assert contents(tmp_path / "other")[0] != events


class Killed(BaseException):
    """What no part of the program catches."""


def kill_at(number: int) -> Callable[[Event], None]:
    """Return a listener that kills the run at its event of this number."""
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            raise Killed

    return listen


@given(kills=st.lists(st.integers(1, 70), min_size=1, max_size=4))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_run_killed_anywhere_ends_as_if_it_never_was(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, kills: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("killed") / "run"
    with suppress(Killed):
        launch("discover", scope_of(), ASKED, folder, listeners=(kill_at(kills[0]),))
    for number in kills[1:]:
        with suppress(Killed):
            resume(folder, scope_of(), listeners=(kill_at(number),))
    resume(folder, scope_of())
    expected, signals = contents(whole)
    found, found_signals = contents(folder)
    decisions = [event for event in found if isinstance(event, Decision)]
    assert decisions == [event for event in expected if isinstance(event, Decision)]
    rewards = [event.reward for event in found if isinstance(event, Outcome)]
    assert rewards == [event.reward for event in expected if isinstance(event, Outcome)]
    assert found_signals.keys() == signals.keys()
    assert all(signals[key].identical(found_signals[key]) for key in signals)  # type: ignore[attr-defined]
    assert verify(folder).ok


def test_step_of_unknown_outcome_is_noted_and_paid_for(tmp_path: Path) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, Intent) and event.step == 2:
            raise Killed

    with pytest.raises(Killed):
        launch("discover", scope_of(), ASKED, tmp_path / "run", listeners=(listen,))
    resume(tmp_path / "run", scope_of())
    with RunFolder.open(tmp_path / "run") as run:
        events = list(run.journal.events())
    assert [e.data for e in events if isinstance(e, Note) and e.topic == "unknown"] == [{"step": 2}]
    spent = [event.spent.spectra for event in events if isinstance(event, Outcome)]
    assert spent[-1] == round(0.3 * 48) + 1


@pytest.mark.parametrize(
    "limits",
    [
        Limits(bias=Range(low=-1, high=1, unit="V")),
        Limits(area=Area(x=(0, 1e-8), y=(0, 1e-8))),
        Limits(max_pixels=10),
    ],
    ids=["bias", "area", "pixels"],
)
def test_plan_that_breaks_a_limit_is_refused_before_there_is_a_run(
    limits: Limits, tmp_path: Path
) -> None:
    scope = scope_of(limits=limits)
    with pytest.raises(OutOfRange, match="limit"):
        launch("discover", scope, ASKED, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert scope.spent.frames == 0


class Stuck:
    """Spectroscopy that says no to one place, as a controller may."""

    def __init__(self, inner: PointSpectroscopy) -> None:
        self.validate, self.estimate, self.stop = inner.validate, inner.estimate, inner.stop
        self._start = inner.start

    def start(self, request: SpectrumRequest) -> Acquisition:
        if request.position == (0.0, 0.0):
            raise OutOfRange("`position` is (0, 0); the stage is stuck there.")
        return self._start(request)


class StubbornTwin(ReplayTwin):
    def capability(self, kind: type) -> object:  # type: ignore[override]
        part = super().capability(kind)
        return Stuck(part) if kind is PointSpectroscopy else part


def test_place_the_instrument_refuses_is_booked_and_not_asked_again(tmp_path: Path) -> None:
    stubborn = Guard(StubbornTwin((film(),), VirtualClock()))
    launch("discover", stubborn, ASKED | {"budget": 1.0}, tmp_path / "run")
    with RunFolder.open(tmp_path / "run") as run:
        outcomes = [e for e in run.journal.events() if isinstance(e, Outcome) and e.step >= 0]
    assert len(outcomes) == 48
    (failed,) = [outcome for outcome in outcomes if outcome.error]
    assert failed.reward is None
    assert not failed.signals


def test_time_budget_ends_the_run_with_a_reason(tmp_path: Path) -> None:
    launch("discover", scope_of(), ASKED | {"max_seconds": "15 s"}, tmp_path / "run")
    with RunFolder.open(tmp_path / "run") as run:
        last = [event for event in run.journal.events() if isinstance(event, Decision)][-1]
        assert finished(run)
    assert last.action is None
    assert "seconds" in last.why


def test_sites_in_a_gap_are_no_candidates(tmp_path: Path) -> None:
    holed = film()
    holed[2, 3] = np.nan
    launch("discover", scope_of(holed), ASKED | {"budget": 1.0}, tmp_path / "run")
    with RunFolder.open(tmp_path / "run") as run:
        history = load_history(run.journal.events()).history
    assert sorted(history.measured.tolist()) == [i for i in range(48) if i != 2 * 8 + 3]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"budget": 1.5}, InvalidRequest, "`budget` is 1.5"),
        ({"budget": 0}, InvalidRequest, "`budget` is 0"),
        ({"seed": -1}, InvalidRequest, "`seed` is -1"),
        ({"window": 4}, InvalidRequest, "must be odd"),
        ({"colour": 1}, InvalidRequest, "`colour`"),
        ({"reward": "loop-aera"}, UnknownName, "loop-area"),
        ({"policy": "ubc"}, UnknownName, "ucb"),
        ({"channel": "current"}, Unsupported, "current"),
    ],
)
def test_bad_setting_is_refused_before_anything_is_measured(
    changes: dict[str, object], error: type[Exception], said: str, tmp_path: Path
) -> None:
    scope = scope_of()
    with pytest.raises(error, match=said):
        launch("discover", scope, ASKED | changes, tmp_path / "run")
    assert scope.spent.frames == 0


def test_unknown_workflow_gives_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="discover"):
        launch("discovr", scope_of(), {}, tmp_path / "run")


def test_instrument_without_spectra_is_refused(tmp_path: Path) -> None:
    image = film().isel(bias=0, drop=True)
    with pytest.raises(Unsupported, match="bias spectra"):
        launch("discover", scope_of(image), ASKED, tmp_path / "run")


def test_run_killed_between_its_last_decision_and_its_summary_is_concluded(
    whole: Path, tmp_path: Path
) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, Decision) and event.action is None:
            raise Killed

    with pytest.raises(Killed):
        launch("discover", scope_of(), ASKED, tmp_path / "run", listeners=(listen,))
    assert resume(tmp_path / "run", scope_of())
    assert contents(tmp_path / "run")[0] == contents(whole)[0]


def test_resumed_run_is_held_to_the_limits_it_was_given(tmp_path: Path) -> None:
    limits = Limits(bias=Range(low=-9, high=9, unit="V"))
    scope = connect("replay", sample="beps-pto", limits=limits)
    launch("discover", scope, {"budget": 0.002}, tmp_path / "run")
    with RunFolder.open(tmp_path / "run") as run:
        assert reconnect(run.record.instrument).limits == limits


def test_run_on_an_instrument_without_a_name_asks_for_it(whole: Path) -> None:
    with RunFolder.open(whole) as run, pytest.raises(InvalidRequest, match="`scope`"):
        reconnect(run.record.instrument)


def test_reward_carries_the_unit_the_response_was_recorded_in(tmp_path: Path) -> None:
    metres = film()
    metres.attrs["units"] = "m"
    launch("discover", scope_of(metres), ASKED, tmp_path / "run")
    with RunFolder.open(tmp_path / "run") as run:
        (summary,) = [e.data for e in run.journal.events() if getattr(e, "topic", "") == "summary"]
    assert summary["unit"] == "log10(m V)"


def test_run_has_the_instrument_for_itself_and_gives_it_back(tmp_path: Path) -> None:
    scope = scope_of()
    with scope.lease("somebody else"), pytest.raises(NotInCommand, match="somebody else"):
        launch("discover", scope, ASKED, tmp_path / "refused")
    with scope.lease("the person who starts it") as mine:
        launch("discover", mine, ASKED, tmp_path / "run")
    launch("discover", scope, ASKED, tmp_path / "again")
    with RunFolder.open(tmp_path / "again") as run:
        commands = [e for e in run.journal.events() if isinstance(e, Audit)]
    assert {row.by for row in commands} == {"run again"}
    scope.lease("the next").release()


@pytest.mark.parametrize("before", ["sent", "measured"])
def test_where_the_tip_was_before_the_run_is_not_lost(before: str, tmp_path: Path) -> None:
    """The way to the first place takes time, and the first place may be refused."""

    def used() -> Guard:
        scope = Guard(StubbornTwin((film(),), VirtualClock()))
        area = scope.describe().area
        if before == "sent":
            scope.capability(Positioner).set(x=area.x[1], y=area.y[1])
        else:
            request = SpectrumRequest(position=(area.x[1], area.y[1]))
            scope.capability(PointSpectroscopy).start(request).result()
        return scope

    def at(step: int, kind: type) -> Callable[[Event], None]:
        def listen(event: Event) -> None:
            if isinstance(event, kind) and event.step == step:  # type: ignore[attr-defined]
                raise Killed

        return listen

    asked = ASKED | {"budget": 1.0}
    launch("discover", used(), asked, tmp_path / "whole")
    expected = contents(tmp_path / "whole")[0]
    refused = next(e.step for e in expected if isinstance(e, Outcome) and e.error)
    for name, listen in (("early", at(0, Intent)), ("refused", at(refused, Outcome))):
        with pytest.raises(Killed):
            launch("discover", used(), asked, tmp_path / name, listeners=(listen,))
        resume(tmp_path / name, Guard(StubbornTwin((film(),), VirtualClock())))
        found = contents(tmp_path / name)[0]
        times = [event.time for event in found if isinstance(event, Outcome)]
        assert times == [event.time for event in expected if isinstance(event, Outcome)]
