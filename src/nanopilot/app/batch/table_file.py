"""A table of things as a CSV file that a spreadsheet opens: lengths in nm, angles in degrees."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import xarray as xr

from nanopilot.core.signals import SignalSet

#: Unit of the signal: what a value is multiplied with, and the unit it is written in.
_WRITTEN = {
    "m": (1e9, "nm"),
    "m^2": (1e18, "nm^2"),
    "1/m": (1e-9, "1/nm"),
    "1/m^2": (1e-18, "1/nm^2"),
    "rad": (180 / math.pi, "deg"),
}


def data_frame(table: SignalSet, *, in_pixels: bool = False) -> pd.DataFrame:
    """Return the rows of a table, their units in the names of the columns.

    Parameters
    ----------
    table : SignalSet
        Dim ``point``.
    in_pixels : bool
        A nanometre stands for a pixel; the names say so.

    Examples
    --------
    >>> import xarray as xr
    >>> x = ("point", [1e-9, 2.5e-9], {"units": "m", "quantity": "position"})
    >>> data_frame(xr.Dataset({"x": x})).to_csv(index=False).split()
    ['x', '(nm)', '1.0', '2.5']
    """
    columns = {}
    wanted = ["label", "x", "y"]
    names = [str(one) for one in table.variables if one != "point"]
    first = [name for name in wanted if name in names]
    for name in [*first, *(one for one in names if one not in wanted)]:
        column = table[name]
        if column.dims != ("point",):
            continue
        factor, unit = _WRITTEN.get(column.attrs.get("units", "1"), (1.0, ""))
        unit = unit or column.attrs.get("units", "1")
        unit = unit.replace("nm", "px") if in_pixels else unit
        values = column.to_numpy()
        columns[name if unit == "1" else f"{name} ({unit})"] = (
            values if factor == 1.0 else values * factor
        )
    return pd.DataFrame(columns)


def read_table(path: Path) -> SignalSet:
    """Return the table that a file was written of, in SI again; words stay words.

    Parameters
    ----------
    path : Path
        Of `write_table`; where lengths are in pixels, a pixel is a nanometre.
    """
    back = {unit: (1 / factor, si) for si, (factor, unit) in _WRITTEN.items()}
    columns = {}
    for title, values in pd.read_csv(path).items():
        name, _, unit = str(title).removesuffix(")").partition(" (")
        factor, si = back.get(unit.replace("px", "nm"), (1.0, unit or "1"))
        told = values.to_numpy()
        if told.dtype != object or not len(told):
            told = told.astype(float) * factor
        columns[name] = ("point", told, {"quantity": name, "units": si})
    return xr.Dataset(columns)


def table_text(table: SignalSet, *, in_pixels: bool = False) -> str:
    """Return what `write_table` writes."""
    text: str = data_frame(table, in_pixels=in_pixels).to_csv(
        index=False, float_format="%.9g", lineterminator="\n"
    )
    return text


def write_table(table: SignalSet, path: Path, *, in_pixels: bool = False) -> None:
    """Write the table; the file appears when it is whole."""
    half = path.with_suffix(path.suffix + ".part")
    half.write_text(table_text(table, in_pixels=in_pixels), encoding="utf-8", newline="\n")
    half.replace(path)
