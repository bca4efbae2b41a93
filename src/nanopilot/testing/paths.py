"""Rules of the ways to scan: directions, orders, rotation, sparse scans, several frames."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np

from nanopilot.core.frames import channel_name
from nanopilot.core.requests import Direction, Order, Position, ScanRequest
from nanopilot.core.signals import metadata
from nanopilot.instruments import Guard
from nanopilot.testing.frames import check_places
from nanopilot.testing.measuring import MeasuringTests
from nanopilot.testing.rules import not_applicable, refused, rule

_WHOLE: tuple[Order, ...] = ("raster", "serpentine", "spiral")


class PathTests(MeasuringTests):
    """Rules of how a frame is scanned; what is not declared must be refused."""

    def frame(self, scope: Guard, rows: int | None = None, **changes: Any) -> ScanRequest:
        """Return a request for a small frame that the instrument accepts."""
        raise NotImplementedError

    @rule("every-direction-works")
    def test_every_declared_direction_is_there_when_asked_for(self, scope: Guard) -> None:
        """Each of `directions` gives a channel that says so; retrace stands beside trace."""
        declared: Any = scope.describe().directions
        for wanted in {(one,) for one in declared} | {tuple(declared)}:
            request = self.frame(scope, directions=wanted)
            found = self.part(scope).validate(request)
            assert not found, f"`directions` {wanted} are declared and refused: {found[0].message}"
            frame = self.part(scope).start(request).result()
            seen = {metadata(channel)["direction"] for channel in frame.data_vars.values()}
            assert seen == set(wanted), f"asked for {wanted}: channels say {sorted(seen)}"
            for name, channel in frame.data_vars.items():
                direction = metadata(channel)["direction"]
                base = str(name).removesuffix("_retrace")
                assert name == channel_name(base, direction), f"`{name}` is a {direction}"

    @rule("undeclared-direction-is-refused")
    def test_a_direction_that_is_not_declared_is_refused(self, scope: Guard) -> None:
        """A direction that `directions` does not name is refused."""
        missing = [one for one in get_args(Direction) if one not in scope.describe().directions]
        if not missing:
            not_applicable("every direction is declared")
        request = self.frame(scope, directions=(missing[0],))
        refused(lambda: self.part(scope).start(request), f"`directions` ({missing[0]})")

    @rule("every-order-works")
    def test_every_declared_order_fills_the_frame(self, scope: Guard) -> None:
        """Each of `orders` that visits every pixel gives a frame without gaps."""
        for order in (one for one in _WHOLE if one in scope.describe().orders):
            request = self.frame(scope, order=order)
            found = self.part(scope).validate(request)
            assert not found, f"`{order}` is declared and refused: {found[0].message}"
            for name, channel in self.part(scope).start(request).result().data_vars.items():
                assert channel.shape == request.shape, f"`{order}`: {name} is {channel.shape}"
                assert np.isfinite(channel).all(), f"`{order}` leaves gaps in {name}"

    @rule("undeclared-order-is-refused")
    def test_an_order_that_is_not_declared_is_refused(self, scope: Guard) -> None:
        """An order that `orders` does not name is refused."""
        missing = [one for one in get_args(Order) if one not in scope.describe().orders]
        if not missing:
            not_applicable("every order is declared")
        for order in missing:
            request = self._in_order(scope, order)
            refused(lambda request=request: self.part(scope).start(request), f"`order` {order}")  # type: ignore[misc]

    @rule("lines-only-those-rows")
    def test_a_scan_of_some_lines_has_those_and_no_others(self, scope: Guard) -> None:
        """With order ``lines``, the rows asked for have values and the others are NaN."""
        request = self._declared(scope, "lines")
        for name, channel in self.part(scope).start(request).result().data_vars.items():
            rows = np.flatnonzero(np.isfinite(channel.to_numpy()).all(axis=1))
            assert tuple(rows) == request.lines, f"`{name}` has rows {rows} of {request.lines}"
            assert np.isfinite(channel).sum() == len(rows) * request.shape[1], f"`{name}`: others"

    @rule("points-only-those-places")
    def test_a_sparse_scan_measures_where_it_was_sent(self, scope: Guard) -> None:
        """With order ``points``, dims are (point,) and every place is one that was asked for."""
        request = self._declared(scope, "points")
        frame = self.part(scope).start(request).result()
        for name, channel in frame.data_vars.items():
            assert channel.dims == ("point",), f"`{name}` has dims {channel.dims}, not (point,)"
            assert channel.shape == (len(request.points),), f"`{name}` has {channel.size} values"
            assert np.isfinite(channel).all(), f"`{name}` has gaps"
        check_places(frame, request)

    @rule("several-frames")
    def test_several_frames_follow_one_another(self, scope: Guard) -> None:
        """With `frames`, ``frame`` is the first dim, and each begins after the one before it."""
        request = self.frame(scope, frames=2)
        frames = self.measure(scope, request)
        for name, channel in frames.data_vars.items():
            assert channel.dims == ("frame", "y", "x"), f"`{name}` has dims {channel.dims}"
            assert channel.shape == (2, *request.shape), f"`{name}` has shape {channel.shape}"
            assert np.isfinite(channel).all(), f"`{name}` has gaps"
        first, second = frames["time"].mean(("y", "x")).to_numpy()
        assert first < second, f"frame 1 is from {first:g} s and frame 2 from {second:g} s"

    @rule("rotation-is-honoured")
    def test_rotation_turns_the_places_counter_clockwise(self, scope: Guard) -> None:
        """With `rotation`, ``measured_x, measured_y`` turn counter-clockwise about the centre."""
        request = self.frame(scope, rotation=math.pi / 3)
        view = request.field_of_view
        smaller = request.model_copy(update={"field_of_view": (view[0] / 2, view[1] / 2)})
        fits = not self.part(scope).validate(request)
        request = request if fits else smaller
        check_places(self.measure(scope, request), request)

    def _declared(self, scope: Guard, order: Order) -> ScanRequest:
        if order not in scope.describe().orders:
            not_applicable(f"`orders` does not name {order}")
        request = self._in_order(scope, order)
        found = self.part(scope).validate(request)
        assert not found, f"`{order}` is declared and refused: {found[0].message}"
        return request

    def _in_order(self, scope: Guard, order: Order) -> ScanRequest:
        frame = self.frame(scope)
        if order == "lines":
            return self.frame(scope, order=order, lines=(1, frame.shape[0] - 2))
        if order == "points":
            return self.frame(scope, order=order, points=_corners(frame))
        return self.frame(scope, order=order)


def _corners(frame: ScanRequest) -> tuple[Position, ...]:
    """Return five places well inside a frame."""
    (x, y), (width, height) = frame.centre, frame.field_of_view
    signs = ((-1, -1), (1, -1), (0, 0), (1, 1), (-1, 1))
    return tuple((x + 0.3 * right * width, y + 0.2 * up * height) for right, up in signs)
