"""Frames in pieces: the same as in one."""

import threading
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nanopilot.analysis.tiling import blend, gather, tiles
from nanopilot.core.errors import OutOfRange


@given(st.integers(1, 300), st.integers(1, 300), st.integers(8, 64), st.data())
def test_every_pixel_belongs_to_one_tile(rows: int, columns: int, size: int, data: Any) -> None:
    overlap = data.draw(st.integers(0, (size - 1) // 2))
    owners = np.zeros((rows, columns), int)
    read = np.zeros((rows, columns), int)
    for row in tiles((rows, columns), size=size, overlap=overlap):
        for tile in row:
            owners[tile.core_rows, tile.core_columns] += 1
            read[tile.rows, tile.columns] += 1
            assert tile.rows.stop - tile.rows.start <= size
            assert tile.columns.stop - tile.columns.start <= size
            assert tile.rows.start <= tile.core_rows.start < tile.core_rows.stop <= tile.rows.stop
    assert (owners == 1).all()
    assert (read >= 1).all()


@given(st.integers(100, 400), st.integers(40, 90), st.integers(0, 19))
def test_neighbours_share_at_least_the_overlap(count: int, size: int, overlap: int) -> None:
    row = tiles((1, count), size=size, overlap=overlap)[0]
    for left, right in pairwise(row):
        assert left.columns.stop - right.columns.start >= overlap


def test_a_local_operation_is_the_same_in_pieces() -> None:
    image = np.random.default_rng(0).normal(size=(217, 331))
    out = np.full(image.shape, np.nan)
    blend(image, lambda piece: 2 * piece + 1, out, size=64, overlap=16)
    np.testing.assert_allclose(out, 2 * image + 1, atol=1e-12)


def test_a_filter_leaves_no_seams() -> None:
    image = np.random.default_rng(1).normal(size=(300, 260))
    out = np.full(image.shape, np.nan)
    blend(image, lambda piece: gaussian_filter(piece, 3), out, size=100, overlap=40)
    whole = gaussian_filter(image, 3)
    # The edges of the pieces, where the filter sees too little, count for little.
    assert np.abs(out - whole).max() < 0.1 * whole.std()
    hard = np.abs(np.diff(out - whole, axis=1)).max()
    assert hard < 0.05 * whole.std()


def test_channels_come_first() -> None:
    image = np.random.default_rng(2).normal(size=(90, 70))
    out = np.full((2, *image.shape), np.nan)
    blend(image, lambda piece: np.stack([piece, -piece]), out, size=32, overlap=8)
    np.testing.assert_allclose(out, np.stack([image, -image]), atol=1e-12)


def test_memory_holds_one_row_of_tiles() -> None:
    reads, written = [], []

    class Image:
        shape = (4000, 60)

        def __getitem__(self, key: Any) -> Any:
            reads.append(key[0])
            return np.ones((key[0].stop - key[0].start, key[1].stop - key[1].start))

    class Out:
        def __setitem__(self, key: Any, value: Any) -> None:
            written.append(value.shape[-2])
            assert np.allclose(value, 1)

    blend(Image(), lambda piece: piece, Out(), size=100, overlap=20)
    assert sum(written) == 4000
    assert max(written) <= 100


def test_things_at_seams_are_told_once() -> None:
    rng = np.random.default_rng(3)
    image = np.zeros((240, 310))
    there = {(int(r), int(c)) for r, c in rng.integers(0, (240, 310), (60, 2))}
    for place in there:
        image[place] = 1

    def find(piece: Any, _: Any) -> list[tuple[float, float, float]]:
        return [(float(r), float(c), float(piece[r, c])) for r, c in np.argwhere(piece > 0)]

    found = list(gather(image, find, size=64, overlap=20))
    assert len(found) == len(there)
    assert {(int(r), int(c)) for r, c, _ in found} == there


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_pieces_looked_at_at_once_are_told_in_their_order(threads: int) -> None:
    image, at_work, most = np.arange(150.0 * 130).reshape(150, 130), 0, 0
    turn = threading.Lock()

    def find(piece: Any, tile: Any) -> list[tuple[float, float, int]]:
        nonlocal at_work, most
        with turn:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.01 if tile.columns.start == 0 else 0.001)  # the first of a row come last
        with turn:
            at_work -= 1
        return [(25.0, 25.0, int(piece[0, 0]))]

    found = list(gather(image, find, size=50, overlap=10, threads=threads))
    assert found == list(gather(image, find, size=50, overlap=10))
    assert len(found) > 10
    assert most <= threads
    assert (most > 1) == (threads > 1)


def test_a_piece_that_fails_ends_the_search_with_its_error() -> None:
    def find(_: Any, tile: Any) -> list[tuple[float, float, int]]:
        if tile.rows.start:
            raise OutOfRange("here")
        return []

    with pytest.raises(OutOfRange, match="here"):
        list(gather(np.zeros((150, 130)), find, size=50, overlap=10, threads=3))


@pytest.mark.parametrize("overlap", [-1, 32, 100])
def test_an_overlap_that_leaves_nothing_is_refused(overlap: int) -> None:
    with pytest.raises(OutOfRange, match="overlap"):
        tiles((100, 100), size=64, overlap=overlap)
