"""A frame says where each pixel was measured, when, and in what state."""

import numpy as np
import pytest

from nanopilot.core.errors import SignalError
from nanopilot.core.frames import Channel, Circumstances, frame_set
from nanopilot.core.geometry import places
from nanopilot.core.parameters import State
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import metadata

STATE = State(time=3.0, values={"BiasSource.bias": 0.5})


def request(**more: object) -> ScanRequest:
    settings = {"centre": (0.0, 0.0), "field_of_view": (1e-6, 1e-6), "shape": (2, 3)} | more
    return ScanRequest(**settings)  # type: ignore[arg-type]


def made(asked: ScanRequest, shape: tuple[int, ...], measured: np.ndarray | None = None):  # noqa: ANN201
    channels = {"height": Channel(np.zeros(shape), "height", "m", details={"gain": 2})}
    return frame_set(asked, channels, Circumstances("afm", STATE, np.zeros(shape), measured))


@pytest.mark.parametrize(
    ("more", "shape", "dims"),
    [
        ({}, (2, 3), ("y", "x")),
        ({"frames": 2}, (2, 2, 3), ("frame", "y", "x")),
        ({"order": "points", "points": ((0, 0), (1e-7, 0))}, (2,), ("point",)),
        ({"order": "points", "points": ((0, 0),), "frames": 2}, (2, 1), ("frame", "point")),
    ],
)
def test_every_kind_of_scan_has_the_same_coordinates_and_keys(
    more: dict[str, object], shape: tuple[int, ...], dims: tuple[str, ...]
) -> None:
    frame = made(request(**more), shape)
    assert frame["height"].dims == dims
    assert {"x", "y", "measured_x", "measured_y", "time"} <= set(frame.coords)
    assert set(metadata(frame)) == {"instrument", "request", "state", "time"}
    facts = metadata(frame["height"])
    assert set(facts) == {"origin", "rotation", "direction", "positions", "details"}
    assert facts["details"] == {"gain": 2}
    assert State(**metadata(frame)["state"]) == STATE
    assert ScanRequest(**metadata(frame)["request"]) == request(**more)


def test_measured_positions_are_kept_beside_the_nominal_ones() -> None:
    asked = request(rotation=0.3)
    assert metadata(made(asked, (2, 3))["height"])["positions"] == "commanded"
    really = places(asked) + 1e-9
    frame = made(asked, (2, 3), really)
    assert metadata(frame["height"])["positions"] == "sensed"
    np.testing.assert_array_equal(frame["measured_x"].to_numpy().ravel(), really[:, 0])
    np.testing.assert_array_equal(frame["measured_y"].to_numpy().ravel(), really[:, 1])


def test_array_of_another_shape_is_refused() -> None:
    with pytest.raises(SignalError, match=r"`height` has shape \(3, 2\)"):
        made(request(), (3, 2))
