"""The diary of a twin gives back every bit, and keeps no more than what has changed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nanopilot.core.clock import VirtualClock
from nanopilot.core.diary import Diary
from nanopilot.core.differences import Change, Difference, decode, encode
from nanopilot.core.errors import StoreError, Tampered
from nanopilot.core.memory import Memory, numbers_of
from nanopilot.core.requests import Position

DTYPES = ["<f8", ">f8", "<f4", "<c16", "<c8", "|u1", "|b1", "<i2", ">i4", "<i8"]


class Toy:
    """The least twin that remembers: a dose map, a film that was made, and a few facts."""

    def __init__(self, film: np.ndarray[Any, Any] | None = None) -> None:
        self.clock = VirtualClock()
        self.made = np.arange(12.0).reshape(3, 4) if film is None else film
        self.film = self.made.copy()
        self.dose = np.zeros((5, 2), "f4")
        self.facts: dict[str, Any] = {"stage": (1e-6, 0.0), "events": [], "gain": {"a": 1.0}}
        self.position: Position = (0.0, 0.0)

    def memory(self) -> Memory:
        return Memory(self.facts, {"film": self.film, "dose": self.dose}, {"film": self.made})

    def restore(self, time: float, position: Position, memory: Memory | None = None) -> None:
        self.clock.set(time)
        self.position = position
        if memory is not None:
            self.facts = dict(memory.facts)
            self.film, self.dose = memory.layers["film"], memory.layers["dose"]

    def diary(self) -> Diary:
        return Diary(self.memory, self.restore, self.clock)


def bits(twin: Toy) -> tuple[Any, ...]:
    facts = {name: list(one) if isinstance(one, tuple) else one for name, one in twin.facts.items()}
    return twin.clock.now(), twin.film.tobytes(), twin.dose.tobytes(), facts


def film_bits(twin: Toy, place: int, value: float) -> None:
    twin.film.reshape(-1)[place % 12] = value


def dosed(twin: Toy, place: int, value: float) -> None:
    twin.dose.reshape(-1)[place % twin.dose.size] += np.float32(place)


def told(twin: Toy, place: int, value: float) -> None:
    twin.facts["events"].append({"place": place, "value": repr(value)})


def changed_in_place(twin: Toy, place: int, value: float) -> None:
    twin.facts["gain"]["a"] = float(place)


def forgot(twin: Toy, place: int, value: float) -> None:
    twin.facts.pop("stage", None)


def rewrote(twin: Toy, place: int, value: float) -> None:
    twin.facts["events"] = [{"place": place}]


def slept(twin: Toy, place: int, value: float) -> None:
    twin.clock.sleep(0.1 * place)


def reshaped(twin: Toy, place: int, value: float) -> None:
    twin.dose = np.full((2, 1 + place % 5), 0.5, "f4")


DEEDS = [film_bits, dosed, told, changed_in_place, forgot, rewrote, slept, reshaped]
deeds = st.lists(
    st.tuples(st.sampled_from(DEEDS), st.integers(0, 40), st.floats(width=64)), max_size=4
)


@given(steps=st.lists(st.tuples(deeds, st.booleans(), st.booleans()), max_size=6))
@settings(max_examples=150, deadline=None)
def test_a_new_twin_that_reads_the_diary_is_the_old_one_bit_by_bit(
    steps: list[tuple[list[tuple[Callable[..., None], int, float]], bool, bool]],
) -> None:
    twin = Toy()
    diary, kept = twin.diary(), []
    for done, lost, died in steps:
        for deed, place, value in done:
            deed(twin, place, value)
        entry = diary.entry()
        if lost:  # the disk was full: what was not kept is in the next one
            continue
        diary.keep(entry)
        kept += [entry.data] if entry.data else []
        expected = bits(twin)
        if died:
            twin = Toy()
            diary = twin.diary()
            diary.recall(expected[0], (0.0, 0.0), kept)
            assert bits(twin) == expected
    entry = diary.entry()
    diary.keep(entry)
    again = Toy()
    again.diary().recall(twin.clock.now(), (0.0, 0.0), [*kept, *([entry.data] * bool(entry.data))])
    if kept or entry.data:
        assert bits(again) == bits(twin)


@given(
    before=st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_side=5))
    ),
    data=st.data(),
)
@settings(max_examples=100, deadline=None)
def test_a_difference_of_any_numbers_survives_its_bytes(
    before: np.ndarray[Any, Any], data: st.DataObject
) -> None:
    now = data.draw(hnp.arrays(before.dtype, before.shape))
    change = Change.between(before, now)
    layers = {"one": np.array(before, before.dtype.newbyteorder("<"), order="C")}
    if change is not None:
        found = decode(encode(Difference(layers={"one": change})))
        found.apply({}, layers)
    assert numbers_of(layers["one"]).tobytes() == numbers_of(now).tobytes()
    assert layers["one"].shape == now.shape
    assert (change is None) == (numbers_of(before).tobytes() == numbers_of(now).tobytes())


def test_not_a_number_equals_itself_and_a_negative_zero_is_not_zero() -> None:
    layer = np.array([np.nan, 0.0, 1.0])
    assert Change.between(layer, layer.copy()) is None
    negative = Change.between(layer, np.array([np.nan, -0.0, 1.0]))
    assert negative is not None
    assert negative.places.tolist() == [1]


def test_places_beyond_four_bytes_keep_their_width() -> None:
    places, values = np.array([3, 2**33]), np.array([1, 2], "<u8")
    change = Change((2**34,), np.dtype("<f8"), False, places, values)
    found = decode(encode(Difference(layers={"one": change}))).layers["one"]
    assert found.places.tolist() == [3, 2**33]
    assert found.values.tolist() == [1, 2]


def test_nothing_is_kept_of_what_has_not_changed() -> None:
    twin = Toy()
    diary = twin.diary()
    diary.keep(diary.entry())
    assert diary.entry().data == b""
    twin.clock.sleep(3.0)
    assert diary.entry(whole=False).data == b""
    assert diary.entry().time == 3.0


def test_a_list_that_grows_costs_what_it_grew_by() -> None:
    twin = Toy()
    twin.facts["events"] = [{"what": f"pulse {n}", "time": 0.1 * n} for n in range(1000)]
    diary = twin.diary()
    diary.keep(diary.entry())
    twin.facts["events"].append({"what": "one more"})
    entry = diary.entry()
    change = decode(entry.data)
    assert change.grown == {"events": [{"what": "one more"}]}
    assert not change.facts
    assert len(entry.data) < 250


def test_a_few_pixels_of_a_large_layer_cost_a_few_bytes() -> None:
    rng = np.random.default_rng(0)
    twin = Toy(rng.normal(size=(1024, 1024)))
    diary = twin.diary()
    first = diary.entry()
    diary.keep(first)
    twin.film[400:420, 500:520] *= -1
    second = diary.entry()
    assert len(first.data) < 500  # as it was made: only its hash
    assert 3000 < len(second.data) < 3500  # 400 random numbers of 8 bytes, and where they are


def test_layers_are_not_looked_at_while_neither_time_nor_facts_move_on() -> None:
    twin = Toy()
    diary = twin.diary()
    diary.keep(diary.entry())
    twin.film[0, 0] = 5.0
    assert diary.entry(whole=False).data == b""
    assert diary.entry(whole=True).data
    twin.clock.sleep(1.0)
    assert diary.entry(whole=False).data


def test_what_the_twin_does_after_it_was_recalled_is_its_own_affair() -> None:
    twin = Toy()
    diary = twin.diary()
    twin.film[0, 0] = 5.0
    entry = diary.entry()
    diary.keep(entry)
    again = Toy()
    later = again.diary()
    later.recall(0.0, (0.0, 0.0), [entry.data])
    again.film[1, 1] = 7.0
    change = decode(later.entry().data)
    assert change.layers["film"].places.tolist() == [5]


def test_a_run_without_entries_gives_back_clock_and_place() -> None:
    twin = Toy()
    twin.diary().recall(4.0, (1e-6, 2e-6), [])
    assert (twin.clock.now(), twin.position) == (4.0, (1e-6, 2e-6))


def test_a_twin_made_otherwise_is_refused() -> None:
    twin = Toy()
    diary = twin.diary()
    with pytest.raises(StoreError, match="`film` of the twin is not made as it was"):
        Toy(np.ones((3, 4))).diary().recall(0.0, (0.0, 0.0), [diary.entry().data])


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("kept", [0, 1, 9, -8])
def test_bytes_that_are_no_entry_are_told(size: int, kept: int) -> None:
    data = encode(Difference(facts={"a": list(range(size))}))
    assert decode(data).facts == {"a": list(range(size))}
    with pytest.raises(Tampered, match="cannot be read"):
        decode(data[:kept])


def test_a_layer_of_texts_is_refused() -> None:
    with pytest.raises(TypeError, match="numbers"):
        numbers_of(np.array(["a"]))


def test_the_memory_is_out_of_reach_of_whoever_holds_the_diary() -> None:
    diary = Toy().diary()
    open_names = [name for name in dir(diary) if not name.startswith("_")]
    assert open_names == ["entry", "keep", "recall"]


def test_only_the_last_entry_can_be_kept() -> None:
    diary = Toy().diary()
    first, second = diary.entry(), diary.entry()
    with pytest.raises(ValueError, match="not the last one"):
        diary.keep(first)
    diary.keep(second)
    with pytest.raises(ValueError, match="not the last one"):
        diary.keep(second)


def test_a_read_only_layer_is_looked_at_when_it_is_another_array() -> None:
    twin = Toy()
    diary = twin.diary()
    twin.film.setflags(write=False)
    diary.keep(diary.entry())
    assert diary.entry().data == b""
    twin.film = np.array(twin.film + 1.0)
    assert diary.entry().data
    twin.film.setflags(write=False)
    entry = diary.entry()
    diary.keep(entry)
    assert decode(entry.data).layers["film"].places.size == 12
    assert diary.entry().data == b""


def test_a_read_only_view_of_what_can_change_is_looked_at() -> None:
    twin = Toy()
    diary, own = twin.diary(), twin.film
    twin.film = own.view()
    twin.film.setflags(write=False)
    diary.keep(diary.entry())
    own[0, 0] = 9.0
    assert diary.entry().data
