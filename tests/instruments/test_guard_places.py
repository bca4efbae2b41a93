"""What every place of the sample is given is counted right, and no place is given too much."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nanopilot.core.adjustables import Stage
from nanopilot.core.capabilities import BiasWriter, Camera, PointSpectroscopy, Scanner
from nanopilot.core.errors import BudgetExceeded, Unsupported
from nanopilot.core.geometry import places
from nanopilot.core.limits import Budget, Estimate, PlaceBudget
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest, WriteRequest
from nanopilot.core.signals import check
from nanopilot.instruments.guard.places import Deposit, Places
from tests.instruments.watched import Twin, guarded

CELL = 10e-9
ESTIMATE = Estimate(seconds=1.0, electrons=1000.0, bias_seconds=2.0)
lengths = st.floats(-3e-7, 3e-7)


def deposit(ledger: Places, request: Any) -> Deposit:
    found = ledger.deposit(request, ESTIMATE, (0.0, 0.0), (0.0, 0.0))
    assert isinstance(found, Deposit)
    return found


def slowly(spots: Any) -> Counter[tuple[int, int]]:
    """Return how many of the places lie in which cell, one after the other."""
    return Counter((math.floor(x / CELL), math.floor(y / CELL)) for x, y in spots)


frames = st.builds(
    ScanRequest,
    centre=st.tuples(lengths, lengths),
    field_of_view=st.tuples(st.floats(0, 3e-7), st.floats(0, 3e-7)),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    rotation=st.sampled_from((0.0, 0.3, 2.0)),
)


@settings(deadline=None)
@given(frames)
def test_a_frame_gives_each_cell_its_share_of_the_pixels(frame: ScanRequest) -> None:
    spots = places(frame)
    edges = np.abs(spots / CELL - np.round(spots / CELL))
    assume(float(edges.min()) > 1e-6)  # a pixel on an edge belongs to either cell
    found, expected = deposit(Places(PlaceBudget(cell=CELL)), frame), slowly(spots)
    assert len(found.cells) == len(expected)
    assert sorted(found.electrons) == pytest.approx(
        sorted(1000.0 * count / len(spots) for count in expected.values())
    )
    assert float(found.electrons.sum()) == pytest.approx(1000.0)
    assert float(found.bias_seconds.sum()) == pytest.approx(2.0)
    assert (np.diff(found.cells) > 0).all()


@pytest.mark.parametrize("rotation", [0.0, 0.4])
def test_lines_give_to_their_rows_only(rotation: float) -> None:
    frame = ScanRequest(
        centre=(3e-9, 4e-9), field_of_view=(1e-7, 1e-7), shape=(11, 11), rotation=rotation,
        order="lines", lines=(0, 5),
    )  # fmt: skip
    whole = frame.model_copy(update={"order": "raster", "lines": ()})
    spots = places(whole).reshape(11, 11, 2)[[0, 5]].reshape(-1, 2)
    found = deposit(Places(PlaceBudget(cell=CELL)), frame)
    assert len(found.cells) == len(slowly(spots))
    assert float(found.electrons.sum()) == pytest.approx(1000.0)


def test_a_path_gives_to_every_cell_it_crosses_and_pulses_to_theirs() -> None:
    ledger = Places(PlaceBudget(cell=CELL))
    points = ((1e-9, 1e-9), (95e-9, 1e-9))
    path = WriteRequest(points=points, bias=(1.0,), duration=1.0, mode="path")
    assert len(deposit(ledger, path).cells) == 10
    assert len(deposit(ledger, path.model_copy(update={"mode": "pulses"})).cells) == 2


def test_the_map_shows_what_was_given_where() -> None:
    twin = Twin("beam")
    twin.put("Beam.blanked", 0.0)
    scope, _ = guarded(twin, budget=Budget(place=PlaceBudget(cell=CELL)))
    assert float(scope.dose_map().sum()) == 0
    for centre in ((105e-9, 205e-9), (-95e-9, 5e-9)):
        frame = ScanRequest(centre=centre, field_of_view=(0.0, 0.0), shape=(1, 1), dwell_time=1e-3)
        scope.capability(Scanner).start(frame).result()
    dose = check(scope.dose_map())
    assert dose.dims == ("y", "x")
    electrons = scope.spent.electrons
    assert float(dose.sum()) * CELL**2 == pytest.approx(electrons)
    hit = dose.sel(x=105e-9, y=205e-9, method="nearest")
    assert float(hit) * CELL**2 == pytest.approx(electrons / 2)
    assert float(hit["x"]) == pytest.approx(105e-9)
    assert float(hit["y"]) == pytest.approx(205e-9)


def test_a_map_of_places_far_apart_is_joined_and_keeps_the_largest_dose() -> None:
    ledger = Places(PlaceBudget(cell=1e-9))
    for x in (0.0, 1e-3):
        point = SpectrumRequest(position=(x, 0.0))
        ledger.book(deposit(ledger, point))
    dose = ledger.dose_map()
    assert max(dose.shape) <= 2048
    assert float(dose.max()) == pytest.approx(1000.0 / 1e-18)


def test_without_a_budget_for_places_there_is_no_map() -> None:
    with pytest.raises(Unsupported, match=r"budget\.place"):
        guarded(Twin())[0].dose_map()


def test_no_place_is_given_more_than_its_dose() -> None:
    twin = Twin("beam")
    twin.put("Beam.blanked", 0.0)
    frame = ScanRequest(centre=(5e-9, 5e-9), field_of_view=(0, 0), shape=(1, 1), dwell_time=1e-3)
    once = twin._scanner.estimate(frame).electrons / CELL**2
    scope, _ = guarded(twin, budget=Budget(place=PlaceBudget(cell=CELL, dose=2.5 * once)))
    scanner = scope.capability(Scanner)
    for _ in range(2):
        scanner.start(frame).result()
    with pytest.raises(BudgetExceeded, match="`dose` of one place would be"):
        scanner.start(frame)
    scanner.start(frame.model_copy(update={"centre": (5e-9, 15e-9)})).result()
    # The camera looks where the beam rests, which is the cell beside the origin.
    camera = scope.capability(Camera)
    with pytest.raises(BudgetExceeded, match="dose"):
        camera.start(CameraRequest(exposure=1.0))
    # Another place of the sample under the same scan coordinates.
    scope.capability(Stage).set(x=1e-6)
    scanner.start(frame).result()


def test_no_place_is_held_under_bias_for_longer_than_it_may() -> None:
    scope, _ = guarded(Twin("tip"), budget=Budget(place=PlaceBudget(cell=CELL, bias_seconds=1.5)))
    spectroscopy, writer = scope.capability(PointSpectroscopy), scope.capability(BiasWriter)
    spectroscopy.start(SpectrumRequest(position=(0, 0))).result()
    with pytest.raises(BudgetExceeded, match="`bias_seconds` of one place would be 2 s"):
        spectroscopy.start(SpectrumRequest(position=(0, 0)))
    pulse = WriteRequest(points=((0.0, 0.0), (5e-8, 0.0)), bias=(1.0,), duration=0.4)
    writer.start(pulse).result()
    with pytest.raises(BudgetExceeded):
        writer.start(pulse)


@pytest.mark.parametrize(
    "request_",
    [
        ScanRequest(centre=(0, 0), field_of_view=(1e-3, 1e-3), shape=(2**14, 2**14)),
        ScanRequest(centre=(0, 0), field_of_view=(1e-3, 1e-3), shape=(2, 2**27)),
        ScanRequest(centre=(0, 0), field_of_view=(1e-3, 1e-3), shape=(2**14, 2**14), rotation=1),
        ScanRequest(centre=(1e6, 0), field_of_view=(0, 0), shape=(1, 1)),
        WriteRequest(points=((0, 0), (1, 0)), bias=(1,), duration=1, mode="path"),
    ],
    ids=range(5),
)
def test_what_would_touch_too_many_cells_is_refused_in_words(request_: Any) -> None:
    ledger = Places(PlaceBudget(cell=1e-12))
    found = ledger.deposit(request_, ESTIMATE, (0.0, 0.0), (0.0, 0.0))
    assert not isinstance(found, Deposit)
    assert found.kind == "budget"
    assert "Choose larger cells" in found.message


def test_a_frame_of_absurdly_many_pixels_is_counted_without_making_room_for_them() -> None:
    frame = ScanRequest(centre=(0, 0), field_of_view=(1e-7, 1e-7), shape=(2**14, 2**27))
    found = deposit(Places(PlaceBudget(cell=CELL)), frame)
    assert len(found.cells) <= 11 * 11
    assert float(found.electrons.sum()) == pytest.approx(1000.0)


def test_way_of_the_tip_over_one_place_is_counted() -> None:
    frame = ScanRequest(centre=(50e-9, 50e-9), field_of_view=(80e-9, 80e-9), shape=(8, 8))
    free, _ = guarded(Twin("tip"))
    way = free.capability(Scanner).estimate(frame).wear
    assert way > 0
    place = PlaceBudget(cell=1e-6, wear=1.5 * way)
    scope, _ = guarded(Twin("tip"), budget=Budget(place=place))
    scope.capability(Scanner).start(frame).result()
    with pytest.raises(BudgetExceeded, match="`wear` of one place"):
        scope.capability(Scanner).start(frame)
