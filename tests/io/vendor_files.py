"""Files as vendors' software writes them, by their published layouts."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: Numbers of Igor's types (WaveMetrics, Technical Note 003).
IGOR_TYPES = {"f4": 2, "f8": 4, "i1": 8, "i2": 0x10, "i4": 0x20, "u1": 0x48, "u2": 0x50}


@dataclass(frozen=True)
class Wave:
    """What an Igor wave says beside its values."""

    steps: tuple[float, float] = (2e-9, 3e-9)
    dim_units: tuple[str, str] = ("m", "m")
    units: str = "m"
    order: str = "<"
    note: bytes = b"ScanRate: 1.5\rBaseName: x\rImagingMode: AC Mode\r"
    row_labels: bytes = b""


def write_ibw(
    path: Path, values: np.ndarray, labels: Sequence[str] = (), wave: Wave | None = None
) -> Path:
    """Write an Igor binary wave of version 5; `values` have x first, layers last."""
    wave = wave or Wave()
    order, note, dim_units = wave.order, wave.note, wave.dim_units
    data = values.astype(np.dtype(values.dtype.newbyteorder(order))).tobytes(order="F")
    # Igor leaves behind the end of a label what stood there before.
    names = b"".join((name.encode() + b"\0ce").ljust(32, b"\0") for name in ("", *labels))
    names = names if labels else b""
    sizes = [*values.shape, 0, 0, 0][:4]
    kind = IGOR_TYPES[values.dtype.newbyteorder("=").str[1:]]
    long_units = b"".join(unit.encode() for unit in dim_units if len(unit) > 3)
    long_sizes = [len(unit) if len(unit) > 3 else 0 for unit in (*dim_units, "", "")]

    def headers(checksum: int) -> bytes:
        binary = struct.pack(
            f"{order}2h15i", 5, checksum, 320 + len(data), 0, len(note), 0, *long_sizes,
            0, len(wave.row_labels), len(names), 0, 0, 0, 0,
        )  # fmt: skip
        short = [unit.encode() if len(unit) <= 3 else b"" for unit in (*dim_units, "", "")]
        about = struct.pack(
            f"{order}4i2h6sh32s2i4i4d4d4s4s4s4s4s", 0, 0, 0, values.size, kind, 0, b"", 1, b"scan",
            0, 0, *sizes, *wave.steps, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, wave.units.encode(), *short,
        )  # fmt: skip
        return binary + about.ljust(320, b"\0")

    total = int(np.frombuffer(headers(0), f"{order}i2").sum(dtype=np.int64)) % 65536
    checksum = (32768 - total) % 65536 - 32768
    path.write_bytes(headers(checksum) + data + note + long_units + wave.row_labels + names)
    return path


def nid_section(name: str, frame: str, shape: tuple[int, int], **about: Any) -> list[str]:
    """Return the lines of one channel of a .nid file."""
    lines = {
        "Points": shape[1], "Lines": shape[0], "Frame": frame,
        "Dim0Unit": "m", "Dim0Range": 4e-6, "Dim0Min": 0, "Dim1Unit": "m", "Dim1Range": 3e-6,
        "Dim1Min": 0, "Dim2Name": "Topography", "Dim2Unit": "m", "Dim2Range": 2e-6,
        "Dim2Min": -1e-6, "SaveMode": "Binary", "SaveBits": 16,
        "SaveSign": "Signed", "SaveOrder": "Intel", **about,
    }  # fmt: skip
    return [f"[{name}]", *(f"{key}={value}" for key, value in lines.items()), ""]


def write_nid(path: Path, sections: Sequence[tuple[str, np.ndarray, dict[str, Any]]]) -> Path:
    """Write a file of Nanosurf: one group per channel, values as stored (integers)."""
    lines = ["[DataSet]", "Version=2", f"GroupCount={len(sections)}"]
    for number in range(len(sections)):
        lines += [f"Gr{number}-Name=g", f"Gr{number}-Count=2", f"Gr{number}-Ch1=DataSet-{number}:1"]
    lines += [""]
    for number, (frame, raw, about) in enumerate(sections):
        bits = raw.dtype.itemsize * 8
        lines += nid_section(
            f"DataSet-{number}:1", frame, raw.shape, **({"SaveBits": bits} | about)
        )
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n#!"
    path.write_bytes(head + b"".join(raw.tobytes() for _, raw, _ in sections))
    return path


def write_mrc(path: Path, values: np.ndarray, pixel: float = 0.0, cells: bool = True) -> Path:
    """Write an MRC file (Cheng et al. 2015, table 1); `pixel` in angstrom, 0: not known.

    Without `cells`, nobody says into how many parts the length is divided.
    """
    mode = {"i1": 0, "i2": 1, "f4": 2, "u2": 6}[values.dtype.str[1:]]
    stack = values if values.ndim == 3 else values[None]
    depth, rows, columns = stack.shape
    head = bytearray(1024)
    struct.pack_into("<4i", head, 0, columns, rows, depth, mode)
    if cells:
        struct.pack_into("<3i", head, 28, columns, rows, depth)
    struct.pack_into("<6f", head, 40, columns * pixel, rows * pixel, depth * pixel, 90, 90, 90)
    struct.pack_into("<3i", head, 64, 1, 2, 3)
    head[208:216] = b"MAP DD\0\0"
    path.write_bytes(bytes(head) + stack.tobytes())
    return path


class _Tags:
    """Tags of a DigitalMicrograph file of version 3, as Bernhard Schaffer described them."""

    def group(self, entries: Sequence[tuple[str, bytes]]) -> bytes:
        body = b"".join(entry for _, entry in entries)
        return struct.pack(">2bi", 0, 0, len(entries)) + body

    def nested(self, name: str, entries: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
        return name, self._head(20, name) + self.group(entries)

    def number(self, name: str, value: float, kind: int) -> tuple[str, bytes]:
        layout = {3: "<i", 5: "<I", 6: "<f", 7: "<d"}[kind]
        return self._data(name, [kind], struct.pack(layout, value))

    def array(self, name: str, values: np.ndarray, kind: int) -> tuple[str, bytes]:
        return self._data(name, [20, kind, values.size], values.tobytes())

    def text(self, name: str, text: str) -> tuple[str, bytes]:
        return self._data(name, [20, 4, len(text)], text.encode("utf-16-le"))

    def _head(self, kind: int, name: str) -> bytes:
        return struct.pack(">bh", kind, len(name)) + name.encode()

    def _data(self, name: str, info: list[int], raw: bytes) -> tuple[str, bytes]:
        told = struct.pack(f">{len(info) + 1}i", len(info), *info)
        return name, self._head(21, name) + b"%%%%" + told + raw


def write_dm3(path: Path, values: np.ndarray, steps: Sequence[float], unit: str) -> Path:
    """Write a DigitalMicrograph file with one image of numbers; `steps` are x first."""
    tags = _Tags()
    kind, dm_type = {"f4": (6, 2), "u2": (4, 10)}[values.dtype.str[1:]]
    dimension = []
    for step in steps:
        told = [tags.number("Origin", 0.0, 6), tags.number("Scale", step, 6)]
        dimension.append(tags.nested("", [*told, tags.text("Units", unit)]))
    brightness = [
        tags.number("Origin", 0.0, 6), tags.number("Scale", 1.0, 6), tags.text("Units", ""),
    ]  # fmt: skip
    image = [
        tags.nested("ImageData", [
            tags.nested("Calibrations", [
                tags.nested("Brightness", brightness), tags.nested("Dimension", dimension),
            ]),
            tags.array("Data", values, kind),
            tags.number("DataType", dm_type, 5),
            tags.nested("Dimensions", [tags.number("", size, 5) for size in values.shape[::-1]]),
            tags.number("PixelDepth", values.itemsize, 5),
        ]),
        tags.nested("ImageTags", []),
        tags.text("Name", "HAADF"),
    ]  # fmt: skip
    root = tags.group([tags.nested("ImageList", [tags.nested("", image)])])
    path.write_bytes(struct.pack(">3i", 3, len(root), 1) + root + b"\0" * 8)
    return path
