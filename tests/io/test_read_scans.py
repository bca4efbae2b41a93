"""Scans of Asylum (.ibw), Gwyddion (.gwy) and Nanosurf (.nid), against what others read."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import ReadError
from nanopilot.core.signals import check, metadata
from nanopilot.io.readers import NoPixelSize, read
from nanopilot.io.readers.gwy_objects import parse
from tests.io.vendor_files import Wave, write_ibw, write_nid

REAL = Path(__file__).parents[3] / "shared" / "data" / "pfm" / "scan_0001.ibw"
LABELS = ["HeightTrace", "HeightRetrace", "Phase1Retrace", "UserIn0Trace"]


def layers(dtype: str = "f4", number: int = 4) -> np.ndarray:
    values = np.random.default_rng(3).normal(size=(5, 3, number)) * 50  # x, y, layer
    return values.astype(dtype)


# Igor --------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4", "u1"])
def test_wave_comes_out_y_first_from_the_bottom(tmp_path: Path, dtype: str, order: str) -> None:
    values = np.abs(layers(dtype))
    path = write_ibw(tmp_path / "a.ibw", values, LABELS, Wave(order=order))
    signals = read(path)
    assert [check(one).name for one in signals] == [
        "height_trace", "height_retrace", "phase1", "user_in0",
    ]  # fmt: skip
    assert [one.attrs["units"] for one in signals] == ["m", "m", "rad", "V"]
    for number, one in enumerate(signals):
        factor = np.pi / 180 if number == 2 else 1
        np.testing.assert_allclose(one.to_numpy(), values[..., number].T * factor, rtol=1e-6)
        np.testing.assert_allclose(one["x"], 2e-9 * np.arange(5))
        np.testing.assert_allclose(one["y"], 3e-9 * np.arange(3))
    assert metadata(signals[2])["direction"] == "retrace"
    assert metadata(signals[0])["original_metadata"] == {
        "ScanRate": "1.5", "ImagingMode": "AC Mode",
    }  # fmt: skip


def test_wave_is_the_one_that_igor2_reads(tmp_path: Path) -> None:
    igor2 = pytest.importorskip("igor2.binarywave")
    paths = [write_ibw(tmp_path / "a.ibw", layers(), LABELS, Wave(order=">"))]
    for path in paths + [REAL] * REAL.exists():
        values = igor2.load(str(path))["wave"]["wData"]
        for number, one in enumerate(read(path)):
            factor = np.pi / 180 if one.attrs["units"] == "rad" else 1
            np.testing.assert_allclose(one, values[..., number].T * factor, rtol=1e-6)


@pytest.mark.skipif(
    not REAL.exists(), reason="the files of shared/data are not beside this checkout"
)
def test_real_scan_is_read() -> None:
    signals = read(REAL)
    assert [one.name for one in signals] == [
        "height", "amplitude1", "amplitude2", "phase1", "phase2", "frequency",
    ]  # fmt: skip
    assert [one.attrs["units"] for one in signals] == ["m", "m", "m", "rad", "rad", "Hz"]
    for one in signals:
        assert check(one).shape == (256, 256)
        assert float(one["x"][-1]) == pytest.approx(5e-6)
        assert metadata(one)["direction"] == "retrace"
    # Drive frequency of the note, 374 kHz: the resonance that is tracked lies near it.
    assert 3.5e5 < float(signals[-1].mean()) < 3.8e5


def test_wave_of_one_layer_has_the_unit_it_says(tmp_path: Path) -> None:
    values = layers()[..., 0]
    (one,) = read(write_ibw(tmp_path / "a.ibw", values, wave=Wave(units="nA")))
    assert (one.name, one.attrs["units"]) == ("signal", "A")
    np.testing.assert_allclose(one.to_numpy(), values.T * 1e-9, rtol=1e-6)


def test_unit_of_more_than_three_letters_is_found(tmp_path: Path) -> None:
    wave = Wave(dim_units=("micron", "micron"), steps=(0.5, 0.25))
    one = read(write_ibw(tmp_path / "a.ibw", layers(), LABELS, wave))[0]
    assert float(one["x"][1]) == pytest.approx(5e-7)
    assert float(one["y"][1]) == pytest.approx(2.5e-7)


def test_wave_without_lengths_asks_for_the_size(tmp_path: Path) -> None:
    path = write_ibw(tmp_path / "a.ibw", layers(), LABELS, Wave(dim_units=("", "")))
    with pytest.raises(NoPixelSize):
        read(path)
    assert float(read(path, pixel_size=1e-8)[0]["x"][1]) == 1e-8


@pytest.mark.parametrize(
    ("values", "wave", "said"),
    [
        (layers()[:, 0, 0], Wave(), "curves"),
        (layers()[..., 0], Wave(row_labels=b"\0" * 32 + b"Raw".ljust(32, b"\0")), "curves"),
        (layers()[..., 0], Wave(dim_units=("s", "m")), "'s', no length"),
        (np.zeros((2, 3, 4, 5), "f4"), Wave(), "curves"),
    ],
)
def test_wave_that_is_no_frame_is_told(
    tmp_path: Path, values: np.ndarray, wave: Wave, said: str
) -> None:
    with pytest.raises(ReadError, match=said):
        read(write_ibw(tmp_path / "a.ibw", values, wave=wave), pixel_size=1e-9)


def test_wave_of_an_old_version_or_a_wrong_sum_is_told(tmp_path: Path) -> None:
    path = write_ibw(tmp_path / "a.ibw", layers(), LABELS)
    whole = path.read_bytes()
    path.write_bytes(struct.pack("<h", 2) + whole[2:])
    with pytest.raises(ReadError, match="version 1, 2 or 3"):
        read(path)
    path.write_bytes(whole[:70] + b"\xff" + whole[71:])  # inside the headers
    with pytest.raises(ReadError, match="no Igor binary wave of version 5"):
        read(path)


# Gwyddion ----------------------------------------------------------------------------------


def field(values: np.ndarray, **about: Any) -> Any:
    objects = pytest.importorskip("gwyfile.objects")
    told = {
        "xreal": 8e-6,
        "yreal": 3e-6,
        "xoff": 1e-6,
        "si_unit_xy": "m",
        "si_unit_z": "m",
        **about,
    }
    units = {key: told.pop(key) for key in ("si_unit_xy", "si_unit_z")}
    return objects.GwyDataField(
        values, **told,
        **{key: objects.GwySIUnit(unitstr=unit) for key, unit in units.items() if unit},
    )  # fmt: skip


def write_gwy(path: Path, **entries: Any) -> Path:
    objects = pytest.importorskip("gwyfile.objects")
    content = objects.GwyContainer()
    content.filename = "there"
    for key, value in entries.items():
        content[key.replace("__", "/")] = value
    content.tofile(str(path))
    return path


def frame(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, 4))


def test_channels_of_gwyddion_stand_upright(tmp_path: Path) -> None:
    path = write_gwy(
        tmp_path / "a.gwy",
        __10__data=field(frame(1), si_unit_z="deg"), __10__data__title="Phase [Backward]",
        __0__data=field(frame(2)), __0__data__title="Height",
        __0__mask=field(frame(3)), __0__visible=True, __0__list=np.arange(3.0),
    )  # fmt: skip
    height, phase = read(path)
    assert (height.name, height.attrs["units"], height.dims) == ("height", "m", ("y", "x"))
    assert (phase.name, phase.attrs["units"]) == ("phase", "rad")
    assert metadata(phase)["direction"] == "retrace"
    np.testing.assert_array_equal(height.to_numpy()[::-1], frame(2))
    np.testing.assert_allclose(phase.to_numpy()[::-1], np.deg2rad(frame(1)))
    np.testing.assert_allclose(height["x"], 2e-6 * np.arange(4))
    np.testing.assert_allclose(height["y"], 1e-6 * np.arange(3))
    assert metadata(height)["origin"] == [1e-6, 0.0]
    assert [check(one).name for one in (height, phase)]


def test_gwyddion_without_a_unit_asks_for_the_size(tmp_path: Path) -> None:
    path = write_gwy(tmp_path / "a.gwy", __0__data=field(frame(), si_unit_xy="", si_unit_z=""))
    with pytest.raises(NoPixelSize):
        read(path)
    (one,) = read(path, pixel_size=1e-9)
    assert (one.name, one.attrs["units"]) == ("signal", "a.u.")


def test_gwyddion_must_agree_with_the_size_told_beside(tmp_path: Path) -> None:
    path = write_gwy(tmp_path / "a.gwy", __0__data=field(frame(), xreal=4e-6))
    assert read(path, pixel_size=1.005e-6)[0].shape == (3, 4)
    with pytest.raises(ReadError, match="the channel"):
        read(path, pixel_size=2e-6)


@pytest.mark.parametrize("sizes", [{"xreal": 8e-6}, {"xreal": 4e-6, "yreal": 6e-6}])
def test_both_sides_of_a_pixel_are_compared(tmp_path: Path, sizes: dict[str, float]) -> None:
    path = write_gwy(tmp_path / "a.gwy", __0__data=field(frame(), **sizes))
    with pytest.raises(ReadError, match="the channel"):
        read(path, pixel_size=1e-6)


def test_what_is_no_frame_of_gwyddion_is_named(tmp_path: Path) -> None:
    objects = pytest.importorskip("gwyfile.objects")
    brick = objects.GwyObject("GwyBrick", {"xres": 3})
    spectrum = field(frame(), si_unit_xy="1/m")
    path = write_gwy(
        tmp_path / "a.gwy", __0__data=field(frame()), __1__data=spectrum, __brick__0=brick
    )
    (one,) = read(path)
    assert [item["dataset"] for item in metadata(one)["skipped"]] == ["/1/data", "/brick/0"]
    with pytest.raises(ReadError, match=r"holds no frame.*no length"):
        read(write_gwy(tmp_path / "b.gwy", __1__data=spectrum))


@given(kept=st.floats(0, 1, exclude_max=True))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_gwyddion_file_cut_off_anywhere_is_told(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "whole.gwy"
    if not path.exists():
        write_gwy(path, __0__data=field(frame()), __0__data__title="Height")
    whole = path.read_bytes()
    (tmp_path / "cut.gwy").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ReadError) as caught:
        read(tmp_path / "cut.gwy")
    assert "\n" not in str(caught.value)


def test_objects_too_deep_in_one_another_are_told(tmp_path: Path) -> None:
    inner = b""
    for _ in range(3000):
        inner = b"A\0" + struct.pack("<I", len(inner)) + inner
        inner = b"k\0o" + inner
    (tmp_path / "a.gwy").write_bytes(b"GWYPG\0" + struct.pack("<I", len(inner)) + inner)
    with pytest.raises(ReadError, match="too deep"):
        read(tmp_path / "a.gwy")


def test_text_without_an_end_is_told() -> None:
    with pytest.raises(ValueError, match="no end"):
        parse(b"Name")
    with pytest.raises(ValueError, match="no end"):
        parse(b"G\0" + struct.pack("<I", 5) + b"abcde")


# Nanosurf ----------------------------------------------------------------------------------


def raw(dtype: str = "i2", seed: int = 5) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(
        limits.min, limits.max, (3, 4), dtype, endpoint=True
    )


@pytest.mark.parametrize(("dtype", "newer"), [("i1", True), ("i2", False), ("i4", True)])
def test_nanosurf_is_scaled_and_told_apart(tmp_path: Path, dtype: str, newer: bool) -> None:
    stored = raw(dtype)
    sections = [
        ("Spec forward", raw(dtype, 6), {}),
        ("Scan forward", stored, {}),
        ("Scan backward", raw(dtype), {"Dim2Name": "Phase", "Dim2Unit": "°", "Dim2Range": 360}),
    ]
    path = write_nid(tmp_path / "a.nid", sections)
    if newer:
        path.write_bytes(path.read_bytes().replace(b"=\xb0\r", "=°\r".encode()))
    height, phase = read(path)
    full = 2.0 ** (8 * stored.dtype.itemsize)
    expected = (stored.astype(float) + full / 2) / full * 2e-6 - 1e-6
    np.testing.assert_allclose(height.to_numpy(), expected, atol=1e-20)
    np.testing.assert_allclose(height["x"], 1e-6 * np.arange(4))
    np.testing.assert_allclose(height["y"], 1e-6 * np.arange(3))
    assert (height.name, height.attrs["units"], phase.name, phase.attrs["units"]) == (
        "topography", "m", "phase", "rad",
    )  # fmt: skip
    assert [metadata(one)["direction"] for one in (height, phase)] == ["trace", "retrace"]
    assert metadata(height)["skipped"][0]["why"] == "Spec forward is no scan"


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of pandas, used by NSFopen
def test_nanosurf_is_what_nsfopen_reads(tmp_path: Path) -> None:
    nsfopen = pytest.importorskip("NSFopen.read")
    examples = sorted((Path(nsfopen.__file__).parents[1] / "example").glob("Plane_Removal/*.nid"))
    for path in examples[:2]:
        signals = read(path)
        assert len(signals) >= 4
        image = nsfopen.nid_read(str(path)).data["Image"]
        for one in signals:
            told = metadata(one)
            way = {"trace": "Forward", "retrace": "Backward"}[told["direction"]]
            np.testing.assert_allclose(one, image[way][told["original_name"]], rtol=1e-9)
            assert float(one["x"][-1]) == pytest.approx(5e-5 * 255 / 256)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"Dim0Unit": "V"}, "axes are in V"), ({"Points": 400}, "missing"),
        ({"Points": -4}, "missing"), ({"SaveBits": 12}, "missing"), ({"Lines": "many"}, "many"),
        ({"Dim2Range": ""}, "float"),
    ],
)  # fmt: skip
def test_nanosurf_that_is_no_scan_is_told(tmp_path: Path, about: dict[str, Any], said: str) -> None:
    path = write_nid(tmp_path / "a.nid", [("Scan forward", raw(), about)])
    with pytest.raises(ReadError, match=said) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["ibw", "nid"])
@given(kept=st.floats(0, 1, exclude_max=True))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_scan_cut_off_anywhere_is_told(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "ibw":
        write_ibw(path, layers(), LABELS)
    else:
        write_nid(path, [("Scan forward", raw(), {})])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ReadError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
