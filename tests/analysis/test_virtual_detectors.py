"""Virtual detectors add up what they should, wherever the patterns are kept."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.analysis import pattern_blocks, virtual_detectors
from nanopilot.analysis.pattern_blocks import Patterns
from nanopilot.analysis.pattern_masks import (
    CentreOfMass,
    Mask,
    Ring,
    Sector,
    segments,
    standard_masks,
)
from nanopilot.analysis.virtual_detectors import VirtualDetector, virtual_images
from nanopilot.core.errors import InvalidRequest, OutOfRange, SignalError
from nanopilot.core.signals import Axis, check_set, make_signal, metadata

ANGLE = 2e-3
SHAPE = (5, 7, 24, 20)
RING = Ring(inner=6e-3, outer=15e-3, centre=(1e-3, -2e-3))
MASKS: dict[str, Mask] = {
    "ring": RING,
    "sum": Ring(),
    "com": CentreOfMass(outer=19e-3),
    "weights": np.random.default_rng(1).normal(size=SHAPE[2:]),
    **segments(0.0, 18e-3, count=3, rotation=0.4),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_blocks, "BLOCK_BYTES", 7 * 24 * 20 * 4 + 1)


def counts(dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    mean = np.random.default_rng(0).uniform(0, 900, SHAPE)
    noise = np.random.default_rng(2).normal(0, 1, SHAPE) if np.dtype(dtype).kind == "f" else 0
    return (np.floor(mean) + noise).astype(dtype)


def angles() -> tuple[Any, Any]:
    ky, kx = (ANGLE * (np.arange(n) - n // 2) for n in SHAPE[2:])
    return ky[:, None], kx[None, :]


def reference(values: Any) -> dict[str, Any]:
    """Return what every mask of `MASKS` sees, pixel by pixel in double precision."""
    ky, kx = angles()
    radius, exact = np.hypot(kx, ky) + 0 * kx, np.asarray(values).astype(float)

    def seen(weights: Any) -> Any:
        return np.einsum("yxuv,uv->yx", exact, weights)

    off = np.hypot(kx - 1e-3, ky + 2e-3)
    found = {
        "ring": seen((off >= 6e-3) & (off < 15e-3)),
        "sum": exact.sum(axis=(2, 3)),
        "weights": seen(MASKS["weights"]),
    }
    disc = (radius < 19e-3).astype(float)
    found["com_x"], found["com_y"] = (seen(disc * k) / seen(disc) for k in (kx, ky))
    turn = np.mod(np.arctan2(ky, kx) - 0.4, 2 * np.pi) * 3 / (2 * np.pi)
    for number in range(3):
        part = (turn >= number) & (turn < number + 1) & (radius < 18e-3)
        found[f"segment_{number}"] = seen(part)
    return found


def kept_as(kind: str, values: Any, folder: Path) -> Any:
    """Return the same patterns, kept in another way."""
    if kind == "memory":
        return values
    if kind == "npy":
        np.save(folder / "a.npy", values)
        return np.load(folder / "a.npy", mmap_mode="r")
    if kind == "raw":
        (folder / "a.raw").write_bytes(b"header!" + values.tobytes())
        return np.memmap(folder / "a.raw", values.dtype, "r", 7, values.shape)
    if kind == "hdf5":
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("a", data=values, chunks=(2, 3, 24, 20), compression="gzip")
        return h5py.File(folder / "a.h5", "r")["a"]
    return zarr.create_array(folder / "a.zarr", data=values, chunks=(2, 3, 24, 20))


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *(("memory", one) for one in ("<f4", "<u2", ">f4", ">u2", "f8", "u1", "i4", "f2", "?")),
        *product(("npy", "raw", "hdf5"), ("<f4", "<u2", ">u2")),
        *product(("zarr",), ("<f4", "<u2")),
    ],
)
def test_images_are_those_of_sums_in_double_precision(
    kind: str, dtype: str, tmp_path: Path
) -> None:
    values = kept_as(kind, counts(dtype), tmp_path)
    images = check_set(virtual_images(Patterns.on_grid(values, 1e-10, ANGLE), MASKS))
    for name, expected in reference(counts(dtype)).items():
        scale = np.abs(expected).max()
        np.testing.assert_allclose(images[name], expected, rtol=1e-9, atol=1e-12 * scale)
    if kind == "hdf5":
        values.file.close()


def test_large_numbers_keep_their_last_digit() -> None:
    values = np.full((1, 2, 256, 256), 16_777_215, np.float32)
    values[0, 1, 3, 3] = 0
    found = virtual_images(Patterns.on_grid(values, 1e-10, 1e-3), {"sum": Ring()})["sum"]
    assert found.to_numpy().tolist() == [[65536 * 16_777_215.0, 65535 * 16_777_215.0]]


def test_signals_in_memory_or_read_when_asked_give_the_same(tmp_path: Path) -> None:
    values = counts()
    stack = Patterns.on_grid(values, 1e-10, ANGLE)
    expected = virtual_images(stack, MASKS)
    signal = make_signal(
        values, stack.axes, quantity="intensity", units="counts", metadata={"seed": 3}
    )
    found = virtual_images(signal, MASKS)
    assert metadata(found) == {"seed": 3}
    turned = virtual_images(signal.transpose("ky", "y", "kx", "x"), MASKS)
    signal.to_dataset(name="a").to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False)
    lazy = xr.open_zarr(tmp_path / "a.zarr", consolidated=False, chunks=None)["a"]
    late = virtual_images(lazy, MASKS)
    for name in expected.data_vars:
        for other in (found, turned, late):
            np.testing.assert_array_equal(other[name], expected[name])
    assert not lazy.variable._in_memory
    assert found["ring"].dims == ("y", "x")
    assert found["ring"].units == "counts"
    assert found["com_x"].units == "rad"


def test_series_of_patterns_have_one_dim_of_places() -> None:
    values = counts().reshape(35, 24, 20)
    stack = Patterns.on_grid(counts(), 1e-10, ANGLE)
    axes = {"frame": Axis(np.arange(35.0), "1", "frame")} | {
        dim: stack.axes[dim] for dim in ("ky", "kx")
    }
    found = virtual_images(Patterns(values, axes), MASKS)["ring"]
    assert found.dims == ("frame",)
    np.testing.assert_array_equal(found, virtual_images(stack, MASKS)["ring"].to_numpy().ravel())


def test_nan_counts_only_where_a_mask_looks() -> None:
    values = counts()
    values[1, 2, 0, 0] = np.nan
    values[3, 4, 12, 10] = np.nan
    values[0, 0] = 0
    values[0, 1] = 0
    values[0, 1, 12, 9:12] = 1, 0, -1
    images = virtual_images(Patterns.on_grid(values, 1e-10, ANGLE), MASKS)
    assert np.argwhere(np.isnan(images["sum"].to_numpy())).tolist() == [[1, 2], [3, 4]]
    # The corner lies outside of the disc, the middle inside of it.
    assert np.argwhere(np.isnan(images["com_x"].to_numpy())).tolist() == [
        [0, 0], [0, 1], [3, 4]
    ]  # fmt: skip
    assert np.isfinite(images["ring"]).all()


def test_places_that_were_not_measured_are_nan() -> None:
    there = np.ones(SHAPE[:2], dtype=bool)
    there[2, 3:] = False
    stack = Patterns.on_grid(counts("u2"), 1e-10, ANGLE)
    found = virtual_images(Patterns(stack.values, stack.axes, there=there), MASKS)
    for image in found.data_vars.values():
        np.testing.assert_array_equal(np.isnan(image), ~there)


@settings(deadline=None, max_examples=50)
@given(
    st.floats(0, 20e-3), st.floats(1e-4, 60e-3), st.floats(-5e-3, 5e-3), st.integers(1, 9),
    st.floats(-7, 7),
)  # fmt: skip
def test_rings_and_sectors_share_no_pixel_and_leave_none_out(
    inner: float, width: float, off: float, count: int, rotation: float
) -> None:
    ky, kx = (one.ravel() for one in angles())
    middle, outer = inner + width / 3, inner + width
    where: dict[str, Any] = {"centre": (off, -off)}
    whole = Ring(inner=inner, outer=outer, **where).inside(ky, kx)
    low = Ring(inner=inner, outer=middle, **where).inside(ky, kx)
    high = Ring(inner=middle, outer=outer, **where).inside(ky, kx)
    assert (low.astype(int) + high == whole).all()
    ring = {"inner": inner, "outer": outer, "count": count, "rotation": rotation, **where}
    parts = sum(Sector(number=n, **ring).inside(ky, kx).astype(int) for n in range(count))
    assert (parts == whole).all()


@pytest.mark.parametrize(("inner", "outer"), [(0.0, 40e-3), (10e-3, 55e-3), (30e-3, 60e-3)])
def test_masks_have_the_area_of_their_ring(inner: float, outer: float) -> None:
    fine = 0.25e-3
    k = fine * (np.arange(512) - 256)
    ring = Ring(inner=inner, outer=outer).inside(k, k).sum() * fine**2
    assert ring == pytest.approx(math.pi * (outer**2 - inner**2), rel=2e-3)
    quarter = Sector(inner=inner, outer=outer, number=0, rotation=0.3).inside(k, k).sum()
    assert quarter * fine**2 == pytest.approx(math.pi / 4 * (outer**2 - inner**2), rel=5e-3)


def test_first_quadrant_is_that_of_positive_angles() -> None:
    k = np.array([-1e-3, 1e-3])
    found = [Sector(outer=1.0, number=n).inside(k, k).tolist() for n in range(4)]
    assert found[0] == [[False, False], [False, True]]
    assert found[1] == [[False, False], [True, False]]
    assert found[2] == [[True, False], [False, False]]
    assert found[3] == [[False, True], [False, False]]


def test_centre_of_mass_follows_a_shifted_disc() -> None:
    k = 1e-3 * (np.arange(64) - 32)
    values = np.zeros((1, 3, 64, 64), np.float32)
    for at, (x, y) in enumerate([(0.0, 0.0), (4e-3, 0.0), (-2e-3, 7e-3)]):
        values[0, at] = Ring(outer=15.5e-3, centre=(x, y)).inside(k, k)
    found = virtual_images(Patterns.on_grid(values, 1e-10, 1e-3), {"c": CentreOfMass()})
    np.testing.assert_allclose(found["c_x"][0], [0, 4e-3, -2e-3], atol=1e-9)
    np.testing.assert_allclose(found["c_y"][0], [0, 0, 7e-3], atol=1e-9)


def test_standard_masks_are_told_apart_by_the_convergence_angle() -> None:
    masks = standard_masks(5e-3)
    ky, kx = (one.ravel() for one in angles())
    inside = {name: mask.inside(ky, kx) for name, mask in masks.items() if isinstance(mask, Ring)}
    assert (inside["bf"].astype(int) + inside["adf"] == inside["sum"]).all()
    assert inside["sum"].all()
    assert not (inside["abf"] & ~inside["bf"]).any()
    assert float(np.hypot(*angles())[inside["haadf"]].min()) >= 15e-3
    with pytest.raises(OutOfRange, match="`convergence`"):
        standard_masks(0.0)


def test_progress_counts_patterns() -> None:
    seen: list[tuple[int, int]] = []
    virtual_images(
        Patterns.on_grid(counts(), 1e-10, ANGLE),
        {"sum": Ring()},
        progress=lambda done, total, text: seen.append((done, total)),
    )
    assert seen == [(7 * n, 35) for n in range(1, 6)]


def test_operator_takes_text_and_refuses_what_is_no_angle() -> None:
    stack = Patterns.on_grid(counts(), 1e-10, ANGLE)
    found = VirtualDetector(inner="6 mrad", outer="15 mrad", centre=(1e-3, -2e-3))(stack)
    np.testing.assert_array_equal(found, virtual_images(stack, {"ring": RING})["ring"])
    for wrong in ({"inner": "6 nm"}, {"inner": 2e-3, "outer": 1e-3}, {"inner": -1.0}):
        with pytest.raises(InvalidRequest):
            VirtualDetector(**wrong)(stack)


def test_what_makes_no_sense_is_refused_in_words() -> None:
    stack = Patterns.on_grid(counts(), 1e-10, ANGLE)
    with pytest.raises(OutOfRange, match=r"`far` counts no pixel .* reach 0\.03124 rad"):
        virtual_images(stack, {"far": Ring(inner=50e-3)})
    for masks in (
        {},
        {"w": np.zeros(SHAPE[2:])},
        {"w": np.ones(3)},
        {"w": np.full((24, 20), np.nan)},
    ):
        with pytest.raises(InvalidRequest):
            virtual_images(stack, masks)
    with pytest.raises(InvalidRequest, match="wants for its images"):
        virtual_images(stack, {"com_x": Ring(), "com": CentreOfMass()})
    axes = stack.axes
    for values, wrong in (
        (counts()[:, :, :3], axes),
        (counts() + 1j, axes),
        (counts(), {dim: axes[dim] for dim in ("ky", "kx", "y", "x")}),
        (counts(), {**axes, "kx": Axis(axes["kx"].values, "m", "position")}),
    ):
        with pytest.raises(SignalError):
            Patterns(values, wrong)
    with pytest.raises(SignalError):
        Patterns(counts(), axes, there=np.ones(3, dtype=bool))
    frame = make_signal(
        np.ones(SHAPE[:2]), {d: axes[d] for d in "yx"}, quantity="intensity", units="counts"
    )
    with pytest.raises(SignalError, match="ky and kx"):
        virtual_images(frame, MASKS)


@given(st.integers(0, 8), st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]))
def test_lines_fetched_are_those_that_are_read(seed: int, dtype: Any) -> None:
    rng = np.random.default_rng(seed)
    masks = {name: (rng.random(SHAPE[2:]) < 0.02).astype(float) for name in "ab"}
    masks["a"][0, 0] = masks["b"][-1, -1] = 1.0
    plan = virtual_detectors._plan(Patterns.on_grid(counts(dtype), 1e-10, ANGLE), masks)
    line = 64 // np.dtype(dtype).itemsize
    read = {pixel // line * line for mask in masks.values() for pixel in np.flatnonzero(mask)}
    assert plan.lines.tolist() == sorted(read)


_LARGE = """
import re, sys
from pathlib import Path
import numpy as np
from nanopilot.analysis.pattern_blocks import Patterns
from nanopilot.analysis.pattern_masks import Ring
from nanopilot.analysis import virtual_detectors
from nanopilot.analysis.virtual_detectors import virtual_images
virtual_detectors.KEPT_BYTES = 64 << 20
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
few = np.zeros((2, 2, 128, 128), sys.argv[2])
virtual_images(Patterns.on_grid(few, 1e-10, 1e-3), {"a": Ring(outer=0.03)})
before = peak()
values = np.memmap(sys.argv[1], sys.argv[2], "r", shape=(128, 128, 128, 128))
found = virtual_images(Patterns.on_grid(values, 1e-10, 1e-3), {"a": Ring(), "b": Ring(outer=0.03)})
assert float(found["a"][100, 5]) == 42, found["a"][100, 5]
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="how much is resident is told as on Linux")
@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
def test_memory_does_not_grow_with_the_data(tmp_path: Path, dtype: str) -> None:
    path, size = tmp_path / "large.raw", 128**4 * 4
    with path.open("wb") as file:
        file.truncate(size)  # a hole: takes no room on the disk
        file.seek((100 * 128 + 5) * 128 * 128 * 4)
        file.write(np.array(42, dtype).tobytes())
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, str(path), dtype], capture_output=True, text=True, check=True
    )
    grown = int(done.stdout) * 1024
    assert grown < 200e6 < size / 5


def test_errors_of_a_thread_come_out() -> None:
    class Broken:
        shape, dtype = SHAPE, np.dtype(np.float32)

        def __getitem__(self, part: Any) -> Any:
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        virtual_images(Patterns.on_grid(Broken(), 1e-10, ANGLE), MASKS)


def test_result_does_not_depend_on_blocks_or_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Patterns.on_grid(counts(), 1e-10, ANGLE)
    one = virtual_images(stack, MASKS)
    monkeypatch.setattr(virtual_detectors, "_THREADS", 1)
    for size in (1, 24 * 20 * 4 * 3, 10**9):
        monkeypatch.setattr(pattern_blocks, "BLOCK_BYTES", size)
        assert virtual_images(stack, MASKS).identical(one)
