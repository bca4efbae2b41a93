"""NSID files are read as they were meant, whatever is wrong with them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanopilot.core.errors import ReadError
from nanopilot.core.signals import check, metadata
from nanopilot.io.readers import nsid
from tests.io.conftest import Channel, Scale, grid, write_nsid

BIAS = Scale("Voltage", np.array([0.0, 4.0, 0.0, -4.0, 0.0]), "V", "Bias", "SPECTRAL")


def ramp(*shape: int) -> np.ndarray:
    return np.arange(float(np.prod(shape))).reshape(shape)


def channel(quantity: str = "HeightRetrace", units: str | None = "m", **about: Any) -> Channel:
    return Channel(quantity, ramp(3, 4), grid(3, 4), units, **about)


def spectral(scale: Scale, **about: Any) -> Channel:
    values = ramp(3, 4, len(scale.values))
    return Channel("Response", values, [*grid(3, 4), scale], "a.u.", "SPECTRAL_IMAGE", **about)


@given(columns=st.integers(1, 5), rows=st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_images_stored_x_first_come_out_y_first(columns: int, rows: int) -> None:
    stored = ramp(columns, rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.h5")
        write_nsid(path, [Channel("Height", stored, grid(columns, rows))])
        (height,) = nsid.read(path)
    assert height.dims == ("y", "x")
    np.testing.assert_array_equal(height.to_numpy(), stored.T)
    assert (height.sizes["y"], height.sizes["x"]) == (rows, columns)


def test_loops_come_out_with_bias_last_in_the_order_of_the_sweep(tmp_path: Path) -> None:
    path = write_nsid(tmp_path / "loops.h5", [spectral(BIAS)])
    (loops,) = nsid.read(path)
    assert loops.dims == ("y", "x", "bias")
    np.testing.assert_array_equal(loops["bias"], BIAS.values)
    np.testing.assert_array_equal(loops[1, 2], ramp(3, 4, 5)[2, 1])
    assert (loops["bias"].attrs["units"], loops["bias"].attrs["quantity"]) == ("V", "bias")
    assert (loops.name, loops.attrs["units"]) == ("response", "a.u.")


@pytest.mark.parametrize(
    ("units", "factor", "si"), [("nm", 1e-9, "m"), ("deg", np.pi / 180, "rad"), ("pA", 1e-12, "A")]
)
def test_values_are_converted_to_si(tmp_path: Path, units: str, factor: float, si: str) -> None:
    path = write_nsid(tmp_path / "scan.h5", [channel("Signal", units)])
    (signal,) = nsid.read(path)
    assert signal.attrs["units"] == si
    np.testing.assert_allclose(signal.to_numpy(), ramp(3, 4).T * factor, rtol=1e-14)


def test_axes_are_converted_to_si(tmp_path: Path) -> None:
    scales = [
        Scale("x", np.array([0.0, 50.0, 100.0]), "nm"),
        Scale("y", np.arange(4.0), "um"),
        Scale("Energy", np.arange(2.0), "keV", "Energy loss", "SPECTRAL"),
    ]
    values = Channel("Intensity", ramp(3, 4, 2), scales, "counts", "SPECTRAL_IMAGE")
    (signal,) = nsid.read(write_nsid(tmp_path / "eels.h5", [values]))
    assert signal.dims == ("y", "x", "energy")
    np.testing.assert_allclose(signal["x"], [0.0, 50e-9, 100e-9])
    np.testing.assert_allclose(signal["y"], np.arange(4) * 1e-6)
    np.testing.assert_allclose(signal["energy"], [0.0, 1000.0])
    assert [signal[dim].attrs["units"] for dim in signal.dims] == ["m", "m", "eV"]


def test_phase_channel_takes_its_axes_from_a_sibling(tmp_path: Path) -> None:
    phase = Channel("PhaseRetrace", ramp(3, 4), grid(3, 4, "deg"), "deg")
    path = write_nsid(tmp_path / "pfm.h5", [channel("HeightRetrace"), phase])
    height, repaired = nsid.read(path)
    assert metadata(height)["repairs"] == []
    assert metadata(repaired)["repairs"] == [
        "axis 'x' carried 'deg'; took 'm' from 'HeightRetrace'",
        "axis 'y' carried 'deg'; took 'm' from 'HeightRetrace'",
    ]
    for dim in ("y", "x"):
        assert repaired[dim].equals(height[dim])
        assert repaired[dim].attrs["units"] == "m"


def test_phase_channel_without_a_sibling_asks_for_the_unit(tmp_path: Path) -> None:
    phase = Channel("PhaseRetrace", ramp(3, 4), grid(3, 4, "deg"), "deg")
    elsewhere = Channel("HeightRetrace", ramp(3, 5), grid(3, 5), "m")
    path = write_nsid(tmp_path / "pfm.h5", [phase])
    with pytest.raises(ReadError, match=r"axis `x`.*'deg'.*units=\{'x': 'm'\}.*--units x=m"):
        nsid.read(path)
    (signal,) = nsid.read(path, units={"x": "nm", "y": "nm"})
    assert float(signal["x"][-1]) == pytest.approx(1e-15)
    with pytest.raises(ReadError, match="'V', which is no length"):
        nsid.read(path, units={"x": "V"})
    # One that was scanned over another area cannot vouch for it.
    path = write_nsid(tmp_path / "two.h5", [phase, elsewhere])
    with pytest.raises(ReadError, match="axis `y`"):
        nsid.read(path)


def test_scan_direction_is_told_apart_from_the_quantity(tmp_path: Path) -> None:
    labels = ["HeightTrace", "HeightRetrace", "ZSensorRetrace", "Amplitude", "Amplitude"]
    signals = nsid.read(write_nsid(tmp_path / "a.h5", [channel(label) for label in labels]))
    assert [signal.name for signal in signals] == [
        "height_trace", "height_retrace", "z_sensor", "amplitude", "amplitude_2",
    ]  # fmt: skip
    assert [signal.attrs["quantity"] for signal in signals][1:3] == ["height", "z sensor"]
    directions = [metadata(signal).get("direction") for signal in signals]
    assert directions == ["trace", "retrace", "retrace", None, None]
    assert [metadata(signal)["original_name"] for signal in signals] == labels


def test_descending_axis_is_turned_with_its_values(tmp_path: Path) -> None:
    scales = [Scale("x", np.array([2e-6, 1e-6, 0.0])), grid(3, 4)[1]]
    path = write_nsid(tmp_path / "a.h5", [Channel("Height", ramp(3, 4), scales)])
    (signal,) = nsid.read(path)
    np.testing.assert_array_equal(signal["x"], [0.0, 1e-6, 2e-6])
    np.testing.assert_array_equal(signal.sel(x=2e-6), ramp(3, 4)[0])


@pytest.mark.parametrize(
    ("scales", "dims"),
    [
        ([BIAS], ("bias",)),
        ([Scale("t", np.arange(3.0), "ms", "Time", "SPECTRAL")], ("time",)),
        ([Scale("f", np.arange(3.0), "kHz", "Frequency", "SPECTRAL"), BIAS], ("frequency", "bias")),
        ([Scale("x", np.arange(3.0), "nm")], ("x",)),
        ([*grid(2, 3), Scale("time", np.arange(4.0), "s", "t", "TEMPORAL")], ("frame", "y", "x")),
        ([*grid(2, 3), Scale("u", np.arange(2.0), "1/nm", "u", "RECIPROCAL"),
          Scale("v", np.arange(3.0), "1/nm", "v", "RECIPROCAL")], ("y", "x", "ky", "kx")),
        ([*grid(2, 3), Scale("f", np.arange(2.0), "Hz", "f", "SPECTRAL"), BIAS],
         ("y", "x", "frequency", "bias")),
        ([Scale("width", np.arange(2.0)), Scale("height", np.arange(3.0))], ("y", "x")),
        ([Scale("x", np.arange(2.0), kind="DimensionType.SPATIAL"), grid(2, 3)[1]], ("y", "x")),
    ],
)  # fmt: skip
def test_axes_find_their_place_in_the_vocabulary(
    tmp_path: Path, scales: list[Scale], dims: tuple[str, ...]
) -> None:
    values = ramp(*(len(scale.values) for scale in scales))
    (signal,) = nsid.read(write_nsid(tmp_path / "a.h5", [Channel("Response", values, scales, "V")]))
    assert signal.dims == dims
    check(signal)


def test_complex_values_are_read(tmp_path: Path) -> None:
    values = ramp(3, 4) * (1 + 2j)
    path = write_nsid(tmp_path / "a.h5", [Channel("Response", values, grid(3, 4), "nm")])
    (signal,) = nsid.read(path)
    np.testing.assert_allclose(signal.to_numpy(), values.T * 1e-9)


@pytest.mark.parametrize("dtype", ["i2", "u1", "f4", ">f8"])
def test_numbers_keep_their_type_where_nothing_is_converted(tmp_path: Path, dtype: str) -> None:
    values = ramp(3, 4).astype(dtype)
    path = write_nsid(tmp_path / "a.h5", [Channel("Counts", values, grid(3, 4), "counts")])
    (signal,) = nsid.read(path)
    assert signal.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(signal.to_numpy(), values.T)


STRANGE = spectral(Scale("Cycle", np.arange(2.0), "nm", "Wavelength", "SPECTRAL"))


def test_what_cannot_be_a_signal_is_left_out_and_told(tmp_path: Path) -> None:
    again = Scale("Voltage2", np.arange(2.0), "V", "Bias", "SPECTRAL")
    twice = Channel("Loops", ramp(2, 5), [again, BIAS], "V")
    still = Channel("Height", ramp(3, 4), [Scale("x", np.zeros(3)), grid(3, 4)[1]])
    path = write_nsid(tmp_path / "a.h5", [STRANGE, twice, channel(), still])
    (height,) = nsid.read(path)
    assert height.name == "height"
    told = metadata(height)["skipped"]
    assert [item["dataset"].rpartition("/")[2] for item in told] == [
        "Channel_0", "Channel_1", "Channel_3",
    ]  # fmt: skip
    for word, item in zip(("Cycle", "two", "ascends"), told, strict=True):
        assert word in item["why"]


def test_file_with_nothing_left_says_why(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"nothing that can be a signal.*`Cycle`.*none of"):
        nsid.read(write_nsid(tmp_path / "a.h5", [STRANGE]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_missing_values_are_refused_with_the_first_place(tmp_path: Path, bad: float) -> None:
    values = ramp(3, 4)
    values[1, 2:] = bad
    path = write_nsid(tmp_path / "a.h5", [Channel("Height", values, grid(3, 4))])
    said = r"`/Measurement_000/.*`, 2 of 12 values.*x\[1\], y\[2\].*--missing keep"
    with pytest.raises(ReadError, match=said):
        nsid.read(path)
    (kept,) = nsid.read(path, missing="keep")
    np.testing.assert_array_equal(kept.to_numpy(), values.T)


@pytest.mark.parametrize("units", [None, "", "generic"])
def test_missing_units_are_asked_for(tmp_path: Path, units: str | None) -> None:
    path = write_nsid(tmp_path / "a.h5", [channel("CurrentTrace", units)])
    said = r"`/Measurement_000/Channel_0/.*` has no units.*units=\{'CurrentTrace': 'V'\}"
    with pytest.raises(ReadError, match=said):
        nsid.read(path)
    for name in ("CurrentTrace", "current", "currenttrace"):
        (signal,) = nsid.read(path, units={name: "nA"})
        assert signal.attrs["units"] == "A"
        assert float(signal[0, 1]) == pytest.approx(4e-9)


def test_missing_units_of_an_axis_are_asked_for(tmp_path: Path) -> None:
    scale = Scale("Voltage", BIAS.values, None, "Bias", "SPECTRAL")
    path = write_nsid(tmp_path / "a.h5", [spectral(scale)])
    with pytest.raises(ReadError, match=r"axis `Voltage`.*no units.*--units Voltage=V"):
        nsid.read(path)
    (signal,) = nsid.read(path, units={"Voltage": "mV"})
    assert float(signal["bias"][1]) == pytest.approx(4e-3)


@pytest.mark.parametrize("units", ["furlongish", "px", "°C", "dB"])
def test_units_that_are_no_factor_of_si_are_asked_for(tmp_path: Path, units: str) -> None:
    path = write_nsid(tmp_path / "a.h5", [channel("Height", units)])
    with pytest.raises(ReadError, match=rf"'{units}', which cannot be turned into SI.*units="):
        nsid.read(path)


def test_axes_in_pixels_are_no_positions(tmp_path: Path) -> None:
    path = write_nsid(tmp_path / "a.h5", [Channel("Height", ramp(3, 4), grid(3, 4, "px"))])
    with pytest.raises(ReadError, match=r"axis `x`.*'px'.*--units x=m"):
        nsid.read(path)


def test_units_for_something_else_are_refused(tmp_path: Path) -> None:
    path = write_nsid(tmp_path / "a.h5", [channel("Height")])
    with pytest.raises(ReadError, match=r"'Hight'.*it has: Height, x, y"):
        nsid.read(path, units={"Hight": "nm"})


def test_file_stays_as_it_was_and_is_told_by_its_hash(tmp_path: Path) -> None:
    settings = {"ScanRate": 3.0, "ImagingMode": "PFM Mode", "Temperature": np.nan}
    path = write_nsid(tmp_path / "scan.h5", [channel(settings=settings)])
    before = path.read_bytes()
    (signal,) = nsid.read(path)
    assert path.read_bytes() == before
    told = metadata(signal)
    assert told["file"] == "scan.h5"
    assert len(told["sha256"]) == 64
    assert told["dataset"] == "/Measurement_000/Channel_0/Channel_0/Channel_0"
    assert told["provenance"] == [{"step": "sidpy", "version": "0.12.3"}]
    assert told["original_metadata"] == {
        "ImagingMode": "PFM Mode", "ScanRate": 3.0, "Temperature": "nan",
    }  # fmt: skip


def test_of_hundreds_of_settings_the_telling_ones_are_kept(tmp_path: Path) -> None:
    many = {f"ColorMap{number}": number for number in range(300)} | {"ScanRate": 3.0}
    (signal,) = nsid.read(write_nsid(tmp_path / "a.h5", [channel(settings=many)]))
    assert metadata(signal)["original_metadata"] == {"ScanRate": 3.0}


def test_spikes_stay_in_the_data(tmp_path: Path) -> None:
    values = ramp(3, 4)
    values[2, 1] = 1e6
    (signal,) = nsid.read(write_nsid(tmp_path / "a.h5", [Channel("Height", values, grid(3, 4))]))
    assert float(signal[1, 2]) == 1e6
