"""Guarded instruments under a bluesky RunEngine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import event_model
import numpy as np
import pytest
from bluesky import protocols
from bluesky.callbacks.best_effort import BestEffortCallback
from bluesky.plan_stubs import abs_set, mv, rd, stop, wait
from bluesky.plans import count, grid_scan, rel_scan, scan
from bluesky.utils import FailedStatus
from hypothesis import given, settings
from hypothesis import strategies as st

import nanopilot as npl
from nanopilot.core.adjustables import Positioner
from nanopilot.core.errors import (
    InvalidRequest,
    NotInCommand,
    NotReached,
    OutOfRange,
    UnknownName,
    Unsupported,
)
from nanopilot.core.events import Audit
from nanopilot.core.limits import Area, Limits, Range
from nanopilot.instruments import Guard
from nanopilot.instruments.bluesky import Devices, Recipe
from nanopilot.instruments.bluesky.sharing import legal
from nanopilot.io.exports import SPEC, SignalFolder, ZarrHandler, checked
from nanopilot.io.readers import read
from nanopilot.workflows.connect import find_sample
from tests.instruments.bluesky_stand import FRAME, PATIENCE, Engine, Lens

Make = Callable[..., Devices]


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


@pytest.fixture
def devices() -> Iterator[Make]:
    made: list[Devices] = []

    def make(scope: Guard, **options: Any) -> Devices:
        made.append(Devices(scope, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_grid_scan_gives_the_values_the_instrument_recorded(engine: Engine, devices: Make) -> None:
    here = devices(npl.connect("replay", sample="beps-pto"))
    (recorded,) = (one for one in read(find_sample("beps-pto")) if "bias" in one.dims)
    recorded = recorded.transpose("y", "x", "bias")
    xs, ys = recorded["x"].to_numpy(), recorded["y"].to_numpy()
    expected = recorded.to_numpy()[::7, ::7]
    x, y = here.movable("Positioner.x"), here.movable("Positioner.y")
    loop = here.spectrum(channels=("piezoresponse",), name="loop")
    engine.run(grid_scan([loop], y, ys[0], ys[49], 8, x, xs[0], xs[49], 8))

    def grid(field: str) -> np.ndarray:
        return np.array(engine.column(f"replay_{field}")).reshape(8, 8, -1)

    np.testing.assert_array_equal(grid("loop_piezoresponse_values"), expected)
    np.testing.assert_allclose(grid("loop_piezoresponse")[..., 0], expected.mean(axis=-1))
    np.testing.assert_allclose(grid("positioner_x")[3, :, 0], xs[::7])
    np.testing.assert_allclose(grid("loop_at_y")[:, 3, 0], ys[::7])
    list(checked(engine.told))
    assert engine.named("stop")[0]["exit_status"] == "success"


@pytest.mark.parametrize("world", ["tip", "beam"])
def test_count_on_whatever_measures_gives_what_it_measured(
    world: str, engine: Engine, devices: Make
) -> None:
    here = devices(npl.connect("plain", world=world), prefix="")
    frame = here.scanner(FRAME.model_copy(update={"channels": ()}))
    kinds = {"tip": "force", "beam": "energy"}
    others = [here.spectrum(kind=kinds[world])] + ([here.camera()] if world == "beam" else [])
    engine.run(count([frame, *others], num=3))
    for channel in {"tip": ("height", "current"), "beam": ("haadf", "bf")}[world]:
        values = np.array(engine.column(f"frame_{channel}_values"))
        assert values.shape == (3, 8, 8)
        assert np.isfinite(values).all()
        means = engine.column(f"frame_{channel}")
        np.testing.assert_allclose(means, values.mean(axis=(1, 2)), rtol=1e-9, atol=1e-24)
    (descriptor,) = engine.named("descriptor")
    for name, key in descriptor["data_keys"].items():
        value = np.asarray(engine.column(name)[0])
        assert list(value.shape) == key["shape"]
        assert np.dtype(key["dtype_numpy"]) == value.dtype
        assert key["units"]
        assert len(key.get("dims", [])) == value.ndim
    configuration = descriptor["configuration"]["frame"]["data"]
    assert '"shape":[8,8]' in configuration["frame_request"]
    assert "Positioner.x" in configuration["frame_state"]
    list(checked(engine.told))


def test_scan_rel_scan_mv_and_rd_move_a_parameter(engine: Engine, devices: Make) -> None:
    here = devices(npl.connect("plain", world="beam"))
    focus, seen = here.movable("Focus.defocus"), []

    def plan() -> Iterator[Any]:
        yield from mv(focus, 2e-8)
        seen.append((yield from rd(focus)))
        yield from scan([], focus, 0, 1e-8, 2)
        yield from mv(focus, 2e-8)
        yield from rel_scan([], focus, -1e-8, 1e-8, 3)
        seen.append((yield from rd(here.readback("Focus.defocus"))))

    engine.run(plan())
    assert seen == pytest.approx([2e-8, 2e-8])  # rel_scan goes back to where it began
    expected = [0, 1e-8, 1e-8, 2e-8, 3e-8]
    assert engine.column("plain_focus_defocus") == pytest.approx(expected, abs=1e-15)
    assert engine.column("plain_focus_defocus_setpoint") == pytest.approx(expected, abs=1e-15)


def test_refused_move_fails_the_plan_with_the_guards_words_and_sends_nothing(
    engine: Engine, devices: Make
) -> None:
    lens, rows = Lens(), list[Audit]()
    allowed = Range(low=-1e-7, high=1e-7, unit="m")
    scope = Guard(lens, limits=Limits(parameters={"Focus.defocus": allowed}), audit=rows.append)
    focus = devices(scope).movable("Focus.defocus")
    with pytest.raises(FailedStatus) as failed:
        engine.run(scan([], focus, 5e-7, 6e-7, 2))
    said = failed.value.__cause__
    assert isinstance(said, OutOfRange)
    assert "Focus.defocus" in str(said)
    assert str(said) in str(failed.value)
    assert lens.written == []
    assert [row.verdict for row in rows] == ["refused"]
    assert engine.named("stop")[0]["exit_status"] == "fail"
    with pytest.raises(OutOfRange, match=r"Focus\.defocus"):
        focus.check_value(5e-7)
    focus.check_value(5e-8)
    assert lens.written == []


def test_value_that_is_not_read_back_is_not_done(engine: Engine, devices: Make) -> None:
    lens = Lens(stuck=True)
    focus = devices(Guard(lens)).movable("Focus.defocus")
    with pytest.raises(FailedStatus) as failed:
        engine.run(mv(focus, 1e-7))
    assert isinstance(failed.value.__cause__, NotReached)
    assert lens.written == [pytest.approx(1e-7)]
    assert focus.locate()["readback"] == 0.0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e-6, 1e-6), min_size=1, max_size=4))
def test_device_is_where_it_was_sent_to_within_its_step(values: list[float]) -> None:
    with Devices(Guard(Lens())) as here:
        focus = here.movable("Focus.defocus")
        tasks = [focus.set(value) for value in values]
        assert [task.exception(PATIENCE) for task in tasks] == [None] * len(values)
        assert all(task.done and task.success for task in tasks)
        assert focus.locate()["setpoint"] == values[-1]
        assert focus.locate()["readback"] == pytest.approx(values[-1], abs=0.6e-9)


def test_x_and_y_asked_for_at_once_are_both_reached(engine: Engine, devices: Make) -> None:
    scope = npl.connect("replay", sample="beps-pto")
    here = devices(scope)
    x, y = here.movable("Positioner.x"), here.movable("Positioner.y")
    for place in (1e-7, 5e-7, 1e-6):
        engine.run(mv(x, place, y, 2 * place))
        tip = scope.capability(Positioner)
        assert (tip.get("x"), tip.get("y")) == (place, 2 * place)


def test_request_that_can_never_be_carried_out_is_refused_before_anything_moves(
    engine: Engine, devices: Make
) -> None:
    limits = Limits(area=Area(x=(0, 1e-8), y=(0, 1e-8)))
    here = devices(npl.connect("plain", world="tip", limits=limits))
    x = here.movable("Positioner.x")
    with pytest.raises(OutOfRange):
        engine.run(scan([here.scanner(FRAME)], x, 5e-9, 6e-9, 2))
    assert x.locate()["readback"] == 0.0
    assert x.describe()["plain_positioner_x"]["limits"] == {"control": {"low": 0.0, "high": 1e-8}}


def test_large_arrays_go_where_the_documents_point(
    tmp_path: Path, engine: Engine, devices: Make
) -> None:
    here = devices(npl.connect("plain", world="tip"))
    with pytest.raises(InvalidRequest, match=r"`inline` is 10 values; .* would record 64"):
        here.scanner(FRAME, recipe=Recipe(inline=10))
    recipe = Recipe(inline=10, keep=SignalFolder(tmp_path / "signals.zarr"))
    engine.run(count([here.scanner(FRAME, recipe=recipe)], 2))
    engine.run(count([here.scanner(FRAME)], 1))
    list(checked(engine.told))
    filler = event_model.Filler({SPEC: ZarrHandler}, inplace=False)
    filled = [filler(*document) for document in engine.told]
    frames = [one["data"]["plain_frame_height_values"] for name, one in filled if name == "event"]
    assert len(frames) == 3
    for frame in frames[:2]:
        np.testing.assert_array_equal(frame, frames[2])
    assert [name for name, _ in engine.told].count("resource") == 1
    assert [name for name, _ in engine.told].count("datum") == 2


def test_chosen_features_take_the_place_of_the_mean(engine: Engine, devices: Make) -> None:
    here = devices(npl.connect("plain", world="tip"))

    def features(signals: Any) -> dict[str, float]:
        return {"highest": float(signals["height"].max()), "a.b": math.nan}

    frame = here.scanner(FRAME, recipe=Recipe(features=features))
    engine.run(count([frame]))
    (values,) = engine.column("plain_frame_height_values")
    assert engine.column("plain_frame_highest") == [values.max()]
    assert frame.hints == {"fields": ["plain_frame_highest", "plain_frame_a_b"]}
    assert "plain_frame_height" not in engine.named("event")[0]["data"]


def test_best_effort_table_shows_place_and_value(
    engine: Engine, devices: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    here = devices(npl.connect("plain", world="tip"))
    table = BestEffortCallback()
    table.disable_plots()
    engine.run.subscribe(table)
    engine.run(scan([here.scanner(FRAME)], here.movable("Positioner.x"), 0, 1e-8, 3))
    said = capsys.readouterr().out
    assert "plain_positioner_x" in said
    assert "plain_frame_height" in said
    assert "0.0000000100" in said


def test_devices_are_what_bluesky_asks_for(devices: Make) -> None:
    here = devices(npl.connect("plain"))
    assert set(here.parameters()) >= {"Positioner.x", "Focus.defocus"}
    for key in here.parameters():
        seen = here.readback(key)
        for kind in (protocols.Readable, protocols.HasHints, protocols.Configurable):
            assert isinstance(seen, kind)
        assert not isinstance(seen, protocols.Movable)
        assert seen.name.isidentifier()
        assert seen.read().keys() == seen.describe().keys()
        assert seen.read_configuration().keys() == seen.describe_configuration().keys()
    moved = here.movable("Focus.defocus")
    for kind in (protocols.Locatable, protocols.Stoppable, protocols.Checkable):
        assert isinstance(moved, kind)
    assert moved.read().keys() == moved.describe().keys()
    assert isinstance(moved.set(0.0), protocols.Status)
    detector = here.scanner(FRAME)
    for kind in (
        protocols.Triggerable, protocols.Readable, protocols.Stageable, protocols.Pausable,
        protocols.Stoppable, protocols.WritesExternalAssets, protocols.Configurable,
    ):  # fmt: skip
        assert isinstance(detector, kind)
    assert not isinstance(detector, protocols.Movable)


def test_what_is_not_there_is_named(devices: Make) -> None:
    here = devices(npl.connect("plain"))
    with pytest.raises(UnknownName, match=r"Focus\.defocus"):
        here.movable("Focus.defocuss")
    with pytest.raises(Unsupported, match=r"readback\('Vacuum.pressure'\)"):
        here.movable("Vacuum.pressure")
    assert here.readback("Vacuum.pressure").read()
    with pytest.raises(InvalidRequest, match="chanels"):
        here.spectrum(chanels=("current",))


def test_rehearsed_plan_is_checked_to_its_end_and_sends_nothing(
    engine: Engine, devices: Make
) -> None:
    lens, rows = Lens(), list[Audit]()
    focus = devices(Guard(lens, audit=rows.append).rehearsal()).movable("Focus.defocus")
    engine.run(scan([], focus, 0, 1e-7, 2))
    assert [row.verdict for row in rows] == ["rehearsed"] * 2
    with pytest.raises(FailedStatus):
        engine.run(mv(focus, 5.0))
    assert lens.written == []
    twin = devices(npl.connect("plain", world="tip").rehearsal())
    x = twin.movable("Positioner.x")
    engine.run(scan([twin.scanner(FRAME)], x, 0, 1e-8, 2))
    assert x.locate()["readback"] == 0.0


def test_who_does_not_hold_the_lease_cannot_move_and_can_look(
    engine: Engine, devices: Make
) -> None:
    scope = npl.connect("plain", world="tip")
    with scope.lease("somebody") as lease:
        mine, theirs = devices(scope, prefix="mine"), devices(lease, prefix="theirs")
        with pytest.raises(FailedStatus) as failed:
            engine.run(mv(mine.movable("Positioner.x"), 1e-8))
        assert isinstance(failed.value.__cause__, NotInCommand)
        engine.run(mv(theirs.movable("Positioner.x"), 2e-8))
        assert mine.readback("Positioner.x").read()["mine_positioner_x"]["value"] == 2e-8


def test_stop_message_of_a_plan_stops_the_device(engine: Engine, devices: Make) -> None:
    focus = devices(Guard(Lens())).movable("Focus.defocus")

    def plan() -> Iterator[Any]:
        yield from abs_set(focus, 1e-7, group="go")
        yield from wait("go")
        yield from stop(focus)

    engine.run(plan())
    assert focus.locate() == {"setpoint": 1e-7, "readback": pytest.approx(1e-7)}


@given(st.text())
def test_every_name_becomes_one_that_bluesky_takes(name: str) -> None:
    assert legal(name).isidentifier()
    assert legal(name).isascii()
    assert legal(legal(name)) == legal(name)
