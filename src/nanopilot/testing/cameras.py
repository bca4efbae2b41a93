"""Rules of cameras: patterns and images."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.core.limits import Estimate
from nanopilot.core.requests import CameraRequest, Request
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard
from nanopilot.testing.measuring import MeasuringTests
from nanopilot.testing.rules import rule


class CameraTests(MeasuringTests):
    """Rules of the `Camera` capability; needs a fixture ``scope``.

    Exposures are those the camera is set to, and coarsely binned where it can.
    """

    capability = "Camera"

    def small(self, scope: Guard) -> Request:
        """Return one frame."""
        return CameraRequest()

    def long(self, scope: Guard) -> Request:
        """Return several frames; one, where there are no series."""
        series = CameraRequest(frames=4)
        return CameraRequest() if self.part(scope).validate(series) else series

    def impossible(self, scope: Guard) -> dict[str, Request]:
        """Return frames that cannot be."""
        good = CameraRequest()
        return {
            "NaN as the exposure": good.model_copy(update={"exposure": float("nan")}),
            "an infinite exposure": good.model_copy(update={"exposure": float("inf")}),
            "a camera that is not there": good.model_copy(update={"channels": ("no such one",)}),
        }

    def check_counts(self, request: Any, expected: Estimate) -> None:
        """Check frames and bytes of an estimate."""
        assert expected.frames == request.frames, f"`frames` is {expected.frames}"
        assert expected.bytes > 0, f"`bytes` is {expected.bytes}"

    @rule("pattern-has-dims")
    def test_a_pattern_has_dims_and_a_value_in_every_pixel(self, scope: Guard) -> None:
        """Patterns have dims (ky, kx) in rad, images (y, x) in m; ``frame`` comes first."""
        taken = self.measure(scope, CameraRequest())
        for name, channel in taken.data_vars.items():
            dims = channel.dims[-2:]
            assert dims in (("ky", "kx"), ("y", "x")), f"`{name}` has dims {channel.dims}"
            assert channel.dims[:-2] in ((), ("frame",)), f"`{name}` has dims {channel.dims}"
            assert np.isfinite(channel).all(), f"`{name}` has gaps"
            unit = "rad" if dims == ("ky", "kx") else "m"
            for dim in dims:
                said = channel[dim].attrs.get("units")
                assert said == unit, f"axis `{dim}` is in {said!r}, not {unit!r}"

    @rule("every-camera-is-there")
    def test_every_declared_camera_is_read(self, scope: Guard) -> None:
        """Without `channels`, every one of `cameras` is read, and nothing else."""
        declared, found = (
            set(scope.describe().cameras),
            _names(self.measure(scope, CameraRequest())),
        )
        assert found == declared, f"channels are {sorted(found)}; declared are {sorted(declared)}"

    @rule("only-channels-asked-for")
    def test_only_the_camera_asked_for_is_read(self, scope: Guard) -> None:
        """With `channels`, those are there and nothing else."""
        wanted = scope.describe().cameras[-1]
        found = _names(self.measure(scope, CameraRequest(channels=(wanted,))))
        assert found == {wanted}, f"asked for {wanted}: {sorted(found)}"

    @rule("several-frames")
    def test_several_frames_follow_one_another(self, scope: Guard) -> None:
        """With `frames`, ``frame`` is the first dim, and each is there."""
        taken = self.measure(scope, CameraRequest(frames=3))
        for name, channel in taken.data_vars.items():
            assert channel.dims[0] == "frame", f"`{name}` has dims {channel.dims}"
            assert channel.sizes["frame"] == 3, f"`{name}` has {channel.sizes['frame']} frames"
            assert np.isfinite(channel).all(), f"`{name}` has gaps"

    @rule("binning-joins-pixels")
    def test_binning_joins_pixels_and_keeps_the_field(self, scope: Guard) -> None:
        """With `binning` 2 there are half as many pixels each way over the same field."""
        binned = self.measure(scope, CameraRequest(binning=2))
        whole = self.measure(scope, CameraRequest())
        for name, channel in whole.data_vars.items():
            for dim in channel.dims[-2:]:
                size, left = channel.sizes[dim], binned[name].sizes[dim]
                assert left in (size // 2, (size + 1) // 2), f"`{dim}` has {left} of {size} pixels"
                field, kept = (
                    float(np.ptp(one[dim].to_numpy())) for one in (channel, binned[name])
                )
                assert abs(kept - field) <= 0.1 * field, f"`{dim}` runs over {kept:g} of {field:g}"


def _names(signals: SignalSet) -> set[str]:
    return {str(name) for name in signals.data_vars}
