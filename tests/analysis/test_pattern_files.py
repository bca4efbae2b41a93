"""Past a memory map the same is read as through it, and only from the file that it is of."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nanopilot.analysis import pattern_blocks, pattern_files, virtual_detectors
from nanopilot.analysis.pattern_blocks import Patterns
from nanopilot.analysis.pattern_files import FileBehind, let_go
from nanopilot.analysis.pattern_masks import CentreOfMass, Ring
from nanopilot.analysis.virtual_detectors import virtual_images

ANGLE = 2e-3
SHAPE = (5, 7, 24, 20)
MASKS = {"ring": Ring(inner=6e-3, outer=15e-3), "sum": Ring(), "com": CentreOfMass(outer=19e-3)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_blocks, "BLOCK_BYTES", 7 * 24 * 20 * 4 + 1)


def counts(dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    return np.floor(np.random.default_rng(0).uniform(0, 900, SHAPE)).astype(dtype)


def test_pages_are_given_back_and_private_changes_are_not_lost(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((64, 4096), np.float32))
    private = np.load(tmp_path / "a.npy", mmap_mode="c")
    private[3] = 7
    for block in (private, np.asarray(private), private[2:5]):
        let_go(block)
    assert (private[3] == 7).all()
    shared = np.load(tmp_path / "a.npy", mmap_mode="r+")
    shared[3] = 7
    let_go(shared[2:9])
    assert (shared[3] == 7).all()
    let_go(np.ones(10))


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="which file a map is of is told there")


@LINUX
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<u2", "f2", "?"])
def test_past_the_map_the_same_is_read(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = counts(np.dtype(dtype))
    with (tmp_path / "a.raw").open("wb") as file:
        file.write(b"head" + values.tobytes())
    mapped = np.memmap(tmp_path / "a.raw", dtype, "r", 4, SHAPE)
    expected = virtual_images(Patterns.on_grid(values, 1e-10, ANGLE), MASKS)
    monkeypatch.setattr(virtual_detectors, "KEPT_BYTES", 0)
    monkeypatch.setattr(pattern_files, "in_small_pieces", lambda base: True)
    read = []
    copied = FileBehind.read
    monkeypatch.setattr(
        FileBehind, "read", lambda self, b: read.append(copied(self, b)) or read[-1]
    )
    found = virtual_images(Patterns.on_grid(mapped, 1e-10, ANGLE), MASKS)
    assert found.identical(expected)
    assert sum(len(block) for block in read) == SHAPE[0]
    assert not any(np.may_share_memory(block, mapped) for block in read)
    for cut in (np.s_[2:], np.s_[:, 1:4], np.s_[:, :, 2:-2, ::2], np.s_[::-1]):
        part = {"sum": Ring()}
        one = virtual_images(Patterns.on_grid(mapped[cut], 1e-10, ANGLE), part)
        assert one.identical(virtual_images(Patterns.on_grid(values[cut], 1e-10, ANGLE), part))


@LINUX
def test_only_the_file_that_is_mapped_is_read_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pattern_files, "in_small_pieces", lambda base: True)
    path, values = tmp_path / "a b.npy", counts()
    np.save(path, values)
    mapped = np.load(path, mmap_mode="r+")
    opened = len(list(Path("/proc/self/fd").iterdir()))
    with FileBehind.of(mapped[1:]) or pytest.fail("there is a file") as behind:
        mapped[2, 3] = -5  # still on its way to the disk
        np.testing.assert_array_equal(behind.read(mapped[2:4]), mapped[2:4])
        assert not np.may_share_memory(behind.read(mapped[2:4]), mapped)
        assert np.may_share_memory(behind.read(mapped[:, 2:4]), mapped)  # gaps in between
        # More than the file holds.
        with path.open("r+b") as file:
            file.truncate(4096)
            assert behind.read(mapped) is mapped
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    np.save(path, values)
    mapped = np.load(path, mmap_mode="r")
    assert FileBehind.of(values) is None
    assert FileBehind.of(np.load(path, mmap_mode="c")) is None
    with h5py.File(tmp_path / "a.h5", "w") as file:
        assert FileBehind.of(file.create_dataset("a", data=values)) is None
    np.save(tmp_path / "other.npy", values + 1)
    (tmp_path / "other.npy").replace(path)
    assert FileBehind.of(mapped) is None
    np.testing.assert_array_equal(mapped, values)
    path.unlink()
    assert FileBehind.of(mapped) is None
    # What the system calls a file that is gone may be the name of another.
    (tmp_path / "a b.npy (deleted)").write_bytes(bytes(values.nbytes + 4096))
    assert FileBehind.of(mapped) is None
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    np.save(path, values)
    mapped = np.load(path, mmap_mode="r")
    with monkeypatch.context() as patch:
        patch.setattr(pattern_files, "_MAPS", tmp_path / "elsewhere")
        assert FileBehind.of(mapped) is None
    with monkeypatch.context() as patch:
        patch.setattr(pattern_files, "in_small_pieces", lambda base: False)
        assert FileBehind.of(mapped) is None


@LINUX
def test_pages_that_are_resident_come_in_no_pieces_and_changes_stay(tmp_path: Path) -> None:
    mapped = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float32, (3, 1 << 20))
    mapped[:] = 5  # every page is touched
    base = pattern_files.map_of(mapped[1:])
    assert base is not None
    assert not pattern_files.in_small_pieces(base)
    assert (mapped == 5).all()

    class Faults:
        ru_minflt = 0

    def counted(who: int) -> Faults:
        Faults.ru_minflt += 90  # of 96 pieces of 128 kB
        return Faults()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource, "getrusage", counted)
        assert pattern_files.in_small_pieces(base)
        patch.setattr(pattern_files, "_TRIED", 12 << 20)
        assert not pattern_files.in_small_pieces(base)
