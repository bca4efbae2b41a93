"""The Nion driver without Nion: what goes over the wire, and what does not."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from importlib import metadata
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanopilot.core.adjustables import Beam, Corrector, Focus, Positioner
from nanopilot.core.capabilities import Camera, PointSpectroscopy, Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import InvalidRequest, MissingExtra, NanopilotError, Unsupported
from nanopilot.core.requests import CameraRequest, ScanRequest, SpectrumRequest
from nanopilot.instruments import Guard
from nanopilot.instruments.nion import NionInstrument, nion
from nanopilot.instruments.nion.controls import NAMES, controls
from nanopilot.instruments.nion.framing import receive, send
from nanopilot.instruments.nion.updates import lines
from nanopilot.instruments.nion.worker import Worker

FACTS = {
    "channels": ["HAADF", "MAADF"],
    "reach": 1.6e-6,
    "dwell_time": 1e-6,
    "max_defocus": 5e-6,
    "controls": [name for name in NAMES if not name.startswith(("C50", "beam."))],
    "cameras": {
        "ronchigram": {"shape": [32, 32], "binning": [1, 2], "exposure": 0.1},
        "eels": {"shape": [4, 16], "binning": [1], "exposure": 0.1},
    },
}
HERE = {"centre": (0.0, 0.0), "field_of_view": (1e-7, 1e-7), "shape": (4, 4)}
FRAME = ScanRequest(**HERE)
SPECTRUM = SpectrumRequest(position=(0.0, 0.0), kind="energy")
NAN = float("nan")


class FakeLink:
    """Controls in a dictionary, and measurements of zeros; keeps what was commanded."""

    def __init__(self) -> None:
        self.values = dict.fromkeys(NAMES, 0.0)
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.closed = 0

    def call(self, verb: str, **arguments: Any) -> Any:
        if verb == "facts":
            return json.loads(json.dumps(FACTS))
        if verb == "read":
            return {name: self.values[name] for name in arguments["names"]}
        if verb == "axes":
            return {"x": [-20.0, 0.5], "y": [0.0, 1.0]}
        self.commands.append((verb, arguments))
        if verb == "write":
            self.values.update(arguments["values"])
        return None

    def stream(self, verb: str, **arguments: Any) -> Generator[tuple[Any, Any], None, Any]:
        self.commands.append((verb, arguments))
        asked = arguments["asked"]
        yield {"began": True}, {}
        if verb == "scan":
            height, width = asked["shape"]
            names = [FACTS["channels"][index] for index in asked["channels"]]
            for row in range(height):
                yield {"rows": [row, row + 1]}, dict.fromkeys(names, np.zeros((1, width)))
        else:
            shape = (16,) if asked["camera"] == "eels" else (32, 32)
            for index in range(asked["frames"]):
                yield {"index": index}, {asked["camera"]: np.zeros(shape)}
        return True

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def bare(link: FakeLink) -> NionInstrument:
    return NionInstrument(lambda: link, VirtualClock())


@pytest.fixture
def scope(bare: NionInstrument) -> Guard:
    return Guard(bare)


REFUSED: list[tuple[Any, Any]] = [
    (Scanner, FRAME.model_copy(update=update))
    for update in (
        {"channels": ("bf",)}, {"directions": ("retrace",)}, {"order": "serpentine"},
        {"centre": (1e-6, 0.0)}, {"centre": (NAN, 0.0)}, {"field_of_view": (1e-7, 2e-7)},
        {"field_of_view": (NAN, 1e-7)}, {"field_of_view": (0.0, 0.0)}, {"rotation": NAN},
        {"rotation": float("inf")}, {"dwell_time": NAN}, {"dwell_time": float("inf")},
        {"shape": (4, 6)}, {"field_of_view": (1.7e-6, 1.7e-6)},
    )
] + [
    (PointSpectroscopy, SPECTRUM.model_copy(update=update))
    for update in (
        {"kind": "bias"}, {"channels": ("haadf",)}, {"position": (0.0, 9e-7)},
        {"parameters": {"exposure": 0.0}}, {"parameters": {"exposure": NAN}},
        {"parameters": {"binning": 2.0}}, {"rotation": NAN},
    )
] + [
    (Camera, CameraRequest(channels=("eels",))),
    (Camera, CameraRequest(binning=3)),
    (Camera, CameraRequest().model_copy(update={"exposure": NAN})),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "request_"), REFUSED)
def test_refused_request_never_reaches_the_wire(
    scope: Guard, bare: NionInstrument, link: FakeLink, kind: type[Any], request_: Any
) -> None:
    found = bare.capability(kind).validate(request_)
    assert found
    assert all(f"`{violation.parameter}`" in violation.message for violation in found)
    with pytest.raises(NanopilotError):
        scope.capability(kind).start(request_).result()
    assert link.commands == []


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Focus, {"defocus": 6e-6}), (Focus, {"defocus": NAN}), (Focus, {"focus": 0.0}),
        (Beam, {"voltage": 2e5}), (Beam, {"blanked": 0.5}), (Positioner, {"x": 9e-7, "y": 0.0}),
        (Corrector, {"C5": 1e-3}),
    ],
)  # fmt: skip
def test_refused_setting_never_reaches_the_wire(
    scope: Guard, link: FakeLink, kind: type[Any], values: dict[str, float]
) -> None:
    with pytest.raises(NanopilotError):
        scope.capability(kind).set(**values)
    assert link.commands == []


def test_a_frame_that_is_let_through_reaches_the_wire_once(scope: Guard, link: FakeLink) -> None:
    frame = scope.capability(Scanner).start(FRAME).result()
    assert [verb for verb, _ in link.commands] == ["scan"]
    asked = link.commands[0][1]["asked"]
    assert asked["pixel"] == pytest.approx(1e-7 / 3)
    assert asked["channels"] == [0, 1]
    assert list(frame.data_vars) == ["haadf", "maadf"]


def test_line_rate_becomes_the_dwell_time_of_a_pixel(scope: Guard, link: FakeLink) -> None:
    request = FRAME.model_copy(update={"line_rate": 50.0})
    scope.capability(Scanner).start(request).result()
    assert link.commands[0][1]["asked"]["dwell_time"] == pytest.approx(1 / 200)


def test_ending_early_stops_this_measurement_and_no_other(scope: Guard, link: FakeLink) -> None:
    acquisition = scope.capability(Scanner).start(FRAME)
    next(iter(acquisition))
    acquisition.abort()
    acquisition.result()
    token = link.commands[0][1]["asked"]["token"]
    stops = [arguments for verb, arguments in link.commands if verb == "stop"]
    assert stops
    assert all(arguments == {"token": token} for arguments in stops)
    link.commands.clear()
    scope.capability(Camera).start(CameraRequest()).result()
    scope.capability(Scanner).stop()
    scope.capability(Camera).stop()
    stops = [arguments for verb, arguments in link.commands if verb == "stop"]
    assert {"token": link.commands[0][1]["asked"]["token"]} not in stops


def test_a_control_that_the_microscope_lacks_is_not_offered(scope: Guard) -> None:
    names = {parameter.key for parameter in scope.describe().parameters}
    assert "Corrector.C3" in names
    assert "Corrector.C5" not in names


def test_electrons_are_those_of_the_beam_unless_it_is_blanked(scope: Guard, link: FakeLink) -> None:
    link.values["BeamCurrent"] = 1.602176634e-19 * 1e6
    request = CameraRequest(exposure=2.0)
    assert scope.capability(Camera).estimate(request).electrons == pytest.approx(2e6)
    link.values["C_Blank"] = 1.0
    assert scope.capability(Camera).estimate(request).electrons == 0.0


coefficients = st.floats(-1.0, 1.0).map(lambda value: round(value, 3))
PAIRS = ("A1", "B2", "A2", "S3", "A3")
KEYS = [f"{name}_{axis}" for name in PAIRS for axis in "xy"] + ["C3", "defocus"]


@given(st.fixed_dictionaries(dict.fromkeys(KEYS, coefficients)), st.floats(0, 6.3), st.floats(0, 1))
def test_both_notations_give_the_same_aberration_function(
    ours: dict[str, float], phi: float, theta: float
) -> None:
    """Uhlemann and Haider's sum and Krivanek's, each as printed, agree at every angle."""
    w = theta * np.exp(1j * phi)
    c = {name: ours[f"{name}_x"] + 1j * ours[f"{name}_y"] for name in PAIRS}
    u = np.conj(w)
    haider = (
        -w * u * ours["defocus"] / 2 + u**2 * c["A1"] / 2 + w**2 * u * c["B2"]
        + u**3 * c["A2"] / 3 + (w * u) ** 2 * ours["C3"] / 4 + w**3 * u * c["S3"]
        + u**4 * c["A3"] / 4
    ).real  # fmt: skip
    krivanek = 0.0
    for control in controls(FACTS).values():
        name = control.nion.removesuffix(".x").removesuffix(".y")
        if control.parameter.capability not in ("Corrector", "Focus"):
            continue
        n, m = int(name[1]), int(name[2])
        turn = np.sin(m * phi) if control.nion.endswith(".y") else np.cos(m * phi)
        value = ours[control.parameter.name] / control.factor
        krivanek += theta ** (n + 1) / (n + 1) * value * turn
    assert krivanek == pytest.approx(haider, abs=1e-9)


def test_reconnecting_opens_a_new_line_and_reads_the_state() -> None:
    lines: list[FakeLink] = []

    def dial() -> FakeLink:
        lines.append(FakeLink())
        lines[-1].values["C10"] = -1e-9 * len(lines)
        return lines[-1]

    instrument = NionInstrument(dial, VirtualClock())
    assert instrument.state().values["Focus.defocus"] == pytest.approx(1e-9)
    assert instrument.reconnect().values["Focus.defocus"] == pytest.approx(2e-9)
    assert [line.closed for line in lines] == [1, 0]
    instrument.capability(Focus).set(defocus=3e-9)
    assert lines[0].commands == []
    assert lines[1].values["C10"] == pytest.approx(-3e-9)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)), st.binary())
def test_a_message_comes_back_as_it_was_sent(header: dict[str, Any], payload: bytes) -> None:
    line = io.BytesIO()
    send(line, header, payload)
    line.seek(0)
    assert receive(line) == (header, payload)
    assert receive(line) is None


@given(st.binary(min_size=1, max_size=50), st.integers(0, 60))
def test_a_message_that_ends_too_early_is_the_end(payload: bytes, cut: int) -> None:
    line = io.BytesIO()
    send(line, {"id": 1}, payload)
    whole = line.getvalue()
    assert receive(io.BytesIO(whole[: min(cut, len(whole) - 1)])) is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6)), max_size=20))
def test_each_line_comes_once_and_only_when_all_channels_have_it(
    told: list[tuple[str, int]],
) -> None:
    newest = {"a": 0, "b": 0}
    updates = []
    for name, more in told:
        newest[name] = max(newest[name], more)
        updates.append((name, np.arange(newest[name], dtype=float)))
    found = list(lines({"a": 0, "b": 0}, iter(updates), height=6))
    assert [row for part, _ in found for row in range(*part["rows"])] == list(
        range(min(newest.values()))
    )
    for part, arrays in found:
        for array in arrays.values():
            assert array.tolist() == list(range(*part["rows"]))


class Broken:
    """A microscope that refuses everything."""

    def read(self, names: list[str]) -> dict[str, float]:
        raise RuntimeError(f"no {names[0]} today")


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [("read", {"names": ["C10"]}, "no C10 today"), ("eval", {"text": "1"}, "no verb 'eval'")],
)
def test_errors_of_the_microscope_come_back_in_its_words(
    verb: str, arguments: dict[str, Any], said: str
) -> None:
    answers = io.BytesIO()
    Worker(Broken(), answers).carry_out({"id": 7, "verb": verb, "arguments": arguments})
    answers.seek(0)
    message = receive(answers)
    assert message is not None
    assert message[0]["id"] == 7
    assert said in message[0]["error"]


def test_missing_packages_are_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'nanopilot\[nion\]'"):
        nion()


def test_unknown_sample_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidRequest, match=r"`sample` is 'steel'.*flake"):
        nion("steel")


def test_what_it_is_not_is_refused_by_name(scope: Guard) -> None:
    from nanopilot.core.adjustables import Approach

    with pytest.raises(Unsupported, match="Approach"):
        scope.capability(Approach)


def test_the_driver_itself_imports_nothing_of_nion() -> None:
    code = (
        "import sys, nanopilot.instruments.nion, nanopilot.instruments.nion.worker\n"
        "print([m for m in sys.modules if m == 'nion' or m.startswith('nion.')])"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


class Quick:
    """A microscope whose scans are over at once."""

    stopped = threading.Event()

    def scan(self, asked: dict[str, Any]) -> Generator[tuple[dict[str, Any], dict[str, Any]]]:
        yield {"rows": [0, 1]}, {"a": np.zeros((1, 2))}


class Lingering(io.BytesIO):
    """Answers that take a while to leave; the other end has read them before."""

    said = threading.Event()

    def flush(self) -> None:
        if b'"answer": true' in self.getvalue():
            self.said.set()
            time.sleep(0.5)


def test_a_measurement_that_has_told_its_end_is_not_in_the_way() -> None:
    answers = Lingering()
    worker = Worker(Quick(), answers)
    worker.carry_out({"id": 1, "verb": "scan", "arguments": {"asked": {"token": 1}}})
    assert answers.said.wait(5.0)
    worker.carry_out({"id": 2, "verb": "scan", "arguments": {"asked": {"token": 2}}})
    assert b"in progress" not in answers.getvalue()
