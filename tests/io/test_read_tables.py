"""Arrays and texts are read as the numbers that stand in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nanopilot.core.errors import InvalidRequest, ReadError
from nanopilot.core.signals import Signal, check, metadata
from nanopilot.io.readers import NoPixelSize, read

NM = 1e-9
VALUES = np.array([[1.5, -2.0, 3e-9, 4.0, 0.25], [0.0, 1e12, -7.125, 8.0, 9.0], [1, 2, 3, 4, 5.0]])


def one(path: Path, **options: Any) -> Signal:
    (signal,) = read(path, **{"pixel_size": 2 * NM, **options})
    return check(signal)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i4", "f2", "f4", ">f8", "?"])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5)])
def test_array_keeps_its_order_and_numbers(
    tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    signal = one(tmp_path / "a.npy")
    np.testing.assert_array_equal(signal.to_numpy(), values)
    assert signal.dims == ("frame", "y", "x")[-len(shape) :]
    assert (signal.name, signal.attrs["units"]) == ("signal", "a.u.")
    np.testing.assert_allclose(signal["y"], 2 * NM * np.arange(3))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " ", ", ", "  ", " ; "])
@pytest.mark.parametrize("suffix", ["txt", "csv", "tsv", "asc"])
def test_text_is_parted_by_what_parts_it(tmp_path: Path, delimiter: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    np.savetxt(path, VALUES, delimiter=delimiter, header="made by hand")
    np.testing.assert_array_equal(one(path).to_numpy(), VALUES)


FLOATS = st.floats(width=64, allow_nan=True, allow_infinity=True)


@given(
    values=arrays.arrays(float, st.tuples(st.integers(2, 6), st.integers(5, 7)), elements=FLOATS),
    delimiter=st.sampled_from([",", ";", "\t", " "]),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_numbers_come_back(tmp_path: Path, values: np.ndarray, delimiter: str) -> None:
    np.savetxt(tmp_path / "a.txt", values, delimiter=delimiter, fmt="%.17g")
    np.testing.assert_array_equal(one(tmp_path / "a.txt").to_numpy(), values)
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(one(tmp_path / "a.npy").to_numpy(), values)


@pytest.mark.parametrize(
    "line", ["1,5;-2;3,25e-3;4;nan\n", "1,5\t-2\t3,25e-3\t4\t\n", "1,5 -2 3,25e-3 4 nan\n"]
)
def test_commas_can_be_decimal_points(tmp_path: Path, line: str) -> None:
    signal = one(write(tmp_path / "a.txt", line * 2))
    np.testing.assert_array_equal(signal.to_numpy()[:, :4], [[1.5, -2, 3.25e-3, 4]] * 2)


def test_missing_numbers_stay_missing(tmp_path: Path) -> None:
    text = "1,,3,4,5\n1,NaN,-,4,5,\n"
    values = one(write(tmp_path / "a.csv", text)).to_numpy()
    np.testing.assert_array_equal(values, [[1, np.nan, 3, 4, 5], [1, np.nan, np.nan, 4, 5]])
    np.save(tmp_path / "b.npy", np.where(VALUES > 5, np.nan, VALUES))
    assert np.isnan(one(tmp_path / "b.npy")).sum() == (VALUES > 5).sum()


def test_empty_lines_part_the_frames_of_a_stack(tmp_path: Path) -> None:
    block = "1 2 3 4 5\n6 7 8 9 10\n"
    signal = one(write(tmp_path / "a.txt", f"# two\n\n{block}\n\n{block}\n"))
    assert signal.dims == ("frame", "y", "x")
    np.testing.assert_array_equal(signal.to_numpy(), [np.arange(1, 11.0).reshape(2, 5)] * 2)
    with pytest.raises(ReadError, match="blocks of 1, 2 rows"):
        one(write(tmp_path / "b.txt", f"{block}\n1 2 3 4 5\n"))


GWYDDION = (
    "# Channel: Topography (Forward)\n# Width: 10.00 {mu}m\n# Height: 3.000 {mu}m\n"
    "# Value units: {unit}\n"
)


@pytest.mark.parametrize(
    ("mu", "encoding"), [("µ", "utf-8"), ("μ", "utf-8"), ("µ", "latin-1"), ("u", "utf-16")]
)
def test_header_of_gwyddion_is_understood(tmp_path: Path, mu: str, encoding: str) -> None:
    rows = "\n".join("\t".join(f"{number:.6e}" for number in row) for row in VALUES)
    path = write(tmp_path / "a.txt", GWYDDION.format(mu=mu, unit="nm") + rows, encoding)
    (signal,) = read(path)
    np.testing.assert_allclose(signal.to_numpy()[::-1], VALUES * 1e-9)  # its first row is on top
    assert (signal.name, signal.attrs["quantity"]) == ("topography", "topography")
    assert (signal.attrs["units"], metadata(signal)["direction"]) == ("m", "trace")
    assert float(signal["x"][1]) == pytest.approx(2e-6)
    assert float(signal["y"][1]) == pytest.approx(1e-6)
    with pytest.raises(ReadError, match="the header"):
        read(path, pixel_size=2e-6)
    (turned,) = read(path, first_row="bottom")
    np.testing.assert_allclose(turned.to_numpy(), VALUES * 1e-9)


def test_unit_that_is_no_factor_stays_a_note(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", GWYDDION.format(mu="u", unit="dB") + "1 2 3 4 5\n" * 3)
    (signal,) = read(path)
    assert (signal.attrs["units"], metadata(signal)["units_in_file"]) == ("a.u.", "dB")


def test_nobody_says_the_size(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    with pytest.raises(NoPixelSize, match="`pixel_size=1e-9`"):
        read(tmp_path / "a.npy")


def test_values_can_be_named_with_their_unit(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    signal = one(tmp_path / "a.npy", units={"height": "nm"})
    assert (signal.name, signal.attrs["quantity"], signal.attrs["units"]) == ("height",) * 2 + (
        "m",
    )
    np.testing.assert_allclose(signal.to_numpy(), VALUES * 1e-9)
    for units in ({"height": "furlongish"}, {"a": "m", "b": "V"}):
        with pytest.raises(InvalidRequest, match="`units`"):
            one(tmp_path / "a.npy", units=units)


def test_array_of_colours_is_a_picture(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 255, (6, 8, 3)).astype("u1")
    np.save(tmp_path / "a.npy", colours)
    signal = one(tmp_path / "a.npy")
    expected = colours @ [0.2125, 0.7154, 0.0721]
    np.testing.assert_allclose(signal.to_numpy(), expected)
    assert "luminance" in metadata(signal)["colours"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros(4), "shape"), (np.zeros((0, 4)), "shape"), (np.zeros((2, 3, 4, 5)), "shape"),
        (np.zeros((3, 0, 4)), "shape"), (np.float64(3.0), "shape"), (np.zeros((1, 9)), "no frame"),
        (np.zeros((90, 2)), "list of points"), (np.zeros((3, 4), complex), "absolute value"),
        (np.array([["a", "b"]] * 2), "real numbers"), (np.zeros((3, 4), "f4,f4"), "real numbers"),
        (np.zeros((2, 2), "M8[s]"), "real numbers"),
    ],
)  # fmt: skip
def test_array_that_is_no_frame_is_told(tmp_path: Path, values: np.ndarray, said: str) -> None:
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ReadError, match=said):
        one(tmp_path / "a.npy")


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[{}, []], [1, 2]], dtype=object), allow_pickle=True)
    with pytest.raises(ReadError, match="NumPy array"):
        one(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# only a header\n", "no numbers"), ("\n\n", "no numbers"),
        ("hello\nworld\n", "no numbers"),
        ("1 2 3 4 5\n1 2 3 4\n", "line 2: 4 numbers"),
        ("1 2 3 4 5\n1 2 x 4 5\n", r"line 2: '1 2 x 4 5' is no row"),
        ("x y\n" + "1 2\n" * 20, "list of points"), ("1\n2\n3\n", "no frame"),
        ("a b\n" * 101 + "1 2 3\n" * 3, "line 101"),
    ],
)  # fmt: skip
def test_text_that_is_no_frame_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ReadError, match=said):
        one(write(tmp_path / "a.txt", text))


def test_words_before_the_numbers_are_passed_over(tmp_path: Path) -> None:
    text = "\ufeffscan of film\nx1,x2,x3,x4,x5\n1,2,3,4,5\n6,7,8,9,10\n"
    values = one(write(tmp_path / "a.csv", text)).to_numpy()
    np.testing.assert_array_equal(values, np.arange(1, 11.0).reshape(2, 5))


@pytest.mark.parametrize("kept", [4, 9, 60, 130, -1])
def test_array_cut_off_is_told(tmp_path: Path, kept: int) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:kept])
    with pytest.raises(ReadError) as caught:
        one(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)


def test_picture_or_binary_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(ReadError, match="a PNG image, no text"):
        one(tmp_path / "a.txt")
    (tmp_path / "a.npy").write_text("1 2 3", encoding="utf-8")
    with pytest.raises(ReadError, match=r"no NumPy array.*numpy\.save"):
        one(tmp_path / "a.npy")
