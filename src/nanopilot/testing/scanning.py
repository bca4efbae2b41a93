"""Rules of frames: `ScannerTests`, made of what a frame holds and which ways there are to scan."""

from __future__ import annotations

from itertools import product
from typing import Any

from nanopilot.core.capabilities import Scanner
from nanopilot.core.limits import Estimate
from nanopilot.core.requests import Request, ScanRequest
from nanopilot.instruments import Guard
from nanopilot.testing.frames import FrameTests
from nanopilot.testing.paths import PathTests

#: Tried in turn until the instrument accepts one: few pixels first, rows and columns unequal.
SHAPES = ((8, 6), (8, 8), (16, 16), (32, 32), (64, 64), (128, 128), (256, 256), (512, 512))
FRACTIONS = (0.3, 1.0, 0.1, 0.01)
NAN, INFINITE = float("nan"), float("inf")


class ScannerTests(FrameTests, PathTests):
    """Rules of the `Scanner` capability; needs a fixture ``scope``.

    Frames are a fraction of the area the instrument offers, in the middle of it, and as small as
    the instrument takes them.
    """

    capability = "Scanner"

    def frame(self, scope: Guard, rows: int | None = None, **changes: Any) -> ScanRequest:
        """Return a request for a small frame that the instrument accepts."""
        area, scanner = scope.describe().area, scope.capability(Scanner)
        size = (area.x[1] - area.x[0], area.y[1] - area.y[0])
        shapes = SHAPES if rows is None else ((rows, SHAPES[0][1]), *SHAPES[2:])
        for shape, fraction in product(shapes, FRACTIONS):
            view = (fraction * size[0], fraction * size[1])
            request = ScanRequest(centre=area.centre, field_of_view=view, shape=shape)
            if not scanner.validate(request):
                break
        else:
            request = ScanRequest(centre=area.centre, field_of_view=view, shape=shapes[0])
        return ScanRequest(**(dict(request) | changes))

    def small(self, scope: Guard) -> Request:
        """Return a small frame."""
        return self.frame(scope)

    def several(self, scope: Guard) -> Request:
        """Return a small frame: its lines are the blocks."""
        return self.frame(scope)

    def long(self, scope: Guard) -> Request:
        """Return a frame of many lines."""
        return self.frame(scope, rows=64)

    def impossible(self, scope: Guard) -> dict[str, Request]:
        """Return frames that cannot be."""
        good, area = self.frame(scope), scope.describe().area
        width, height = area.x[1] - area.x[0], area.y[1] - area.y[0]
        far = (area.x[1] + 10 * width + 1.0, area.y[1] + 10 * height + 1.0)
        updates: dict[str, dict[str, Any]] = {
            "a place outside": {"centre": far},
            "a frame that reaches outside": {"field_of_view": (3 * width, 3 * height)},
            "NaN as a place": {"centre": (NAN, area.centre[1])},
            "infinity as a place": {"centre": (area.centre[0], INFINITE)},
            "NaN as the field of view": {"field_of_view": (NAN, NAN)},
            "an infinite field of view": {"field_of_view": (INFINITE, INFINITE)},
            "NaN as the rotation": {"rotation": NAN},
            "NaN as the dwell time": {"dwell_time": NAN},
            "a channel that is not there": {"channels": ("no such channel",)},
        }
        return {what: good.model_copy(update=update) for what, update in updates.items()}

    def check_counts(self, request: Any, expected: Estimate) -> None:
        """Check frames and bytes of an estimate."""
        assert expected.frames == request.frames, f"`frames` is {expected.frames}"
        assert expected.bytes > 0, f"`bytes` is {expected.bytes}"
