"""Rules of what a frame holds: values, where each pixel was measured, when, and how."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nanopilot.core.geometry import own_axes, places
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet, metadata
from nanopilot.instruments import Guard
from nanopilot.testing.asking import CLOCK_SLACK
from nanopilot.testing.measuring import MeasuringTests
from nanopilot.testing.rules import rule

#: What the metadata of every frame and of every one of its channels hold.
FRAME_KEYS = ("instrument", "request", "state", "time")
CHANNEL_KEYS = ("origin", "rotation", "direction", "positions", "details")


class FrameTests(MeasuringTests):
    """Rules of a single frame."""

    def frame(self, scope: Guard, rows: int | None = None, **changes: Any) -> ScanRequest:
        """Return a request for a small frame that the instrument accepts."""
        raise NotImplementedError

    @rule("frame-has-shape")
    def test_frame_has_the_shape_asked_for(self, scope: Guard) -> None:
        """A frame has dims (y, x), the rows and columns asked for, and a value in every pixel."""
        request = self.frame(scope)
        for name, channel in self.measure(scope, request).data_vars.items():
            assert channel.dims == ("y", "x"), f"`{name}` has dims {channel.dims}, not (y, x)"
            assert channel.shape == request.shape, f"`{name}`: {channel.shape}, {request.shape}"
            assert np.isfinite(channel).all(), f"`{name}` has gaps"

    @rule("frame-has-every-channel")
    def test_frame_has_every_channel_when_none_is_named(self, scope: Guard) -> None:
        """Without `channels`, every one of `scan_channels` is there and nothing else."""
        declared = set(scope.describe().scan_channels)
        found = _names(self.measure(scope, self.frame(scope)), declared)
        assert found == declared, f"channels are {sorted(found)}; declared are {sorted(declared)}"

    @rule("only-channels-asked-for")
    def test_only_the_channel_asked_for_is_given(self, scope: Guard) -> None:
        """With `channels`, those are there and nothing else."""
        wanted = scope.describe().scan_channels[-1]
        frame = self.measure(scope, self.frame(scope, channels=(wanted,)))
        assert _names(frame, {wanted}) == {wanted}, f"asked for {wanted}: {list(frame.data_vars)}"

    @rule("frame-has-axes")
    def test_axes_run_over_the_field_of_view(self, scope: Guard) -> None:
        """Axes ``x, y`` in metres run over the field of view, pixel centre to pixel centre."""
        request = self.frame(scope)
        frame = self.measure(scope, request)
        for dim, expected in zip(("x", "y"), own_axes(request), strict=True):
            slack = 1e-3 * np.ptp(expected) + 1e-13
            np.testing.assert_allclose(frame[dim], expected, 0, slack, err_msg=f"axis `{dim}`")

    @rule("frame-says-where")
    def test_every_pixel_says_where_it_was_measured(self, scope: Guard) -> None:
        """``measured_x, measured_y`` (m) belong to every pixel and lie about where it should be."""
        request = self.frame(scope)
        check_places(self.measure(scope, request), request)

    @rule("frame-says-when")
    def test_every_pixel_says_when_it_was_measured(self, scope: Guard) -> None:
        """``time`` (s, the instrument's clock) belongs to every pixel and rises from row to row."""
        before = scope.clock.now()
        frame = self.measure(scope, self.frame(scope))
        assert "time" in frame.coords, "there is no coordinate `time`"
        time = frame["time"]
        assert time.dims == ("y", "x"), f"`time` has dims {time.dims}, not (y, x)"
        assert time.attrs.get("units") == "s", f"`time` is in {time.attrs.get('units')!r}"
        rows = time.mean("x").to_numpy()
        assert (np.diff(rows) >= 0).all(), "`time` falls from row to row"
        low, high = before - CLOCK_SLACK, scope.clock.now() + CLOCK_SLACK
        assert low <= float(time.min()) <= float(time.max()) <= high, (
            f"`time` runs {float(time.min()):g} s to {float(time.max()):g} s; the scan ran "
            f"{before:g} s to {scope.clock.now():g} s"
        )

    @rule("frame-has-metadata")
    def test_frame_says_which_instrument_and_when_it_began(self, scope: Guard) -> None:
        """`metadata` of a frame has ``instrument, request, state, time``."""
        facts = metadata(self.measure(scope, self.frame(scope)))
        missing = [key for key in FRAME_KEYS if key not in facts]
        assert not missing, f"`metadata` lacks {', '.join(missing)}"
        assert facts["instrument"], "`instrument` is empty"
        assert math.isfinite(facts["time"]), f"`time` is {facts['time']}"

    @rule("channel-has-metadata")
    def test_every_channel_says_how_it_was_measured(self, scope: Guard) -> None:
        """`metadata` of a channel has ``origin, rotation, direction, positions, details``."""
        request = self.frame(scope)
        for name, channel in self.measure(scope, request).data_vars.items():
            facts = metadata(channel)
            missing = [key for key in CHANNEL_KEYS if key not in facts]
            assert not missing, f"`{name}` lacks {', '.join(missing)} in its metadata"
            assert tuple(facts["origin"]) == request.centre, f"`origin` is {facts['origin']}"
            assert facts["rotation"] == request.rotation, f"`rotation` is {facts['rotation']}"
            assert facts["direction"] in scope.describe().directions, f"{facts['direction']!r}"
            assert facts["positions"] in ("sensed", "commanded"), f"{facts['positions']!r}"
            assert isinstance(facts["details"], dict), f"`details` is {facts['details']!r}"


def check_places(frame: SignalSet, request: ScanRequest) -> None:
    """Check that every pixel lies within a quarter of the frame of where it should."""
    expected = places(request)
    scale = max(np.ptp(expected, axis=0).max(), 1e-12)
    for column, name in enumerate(("measured_x", "measured_y")):
        assert name in frame.coords, f"there is no coordinate `{name}`"
        found = frame[name]
        assert found.attrs.get("units") == "m", f"`{name}` is in {found.attrs.get('units')!r}"
        assert found.size == len(expected), f"`{name}` has {found.size} values of {len(expected)}"
        off = np.abs(found.to_numpy().ravel() - expected[:, column]).max()
        assert off <= 0.25 * scale, f"`{name}` is up to {off:g} m from where it was asked for"


def _names(frame: SignalSet, declared: set[str]) -> set[str]:
    """Return the channels of a frame, trace and retrace taken together."""
    names = {str(name) for name in frame.data_vars}
    return {name if name in declared else name.removesuffix("_retrace") for name in names}
