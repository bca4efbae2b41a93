import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.core.errors import UnitError
from nanopilot.core.units import is_si, parse, to_si


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [("50 nm", "m", 5e-8), ("50 µm", "m", 5e-5), ("2 ms", "s", 2e-3), ("-8.5 V", "V", -8.5)],
)
def test_text_becomes_si(text: str, unit: str, value: float) -> None:
    assert parse(text, unit) == pytest.approx(value, rel=1e-12)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_is_taken_as_it_is(value: float) -> None:
    assert parse(value, "m") == value
    assert parse(repr(value), "m") == value


@pytest.mark.parametrize("text", ["50 V", "fifty nm", "", "50 nm nm nm(", "__import__('os')"])
def test_what_is_no_length_is_refused_by_name(text: str) -> None:
    with pytest.raises(UnitError, match="not a quantity in m"):
        parse(text, "m")


@pytest.mark.parametrize(
    ("unit", "factor", "name"),
    [
        ("nm", 1e-9, "m"),
        ("deg", 0.017453292519943295, "rad"),
        ("keV", 1e3, "eV"),
        ("kHz", 1e3, "Hz"),
        ("pm/V", 1e-12, "m/V"),
        ("nN", 1e-9, "N"),
        ("percent", 0.01, "1"),
        ("a.u.", 1.0, "a.u."),
        ("a. u.", 1.0, "a.u."),
        ("arb. units", 1.0, "a.u."),
        ("Arb.U.", 1.0, "a.u."),
        ("arbitrary", 1.0, "a.u."),
        ("AU", 1.0, "a.u."),
        ("Degrees", 0.017453292519943295, "rad"),
    ],
)
def test_units_of_files_turn_into_si(unit: str, factor: float, name: str) -> None:
    found = to_si(unit)
    assert found[0] == pytest.approx(factor)
    assert found[1] == name


@pytest.mark.parametrize("unit", ["", "furlongs per banana", "m m(", "??", "px", "degC", "dB"])
def test_unknown_units_are_refused(unit: str) -> None:
    with pytest.raises(UnitError):
        to_si(unit)


def test_temperature_may_be_given_in_degrees() -> None:
    assert parse("20 degC", "K") == pytest.approx(293.15)


def test_only_si_stays_in_signals() -> None:
    assert is_si("m")
    assert is_si("V/m")
    assert not is_si("nm")
    assert not is_si("deg")
