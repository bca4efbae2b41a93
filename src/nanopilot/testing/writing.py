"""Rules of writing with bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.core.limits import Estimate
from nanopilot.core.requests import Request, WriteRequest
from nanopilot.core.signals import SignalSet
from nanopilot.instruments import Guard
from nanopilot.testing.asking import CLOCK_SLACK
from nanopilot.testing.measuring import MeasuringTests
from nanopilot.testing.rules import rule


class BiasWriterTests(MeasuringTests):
    """Rules of the `BiasWriter` capability; needs a fixture ``scope``.

    Pulses are weak (`volts`) and short (`duration`), and in the middle of the area; still, a
    sample may remember them.
    """

    capability = "BiasWriter"
    volts = 0.05
    duration = 0.01

    def pulses(self, scope: Guard, count: int = 3, **changes: Any) -> WriteRequest:
        """Return a request for weak pulses in a row."""
        area = scope.describe().area
        pitch = 0.01 * (area.x[1] - area.x[0])
        points = tuple((area.centre[0] + i * pitch, area.centre[1]) for i in range(count))
        asked = {"points": points, "bias": (self.volts,), "duration": self.duration}
        return WriteRequest(**(asked | changes))

    def small(self, scope: Guard) -> Request:
        """Return three pulses."""
        return self.pulses(scope)

    def long(self, scope: Guard) -> Request:
        """Return eight pulses."""
        return self.pulses(scope, 8)

    def impossible(self, scope: Guard) -> dict[str, Request]:
        """Return pulses that cannot be."""
        good, area = self.pulses(scope), scope.describe().area
        far = area.x[1] + 10 * (area.x[1] - area.x[0]) + 1.0
        nan = float("nan")
        return {
            "a place outside": good.model_copy(update={"points": ((far, 0.0),)}),
            "NaN as a place": good.model_copy(update={"points": ((nan, area.centre[1]),)}),
            "NaN as the bias": good.model_copy(update={"bias": (nan,)}),
            "an infinite bias": good.model_copy(update={"bias": (float("inf"),)}),
        }

    def check_counts(self, request: Any, expected: Estimate) -> None:
        """Check the time under bias of an estimate."""
        under = len(request.points) * request.duration
        assert under / 2 <= expected.bias_seconds <= 2 * under, (
            f"`bias_seconds` is {expected.bias_seconds:g}; {under:g} s were asked for"
        )

    @rule("writing-says-what-where-when")
    def test_writing_tells_what_was_applied_where_and_when(self, scope: Guard) -> None:
        """Channel ``bias`` (V), dims (point,), with ``x, y`` (m) and ``time`` (s) of each point."""
        before, request = scope.clock.now() - CLOCK_SLACK, self.pulses(scope)
        written = self.measure(scope, request)
        _check_written(written, request)
        time = written["time"].to_numpy()
        assert (np.diff(time) >= 0).all(), "`time` falls from point to point"
        assert before <= time[0] <= time[-1] <= scope.clock.now() + CLOCK_SLACK, f"`time`: {time}"

    @rule("every-point-its-own-bias")
    def test_every_point_can_have_its_own_bias(self, scope: Guard) -> None:
        """With one bias for each point, each gets its own."""
        request = self.pulses(scope, bias=(self.volts, -self.volts, self.volts / 2))
        _check_written(self.measure(scope, request), request)

    @rule("a-path-is-drawn")
    def test_a_path_is_drawn_from_point_to_point(self, scope: Guard) -> None:
        """Mode ``path`` has the points of the path, and takes `duration` for each stretch."""
        request = self.pulses(scope, mode="path")
        _check_written(self.measure(scope, request), request)
        under, expected = self.part(scope).estimate(request).bias_seconds, 2 * self.duration
        assert expected / 2 <= under <= 2 * expected, f"`bias_seconds` is {under:g} s"


def _check_written(written: SignalSet, request: WriteRequest) -> None:
    assert "bias" in written, f"channels are {', '.join(map(str, written.data_vars))}; no `bias`"
    bias, asked = written["bias"], np.array(request.bias_at_points)
    assert bias.dims == ("point",), f"`bias` has dims {bias.dims}, not (point,)"
    assert bias.attrs.get("units") == "V", f"`bias` is in {bias.attrs.get('units')!r}"
    assert bias.shape == asked.shape, f"`bias` has {bias.size} values of {asked.size}"
    off = np.abs(bias.to_numpy() - asked).max()
    assert off <= 0.02 * np.abs(asked).max(), f"`bias` is off by up to {off:g} V"
    where = np.array(request.points)
    slack = 0.25 * float(np.ptp(where, axis=0).max())
    for name, column in (("x", 0), ("y", 1)):
        found = np.abs(written[name].to_numpy() - where[:, column]).max()
        assert found <= slack, f"`{name}` is up to {found:g} m from where it was asked for"
